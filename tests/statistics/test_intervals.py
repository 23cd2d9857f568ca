import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from threadpoolctl import threadpool_limits

from benchmark.metrics import distribution
from benchmark.statistics import intervals
from benchmark.statistics.paired import mean_replicates, paired_difference, paired_estimate

finite = st.floats(-1e6, 1e6)
samples = st.lists(finite, min_size=2, max_size=40)


def test_mean_of_a_known_sample() -> None:
    estimate = intervals.mean_estimate([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    assert estimate.value == 5.0
    assert estimate.stderr == pytest.approx(math.sqrt(32 / 7 / 8))
    # Student's t, 7 degrees of freedom, 97.5 %: 2.3646 in any table.
    assert estimate.ci_high - estimate.value == pytest.approx(2.364624 * estimate.stderr, rel=1e-6)
    assert estimate.value - estimate.ci_low == pytest.approx(estimate.ci_high - estimate.value)


def test_one_unit_has_no_error() -> None:
    for estimate in (
        intervals.mean_estimate([3.5]),
        intervals.jackknife_estimate(3.5, [3.5]),
        intervals.function_of_means_estimate(np.exp, [math.log(3.5)]),
    ):
        assert estimate.value == pytest.approx(3.5)
        assert math.isnan(estimate.stderr)
        assert math.isnan(estimate.ci_low)
        assert math.isnan(estimate.ci_high)


@given(samples)
def test_mean_agrees_with_scipy(values: list[float]) -> None:
    estimate = intervals.mean_estimate(values)
    assert estimate.stderr == pytest.approx(stats.sem(values), rel=1e-9, abs=1e-9)
    if estimate.stderr > 1e-6:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
        assert (estimate.ci_low, estimate.ci_high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)


@given(samples)
def test_jackknife_of_a_mean_is_the_closed_form(values: list[float]) -> None:
    left_out = [np.mean(values[:i] + values[i + 1 :]) for i in range(len(values))]
    assert intervals.leave_one_out_means(values) == pytest.approx(left_out, rel=1e-9, abs=1e-6)
    scale = max(abs(v) for v in values)
    assert intervals.jackknife_stderr(left_out) == pytest.approx(
        intervals.mean_estimate(values).stderr, rel=1e-6, abs=1e-9 * scale
    )


def test_without_skewness_the_jackknife_interval_is_students_t() -> None:
    left_out = 5 + np.array([-0.2, -0.1, 0.0, 0.1, 0.2])
    estimate = intervals.jackknife_estimate(5.0, left_out)
    plain = intervals.t_estimate(5.0, intervals.jackknife_stderr(left_out), 5)
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx((plain.ci_low, plain.ci_high))


def test_the_interval_reaches_to_where_the_skewness_points() -> None:
    values = np.array([1.0, 1.1, 0.9, 1.0, 1.2, 5.0])  # one image far above
    estimate = intervals.jackknife_estimate(values.mean(), intervals.leave_one_out_means(values))
    assert estimate.ci_high - estimate.value > 1.5 * (estimate.value - estimate.ci_low) > 0
    # The transform of the studentised distance to the lower end is the quantile of Student's t.
    root, skewness = math.sqrt(6), stats.skew(values)
    distance = (estimate.value - estimate.ci_low) / estimate.stderr
    transformed = distance + skewness * distance**2 / (3 * root) + skewness**2 * distance**3 / (27 * 6)
    assert transformed + skewness / (6 * root) == pytest.approx(stats.t.ppf(0.975, 5))


@pytest.mark.filterwarnings("error")
def test_equal_replicates_have_no_spread_but_rounding() -> None:
    """The mean of three 0.1 is not 0.1 in binary, so their error is not quite 0 though all are alike."""
    found = intervals.jackknife_estimate(0.1, [0.1, 0.1, 0.1])
    assert found.ci_low == pytest.approx(0.1, abs=1e-15)
    assert found.ci_high == pytest.approx(0.1, abs=1e-15)


def test_of_functions_of_means_no_side_is_shorter_than_students_t_where_skewness_shows() -> None:
    error = np.array([0.3, 0.4, 0.35, 0.5, 0.38, 0.42, 0.33, 4.6])
    estimate = intervals.function_of_means_estimate(lambda mean: -10 * np.log10(mean), error)
    plain = intervals.t_estimate(estimate.value, estimate.stderr, 8)
    skewed = intervals.jackknife_estimate(estimate.value, -10 * np.log10(intervals.leave_one_out_means(error)))
    assert skewed.ci_high < plain.ci_high
    assert (estimate.ci_low, estimate.ci_high) == (skewed.ci_low, plain.ci_high)


def test_skewness_shows_in_one_of_twenty_normal_samples_and_where_one_unit_is_far_off() -> None:
    random = np.random.default_rng(0)
    for n in (8, 24):
        shown = sum(intervals.skewness_shows(random.normal(size=n)) for _ in range(400))
        assert 0.02 * 400 <= shown <= 0.08 * 400
    assert intervals.skewness_shows([*random.normal(size=23), 9.0])
    assert not intervals.skewness_shows([1.0, 2.0])
    assert not intervals.skewness_shows(np.ones(24))


def test_the_largest_share_by_hand() -> None:
    assert intervals.largest_share([0.0, 12.0, 0.0, 0.0, 0.0, 0.0]) == (1, pytest.approx(100 / 120))
    assert intervals.largest_share(np.ones(4)) == (0, 0.0)


def test_function_of_means_against_brute_force() -> None:
    bits, pixels = np.array([100.0, 400.0, 90.0, 700.0]), np.array([10.0, 100.0, 20.0, 90.0])
    estimate = intervals.function_of_means_estimate(np.divide, bits, pixels)
    theta = [np.delete(bits, i).sum() / np.delete(pixels, i).sum() for i in range(4)]
    assert estimate.value == pytest.approx(bits.sum() / pixels.sum())
    assert estimate.stderr == pytest.approx(math.sqrt(3 / 4 * sum((t - np.mean(theta)) ** 2 for t in theta)))


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, math.nan], [1.0, math.inf]])
def test_unusable_samples_are_refused(values: list[float]) -> None:
    for function in (intervals.mean_estimate, intervals.leave_one_out_means):
        with pytest.raises(ValueError, match=r"^values must"):
            function(values)
    with pytest.raises(ValueError, match="must"):
        intervals.jackknife_estimate(1.0, values)


