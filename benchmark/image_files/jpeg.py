"""JPEG (ITU-T T.81): whether all scans and all of their data are there, which libjpeg answers with grey and a warning.

Whether entropy-coded data is complete can be known only by decoding it. So `padded` puts noise behind the data of each
interval: a decoder that had all it needs skips it and gives the same samples, one that ran short takes it for data.
"""

import re
from dataclasses import dataclass, field
from itertools import pairwise

from benchmark.errors import BenchmarkError
from benchmark.image_files.fields import damaged, number, part

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE, _LOSSLESS, _ARITHMETIC = 0xC2, 0xC3, frozenset(range(0xC9, 0xD0))
_END, _SCAN, _INTERVAL, _LS_FRAME = 0xD9, 0xDA, 0xDD, 0xF7
_ALONE = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})
"""Markers that nothing belongs to."""
_RESTARTS = range(0xD0, 0xD8)

_MARKER = re.compile(rb"\xff+([^\x00\xff])")

_SOME = bytes((n * n * 97 + n * 41 + 89) % 251 for n in range(96))
_LAST, _SHORTEST, _VARIED = 8, 24, 5
"""Bytes of a scan that are taken away; how long it must be, and how many values but 0 must be among them."""
NOISES = (_SOME, bytes(254 - byte for byte in _SOME))
"""No byte of them begins a marker. Two: where little is missing, one may by chance decode to what nothing does."""


@dataclass(frozen=True)
class _Scan:
    """components: their numbers. first, last: of the coefficients. high, low: successive approximation.

    start: of its data. ends: where the data of each restart interval ends. restarts: numbers of the markers between
    them. interval: MCUs between two markers, 0 for none.
    """

    components: tuple[int, ...]
    first: int
    last: int
    high: int
    low: int
    start: int
    ends: tuple[int, ...]
    restarts: tuple[int, ...]
    interval: int


@dataclass
class _Frame:
    """kind: its marker. factors: component -> (horizontal, vertical) sampling."""

    kind: int
    width: int = 0
    height: int = 0
    factors: dict[int, tuple[int, int]] = field(default_factory=dict)


def check(data: bytes) -> None:
    """Every component has a scan, a progressive image all bits that it began to send, and no interval is missing."""
    frame, scans, _ = _parsed(data)
    if frame.kind in _ARITHMETIC:
        raise BenchmarkError(
            "arithmetic coding, whose data may end at any place, so that a cut file passes for a whole one; "
            "jpegtran -optimize writes it as another JPEG without loss"
        )
    missing = set(frame.factors) - {component for scan in scans for component in scan.components}
    if missing or not scans:
        raise damaged("not every component has a scan; it ends too early")
    if frame.kind == _PROGRESSIVE:
        _check_bits(frame, scans)
    for scan in scans:
        _check_restarts(frame, scan)


def padded(data: bytes, noise: bytes) -> bytes:
    """The first image of the file, with noise, one of `NOISES`, behind the data of each interval."""
    _, scans, end = _parsed(data)
    ends = [0, *(place for scan in scans for place in scan.ends), end]
    return noise.join(data[start:stop] for start, stop in pairwise(ends))


def shortened(data: bytes) -> list[bytes]:
    """The first image of the file with noise in the place of each scan's last bytes, for each of `NOISES`: to an image
    of this size those bytes matter, unless they are of more blocks than it has.

    Scans of few bytes, and those that end in filling or in one code again and again, are left as they are; nothing is
    returned where all are.
    """
    _, scans, end = _parsed(data)
    places = []
    for scan in scans:
        start = scan.ends[-2] if len(scan.ends) > 1 else scan.start
        content = data[start : scan.ends[-1]].rstrip(b"\xff")
        if len(content) >= _SHORTEST and len(set(content[-_LAST:]) - {0}) >= _VARIED:
            places.append((start + len(content[:-_LAST].rstrip(b"\xff")), scan.ends[-1]))
    ends = [0, *(place for pair in places for place in pair), end]
    parts = [data[start:stop] for start, stop in pairwise(ends)][::2]
    return [noise.join(parts) for noise in NOISES] if places else []


