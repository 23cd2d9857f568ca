"""How far a difference of two curves can be wrong, since nobody knows how they bend between points. Numbers only.

The ways to draw a curve can agree and all be wrong: where points leave a gap, none of them knows what is in it. Here
each curve, quality over log rate, is an integrated Wiener process, the model whose best guess is the cubic smoothing
spline (Wahba, Improper Priors, Spline Smoothing and the Problem of Guarding Against Model Errors in Regression, 1978).
How much curves bend is taken from both together, and gives the error of the area under each between its points.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

NEAREST = 0.02
"""Part of a curve's range of log rate. Points nearer to each other count as one: there an encoder's jitter is larger
than any bend, and would make the curve look as if it bent everywhere."""


_ROUNDING = 1e-15


@dataclass(frozen=True)
class Bends:
    """stderr: of a difference of two curves. freedom: second differences that it is taken from, both curves together;
    with none, two curves of two points, stderr is NaN."""

    stderr: float
    freedom: int


Curves = tuple[tuple[Vector, Vector], tuple[Vector, Vector]]
"""Two of (log rate, value), log rate rising, of two points or more."""


def bends(curves: Curves, ends: tuple[Vector, Vector], height: float) -> Bends:
    """Of the rate difference, in natural logarithms; values rise too.

    height: the range of value that both reach. ends: of each curve, the log rates (2,) at its ends. The area between
    the curves over log rate is that over value, so no curve need be turned round.
    """
    parts = [_Curve(*curve) for curve in curves]
    return _together(parts, [part.of_area(*reach) for part, reach in zip(parts, ends, strict=True)], height)


def bends_at(curves: Curves, log_rate: float) -> Bends:
    """Of the difference of values at a rate that both curves reach."""
    parts = [_Curve(*curve) for curve in curves]
    return _together(parts, [part.of_value(log_rate) for part in parts], 1.0)


def _together(parts: "Sequence[_Curve]", variances: Sequence[float], height: float) -> Bends:
    """Of both curves, which bend as much as both do together. variances: of processes of unit variance."""
    freedom = sum(part.freedom for part in parts)
    if not freedom:
        return Bends(math.nan, freedom)
    variance = sum(part.roughness for part in parts) / freedom
    return Bends(math.sqrt(sum(variances) * variance) / height, freedom)


class _Curve:
    """The points of a curve that lie apart, on 0 to 1, so that matrices are well set.

    freedom: its second differences. roughness: ∫s″², s the natural cubic spline through its points.
    """

    def __init__(self, rate: Vector, value: Vector) -> None:
        kept = _apart(rate)
        self._first, self._width = float(rate[0]), float(rate[-1] - rate[0])
        self._x = (rate[kept] - self._first) / self._width
        n = self._x.size
        self._system = np.zeros((n + 2, n + 2))
        # The process' generalised covariance; its level and its slope are free.
        self._system[:n, :n] = np.abs(self._x[:, None] - self._x) ** 3 / 12
        self._system[:n, n] = self._system[n, :n] = 1
        self._system[:n, n + 1] = self._system[n + 1, :n] = self._x
        self.freedom = n - 2
        forces = np.linalg.solve(self._system, np.concatenate([value[kept], [0.0, 0.0]]))[:n]
        self.roughness = max(float(forces @ value[kept]), 0.0) / self._width**3 if self.freedom else 0.0

    def of_area(self, low: float, high: float) -> float:
        """The variance of the area between two log rates."""
        low, high = self._on_unit(low), self._on_unit(high)
        area = _quartic(high - self._x) - _quartic(low - self._x)
        covariance = np.concatenate([area, [high - low, (high**2 - low**2) / 2]])
        return self._left((high - low) ** 5 / 120, covariance) * self._width**5

    def of_value(self, log_rate: float) -> float:
        """The variance of the value at a log rate."""
        place = self._on_unit(log_rate)
        covariance = np.concatenate([np.abs(place - self._x) ** 3 / 12, [1.0, place]])
        return self._left(0.0, covariance) * self._width**3

    def _on_unit(self, log_rate: float) -> float:
        return (log_rate - self._first) / self._width

    def _left(self, before: float, covariance: Vector) -> float:
        """The variance that is left where the points are known."""
        left = before - float(covariance @ np.linalg.solve(self._system, covariance))
        return left if left > _ROUNDING else 0.0


def _quartic(distance: Vector) -> Vector:
    return np.asarray(np.sign(distance) * distance**4 / 48, dtype=np.float64)


def _apart(rate: Vector) -> npt.NDArray[np.bool_]:
    """(q,): which points are at least NEAREST from the one kept before; both ends always."""
    least = NEAREST * (rate[-1] - rate[0])
    kept = np.zeros(rate.size, dtype=np.bool_)
    kept[0] = kept[-1] = True
    last = rate[0]
    for place in range(1, rate.size - 1):
        if rate[place] - last >= least and rate[-1] - rate[place] >= least:
            kept[place], last = True, rate[place]
    return kept
