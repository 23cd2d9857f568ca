"""Crops of photographs that come with the suite, degraded here from NumPy and SciPy alone.

Their pixels are known by their hash, so that a value of a metric that moves is the metric's doing.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmark.datasets.shipped import FOLDER
from benchmark.images import load_image
from benchmark.metrics.luma import JPEG_LUMINANCE
from benchmark.pixels import Image

PHOTOS = ("gcompris-polar-bear", "mate-garden", "budgie-roman-colosseum", "plasma-path")
SIDE = 256
"""Of the square that is cut from the middle of each photograph."""
SIDE_OF_SETS = 512
"""The same for metrics of sets, which look at patches."""


def blocks(image: Image) -> Image:
    """8×8 DCT coefficients of each channel, rounded as JPEG at quality 20 rounds those of luminance."""
    from scipy.fft import dctn, idctn

    table = np.clip(np.floor((JPEG_LUMINANCE * 250 + 50) / 100), 1, 255)[:, :, None]
    height, width = image.shape[:2]
    parts = image.reshape(height // 8, 8, width // 8, 8, 3).swapaxes(1, 2).astype(np.float64) - 128
    coefficients = np.rint(dctn(parts, axes=(2, 3), norm="ortho") / table) * table
    back = idctn(coefficients, axes=(2, 3), norm="ortho")
    return _image(back.swapaxes(1, 2).reshape(height, width, 3) + 128)


def blur(image: Image) -> Image:
    """Under a Gaussian of 1.5 pixels."""
    from scipy.ndimage import gaussian_filter

    return _image(gaussian_filter(image.astype(np.float64), (1.5, 1.5, 0), mode="nearest"))


def noise(image: Image) -> Image:
    """With Gaussian noise of 12 grey levels, from a generator whose numbers never change."""
    return _image(image + np.random.RandomState(26).normal(0, 12, image.shape))


DEGRADATIONS: Mapping[str, Callable[[Image], Image]] = {"blocks": blocks, "blur": blur, "noise": noise}


def _image(samples: Any) -> Image:
    result: Image = np.clip(np.rint(samples), 0, 255).astype(np.uint8)
    return result


def photo(name: str, side: int = SIDE) -> Image:
    """The middle side × side of a shipped photograph."""
    image = load_image(FOLDER / f"{name}.png")
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return np.ascontiguousarray(image[top : top + side, left : left + side])
