import numpy as np
import PIL.Image
import pytest
from degradation import noisy

from benchmark.codecs import Image
from benchmark.datasets.shipped import FOLDER


@pytest.fixture(scope="session")
def photos() -> dict[str, Image]:
    """Four of the photographs that come with the suite, 768x512."""
    names = ("gcompris-polar-bear", "mate-garden", "budgie-roman-colosseum", "plasma-path")
    return {name: np.array(PIL.Image.open(FOLDER / f"{name}.png").convert("RGB")) for name in names}


@pytest.fixture(scope="session")
def photo(photos: dict[str, Image]) -> Image:
    return photos["mate-garden"]


@pytest.fixture(scope="session")
def degraded(photo: Image) -> Image:
    return noisy(photo, 8)
