"""Data that zlib packed, as PNG and TIFF hold it: whether it is whole and its checksum right."""

import zlib
from collections.abc import Iterable

from benchmark.image_files.fields import damaged

_AT_A_TIME = 1 << 20
_TOO_MUCH = 1 << 16
"""Bytes behind the last row that are passed over, as libpng does."""


def check_deflated(parts: Iterable[bytes], wanted: int) -> None:
    """Raises BenchmarkError unless `parts` are one stream, whole, of `wanted` bytes or a few more. Keeps none of it."""
    inflater = zlib.decompressobj()
    found = 0
    try:
        for content in parts:
            while content and not inflater.eof:
                found += len(inflater.decompress(content, _AT_A_TIME))
                content = inflater.unconsumed_tail
                if found > wanted + _TOO_MUCH:
                    raise damaged("it has more image data than rows")
    except zlib.error as error:
        raise damaged(f"its image data, {error}") from None
    if found < wanted:
        raise damaged(f"{found} bytes of rows, where there should be {wanted}")
    if not inflater.eof:
        raise damaged("its image data has no end")
