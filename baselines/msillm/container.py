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
import zlib
from dataclasses import dataclass

from benchmark.baselines.hific.container import MAX_PIXELS, check_size
from benchmark.baselines.msillm.weights import MODELS, TARGETS
from benchmark.compatibility import STREAMS, newer_stream
from benchmark.errors import CorruptStream

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
    """The byte string. Raises BenchmarkError on a picture too large."""
    check_size(container.height, container.width)
    kind = VERSION << 4 | MODELS.index(container.model) << 3 | list(TARGETS).index(container.quality)
    head = HEADER.pack(MAGIC, kind, container.height, container.width, container.weights, container.machine)
    body = head + container.payload
    return body + struct.pack(">I", zlib.crc32(body))


def unpack(data: bytes) -> Container:
    """The fields of `data`. Raises CorruptStream with the reason if it is not a whole and sound container."""
    if data[: len(MAGIC)] != MAGIC:
        raise CorruptStream("this is no MS-ILLM stream: it does not begin with 'MSI'")
    if len(data) < OVERHEAD:
        raise CorruptStream(f"the stream is truncated: {len(data)} bytes are fewer than any header")
    if data[3] >> 4 not in STREAMS[MAGIC]:
        raise CorruptStream(newer_stream(MAGIC, data[3] >> 4))
    body, checksum = data[:-4], data[-4:]
    if struct.pack(">I", zlib.crc32(body)) != checksum:
        raise CorruptStream("the stream is damaged or truncated: its CRC-32 does not fit")
    _, kind, height, width, weights, machine = HEADER.unpack_from(body)
    if height == 0 or width == 0 or height * width > MAX_PIXELS:
        raise CorruptStream(f"the stream claims a picture of {width}x{height}, beyond what any encoder writes")
    model, quality = MODELS[kind >> 3 & 1], list(TARGETS)[kind & 7]
    return Container(model, quality, height, width, weights, machine, body[HEADER.size :])
