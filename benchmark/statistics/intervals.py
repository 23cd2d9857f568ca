"""Standard errors and 95 % intervals over images: closed form for means, jackknife for everything else.

Numbers only: nothing here knows runs, codecs or metrics. The unit of resampling is the caller's; the suite uses the
image, because the patches of one image are not independent.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmark.statistics.quantiles import student_quantile

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error, and the ends of its interval.

    The last three are NaN where they do not exist: one unit tells nothing about the spread between units.
    """

    value: float
    stderr: float
    ci_low: float
    ci_high: float


def mean_estimate(values: npt.ArrayLike, confidence: float = 0.95) -> Estimate:
    """The mean of `values` (n,) with s/√n, s² the unbiased variance, and the t interval with n − 1 degrees of freedom.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 2 (equation 2.2) and section
    12.4 (Student's t).
    Raises ValueError on an empty, not one-dimensional or not finite input.
    """
    sample = _vector(values, "values", at_least=1)
    stderr = float(np.std(sample, ddof=1)) / math.sqrt(sample.size) if sample.size > 1 else math.nan
    return t_estimate(float(np.mean(sample)), stderr, sample.size, confidence)


def jackknife_estimate(value: float, leave_one_out: npt.ArrayLike, confidence: float = 0.95) -> Estimate:
    """A statistic of n units with its delete-one jackknife error, and an interval that allows for skewness.

    value: the statistic of all units. leave_one_out (n,): the statistic with each unit left out. The interval lies
    about `value`; no bias correction is made, since that would change the number that the interval belongs to.
    Sources: the error is Efron & Tibshirani (1993), equation 11.5: se² = (n − 1)/n · Σ (θ₍ᵢ₎ − mean of θ₍ᵢ₎)². The
    interval is Student's t, n − 1 degrees of freedom, through the transformation by which Hall removes skewness (On
    the Removal of Skewness by Transformation, 1992, equation 2.1), with the skewness of the jackknife's influence
    values. A distance that is a square of differences is skewed over images: the plain t interval of the Fréchet
    distance covered its expectation in 91 % of simulated sets, this one in 94 to 95 %.
    Raises ValueError on an empty, not one-dimensional or not finite input.
    """
    stderr = jackknife_stderr(leave_one_out)
    plain = t_estimate(value, stderr, np.size(leave_one_out), confidence)
    if math.isnan(stderr) or stderr == 0:
        return plain
    replicates = np.asarray(leave_one_out, dtype=np.float64)
    skewness = _skewness(replicates)
    reach = (plain.ci_high - value) / stderr
    upper, lower = (stderr * _skewed(sign * reach, skewness, replicates.size) for sign in (-1, 1))
    return Estimate(value, stderr, value - lower, value - upper)


def widest(*estimates: Estimate) -> Estimate:
    """The first, with ends as far out as those of any."""
    lows, highs = [one.ci_low for one in estimates], [one.ci_high for one in estimates]
    return Estimate(estimates[0].value, estimates[0].stderr, min(lows), max(highs))


def skewness_shows(leave_one_out: npt.ArrayLike) -> bool:
    """Whether units are more skewed than about 19 of 20 normal samples: |γ| beyond two of its standard errors there.

    Source: Fisher, The Moments of the Distribution for Normal Samples of Measures of Departure from Normality (1930):
    the variance of γ of n normal values is 6(n − 2) / ((n + 1)(n + 3)).
    """
    replicates = np.asarray(leave_one_out, dtype=np.float64)
    n = replicates.size
    return n > 2 and abs(_skewness(replicates)) > 2 * math.sqrt(6 * (n - 2) / ((n + 1) * (n + 3)))


def largest_share(influence: npt.ArrayLike) -> tuple[int, float]:
    """Which unit makes most of the variance over units, and its share of it, 0 to 1; 0 where there is no variance."""
    moved = np.asarray(influence, dtype=np.float64)
    squares = (moved - np.mean(moved)) ** 2
    place, total = int(np.argmax(squares)), float(squares.sum())
    return place, float(squares[place]) / total if total > 0 else 0.0


