"""A codec around one of Pillow's formats: what the classical baselines are, and what HFD can build on."""

import contextlib
import io
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFile

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, CorruptStream, UsageError, one_line


@dataclass(frozen=True)
class PillowCodec:
    """A codec of `benchmark.codecs.Codec`'s shape around one of Pillow's formats.

    format: Pillow's name. lowest, highest: the numbers between which a quality lies. longest_side: in pixels, of
    images that the libraries both write and read. options: Pillow's arguments for writing. whole: whether bytes are,
    by their own account, one file of the format from the first byte to the last. libraries: name -> version. step: of
    the quality, 1 for integers; 0 where any number between will do. rate: Pillow's arguments that stand for a quality.
    """

    format: str
    qualities: tuple[float, ...]
    lowest: float
    highest: float
    longest_side: int
    options: Mapping[str, Any]
    whole: Callable[[bytes], bool]
    libraries: Mapping[str, str]
    step: float = 1
    rate: Callable[[float], Mapping[str, Any]] = lambda quality: {"quality": int(quality)}
    stochastic: bool = False

    @property
    def scale(self) -> tuple[float, float, float]:
        """(lowest, highest, step) of the quality."""
        return self.lowest, self.highest, self.step

    def encode(self, image: Image, quality: float) -> bytes:
        """A file of this format. quality: from `lowest` to `highest`, an integer if `step` is 1.

        Raises UsageError on another quality or array, BenchmarkError on an image too large for the format.
        """
        if not self.lowest <= quality <= self.highest or (self.step and quality != int(quality)):
            wanted = f"{'an integer' if self.step else 'a number'} from {self.lowest:g} to {self.highest:g}"
            raise UsageError(f"{self.format}: quality {quality:g} is not {wanted}")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise UsageError(f"{self.format}: not a uint8 RGB image but {image.dtype} of shape {image.shape}")
        height, width = image.shape[:2]
        if max(height, width) > self.longest_side:
            raise BenchmarkError(f"{self.format}: {width}x{height} pixels; no side may exceed {self.longest_side}")
        if Pillow.MAX_IMAGE_PIXELS is not None and height * width > 2 * Pillow.MAX_IMAGE_PIXELS:
            most = 2 * Pillow.MAX_IMAGE_PIXELS // 10**6
            raise BenchmarkError(f"{self.format}: {width}x{height} pixels; Pillow opens at most {most} megapixels")
        stream = io.BytesIO()
        try:
            Pillow.fromarray(image).save(stream, self.format, **self.rate(quality), **self.options)
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            raise BenchmarkError(
                f"{self.format}: {width}x{height} pixels cannot be coded: {one_line(error)}"
            ) from error
        return stream.getvalue()

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """The image, uint8 (H, W, 3). Raises CorruptStream on bytes that are no whole RGB file of this format."""
        with self._opened(data) as picture:
            return np.array(picture)

    def size(self, data: bytes) -> tuple[int, int]:
        """(height, width) as the file's header has them; no pixel is decoded. Raises as `decode` does."""
        with self._opened(data) as picture:
            return picture.height, picture.width

    @contextlib.contextmanager
    def _opened(self, data: bytes) -> Iterator[Pillow.Image]:
        """The image, its pixels not yet decoded; what goes wrong while they are is a CorruptStream too."""
        if ImageFile.LOAD_TRUNCATED_IMAGES:
            raise BenchmarkError("PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set: broken images would pass for right ones")
        if not self.whole(data):
            raise CorruptStream(f"{self.format}: {len(data)} bytes that are not one whole {self.format} file")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # `encode` writes such images
                picture = Pillow.open(io.BytesIO(data), formats=[self.format])
            if picture.mode != "RGB" or getattr(picture, "n_frames", 1) != 1:
                raise CorruptStream(f"{self.format}: an image of mode {picture.mode}, not one RGB image")
            yield picture
        except (OSError, SyntaxError, ValueError, RuntimeError, EOFError, struct.error, MemoryError) as error:
            raise CorruptStream(f"{self.format}: {len(data)} bytes cannot be decoded: {one_line(error)}") from error
        except Pillow.DecompressionBombError as error:
            raise CorruptStream(f"{self.format}: the stream speaks of an image too large to open") from error

    def describe(self) -> dict[str, Any]:
        """Format, settings as Pillow gets them, and the versions of the libraries at work."""
        return {"format": self.format, "settings": dict(self.options), "libraries": dict(self.libraries)}
