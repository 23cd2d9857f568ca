"""How much of a rate difference is the way in which curves are drawn between their points. Numbers only.

SciPy's interpolation is imported by who draws: plots of a run need this module, and no curve between points.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmark.statistics.bends import Bends, Curves, bends, bends_at
from benchmark.statistics.quantiles import student_quantile

Vector = npt.NDArray[np.float64]
Drawn = Callable[[Vector], Vector]

AKIMA, SPLINE, PCHIP, STRAIGHT = "Akima", "cubic spline", "PCHIP", "straight lines"
PARTED = 1.0
"""Percentage points of rate by which cubic spline or PCHIP may part from Akima before it is said."""
_PLACES = 1000
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Interpolations:
    """What the way in which curves are drawn between their points can do to a rate difference.

    percent: way -> difference. spread: mean distance over the overlap, in natural logarithms of rate, between the
    difference by Akima and by the way that is farthest from it. bends: what no way knows. gaps: of each curve, the
    largest part of the overlap without a point of it, 0 to 1.
    """

    percent: Mapping[str, float]
    spread: float
    bends: Bends
    gaps: tuple[float, float]

    @property
    def parted(self) -> dict[str, float]:
        """The differences by cubic spline and PCHIP, if one of them is more than PARTED from Akima's; else nothing."""
        others = {way: self.percent[way] for way in (SPLINE, PCHIP)}
        apart = max(abs(value - self.percent[AKIMA]) for value in others.values())
        return others if apart > PARTED else {}

    def error(self, confidence: float = 0.95) -> float:
        """Half the interval of the error of the interpolation, in natural logarithms of rate.

        The ways' spread is a bias, whose sign nobody knows, so it is added whole. Of two curves of two points the error
        is not known, and what is given is 0.
        """
        return _half_width(self.spread, self.bends, confidence)


def interpolations(
    anchor: tuple[Vector, Vector], test: tuple[Vector, Vector], overlap: tuple[float, float]
) -> Interpolations:
    """Of curves (rate, value) of two points or more, value rising; overlap: the range of value that both reach.

    Two curves through the same points, or through the same values at rates that differ by a factor, part by nothing:
    what is drawn wrongly is so in both. So what no way knows counts whole only where less than half of what the ways
    part by in each curve is the same in the other.
    """
    from scipy.integrate import trapezoid

    places = np.linspace(*overlap, _PLACES)
    width = overlap[1] - overlap[0]

    def farthest(drawn: Mapping[str, Vector]) -> float:
        return max(float(trapezoid(np.abs(one - drawn[AKIMA]), places)) / width for one in drawn.values())

    logs = [(np.log(rate), value) for rate, value in (anchor, test)]
    first, second = ({way: draw(value, log)(places) for way, draw in _WAYS.items()} for log, value in logs)
    differences = {way: second[way] - first[way] for way in _WAYS}
    percent = {way: 100 * math.expm1(float(trapezoid(line, places)) / width) for way, line in differences.items()}
    spread, each = farthest(differences), farthest(first) + farthest(second)
    unknown = _not_shared(
        bends((logs[0], logs[1]), (first[AKIMA][[0, -1]], second[AKIMA][[0, -1]]), width), spread, each
    )
    gaps = tuple(_gap(value, overlap) for _, value in logs)
    return Interpolations(percent, spread, unknown, (gaps[0], gaps[1]))


def error_at(curves: Curves, log_rate: float, confidence: float = 0.95) -> float:
    """Half the interval of the error of a difference of values at a rate that both curves reach, in the value's unit.

    The difference is that of straight lines over log rate between the points. What cancels is as of `interpolations`;
    at a point of both curves nothing is left. Of two curves of two points the error is not known, and what is given
    is 0.
    """
    place = np.array([log_rate])
    first, second = ({way: float(draw(*curve)(place)[0]) for way, draw in _WAYS.items()} for curve in curves)

    def farthest(values: Mapping[str, float]) -> float:
        return max(abs(value - values[STRAIGHT]) for value in values.values())

    spread = farthest({way: second[way] - first[way] for way in _WAYS})
    unknown = _not_shared(bends_at(curves, log_rate), spread, farthest(first) + farthest(second))
    return _half_width(spread, unknown, confidence)


def _half_width(spread: float, unknown: Bends, confidence: float) -> float:
    if math.isnan(unknown.stderr):
        return spread
    return spread + student_quantile((1 + confidence) / 2, unknown.freedom) * unknown.stderr


def _not_shared(unknown: Bends, spread: float, each: float) -> Bends:
    """`unknown`, less where most of what the ways part by in each curve, `each` in sum, is the same in the other."""
    if each <= _ROUNDING or not unknown.freedom:
        return unknown
    return replace(unknown, stderr=min(1.0, 2 * spread / each) * unknown.stderr)


def _gap(values: Vector, overlap: tuple[float, float]) -> float:
    inside = values[(values > overlap[0]) & (values < overlap[1])]
    return float(np.diff([overlap[0], *inside, overlap[1]]).max()) / (overlap[1] - overlap[0])


def _spline(x: Vector, y: Vector) -> Drawn:
    """Cubic; through three points quadratic, through two straight."""
    from scipy.interpolate import make_interp_spline

    drawn: Drawn = make_interp_spline(x, y, k=min(3, len(x) - 1))
    return drawn


def _straight(x: Vector, y: Vector) -> Drawn:
    return lambda places: np.asarray(np.interp(places, x, y))


def _akima(x: Vector, y: Vector) -> Drawn:
    from scipy.interpolate import Akima1DInterpolator

    drawn: Drawn = Akima1DInterpolator(x, y) if len(x) > 2 else _straight(x, y)
    return drawn


def _pchip(x: Vector, y: Vector) -> Drawn:
    from scipy.interpolate import PchipInterpolator

    drawn: Drawn = PchipInterpolator(x, y)
    return drawn


_WAYS: Mapping[str, Callable[[Vector, Vector], Drawn]] = {
    AKIMA: _akima,
    SPLINE: _spline,
    PCHIP: _pchip,
    STRAIGHT: _straight,
}
