"""Distances between two sets of features: Fréchet distance and kernel distance, with each image left out in turn.

Everything is float64 and deterministic. A set is a sequence of arrays (n_patches, dimension), one per image; patches of
one image are not independent, so the image is what a jackknife leaves out. Originals and reconstructions are paired:
image i of one side belongs to image i of the other.

The sequence may read its arrays when it is asked for them: they are taken a few thousand patches at a time, more than
once, and what is kept of a set does not grow with it but for a few numbers per image. If it has a `Memory` as `memory`,
what is found out about the set is remembered there, for the next distance from it.

Fréchet distance (Dowson and Landau 1982; Heusel et al. 2017, https://arxiv.org/abs/1706.08500):
    |μx − μy|² + tr Σx + tr Σy − 2 tr (Σx Σy)^½.
With A, B the centred features ÷ √(n − 1), Σx = AᵀA and Σy = BᵀB, the last trace is the sum of the singular values of
A Bᵀ. So it needs no matrix square root and is exact for any n, singular covariances included. Beyond as many patches
as dimensions A and B are replaced by triangular factors of the covariances, updated as the patches come.

Kernel distance (Bińkowski et al. 2018, https://arxiv.org/abs/1801.01401): the squared maximum mean discrepancy under
the kernel k(x, y) = (x·y / dimension + 1)³. Published values are means over random subsets of min(1000, n) patches of
the unbiased estimator; up to n = 1000 that is the estimator over all patches, and beyond it is what their mean over all
subsets is. Here it is computed over all patches, which needs no random numbers and does not depend on the order. It is
never clamped at 0. On paired sets it is not centred: identical sets give a negative value of order 1/n, so values are
comparable at equal n only. The U-statistic leaves the pairs out and is 0 for identical sets. As packages compute it,
over random subsets: `kernel_distance_of_subsets`.

CMMD (Jayasumana et al. 2024, https://arxiv.org/abs/2401.09603, section 4): 1000 times the squared maximum mean
discrepancy, V-statistic, under a Gaussian kernel over features of length 1; 0 for identical sets and never negative.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from benchmark.errors import Undefined

Matrix = npt.NDArray[np.float64]
Features = npt.NDArray[np.floating[Any]]
Set = Sequence[Features]
Result = TypeVar("Result")
Kernel = Callable[[Matrix, int], Matrix]
"""Kernel values from inner products, in place, and the dimension."""

ROWS, COLUMNS = 4096, 512
"""Patches of one side, and of the other, that are in memory at a time; the other side is read once for each `ROWS`."""
_KERNEL_ROWS = 512
"""Of the patches in memory, whose kernels with the other side's are computed at a time."""
_ROWS_A_DIMENSION = 4
"""Patches, in multiples of the dimension, that are added to a covariance's factor at a time: at a quarter of the
factor's own rows more, in time, than all at once."""
SUBSETS, SUBSET, SUBSET_SEED = 100, 1000, 2020
"""Of `kernel_distance_of_subsets`: torch-fidelity's and torchmetrics' defaults, and the seed of the former."""
EXACT_IMAGES = 100
"""Of more images the Fréchet distance without each is approximated: exactly, each costs as much as the distance. The
standard error is then within a tenth of the exact one."""


