"""Any image file -> uint8 RGB, and the honest refusal of what is not one.

`benchmark.image_files.rules` says in words what is made of each kind of file.
"""

import hashlib
import io
import os
import re
import stat
import struct
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, TiffImagePlugin

from benchmark import image_files
from benchmark.addresses import Location, read_bytes
from benchmark.errors import BenchmarkError, one_line, printable
from benchmark.files import write_file
from benchmark.formats import FORMATS
from benchmark.image_files import jpeg, tiff, webp
from benchmark.image_files.deflated import left_over
from benchmark.image_files.fields import damaged, too_deep
from benchmark.image_files.pillow import MAX_PIXELS as MAX_PIXELS
from benchmark.image_files.pillow import as_it_comes, opened
from benchmark.pixels import Image
from benchmark.preparations import prepare

MAX_BYTES = 8 * MAX_PIXELS
"""Of a file: no image of `MAX_PIXELS` needs as many."""

_UNDECODABLE = "damaged, or of a compression that Pillow here does not know"
"""In the place of a decoder's number."""

_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "YCbCr"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_INDEXED_MODES = frozenset({"P", "PA"})

_ORIENTATION = 274
_XMP = frozenset({"xmp", "XML:com.adobe.xmp"})
"""Where Pillow keeps XMP: bytes, or text."""
_XMP_ORIENTATION = re.compile(r"""tiff:Orientation\s*(?:=\s*["']|>)\s*([1-8])""")
"""As XML may write it; Pillow knows the plainest way alone."""

_GREY_LEVELS = {"1": 1, "L;2": 3, "L;4": 15, "L": 255}
"""The highest sample of a grey PNG, by Pillow's name for its depth."""


def load_image(path: Location, preparation: str = "none", sha256: str | None = None) -> Image:
    """The image in `path`: uint8 (height, width, 3), RGB. Raises BenchmarkError with the file and the reason.

    path: of a file here, or its address.

    preparation: as `benchmark.preparations` has them, "crop256" say, or "none".

    sha256: what the file has to have, of whoever knows; None for whatever lies there.
    """
    place = printable(str(path))
    try:
        data = _content(path)
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise BenchmarkError("has changed since the data set was opened: its SHA-256 is another one")
        with warnings.catch_warnings(), as_it_comes():
            warnings.simplefilter("ignore")  # of damaged metadata: the samples are what counts
            return np.array(prepare(_decoded(data), preparation), dtype=np.uint8)
    except BenchmarkError as error:
        raise error if str(path) in str(error) else type(error)(f"{place}: {error}") from None
    except FileNotFoundError:
        raise BenchmarkError(f"{place}: no such file") from None
    except Pillow.DecompressionBombError:
        raise BenchmarkError(f"{place}: more than {MAX_PIXELS} pixels, refused as a decompression bomb") from None
    except OSError as error:
        reason = error.strerror or re.sub(r"decoder error -\d+", _UNDECODABLE, one_line(error))
        raise BenchmarkError(f"{place}: cannot be read as an image: {reason}") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them stumble over
        raise BenchmarkError(f"{place}: cannot be read as an image: {one_line(error)}") from None


def image_of(picture: Pillow.Image) -> Image:
    """An image that Pillow holds, as `load_image` reads its file: uint8 (height, width, 3), RGB.

    One that was loaded before does not tell any more whether its file had 16 bits a channel. Raises BenchmarkError.
    """
    try:
        with as_it_comes():
            _refuse_held(picture)
            return np.array(_rgb(picture), dtype=np.uint8)
    except BenchmarkError:
        raise
    except Exception as error:
        raise BenchmarkError(f"cannot be read as an image: {one_line(error)}") from None


def png_bytes(image: Image) -> bytes:
    """A PNG file of uint8 (height, width, 3) RGB. zlib's level 3: a third of the default's time, few per cent more."""
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def write_png(path: Path, image: Image) -> None:
    """Writes uint8 (height, width, 3) RGB as a PNG; the file is whole or not there. Raises as `write_file`."""
    write_file(path, png_bytes(image))


def _content(path: Location) -> bytes:
    """The bytes of an image file. Raises BenchmarkError on what is none, before more than its beginning is read."""
    if isinstance(path, str):
        data = read_bytes(path)
        _format(data[: image_files.HEAD])
        return data
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
            raise BenchmarkError("not an image: it is no file")
        head = file.read(image_files.HEAD)
        _format(head)
        rest = file.read(MAX_BYTES)
        if len(rest) == MAX_BYTES:
            raise BenchmarkError(f"more than {MAX_BYTES} bytes; no image of up to {MAX_PIXELS} pixels has as many")
        return head + rest


def _format(head: bytes) -> str:
    name = image_files.format_of(head)
    if name is None:
        reason = image_files.pointer(head) or (f"{', '.join(FORMATS)} are read" if head else "the file is empty")
        raise BenchmarkError(f"not an image: {reason}")
    return name


