"""Precision, recall, density and coverage of two sets of features, with each image left out in turn.

Precision is the share of reconstructed patches that lie among the original ones, recall the share of original patches
that lie among the reconstructed ones (Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991, equations 1 and 2,
k = 3). A patch lies among a set if it is no farther from one of its patches than that patch is from its own k-th
nearest neighbour in the set. Density counts how many such balls hold a reconstructed patch, divided by k, and coverage
is the share of original patches whose ball holds a reconstructed one (Naeem et al. 2020,
https://arxiv.org/abs/2002.09797, equations 5 and 6, k = 5). All are float64 and deterministic; higher is better.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.errors import Undefined

Matrix = npt.NDArray[np.float64]
Set = Sequence[npt.NDArray[np.floating[Any]]]

NEAREST_OF_PRECISION, NEAREST_OF_DENSITY = 3, 5
_ROWS = 1024
EXACT_COST = 4e9
"""Distances that leaving each image out may look at again; beyond, the radii are kept as they are with all images."""


def precision(originals: Set, reconstructions: Set) -> float:
    """In [0, 1]. Raises Undefined on fewer than 4 patches on a side."""
    return _whole(originals, reconstructions, NEAREST_OF_PRECISION, _precision)


def recall(originals: Set, reconstructions: Set) -> float:
    """In [0, 1]. Raises Undefined on fewer than 4 patches on a side."""
    return _whole(reconstructions, originals, NEAREST_OF_PRECISION, _precision)


def density(originals: Set, reconstructions: Set) -> float:
    """At least 0; above 1 where reconstructed patches crowd. Raises Undefined on fewer than 6 patches on a side."""
    return _whole(originals, reconstructions, NEAREST_OF_DENSITY, _density)


def coverage(originals: Set, reconstructions: Set) -> float:
    """In [0, 1]. Raises Undefined on fewer than 6 patches on a side."""
    return _whole(originals, reconstructions, NEAREST_OF_DENSITY, _coverage)


def precision_leave_one_out(originals: Set, reconstructions: Set) -> Matrix:
    """(n_images,): precision without each image; NaN for an image without patches."""
    return _each(originals, reconstructions, NEAREST_OF_PRECISION, _precision)


def recall_leave_one_out(originals: Set, reconstructions: Set) -> Matrix:
    """(n_images,): recall without each image; NaN for an image without patches."""
    return _each(reconstructions, originals, NEAREST_OF_PRECISION, _precision)


def density_leave_one_out(originals: Set, reconstructions: Set) -> Matrix:
    """(n_images,): density without each image; NaN for an image without patches."""
    return _each(originals, reconstructions, NEAREST_OF_DENSITY, _density)


def coverage_leave_one_out(originals: Set, reconstructions: Set) -> Matrix:
    """(n_images,): coverage without each image; NaN for an image without patches."""
    return _each(originals, reconstructions, NEAREST_OF_DENSITY, _coverage)


Statistic = Callable[[Matrix, Matrix, Matrix], float]
"""From centres (n, d), their squared radii (n,), and points (m, d)."""


def _whole(centres: Set, points: Set, nearest: int, statistic: Statistic) -> float:
    x, y = _stack(centres), _stack(points)
    return statistic(x, _squared_radii(x, nearest), y)


def _each(centres: Set, points: Set, nearest: int, statistic: Statistic) -> Matrix:
    x, y = _stack(centres), _stack(points)
    owner_x, owner_y = _owners(centres), _owners(points)
    radii = _squared_radii(x, nearest)
    exact = len(centres) * len(x) * (len(x) + len(y)) <= EXACT_COST

    def without(image: int) -> float:
        keep_x, keep_y = owner_x != image, owner_y != image
        if keep_x.all() and keep_y.all():
            return float("nan")
        if min(keep_x.sum(), keep_y.sum()) <= nearest:
            raise Undefined(f"without an image fewer than {nearest + 1} patches are left on a side")
        left = x[keep_x]
        return statistic(left, _squared_radii(left, nearest) if exact else radii[keep_x], y[keep_y])

    return np.array([without(image) for image in range(len(centres))])


def _precision(x: Matrix, radii: Matrix, y: Matrix) -> float:
    return sum(int((squared <= radii[:, None]).any(0).sum()) for squared in _squared_distances(x, y)) / len(y)


def _density(x: Matrix, radii: Matrix, y: Matrix) -> float:
    count = sum(int((squared <= radii[:, None]).sum()) for squared in _squared_distances(x, y))
    return count / (NEAREST_OF_DENSITY * len(y))


def _coverage(x: Matrix, radii: Matrix, y: Matrix) -> float:
    nearest = np.full(len(x), np.inf)
    for squared in _squared_distances(x, y):
        np.minimum(nearest, squared.min(1), out=nearest)
    return float((nearest <= radii).mean())


def _squared_radii(x: Matrix, nearest: int) -> Matrix:
    """(n,): squared distance of each patch to its `nearest`-th neighbour in the set. Raises Undefined on too few."""
    if len(x) <= nearest:
        raise Undefined(f"neighbours need at least {nearest + 1} patches on each side, there are {len(x)}")
    return np.concatenate([np.partition(part, nearest, axis=0)[nearest] for part in _squared_distances(x, x)])


def _squared_distances(x: Matrix, y: Matrix) -> Iterator[Matrix]:
    """(n, up to `_ROWS`) for successive parts of `y`; exactly 0 between equal rows is not promised, never below 0."""
    squares = np.einsum("ij,ij->i", x, x)
    for start in range(0, len(y), _ROWS):
        part = y[start : start + _ROWS]
        yield np.maximum(squares[:, None] + np.einsum("ij,ij->i", part, part) - 2 * (x @ part.T), 0)


def _stack(features: Set) -> Matrix:
    if not len(features):
        raise Undefined("a set without images has no distance to another")
    return np.concatenate(list(features), dtype=np.float64)


def _owners(features: Set) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(len(features)), [len(patches) for patches in features])
