"""What can be done to an image before it is coded: the words behind `@` in a data set's name, `kodak@crop256`.

A preparation is one of `PREPARATIONS` and a number of pixels. It is part of a data set's fingerprint.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

SMALLEST, LARGEST = 1, 8192
"""The numbers of pixels that a preparation takes; a square of the largest is below `benchmark.images.MAX_PIXELS`."""


@dataclass(frozen=True)
class Preparation:
    """words: what it does, where N stands for the number. apply: of an RGB image and N; raises BenchmarkError."""

    words: str
    apply: "Callable[[Image, int], Image]"


def _square(image: "Image", side: int) -> "Image":
    """The centre square, ⌊(W − S)/2⌋ and ⌊(H − S)/2⌋ from left and top for S = min(W, H); then Lanczos to N×N.

    Lanczos is Pillow's, whose support grows with the ratio.
    """
    return _resized(_centre(image, min(image.size)), side, side)


def _crop(image: "Image", side: int) -> "Image":
    """The centre N×N, ⌊(W − N)/2⌋ and ⌊(H − N)/2⌋ from left and top. Raises BenchmarkError if there is no such part."""
    width, height = image.size
    if min(width, height) < side:
        raise BenchmarkError(f"{width}x{height} is smaller than {side}x{side}; crop{side} adds no borders")
    return _centre(image, side)


def _long(image: "Image", side: int) -> "Image":
    """The longer side of N pixels, the other one rounded to the nearest whole number, 1 at least; by Lanczos."""
    width, height = image.size
    longer = max(width, height)
    if longer <= side:
        return image
    return _resized(image, *(max(1, (2 * length * side + longer) // (2 * longer)) for length in (width, height)))


def _stretch(image: "Image", side: int) -> "Image":
    """N×N by bicubic (Pillow's, whose support grows with the ratio), whatever the shape was."""
    from PIL.Image import Resampling

    return image.resize((side, side), Resampling.BICUBIC)


def _centre(image: "Image", side: int) -> "Image":
    left, top = ((length - side) // 2 for length in image.size)
    return image.crop((left, top, left + side, top + side))


def _resized(image: "Image", width: int, height: int) -> "Image":
    from PIL.Image import Resampling

    return image.resize((width, height), Resampling.LANCZOS)


PREPARATIONS: Mapping[str, Preparation] = {
    "square": Preparation("the centre square, resized to N×N by Lanczos", _square),
    "crop": Preparation("the centre N×N; a smaller image fails, nothing is padded", _crop),
    "stretch": Preparation("N×N by bicubic, its shape not kept, as PerCo prepares MS-COCO", _stretch),
    "long": Preparation("the longer side made N by Lanczos; a smaller image stays as it is", _long),
}


def check_preparation(name: str) -> None:
    """Raises UsageError, which says what there is, unless `name` is a preparation and its number, such as "crop256"."""
    _parsed(name)


def prepare(image: "Image", name: str) -> "Image":
    """`image`, RGB, as `name` says; "none" leaves it alone. Raises BenchmarkError if the image is too small for it."""
    if name == "none":
        return image
    preparation, number = _parsed(name)
    return preparation.apply(image, number)


def _parsed(name: str) -> tuple[Preparation, int]:
    found = re.fullmatch(r"([a-z]+)([1-9][0-9]*)", name)
    if found is None or found[1] not in PREPARATIONS:
        there = "; ".join(f"@{known}N: {preparation.words}" for known, preparation in PREPARATIONS.items())
        raise UsageError(f"no preparation is named {name!r}; there are {there}")
    number = int(found[2]) if len(found[2]) < 9 else LARGEST + 1
    if not SMALLEST <= number <= LARGEST:
        raise UsageError(f"{name}: {found[1]} takes {SMALLEST} to {LARGEST} pixels")
    return PREPARATIONS[found[1]], number
