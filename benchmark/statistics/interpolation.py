"""How much of a rate difference is the way in which curves are drawn between their points. Numbers only."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.integrate import trapezoid
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator, make_interp_spline

Vector = npt.NDArray[np.float64]
Drawn = Callable[[Vector], Vector]

AKIMA, SPLINE, PCHIP, STRAIGHT = "Akima", "cubic spline", "PCHIP", "straight lines"
PARTED = 1.0
"""Percentage points of rate by which cubic spline or PCHIP may part from Akima before it is said."""
_PLACES = 1000


@dataclass(frozen=True)
class Interpolations:
    """A rate difference by each way to draw curves through their points.

    percent: way -> difference. error: mean distance over the overlap, in natural logarithms of rate, between the
    difference by Akima and by the way that is farthest from it.
    """

    percent: Mapping[str, float]
    error: float

    @property
    def parted(self) -> dict[str, float]:
        """The differences by cubic spline and PCHIP, if one of them is more than PARTED from Akima's; else nothing."""
        others = {way: self.percent[way] for way in (SPLINE, PCHIP)}
        apart = max(abs(value - self.percent[AKIMA]) for value in others.values())
        return others if apart > PARTED else {}


def interpolations(
    anchor: tuple[Vector, Vector], test: tuple[Vector, Vector], overlap: tuple[float, float]
) -> Interpolations:
    """Of curves (rate, value) of two points or more, value rising; overlap: the range of value that both reach.

    Two curves through the same points, or through the same values at rates that differ by a factor, part by nothing:
    what is drawn wrongly is so in both. A curve of two points is a straight line every way, so its error is not known.
    """
    places = np.linspace(*overlap, _PLACES)
    differences = {
        way: draw(test[1], np.log(test[0]))(places) - draw(anchor[1], np.log(anchor[0]))(places)
        for way, draw in _WAYS.items()
    }
    width = overlap[1] - overlap[0]
    percent = {
        way: 100 * math.expm1(float(trapezoid(difference, places)) / width) for way, difference in differences.items()
    }
    distances = [np.abs(difference - differences[AKIMA]) for difference in differences.values()]
    return Interpolations(percent, max(float(trapezoid(distance, places)) / width for distance in distances))


def _spline(x: Vector, y: Vector) -> Drawn:
    """Cubic; through three points quadratic, through two straight."""
    drawn: Drawn = make_interp_spline(x, y, k=min(3, len(x) - 1))
    return drawn


def _straight(x: Vector, y: Vector) -> Drawn:
    return lambda places: np.asarray(np.interp(places, x, y))


def _akima(x: Vector, y: Vector) -> Drawn:
    drawn: Drawn = Akima1DInterpolator(x, y) if len(x) > 2 else _straight(x, y)
    return drawn


def _pchip(x: Vector, y: Vector) -> Drawn:
    drawn: Drawn = PchipInterpolator(x, y)
    return drawn


_WAYS: Mapping[str, Callable[[Vector, Vector], Drawn]] = {
    AKIMA: _akima,
    SPLINE: _spline,
    PCHIP: _pchip,
    STRAIGHT: _straight,
}
