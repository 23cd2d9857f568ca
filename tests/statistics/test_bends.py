"""What nobody knows of curves between their points: areas and roughness by hand, and the model held against itself."""

import math

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.interpolate import CubicSpline

from benchmark.statistics import bends as module
from benchmark.statistics.bends import bends


@pytest.mark.parametrize("width", [1.0, 2.5])
def test_the_area_between_two_points_by_hand(width: float) -> None:
    """The process less its chord is ∫G(x, s) dW(s); its area ∫s(L − s)/2 dW(s), with the variance L⁵/120."""
    rate = np.array([0.0, width])
    curve = module._Curve(rate, np.array([1.0, 5.0]))
    assert curve.of_area(*rate) == pytest.approx(width**5 / 120)
    assert curve.of_value(width / 2) == pytest.approx(width**3 / 48)  # ∫G² at the middle
    assert curve.of_value(width) == pytest.approx(0)
    assert curve.roughness == 0


def test_roughness_is_that_of_the_natural_cubic_spline() -> None:
    rate, value = np.array([0.2, 0.5, 0.9, 1.6]), np.array([27.0, 30.0, 32.5, 33.0])
    second = CubicSpline(rate, value, bc_type="natural").derivative(2)
    places = np.linspace(rate[0], rate[-1], 20_001)
    assert module._Curve(rate, value).roughness == pytest.approx(trapezoid(second(places) ** 2, places), rel=1e-5)


def test_a_gap_is_worse_than_even_points() -> None:
    even, gap = (
        module._Curve(np.array(rate), np.zeros(4)).of_area(0, 1) for rate in ([0, 1 / 3, 2 / 3, 1], [0, 0.1, 0.2, 1])
    )
    assert gap > 10 * even


def test_points_at_one_place_count_once() -> None:
    """There an encoder's jitter would be taken for bends."""
    rate, value = np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0, 1.5])
    jitter = np.array([0.0, 0.5, 0.5001, 0.9999, 1.0]), np.array([0.0, 1.0, 1.01, 1.3, 1.5])
    ends = rate[[0, -1]]
    once = bends(((rate, value), (rate, value)), (ends, ends), 1.5)
    assert bends((jitter, (rate, value)), (ends, ends), 1.5) == once


def test_points_are_near_by_the_whole_range() -> None:
    """0.01 of it is near, whatever the first gap is; both ends stay."""
    assert module._apart(np.array([0.0, 0.01, 0.5, 0.99, 1.0])).tolist() == [True, False, True, False, True]
    assert module._apart(np.array([0.0, 0.03, 0.5, 0.97, 1.0])).all()


def test_of_two_curves_of_two_points_nothing_is_known() -> None:
    two = np.array([0.0, 1.0])
    found = bends(((two, two), (two, two)), (two, two), 1.0)
    assert found.freedom == 0
    assert math.isnan(found.stderr)


def test_of_curves_that_are_the_model_the_error_is_the_standard_error() -> None:
    """Integrated Wiener processes, the area guessed by natural splines: the squared error over the variance is 1 on
    average, where the variance is known; 600 draws, four standard errors."""
    random = np.random.default_rng(0)
    places = np.linspace(0, 1, 401)
    at = np.array([0, 60, 200, 290, 400])
    curve = module._Curve(places[at], np.zeros(5))
    area, value = curve.of_area(0, 1), curve.of_value(places[130])
    ratios, others = [], []
    for _ in range(600):
        slope = np.cumsum(random.normal(0, math.sqrt(1 / 400), 401))
        line = np.cumsum(slope) / 400
        guess = CubicSpline(places[at], line[at], bc_type="natural")
        ratios.append((trapezoid(line, places) - guess.integrate(0, 1)) ** 2 / area)
        others.append((line[130] - guess(places[130])) ** 2 / value)
    assert np.mean(others) == pytest.approx(1, abs=4 * math.sqrt(2 / 600))
    assert np.mean(ratios) == pytest.approx(1, abs=4 * math.sqrt(2 / 600))
