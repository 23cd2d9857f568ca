"""Quantiles of Student's t and of the normal distribution.

The functions that `scipy.stats` itself calls for them: the same floats, and `scipy.special` is imported in a tenth of a
second where `scipy.stats`, which no run needs for anything else, takes more than half of one.
"""

from scipy.special import ndtri, stdtrit


def student_quantile(probability: float, freedom: float) -> float:
    """What a variable with Student's t distribution of `freedom` degrees stays below with `probability`.

    NaN for a freedom that is not above 0. Raises ValueError on a probability outside (0, 1).
    """
    _check(probability)
    return float(stdtrit(freedom, probability))


def normal_quantile(probability: float) -> float:
    """The same of a normal variable of mean 0 and deviation 1."""
    _check(probability)
    return float(ndtri(probability))


def _check(probability: float) -> None:
    if not 0 < probability < 1:
        raise ValueError(f"a probability must lie between 0 and 1, not {probability}")