class Memory:
    """Remembers results by name. Threads that ask for one at the same time wait for the first."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def get(self, name: str, compute: Callable[[], Result]) -> Result:
        """What `compute` returned when it was first called for `name`."""
        with self._locks[name]:
            if name not in self._kept:
                self._kept[name] = compute()
            return cast(Result, self._kept[name])


def frechet_distance(originals: Set, reconstructions: Set) -> float:
    """At least 0 up to rounding. The sets may differ in size. Raises Undefined below two patches on a side."""
    x, y = _spread(originals), _spread(reconstructions)
    _check(x.n, y.n)
    return _frechet(x.mean - y.mean, x.squares, y.squares, _trace(x.factor, y.factor))


def frechet_leave_one_out(originals: Set, reconstructions: Set) -> Matrix:
    """(n_images,): the Fréchet distance without each image; NaN for an image without patches.

    Up to as many patches as dimensions, all come from one matrix of products; beyond, from each image's share of the
    covariances. Of more than `EXACT_IMAGES` images, the last trace is taken to first order in that share, as in the
    infinitesimal jackknife (Efron and Stein 1981); the rest is exact. Raises Undefined if too few patches are left.
    """
    x, y = _spread(originals), _spread(reconstructions)
    _check(x.n, y.n)
    if max(x.n, y.n) <= len(x.mean):
        return _frechet_without_by_products(originals, reconstructions)
    traces_without = _traces_without if len(originals) <= EXACT_IMAGES else _approximate_traces_without
    trace = traces_without(x, y)

    def without(own_x: Matrix, own_y: Matrix) -> float:
        _check(x.n - len(own_x), y.n - len(own_y))
        gone_x, gone_y = own_x - x.mean, own_y - y.mean
        mean_x, mean_y = (x.mean - gone_x.sum(0) / (x.n - len(own_x))), (y.mean - gone_y.sum(0) / (y.n - len(own_y)))
        return _frechet(mean_x - mean_y, x.squares_without(gone_x), y.squares_without(gone_y), trace(gone_x, gone_y))

    pairs = zip(originals, reconstructions, strict=True)
    return np.array(
        [
            without(own_x.astype(np.float64), own_y.astype(np.float64)) if len(own_x) or len(own_y) else np.nan
            for own_x, own_y in pairs
        ]
    )


def kernel_distance_of_subsets(originals: Set, reconstructions: Set) -> float:
    """Mean of the unbiased MMD² over 100 pairs of random subsets of 1,000 patches; may be negative.

    The subsets are those that torch-fidelity draws with its own seed. Raises Undefined below 1,000 patches on a side.
    """
    x, y = _stack(originals), _stack(reconstructions)
    if min(len(x), len(y)) < SUBSET:
        raise Undefined(f"subsets of {SUBSET:,} patches need as many on each side, there are {len(x):,} and {len(y):,}")
    drawn = np.random.RandomState(SUBSET_SEED)
    values = []
    for _ in range(SUBSETS):
        one = x[drawn.choice(len(x), SUBSET, replace=False)]
        other = y[drawn.choice(len(y), SUBSET, replace=False)]
        values.append(_unbiased(_compute_kernel_sums([one], [other], _cube).total()))
    return float(np.mean(values))


def kernel_of_subsets_leave_one_out(originals: Set, reconstructions: Set) -> Matrix:
    """(n_images,): as `kernel_leave_one_out`, moved so that they stand around the value of the subsets.

    The mean over all subsets is the estimator over all patches; what chance has drawn is the same without an image.
    """
    moved = kernel_distance_of_subsets(originals, reconstructions) - kernel_distance(originals, reconstructions)
    return kernel_leave_one_out(originals, reconstructions) + moved


def gaussian_distance(originals: Set, reconstructions: Set, sigma: float = 10.0) -> float:
    """1000 · MMD² of features of length 1 under exp(−|x − y|²/2σ²), CMMD's with its σ; at least 0 up to rounding.

    Features are brought to length 1 here. The sets may differ in size. Raises Undefined below two patches on a side.
    """
    return _biased(_gaussian_sums(originals, reconstructions, sigma).total())


def gaussian_leave_one_out(originals: Set, reconstructions: Set, sigma: float = 10.0) -> Matrix:
    """(n_images,): `gaussian_distance` without each image; NaN for an image without patches."""
    return _gaussian_sums(originals, reconstructions, sigma).each_without(_biased)


def kernel_distance(originals: Set, reconstructions: Set) -> float:
    """Unbiased MMD²; may be negative. The sets may differ in size. Raises Undefined below two patches on a side."""
    return _unbiased(_kernel_sums(originals, reconstructions).total())


def kernel_leave_one_out(originals: Set, reconstructions: Set) -> Matrix:
    """(n_images,): the kernel distance without each image; NaN for an image without patches.

    All come from one computation of the kernels. Raises Undefined if too few patches are left.
    """
    return _kernel_sums(originals, reconstructions).each_without(_unbiased)


def paired_kernel_distance(originals: Set, reconstructions: Set) -> float:
    """The U-statistic of MMD² over pairs; 0 for identical sets; may be negative.

    Raises Undefined below two patches, or if an image has not the same number of patches on both sides.
    """
    sums = _kernel_sums(originals, reconstructions)
    sums.check_paired()
    return _paired(sums.total())


def paired_kernel_leave_one_out(originals: Set, reconstructions: Set) -> Matrix:
    """(n_images,): the paired kernel distance without each image; NaN for an image without patches."""
    sums = _kernel_sums(originals, reconstructions)
    sums.check_paired()
    return sums.each_without(_paired)


# Fréchet distance


@dataclass(frozen=True)
class _Spread:
    """Of a set's patches: n, mean (dimension,), trace of the covariance, and a factor F (min(n, dimension), dimension)
    with FᵀF the covariance."""

    n: int
    mean: Matrix
    squares: float
    factor: Matrix

    def squares_without(self, gone: Matrix) -> float:
        """Trace of the covariance without the rows `gone`, which are centred at the whole set's mean."""
        left = self.n - len(gone)
        total = gone.sum(0)
        return float((self.squares * (self.n - 1) - (gone * gone).sum() - total @ total / left) / (left - 1))


