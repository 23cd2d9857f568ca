"""What every metric expects of the images that it is given."""

from benchmark.errors import BenchmarkError
from benchmark.pixels import Image


def check_picture(image: Image) -> None:
    """Raises BenchmarkError if `image` is not (height, width, 3) uint8 with at least one pixel."""
    if image.dtype != "uint8" or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise BenchmarkError(f"an image must be (height, width, 3) uint8, this one is {image.shape} {image.dtype}")


def check_pair(original: tuple[int, int], reconstruction: Image) -> None:
    """Raises BenchmarkError if `reconstruction` is no image, or not of the original's (height, width)."""
    check_picture(reconstruction)
    height, width = reconstruction.shape[:2]
    if (height, width) != original:
        raise BenchmarkError(f"the reconstruction is {width}x{height} pixels, its original {original[1]}x{original[0]}")
