"""Streams as they may arrive: cut short, longer than they were, and with changed bits."""

from dataclasses import dataclass

import numpy as np

HEADER = 40
"""Bytes at the start of a stream each of which is damaged: sizes and lengths are there in most formats."""


@dataclass(frozen=True)
class Damaged:
    """A damaged stream and what was done to it.

    changed: whether bytes have other values, which a format without a checksum cannot notice, not in its sizes either.
    """

    what: str
    data: bytes
    changed: bool


def damaged_streams(data: bytes, flips: int, seed: int) -> list[Damaged]:
    """`data` cut at up to 12 places and lengthened; a bit flipped in each byte of its header and at `flips` random
    places; and stretches of eight bytes set to 0 and 255 at up to `flips` / 4 places. The same for the same arguments.
    """
    rng = np.random.default_rng(seed)
    length = len(data)
    cuts = {0, 1, 2, 4, 8, 16, length // 4, length // 2, length * 3 // 4, length - 8, length - 4, length - 1}
    streams = [
        Damaged(f"cut to {cut} of {length} bytes", data[:cut], False) for cut in sorted(cuts) if 0 <= cut < length
    ]
    streams.append(Damaged("16 bytes added", data + bytes(16), False))
    places = [*range(min(HEADER, length)), *rng.integers(0, max(length, 1), flips if length else 0).tolist()]
    for place in places:
        bit = int(rng.integers(8))
        changed = bytearray(data)
        changed[place] ^= 1 << bit
        streams.append(Damaged(f"bit {bit} of byte {place} flipped", bytes(changed), True))
    for place in rng.integers(0, max(length, 1), flips // 4 if length else 0).tolist():
        for value in (0, 255):
            changed = bytearray(data)
            changed[place : place + 8] = bytes([value]) * len(changed[place : place + 8])
            streams.append(Damaged(f"bytes from {place} set to {value}", bytes(changed), True))
    return [stream for stream in streams if stream.data != data]
