"""TIFF 6 and BigTIFF: depth, kinds of samples, palettes, and strips that are short or not there."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.errors import BenchmarkError
from benchmark.image_files import jpeg
from benchmark.image_files.deflated import check_deflated, check_size, size_of_lzma, size_of_lzw, size_of_packbits
from benchmark.image_files.fields import Order, damaged, number, part, too_deep

KIND, OLD_KIND = 254, 255
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, DESCRIPTION = 256, 257, 258, 259, 262, 266, 270
STRIP_OFFSETS, SAMPLES, ROWS, STRIP_SIZES, PLANES, COLOURS = 273, 277, 278, 279, 284, 320
COEFFICIENTS, BLACK_WHITE = 529, 532
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_SIZES, SAMPLE_FORMAT, JPEG_TABLES, SUBSAMPLING, EXTRA_SAMPLES, DEPTH = (
    322, 323, 324, 325, 339, 347, 530, 338, 32997
)  # fmt: skip

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value, by its type: those that are integers or bytes."""
_RAW, _JPEG, _FAX, _DEFLATED, _LZW, _PACKBITS, _LZMA = 1, 7, (2, 3, 4), (8, 32946), 5, 32773, 34925
_HIGH_FIRST = 1
_SEPARATE, _PALETTE, _YCBCR, _ALPHA = 2, 3, 6, 2
_NEAR = 0.001
_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2
_UNSIGNED, _UNKNOWN = 1, 4
"""Sample formats that are whole numbers from 0 on; the others are signed, floats, or complex."""

_IMAGEJ = re.compile(rb"ImageJ=.*^images=(\d+)", re.DOTALL | re.MULTILINE)
"""What ImageJ writes of a stack whose slices follow the first one's samples, without pages of their own."""

_BT601, _FULL = (0.299, 0.587, 0.114), (0, 255, 128, 255, 128, 255)
"""YCbCr as Pillow converts it: coefficients, and the codes of black and white."""

Tags = Mapping[int, tuple[int, ...]]


def check(data: bytes) -> None:
    """One image of whole numbers of 8 bits at most, also in the palette; every strip or tile is there, and whole."""
    if data[:4] == b"MM\0+":
        raise BenchmarkError("big-endian BigTIFF, which is not read; write it as another TIFF or as PNG")
    tags = directory(data)
    kind = tags.get(KIND, (0,))[0]
    if kind & _REDUCED or tags.get(OLD_KIND) == (_OLD_REDUCED,):
        raise BenchmarkError("its first image is a reduced copy of another, a preview say; write the other one alone")
    if kind & _MASK:
        raise BenchmarkError("its first image is the mask of another; write the other one alone")
    stack = _IMAGEJ.match(bytes(tags.get(DESCRIPTION, ())))
    slices = max([1, *tags.get(DEPTH, ()), int(stack[1]) if stack else 1])
    if slices > 1:
        raise BenchmarkError(f"a stack of {slices} slices; an image has one")
    if max(tags.get(BITS, (1,))) > 8:
        raise too_deep()
    if any(form not in (_UNSIGNED, _UNKNOWN) for form in tags.get(SAMPLE_FORMAT, ())):
        raise BenchmarkError("samples that are no unsigned integers; convert it to 8 bits first")
    if tags.get(PHOTOMETRIC) == (_PALETTE,):
        _check_palette(tags.get(COLOURS, ()))
    if tags.get(PLANES) == (_SEPARATE,) and any(kind != _ALPHA for kind in tags.get(EXTRA_SAMPLES, ())):
        raise BenchmarkError("extra planes that are no plain alpha, which are not read; write it as RGB")
    places = _places(tags)
    _check_places(data, tags, places)
    for stream in jpeg_streams(data):
        jpeg.check(stream)


def check_meaning(tags: Mapping[int, Any], mode: str) -> None:
    """What the samples mean is told, and is what Pillow takes them for. Raises BenchmarkError.

    tags: with fractions, as Pillow has them. mode: Pillow's; "YCbCr" if the conversion is left to Pillow.
    """
    if PHOTOMETRIC not in tags:
        raise damaged("it does not tell what its samples mean (PhotometricInterpretation)")
    if mode != "YCbCr":
        return
    for tag, wanted in ((COEFFICIENTS, _BT601), (BLACK_WHITE, _FULL)):
        found = tags.get(tag, wanted)
        if len(found) != len(wanted) or not all(abs(a - b) <= _NEAR for a, b in zip(found, wanted, strict=True)):
            raise BenchmarkError("YCbCr of another matrix or range than JPEG's; convert it to RGB first")


