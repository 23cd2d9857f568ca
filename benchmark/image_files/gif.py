"""GIF89a: whether the frame covers the screen, and whether its blocks are whole."""

from collections.abc import Iterator

from benchmark.errors import BenchmarkError
from benchmark.image_files.deflated import left_over, size_of_lzw
from benchmark.image_files.fields import damaged, number, part

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B


def check(data: bytes) -> None:
    """The blocks are whole. A single frame covers the screen: what is beside it would be transparent.

    Some writers leave the trailer out, which loses no sample.
    """
    screen = (0, 0, number(data, 6, 2, "little"), number(data, 8, 2, "little"))
    at = 13 + _colours(data[10])
    frames = []
    while at < len(data) and data[at] != _TRAILER:
        if data[at] == _EXTENSION:
            at = _behind_blocks(data, at + 2)
        elif data[at] == _IMAGE:
            frames.append(tuple(number(data, at + 1 + 2 * n, 2, "little") for n in range(4)))
            if not _colours(data[10]) and not _colours(data[at + 9]):
                raise damaged("it has no table of colours")
            start = at + 10 + _colours(data[at + 9])
            at = _behind_blocks(data, start + 1)
            pixels = size_of_lzw(b"".join(_blocks(data, start + 1)), data[start], high_first=False)
            if pixels is not None and pixels > frames[-1][2] * frames[-1][3]:
                raise left_over()
        else:
            raise damaged(f"there is no block {data[at]:#04x}")
    if not frames:
        raise damaged("it has no frame")
    if len(frames) == 1 and frames[0] != screen:
        raise BenchmarkError("its frame covers a part of the screen only; the rest has transparent parts")


def _colours(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _blocks(data: bytes, at: int) -> Iterator[bytes]:
    while size := data[at]:
        yield part(data, at + 1, size)
        at += 1 + size


def _behind_blocks(data: bytes, at: int) -> int:
    while size := data[at]:
        part(data, at + 1, size)
        at += 1 + size
    return at + 1
