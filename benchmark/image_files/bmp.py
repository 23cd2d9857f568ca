"""BMP: pixels that run-length codes leave out, which are undefined, and rows beyond those that the header states.

Pillow fills the first with a colour, and passes over the others.
"""

import struct

from benchmark.errors import BenchmarkError
from benchmark.image_files.deflated import left_over
from benchmark.image_files.fields import damaged, number, part

_RAW, _RLE8, _RLE4, _FIELDS, _ALPHA_FIELDS = 0, 1, 2, 3, 6
_OLD_HEADER = 12
"""Bytes of OS/2's, which has no compression."""
_ALPHA_BITS, _WITH_ALPHA = 16, 56
"""Bits of a pixel whose alpha Pillow passes over, and bytes of a header that may have a mask for it."""
_WITH_PROFILE = 124
"""Bytes of a header that may name a profile behind the rows."""


def check(data: bytes) -> None:
    """Run-length codes give every pixel a value. There are as many rows as the header states."""
    header = number(data, 14, 4, "little")
    if number(data, 10, 4, "little") < 14 + header:
        raise damaged("its rows begin within its header")
    if header == _OLD_HEADER:
        _check_rows(
            data, number(data, 18, 2, "little"), number(data, 20, 2, "little"), number(data, 24, 2, "little"), 0
        )
        return
    compression = number(data, 30, 4, "little")
    width = number(data, 18, 4, "little")
    height = abs(int.from_bytes(part(data, 22, 4), "little", signed=True))
    if compression in (_RAW, _FIELDS, _ALPHA_FIELDS):
        if number(data, 28, 2, "little") == _ALPHA_BITS and header >= _WITH_ALPHA:
            _check_alpha(data, width, height, number(data, 66, 4, "little"))
        profile = number(data, 126, 4, "little") if header >= _WITH_PROFILE else 0
        _check_rows(data, width, height, number(data, 28, 2, "little"), 14 + profile if profile else 0)
    if compression in (_RLE8, _RLE4):
        start = number(data, 10, 4, "little")
        if start % 2:
            raise BenchmarkError("run-length codes at an odd place of the file, which readers align in two ways")
        _check_runs(data, start, width, height, pixels=1 if compression == _RLE8 else 2)


def colours(data: bytes) -> tuple[int, int, int]:
    """(bits of a pixel, where the palette begins, bytes of a colour in it)."""
    header = number(data, 14, 4, "little")
    if header == _OLD_HEADER:
        return number(data, 24, 2, "little"), 14 + header, 3
    return number(data, 28, 2, "little"), 14 + header, 4


def _check_rows(data: bytes, width: int, height: int, bits: int, end: int) -> None:
    """end: where something else follows them; 0 where nothing does. What is less than a row is filling."""
    row = (width * bits + 31) // 32 * 4
    start = number(data, 10, 4, "little")
    if start + height * row > len(data):
        raise damaged("it ends too early")
    if (end if end > start else len(data)) - start - height * row >= max(row, 4):
        raise left_over()


def _check_alpha(data: bytes, width: int, height: int, mask: int) -> None:
    """Raises BenchmarkError unless every pixel of 16 bits has all bits of `mask`."""
    row, start = (width + 1) // 2 * 4, number(data, 10, 4, "little")
    for at in range(start, start + height * row, row):
        if any(pixel & mask != mask for pixel in struct.unpack(f"<{width}H", part(data, at, 2 * width))):
            raise BenchmarkError("has transparent parts; flatten it onto a background first")


def _check_runs(data: bytes, at: int, width: int, height: int, pixels: int) -> None:
    """pixels: in a byte of literals."""
    x = y = 0
    undefined = BenchmarkError("run-length codes that leave pixels undefined, or end too early")
    while (y, x) < (height - 1, width):
        count, value = part(data, at, 2)
        at += 2
        if count == 0 and value == 0:  # end of the row
            if x < width:
                raise undefined
            x, y = 0, y + 1
        elif count == 0 and value in (1, 2):  # end of the image; a jump
            raise undefined
        else:
            if x >= width:
                raise damaged("run-length codes that go beyond a row")
            x += count or value
            if count == 0:
                size = -(-value // pixels)
                part(data, at, size)
                at += size + size % 2
    while data[at : at + 2] in (b"\0\0", b"\0\1"):  # end of the row, and of the image
        at += 2
    if data[at - 2 : at] != b"\0\1" and at + 2 < len(data):
        raise left_over()
