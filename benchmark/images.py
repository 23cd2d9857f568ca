"""Any picture file -> uint8 RGB, and the honest refusal of what is not one.

| file | what happens |
| --- | --- |
| 8 bits a channel: RGB, grey, palette, two levels, YCbCr | RGB, each sample as the file holds it |
| fewer bits a channel: grey of 2 or 4, BMP of 5 or 6 | RGB, scaled to 0 to 255 |
| an alpha channel, or a transparent colour, that is opaque everywhere | dropped |
| transparency | refused: what is behind is not in the file |
| EXIF orientation | applied |
| ICC profile, gamma, primaries | passed over: the samples are coded as the file holds them |
| 16, 12 or 10 bits a channel, signed integers, floats | refused: to round them is a choice that moves numbers |
| CMYK, Lab, HSV | refused: the way to RGB is a choice that moves numbers |
| several frames or pages | refused; of a phone's MPO file the first picture is taken |
| a suffix that is not the content's | the content counts |
| empty, truncated, damaged, not one of `FORMATS` | refused |
| up to `MAX_PIXELS` | read, 1x1 and 1x3000 included |
| more | refused before anything is unpacked |
"""

import io
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFile, ImageOps, UnidentifiedImageError

from benchmark.addresses import Location, read_bytes
from benchmark.errors import BenchmarkError, one_line
from benchmark.formats import FORMATS
from benchmark.pixels import Image
from benchmark.preparations import prepare

MAX_PIXELS = 2 * (Pillow.MAX_IMAGE_PIXELS or 89_478_485)
"""More are taken for a decompression bomb: 178 megapixels, where Pillow itself refuses."""

_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "YCbCr"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})

_BITS_PER_SAMPLE, _SAMPLE_FORMAT = 258, 339
"""Tags of a TIFF file."""
_UNSIGNED, _UNKNOWN = 1, 4
"""Sample formats of TIFF that are whole numbers from 0 on; the others are signed, floats, or complex."""

_GREY_LEVELS = {"1": 1, "L;2": 3, "L;4": 15, "L": 255}
"""The highest sample of a grey PNG, by Pillow's name for its depth."""

_LOADING = threading.Lock()


def load_image(path: Location, preparation: str = "none") -> Image:
    """The image in `path`: uint8 (height, width, 3), RGB. Raises BenchmarkError with the file and the reason.

    path: of a file here, or its address.

    preparation: as `benchmark.preparations` has them, "crop256" say, or "none".
    """
    try:
        file = path if isinstance(path, Path) else io.BytesIO(read_bytes(path))
        with warnings.catch_warnings(), _whole_files_only():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # it comes at half of MAX_PIXELS
            warnings.simplefilter("ignore", UserWarning)  # of damaged metadata: the samples are what counts
            with Pillow.open(file, formats=FORMATS) as picture:
                return np.array(prepare(_rgb(file, picture), preparation), dtype=np.uint8)
    except BenchmarkError as error:
        raise error if str(path) in str(error) else type(error)(f"{path}: {error}") from None
    except FileNotFoundError:
        raise BenchmarkError(f"{path}: no such file") from None
    except Pillow.DecompressionBombError:
        raise BenchmarkError(f"{path}: more than {MAX_PIXELS} pixels, refused as a decompression bomb") from None
    except UnidentifiedImageError:
        raise BenchmarkError(f"{path}: not a picture ({', '.join(FORMATS)} are read)") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them stumble over
        raise BenchmarkError(f"{path}: cannot be read as a picture: {one_line(error)}") from None


def image_of(picture: Pillow.Image) -> Image:
    """A picture that Pillow holds, as `load_image` reads its file: uint8 (height, width, 3), RGB.

    One that was loaded before does not tell any more whether its file had 16 bits a channel. Raises BenchmarkError.
    """
    try:
        with _whole_files_only():
            return np.array(_rgb(None, picture), dtype=np.uint8)
    except BenchmarkError:
        raise
    except Exception as error:
        raise BenchmarkError(f"cannot be read as a picture: {one_line(error)}") from None


def png_bytes(image: Image) -> bytes:
    """A PNG file of uint8 (height, width, 3) RGB. zlib's level 3: a third of the default's time, few per cent more."""
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def write_png(path: Path, image: Image) -> None:
    """Writes uint8 (height, width, 3) RGB as a PNG; the file is whole or not there. Raises BenchmarkError."""
    write_file(path, png_bytes(image))