def _spread(features: Set) -> _Spread:
    """Two passes: the mean, then what is left without it, so that nothing is lost where features are large."""
    return _remembered(features, "spread", lambda: _compute_spread(features))


def _compute_spread(features: Set) -> _Spread:
    n, total = 0, None
    for rows in _blocks(features, COLUMNS):
        n += len(rows)
        total = rows.sum(0) if total is None else total + rows.sum(0)
    if total is None:
        raise Undefined("a set without images has no distance to another")
    if n < 2:
        return _Spread(n, total, 0.0, total[None])
    mean = total / n
    factor, squares = np.empty((0, len(mean))), 0.0
    for rows in _blocks(features, min(ROWS, _ROWS_A_DIMENSION * len(mean))):
        rows -= mean
        rows /= np.sqrt(n - 1)
        squares += float(np.einsum("ij,ij", rows, rows))
        factor = np.concatenate([factor, rows])
        if len(factor) > factor.shape[1]:
            factor = cast(Matrix, np.linalg.qr(factor, mode="r"))
    return _Spread(n, mean, squares, factor)


def _frechet(difference: Matrix, squares_x: float, squares_y: float, trace: float) -> float:
    return float(difference @ difference) + squares_x + squares_y - 2 * trace


def _trace(factor_x: Matrix, factor_y: Matrix) -> float:
    """tr (Σx Σy)^½ = ‖Fx Fyᵀ‖, the nuclear norm."""
    return float(np.linalg.svd(factor_x @ factor_y.T, compute_uv=False).sum())


Trace = Callable[[Matrix, Matrix], float]
"""The trace without the patches that are given, centred, of either side."""


def _frechet_without_by_products(originals: Set, reconstructions: Set) -> Matrix:
    """From rows and columns of X Yᵀ, centred anew. Costs n³ an image, whatever the dimension.

    As in `_traces_without`, squares are taken: of the products, whose singular values are found in two thirds of the
    time as roots of eigenvalues.
    """
    x, y = _stack(originals), _stack(reconstructions)
    owner_x, owner_y = _owners(originals), _owners(reconstructions)
    shift = x.mean(0)  # nearer to 0, less is lost when the mean is subtracted
    x -= shift
    y -= shift
    products = x @ y.T
    sides = [(side, side.sum(0), float(np.einsum("ij,ij", side, side))) for side in (x, y)]

    def without(image: int) -> float:
        keep_x, keep_y = owner_x != image, owner_y != image
        _check(int(keep_x.sum()), int(keep_y.sum()))
        kept = products[np.ix_(keep_x, keep_y)]
        kept -= kept.mean(0)
        kept -= kept.mean(1, keepdims=True)
        scale = np.sqrt((kept.shape[0] - 1) * (kept.shape[1] - 1))
        square = kept @ kept.T if kept.shape[0] <= kept.shape[1] else kept.T @ kept
        trace = float(np.sqrt(np.maximum(np.linalg.eigvalsh(square), 0)).sum() / scale)
        means, squares = [], []
        for (side, total, of_all), keep in zip(sides, (keep_x, keep_y), strict=True):
            gone, left = side[~keep], int(keep.sum())
            means.append((total - gone.sum(0)) / left)
            squares.append((of_all - np.einsum("ij,ij", gone, gone) - left * means[-1] @ means[-1]) / (left - 1))
        return _frechet(means[0] - means[1], squares[0], squares[1], trace)

    pairs = enumerate(zip(originals, reconstructions, strict=True))
    return np.array([without(image) if len(own_x) or len(own_y) else np.nan for image, (own_x, own_y) in pairs])


