"""Distances between two sets of features: Fréchet distance and kernel distance, with each image left out in turn.

Everything is float64 and deterministic. A set is a sequence of arrays (n_patches, dimension), one per image; patches of
one image are not independent, so the image is what a jackknife leaves out. Originals and reconstructions are paired:
image i of one side belongs to image i of the other.

Fréchet distance (Dowson and Landau 1982; Heusel et al. 2017, https://arxiv.org/abs/1706.08500):
    |μx − μy|² + tr Σx + tr Σy − 2 tr (Σx Σy)^½.
With A, B the centred features ÷ √(n − 1), Σx = AᵀA and Σy = BᵀB, the last trace is the sum of the singular values of
A Bᵀ. So it needs no matrix square root and is exact for any n, singular covariances included.

Kernel distance (Bińkowski et al. 2018, https://arxiv.org/abs/1801.01401): the squared maximum mean discrepancy under
the kernel k(x, y) = (x·y / dimension + 1)³. Published values are means over random subsets of min(1000, n) patches of
the unbiased estimator; up to n = 1000 that is the estimator over all patches, and beyond it is what their mean over all
subsets is. Here it is computed over all patches, which needs no random numbers and does not depend on the order. It is
never clamped at 0. On paired sets it is not centred: identical sets give a negative value of order 1/n, so values are
comparable at equal n only. The U-statistic leaves the pairs out and is 0 for identical sets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from benchmark.errors import Undefined

Matrix = npt.NDArray[np.float64]
Set = Sequence[npt.NDArray[np.floating[Any]]]


def frechet_distance(originals: Set, reconstructions: Set) -> float:
    """At least 0 up to rounding. The sets may differ in size. Raises Undefined below two patches on a side."""
    x, y = _stack(originals), _stack(reconstructions)
    _check(len(x), len(y))
    shift = x.mean(0)  # nearer to 0, less is lost when the mean is subtracted
    x -= shift
    y -= shift
    return _frechet(x.mean(0) - y.mean(0), _squares(x), _squares(y), _trace(_factor(x), _factor(y)))


def frechet_leave_one_out(originals: Set, reconstructions: Set) -> Matrix:
    """(n_images,): the Fréchet distance without each image; NaN for an image without patches.

    Up to as many patches as dimensions, all come from one matrix of products; beyond, from each image's share of the
    covariances. Raises Undefined if too few patches are left.
    """
    x, y = _stack(originals), _stack(reconstructions)
    owner_x, owner_y = _owners(originals), _owners(reconstructions)
    _check(len(x), len(y))
    shift = x.mean(0)
    x -= shift
    y -= shift
    few = max(len(x), len(y)) <= x.shape[1]
    trace = _traces_of_products(x, y) if few else _traces_of_covariances(x, y)

    def without(image: int) -> float:
        keep_x, keep_y = owner_x != image, owner_y != image
        left_x, left_y = x[keep_x], y[keep_y]
        _check(len(left_x), len(left_y))
        difference = left_x.mean(0) - left_y.mean(0)
        return _frechet(difference, _squares(left_x), _squares(left_y), trace(keep_x, keep_y))

    return _each(originals, reconstructions, without)


def kernel_distance(originals: Set, reconstructions: Set) -> float:
    """Unbiased MMD²; may be negative. The sets may differ in size. Raises Undefined below two patches on a side."""
    return _unbiased(_kernel_sums(originals, reconstructions).total())


def kernel_leave_one_out(originals: Set, reconstructions: Set) -> Matrix:
    """(n_images,): the kernel distance without each image; NaN for an image without patches.

    All come from one computation of the kernels. Raises Undefined if too few patches are left.
    """
    sums = _kernel_sums(originals, reconstructions)
    return _each(originals, reconstructions, lambda image: _unbiased(sums.without(image)))


def paired_kernel_distance(originals: Set, reconstructions: Set) -> float:
    """The U-statistic of MMD² over pairs; 0 for identical sets; may be negative.

    Raises Undefined below two patches, or if an image has not the same number of patches on both sides.
    """
    _check_paired(originals, reconstructions)
    return _paired(_kernel_sums(originals, reconstructions).total())


def paired_kernel_leave_one_out(originals: Set, reconstructions: Set) -> Matrix:
    """(n_images,): the paired kernel distance without each image; NaN for an image without patches."""
    _check_paired(originals, reconstructions)
    sums = _kernel_sums(originals, reconstructions)
    return _each(originals, reconstructions, lambda image: _paired(sums.without(image)))


# Fréchet distance


def _frechet(difference: Matrix, squares_x: float, squares_y: float, trace: float) -> float:
    return float(difference @ difference) + squares_x + squares_y - 2 * trace


def _squares(x: Matrix) -> float:
    """Trace of the covariance of the rows of `x`."""
    return float(x.var(0, ddof=1).sum())


def _factor(x: Matrix) -> Matrix:
    """F (min(n, dimension), dimension) with FᵀF the covariance of the rows of `x`."""
    centred: Matrix = (x - x.mean(0)) / np.sqrt(len(x) - 1)
    if len(centred) <= centred.shape[1]:
        return centred
    return cast(Matrix, np.linalg.qr(centred, mode="r"))


def _trace(factor_x: Matrix, factor_y: Matrix) -> float:
    """tr (Σx Σy)^½ = ‖Fx Fyᵀ‖, the nuclear norm."""
    return float(np.linalg.svd(factor_x @ factor_y.T, compute_uv=False).sum())


Keep = npt.NDArray[np.bool_]


def _traces_of_products(x: Matrix, y: Matrix) -> Callable[[Keep, Keep], float]:
    """The trace for any selection of rows: rows and columns of X Yᵀ, centred anew. Costs n³, whatever the dimension."""
    products = x @ y.T

    def trace(keep_x: Keep, keep_y: Keep) -> float:
        kept = products[np.ix_(keep_x, keep_y)]
        kept -= kept.mean(0)
        kept -= kept.mean(1, keepdims=True)
        scale = np.sqrt((kept.shape[0] - 1) * (kept.shape[1] - 1))
        return float(np.linalg.svd(kept, compute_uv=False).sum() / scale)

    return trace


def _traces_of_covariances(x: Matrix, y: Matrix) -> Callable[[Keep, Keep], float]:
    """The trace for any selection of rows: the rest's share is taken from the products XᵀX, YᵀY. Costs dimension³.

    Squaring the features costs half of the digits, of which a jackknife has enough.
    """
    gram_x, gram_y = x.T @ x, y.T @ y

    def root(rows: Matrix, gram: Matrix, keep: Keep) -> Matrix:
        left, gone = rows[keep], rows[~keep]
        mean = left.mean(0)
        covariance = (gram - gone.T @ gone - len(left) * np.outer(mean, mean)) / (len(left) - 1)
        values, vectors = np.linalg.eigh(covariance)
        factor: Matrix = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
        return factor

    def trace(keep_x: Keep, keep_y: Keep) -> float:
        return _trace(root(x, gram_x, keep_x), root(y, gram_y, keep_y))

    return trace


# Kernel distance


@dataclass(frozen=True)
class _Totals:
    """Sums of kernel values over all patches, over those with themselves, over the pairs; numbers of patches."""

    xx: float
    yy: float
    xy: float
    self_x: float
    self_y: float
    pairs: float
    n: int
    m: int


@dataclass(frozen=True)
class _KernelSums:
    """The same sums for each pair of images, (images, images), and for each image, (images,)."""

    xx: Matrix
    yy: Matrix
    xy: Matrix
    self_x: Matrix
    self_y: Matrix
    pairs: Matrix
    n: npt.NDArray[np.int64]
    m: npt.NDArray[np.int64]

    def total(self) -> _Totals:
        return self._over(np.ones(len(self.n), dtype=bool))

    def without(self, image: int) -> _Totals:
        return self._over(np.arange(len(self.n)) != image)

    def _over(self, keep: Keep) -> _Totals:
        n, m = int(self.n[keep].sum()), int(self.m[keep].sum())
        _check(n, m)
        blocks = np.ix_(keep, keep)
        return _Totals(
            xx=float(self.xx[blocks].sum()),
            yy=float(self.yy[blocks].sum()),
            xy=float(self.xy[blocks].sum()),
            self_x=float(self.self_x[keep].sum()),
            self_y=float(self.self_y[keep].sum()),
            pairs=float(self.pairs[keep].sum()),
            n=n,
            m=m,
        )


def _unbiased(sums: _Totals) -> float:
    """Lemma 6 of Gretton et al. 2012 (https://jmlr.org/papers/v13/gretton12a.html), equation 3."""
    within_x = (sums.xx - sums.self_x) / (sums.n * (sums.n - 1))
    within_y = (sums.yy - sums.self_y) / (sums.m * (sums.m - 1))
    return within_x + within_y - 2 * sums.xy / (sums.n * sums.m)


def _paired(sums: _Totals) -> float:
    """Lemma 6 of Gretton et al. 2012, equation 4."""
    within = sums.xx - sums.self_x + sums.yy - sums.self_y
    return (within - 2 * (sums.xy - sums.pairs)) / (sums.n * (sums.n - 1))


def _kernel_sums(originals: Set, reconstructions: Set) -> _KernelSums:
    x, y = _stack(originals), _stack(reconstructions)
    rows_x, rows_y = _rows(originals), _rows(reconstructions)
    self_x, self_y = _own(x), _own(y)
    pairs = np.zeros(len(rows_x))
    for image, (own_x, own_y) in enumerate(zip(rows_x, rows_y, strict=True)):
        if len(x[own_x]) == len(y[own_y]):
            pairs[image] = _cube((x[own_x] * y[own_y]).sum(1), x.shape[1]).sum()
    return _KernelSums(
        xx=_block_sums(x, x, rows_x, rows_x),
        yy=_block_sums(y, y, rows_y, rows_y),
        xy=_block_sums(x, y, rows_x, rows_y),
        self_x=np.array([self_x[own].sum() for own in rows_x]),
        self_y=np.array([self_y[own].sum() for own in rows_y]),
        pairs=pairs,
        n=np.array([len(patches) for patches in originals]),
        m=np.array([len(patches) for patches in reconstructions]),
    )


def _block_sums(x: Matrix, y: Matrix, rows_x: list[slice], rows_y: list[slice]) -> Matrix:
    """(images, images): sum of the kernel over the patches of image i of x and image j of y."""
    sums = np.empty((len(rows_x), len(rows_y)))
    for image, own in enumerate(rows_x):
        columns = _cube(x[own] @ y.T, x.shape[1]).sum(0)
        sums[image] = [columns[other].sum() for other in rows_y]
    return sums


def _own(x: Matrix) -> Matrix:
    """The kernel of each row with itself."""
    return _cube((x * x).sum(1), x.shape[1])


def _cube(products: Matrix, dimension: int) -> Matrix:
    """(x·y / dimension + 1)³"""
    scaled = products / dimension + 1
    cubes: Matrix = scaled * scaled * scaled
    return cubes


# Sets


def _stack(features: Set) -> Matrix:
    if not features:
        raise Undefined("a set without pictures has no distance to another")
    return np.concatenate(features, dtype=np.float64)


def _rows(features: Set) -> list[slice]:
    """Where each image's patches stand in the stack."""
    ends = np.cumsum([len(patches) for patches in features])
    return [slice(int(end) - len(patches), int(end)) for end, patches in zip(ends, features, strict=True)]


def _owners(features: Set) -> npt.NDArray[np.int64]:
    """The image that each patch of the stack belongs to."""
    return np.repeat(np.arange(len(features)), [len(patches) for patches in features])


def _each(originals: Set, reconstructions: Set, without: Callable[[int], float]) -> Matrix:
    """`without` of each image that has patches on either side; NaN for the others."""
    pairs = list(zip(originals, reconstructions, strict=True))
    return np.array([without(image) if len(x) or len(y) else np.nan for image, (x, y) in enumerate(pairs)])


def _check(n: int, m: int) -> None:
    if min(n, m) < 2:
        raise Undefined(f"a distance between sets needs at least 2 patches on each side, there are {n} and {m}")


def _check_paired(originals: Set, reconstructions: Set) -> None:
    if [len(patches) for patches in originals] != [len(patches) for patches in reconstructions]:
        raise Undefined("the paired kernel distance needs the same patches on both sides")
