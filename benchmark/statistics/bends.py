"""How far a rate difference can be wrong because nobody knows how curves bend between their points. Numbers only.

The ways to draw a curve can agree and all be wrong: where points leave a gap, none of them knows what is in it. Here
each curve, quality over log rate, is an integrated Wiener process, the model whose best guess is the cubic smoothing
spline (Wahba, Improper Priors, Spline Smoothing and the Problem of Guarding Against Model Errors in Regression, 1978).
How much curves bend is taken from both together, and gives the error of the area under each between its points.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

NEAREST = 0.02
"""Part of a curve's range of log rate. Points nearer to each other count as one: there an encoder's jitter is larger
than any bend, and would make the curve look as if it bent everywhere."""


@dataclass(frozen=True)
class Bends:
    """stderr: of a rate difference, in natural logarithms. freedom: second differences that it is taken from, both
    curves together; with none, two curves of two points, stderr is NaN."""

    stderr: float
    freedom: int


def bends(
    curves: tuple[tuple[Vector, Vector], tuple[Vector, Vector]], ends: tuple[Vector, Vector], height: float
) -> Bends:
    """Of two curves, each (log rate, value), both rising, of two points or more.

    height: the range of value that both reach. ends: of each curve, the log rates (2,) at its ends. The area between
    the curves over log rate is that over value, so no curve need be turned round.
    """
    areas, roughness, freedom = 0.0, 0.0, 0
    for (rate, value), range_ in zip(curves, ends, strict=True):
        kept = _apart(rate)
        area, own = _of_curve(rate[kept], value[kept], range_)
        areas += area
        roughness += own
        freedom += int(kept.sum()) - 2
    if not freedom:
        return Bends(math.nan, freedom)
    return Bends(math.sqrt(areas * roughness / freedom) / height, freedom)


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


def _of_curve(rate: Vector, value: Vector, ends: Vector) -> tuple[float, float]:
    """The variance of the area between `ends` for a process of unit variance, and the curve's roughness ∫s″²,
    s the natural cubic spline through its points."""
    width = rate[-1] - rate[0]
    x, (low, high) = (rate - rate[0]) / width, (ends - rate[0]) / width  # on 0 to 1, so that matrices are well set
    n = x.size
    system = np.zeros((n + 2, n + 2))
    system[:n, :n] = np.abs(x[:, None] - x) ** 3 / 12  # the process' generalised covariance; level and slope are free
    system[:n, n] = system[n, :n] = 1
    system[:n, n + 1] = system[n + 1, :n] = x
    reach = high - low

    def above(distance: Vector) -> Vector:
        return np.asarray(np.sign(distance) * distance**4 / 48, dtype=np.float64)

    area = np.concatenate([above(high - x) - above(low - x), [reach, (high**2 - low**2) / 2]])
    weights = np.linalg.solve(system, area)
    variance = max(reach**5 / 120 - float(weights @ area), 0.0)
    if n == 2:
        return variance * width**5, 0.0
    forces = np.linalg.solve(system, np.concatenate([value, [0.0, 0.0]]))[:n]
    return variance * width**5, max(float(forces @ value), 0.0) / width**3
