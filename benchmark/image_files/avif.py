"""AVIF (ISO/IEC 14496-12, 23008-12, AV1 in ISOBMFF): depth and crop, which Pillow does not tell."""

from collections.abc import Iterator, Sequence

from benchmark.errors import BenchmarkError
from benchmark.image_files.fields import damaged, number, part, too_deep

_SEQUENCE = 1
"""OBU type of a sequence header."""

Box = tuple[bytes, bytes]
"""Type and content."""


def check(data: bytes) -> None:
    """8 bits, in the primary image, its tiles and its alpha, and in tracks; no crop; items of their stated size."""
    for kind, body in _boxes(data):
        if kind == b"meta":
            _check_items(list(_boxes(body[4:])), data)
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


def _check_items(meta: Sequence[Box], data: bytes) -> None:
    primary = _primary(_inside(meta, b"pitm"))
    properties = list(_boxes(_inside(meta, b"iprp")))
    own = list(_boxes(_inside(properties, b"ipco")))
    associated = _associated(_inside(properties, b"ipma"))
    contents = dict(_contents(_inside(meta, b"iloc"), _inside(meta, b"idat"), data))
    for item in _parts(primary, _inside(meta, b"iref")):
        kinds = [own[index - 1] for index in associated.get(item, ()) if 0 < index <= len(own)]
        _check_size(_inside(kinds, b"ispe"), bool(_inside(kinds, b"av1C")), contents.get(item, b""))
        for index in associated.get(item, ()):
            if not 0 < index <= len(own):
                continue
            if _is_deep(own[index - 1]):
                raise too_deep()
            if own[index - 1][0] == b"clap":
                raise BenchmarkError("it has a crop (clap), which readers apply or pass over; crop its samples first")


def _check_size(ispe: bytes, coded: bool, content: bytes) -> None:
    """Raises BenchmarkError if an item states another size than it has: readers scale or cut it then.

    coded: whether it is of AV1; else, where it has content, a grid of others.
    """
    if not ispe or not content:
        return
    stated = number(ispe, 4, 4, "big"), number(ispe, 8, 4, "big")
    found = _size_of_sequence(content) if coded else _size_of_grid(content)
    if found is not None and found != stated:
        raise damaged(f"it states {stated[0]}x{stated[1]} and is {found[0]}x{found[1]}")


def _size_of_grid(content: bytes) -> tuple[int, int] | None:
    """ISO/IEC 23008-12, 6.6.2.3.2."""
    wide = 4 if content[1] & 1 else 2
    return number(content, 4, wide, "big"), number(content, 4 + wide, wide, "big")


def _size_of_sequence(content: bytes) -> tuple[int, int] | None:
    """Of the first sequence header (AV1, 5.3 and 5.5); None if there is none."""
    at = 0
    while at < len(content):
        head = content[at]
        at += 2 if head & 4 else 1
        size, shift = len(content) - at, 0
        if head & 2:
            size = 0
            while True:
                byte = content[at]
                at, size, shift = at + 1, size | (byte & 127) << shift, shift + 7
                if not byte & 128:
                    break
        if head >> 3 & 15 == _SEQUENCE:
            return _sizes(_Bits(part(content, at, size)))
        at += size
    return None


class _Bits:
    """The bits of some bytes, the high ones first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        """The next `count` as a number. Raises IndexError beyond the end."""
        self._left -= count
        if self._left < 0:
            raise IndexError(count)
        return self._value >> self._left & (1 << count) - 1


def _sizes(bits: _Bits) -> tuple[int, int]:
    bits.take(4)  # profile, `still_picture`
    if bits.take(1):  # reduced header
        bits.take(5)
    else:
        delays = 0
        if bits.take(1):  # timing
            bits.take(64)
            if bits.take(1):
                zeros = 0
                while not bits.take(1):
                    zeros += 1
                bits.take(min(zeros, 32))
            if bits.take(1):
                delays = bits.take(5) + 1
                bits.take(42)
        display = bits.take(1)
        for _ in range(bits.take(5) + 1):
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
            if delays and bits.take(1):
                bits.take(2 * delays + 1)
            if display and bits.take(1):
                bits.take(4)
    across, down = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(across) + 1, bits.take(down) + 1


def _contents(iloc: bytes, idat: bytes, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Item -> its bytes (ISO/IEC 14496-12, 8.11.3), of those that lie in this file or in `idat`."""
    if not iloc:
        return
    version = iloc[0]
    of_offset, of_length, of_base, of_index = iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4, iloc[5] & 15
    of_item = 4 if version == 2 else 2
    count, at = number(iloc, 6, of_item, "big"), 6 + of_item
    for _ in range(count):
        item, method = number(iloc, at, of_item, "big"), 0
        at += of_item
        if version:
            method = number(iloc, at, 2, "big") & 15
            at += 2
        at += 2
        base = number(iloc, at, of_base, "big")
        extents = number(iloc, at + of_base, 2, "big")
        at += of_base + 2
        found = b""
        for _ in range(extents):
            at += of_index if version else 0
            start, length = base + number(iloc, at, of_offset, "big"), number(iloc, at + of_offset, of_length, "big")
            at += of_offset + of_length
            place = idat if method == 1 else data
            found += place[start : start + length] if length else place[start:]
        if method in (0, 1):
            yield item, found


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