def jpeg_streams(data: bytes) -> list[bytes]:
    """Of a TIFF that holds JPEG (compression 7), each strip or tile as a JPEG file of its own; else nothing."""
    tags = directory(data)
    if tags.get(COMPRESSION) != (_JPEG,):
        return []
    tables = bytes(tags.get(JPEG_TABLES, ()))
    head = tables[:-2] if len(tables) > 4 else b"\xff\xd8"
    return [head + part(data, place + 2, size - 2) for place, size in _places(tags)]


def is_fax(data: bytes) -> bool:
    """Whether a TIFF holds codes of CCITT's groups 3 or 4."""
    return directory(data).get(COMPRESSION, (_RAW,))[0] in _FAX


def padded(data: bytes, noise: bytes) -> bytes:
    """A TIFF of fax codes with noise, one of `jpeg.NOISES`, behind each strip, for the reason of `jpeg.padded`.

    The noise has ends of lines in it, in either order of bits: a decoder of Group 3 looks for the next one.
    """
    entries = {entry.tag: entry for entry in _entries(data)}
    tiled = TILE_OFFSETS in entries
    offsets, sizes = (entries[tag] for tag in ((TILE_OFFSETS, TILE_SIZES) if tiled else (STRIP_OFFSETS, STRIP_SIZES)))
    order = _order(data)
    out = bytearray(data)
    noise += b"".join(b"\0\0\x81" + noise[n : n + 13] for n in range(8))
    for index, (place, size) in enumerate(_places(directory(data))):
        content = part(data, place, size) + noise
        content = content[: 256**sizes.size - 1]
        for entry, value in ((offsets, len(out)), (sizes, len(content))):
            at = entry.place + index * entry.size
            out[at : at + entry.size] = value.to_bytes(entry.size, order)
        out += content
    return bytes(out)


def directory(data: bytes) -> dict[int, tuple[int, ...]]:
    """The tags of the first page whose values are integers or bytes. Raises IndexError beyond the file's end."""
    order = _order(data)
    tags: dict[int, tuple[int, ...]] = {}
    for entry in _entries(data):
        content = part(data, entry.place, entry.size * entry.count)
        values = (int.from_bytes(content[n : n + entry.size], order) for n in range(0, len(content), entry.size))
        tags.setdefault(entry.tag, tuple(values))
    return tags


@dataclass(frozen=True)
class _Entry:
    """place: of its first value. size: of a value, in bytes."""

    tag: int
    place: int
    size: int
    count: int


def _order(data: bytes) -> Order:
    return "little" if data[:2] == b"II" else "big"


def _entries(data: bytes) -> Iterator[_Entry]:
    """Of the first page, those whose values are integers or bytes."""
    order = _order(data)
    big = number(data, 2, 2, order) == 43
    word, of_count = (8, 8) if big else (4, 2)
    at = number(data, 8 if big else 4, word, order)
    count = number(data, at, of_count, order)
    at += of_count
    for entry in range(at, at + count * (4 + 2 * word), 4 + 2 * word):
        kind, values = number(data, entry + 2, 2, order), number(data, entry + 4, word, order)
        if kind in _SIZES:
            size, place = _SIZES[kind], entry + 4 + word
            if size * values > word:
                place = number(data, place, word, order)
            yield _Entry(number(data, entry, 2, order), place, size, values)


def _check_palette(entries: tuple[int, ...]) -> None:
    """Its entries have 16 bits, of which the upper 8 are read: the lower ones repeat them or are 0."""
    if any(entry >> 8 != entry & 255 for entry in entries) and any(entry & 255 for entry in entries):
        raise BenchmarkError("a palette of more than 8 bits a channel; convert it to 8 bits first")