def _decoded(data: bytes) -> Pillow.Image:
    """The image of a file, upright and in mode RGB. Raises BenchmarkError with the reason for a refusal."""
    name = _format(data[: image_files.HEAD])
    try:
        picture = opened(name, data)
    except (SyntaxError, IndexError, TypeError, struct.error) as error:  # Pillow's words for "not of this format"
        image_files.check(name, data)
        raise BenchmarkError(f"cannot be read as an image: {name}, {one_line(error)}") from None
    with picture:
        _refuse(picture)
        image_files.check(name, data)
        rgb = _rgb(picture)
        if name == "JPEG":
            _check_jpeg(picture, data)
        if name == "WEBP":
            _check_needed(name, picture, webp.shortened(data))
    if name == "TIFF":
        for stream in tiff.jpeg_streams(data):
            _check_jpeg(opened("JPEG", stream), stream)
        if tiff.is_fax(data):
            _check_complete(name, opened(name, data), [tiff.padded(data, noise) for noise in jpeg.NOISES])
    return rgb


def _check_jpeg(picture: Pillow.Image, data: bytes) -> None:
    _check_complete("JPEG", picture, [jpeg.padded(data, noise) for noise in jpeg.NOISES])
    _check_needed("JPEG", picture, jpeg.shortened(data))


def _check_needed(name: str, picture: Pillow.Image, shortened: Sequence[bytes]) -> None:
    """Raises BenchmarkError if the last data is needed for no sample: it is of rows beyond those of the header.

    shortened: the file of `picture` without that data.
    """
    if not shortened:
        return
    samples = np.asarray(picture)
    for data in shortened:
        try:
            if not np.array_equal(samples, np.asarray(opened(name, data))):
                return
        except (OSError, SyntaxError, ValueError, IndexError, EOFError, struct.error):  # it is missed
            return
    raise left_over()


def _check_complete(name: str, picture: Pillow.Image, padded: Iterable[bytes]) -> None:
    """Raises BenchmarkError if a decoder reads beyond the data: then the samples, or an error, depend on the noise.

    padded: the file of `picture` with noise behind its data, for decoders that do not miss the end of it.
    """
    samples = np.asarray(picture)
    try:
        complete = all(np.array_equal(samples, np.asarray(opened(name, data))) for data in padded)
    except Exception:  # whatever noise makes a decoder stumble over
        complete = False
    if not complete:
        raise damaged("its data ends too early, before the last samples")


def _rgb(picture: Pillow.Image) -> Pillow.Image:
    """`picture`, upright and in mode RGB. Raises BenchmarkError with the reason for a refusal."""
    _scale_transparency(picture)
    picture.load()
    _check_indices(picture)
    upright = _upright(picture)
    if upright.has_transparency_data and np.asarray(upright.convert("RGBA"))[..., 3].min() < 255:
        raise BenchmarkError("has transparent parts; flatten it onto a background first")
    return upright if upright.mode == "RGB" else upright.convert("RGB")


def _upright(picture: Pillow.Image) -> Pillow.Image:
    """Turned as its EXIF says; metadata that cannot be read say nothing, the samples are what counts.

    AVIF has properties for that, of which Pillow makes EXIF; its XMP turns nothing (ISO/IEC 23000-22, 7.3.6).
    """
    own = picture.info
    if picture.format == "AVIF":
        picture.info = {key: value for key, value in own.items() if key not in _XMP}
    try:
        exif = picture.getexif()
    except (SyntaxError, ValueError, struct.error, KeyError, TypeError, IndexError, EOFError):
        return picture
    finally:
        picture.info = own
    if _ORIENTATION not in exif and (said := _orientation_in_xmp(picture)):
        exif[_ORIENTATION] = said
    return ImageOps.exif_transpose(picture)


def _orientation_in_xmp(picture: Pillow.Image) -> int:
    """Of an image that comes from a file; 0 if none is said. By its own tag, Pillow turns a TIFF as it
    is loaded."""
    if picture.format in (None, "AVIF", "TIFF"):
        return 0
    for value in (picture.info[key] for key in _XMP.intersection(picture.info)):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        if found := _XMP_ORIENTATION.search(text):
            return int(found[1])
    return 0


def _check_indices(picture: Pillow.Image) -> None:
    """Raises BenchmarkError on indices without a colour, which Pillow alone makes black."""
    if picture.mode in _INDEXED_MODES and picture.palette is not None:
        colours = len(picture.palette.palette) // len(picture.palette.mode)
        highest = int(np.asarray(picture.getchannel(0)).max())
        if colours and highest >= colours:
            raise damaged(f"an index of {highest} in a palette of {colours} colours")


def _refuse(picture: Pillow.Image) -> None:
    """Raises BenchmarkError for what Pillow itself tells of an image, decoded or not."""
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise BenchmarkError(f"{width}x{height} is more than {MAX_PIXELS} pixels")
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":
        raise BenchmarkError(f"{frames} frames or pages; an image has one")
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        tiff.check_meaning(picture.tag_v2, picture.mode)
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        raise too_deep()
    if picture.mode not in _PLAIN_MODES | _ALPHA_MODES:
        raise BenchmarkError(f"colour mode {picture.mode}; convert it to RGB first")


def _refuse_held(picture: Pillow.Image) -> None:
    """As `_refuse`, of an image whose file is not at hand: what Pillow still tells of the samples."""
    _refuse(picture)
    tags = getattr(picture, "tag_v2", {})
    if any(bits > 8 for bits in tags.get(tiff.BITS, ())):
        raise too_deep()
    for codec, _, _, arguments in getattr(picture, "tile", ()):
        parts = arguments if isinstance(arguments, tuple) else (arguments,)
        deep = codec in ("ppm", "ppm_plain") and any(isinstance(part, int) and part > 255 for part in parts)
        if picture.format != "BMP" and (deep or any(isinstance(part, str) and ";16" in part for part in parts)):
            raise too_deep()


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
