"""What `@crop512` and the like do, and what is no preparation."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmark.errors import BenchmarkError, UsageError
from benchmark.preparations import LARGEST, PREPARATIONS, check_preparation, prepare


def random_image(height: int, width: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def prepared(image: npt.NDArray[np.uint8], name: str) -> npt.NDArray[np.uint8]:
    return np.asarray(prepare(Image.fromarray(image), name))


def test_crop_is_the_centre_untouched() -> None:
    image = random_image(21, 30)
    assert np.array_equal(prepared(image, "crop16"), image[2:18, 7:23])
    assert np.array_equal(prepared(image, "crop21"), image[:, 4:25])
    assert np.array_equal(prepared(image, "crop1"), image[10:11, 14:15])


def test_crop_pads_nothing() -> None:
    with pytest.raises(BenchmarkError, match="30x21 is smaller than 22x22; crop22 adds no borders"):
        prepared(random_image(21, 30), "crop22")


@pytest.mark.parametrize("side", [16, 20, 64])
def test_square_is_the_centre_square_by_lanczos(side: int) -> None:
    image = random_image(20, 31)
    centre = Image.fromarray(image[:, 5:25])
    assert np.array_equal(
        prepared(image, f"square{side}"), np.asarray(centre.resize((side, side), Image.Resampling.LANCZOS))
    )


def test_stretch_keeps_no_shape() -> None:
    image = random_image(21, 30)
    expected = Image.fromarray(image).resize((16, 16), Image.Resampling.BICUBIC)
    assert np.array_equal(prepared(image, "stretch16"), np.asarray(expected))


def test_long_shrinks_and_never_enlarges() -> None:
    image = random_image(20, 31)
    expected = Image.fromarray(image).resize((16, 10), Image.Resampling.LANCZOS)
    assert np.array_equal(prepared(image, "long16"), np.asarray(expected))
    for side in (31, 32, LARGEST):
        assert np.array_equal(prepared(image, f"long{side}"), image)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_long_keeps_the_shape(width: int, height: int, side: int) -> None:
    new = prepare(Image.new("RGB", (width, height)), f"long{side}").size
    assert max(new) == min(side, max(width, height))
    assert min(new) >= 1
    scale = max(new) / max(width, height)
    assert abs(min(new) - max(1, min(width, height) * scale)) <= 0.5


def test_none_leaves_an_image_alone() -> None:
    image = Image.fromarray(random_image(4, 5))
    assert prepare(image, "none") is image


@pytest.mark.parametrize(
    "name", ["crop", "256", "crop-3", "crop0", "crop016", "Crop16", "div64", "crop1.5", "none", ""]
)
def test_what_is_no_preparation_is_told_what_there_is(name: str) -> None:
    with pytest.raises(UsageError, match=r"there are @squareN: .*; @cropN: .*; @longN: "):
        check_preparation(name)


@pytest.mark.parametrize("name", ["crop8193", "long99999999999999999999"])
def test_numbers_beyond_sense(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: .* takes 1 to 8192 pixels"):
        check_preparation(name)


def test_each_has_words() -> None:
    assert all("N" in preparation.words for preparation in PREPARATIONS.values())
