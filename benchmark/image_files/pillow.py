"""Pillow as it comes, whatever foreign code in this process has told or given it.

Pillow keeps its settings and its readers in variables of its modules. A codec that lets it take truncated files, takes
the limit off large ones, or registers a reader of its own for a format, changes them for everybody.
"""

import contextlib
import io
import threading
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    ImagePalette,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL import Image as Pillow

from benchmark.image_files import bmp

PIXELS = 89_478_485
"""Pillow's own limit: it warns of more, and refuses twice as many."""

MAX_PIXELS = 2 * PIXELS
"""More are taken for a decompression bomb, where Pillow itself refuses."""

SETTINGS: tuple[tuple[ModuleType, str, Any], ...] = (
    (Pillow, "MAX_IMAGE_PIXELS", PIXELS),
    (ImageFile, "LOAD_TRUNCATED_IMAGES", False),
    (ImageFile, "MAXBLOCK", 65536),
    (ImageFile, "SAFEBLOCK", 1 << 20),
    (TiffImagePlugin, "READ_LIBTIFF", False),
    (GifImagePlugin, "LOADING_STRATEGY", GifImagePlugin.LoadingStrategy.RGB_AFTER_FIRST),
    (AvifImagePlugin, "DECODE_CODEC_CHOICE", "auto"),
)
"""Module, name and value as Pillow comes with it, of what moves what is read."""

OWN: tuple[tuple[ModuleType, str, Any], ...] = (
    (PngImagePlugin, "MAX_TEXT_CHUNK", 1 << 26),
    (PngImagePlugin, "MAX_TEXT_MEMORY", 1 << 28),
)
"""Where Pillow's own would refuse sound images: the workflow of a program that made a PNG may be long."""

_READERS: Mapping[str, Callable[[io.BytesIO, str], ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}

_DECODERS = {
    "ppm": PpmImagePlugin.PpmDecoder,
    "ppm_plain": PpmImagePlugin.PpmPlainDecoder,
    "bmp_rle": BmpImagePlugin.BmpRleDecoder,
}

_INDICES = {1: "P;1", 4: "P;4", 8: "P"}
"""Pillow's name for samples, by the bits of an index."""

_LOCK = threading.RLock()


def opened(name: str, data: bytes) -> ImageFile.ImageFile:
    """The first image of a file of the format `name`, not decoded yet. Raises what Pillow's reader raises."""
    picture = _READERS[name](io.BytesIO(data), "")
    if name == "BMP":
        _with_palette(picture, data)
    return picture


def _with_palette(picture: ImageFile.ImageFile, data: bytes) -> None:
    """Gives a BMP of indices back the palette that Pillow drops where it is of greys in order: then Pillow takes the
    indices for levels, whatever their depth, and those of no colour too."""
    bits, start, size = bmp.colours(data)
    if bits not in _INDICES or not picture.tile:
        return
    tile = picture.tile[0]
    codec, place, arguments = tile.codec_name, tile.offset, tile.args
    if picture.mode != "P":
        stated = 1 << bits if size == 3 else int.from_bytes(data[46:50], "little") or 1 << bits
        palette = data[start : min(start + size * stated, place)]
        picture._mode = "P"
        picture.palette = ImagePalette.raw("BGRX" if size == 4 else "BGR", palette[: len(palette) // size * size])
        rest = arguments[1:] if isinstance(arguments, tuple) else ()
        picture.tile = [tile._replace(codec_name=codec, args=(_INDICES[bits], *rest))]


@contextlib.contextmanager
def as_it_comes() -> Iterator[None]:
    """Inside, Pillow's settings and decoders are its own; afterwards what they were before."""
    with _LOCK:
        settings = (*SETTINGS, *OWN)
        before = [getattr(module, name) for module, name, _ in settings]
        decoders = {name: Pillow.DECODERS.get(name) for name in _DECODERS}
        for module, name, value in settings:
            setattr(module, name, value)
        Pillow.DECODERS.update(_DECODERS)
        try:
            yield
        finally:
            for (module, name, _), value in zip(settings, before, strict=True):
                setattr(module, name, value)
            for name, decoder in decoders.items():
                if decoder is None:
                    del Pillow.DECODERS[name]
                else:
                    Pillow.DECODERS[name] = decoder