def write_file(path: Path, data: bytes) -> None:
    """Writes `data`; the file is whole or not there. Raises BenchmarkError that names the file and the reason.

    A link is followed, and what is no file, such as a device or a pipe, is written to and stays what it is.
    """
    try:
        if path.exists() and (path.is_relative_to("/dev") or not (path.is_file() or path.is_dir())):
            with path.open("wb") as device:
                device.write(data)
            return
        path = path.resolve()
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".partial-", delete=False) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).chmod(0o644)
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be written: {error.strerror or error}") from None


@contextmanager
def _whole_files_only() -> Iterator[None]:
    """Whatever foreign code has told Pillow, a truncated file is an error inside."""
    with _LOADING:
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def _rgb(file: Path | io.BytesIO | None, picture: Pillow.Image) -> Pillow.Image:
    """`picture`, opened from `file`, upright and in mode RGB. Raises BenchmarkError with the reason for a refusal."""
    _refuse(file, picture)
    _scale_transparency(picture)
    picture.load()
    upright = ImageOps.exif_transpose(picture)
    if upright.has_transparency_data and np.asarray(upright.convert("RGBA"))[..., 3].min() < 255:
        raise BenchmarkError("has transparent parts; flatten it onto a background first")
    return upright if upright.mode == "RGB" else upright.convert("RGB")


def _refuse(file: Path | io.BytesIO | None, picture: Pillow.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise BenchmarkError(f"{width}x{height} is more than {MAX_PIXELS} pixels")
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":
        raise BenchmarkError(f"{frames} frames or pages; a picture has one")
    if picture.mode in ("I", "F") or picture.mode.startswith("I;") or _is_deep(file, picture):
        raise BenchmarkError("more than 8 bits a channel; convert it to 8 bits first")
    if picture.mode not in _PLAIN_MODES | _ALPHA_MODES:
        raise BenchmarkError(f"colour mode {picture.mode}; convert it to RGB first")
    formats = getattr(picture, "tag_v2", {}).get(_SAMPLE_FORMAT, ())
    if any(number not in (_UNSIGNED, _UNKNOWN) for number in formats):
        raise BenchmarkError("samples that are no unsigned integers; convert it to 8 bits first")


def _is_deep(file: Path | io.BytesIO | None, picture: Pillow.Image) -> bool:
    """Whether Pillow would cut 16 bits a channel to 8 without a word, as it does for RGB in PNG, TIFF and PPM."""
    if picture.format == "AVIF":
        return file is not None and _avif_is_deep(file)
    if picture.format == "BMP":
        return False  # "BGR;16" there are 16 bits a pixel
    if any(bits > 8 for bits in getattr(picture, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())):
        return True  # the tiles of planes say nothing of it
    for tile in getattr(picture, "tile", ()):
        codec, _, _, arguments = tile
        parts: tuple[Any, ...] = arguments if isinstance(arguments, tuple) else (arguments,)
        if any(isinstance(part, str) and ";16" in part for part in parts):
            return True
        if codec in ("ppm", "ppm_plain") and any(isinstance(part, int) and part > 255 for part in parts):
            return True
    return False


def _avif_is_deep(file: Path | io.BytesIO) -> bool:
    """high_bitdepth of the AV1 codec configuration box (AV1 in ISOBMFF, section 2.3.3)."""
    if isinstance(file, Path):
        with file.open("rb") as opened:
            head = opened.read(4096)
    else:
        head = file.getvalue()[:4096]
    box = head.find(b"av1C")
    return 0 <= box < len(head) - 6 and bool(head[box + 6] & 0x40)


def _scale_transparency(picture: Pillow.Image) -> None:
    """Puts the transparent level of a PNG of 2 or 4 bits on the scale of its samples, which Pillow alone does not.

    Of a level or colour the low bits count, as many as a sample has (PNG, section 11.3.1.1, tRNS).
    """
    key = picture.info.get("transparency")
    tiles = getattr(picture, "tile", ())
    if picture.format != "PNG" or not tiles or key is None:
        return
    if isinstance(key, tuple):
        picture.info["transparency"] = tuple(level & 255 for level in key)
    elif picture.mode == "L" and (highest := _GREY_LEVELS.get(str(tiles[0][3]))):
        picture.info["transparency"] = (key & highest) * (255 // highest)
