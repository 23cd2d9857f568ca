"""What the containers of streams have in common: a magic, a version, and a CRC-32 at the end. Below all codecs."""

import struct
import zlib

from benchmark.compatibility import STREAMS, newer_stream
from benchmark.errors import CorruptStream


def sealed(body: bytes) -> bytes:
    """`body` and its CRC-32."""
    return body + struct.pack(">I", zlib.crc32(body))


def body_of(data: bytes, magic: bytes, what: str, shortest: int) -> bytes:
    """`data` without its CRC-32. The version is the high four bits of the byte behind `magic`; shortest: bytes.

    what: names such a stream in words. Raises CorruptStream, with the reason, on any other bytes.
    """
    if data[: len(magic)] != magic:
        raise CorruptStream(f"this is no {what}: it does not begin with {magic.decode()!r}")
    if len(data) < shortest:
        raise CorruptStream(f"the stream is truncated: {len(data)} bytes are fewer than any header")
    version = data[len(magic)] >> 4
    if version not in STREAMS[magic]:
        raise CorruptStream(newer_stream(magic, version))
    body, checksum = data[:-4], data[-4:]
    if struct.pack(">I", zlib.crc32(body)) != checksum:
        raise CorruptStream("the stream is damaged or truncated: its CRC-32 does not fit")
    return body