def _places(tags: Tags) -> list[tuple[int, int]]:
    """Offset and size of each strip or tile. Raises BenchmarkError if a list of them is missing or short."""
    tiled = TILE_OFFSETS in tags
    offsets = tags.get(TILE_OFFSETS if tiled else STRIP_OFFSETS, ())
    sizes = tags.get(TILE_SIZES if tiled else STRIP_SIZES, ())
    width, height = tags.get(WIDTH, (0,))[0], tags.get(HEIGHT, (0,))[0]
    if not width or not height:
        raise damaged("it does not tell its size")
    across, down = width, min(tags.get(ROWS, (height,))[0], height)
    if tiled:
        across, down = tags.get(TILE_WIDTH, (0,))[0], tags.get(TILE_HEIGHT, (0,))[0]
    if not across or not down:
        raise damaged("its strips or tiles have no size")
    planes = tags.get(SAMPLES, (1,))[0] if tags.get(PLANES) == (_SEPARATE,) else 1
    wanted = math.ceil(width / across) * math.ceil(height / down) * planes
    if len(offsets) != wanted:
        raise damaged(f"{len(offsets)} strips or tiles, where there should be {wanted}")
    if not sizes and not tiled and wanted == 1 and tags.get(COMPRESSION, (_RAW,)) == (_RAW,):
        sizes = (_raw_size(tags, width, height),)  # old writers left it out
    if len(sizes) < wanted:
        raise damaged("it does not tell the size of every strip or tile")
    return list(zip(offsets[:wanted], sizes[:wanted], strict=True))


def _check_places(data: bytes, tags: Tags, places: list[tuple[int, int]]) -> None:
    width, height = tags[WIDTH][0], tags[HEIGHT][0]
    rows = min(tags.get(ROWS, (height,))[0], height)
    strips = math.ceil(height / rows) if rows else 1
    for index, (place, size) in enumerate(places):
        if not place or not size:
            raise damaged(f"its strip or tile {index} is not there")
        if place + size > len(data):
            raise damaged(f"its strip or tile {index} is cut off; the file ends too early")
        across, down, padded_down = width, min(rows, height - index % strips * rows), rows
        if TILE_OFFSETS in tags:
            across, down = tags[TILE_WIDTH][0], tags[TILE_HEIGHT][0]
            padded_down = down
        wanted = _raw_size(tags, across, down)
        allowed = {_raw_size(tags, across, padded_down)}  # some writers fill up the last strip, too
        content = part(data, place, size)
        if tags.get(COMPRESSION, (_RAW,)) == (_RAW,) and size < wanted:
            raise damaged(f"its strip or tile {index} has {size} bytes, where there should be {wanted}")
        _check_content(tags, content, wanted, allowed)
        if tags.get(COMPRESSION) == (_JPEG,) and tags.get(PLANES) != (_SEPARATE,):
            own = jpeg.size(b"\xff\xd8" + content[2:])
            if own[0] != across or own[1] not in (down, padded_down):
                raise damaged(f"its strip or tile {index} is {own[0]}x{own[1]}, where {across}x{down} should be")


def _check_content(tags: Tags, content: bytes, wanted: int, allowed: set[int]) -> None:
    """Raises BenchmarkError unless a strip or tile has `wanted` bytes, or one of `allowed`, once it is unpacked.

    Of other compressions than these nothing is known; whoever decodes them misses what is not there.
    """
    compression = tags.get(COMPRESSION, (_RAW,))[0]
    if compression != _RAW and tags.get(FILL_ORDER, (_HIGH_FIRST,)) != (_HIGH_FIRST,):
        return
    found = None
    if compression == _RAW:
        allowed = {even for size in (wanted, *allowed) for even in (size, size + size % 2)}
        found = len(content)
    elif compression in _DEFLATED:
        check_deflated([content], wanted, allowed)
    elif compression == _PACKBITS:
        found = size_of_packbits(content)
    elif compression == _LZW and content[:1] != b"\0":  # else of the first TIFFs, with the low bits first
        found = size_of_lzw(content, 8, high_first=True)
    elif compression == _LZMA:
        found = size_of_lzma(content)
    if found is not None:
        check_size(found, wanted, allowed)


def _raw_size(tags: Tags, width: int, height: int) -> int:
    """Bytes of a strip or tile before it is compressed."""
    bits = tags.get(BITS, (1,))
    samples = 1 if tags.get(PLANES) == (_SEPARATE,) else tags.get(SAMPLES, (1,))[0]
    if tags.get(PHOTOMETRIC) == (_YCBCR,) and samples == 3:
        across, down = tags.get(SUBSAMPLING, (2, 2))
        return math.ceil(width / across) * math.ceil(height / down) * (across * down + 2)
    return height * math.ceil(width * samples * max(bits) / 8)
