"""PNG (W3C, third edition): checksums, number of rows and palette, which Pillow looks at only in part."""

import zlib
from collections.abc import Iterator

from benchmark.errors import BenchmarkError
from benchmark.image_files.deflated import check_deflated
from benchmark.image_files.fields import damaged, number, part, too_deep

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel, by colour type."""
_PALETTE = 3
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
"""Chunks without which an image is another one; those whose names begin with a small letter may be passed over."""

_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of Adam7: first column and row, and the steps to the next ones."""


def check(data: bytes) -> None:
    """Every chunk has its CRC, the image data all rows and the checksum of zlib, and an indexed image a palette."""
    chunks = list(_chunks(data))
    kind, head = chunks[0]
    if kind != b"IHDR" or len(head) != 13:
        raise damaged("it does not begin with IHDR")
    if strange := next((kind for kind, _ in chunks[1:] if kind[:1].isupper() and kind not in _CRITICAL[1:]), None):
        raise BenchmarkError(f"PNG with a chunk {strange.decode('latin-1')!r}, which no reader may pass over")
    depth, colour, compression, interlace = head[8], head[9], head[10], head[12]
    if compression or interlace > 1:
        raise damaged("its compression or interlace method is none of PNG's")
    if depth > 8:
        raise too_deep()
    if colour not in _SAMPLES:
        raise damaged(f"there is no colour type {colour}")
    _check_colours([kind for kind, _ in chunks], colour)
    if any(len(content) % 3 for kind, content in chunks if kind == b"PLTE"):
        raise damaged("the last colour of its palette is not whole")
    width, height = number(head, 0, 4, "big"), number(head, 4, 4, "big")
    wanted = _size(width, height, depth * _SAMPLES[colour], interlace)
    check_deflated([content for kind, content in chunks if kind == b"IDAT"], wanted)


def _check_colours(kinds: list[bytes], colour: int) -> None:
    """An indexed image has a palette. Palette and transparency come once, in this order, before the image data: of
    others some readers take the first, some the last, some none."""
    if colour == _PALETTE and b"PLTE" not in kinds:
        raise damaged("it has indices and no palette")
    wanted = [kind for kind in (b"PLTE", b"tRNS", b"IDAT") if kind in kinds]
    found = [kind for kind in kinds if kind in wanted]
    if found[: len(wanted)] != wanted or set(found[len(wanted) :]) - {b"IDAT"}:
        raise damaged("its palette or its transparency comes twice, or at a wrong place")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk up to IEND. Raises BenchmarkError on a wrong CRC, IndexError without IEND."""
    at, kind = 8, b""
    while kind != b"IEND":
        length = number(data, at, 4, "big")
        kind, content = part(data, at + 4, 4), part(data, at + 8, length)
        if zlib.crc32(content, zlib.crc32(kind)) != number(data, at + 8 + length, 4, "big"):
            raise damaged(f"the CRC of the chunk {kind.decode('latin-1')!r} is wrong")
        yield kind, content
        at += 12 + length


def _size(width: int, height: int, bits: int, interlace: int) -> int:
    """Bytes of all rows, each with that of its filter. bits: of a pixel."""
    passes = _PASSES if interlace else ((0, 0, 1, 1),)
    size = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            size += rows * (1 + -(-columns * bits // 8))
    return size
