"""The container of a HiFiC stream: 20 bytes around the payload.

| bytes | field |
| --- | --- |
| 3 | magic `HIC` |
| 1 | version (high four bits) and variant (low four: 1 low, 2 med, 3 high) |
| 2 | height, big-endian |
| 2 | width |
| 4 | identity of the weights |
| 4 | fingerprint of the kind of machine that encoded |
| n | payload |
| 4 | CRC-32 of everything before |
"""

import struct
from dataclasses import dataclass

from benchmark.errors import BenchmarkError, CorruptStream
from benchmark.sealed import body_of, sealed

MAGIC, VERSION = b"HIC", 1
VARIANTS = ("low", "med", "high")
HEADER = struct.Struct(">3sBHH4s4s")
OVERHEAD = HEADER.size + 4
MAX_SIDE, MAX_PIXELS = 65535, 2**25
"""Larger images are refused before anything is allocated: the generator needs about a kilobyte a pixel."""


@dataclass(frozen=True)
class Container:
    """What a stream holds. weights, machine: four bytes each."""

    variant: str
    height: int
    width: int
    weights: bytes
    machine: bytes
    payload: bytes


def check_size(height: int, width: int, codec: str = "hific") -> None:
    """Raises BenchmarkError, which names `codec`, on an image too large."""
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE) or height * width > MAX_PIXELS:
        raise BenchmarkError(
            f"{codec}: an image of {width}x{height} is too large: sides up to {MAX_SIDE}, "
            f"{MAX_PIXELS // 10**6} megapixels in all"
        )


def pack(container: Container) -> bytes:
    """The byte string. Raises BenchmarkError on an image too large."""
    check_size(container.height, container.width)
    kind = VERSION << 4 | VARIANTS.index(container.variant) + 1
    header = HEADER.pack(MAGIC, kind, container.height, container.width, container.weights, container.machine)
    body = header + container.payload
    return sealed(body)


def unpack(data: bytes) -> Container:
    """The fields of `data`. Raises CorruptStream with the reason if it is not a whole and sound container."""
    body = body_of(data, MAGIC, "HiFiC stream", OVERHEAD)
    _, kind, height, width, weights, machine = HEADER.unpack_from(body)
    if not 1 <= kind & 15 <= len(VARIANTS):
        raise CorruptStream(f"the stream asks for variant {kind & 15}, which this program does not know")
    if height == 0 or width == 0 or height * width > MAX_PIXELS:
        raise CorruptStream(f"the stream claims an image of {width}x{height}, beyond what any encoder writes")
    return Container(VARIANTS[(kind & 15) - 1], height, width, weights, machine, body[HEADER.size :])