def test_unusable_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="value must be finite"):
        intervals.t_estimate(math.inf, 1.0, 5)
    with pytest.raises(ValueError, match="stderr"):
        intervals.t_estimate(0.0, -1.0, 5)
    with pytest.raises(ValueError, match="n must"):
        intervals.t_estimate(0.0, 1.0, 0)
    with pytest.raises(ValueError, match="confidence"):
        intervals.t_estimate(0.0, 1.0, 5, confidence=95)
    with pytest.raises(ValueError, match="one length"):
        intervals.function_of_means_estimate(np.divide, [1.0, 2.0], [1.0])


def test_intervals_cover_the_truth_in_about_95_of_100_sets() -> None:
    """500 sets of 24 images, as many as Kodak has; 92 % to 98 % is three binomial standard deviations about 95 %."""
    random = np.random.default_rng(1993)
    covered = {"mean": 0, "of the mean MSE": 0, "ratio of totals": 0}
    for _ in range(500):
        psnr = random.normal(30.0, 2.5, 24)
        estimate = intervals.mean_estimate(psnr)
        covered["mean"] += estimate.ci_low <= 30.0 <= estimate.ci_high

        mse = random.gamma(8.0, 5.0, 24)  # mean 40
        estimate = intervals.function_of_means_estimate(lambda m: 10 * np.log10(255.0**2 / m), mse)
        covered["of the mean MSE"] += estimate.ci_low <= 10 * math.log10(255.0**2 / 40) <= estimate.ci_high

        pixels = random.uniform(1.0, 3.0, 24)
        bits = pixels * random.gamma(10.0, 0.05, 24)  # independent of the size: 0.5 bit a pixel
        estimate = intervals.function_of_means_estimate(np.divide, bits, pixels)
        covered["ratio of totals"] += estimate.ci_low <= 0.5 <= estimate.ci_high
    assert all(460 <= count <= 490 for count in covered.values()), covered


