import math

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics.gate import POWER, Outcome, judge, judge_exactly
from benchmark.statistics.paired import Difference


def loss(value: float, stderr: float, n: int = 24, seed: float = math.nan) -> Difference:
    return Difference(value, stderr, seed, n, np.empty(0))


@pytest.mark.parametrize(
    ("value", "stderr", "outcome"),
    [
        (0.0, 0.0, Outcome.SAME),
        (0.0, 0.1, Outcome.NOT_WORSE),  # bounds ±0.171: below the margin of 1
        (0.5, 0.1, Outcome.NOT_WORSE),  # a loss is shown, but one that the margin allows
        (0.9, 0.1, Outcome.UNDECIDED),  # a loss is shown, and it may be larger than the margin
        (1.1, 0.1, Outcome.WORSE),
        (3.0, 2.0, Outcome.UNDECIDED),  # large, but not shown
        (-0.5, 0.1, Outcome.BETTER),
        (-0.1, 0.1, Outcome.NOT_WORSE),
        (0.4, 0.0, Outcome.NOT_WORSE),  # every image alike
        (1.4, 0.0, Outcome.WORSE),
        (0.4, math.nan, Outcome.UNDECIDED),  # one image
    ],
)
def test_outcomes(value: float, stderr: float, outcome: Outcome) -> None:
    assert judge(loss(value, stderr), margin=1.0, tests=1).outcome is outcome


def test_without_error_nor_loss_the_margin_is_what_would_be_seen() -> None:
    judgement = judge(loss(0.0, 0.0), margin=1.5, tests=3)
    assert (judgement.loss, judgement.low, judgement.high, judgement.smallest) == (0, 0, 0, 1.5)


def test_bounds_share_alpha_over_the_family() -> None:
    judgement = judge(loss(0.2, 0.1, n=24), margin=1.0, tests=40)
    quantile = stats.t.ppf(1 - 0.05 / 40, 23)
    assert (judgement.low, judgement.high) == pytest.approx((0.2 - 0.1 * quantile, 0.2 + 0.1 * quantile))
    assert judge(loss(2.0, 0.9, n=24), margin=0.5, tests=1).outcome is Outcome.WORSE
    assert judge(loss(2.0, 0.9, n=24), margin=0.5, tests=40).outcome is Outcome.UNDECIDED


def test_the_seeds_error_is_added() -> None:
    assert judge(loss(0.5, 0.1), margin=1.0, tests=1).outcome is Outcome.NOT_WORSE
    assert judge(loss(0.5, 0.1, seed=1.0), margin=1.0, tests=1).outcome is Outcome.UNDECIDED


def test_the_smallest_visible_loss_is_seen_as_often_as_it_says() -> None:
    """A true loss of that size, 2000 times: found worse in about 80 %."""
    random = np.random.default_rng(0)
    n, tests, spread, margin = 16, 20, 1.0, 0.01
    size = judge(loss(0.0, spread / math.sqrt(n), n), margin, tests).smallest
    found = 0
    for sample in random.normal(size, spread, (2000, n)):
        stderr = float(sample.std(ddof=1)) / math.sqrt(n)
        found += judge(loss(float(sample.mean()), stderr, n), margin, tests).outcome is Outcome.WORSE
    assert found / 2000 == pytest.approx(POWER, abs=0.05)


def test_numbers_without_chance() -> None:
    assert judge_exactly(0.0, 0.0).outcome is Outcome.SAME
    assert judge_exactly(1e-9, 0.0).outcome is Outcome.WORSE
    assert judge_exactly(0.1, 0.2).outcome is Outcome.NOT_WORSE
    assert judge_exactly(-0.3, 0.2).outcome is Outcome.BETTER
    for value in (30.1, 31.7, 42.3):  # a loss of just the tolerance, up to rounding
        assert judge_exactly(value - (value - 0.01), 0.01).outcome is Outcome.NOT_WORSE
        assert judge_exactly(value - 0.01 - value, 0.01).outcome is Outcome.NOT_WORSE


def test_unusable_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="out of range"):
        judge(loss(0, 1), margin=-1.0, tests=1)
    with pytest.raises(ValueError, match="out of range"):
        judge(loss(0, 1), margin=1.0, tests=0)
    with pytest.raises(ValueError, match="negative"):
        judge_exactly(0.0, -1.0)
