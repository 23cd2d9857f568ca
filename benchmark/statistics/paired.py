"""Differences between two codecs, or two runs, on the same images: their error, and what each image contributes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from benchmark.statistics.intervals import (
    Estimate,
    jackknife_estimate,
    jackknife_stderr,
    mean_estimate,
    skewness_shows,
    t_estimate,
    widest,
)

Vector = npt.NDArray[np.float64]

EXACT_UP_TO = 14  # units: 16,384 sign patterns
DRAWS = 20_000


@dataclass(frozen=True)
class Replicates:
    """A number over n images. without (n,): the number with each image left out. per_seed: one a decoder seed."""

    value: float
    without: Vector
    per_seed: Vector = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class Difference:
    """A paired difference over n images.

    stderr: over images, by the jackknife; NaN for one image. stderr_seed: over decoder seeds; NaN with fewer than two
    common seeds. without (n,): the difference with each image left out.
    """

    value: float
    stderr: float
    stderr_seed: float
    n: int
    without: Vector

    @property
    def total_stderr(self) -> float:
        """Both errors together. The spread over images holds a part of the seeds' already, so it errs upwards."""
        return self.stderr if math.isnan(self.stderr_seed) else math.hypot(self.stderr, self.stderr_seed)


def paired_difference(base: Replicates, new: Replicates, relative: bool = False) -> Difference:
    """new − base, or new / base − 1 if `relative`, with the jackknife error over the images that both share.

    Source: the delete-one jackknife (Efron & Tibshirani 1993, equation 11.5) of the difference, each image left out of
    both sides at once; for means it is the paired t test's standard error. The error over decoder seeds is the standard
    deviation of the differences seed by seed over √(number of seeds). Raises ValueError if the two are not over the
    same number of images, or if `relative` and a base is not positive, of one seed or without an image too.
    """
    if base.without.shape != new.without.shape:
        raise ValueError("both sides must be over the same images")
    if relative and not (base.value > 0 and (base.without > 0).all() and (base.per_seed > 0).all()):
        raise ValueError("a relative difference needs a positive base")

    def difference(one: Vector, other: Vector) -> Vector:
        return other / one - 1 if relative else other - one

    without = difference(base.without, new.without)
    seeds = math.nan
    if base.per_seed.size == new.per_seed.size > 1:
        seeds = mean_estimate(difference(base.per_seed, new.per_seed)).stderr
    value = float(difference(np.asarray(base.value), np.asarray(new.value)))
    return Difference(value, jackknife_stderr(without), seeds, without.size, without)


def influence(value: float, without: npt.ArrayLike) -> Vector:
    """(n,): how far each image moves `value`: (n − 1)·(value − value without it), the jackknife influence function.

    For a mean it is the image's value minus the mean; its standard deviation over √n is the jackknife error. Source:
    Efron & Tibshirani (1993), section 11.5 and equation 21.28.
    """
    replicates = np.asarray(without, dtype=np.float64)
    moved: Vector = (replicates.size - 1) * (value - replicates)
    return moved


def sign_flip_p_value(differences: npt.ArrayLike, seed: int = 0) -> float:
    """Two-sided p-value of the sign-flip test that `differences` (n,) are symmetric about 0.

    The share of sign patterns whose absolute sum is at least the observed one: all 2ⁿ of them up to n = EXACT_UP_TO,
    else DRAWS random ones and the observed one. Source: Fisher, The Design of Experiments (1935), section 21.
    """
    values = np.asarray(differences, dtype=np.float64)
    if not values.size or not np.isfinite(values).all():
        raise ValueError("differences must be finite and at least one")
    observed = abs(values.sum())
    limit = observed * (1 - 1e-12)  # sums of the same numbers in another order are equal
    if values.size <= EXACT_UP_TO:
        patterns = (np.arange(2**values.size)[:, None] >> np.arange(values.size)) & 1
        return float(np.mean(np.abs((1 - 2 * patterns) @ values) >= limit))
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(DRAWS, values.size))
    return float((np.sum(np.abs(signs @ values) >= limit) + 1) / (DRAWS + 1))


def mean_replicates(per_seed: Sequence[npt.ArrayLike]) -> Replicates:
    """Of a per-image metric. per_seed: (seeds, n), a row a decoder seed; the value is the mean over both."""
    matrix = np.asarray(per_seed, dtype=np.float64)
    images = matrix.mean(axis=0)
    n = images.size
    mean = images.mean()
    without = mean + (mean - images) / (n - 1) if n > 1 else np.full(1, mean)
    return Replicates(float(mean), without, matrix.mean(axis=1))


def paired_estimate(difference: Difference, confidence: float = 0.95) -> Estimate:
    """`difference` with its t interval, both errors together.

    Where skewness shows (`skewness_shows`), the interval reaches as far as that of `jackknife_estimate`, which allows
    for it, on the side of the long tail.
    """
    plain = t_estimate(difference.value, difference.total_stderr, difference.n, confidence)
    if difference.n < 2 or not skewness_shows(difference.without):
        return plain
    return widest(plain, jackknife_estimate(difference.value, difference.without, confidence))
