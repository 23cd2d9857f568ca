"""The made images of an audit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmark.audit.pictures import SIZES, middle, odd_pictures


@given(st.integers(1, 40), st.integers(1, 40))
def test_odd_pictures_are_made_of_any_picture(height: int, width: int) -> None:
    source = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pictures = {picture.name: picture.image for picture in odd_pictures(source, 1)}
    assert len(pictures) == len(SIZES) + 8
    assert all(image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 for image in pictures.values())
    assert [pictures[f"{w}x{h}"].shape[:2] for h, w in SIZES] == list(SIZES)
    assert np.array_equal(pictures["grey"][..., 0], pictures["grey"][..., 2])
    assert len(np.unique(pictures["flat red"].reshape(-1, 3), axis=0)) == 1


def test_the_middle_is_what_lies_there() -> None:
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    assert np.array_equal(middle(image, 3), image[1:4, 2:5])
    assert np.array_equal(middle(image, 9), image)
