"""Turned, stretched and toned images: whole, of allowed sizes, the same from the same generator."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.hfd.training.variety import inner_sides, vary


def gradient(width: int, height: int) -> npt.NDArray[np.uint8]:
    """Columns, rows and their sum, as grey values that differ everywhere."""
    x, y = np.meshgrid(np.linspace(40, 200, width), np.linspace(30, 220, height))
    return np.stack([x, y, (x + y) / 2], 2).round().astype(np.uint8)


@pytest.mark.parametrize(
    ("width", "height", "degrees", "expected"),
    [
        (300, 200, 0, (300, 200)),
        (200, 300, 90, (300, 200)),
        (300, 300, 45, (212, 212)),  # 300/√2
        (1000, 100, 30, (100, 57)),  # two corners on the long sides: 100/(2 sin 30°), 100/(2 cos 30°)
    ],
)
def test_inner_rectangle(width: int, height: int, degrees: float, expected: tuple[int, int]) -> None:
    found = inner_sides(width, height, degrees)
    assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= 1


@given(st.integers(50, 2000), st.integers(50, 2000), st.floats(-90, 90))
def test_inner_rectangle_lies_within_the_turned_picture(width: int, height: int, degrees: float) -> None:
    """Its corners, turned back, are within the image's sides, and two of them on its edge."""
    inner_width, inner_height = inner_sides(width, height, degrees)
    angle = math.radians(degrees)
    corners = [(inner_width / 2, inner_height / 2), (inner_width / 2, -inner_height / 2)]
    reach = [
        (
            abs(x * math.cos(angle) + y * math.sin(angle)) / (width / 2),
            abs(y * math.cos(angle) - x * math.sin(angle)) / (height / 2),
        )
        for x, y in corners
    ]
    furthest = max(max(one) for one in reach)
    assert 1 - 6 / min(width, height) < furthest < 1 + 1e-9  # sides are whole pixels, rounded down


@given(st.integers(0, 2**32), st.integers(129, 400), st.integers(129, 400))
def test_sides_stay_between_the_smallest_and_the_pictures_own(seed: int, width: int, height: int) -> None:
    varied = vary(gradient(width, height), np.random.default_rng(seed), 129)
    assert varied.dtype == np.uint8
    assert varied.shape[2] == 3
    assert min(varied.shape[:2]) >= 129
    assert max(varied.shape[:2]) <= max(width, height)


@given(st.integers(0, 2**32))
def test_nothing_blank_comes_in(seed: int) -> None:
    """An image of one colour stays one: no corner of what lies outside is seen."""
    plain = np.full((260, 330, 3), (90, 140, 60), np.uint8)
    varied = vary(plain, np.random.default_rng(seed), 129)
    assert np.array_equal(varied, np.broadcast_to(varied[0, 0], varied.shape))


def test_the_generator_decides() -> None:
    picture = gradient(330, 260)
    first, again, other = (vary(picture, np.random.default_rng(seed), 129) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)
    assert np.array_equal(picture, gradient(330, 260))