def _traces_without(x: _Spread, y: _Spread) -> Trace:
    """Each image's share is taken from the covariances. Costs dimension³ an image.

    With LLᵀ the covariance of the originals, the trace is that of (Lᵀ Σy L)^½. Squaring the features costs half of the
    digits, of which a jackknife has enough.
    """
    gram_x, gram_y = (side.factor.T @ side.factor * (side.n - 1) for side in (x, y))

    def covariance(gone: Matrix, gram: Matrix, n: int) -> Matrix:
        left, total = n - len(gone), gone.sum(0)
        matrix: Matrix = (gram - gone.T @ gone - np.outer(total, total) / left) / (left - 1)
        return matrix

    def trace(gone_x: Matrix, gone_y: Matrix) -> float:
        root = _root(covariance(gone_x, gram_x, x.n))
        values = np.linalg.eigvalsh(root.T @ covariance(gone_y, gram_y, y.n) @ root)
        return float(np.sqrt(np.maximum(values, 0)).sum())

    return trace


def _root(covariance: Matrix) -> Matrix:
    """L with LLᵀ the matrix: its Cholesky factor, or, where features do not vary, from its eigenvalues."""
    try:
        return cast(Matrix, np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        return cast(Matrix, vectors * np.sqrt(np.maximum(values, 0)))


def _approximate_traces_without(x: _Spread, y: _Spread) -> Trace:
    """To first order in an image's share. Costs dimension² a patch.

    With U S Vᵀ = Fx Fyᵀ, the derivative of T = tr (Σx Σy)^½ is ½ tr (A dΣx) + ½ tr (B dΣy), where A = MᵀM with
    M = S^½ Uᵀ Fx⁻ᵀ, and B likewise: A maps N(0, Σx) onto N(0, Σy) (Takatsu 2011, https://arxiv.org/abs/0801.2250).
    Without an image, Σ is (n − 1)/(n − k − 1) times Σ − D; the factor is exact, since T(a Σx, b Σy) = √(a b) T(Σx, Σy).
    """
    u, singular, v = np.linalg.svd(x.factor @ y.factor.T, full_matrices=False)
    whole = float(singular.sum())
    root = np.sqrt(singular)[:, None]
    map_x, map_y = root * (u.T @ _inverse(x.factor).T), root * (v @ _inverse(y.factor).T)

    def share(gone: Matrix, n: int, mapping: Matrix) -> float:
        """tr (A D), D = (GᵀG + s sᵀ/(n − k)) / (n − 1), s the sum of the rows of G."""
        if not len(gone):
            return 0.0
        mapped = gone @ mapping.T
        total = mapped.sum(0)
        return float(((mapped * mapped).sum() + total @ total / (n - len(gone))) / (n - 1))

    def trace(gone_x: Matrix, gone_y: Matrix) -> float:
        left = whole - (share(gone_x, x.n, map_x) + share(gone_y, y.n, map_y)) / 2
        growth = (x.n - 1) / (x.n - len(gone_x) - 1) * ((y.n - 1) / (y.n - len(gone_y) - 1))
        return float(np.sqrt(growth) * left)

    return trace


def _inverse(factor: Matrix) -> Matrix:
    """Of a square factor; where features do not vary, the pseudo-inverse."""
    return cast(Matrix, np.linalg.pinv(factor, rcond=len(factor) * np.finfo(np.float64).eps))


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
class _Sums:
    """Sums of kernel values of each image of one side, (images,).

    rows: of its patches with all of the other side (or of its own). columns: the other way round. own: of its patches
    with those of the same image.
    """

    rows: Matrix
    columns: Matrix
    own: Matrix

    def total(self) -> float:
        return float(self.rows.sum())

    def without(self, image: int) -> float:
        return float(self.rows.sum() - self.rows[image] - self.columns[image] + self.own[image])


@dataclass(frozen=True)
class _OneSide:
    """Of one set: its kernels with itself, those of each patch with itself by image, and the patches of each image."""

    sums: _Sums
    selves: Matrix
    n: npt.NDArray[np.int64]


@dataclass(frozen=True)
class _KernelSums:
    x: _OneSide
    y: _OneSide
    xy: _Sums
    pairs: Matrix

    def total(self) -> _Totals:
        n, m = int(self.x.n.sum()), int(self.y.n.sum())
        _check(n, m)
        return _Totals(
            xx=self.x.sums.total(),
            yy=self.y.sums.total(),
            xy=self.xy.total(),
            self_x=float(self.x.selves.sum()),
            self_y=float(self.y.selves.sum()),
            pairs=float(self.pairs.sum()),
            n=n,
            m=m,
        )

    def without(self, image: int) -> _Totals:
        n, m = int(self.x.n.sum() - self.x.n[image]), int(self.y.n.sum() - self.y.n[image])
        _check(n, m)
        return _Totals(
            xx=self.x.sums.without(image),
            yy=self.y.sums.without(image),
            xy=self.xy.without(image),
            self_x=float(self.x.selves.sum() - self.x.selves[image]),
            self_y=float(self.y.selves.sum() - self.y.selves[image]),
            pairs=float(self.pairs.sum() - self.pairs[image]),
            n=n,
            m=m,
        )

    def each_without(self, value: Callable[[_Totals], float]) -> Matrix:
        """(images,); NaN for an image without patches."""
        return np.array(
            [
                value(self.without(image)) if self.x.n[image] or self.y.n[image] else np.nan
                for image in range(len(self.pairs))
            ]
        )

    def check_paired(self) -> None:
        if (self.x.n != self.y.n).any():
            raise Undefined("the paired kernel distance needs the same patches on both sides")


def _unbiased(sums: _Totals) -> float:
    """Lemma 6 of Gretton et al. 2012 (https://jmlr.org/papers/v13/gretton12a.html), equation 3."""
    within_x = (sums.xx - sums.self_x) / (sums.n * (sums.n - 1))
    within_y = (sums.yy - sums.self_y) / (sums.m * (sums.m - 1))
    return within_x + within_y - 2 * sums.xy / (sums.n * sums.m)


def _paired(sums: _Totals) -> float:
    """Lemma 6 of Gretton et al. 2012, equation 4."""
    within = sums.xx - sums.self_x + sums.yy - sums.self_y
    return (within - 2 * (sums.xy - sums.pairs)) / (sums.n * (sums.n - 1))


def _biased(sums: _Totals) -> float:
    """Gretton et al. 2012, equation 5, times 1000."""
    return 1000 * (sums.xx / sums.n**2 + sums.yy / sums.m**2 - 2 * sums.xy / (sums.n * sums.m))


def _kernel_sums(originals: Set, reconstructions: Set) -> _KernelSums:
    """The distance and its values without an image come from the same sums."""
    return _remembered(
        reconstructions,
        f"kernels with {id(originals)}",
        lambda: _compute_kernel_sums(originals, reconstructions, _cube, "kernels"),
    )


def _gaussian_sums(originals: Set, reconstructions: Set, sigma: float) -> _KernelSums:
    def gaussian(products: Matrix, dimension: int) -> Matrix:
        """Of vectors of length 1: |x − y|² = 2 − 2 x·y."""
        products -= 1
        products /= sigma**2
        return cast(Matrix, np.exp(products, out=products))

    return _remembered(
        reconstructions,
        f"gaussian {sigma} with {id(originals)}",
        lambda: _compute_kernel_sums(_Unit(originals), _Unit(reconstructions), gaussian, f"gaussian {sigma}"),
    )


class _Unit(Sequence[Features]):
    """A set whose features are brought to length 1 when they are asked for; a feature of zeros stays."""

    def __init__(self, features: Set) -> None:
        self._features = features
        self.memory: Memory | None = getattr(features, "memory", None)

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, index: Any) -> Any:
        patches = _doubled(self._features[index])
        lengths = np.linalg.norm(patches, axis=1, keepdims=True)
        return patches / np.where(lengths > 0, lengths, 1)


