"""Paired differences at equal rate: known answers, and how often the interval holds the truth."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from support.baselines import METRICS, PIXELS, origin, synthetic

from benchmark.analysis.baseline import Baseline, DatasetIdentity, Point, SetPoint
from benchmark.analysis.differences import joined_numbers, paired_differences
from benchmark.errors import NotComparable, UsageError
from benchmark.results import CodecRecord
from benchmark.statistics.intervals import leave_one_out_means, mean_estimate
from benchmark.studies import coverage

Vector = npt.NDArray[np.float64]


def both(one: Baseline, other: Baseline) -> Baseline:
    """Two codecs "one" and "other" of two runs."""
    return joined_numbers([one, other], [{"noisy": "one"}, {"noisy": "other"}])


def points_of(codec: str, rates: Sequence[float], values: Vector, spread: Vector | None = None) -> list[Point]:
    """values (q, n): of psnr, and of fd-effnet as a mean over images. spread (n,): factors of each image's bits."""
    factors = np.ones(values.shape[1]) if spread is None else spread
    return [
        Point(
            codec=codec,
            quality=number,
            bytes=[round(rate * PIXELS * factor / 8) for factor in factors],
            metrics={"psnr": list(row)},
            per_seed={},
            sets={
                "fd-effnet": SetPoint(
                    value=float(row.mean()), per_seed=[], n_patches=9, without=list(leave_one_out_means(row))
                )
            },
            encode_seconds=None,
            decode_seconds=None,
            failed={},
        )
        for number, (rate, row) in enumerate(zip(rates, values, strict=True), start=1)
    ]


def baseline_of(points: Sequence[Point]) -> Baseline:
    n = len(points[0].bytes)
    return Baseline(
        dataset=DatasetIdentity(name="made", fingerprint="0123456789abcdef", preparation="none"),
        images=[f"image{index}" for index in range(n)],
        pixels=[PIXELS] * n,
        metrics={name: METRICS[name] for name in ("bpp", "psnr", "fd-effnet")},
        codecs={
            point.codec: CodecRecord(label=point.codec, qualities=[1], stochastic=False, description={})
            for point in points
        },
        origin=origin(),
        points=list(points),
    )


@pytest.mark.parametrize("metric", ["psnr", "lpips", "fd-effnet"])
def test_identical_codecs_differ_by_nothing(metric: str) -> None:
    [found] = paired_differences(both(synthetic(), synthetic()), "one", ["other", "one"], metric)
    assert found.rate.size == 3
    assert found.n == 12
    for numbers in (found.difference, found.low, found.high):
        assert (numbers == 0).all()


def test_a_constant_offset_is_found_where_the_curves_own_intervals_are_wide() -> None:
    numbers = both(synthetic(), synthetic(psnr_loss=0.5))
    [found] = paired_differences(numbers, "one", ["other"], "psnr")
    assert found.difference == pytest.approx(-0.5)
    assert found.low == pytest.approx(-0.5)
    assert found.high == pytest.approx(-0.5)
    own = numbers.estimate(numbers.of("one")[0], "psnr")
    assert own is not None
    assert own.ci_high - own.ci_low > 0.5


@pytest.mark.parametrize("metric", ["psnr", "fd-effnet"])
def test_between_qualities_the_difference_is_the_paired_t_interval(metric: str) -> None:
    """Both rise by 3 with log rate, at rates of their own: what is left is the difference of each image."""
    generator = np.random.default_rng(0)
    before, gain = generator.normal(30, 2, 9), generator.normal(0.4, 0.3, 9)
    rates, others = [0.125, 0.5, 2.0], [0.25, 1.0]
    one = points_of("one", rates, before + 3 * np.log(np.array(rates))[:, None])
    other = points_of("other", others, before + gain + 3 * np.log(np.array(others))[:, None])
    [found] = paired_differences(baseline_of([*one, *other]), "one", ["other"], metric)
    wanted = mean_estimate(gain)
    assert found.rate == pytest.approx([0.25, 0.5, 1.0])
    assert found.difference == pytest.approx(wanted.value)
    assert found.low == pytest.approx(wanted.ci_low)
    assert found.high == pytest.approx(wanted.ci_high)
    [chosen] = paired_differences(baseline_of([*one, *other]), "one", ["other"], metric, [0.1, 0.7, 3.0])
    assert chosen.rate.tolist() == [0.7]
    assert chosen.difference == pytest.approx(wanted.value)


def test_a_single_image_has_a_difference_and_no_interval() -> None:
    numbers = both(synthetic(n=1), synthetic(n=1, psnr_loss=0.5))
    [found] = paired_differences(numbers, "one", ["other"], "psnr")
    assert found.difference == pytest.approx(-0.5)
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()


