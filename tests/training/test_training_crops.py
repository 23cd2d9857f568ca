"""Crops of training images."""

import numpy as np
import pytest

from benchmark.errors import BenchmarkError
from benchmark.training.crops import PictureStore, random_crops


def store(*sides: tuple[int, int]) -> PictureStore:
    """Images whose values are their numbers, from 1."""
    pixels = [np.full(h * w * 3, n + 1, np.uint8) for n, (h, w) in enumerate(sides)]
    offsets = np.cumsum([0, *(len(one) for one in pixels[:-1])])
    return PictureStore(np.concatenate(pixels), tuple(int(o) for o in offsets), sides)


def test_images_that_are_too_small_for_a_crop_give_none() -> None:
    crops = random_crops(store((30, 90), (64, 70), (90, 31)), np.random.default_rng(1), 20, 64)
    assert crops.shape == (20, 3, 64, 64)
    assert set(((crops + 0.5) * 255).round().unique().tolist()) == {2.0}


def test_no_image_that_is_large_enough_is_one_line() -> None:
    with pytest.raises(BenchmarkError, match="no training image has a crop of 64x64 pixels"):
        random_crops(store((30, 90)), np.random.default_rng(1), 2, 64)
