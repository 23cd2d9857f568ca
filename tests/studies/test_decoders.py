"""What the comparison of decoders computes: cost, value at equal bits, who sends the same bytes, where to look."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_codecs import Tiny
from support.records import trial

from benchmark.analysis.summary import MEAN
from benchmark.errors import BenchmarkError, UsageError
from benchmark.studies.decoders import at_rate, check_codecs, cost_of, most_detailed, notes_on, same_bytes


class WithNetwork(Tiny):
    """Its decoder runs a convolution and a matrix product, in inference mode and not through their modules alone."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.parts = {"networks": [torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.Linear(7, 2)]}
        self.again = self.parts["networks"][0]  # the same parameters once more
        self.steps = steps

    def decode(self, data: bytes, seed: int | None = None) -> np.ndarray:
        image = super().decode(data, seed)
        convolution, linear = self.parts["networks"]
        with torch.inference_mode():
            for _ in range(self.steps):
                torch.nn.functional.conv2d(torch.zeros(1, 3, *image.shape[:2]), convolution.weight, padding=1)
            linear(torch.zeros(4, 7))
        return image


@pytest.mark.parametrize("steps", [1, 3])
def test_cost_counts_what_decode_computes(steps: int) -> None:
    cost = cost_of(WithNetwork(steps), 2, side=32)
    assert cost.kmac == pytest.approx((steps * 32 * 32 * 5 * 27 + 4 * 7 * 2) / 32**2 / 1000)
    assert cost.parameters == 5 * 27 + 5 + 7 * 2 + 2
    nothing = cost_of(Tiny(), 2, side=32)
    assert (nothing.parameters, nothing.kmac) == (0, 0)


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


def test_same_bytes() -> None:
    def of(codec: str, *lengths: int) -> list:
        return [trial(codec, quality, bytes=n) for quality, n in enumerate(lengths, start=1)]

    assert same_bytes([*of("jpeg", 9, 8), *of("mse", 4, 5), *of("hfd", 4, 5), *of("other", 4, 6)]) == ["mse", "hfd"]
    assert same_bytes([]) == []
    assert same_bytes([*of("mse", 4, 5), *of("fewer", 4)]) == ["mse"]


@given(st.integers(0, 6), st.integers(0, 9), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_crop_holds_the_detail(row: int, column: int, seed: int) -> None:
    image = np.full((120, 160, 3), 100, np.uint8)
    top, left = 16 * row, 16 * column
    image[top : top + 16, left : left + 16] = np.random.default_rng(seed).integers(0, 256, (16, 16, 3))
    found = most_detailed(image, 32)
    assert found[0] <= top
    assert found[1] <= left
    assert top + 16 <= found[0] + 32
    assert left + 16 <= found[1] + 32
    assert most_detailed(image[:20, :20], 32) == (0, 0)


def test_what_cannot_be_compared_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        BenchmarkError, match=r"hific-small:weights=.*cannot be compared: there are no weights.*--codec"
    ):
        check_codecs(["jpeg", f"hific-small:weights={tmp_path / 'none'}"], "cpu")
    with pytest.raises(UsageError, match="codec"):
        check_codecs(["no-such-codec"], "cpu")
    assert list(check_codecs(["tiny", "noisy"], "cpu")) == ["tiny", "noisy"]


def test_who_learned_by_a_metric_is_named_beside_it() -> None:
    codecs = check_codecs(["mse", "hfd", "hfd:decoder=diffusion", "hific-small", "bpp:hfd"], "cpu")
    assert [note.partition(" was")[0] for note in notes_on(codecs)] == ["hfd", "hific-small", "bpp:hfd"]