def _skewness(leave_one_out: Vector) -> float:
    """Of the jackknife's influence values; 0 where what spread there is comes of rounding, as of images of one rate."""
    influence = np.mean(leave_one_out) - leave_one_out
    cubed = float(np.std(influence)) ** 3
    return float(np.mean(influence**3)) / cubed if cubed > 0 else 0.0


def _skewed(t: float, skewness: float, n: int) -> float:
    """The studentised statistic T whose transform T + γT²/(3√n) + γ²T³/(27n) + γ/(6√n) is `t`, γ the skewness."""
    if abs(skewness) < 1e-6:
        return t
    root = math.sqrt(n)
    return root * 3 / skewness * (float(np.cbrt(1 + skewness * (t / root - skewness / (6 * n)))) - 1)


def jackknife_stderr(leave_one_out: npt.ArrayLike) -> float:
    """The delete-one jackknife standard error of `leave_one_out` (n,); NaN for n = 1. See `jackknife_estimate`."""
    replicates = _vector(leave_one_out, "leave_one_out", at_least=1)
    if replicates.size == 1:
        return math.nan
    # √((n − 1)/n · Σ d²), written with the standard deviation s = √(Σ d² / (n − 1)) of the replicates.
    return (replicates.size - 1) * float(np.std(replicates, ddof=1)) / math.sqrt(replicates.size)


def t_estimate(value: float, stderr: float, n: int, confidence: float = 0.95) -> Estimate:
    """`value` ± t · `stderr`, t the quantile of Student's distribution with n − 1 degrees of freedom.

    The ends are NaN if `stderr` is, or n = 1. Raises ValueError on a value that is not finite, a negative `stderr`,
    n < 1, or a confidence outside (0, 1).
    """
    if not math.isfinite(value):
        raise ValueError(f"value must be finite, not {value}")
    if stderr < 0 or math.isinf(stderr):
        raise ValueError(f"stderr must be finite and not negative, not {stderr}")
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    if n == 1 or math.isnan(stderr):
        return Estimate(value, math.nan, math.nan, math.nan)
    half_width = student_quantile((1 + confidence) / 2, n - 1) * stderr
    return Estimate(value, stderr, value - half_width, value + half_width)


def leave_one_out_means(values: npt.ArrayLike) -> Vector:
    """(n,): the mean of `values` (n,) without each of them. Raises ValueError for n < 2 or values not finite."""
    sample = _vector(values, "values", at_least=2)
    # From the mean, not from the sum: a difference of large sums would cancel.
    mean = np.mean(sample)
    means: Vector = mean + (mean - sample) / (sample.size - 1)
    return means


def function_of_means_estimate(
    function: Callable[..., Vector], *columns: npt.ArrayLike, confidence: float = 0.95
) -> Estimate:
    """A smooth function of means, such as a ratio of totals or the logarithm of a mean, with its jackknife interval.

    function: takes one array a column and works elementwise. columns: (n,) each, over the same units.
    Source: the jackknife as in `jackknife_estimate`; for functions of means it agrees with the delta method to first
    order (Efron & Tibshirani 1993, chapter 21). Where skewness shows, the side that its transformation shortens stays
    as long as Student's t makes it: a few units say too little of skewness to shorten an interval.
    Raises ValueError on columns of unequal length.
    """
    samples = [_vector(column, "column", at_least=1) for column in columns]
    n = samples[0].size
    if any(sample.size != n for sample in samples):
        raise ValueError(f"columns must have one length, not {sorted({sample.size for sample in samples})}")
    value = float(function(*(np.asarray(sample.mean()) for sample in samples)))
    if n == 1:
        return t_estimate(value, math.nan, n, confidence)
    without = function(*(leave_one_out_means(sample) for sample in samples))
    found = jackknife_estimate(value, without, confidence)
    if not skewness_shows(without):
        return found
    return widest(found, t_estimate(value, found.stderr, n, confidence))


def _vector(values: npt.ArrayLike, name: str, at_least: int) -> Vector:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, not of shape {array.shape}")
    if array.size < at_least:
        raise ValueError(f"{name} must hold at least {at_least}, not {array.size}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")
    return array
