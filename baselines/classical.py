"""JPEG, WebP, AVIF, JPEG XL and JPEG 2000 as Pillow codes them: plain files of these formats, which any viewer opens.

None of the formats carries a checksum. A stream that is cut short, has bytes behind its end or is of another format is
refused; a changed byte among the coded coefficients can decode to another picture without notice. One exception: a bare
JPEG XL codestream does not say how long it is, and its decoder passes over bytes behind the end.
"""

import contextlib
import importlib.metadata
import io
import math
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL
from PIL import AvifImagePlugin, ImageFile, features
from PIL import Image as Pillow

from benchmark.codecs import Image, reject_unknown
from benchmark.errors import BenchmarkError, CorruptStream, UsageError

SUBSAMPLINGS = ("4:2:0", "4:2:2", "4:4:4")


@dataclass(frozen=True)
class PillowCodec:
    """A codec of `benchmark.codecs.Codec`'s shape around one of Pillow's formats.

    format: Pillow's name. lowest, highest: the numbers between which a quality lies. longest_side: in pixels, of
    pictures that the libraries both write and read. options: Pillow's arguments for writing. whole: whether bytes are,
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

        Raises UsageError on another quality or array, BenchmarkError on a picture too large for the format.
        """
        if not self.lowest <= quality <= self.highest or (self.step and quality != int(quality)):
            wanted = f"{'an integer' if self.step else 'a number'} from {self.lowest:g} to {self.highest:g}"
            raise UsageError(f"{self.format}: quality {quality:g} is not {wanted}")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise UsageError(f"{self.format}: not a uint8 RGB picture but {image.dtype} of shape {image.shape}")
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
            raise BenchmarkError(f"{self.format}: {width}x{height} pixels cannot be coded: {error}") from error
        return stream.getvalue()

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """The picture, uint8 (H, W, 3). Raises CorruptStream on bytes that are no whole RGB file of this format."""
        with self._opened(data) as picture:
            return np.array(picture)

    def size(self, data: bytes) -> tuple[int, int]:
        """(height, width) as the file's header has them; no pixel is decoded. Raises as `decode` does."""
        with self._opened(data) as picture:
            return picture.height, picture.width

    @contextlib.contextmanager
    def _opened(self, data: bytes) -> Iterator[Pillow.Image]:
        """The picture, its pixels not yet decoded; what goes wrong while they are is a CorruptStream too."""
        if ImageFile.LOAD_TRUNCATED_IMAGES:
            raise BenchmarkError(
                "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set: broken pictures would pass for right ones"
            )
        if not self.whole(data):
            raise CorruptStream(f"{self.format}: {len(data)} bytes that are not one whole {self.format} file")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # `encode` writes such pictures
                picture = Pillow.open(io.BytesIO(data), formats=[self.format])
            if picture.mode != "RGB" or getattr(picture, "n_frames", 1) != 1:
                raise CorruptStream(f"{self.format}: a picture of mode {picture.mode}, not one RGB picture")
            yield picture
        except (OSError, SyntaxError, ValueError, RuntimeError, EOFError, struct.error, MemoryError) as error:
            raise CorruptStream(f"{self.format}: {len(data)} bytes cannot be decoded: {error}") from error
        except Pillow.DecompressionBombError as error:
            raise CorruptStream(f"{self.format}: the stream speaks of a picture too large to open") from error

    def describe(self) -> dict[str, Any]:
        """Format, settings as Pillow gets them, and the versions of the libraries at work."""
        return {"format": self.format, "settings": dict(self.options), "libraries": dict(self.libraries)}


def jpeg(device: str = "cpu", **settings: str) -> PillowCodec:
    """Baseline JPEG with the standard Huffman tables. Quality 1 to 100; subsampling=4:2:0, 4:2:2 or 4:4:4.

    Two bits at least for each block: a flat picture still takes 0.14 bpp in 4:2:0.
    """
    reject_unknown("jpeg", settings, {"subsampling": _any_of(SUBSAMPLINGS)})
    return PillowCodec(
        format="JPEG",
        qualities=(5, 10, 20, 30, 50, 70, 80, 86),  # 0.22 to 1.9 bpp on Kodak
        lowest=1,
        highest=100,
        longest_side=65_500,  # JPEG_MAX_DIMENSION of libjpeg
        options={"subsampling": _choice("jpeg", settings, "subsampling", SUBSAMPLINGS, "4:2:0")},
        whole=_whole_jpeg,
        libraries=_libraries("jpg", "libjpeg_turbo"),
    )


