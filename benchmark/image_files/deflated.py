"""Packed rows, as PNG, TIFF and GIF hold them: whether they are whole, and as many as the header says.

Each `size_of_...` returns how many bytes, or pixels, come out, and keeps none of them.
"""

import lzma
import zlib
from collections.abc import Collection, Iterable

from benchmark.errors import BenchmarkError
from benchmark.image_files.fields import damaged

_AT_A_TIME = 1 << 20
_END_OF_TABLE = 4096
"""Codes of LZW that a table holds, in TIFF and GIF."""


def left_over() -> BenchmarkError:
    """The refusal of a file with more rows, or longer ones, than its header says."""
    return damaged("it has more image data than rows; its header may state a wrong size")


def check_deflated(parts: Iterable[bytes], wanted: int, allowed: Collection[int] = ()) -> None:
    """Raises BenchmarkError unless `parts` are one stream of zlib's, whole, of `wanted` bytes, or as many as one of
    `allowed` says. Keeps none of it."""
    inflater = zlib.decompressobj()
    found, most = 0, max([wanted, *allowed])
    try:
        for content in parts:
            while content and not inflater.eof:
                found += len(inflater.decompress(content, _AT_A_TIME))
                content = inflater.unconsumed_tail
                if found > most:
                    raise left_over()
    except zlib.error as error:
        raise damaged(f"its image data, {error}") from None
    check_size(found, wanted, allowed)
    if not inflater.eof:
        raise damaged("its image data has no end")


def check_size(found: int, wanted: int, allowed: Collection[int] = ()) -> None:
    """Raises BenchmarkError unless `found` bytes of rows are `wanted`, or one of `allowed`."""
    if found < wanted:
        raise damaged(f"{found} bytes of rows, where there should be {wanted}")
    if found > wanted and found not in allowed:
        raise left_over()


def size_of_packbits(data: bytes) -> int:
    """TIFF 6, section 9."""
    at = size = 0
    while at < len(data):
        code = data[at]
        if code < 128:
            at, size = at + 2 + code, size + code + 1
        elif code == 128:
            at += 1
        else:
            at, size = at + 2, size + 257 - code
    return size


def size_of_lzma(data: bytes) -> int | None:
    """A stream of xz's; None if it is none."""
    unpacker, size = lzma.LZMADecompressor(), 0
    try:
        while not unpacker.eof and (data or not unpacker.needs_input):
            size += len(unpacker.decompress(data, _AT_A_TIME))
            data = b""
    except lzma.LZMAError:
        return None
    return size


def size_of_lzw(data: bytes, bits: int, high_first: bool) -> int | None:
    """Symbols in codes of LZW. bits: of a symbol. high_first: as in TIFF, whose codes also grow one earlier; else as in
    GIF. None if that cannot be read, which whoever decodes it will notice."""
    clear, end = 1 << bits, (1 << bits) + 1
    lengths = [1] * (end + 1)
    width, size, previous = bits + 1, 0, 0
    early = 1 if high_first else 0
    window = held = 0
    for byte in data:
        if high_first:
            window = (window << 8 | byte) & 0xFFFFFF
        else:
            window |= byte << held
        held += 8
        if held < width:
            continue
        held -= width
        if high_first:
            code = window >> held & (1 << width) - 1
        else:
            code = window & (1 << width) - 1
            window >>= width
        if code == clear:
            del lengths[end + 1 :]
            width, previous = bits + 1, 0
            continue
        if code == end:
            return size
        if code < len(lengths):
            length = lengths[code]
        elif code == len(lengths) and previous:
            length = previous + 1
        else:
            return None
        size += length
        if previous and len(lengths) < _END_OF_TABLE:
            lengths.append(previous + 1)
        previous = length
        if len(lengths) + early >= 1 << width and width < 12:
            width += 1
    return size
