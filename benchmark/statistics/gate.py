"""Whether something became worse: a paired non-inferiority test for each number, 5 % over the whole family.

Of each number a loss is known, positive where the new run is worse, with its error over images. Two one-sided claims
are tested, each at `alpha` over all numbers together (Bonferroni: `alpha` / number of tests):

- not worse: the upper bound of the loss lies below the margin.
- worse: the lower bound of the loss lies above 0, and the loss itself exceeds the margin.

Where neither can be shown the number is undecided. Numbers only.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from benchmark.statistics.paired import Difference
from benchmark.statistics.quantiles import student_quantile

_ROUNDING = 1e-9

POWER = 0.8
"""The chance with which the smallest visible loss is seen."""


class Outcome(StrEnum):
    """What could be shown. SAME and BETTER are kinds of not worse."""

    SAME = "same"
    BETTER = "better"
    NOT_WORSE = "not worse"
    UNDECIDED = "undecided"
    WORSE = "worse"


@dataclass(frozen=True)
class Judgement:
    """loss: positive is worse. low, high: its one-sided bounds, each at `alpha` over the family; NaN if unknown.

    smallest: the smallest loss that would have been found worse with a chance of POWER; NaN if unknown.
    """

    outcome: Outcome
    loss: float
    low: float
    high: float
    smallest: float


def judge(loss: Difference, margin: float, tests: int, alpha: float = 0.05) -> Judgement:
    """The outcome of one of `tests` statistical tests. loss.value is positive where the new run is worse.

    Raises ValueError on a negative margin, fewer than one test, or alpha outside (0, 0.5).
    """
    if margin < 0 or tests < 1 or not 0 < alpha < 0.5:
        raise ValueError(f"margin {margin}, tests {tests} or alpha {alpha} is out of range")
    stderr = loss.total_stderr
    if math.isnan(stderr):
        outcome = Outcome.SAME if loss.value == 0 else Outcome.UNDECIDED
        return Judgement(outcome, loss.value, math.nan, math.nan, math.nan)
    if stderr == 0 and loss.value == 0:
        return Judgement(Outcome.SAME, 0.0, 0.0, 0.0, margin)
    quantile = student_quantile(1 - alpha / tests, loss.n - 1)
    low, high = loss.value - quantile * stderr, loss.value + quantile * stderr
    smallest = max((quantile + student_quantile(POWER, loss.n - 1)) * stderr, margin)
    if low > 0 and loss.value > margin:
        outcome = Outcome.WORSE
    elif high < 0:
        outcome = Outcome.BETTER
    elif high < margin:
        outcome = Outcome.NOT_WORSE
    else:
        outcome = Outcome.UNDECIDED
    return Judgement(outcome, loss.value, low, high, smallest)


def judge_exactly(loss: float, tolerance: float) -> Judgement:
    """The outcome of a deterministic number, which has no error: `loss` against ± `tolerance`. Counts as no test.

    A loss of just the tolerance is not worse, whatever the last digits of a difference say.
    """
    if tolerance < 0:
        raise ValueError(f"tolerance must not be negative, not {tolerance}")
    limit = tolerance * (1 + _ROUNDING)
    if loss > limit:
        outcome = Outcome.WORSE
    elif loss < -limit:
        outcome = Outcome.BETTER
    else:
        outcome = Outcome.SAME if loss == 0 else Outcome.NOT_WORSE
    return Judgement(outcome, loss, loss, loss, tolerance)
