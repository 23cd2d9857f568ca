"""BMP: pixels that run-length codes leave out, which are undefined; Pillow fills them with the first colour."""

from benchmark.errors import BenchmarkError
from benchmark.image_files.fields import damaged, number, part

_RLE8, _RLE4 = 1, 2
_OLD_HEADER = 12
"""Bytes of OS/2's, which has no compression."""


def check(data: bytes) -> None:
    """Run-length codes give every pixel a value."""
    if number(data, 14, 4, "little") == _OLD_HEADER:
        return
    compression = number(data, 30, 4, "little")
    if compression in (_RLE8, _RLE4):
        start = number(data, 10, 4, "little")
        if start % 2:
            raise BenchmarkError("run-length codes at an odd place of the file, which readers align in two ways")
        width = number(data, 18, 4, "little")
        height = abs(int.from_bytes(part(data, 22, 4), "little", signed=True))
        _check_runs(data, start, width, height, pixels=1 if compression == _RLE8 else 2)


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
