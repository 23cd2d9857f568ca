"""JPEG, WebP, AVIF, JPEG XL and JPEG 2000 as Pillow codes them: plain files of these formats, which any viewer opens.

None of the formats carries a checksum. A stream that is cut short, has bytes behind its end or is of another format is
refused; a changed byte among the coded coefficients can decode to another image without notice. One exception: a bare
JPEG XL codestream does not say how long it is, and its decoder passes over bytes behind the end.
"""

import importlib.metadata
import math
import struct
from typing import Annotated, Literal

import PIL
from PIL import AvifImagePlugin, features
from PIL import Image as Pillow
from pydantic import Field

from benchmark.errors import BenchmarkError
from benchmark.pillow_codec import PillowCodec

Subsampling = Literal["4:2:0", "4:2:2", "4:4:4"]
Subsampled = Annotated[Subsampling, Field(description="resolution of the colours against that of luma")]


def jpeg(subsampling: Subsampled = "4:2:0") -> PillowCodec:
    """Baseline JPEG with the standard Huffman tables. Quality 1 to 100.

    Two bits at least for each block: a flat image still takes 0.14 bpp in 4:2:0.
    """
    return PillowCodec(
        format="JPEG",
        qualities=(5, 10, 20, 30, 50, 70, 80, 86),  # 0.22 to 1.9 bpp on Kodak
        lowest=1,
        highest=100,
        longest_side=65_500,  # JPEG_MAX_DIMENSION of libjpeg
        options={"subsampling": subsampling},
        whole=_whole_jpeg,
        libraries=_libraries("jpg", "libjpeg_turbo"),
    )


def webp(method: Annotated[int, Field(ge=0, le=6, description="0 is fast, 6 makes small files")] = 4) -> PillowCodec:
    """Lossy WebP. Quality 0 to 100."""
    return PillowCodec(
        format="WEBP",
        qualities=(0, 5, 20, 40, 60, 75, 85, 90),  # 0.11 to 2.0 bpp on Kodak
        lowest=0,
        highest=100,
        longest_side=16_383,  # WEBP_MAX_DIMENSION of libwebp
        options={"method": method},
        whole=_whole_webp,
        libraries=_libraries("webp"),
    )


def avif(
    speed: Annotated[int, Field(ge=0, le=10, description="0 makes small files, 10 is fast")] = 6,
    subsampling: Subsampled = "4:2:0",
) -> PillowCodec:
    """AVIF, written by libaom. Quality 0 to 100.

    libavif cuts large images into more tiles the more threads it may use, and that changes the bytes: one thread and
    one tile make them the same on every machine.
    """
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
            "speed": speed,
            "subsampling": subsampling,
            "codec": "aom",
            "max_threads": 1,
            "autotiling": False,
        },
        whole=_whole_avif,
        libraries=libraries | {name: version for name, version in codecs.items() if version is not None},
    )


def jxl(effort: Annotated[int, Field(ge=1, le=9, description="1 is fast, 9 makes small files")] = 7) -> PillowCodec:
    """JPEG XL, lossy, by libjxl in XYB. Quality 0 to 99, any number.

    A bare codestream, without the container's boxes. The quality is libjxl's own JPEG-like scale, mapped to a distance;
    at 0 it still spends 0.15 bpp on Kodak, and 100 would be another codec, lossless.
    """
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
            "effort": effort,
            "num_threads": 0,
            "use_container": False,
            "lossless_jpeg": False,
        },
        whole=_whole_jxl,
        libraries={"pillow": PIL.__version__, "pillow-jxl-plugin": importlib.metadata.version("pillow-jxl-plugin")},
        step=0,
        rate=lambda quality: {"quality": float(quality)},
    )


