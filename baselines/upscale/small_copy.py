"""The small copy: the image at a fraction of its size by a Lanczos filter, as a file of AVIF or JPEG XL.

An image whose sides are no multiples of the factor is continued by its last row and column first, so that each pixel of
the copy stands for a whole square; what is too much is cut off after decoding.
"""

import functools

import numpy as np
from PIL import Image as Pillow

from benchmark.baselines import classical
from benchmark.baselines.upscale.container import Container
from benchmark.errors import CorruptStream
from benchmark.pillow_codec import PillowCodec
from benchmark.pixels import Image

QUALITIES = {"avif": (5.0, 20.0, 35.0, 50.0, 65.0, 80.0), "jxl": (0.0, 20.0, 40.0, 60.0, 75.0, 85.0)}
"""By default."""


@functools.cache
def codec_of_copy(form: str) -> PillowCodec:
    """The suite's `avif` or `jxl`. Raises BenchmarkError where Pillow cannot write it."""
    return classical.avif() if form == "avif" else classical.jxl()


def size_of_copy(height: int, width: int, factor: int) -> tuple[int, int]:
    """(height, width) of the copy."""
    return -(-height // factor), -(-width // factor)


def shrink(image: Image, factor: int) -> Image:
    """uint8 (H, W, 3) -> the copy, uint8 (⌈H/factor⌉, ⌈W/factor⌉, 3)."""
    height, width = image.shape[:2]
    rows, columns = size_of_copy(height, width, factor)
    margins = ((0, factor * rows - height), (0, factor * columns - width), (0, 0))
    return _resized(np.pad(image, margins, mode="edge"), rows, columns)


def enlarge(copy: Image, factor: int, height: int, width: int) -> Image:
    """uint8 (h, w, 3) -> uint8 (height, width, 3): the Lanczos filter again, and the margins cut off."""
    rows, columns = copy.shape[:2]
    return np.ascontiguousarray(_resized(copy, factor * rows, factor * columns)[:height, :width])


def fitted(enlarged: Image, rows: int, columns: int, height: int, width: int) -> Image:
    """What a network made, as large as its own factor made it, brought to (rows, columns) by the Lanczos filter if it
    is not, and cut to (height, width)."""
    if enlarged.shape[:2] != (rows, columns):
        enlarged = _resized(enlarged, rows, columns)
    return np.ascontiguousarray(enlarged[:height, :width])


def check_copy(container: Container) -> None:
    """Raises CorruptStream if the stream's copy is no file of its format, or of another size than the image asks for.

    No pixel of it is decoded.
    """
    found = codec_of_copy(container.format).size(container.copy)
    wanted = size_of_copy(container.height, container.width, container.factor)
    if found != wanted:
        raise CorruptStream(
            f"the stream's copy is {found[1]}x{found[0]}, an image of {container.width}x{container.height} has one of "
            f"{wanted[1]}x{wanted[0]}"
        )


def decode_copy(container: Container) -> Image:
    """The copy, uint8 (h, w, 3). Raises CorruptStream as `check_copy` does, and on a damaged file."""
    check_copy(container)
    return codec_of_copy(container.format).decode(container.copy)


def _resized(image: Image, rows: int, columns: int) -> Image:
    if image.shape[:2] == (rows, columns):
        return image
    return np.array(Pillow.fromarray(image).resize((columns, rows), Pillow.Resampling.LANCZOS))
