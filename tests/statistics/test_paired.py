import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.statistics.intervals import mean_estimate, skewness_shows
from benchmark.statistics.paired import (
    Replicates,
    influence,
    mean_replicates,
    paired_difference,
    paired_estimate,
    sign_flip_p_value,
)

rows = st.lists(st.tuples(st.floats(1, 100), st.floats(1, 100)), min_size=2, max_size=20)


@given(rows)
def test_a_difference_of_means_is_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    before, after = np.array(pairs).T
    difference = paired_difference(mean_replicates([before]), mean_replicates([after]))
    expected = mean_estimate(after - before)
    assert difference.value == pytest.approx(expected.value, abs=1e-9)
    assert difference.stderr == pytest.approx(expected.stderr, rel=1e-6, abs=1e-9)
    if expected.stderr > 1e-3:
        interval = stats.ttest_rel(after, before).confidence_interval(0.95)
        estimate = paired_estimate(difference)
        if not skewness_shows(difference.without):
            ends = (estimate.ci_low, estimate.ci_high)
            assert ends == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-6)
        assert estimate.ci_low <= interval.low + 1e-6
        assert estimate.ci_high >= interval.high - 1e-6


def test_where_one_image_is_far_from_the_others_the_interval_reaches_further_on_its_side() -> None:
    change = np.array([-0.1, -0.2, -0.15, -0.1, -0.12, -0.18, -0.14, 0.9])
    difference = paired_difference(mean_replicates([np.zeros(8)]), mean_replicates([change]))
    estimate, plain = paired_estimate(difference), mean_estimate(change)
    assert estimate.ci_low == pytest.approx(plain.ci_low)
    assert estimate.ci_high > plain.ci_high + 0.5 * (plain.ci_high - plain.value)
    assert (estimate.value, estimate.stderr) == pytest.approx((plain.value, plain.stderr))


def test_a_relative_difference_against_brute_force() -> None:
    before, after = np.array([1.0, 2.0, 4.0, 3.0]), np.array([1.2, 2.1, 4.4, 2.9])
    difference = paired_difference(mean_replicates([before]), mean_replicates([after]), relative=True)
    ratios = [np.delete(after, i).mean() / np.delete(before, i).mean() - 1 for i in range(4)]
    assert difference.value == pytest.approx(after.sum() / before.sum() - 1)
    assert difference.without == pytest.approx(ratios)
    assert difference.stderr == pytest.approx(math.sqrt(3 / 4 * np.sum((ratios - np.mean(ratios)) ** 2)))


def test_seeds_are_paired_too() -> None:
    before, after = np.array([[1.0, 2.0], [2.0, 3.0], [4.0, 4.0]]), np.array([[1.5, 2.5], [2.6, 3.6], [4.4, 4.4]])
    difference = paired_difference(mean_replicates(before), mean_replicates(after))
    assert difference.stderr_seed == pytest.approx(stats.sem([0.5, 0.6, 0.4]))
    assert difference.total_stderr == pytest.approx(math.hypot(difference.stderr, difference.stderr_seed))
    assert math.isnan(paired_difference(mean_replicates(before[:1]), mean_replicates(after)).stderr_seed)


def test_what_cannot_be_paired_is_refused() -> None:
    three, two = mean_replicates([[1.0, 2.0, 3.0]]), mean_replicates([[1.0, 2.0]])
    with pytest.raises(ValueError, match="same images"):
        paired_difference(three, two)
    with pytest.raises(ValueError, match="positive base"):
        paired_difference(Replicates(0.0, np.array([0.1, -0.1])), two, relative=True)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20))
def test_influence_on_a_mean_is_the_deviation(values: list[float]) -> None:
    found = mean_replicates([values])
    assert influence(found.value, found.without) == pytest.approx(np.array(values) - np.mean(values), abs=1e-8)


def test_sign_flips_of_few_images_are_counted() -> None:
    values = [0.3, -0.1, 0.4, 0.2, 0.5]
    sums = [abs(np.dot(signs, values)) for signs in itertools.product((1, -1), repeat=5)]
    assert sign_flip_p_value(values) == np.mean([s >= abs(sum(values)) - 1e-9 for s in sums])
    assert sign_flip_p_value([1.0] * 4) == 2 / 16
    assert sign_flip_p_value([0.0, 0.0]) == 1.0


def test_sign_flips_of_many_images_agree_with_scipy() -> None:
    values = np.random.default_rng(5).normal(0.3, 1.0, 30)
    oracle = stats.permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=20000, random_state=1, alternative="two-sided"
    ).pvalue
    assert sign_flip_p_value(values) == pytest.approx(oracle, abs=0.015)
    assert sign_flip_p_value(values) == sign_flip_p_value(values)
    with pytest.raises(ValueError, match="finite"):
        sign_flip_p_value([math.nan])
