"""The Fréchet distance of sets without end, extrapolated from parts of the set, with each image left out in turn.

The distance between finite sets is biased, nearly linearly in 1/n (Chong and Forsyth 2020,
https://arxiv.org/abs/1911.07023). Here it is computed over `SIZES` random parts of the images, from half of them to
all, the same images on both sides; the value is where the least-squares line over 1/n meets 0. n counts patches. The
line holds only where the covariances have full rank: the smallest part needs more patches than there are features.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.errors import Undefined
from benchmark.metrics.distribution import frechet_distance, frechet_leave_one_out

Matrix = npt.NDArray[np.float64]
Set = Sequence[npt.NDArray[np.floating[Any]]]

SIZES = 15
SEED = 2020
SMALLEST_SET = 5
"""In images."""


def frechet_at_infinity(originals: Set, reconstructions: Set) -> float:
    """May be negative where the line is noisy. Raises Undefined where half of the images have too few patches."""
    parts = _Parts(originals, reconstructions)
    return _intercept(1 / parts.patches, parts.values)


def frechet_at_infinity_leave_one_out(originals: Set, reconstructions: Set) -> Matrix:
    """(n_images,): the same without each image in all parts that hold it; NaN for an image without patches."""
    parts = _Parts(originals, reconstructions)
    each = np.tile(parts.values, (len(originals), 1))
    counts = np.tile(parts.patches, (len(originals), 1))
    own = np.array([len(patches) for patches in originals])
    for place, images in enumerate(parts.images):
        x, y = [originals[image] for image in images], [reconstructions[image] for image in images]
        each[images, place] = frechet_leave_one_out(x, y)
        counts[images, place] -= own[images]
    return np.array(
        [_intercept(1 / counts[image], each[image]) if own[image] else np.nan for image in range(len(originals))]
    )


class _Parts:
    """Which images are in each part, (SIZES,) numbers of their patches, and (SIZES,) distances."""

    def __init__(self, originals: Set, reconstructions: Set) -> None:
        self._originals, self._reconstructions = originals, reconstructions
        n = len(originals)
        sizes = np.unique(np.linspace((n + 1) // 2, n, SIZES).round().astype(int))
        own = np.array([len(patches) for patches in originals])
        dimension = max((patches.shape[1] for patches in originals), default=0)
        drawn = np.random.default_rng(SEED)
        self.images = [np.sort(drawn.permutation(n)[:size]) for size in sizes]
        self.patches = np.array([own[images].sum() for images in self.images], dtype=np.float64)
        fewest = int(self.patches.min()) if n else 0
        if n < SMALLEST_SET or fewest <= dimension:
            raise Undefined(
                f"half of the images have {fewest:,} patches: the line to infinity needs more than the {dimension:,} "
                f"features, and at least {SMALLEST_SET} images"
            )

    @cached_property
    def values(self) -> Matrix:
        return np.array(
            [
                frechet_distance([self._originals[i] for i in images], [self._reconstructions[i] for i in images])
                for images in self.images
            ]
        )


def _intercept(x: Matrix, y: Matrix) -> float:
    """Of the least-squares line."""
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return float(y.mean() - slope * x.mean())
