"""What an audited codec is given: some images of a data set, and made ones of odd sizes and contents."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.codecs import Image
from benchmark.datasets import Dataset
from benchmark.images import load_image

MAX_SIDE = 768
"""Of a data set's image as it is audited; of larger ones the middle is taken."""


@dataclass(frozen=True)
class AuditPicture:
    """A named image, uint8 (height, width, 3). odd: of a size or content that codecs stumble over."""

    name: str
    image: Image
    odd: bool = False


def ordinary_pictures(dataset: Dataset) -> list[AuditPicture]:
    """The images of `dataset`, prepared as it says, at most `MAX_SIDE` in each direction. Raises BenchmarkError."""
    images = (load_image(picture.path, dataset.preparation) for picture in dataset.pictures)
    return [
        AuditPicture(picture.name, middle(image, MAX_SIDE))
        for picture, image in zip(dataset.pictures, images, strict=True)
    ]


def middle(image: Image, side: int) -> Image:
    """The middle of `image`, at most `side` high and wide."""
    height, width = image.shape[:2]
    top, left = max(0, height - side) // 2, max(0, width - side) // 2
    return np.ascontiguousarray(image[top : top + side, left : left + side])


SIZES: Sequence[tuple[int, int]] = (
    (1, 1),
    (1, 2),
    (2, 1),
    (3, 3),
    (7, 5),
    (16, 17),
    (33, 31),
    (1, 300),
    (300, 1),
    (63, 65),
    (127, 129),
)
"""(height, width): tiny, odd, thin, and on both sides of the blocks and strides that codecs work in."""


RANDOM = "random"
"""An image of independent samples that nobody can know before the audit: it takes all of its bits."""


def odd_pictures(source: Image, seed: int) -> list[AuditPicture]:
    """Cuts of `source` in all `SIZES`, repeated where it is smaller; grey, flat, and extreme images of 64x64; black
    in another shape of as many samples; and an image of random samples. seed: of these."""
    cuts = [AuditPicture(f"{width}x{height}", _cut(source, height, width), True) for height, width in SIZES]
    piece = _cut(source, 64, 64)
    grey = np.repeat(piece.mean(axis=2, keepdims=True).round().astype(np.uint8), 3, axis=2)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    contents = {
        "grey": grey,
        "black": _flat(0, 0, 0),
        "black, 128x32": _flat(0, 0, 0).reshape(32, 128, 3),
        "white": _flat(255, 255, 255),
        "flat red": _flat(255, 0, 0),
        "noise": noise,
        "checkerboard": np.repeat(checks[..., None], 3, axis=2),
        RANDOM: np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8),
    }
    return cuts + [AuditPicture(name, image, True) for name, image in contents.items()]


def _cut(source: Image, height: int, width: int) -> Image:
    rows = np.arange(height) % source.shape[0]
    columns = np.arange(width) % source.shape[1]
    return np.ascontiguousarray(source[rows[:, None], columns])


def _flat(red: int, green: int, blue: int) -> Image:
    return np.tile(np.array([red, green, blue], np.uint8), (64, 64, 1))
