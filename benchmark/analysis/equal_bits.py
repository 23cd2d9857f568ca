"""A codec's value of a metric at bits per pixel that it was not run at: between the points of its curve."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmark.analysis.differences import value_at_rate
from benchmark.analysis.summary import HEADLINES
from benchmark.results import quality_name

if TYPE_CHECKING:
    import pandas

    from benchmark.analysis.baseline import Baseline


@dataclass(frozen=True)
class AtRate:
    """A codec's value of a metric at given bits per pixel, with the ends of its interval over images.

    how: "between qualities 2 and 3", or "quality 5, the nearest". bpp: the rate that was asked for, or the nearest's.
    """

    codec: str
    bpp: float
    value: float
    low: float
    high: float
    how: str


def at_rate(
    summary: "pandas.DataFrame", codec: str, metric: str, bpp: float, numbers: "Baseline | None" = None
) -> AtRate | None:
    """Linear over the logarithm of the rate between two neighbouring points.

    Beyond a codec's points its nearest one. None where it has no value. numbers: of single images, for the interval
    between points, `value_at_rate`; without them it is the neighbours', which is too short there.
    """
    rows = summary[(summary["codec"] == codec) & summary["aggregation"].isin(HEADLINES)]
    rates = rows[rows["metric"] == "bpp"].set_index("quality")["value"]
    values = rows[rows["metric"] == metric].set_index("quality")[["value", "ci_low", "ci_high"]]
    points = values.join(rates.rename("bpp"), how="inner")
    points = points[points["value"].notna() & (points["bpp"] > 0)].sort_values("bpp")
    if points.empty:
        return None
    above = int(np.searchsorted(points["bpp"].to_numpy(), bpp))
    if 0 < above < len(points):
        one, other = points.iloc[above - 1], points.iloc[above]
        share = math.log(bpp / one["bpp"]) / math.log(other["bpp"] / one["bpp"])
        low, value, high = (float((1 - share) * one[c] + share * other[c]) for c in ("ci_low", "value", "ci_high"))
        found = None if numbers is None else value_at_rate(numbers, codec, metric, bpp)
        if found is not None:  # about the summary's value, which may be over more images
            low, high = value + found.ci_low - found.value, value + found.ci_high - found.value
        between = " and ".join(quality_name(float(q)) for q in sorted((points.index[above - 1], points.index[above])))
        return AtRate(codec, bpp, value, low, high, f"between qualities {between}")
    place = min(above, len(points) - 1)
    nearest, quality = points.iloc[place], quality_name(float(points.index[place]))
    rate, value, low, high = (float(nearest[column]) for column in ("bpp", "value", "ci_low", "ci_high"))
    return AtRate(codec, rate, value, low, high, f"quality {quality}, the nearest")