@pytest.mark.parametrize("metric", ["psnr", "fd-effnet"])
def test_the_interval_holds_the_truth_as_often_as_it_says(metric: str) -> None:
    """Values differ by 0.4 on average; bits vary by image, apart for both codecs, which moves the curves as well."""
    generator = np.random.default_rng(1)
    rates = np.array([0.25, 1.0, 4.0])
    held, runs, n = 0, 300, 16
    for _ in range(runs):
        before = generator.normal(30, 2, n)
        gain = generator.normal(0.4, 0.3, n)
        level = 3 * np.log(rates)[:, None]
        sides = [
            points_of(name, rates.tolist(), values + level, np.exp(generator.normal(0, 0.2, n)))
            for name, values in (("one", before), ("other", before + gain))
        ]
        [found] = paired_differences(baseline_of([*sides[0], *sides[1]]), "one", ["other"], metric, [1.0])
        held += bool(found.low[0] <= 0.4 <= found.high[0])
    assert 0.92 <= held / runs <= 0.98


def test_images_without_a_value_are_left_out_of_both_sides() -> None:
    other = synthetic(psnr_loss=0.5)
    other.points[0].metrics["psnr"][3] = None
    [found] = paired_differences(both(synthetic(), other), "one", ["other"], "psnr")
    assert found.n == 11
    assert found.difference == pytest.approx(-0.5)
    (line,) = found.left_out
    assert line.startswith("psnr: over 11 of 12 images, without ")
    [whole] = paired_differences(both(synthetic(), synthetic()), "one", ["other"], "psnr")
    assert whole.left_out == ()


def test_where_there_is_no_difference_a_reason_is_given() -> None:
    far = both(synthetic(), synthetic(rate=100))
    [found] = paired_differences(far, "one", ["other"], "psnr")
    assert found.rate.size == 0
    assert "no common rate" in found.reason
    [found] = paired_differences(both(synthetic(), synthetic(qualities=1)), "one", ["other"], "psnr")
    assert "other has one rate, and two are needed" in found.reason
    [found] = paired_differences(both(synthetic(), synthetic()), "one", ["other"], "psnr", [50])
    assert "no rate asked for is there" in found.reason


def test_unknown_names_are_refused() -> None:
    numbers = both(synthetic(), synthetic())
    with pytest.raises(UsageError, match="'bpp' was measured; there are psnr, lpips, fd-effnet"):
        paired_differences(numbers, "one", ["other"], "bpp")
    with pytest.raises(UsageError, match="no codec 'third' was measured; there are one, other"):
        paired_differences(numbers, "one", ["third"], "psnr")


def test_runs_over_other_images_or_by_another_protocol_make_no_pairs() -> None:
    renamed = synthetic(images=[f"else{index}" for index in range(12)])
    with pytest.raises(NotComparable, match="images differ"):
        both(synthetic(), renamed)
    other = synthetic(metrics=METRICS | {"psnr": METRICS["psnr"].model_copy(update={"protocol": "psnr/luma"})})
    with pytest.raises(NotComparable, match="psnr: psnr/rgb against psnr/luma"):
        both(synthetic(), other)


def test_errors_over_decoder_seeds_count() -> None:
    one, other = synthetic(), synthetic(psnr_loss=0.5)
    for baseline, offset in ((one, 0.0), (other, 0.2)):
        for point in baseline.points:
            mean = float(np.mean([value for value in point.metrics["psnr"] if value is not None]))
            point.per_seed["psnr"] = [mean - offset, mean + offset]
    [found] = paired_differences(both(one, other), "one", ["other"], "psnr")
    # Differences seed by seed are −0.7 and −0.3: a standard error of 0.2, on 11 degrees of freedom.
    assert found.high - found.low == pytest.approx(2 * 2.200985 * 0.2)
    assert not math.isnan(found.low[0])


@pytest.mark.parametrize("metric", ["psnr", "ms_ssim", "lpips"])
def test_a_codec_at_other_qualities_is_not_told_apart_from_itself(metric: str) -> None:
    """However its points are parted; straight lines between a few of them pass beside the others."""
    random = np.random.default_rng(0)
    held = []
    for codec, numbers in (("jpeg", coverage.population()), ("avif", coverage.more())):
        for _ in range(15):
            parted = coverage._parted(coverage.only_codecs(numbers, codec), random)
            [found] = paired_differences(parted, "one", ["other"], metric)
            held.extend((found.low <= 0) & (found.high >= 0))
    assert np.mean(held) >= 0.95


@pytest.mark.parametrize("apart", [0, 1])
def test_rates_that_differ_by_rounding_alone_are_one(apart: int) -> None:
    """Two qualities of as many bits, on other images: their mean rates are equal but for the last digit."""
    base, plain = synthetic(), synthetic(psnr_loss=0.5)
    first = plain.points[0]
    sizes = list(first.bytes)
    for place in range(0, 12, 2) if apart else ():
        sizes[place], sizes[place + 1] = sizes[place + 1], sizes[place]
    again = first.model_copy(update={"quality": 1.5, "bytes": sizes})
    near = plain.model_copy(update={"points": [first, again, *plain.points[1:]]})
    [wanted] = paired_differences(both(base, plain), "one", ["other"], "psnr")
    [found] = paired_differences(both(base, near), "one", ["other"], "psnr")
    assert found.difference == pytest.approx(wanted.difference)
    assert (np.isfinite(found.low) & (found.low <= found.difference)).all()
