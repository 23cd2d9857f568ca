"""The container of an MS-ILLM stream: 20 bytes around the payload.

| bytes | field |
| --- | --- |
| 3 | magic `MSI` |
| 1 | version (high four bits), model (the next one: 0 msillm, 1 noganms) and the place of its quality (low three) |
| 2 | height, big-endian |
| 2 | width |
| 4 | identity of the weights |
| 4 | fingerprint of the kind of machine that encoded |
| n | payload |
| 4 | CRC-32 of everything before |
"""

import struct
from dataclasses import dataclass

from benchmark.baselines.hific.container import MAX_PIXELS, check_size
from benchmark.baselines.msillm.weights import MODELS, TARGETS
from benchmark.errors import CorruptStream
from benchmark.sealed import body_of, sealed

MAGIC, VERSION = b"MSI", 1
HEADER = struct.Struct(">3sBHH4s4s")
OVERHEAD = HEADER.size + 4


@dataclass(frozen=True)
class Container:
    """What a stream holds. weights, machine: four bytes each."""

    model: str
    quality: float
    height: int
    width: int
    weights: bytes
    machine: bytes
    payload: bytes


def pack(container: Container) -> bytes:
    """The byte string. Raises BenchmarkError on an image too large."""
    check_size(container.height, container.width, "msillm")
    kind = VERSION << 4 | MODELS.index(container.model) << 3 | list(TARGETS).index(container.quality)
    head = HEADER.pack(MAGIC, kind, container.height, container.width, container.weights, container.machine)
    body = head + container.payload
    return sealed(body)


def unpack(data: bytes) -> Container:
    """The fields of `data`. Raises CorruptStream with the reason if it is not a whole and sound container."""
    body = body_of(data, MAGIC, "MS-ILLM stream", OVERHEAD)
    _, kind, height, width, weights, machine = HEADER.unpack_from(body)
    if height == 0 or width == 0 or height * width > MAX_PIXELS:
        raise CorruptStream(f"the stream claims an image of {width}x{height}, beyond what any encoder writes")
    model, quality = MODELS[kind >> 3 & 1], list(TARGETS)[kind & 7]
    return Container(model, quality, height, width, weights, machine, body[HEADER.size :])