def size(data: bytes) -> tuple[int, int]:
    """(width, height) that the frame states."""
    frame, _, _ = _parsed(data)
    return frame.width, frame.height


def _parsed(data: bytes) -> tuple[_Frame, list[_Scan], int]:
    """Frame, scans, and where the first image of the file ends. Raises IndexError beyond the file's end."""
    frame: _Frame | None = None
    scans: list[_Scan] = []
    at, interval = 2, 0
    while True:
        found = _MARKER.search(data, at)
        if found is None:
            raise damaged("it ends too early, without an end marker")
        at, marker = found.end(), found[1][0]
        if marker in _ALONE:
            continue
        if marker == _END:
            break
        if marker == _LS_FRAME:
            raise BenchmarkError("JPEG-LS, which is not read; write it as PNG")
        length = number(data, at, 2, "big")
        body = part(data, at + 2, length - 2)
        at += length
        if marker in _FRAMES:
            if frame is not None:
                raise damaged("it has two frames")
            frame = _frame(marker, body)
        elif marker == _INTERVAL:
            interval = number(body, 0, 2, "big")
        elif marker == _SCAN:
            start = at
            ends, restarts, at = _intervals(data, at)
            count = body[0]
            components = tuple(body[1 + 2 * n] for n in range(count))
            first, last, bits = part(body, 1 + 2 * count, 3)
            scans.append(_Scan(components, first, last, bits >> 4, bits & 15, start, ends, restarts, interval))
    if frame is None:
        raise damaged("it has no frame")
    return frame, scans, at


def _frame(marker: int, body: bytes) -> _Frame:
    components = range(6, 6 + 3 * body[5], 3)
    factors = {body[at]: (body[at + 1] >> 4, body[at + 1] & 15) for at in components}
    if any(0 in each for each in factors.values()):
        raise damaged("a sampling factor is 0")
    return _Frame(marker, number(body, 3, 2, "big"), number(body, 1, 2, "big"), factors)


def _intervals(data: bytes, at: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Where the intervals that begin at `at` end, the restart markers between them, and where the scan ends."""
    ends: list[int] = []
    restarts: list[int] = []
    for found in _MARKER.finditer(data, at):
        ends.append(found.start())
        if found[1][0] not in _RESTARTS:
            return tuple(ends), tuple(restarts), found.start()
        restarts.append(found[1][0] - _RESTARTS.start)
    raise damaged("it ends too early, without an end marker")


def _check_bits(frame: _Frame, scans: list[_Scan]) -> None:
    """What was begun is sent to its last bit. That a band of a component is never begun is allowed."""
    left = {(component, 0): 1 for component in frame.factors}
    for scan in scans:
        for component in scan.components:
            for coefficient in range(scan.first, scan.last + 1):
                left[component, coefficient] = scan.low
    if any(left.values()):
        raise damaged("the last scans of a progressive image are missing; it ends too early")


def _check_restarts(frame: _Frame, scan: _Scan) -> None:
    if any(restart != n % 8 for n, restart in enumerate(scan.restarts)):
        raise damaged("its restart markers are out of order")
    if scan.interval and frame.kind != _LOSSLESS:
        wanted = -(-_units(frame, scan) // scan.interval) - 1
        if len(scan.restarts) != wanted:
            raise damaged(f"{len(scan.restarts)} restart markers, where there should be {wanted}")


def _units(frame: _Frame, scan: _Scan) -> int:
    """MCUs of a scan (T.81, A.2)."""
    across, down = (max(factors[n] for factors in frame.factors.values()) for n in (0, 1))
    if len(scan.components) > 1:
        return -(-frame.width // (8 * across)) * -(-frame.height // (8 * down))
    own = frame.factors.get(scan.components[0], (1, 1))
    width, height = -(-frame.width * own[0] // across), -(-frame.height * own[1] // down)
    return -(-width // 8) * -(-height // 8)
