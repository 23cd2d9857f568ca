import math

import bjontegaard as package
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.statistics.bjontegaard import (
    Curve,
    ImageCurve,
    JackknifeCurve,
    bd_rate,
    bd_rate_without,
    bootstrap_bd_rate,
    jackknife_bd_rate,
)
from benchmark.statistics.intervals import leave_one_out_means

RATE = np.array([0.1, 0.2, 0.4, 0.8])
PSNR = np.array([27.0, 30.0, 32.5, 35.5])


def curve(rate: object, value: object) -> Curve:
    return Curve(np.asarray(rate, dtype=np.float64), np.asarray(value, dtype=np.float64))


@given(st.floats(0.2, 5.0))
def test_bits_times_a_factor_are_that_many_per_cent(factor: float) -> None:
    found = bd_rate(curve(RATE, PSNR), curve(RATE * factor, PSNR), True)
    assert found.estimate.value == pytest.approx(100 * (factor - 1), abs=1e-9)
    assert found.share == 1.0
    assert found.overlap == (27.0, 35.5)


def test_agrees_with_the_package_where_that_is_defined() -> None:
    other = PSNR[:3] + 0.7
    found = bd_rate(curve(RATE, PSNR), curve(RATE[:3], other), True)
    oracle = package.bd_rate(RATE, PSNR, RATE[:3], other, method="akima", require_matching_points=False, min_overlap=0)
    assert found.estimate.value == pytest.approx(oracle, rel=1e-12)
    assert found.overlap == pytest.approx((27.7, 33.2))
    assert found.share == pytest.approx(5.5 / 8.5)


def test_order_repetition_and_missing_points_do_not_matter() -> None:
    order = [2, 0, 3, 1, 2]
    messy = curve([*RATE[order], 0.5, math.nan], [*PSNR[order] + 1, math.nan, 30.0])
    assert bd_rate(curve(RATE, PSNR), messy, True) == bd_rate(curve(RATE, PSNR), curve(RATE, PSNR + 1), True)


def test_lower_is_better_mirrors_higher_is_better() -> None:
    up = bd_rate(curve(RATE, PSNR), curve(RATE, PSNR + 0.5), True)
    down = bd_rate(curve(RATE, -PSNR), curve(RATE, -PSNR - 0.5), False)
    assert down.estimate.value == pytest.approx(up.estimate.value, rel=1e-12)
    assert down.overlap == pytest.approx((-35.5, -27.5))
    assert up.estimate.value < 0


def test_equal_curves_differ_by_nothing() -> None:
    assert bd_rate(curve(RATE, PSNR), curve(RATE, PSNR), True).estimate.value == 0.0


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        (curve(RATE, PSNR + 20), "no overlap: the anchor reaches 27 to 35.5, the other 47 to 55.5"),
        (curve(RATE, PSNR - 8.5), "no overlap"),  # they touch in one point
        (curve(RATE, [27.0, 30.0, 29.5, 35.5]), "not monotone: 30 at 0.2 bpp, 29.5 at 0.4 bpp"),
        (curve([0.1, 0.1], [30.0, 31.0]), "not monotone"),
        (curve(RATE, PSNR * math.nan), "no point"),
        (curve(RATE[:1], PSNR[:1]), "one point"),
        (curve([0.0, 0.1], [20.0, 30.0]), "one point"),  # no bits have no logarithm
    ],
)
def test_what_is_not_defined_has_a_reason_and_no_number(test: Curve, reason: str) -> None:
    found = bd_rate(curve(RATE, PSNR), test, True)
    assert not found.defined
    assert math.isnan(found.estimate.value)
    assert reason in found.reason


def test_a_scale_is_applied_to_the_values() -> None:
    similarity = np.array([0.9, 0.95, 0.98, 0.99])

    def decibel(x: np.ndarray) -> np.ndarray:
        return -10 * np.log10(1 - x)

    found = bd_rate(curve(RATE, similarity), curve(RATE * 1.1, similarity), True, decibel)
    assert found.estimate.value == pytest.approx(10)
    assert found.overlap == pytest.approx((10, 20))
    assert bd_rate(curve(RATE, similarity), curve(RATE[:2], [0.9, 1.0]), True, decibel).reason.endswith("are needed")


# Intervals