def jpeg2000(
    control: Annotated[
        Literal["bpp", "psnr"],
        Field(description="what the quality is: bits per pixel, or the PSNR of the coefficients"),
    ] = "bpp",
) -> PillowCodec:
    """JPEG 2000 by OpenJPEG: a bare codestream, one tile, the 9/7 wavelet, YCbCr, one layer.

    control=bpp (the default): the quality is the bits per pixel that the file may have, headers included, 0.01 to 24;
    control=psnr: the PSNR in dB of the wavelet coefficients, 15 to 60. About 140 bytes of headers cannot be undercut.
    """
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


def _libraries(*names: str) -> dict[str, str]:
    """Versions of Pillow and of the libraries that it calls `names`. Raises BenchmarkError if it lacks the first."""
    if not features.check(names[0]):
        raise BenchmarkError(f"{names[0]}: this Pillow was built without it; install Pillow's own wheel")
    return {"pillow": PIL.__version__} | {name: version for name in names if (version := features.version(name))}


def _whole_jpeg(data: bytes) -> bool:
    """Segments from SOI to SOS, then coded data in which no marker stands before the EOI at the very end.

    And no more blocks than the coded data have room for, two bits each: libjpeg would fill the rest with grey.
    """
    if data[:2] != b"\xff\xd8" or data[-2:] != b"\xff\xd9":
        return False
    position, blocks = 2, 0
    while data[position : position + 1] == b"\xff" and len(data) >= position + 4:
        marker = data[position + 1]
        start, position = position + 4, position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xC0:
            blocks = _jpeg_blocks(data[start:position])
        if marker == 0xDA:
            # A byte 0xff of the coded data is followed by a stuffed 0.
            ended = data.count(b"\xff", position) == data.count(b"\xff\x00", position) + 1
            return ended and 0 < 2 * blocks <= 8 * (len(data) - position)
    return False


def _jpeg_blocks(frame: bytes) -> int:
    """How many blocks of 8×8 samples a frame header (ITU-T T.81, B.2.2) speaks of, at least; 0 if it is none of three
    components."""
    if len(frame) != 15 or frame[5] != 3:
        return 0
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    factors = [(frame[at] >> 4, frame[at] & 15) for at in (7, 10, 13)]
    across, down = (max(factor[axis] for factor in factors) for axis in (0, 1))
    if not all(1 <= side <= 4 for factor in factors for side in factor):
        return 0
    units = -(-width // (8 * across)) * -(-height // (8 * down))
    return units * sum(columns * rows for columns, rows in factors)


def _whole_webp(data: bytes) -> bool:
    """A RIFF container that is as long as it says, with one lossy frame (WebP Container Specification, "Simple File
    Format (Lossy)").

    And no more macroblocks than it has room for: each has a mode of luma and one of chroma, of 0.81 and 0.84 bits at
    least (RFC 6386, 11.2). libwebp allocates the image first.
    """
    if data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8 " or int.from_bytes(data[4:8], "little") != len(data) - 8:
        return False
    frame = int.from_bytes(data[16:20], "little")
    if frame + frame % 2 != len(data) - 20:
        return False
    width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return 3 * -(-width // 16) * -(-height // 16) <= 2 * 8 * frame


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
    if data[:4] != b"\xff\x4f\xff\x51" or len(data) < 40:
        return False
    width, height, *others = struct.unpack(">8I", data[8:40])
    # OpenJPEG allocates each tile that SIZ speaks of, whether it is there or not.
    if others != [0, 0, width, height, 0, 0] or max(width, height) > 65_535:
        return False
    position = 2
    while position + 12 <= len(data) and data[position] == 0xFF:
        if data[position + 1] == 0x90:  # SOT: Lsot, Isot, Psot (length of the tile-part from here), TPsot, TNsot
            length = int.from_bytes(data[position + 6 : position + 10], "big")
            return position + length + 2 == len(data) and data[-2:] == b"\xff\xd9"
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False


def _whole_jxl(data: bytes) -> bool:
    """The signature of a bare codestream and an image no larger than Pillow opens, which libjxl does not ask.

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