@pytest.mark.long
def test_jackknife_intervals_of_set_metrics_cover_their_expectation_at_that_n() -> None:
    """250 sets of 16 images of two patches; the truth is the mean of 1000 others. Limits: three binomial deviations."""
    random = np.random.default_rng(7)
    metrics = {
        "fd": (distribution.frechet_distance, distribution.frechet_leave_one_out),
        "kd": (distribution.kernel_distance, distribution.kernel_leave_one_out),
        "kd paired": (distribution.paired_kernel_distance, distribution.paired_kernel_leave_one_out),
    }

    def sides() -> tuple[list[intervals.Vector], list[intervals.Vector]]:
        """Patches of one image are alike; the reconstruction has less detail, a shift and noise, by image."""
        spread, shift = np.linspace(0.6, 1.4, 32), np.linspace(0, 1, 32)
        before = random.normal(size=(16, 1, 32)) * spread + random.normal(size=(16, 2, 32)) * 0.7
        strength = random.gamma(8, 1 / 8, size=(16, 1, 1))
        after = before * (1 - 0.25 * strength) + 0.4 * strength * shift + 0.1 * random.normal(size=before.shape)
        return list(before), list(after)

    with threadpool_limits(1):
        expectation = np.mean(
            [[whole(*pair) for whole, _ in metrics.values()] for pair in (sides() for _ in range(1000))], 0
        )
        truth = dict(zip(metrics, expectation, strict=True))
        covered = dict.fromkeys(metrics, 0)
        for _ in range(250):
            pair = sides()
            for name, (whole, without) in metrics.items():
                estimate = intervals.jackknife_estimate(whole(*pair), without(*pair))
                covered[name] += estimate.ci_low <= truth[name] <= estimate.ci_high
    assert all(227 <= count <= 247 for count in covered.values()), covered


def test_the_intervals_over_seeds_and_over_images_cover_what_each_is_about() -> None:
    """500 sets of 24 images with 4 decoder seeds; limits as above.

    Over seeds: the mean of these images over all seeds. Over images: the mean of all images. Of a difference of two
    runs, both errors together: the mean difference of all images and seeds, where the interval may be too wide.
    """
    random = np.random.default_rng(2305)
    covered = {"over seeds": 0, "over images": 0}
    together = 0
    for _ in range(500):
        images = random.normal(30, 2.5, 24)
        base, new = (images + random.normal(0, 0.8, (4, 24)) for _ in range(2))
        seeds = intervals.mean_estimate(base.mean(axis=1))
        covered["over seeds"] += seeds.ci_low <= images.mean() <= seeds.ci_high
        of_images = intervals.mean_estimate(base.mean(axis=0))
        covered["over images"] += of_images.ci_low <= 30 <= of_images.ci_high
        difference = paired_difference(mean_replicates(list(base)), mean_replicates(list(new)))
        estimate = paired_estimate(difference)
        together += estimate.ci_low <= 0 <= estimate.ci_high
    assert all(460 <= count <= 490 for count in covered.values()), covered
    assert together >= 460


def test_the_seeds_interval_of_a_set_metric_covers_its_expectation_over_seeds() -> None:
    """500 draws of 4 seeds on 5 sets of 12 images of two patches; the truth is the mean over 1000 other seeds."""
    random = np.random.default_rng(47)
    covered = 0
    with threadpool_limits(1):
        for _ in range(5):
            before = random.normal(size=(12, 1, 6)) + 0.7 * random.normal(size=(12, 2, 6))

            def distances(count: int, before: intervals.Vector = before) -> list[float]:
                after = 0.8 * before + 0.4 * random.normal(size=(count, *before.shape))
                return [distribution.frechet_distance(list(before), list(side)) for side in after]

            truth = np.mean(distances(1000))
            for _ in range(100):
                estimate = intervals.mean_estimate(distances(4))
                covered += estimate.ci_low <= truth <= estimate.ci_high
    assert 460 <= covered <= 490