def webp(device: str = "cpu", **settings: str) -> PillowCodec:
    """Lossy WebP. Quality 0 to 100; method=0 (fast) to 6 (small files)."""
    reject_unknown("webp", settings, {"method": "0 to 6"})
    return PillowCodec(
        format="WEBP",
        qualities=(0, 5, 20, 40, 60, 75, 85, 90),  # 0.11 to 2.0 bpp on Kodak
        lowest=0,
        highest=100,
        longest_side=16_383,  # WEBP_MAX_DIMENSION of libwebp
        options={"method": _number("webp", settings, "method", 6, 4)},
        whole=_whole_webp,
        libraries=_libraries("webp"),
    )


def avif(device: str = "cpu", **settings: str) -> PillowCodec:
    """AVIF, written by libaom. Quality 0 to 100; speed=0 (small files) to 10 (fast); subsampling as for JPEG.

    libavif cuts large pictures into more tiles the more threads it may use, and that changes the bytes: one thread and
    one tile make them the same on every machine.
    """
    reject_unknown("avif", settings, {"speed": "0 to 10", "subsampling": _any_of(SUBSAMPLINGS)})
    libraries = _libraries("avif")
    codecs = {name: AvifImagePlugin.get_codec_version(name) for name in ("aom", "dav1d")}
    if codecs["aom"] is None:
        raise BenchmarkError("avif: this Pillow has no AV1 encoder libaom; install Pillow's own wheel")
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # of the decoder, which has no argument for it
    return PillowCodec(
        format="AVIF",
        qualities=(10, 20, 30, 40, 50, 60, 72, 85),  # 0.10 to 1.9 bpp on Kodak
        lowest=0,
        highest=100,
        longest_side=32_768,  # AVIF_DEFAULT_IMAGE_DIMENSION_LIMIT of libavif, which holds for decoding
        options={
            "speed": _number("avif", settings, "speed", 10, 6),
            "subsampling": _choice("avif", settings, "subsampling", SUBSAMPLINGS, "4:2:0"),
            "codec": "aom",
            "max_threads": 1,
            "autotiling": False,
        },
        whole=_whole_avif,
        libraries=libraries | {name: version for name, version in codecs.items() if version is not None},
    )


def jxl(device: str = "cpu", **settings: str) -> PillowCodec:
    """JPEG XL, lossy, by libjxl in XYB. Quality 0 to 99, any number; effort=1 (fast) to 9 (small files).

    A bare codestream, without the container's boxes. The quality is libjxl's own JPEG-like scale, mapped to a distance;
    at 0 it still spends 0.15 bpp on Kodak, and 100 would be another codec, lossless.
    """
    reject_unknown("jxl", settings, {"effort": "1 to 9"})
    try:
        import pillow_jxl
        from pillow_jxl import JpegXLImagePlugin
    except ImportError as error:
        raise BenchmarkError(f"jxl: needs the package pillow-jxl-plugin ({error})") from None
    JpegXLImagePlugin.DECODE_THREADS = 0  # the decoder takes it from there; 0 is no thread of its own
    return PillowCodec(
        format=pillow_jxl.JpegXLImagePlugin.JXLImageFile.format,
        qualities=(0, 10, 25, 45, 60, 72, 82, 90),  # 0.15 to 1.9 bpp on Kodak
        lowest=0,
        highest=99,
        longest_side=65_535,
        options={
            "effort": _number("jxl", settings, "effort", 9, 7, lowest=1),
            "num_threads": 0,
            "use_container": False,
            "lossless_jpeg": False,
        },
        whole=_whole_jxl,
        libraries={"pillow": PIL.__version__, "pillow-jxl-plugin": importlib.metadata.version("pillow-jxl-plugin")},
        step=0,
        rate=lambda quality: {"quality": float(quality)},
    )


