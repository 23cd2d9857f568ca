"""Any picture file -> uint8 RGB, and the honest refusal of what is not one.

| file | what happens |
| --- | --- |
| 8 bits a channel: RGB, grey, palette, two levels, YCbCr | RGB, each sample as the file holds it |
| an alpha channel, or a transparent colour, that is opaque everywhere | dropped |
| transparency | refused: what is behind is not in the file |
| EXIF orientation | applied |
| ICC profile, gamma, primaries | passed over: the samples are coded as the file holds them |
| 16, 12 or 10 bits a channel, integers of 32 bits, floats | refused: to round them is a choice that moves numbers |
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
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from benchmark.addresses import Location, read_bytes
from benchmark.errors import BenchmarkError, one_line

MAX_PIXELS = 2 * (Pillow.MAX_IMAGE_PIXELS or 89_478_485)
"""More are taken for a decompression bomb: 178 megapixels, where Pillow itself refuses."""

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "PPM", "GIF")
"""Others are not tried: some run other programs (EPS), of some Pillow does not tell the depth (JPEG 2000)."""

_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "YCbCr"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})


def _square256(picture: Pillow.Image) -> Pillow.Image:
    """The centre square, ⌊(W − S)/2⌋ and ⌊(H − S)/2⌋ from left and top for S = min(W, H); then Lanczos to 256x256."""
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return square.resize((256, 256), Pillow.Resampling.LANCZOS)


PREPARATIONS: Mapping[str, Callable[[Pillow.Image], Pillow.Image]] = {"square256": _square256}
"""What can be done to an RGB picture before it is coded. Lanczos is Pillow's, whose support grows with the ratio."""


def load_image(path: Location, preparation: str = "none") -> npt.NDArray[np.uint8]:
    """The picture in `path`: uint8 (height, width, 3), RGB. Raises BenchmarkError with the file and the reason.

    path: of a file here, or its address.

    preparation: a name of `PREPARATIONS`, or "none".
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # it comes at half of MAX_PIXELS
            warnings.simplefilter("ignore", UserWarning)  # of damaged metadata: the samples are what counts
            file = path if isinstance(path, Path) else io.BytesIO(read_bytes(path))
            with Pillow.open(file, formats=FORMATS) as picture:
                _refuse(path, file, picture)
                picture.load()
                upright = ImageOps.exif_transpose(picture)
                rgb = _to_rgb(path, upright)
                return np.array(rgb if preparation == "none" else PREPARATIONS[preparation](rgb), dtype=np.uint8)
    except BenchmarkError:
        raise
    except FileNotFoundError:
        raise BenchmarkError(f"{path}: no such file") from None
    except Pillow.DecompressionBombError:
        raise BenchmarkError(f"{path}: more than {MAX_PIXELS} pixels, refused as a decompression bomb") from None
    except UnidentifiedImageError:
        raise BenchmarkError(f"{path}: not a picture ({', '.join(FORMATS)} are read)") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them stumble over
        raise BenchmarkError(f"{path}: cannot be read as a picture: {one_line(error)}") from None


def png_bytes(image: npt.NDArray[np.uint8]) -> bytes:
    """A PNG file of uint8 (height, width, 3) RGB. zlib's level 3: a third of the default's time, few per cent more."""
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def write_png(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Writes uint8 (height, width, 3) RGB as a PNG; the file is whole or not there. Raises BenchmarkError."""
    write_file(path, png_bytes(image))


def write_file(path: Path, data: bytes) -> None:
    """Writes `data`; the file is whole or not there. Raises BenchmarkError that names the file and the reason."""
    try:
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


def _refuse(path: Location, file: Path | io.BytesIO, picture: Pillow.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise BenchmarkError(f"{path}: {width}x{height} is more than {MAX_PIXELS} pixels")
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":
        raise BenchmarkError(f"{path}: {frames} frames or pages; a picture has one")
    if picture.mode in ("I", "F") or picture.mode.startswith("I;") or _is_deep(file, picture):
        raise BenchmarkError(f"{path}: more than 8 bits a channel; convert it to 8 bits first")
    if picture.mode not in _PLAIN_MODES | _ALPHA_MODES:
        raise BenchmarkError(f"{path}: colour mode {picture.mode}; convert it to RGB first")


def _is_deep(file: Path | io.BytesIO, picture: Pillow.Image) -> bool:
    """Whether Pillow would cut 16 bits a channel to 8 without a word, as it does for RGB in PNG, TIFF and PPM."""
    if picture.format == "AVIF":
        return _avif_is_deep(file)
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


def _to_rgb(path: Location, picture: Pillow.Image) -> Pillow.Image:
    if picture.has_transparency_data and np.asarray(picture.convert("RGBA"))[..., 3].min() < 255:
        raise BenchmarkError(f"{path}: has transparent parts; flatten it onto a background first")
    return picture if picture.mode == "RGB" else picture.convert("RGB")
