"""Which part of an image a distance comes from."""

import numpy as np
import numpy.typing as npt
import pytest

from benchmark.metrics import SetMetric, open_metric
from benchmark.pixels import Image
from benchmark.studies import detail
from benchmark.studies.detail import VARIANTS, Parts, vary


@pytest.fixture(scope="module")
def pair() -> tuple[Image, Image]:
    """An original, and an image of other luma and chroma, neither near black nor white."""
    generator = np.random.default_rng(0)
    original, image = generator.integers(90, 160, (2, 40, 48, 3), dtype=np.uint8)
    return image, original


def luma(image: Image) -> npt.NDArray[np.float64]:
    return image.astype(np.float64).sum(2) / 3**0.5


def chroma(image: Image) -> npt.NDArray[np.float64]:
    return image - image.mean(2, keepdims=True)


def test_parts_of_the_original(pair: tuple[Image, Image]) -> None:
    """Chroma moves no luma, luma no chroma, and its two parts together are the whole; within rounding to 8 bits."""
    image, original = pair
    _, with_chroma, with_fine, with_coarse, *_ = (vary(image, original, variant) for variant in VARIANTS.values())
    assert np.abs(luma(with_chroma) - luma(image)).max() < 1
    assert np.abs(chroma(with_chroma) - chroma(original)).max() < 1.01
    assert np.abs(chroma(with_fine) - chroma(image)).max() < 1.01
    whole = luma(with_fine) + luma(with_coarse) - luma(image)
    assert np.abs(whole - luma(original)).max() < 2
    fine, coarse = np.abs(luma(with_fine) - luma(image)), np.abs(luma(with_coarse) - luma(image))
    assert fine.max() > coarse.max() > 3


def test_what_is_smooth_stays(pair: tuple[Image, Image]) -> None:
    flat = np.full((40, 48, 3), (20, 130, 240), np.uint8)
    for name in list(VARIANTS)[4:]:
        assert "smoothed" in name
        assert np.array_equal(vary(flat, pair[1], VARIANTS[name]), flat)


def test_the_original_itself_has_no_distance(pair: tuple[Image, Image]) -> None:
    metric = open_metric("fd-effnet@whole")
    assert isinstance(metric, SetMetric)
    found = list(detail.distances(metric, pair, pair).values())
    for distance, psnr in found[:4]:
        assert abs(distance) < 1e-3
        assert psnr == float("inf")
    assert all(distance > 1 and psnr < 40 for distance, psnr in found[4:])


def test_lines() -> None:
    found = Parts("mse", 1.0, 2, "photos", "fd-effnet", {"as it is": (23.4567, 30.0), "smoother": (1.0, float("inf"))})
    assert list(detail.lines([found])) == [
        "mse, quality 1, 2 images of photos",
        f"  {'as it is':55} fd-effnet   23.46   PSNR 30.00 dB",
        f"  {'smoother':55} fd-effnet       1   PSNR inf dB",
    ]
