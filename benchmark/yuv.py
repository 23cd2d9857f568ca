"""RGB images as planes of YCbCr samples, and back: the raw files that VTM, HM, ECM, AVM and x265 read and write.

ITU-T H.273: matrix coefficients 1 (BT.709) and 6 (BT.601, with primaries of sRGB left as they are), full and limited
range. Samples are rounded to nearest, ties away from zero, as there. Chroma of 4:2:0 lies in the middle of four luma
samples: their mean on the way there (the last row or column counts twice where a size is odd), bilinear on the way
back, 9/16 of the nearest sample. More than 8 bits are little-endian 16-bit words.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from benchmark.errors import CorruptStream
from benchmark.pixels import Image

Layout = Literal["yuv444p8", "yuv444p10", "yuv420p8", "yuv420p10"]
Matrix = Literal["bt709", "bt601"]
Range = Literal["full", "limited"]

LAYOUTS: tuple[str, ...] = get_args(Layout)
WEIGHTS = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114)}
"""Of red and blue in luma; green has the rest."""

SITING = "centre"

Planes = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Format:
    """How samples are laid out, and what they mean."""

    layout: Layout
    matrix: Matrix = "bt709"
    range: Range = "full"

    @property
    def bits(self) -> int:
        """Of a sample."""
        return int(self.layout.rpartition("p")[2])

    @property
    def halved(self) -> bool:
        """Whether chroma has half the width and height."""
        return self.layout.startswith("yuv420")

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Of the luma plane of an image: even where chroma is halved, for encoders that take nothing else."""
        return (width + width % 2, height + height % 2) if self.halved else (width, height)

    def describe(self) -> dict[str, str]:
        """What moves the samples, for the record of a run."""
        return {"matrix": self.matrix, "range": self.range, **({"chroma": SITING} if self.halved else {})}


class _Scale(NamedTuple):
    """luma = offset + luma_span * y, chroma = middle + chroma_span * c, up to highest."""

    offset: float
    luma_span: float
    middle: float
    chroma_span: float
    highest: int


def _scale(format_: Format) -> _Scale:
    bits = format_.bits
    highest, middle = 2**bits - 1, 2 ** (bits - 1)
    if format_.range == "full":
        return _Scale(0, highest, middle, highest, highest)
    unit = 2 ** (bits - 8)
    return _Scale(16 * unit, 219 * unit, middle, 224 * unit, highest)


def to_yuv(image: Image, format_: Format) -> bytes:
    """The planes Y, Cb and Cr of an image, uint8 (height, width, 3), one after another.

    Sizes that are odd get a row or column more, a copy of the last one, where chroma is halved.
    """
    rgb = image.astype(np.float64) / 255
    if format_.halved:
        rgb = np.pad(rgb, ((0, rgb.shape[0] % 2), (0, rgb.shape[1] % 2), (0, 0)), mode="edge")
    of_red, of_blue = WEIGHTS[format_.matrix]
    red, green, blue = np.moveaxis(rgb, 2, 0)
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    chroma = [(blue - luma) / (2 - 2 * of_blue), (red - luma) / (2 - 2 * of_red)]
    if format_.halved:
        chroma = [(c[::2, ::2] + c[1::2, ::2] + c[::2, 1::2] + c[1::2, 1::2]) / 4 for c in chroma]
    scale = _scale(format_)
    planes = [_rounded(scale.luma_span * luma) + scale.offset]
    planes += [_rounded(scale.chroma_span * one) + scale.middle for one in chroma]
    kind = np.dtype("<u2") if format_.bits > 8 else np.dtype("u1")
    return b"".join(np.clip(plane, 0, scale.highest).astype(kind).tobytes() for plane in planes)


def from_yuv(data: bytes, width: int, height: int, format_: Format) -> Image:
    """The image, uint8 (height, width, 3), whose planes `data` holds. Raises CorruptStream unless it is all of them."""
    columns, rows = format_.size(width, height)
    shapes = [(rows, columns)] + 2 * [(rows // 2, columns // 2) if format_.halved else (rows, columns)]
    kind = np.dtype("<u2") if format_.bits > 8 else np.dtype("u1")
    expected = kind.itemsize * sum(a * b for a, b in shapes)
    if len(data) != expected:
        what = f"{format_.layout} of {width}x{height} pixels"
        raise CorruptStream(f"{len(data):,} bytes where one image, {what}, has {expected:,}")
    samples = np.frombuffer(data, kind).astype(np.float64)
    if samples.size and samples.max() > 2**format_.bits - 1:
        raise CorruptStream(f"a sample of {samples.max():g}, more than {format_.bits} bits hold")
    scale, at, planes = _scale(format_), 0, []
    for shape in shapes:
        planes.append(samples[at : at + shape[0] * shape[1]].reshape(shape))
        at += shape[0] * shape[1]
    luma = (planes[0] - scale.offset) / scale.luma_span
    chroma = [(plane - scale.middle) / scale.chroma_span for plane in planes[1:]]
    if format_.halved:
        chroma = [_doubled(_doubled(one).T).T for one in chroma]
    of_red, of_blue = WEIGHTS[format_.matrix]
    red = luma + (2 - 2 * of_red) * chroma[1]
    blue = luma + (2 - 2 * of_blue) * chroma[0]
    green = (luma - of_red * red - of_blue * blue) / (1 - of_red - of_blue)
    rgb = np.stack([red, green, blue], axis=2)[:height, :width]
    return np.clip(_rounded(255 * rgb), 0, 255).astype(np.uint8)


def _rounded(values: Planes) -> Planes:
    """To nearest, ties away from zero, as H.273 has it; what floating point has moved off a tie counts as one."""
    whole: Planes = np.sign(values) * np.floor(np.abs(values) + 0.5 + 1e-9)
    return whole


def _doubled(plane: Planes) -> Planes:
    """Twice the rows, each 3/4 of its nearest and 1/4 of the next one; at the edges, the nearest alone."""
    padded = np.pad(plane, ((1, 1), (0, 0)), mode="edge")
    found = np.empty((2 * plane.shape[0], plane.shape[1]))
    found[::2] = 0.75 * plane + 0.25 * padded[:-2]
    found[1::2] = 0.75 * plane + 0.25 * padded[2:]
    return found