def _compute_kernel_sums(originals: Set, reconstructions: Set, kernel: Kernel, name: str = "") -> _KernelSums:
    if not len(originals):
        raise Undefined("a set without images has no distance to another")
    x = _remembered(originals, name, lambda: _one_side(originals, kernel)) if name else _one_side(originals, kernel)
    y = _one_side(reconstructions, kernel)
    between = _sums(originals, reconstructions, x.n, y.n, kernel)
    return _KernelSums(x, y, between, _pair_sums(originals, reconstructions, kernel))


def _one_side(features: Set, kernel: Kernel) -> _OneSide:
    n = np.array([len(patches) for patches in features])
    selves = [kernel(np.einsum("ij,ij->i", x, x), x.shape[1]).sum() for x in map(_doubled, features)]
    return _OneSide(_sums(features, None, n, n, kernel), np.array(selves), n)


def _pair_sums(originals: Set, reconstructions: Set, kernel: Kernel) -> Matrix:
    """(images,): sum over the patches of an image of their kernels with what became of them."""
    pairs = np.zeros(len(originals))
    for image, (own_x, own_y) in enumerate(zip(originals, reconstructions, strict=True)):
        if len(own_x) == len(own_y):
            products = np.einsum("ij,ij->i", _doubled(own_x), _doubled(own_y))
            pairs[image] = kernel(products, own_x.shape[1]).sum()
    return pairs


