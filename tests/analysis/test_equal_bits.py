"""Values at bits per pixel between the points of a curve."""

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.analysis.equal_bits import at_rate
from benchmark.analysis.summary import MEAN


def summary_of(points: list[tuple[float, float, float]], codec: str = "a") -> pd.DataFrame:
    rows = []
    for quality, bpp, value in points:
        rows.append((codec, quality, "bpp", bpp, bpp - 0.01, bpp + 0.01, MEAN))
        rows.append((codec, quality, "lpips", value, value - 1, value + 2, MEAN))
        rows.append((codec, quality, "lpips", 1e6, 1e6, 1e6, "of something else"))
    return pd.DataFrame(rows, columns=["codec", "quality", "metric", "value", "ci_low", "ci_high", "aggregation"])


@given(st.floats(0.05, 2), st.floats(-5, 5), st.floats(0.06, 1.9))
@settings(max_examples=40, deadline=None)
def test_a_line_over_the_log_of_the_rate_is_met_exactly(slope: float, offset: float, bpp: float) -> None:
    points = [(q, rate, offset - slope * math.log(rate)) for q, rate in ((3, 2.0), (1, 0.05), (2, 0.3))]
    found = at_rate(summary_of(points), "a", "lpips", bpp)
    assert found is not None
    assert found.bpp == bpp
    assert found.value == pytest.approx(offset - slope * math.log(bpp))
    assert (found.low, found.high) == pytest.approx((found.value - 1, found.value + 2))
    assert found.how == ("between qualities 1 and 2" if bpp <= 0.3 else "between qualities 2 and 3")


def test_beyond_the_points_the_nearest_is_taken_and_said() -> None:
    summary = summary_of([(1, 0.2, 7.0), (2, 0.4, 5.0)])
    below, above = (at_rate(summary, "a", "lpips", bpp) for bpp in (0.1, 0.5))
    assert below is not None
    assert above is not None
    assert (below.value, below.bpp, below.how) == (7.0, 0.2, "quality 1, the nearest")
    assert (above.value, above.bpp, above.how) == (5.0, 0.4, "quality 2, the nearest")
    assert at_rate(summary, "b", "lpips", 0.3) is None
    assert at_rate(summary_of([(1, 0.2, math.nan)]), "a", "lpips", 0.3) is None
