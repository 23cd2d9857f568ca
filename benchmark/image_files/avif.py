"""AVIF (ISO/IEC 14496-12, 23008-12, AV1 in ISOBMFF): depth and crop, which Pillow does not tell."""

from collections.abc import Iterator, Sequence

from benchmark.errors import BenchmarkError
from benchmark.image_files.fields import number, part, too_deep

Box = tuple[bytes, bytes]
"""Type and content."""


def check(data: bytes) -> None:
    """8 bits, in the primary image, its tiles and its alpha, and in tracks; no crop."""
    for kind, body in _boxes(data):
        if kind == b"meta":
            _check_items(list(_boxes(body[4:])))
        elif kind == b"moov" and any(map(_is_deep, _of_tracks(body))):
            raise too_deep()


def _boxes(data: bytes) -> Iterator[Box]:
    at = 0
    while at + 8 <= len(data):
        size, kind, head = number(data, at, 4, "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = number(data, at + 8, 8, "big"), 16
        elif size == 0:
            size = len(data) - at
        if size < head:
            return  # what follows the last box is none
        yield kind, data[at + head : at + size]
        at += size


def _inside(boxes: Sequence[Box], kind: bytes) -> bytes:
    """The content of the first box of the type, or nothing."""
    return next((body for each, body in boxes if each == kind), b"")


def _check_items(meta: Sequence[Box]) -> None:
    primary = _primary(_inside(meta, b"pitm"))
    properties = list(_boxes(_inside(meta, b"iprp")))
    own = list(_boxes(_inside(properties, b"ipco")))
    associated = _associated(_inside(properties, b"ipma"))
    for item in _parts(primary, _inside(meta, b"iref")):
        for index in associated.get(item, ()):
            if not 0 < index <= len(own):
                continue
            if _is_deep(own[index - 1]):
                raise too_deep()
            if own[index - 1][0] == b"clap":
                raise BenchmarkError("it has a crop (clap), which readers apply or pass over; crop its samples first")


def _is_deep(box: Box) -> bool:
    """av1C: high_bitdepth (AV1 in ISOBMFF, 2.3.3). pixi: bits of each channel."""
    kind, body = box
    if kind == b"av1C":
        return bool(body[2] & 0x40)
    return kind == b"pixi" and any(bits > 8 for bits in body[5 : 5 + body[4]])


def _primary(pitm: bytes) -> int:
    return number(pitm, 4, 2 if pitm[0] == 0 else 4, "big") if pitm else 0


def _associated(ipma: bytes) -> dict[int, list[int]]:
    """Item -> the numbers, from 1, of its properties."""
    found: dict[int, list[int]] = {}
    if not ipma:
        return found
    of_item, of_index = 4 if ipma[0] else 2, 2 if ipma[3] & 1 else 1
    at = 8
    for _ in range(number(ipma, 4, 4, "big")):
        item, count = number(ipma, at, of_item, "big"), number(ipma, at + of_item, 1, "big")
        at += of_item + 1
        essential = 1 << 8 * of_index - 1
        indices = [number(ipma, at + of_index * n, of_index, "big") & (essential - 1) for n in range(count)]
        found.setdefault(item, []).extend(indices)
        at += of_index * count
    return found


def _parts(primary: int, iref: bytes) -> set[int]:
    """The primary item, what it is put together of, and its alpha, likewise."""
    wide = 4 if iref[:1] not in (b"", b"\0") else 2
    references = []
    for kind, body in _boxes(iref[4:]):
        count = number(body, wide, 2, "big")
        ends = [number(body, wide + 2 + wide * n, wide, "big") for n in range(count)]
        references.append((kind, number(body, 0, wide, "big"), ends))
    items = {primary}
    items |= {start for kind, start, ends in references if kind == b"auxl" and primary in ends}
    while (
        more := {end for kind, start, ends in references if kind == b"dimg" and start in items for end in ends} - items
    ):
        items |= more
    return items


def _of_tracks(moov: bytes) -> Iterator[Box]:
    """The properties of each track's AV1 samples."""
    for kind, track in _boxes(moov):
        if kind == b"trak":
            body = track
            for inner in (b"mdia", b"minf", b"stbl", b"stsd"):
                body = _inside(list(_boxes(body)), inner)
            for name, entry in _boxes(body[8:]):
                if name == b"av01":
                    yield from _boxes(part(entry, 78, len(entry) - 78))