def _sums(x: Set, y: Set | None, n: npt.NDArray[np.int64], m: npt.NDArray[np.int64], kernel: Kernel) -> _Sums:
    """Kernels of the patches of `x` with those of `y`; None for `x` itself, whose kernels are computed once a pair.

    n, m: patches of each image.
    """
    owner_x, owner_y = np.repeat(np.arange(len(n)), n), np.repeat(np.arange(len(m)), m)
    rows, columns, own = np.zeros(len(n)), np.zeros(len(m)), np.zeros(len(n))
    start = 0
    for block in _blocks(x, ROWS):
        images_x = owner_x[start : start + len(block)]
        first = 0
        for other in _blocks(x if y is None else y, COLUMNS):
            images_y = owner_y[first : first + len(other)]
            for top in range(0, len(block), _KERNEL_ROWS):
                if y is None and first + len(other) <= start + top:  # the mirror image of a part that was done
                    continue
                part = block[top : top + _KERNEL_ROWS]
                kernels = kernel(part @ other.T, block.shape[1])
                if y is None:
                    _fold(kernels, start + top, first)
                images_of_part = images_x[top : top + _KERNEL_ROWS]
                _add(rows, images_of_part, kernels.sum(1))
                _add(columns, images_y, kernels.sum(0))
                _add_same(own, kernels, images_of_part, images_y)
            first += len(other)
        start += len(block)
    if y is None:
        rows = columns = rows + columns
        own = 2 * own
    return _Sums(rows, columns, own)


def _fold(kernels: Matrix, start: int, first: int) -> None:
    """Keeps each pair of patches of one set once: half of the diagonal, nothing below it."""
    height, width = kernels.shape
    if first >= start + height:
        return
    row, column = np.arange(start, start + height)[:, None], np.arange(first, first + width)
    kernels *= np.where(row < column, 1.0, np.where(row == column, 0.5, 0.0))


def _add(sums: Matrix, images: npt.NDArray[np.int64], values: Matrix) -> None:
    """Adds to (images,) a value of each patch; the patches stand image by image."""
    first = int(images[0])
    of_images = np.bincount(images - first, values)
    sums[first : first + len(of_images)] += of_images


def _add_same(sums: Matrix, kernels: Matrix, images_x: npt.NDArray[np.int64], images_y: npt.NDArray[np.int64]) -> None:
    """Adds to (images,) the kernels of an image's patches with each other; the patches stand image by image."""
    for image in np.intersect1d(images_x, images_y):
        top, bottom = np.searchsorted(images_x, [image, image + 1])
        left, right = np.searchsorted(images_y, [image, image + 1])
        sums[image] += kernels[top:bottom, left:right].sum()


def _cube(products: Matrix, dimension: int) -> Matrix:
    """(x·y / dimension + 1)³, in place of `products`."""
    products /= dimension
    products += 1
    cubes: Matrix = products * products
    cubes *= products
    return cubes


# Sets


def _blocks(features: Set, size: int = ROWS) -> Iterator[Matrix]:
    """The patches, `size` at a time, in float64; they may be written into."""
    waiting: list[Features] = []
    count = 0
    for patches in features:
        while count + len(patches) >= size:
            part = size - count
            yield np.concatenate([*waiting, patches[:part]], dtype=np.float64)
            waiting, count, patches = [], 0, patches[part:]
        waiting.append(patches)
        count += len(patches)
    if count:
        yield np.concatenate(waiting, dtype=np.float64)


def _remembered(features: Set, name: str, compute: Callable[[], Result]) -> Result:
    memory: Memory | None = getattr(features, "memory", None)
    return compute() if memory is None else memory.get(name, compute)


def _doubled(patches: Features) -> Matrix:
    return patches.astype(np.float64)


def _stack(features: Set) -> Matrix:
    return np.concatenate(list(features), dtype=np.float64)


def _owners(features: Set) -> npt.NDArray[np.int64]:
    """The image that each patch of the stack belongs to."""
    return np.repeat(np.arange(len(features)), [len(patches) for patches in features])


def _check(n: int, m: int) -> None:
    if min(n, m) < 2:
        raise Undefined(f"a distance between sets needs at least 2 patches on each side, there are {n} and {m}")
