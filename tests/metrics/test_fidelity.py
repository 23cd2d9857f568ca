import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, Undefined
from benchmark.metrics.fidelity import make_psnr, mean_squared_error, psnr_from_mse

PSNR = make_psnr()
STEADY = settings(deadline=None, derandomize=True)
PICTURES = arrays(np.uint8, (5, 7, 3))


def psnr(original: Image, reconstruction: Image) -> float:
    return PSNR.compare(PSNR.prepare(original), reconstruction)


def test_known_answers() -> None:
    black, white = np.zeros((9, 4, 3), np.uint8), np.full((9, 4, 3), 255, np.uint8)
    assert psnr(black, white) == 0
    assert psnr(black, black + np.uint8(1)) == pytest.approx(48.1308036, abs=1e-7)
    one_sample = black.copy()
    one_sample[3, 2, 1] = 255
    assert psnr(black, one_sample) == pytest.approx(10 * math.log10(9 * 4 * 3))


@given(original=PICTURES, reconstruction=PICTURES)
@STEADY
def test_the_error_is_exact_and_symmetric(original: Image, reconstruction: Image) -> None:
    error = mean_squared_error(original, reconstruction)
    squares = (original.astype(int) - reconstruction.astype(int)) ** 2
    assert error == int(squares.sum()) / squares.size
    assert error == mean_squared_error(reconstruction, original)


def test_a_large_error_does_not_overflow() -> None:
    assert mean_squared_error(np.zeros((2000, 1000, 3), np.uint8), np.full((2000, 1000, 3), 255, np.uint8)) == 255**2


@given(st.floats(1e-6, 255**2))
@STEADY
def test_ten_decibels_are_a_tenth_of_the_error(error: float) -> None:
    assert psnr_from_mse(error / 10) == pytest.approx(psnr_from_mse(error) + 10)
    assert psnr_from_mse(255**2) == 0


def test_identical_pictures_have_no_value(photo: Image) -> None:
    with pytest.raises(Undefined, match="identical"):
        psnr(photo, photo.copy())
    assert psnr_from_mse(0.0) == math.inf


@pytest.mark.parametrize("shape", [(4, 5, 3), (5, 4), (5, 4, 4), (0, 4, 3)])
def test_another_shape_is_an_error_and_no_number(shape: tuple[int, ...]) -> None:
    with pytest.raises(BenchmarkError) as caught:
        psnr(np.zeros((5, 4, 3), np.uint8), np.zeros(shape, np.uint8))
    assert not isinstance(caught.value, Undefined)
    with pytest.raises(BenchmarkError, match="float64"):
        psnr(np.zeros((5, 4, 3), np.uint8), np.zeros((5, 4, 3)))  # type: ignore[arg-type]
