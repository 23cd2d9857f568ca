"""What the way in which curves are drawn does to a rate difference: integrals by hand, and what must cancel."""

import math

import bjontegaard as package
import numpy as np
import pytest

from benchmark.statistics.bjontegaard import Curve, ImageCurve, bd_rate, bootstrap_bd_rate
from benchmark.statistics.interpolation import AKIMA, PCHIP, SPLINE, STRAIGHT, error_at, interpolations

RATE = np.array([0.1, 0.2, 0.4, 0.8])
PSNR = np.array([27.0, 30.0, 32.5, 35.5])


def curve(rate: object, value: object) -> Curve:
    return Curve(np.asarray(rate, dtype=np.float64), np.asarray(value, dtype=np.float64))


def test_straight_curves_by_hand() -> None:
    """From 0 to 2, one needs 1 to 4 bits, the other 1 to 2: the logarithms part by 0 to −ln 2, −½ ln 2 on average."""
    found = bd_rate(curve([1, 4], [0, 2]), curve([1, 2], [0, 2]), True)
    assert found.estimate.value == pytest.approx(100 * (math.sqrt(0.5) - 1))
    assert found.ways is not None
    assert found.ways.error() == pytest.approx(0, abs=1e-12)  # of two points every way is a straight line
    assert list(found.ways.percent.values()) == pytest.approx([found.estimate.value] * 4, abs=1e-4)


def test_a_part_of_the_range_by_hand() -> None:
    """Only 1 to 2 is common: there ln of the first rises from ln 2 to ln 4, of the second from 0 to ln 2."""
    found = bd_rate(curve([1, 4], [0, 2]), curve([1, 4], [1, 3]), True)
    assert found.estimate.value == pytest.approx(-50)
    assert found.overlap == (1, 2)
    assert found.share == pytest.approx(1 / 3)


def test_straight_lines_between_three_points_by_hand() -> None:
    """Against a constant 1 bit a value: ln rate 0, 0, ln 4 at 0, 1, 2 is ½ · ln 4 over half of the range."""
    anchor = np.array([1.0, 1.0 + 1e-12]), np.array([0.0, 2.0])
    test = np.array([1.0, 1.0 + 1e-12, 4.0]), np.array([0.0, 1.0, 2.0])
    found = interpolations(anchor, test, (0.0, 2.0))
    assert found.percent[STRAIGHT] == pytest.approx(100 * math.expm1(math.log(4) / 4), abs=1e-3)
    # The parabola through 0, 0, ln 4: ½ ln 4 · x(x − 1), whose mean over 0 to 2 is ½ ln 4 · (8/3 − 2) / 2.
    assert found.percent[SPLINE] == pytest.approx(100 * math.expm1(math.log(4) / 6), abs=1e-3)


@pytest.mark.parametrize(("way", "method"), [(AKIMA, "akima"), (PCHIP, "pchip")])
def test_the_ways_agree_with_the_package(way: str, method: str) -> None:
    other = RATE[:3] * 1.3, PSNR[:3] + 0.7
    found = bd_rate(curve(RATE, PSNR), curve(*other), True)
    oracle = package.bd_rate(RATE, PSNR, *other, method=method, require_matching_points=False, min_overlap=0)
    assert found.ways is not None
    assert found.ways.percent[way] == pytest.approx(oracle, abs=1e-3)


def test_what_is_drawn_wrongly_in_both_curves_cancels() -> None:
    found = bd_rate(curve(RATE, PSNR), curve(RATE * 1.3, PSNR), True)
    assert found.ways is not None
    assert found.ways.error() == pytest.approx(0, abs=1e-12)
    assert not found.ways.parted


def test_where_points_cluster_and_leave_a_gap_the_ways_part() -> None:
    clustered = curve([0.1, 0.101, 0.102, 0.8], [27.0, 27.4, 27.5, 35.5])
    found = bd_rate(curve(RATE, PSNR), clustered, True)
    assert found.ways is not None
    assert set(found.ways.parted) == {SPLINE, PCHIP}
    assert found.ways.error() > 0.01


def test_the_interval_is_longer_by_the_error_of_the_interpolation() -> None:
    noise = 1 + 0.01 * np.random.default_rng(0).normal(size=(4, 12))
    anchor = ImageCurve(RATE[:, None] * noise, PSNR[:, None] + np.zeros((4, 12)))
    test = ImageCurve(
        RATE[1:, None] * 0.9 * noise[1:], PSNR[1:, None] + np.array([[0.3], [0.0], [0.4]]) + np.zeros((3, 12))
    )
    found = bootstrap_bd_rate(anchor, test, True, resamples=100)
    assert found.ways is not None
    assert found.ways.error() > 0
    low, high = (math.log1p(end / 100) for end in (found.estimate.ci_low, found.estimate.ci_high))
    middle = math.log1p(found.estimate.value / 100)
    assert middle - low == pytest.approx(high - middle)
    t, stderr = 2.200985, found.estimate.stderr / (100 + found.estimate.value)
    assert high - middle == pytest.approx(t * stderr + found.ways.error(), rel=1e-4)


def test_at_a_point_of_both_curves_and_between_parallel_ones_there_is_no_error() -> None:
    curves = (np.log(RATE), PSNR), (np.log(RATE), PSNR + 0.7)
    for rate in (*RATE, 0.15, 0.5):
        assert error_at(curves, math.log(rate)) == pytest.approx(0, abs=1e-12)


def test_between_points_the_error_at_a_rate_grows_with_the_gap() -> None:
    dense, few = (np.log(RATE), PSNR), (np.log(RATE[[0, 1, 3]]), PSNR[[0, 1, 3]])
    near, far = error_at((dense, few), math.log(0.21)), error_at((dense, few), math.log(0.4))
    assert 0 < near < 0.2 * far
    straight = np.interp(math.log(0.4), *few)
    assert abs(straight - PSNR[2]) < far  # what a straight line misses there


def test_infinite_values_and_points_twice_or_out_of_order_change_nothing() -> None:
    messy = curve([*RATE[::-1], 2.0, RATE[0]], [*PSNR[::-1], math.inf, PSNR[0]])
    assert bd_rate(curve(RATE * 1.1, PSNR), messy, True) == bd_rate(curve(RATE * 1.1, PSNR), curve(RATE, PSNR), True)


def test_a_tiny_overlap_is_a_number_and_its_share_is_said() -> None:
    found = bd_rate(curve(RATE, PSNR), curve(RATE, PSNR + 8.499), True)
    assert found.defined
    assert found.share == pytest.approx(0.001 / 16.999)