def jpeg2000(device: str = "cpu", **settings: str) -> PillowCodec:
    """JPEG 2000 by OpenJPEG: a bare codestream, one tile, the 9/7 wavelet, YCbCr, one layer.

    control=bpp (the default): the quality is the bits per pixel that the file may have, headers included, 0.01 to 24;
    control=psnr: the PSNR in dB of the wavelet coefficients, 15 to 60. About 140 bytes of headers cannot be undercut.
    """
    reject_unknown("jpeg2000", settings, {"control": "bpp or psnr"})
    control = _choice("jpeg2000", settings, "control", ("bpp", "psnr"), "bpp")
    by_bpp = control == "bpp"
    return PillowCodec(
        format="JPEG2000",
        qualities=(0.1, 0.15, 0.25, 0.4, 0.6, 0.9, 1.3, 2) if by_bpp else (25, 27, 29, 31, 33, 35, 37, 40),
        lowest=0.01 if by_bpp else 15,
        highest=24 if by_bpp else 60,
        longest_side=65_535,
        options={
            "quality_mode": "rates" if by_bpp else "dB",
            "irreversible": True,
            "mct": 1,
            "no_jp2": True,
        },
        whole=_whole_jpeg2000,
        libraries=_libraries("jpg_2000"),
        step=0,
        rate=lambda quality: {"quality_layers": [24 / quality if by_bpp else quality]},
    )


def _any_of(choices: tuple[str, ...]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _choice(codec: str, settings: Mapping[str, str], key: str, choices: tuple[str, ...], default: str) -> str:
    value = settings.get(key, default)
    if value not in choices:
        raise UsageError(f"{codec}: {key}={value} is not {_any_of(choices)}")
    return value


def _number(codec: str, settings: Mapping[str, str], key: str, highest: int, default: int, lowest: int = 0) -> int:
    value = settings.get(key, str(default))
    if value not in map(str, range(lowest, highest + 1)):
        raise UsageError(f"{codec}: {key}={value} is not an integer from {lowest} to {highest}")
    return int(value)


def _libraries(*names: str) -> dict[str, str]:
    """Versions of Pillow and of the libraries that it calls `names`. Raises BenchmarkError if it lacks the first."""
    if not features.check(names[0]):
        raise BenchmarkError(f"{names[0]}: this Pillow was built without it; install Pillow's own wheel")
    return {"pillow": PIL.__version__} | {name: version for name in names if (version := features.version(name))}


def _whole_jpeg(data: bytes) -> bool:
    """Segments from SOI to SOS, then coded data in which no marker stands before the EOI at the very end."""
    if data[:2] != b"\xff\xd8" or data[-2:] != b"\xff\xd9":
        return False
    position = 2
    while data[position : position + 1] == b"\xff" and len(data) >= position + 4:
        scan = data[position + 1] == 0xDA
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if scan:
            # A byte 0xff of the coded data is followed by a stuffed 0.
            return data.count(b"\xff", position) == data.count(b"\xff\x00", position) + 1
    return False


def _whole_webp(data: bytes) -> bool:
    """A RIFF container that is as long as it says. WebP Container Specification, "WebP file header"."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP" and int.from_bytes(data[4:8], "little") == len(data) - 8


def _whole_avif(data: bytes) -> bool:
    """The boxes that libavif writes, filling the file. ISO/IEC 14496-12, 4.2; 64-bit sizes do not occur."""
    position = 0
    for kind in (b"ftyp", b"meta", b"mdat"):
        if data[position + 4 : position + 8] != kind:
            return False
        position += int.from_bytes(data[position : position + 4], "big")
    return position == len(data)


def _whole_jpeg2000(data: bytes) -> bool:
    """Marker segments from SOC to the one tile-part, which fills the stream up to EOC. ISO/IEC 15444-1, annex A."""
    if data[:4] != b"\xff\x4f\xff\x51":
        return False
    position = 2
    while position + 12 <= len(data) and data[position] == 0xFF:
        if data[position + 1] == 0x90:  # SOT: Lsot, Isot, Psot (length of the tile-part from here), TPsot, TNsot
            length = int.from_bytes(data[position + 6 : position + 10], "big")
            return position + length + 2 == len(data) and data[-2:] == b"\xff\xd9"
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False


def _whole_jxl(data: bytes) -> bool:
    """The signature of a bare codestream and a picture no larger than Pillow opens, which libjxl does not ask.

    ISO/IEC 18181-1, annex D: bits from the least significant one; the height, a ratio, and the width if that is 0.
    """
    if data[:2] != b"\xff\x0a" or len(data) < 12:
        return False
    bits = int.from_bytes(data[2:12], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    def side(small: int) -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = take(1)
    height = side(small)
    ratio = take(3)
    above, below = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio]
    width = height * above // below if ratio else side(small)
    most = math.inf if Pillow.MAX_IMAGE_PIXELS is None else 2 * Pillow.MAX_IMAGE_PIXELS
    return width * height <= most