def made(random: np.random.Generator, n: int) -> tuple[ImageCurve, ImageCurve]:
    """Two codecs on the same n images, which differ in rate and quality far more than the codecs do."""
    difficulty, own = random.normal(0, 0.45, n), random.normal(0, 0.12, n)
    base = np.array([0.15, 0.3, 0.6])

    def one(gain: float, advantage: np.ndarray) -> ImageCurve:
        rate = gain * base[:, None] * np.exp(difficulty + advantage + random.normal(0, 0.03, (3, n)))
        value = 30 + 3.8 * np.log2(base)[:, None] - 3 * difficulty + random.normal(0, 0.1, (3, n))
        return ImageCurve(rate, value)

    return one(1.0, np.zeros(n)), one(0.8, own)


def without(curve: ImageCurve) -> JackknifeCurve:
    rate, value = (np.array([leave_one_out_means(row) for row in part]) for part in (curve.rate, curve.value))
    return JackknifeCurve(curve.rate.mean(axis=1), curve.value.mean(axis=1), rate, value)


@pytest.mark.long
@pytest.mark.parametrize("sets", [80, pytest.param(250, marks=pytest.mark.slow)])
def test_intervals_cover_the_truth_in_about_95_of_100_sets(sets: int) -> None:
    """Sets of 12 images; the truth is that of 50,000. Limits: three binomial deviations about 95 %, 4 % of 250 sets."""
    random = np.random.default_rng(2001)
    many = [Curve(side.rate.mean(axis=1), side.value.mean(axis=1)) for side in made(random, 50_000)]
    truth = bd_rate(*many, True).estimate.value
    covered = {"bootstrap": 0, "jackknife": 0}
    for seed in range(sets):
        anchor, test = made(random, 12)
        for name, found in (
            ("bootstrap", bootstrap_bd_rate(anchor, test, True, resamples=25, seed=seed)),
            ("jackknife", jackknife_bd_rate(without(anchor), without(test), True)),
        ):
            covered[name] += found.estimate.ci_low <= truth <= found.estimate.ci_high
    reach = 3 * (0.05 * 0.95 * sets) ** 0.5
    assert all(abs(count - 0.95 * sets) < reach and count < sets for count in covered.values()), covered


def test_bootstrap_and_jackknife_agree_and_the_seed_fixes_the_bootstrap() -> None:
    anchor, test = made(np.random.default_rng(4), 24)
    first = bootstrap_bd_rate(anchor, test, True, resamples=250, seed=1)
    jackknife = jackknife_bd_rate(without(anchor), without(test), True)
    assert first == bootstrap_bd_rate(anchor, test, True, resamples=250, seed=1)
    assert first != bootstrap_bd_rate(anchor, test, True, resamples=250, seed=2)
    assert first.estimate.value == pytest.approx(jackknife.estimate.value)
    assert first.estimate.stderr == pytest.approx(jackknife.estimate.stderr, rel=0.15)


def test_images_are_resampled_together() -> None:
    """What is common to both codecs is no uncertainty of their difference."""
    anchor, _ = made(np.random.default_rng(6), 12)
    found = bootstrap_bd_rate(anchor, ImageCurve(anchor.rate * 1.07, anchor.value), True, resamples=100)
    assert (found.estimate.ci_low, found.estimate.ci_high) == pytest.approx((7, 7))


def test_where_no_interval_can_be_given_there_is_a_reason() -> None:
    rate = np.array([[0.1, 0.1, 0.1], [0.2, 0.2, 0.2]])
    touchy = ImageCurve(rate, np.array([[30.0, 30.0, 30.0], [20.0, 20.0, 60.0]]))  # rises through one image alone
    found = bootstrap_bd_rate(touchy, touchy, True, resamples=100)
    assert found.estimate.value == 0
    assert math.isnan(found.estimate.ci_low)
    assert "resamples" in found.reason
    assert "without one of" in jackknife_bd_rate(without(touchy), without(touchy), True).reason
    assert np.isnan(bd_rate_without(without(touchy), without(touchy), True)).tolist() == [False, False, True]

    one = ImageCurve(rate[:, :1], np.array([[30.0], [33.0]]))
    found = bootstrap_bd_rate(one, one, True)
    assert found.estimate.value == 0
    assert "one image" in found.reason
    alone = JackknifeCurve(rate[:, 0], np.array([30.0, 33.0]), rate[:, :1], np.array([[30.0], [33.0]]))
    assert "one image" in jackknife_bd_rate(alone, alone, True).reason
    with pytest.raises(ValueError, match="same images"):
        bootstrap_bd_rate(one, touchy, True)
