"""The container: the few bytes around a payload that make it decodable on its own.

| bytes | field |
| --- | --- |
| 3 | magic `HFD` |
| 1 | version (high four bits) and decoder (low four, see `CODES`) |
| 1-3 | height, varint |
| 1-3 | width, varint |
| 1-2 | quality: (quality − 1)·32; from 225 on, in two bytes |
| 1-2 | decoder seed, varint, below 16384 |
| 4 | identity of the weights |
| 1-4 | length of the payload, varint |
| n | payload |
| 4 | CRC-32 of everything before |

Between 17 and 25 bytes: 20 or 21 for an image of 768×512. Varints are LEB128. With sides up to 65535, a quality of 8 at
most and a payload of up to 2^21 − 1 bytes it stays within 24; a larger payload takes one byte more, as a higher quality
does. Of two bytes of quality, q₁ and q₂, the number is 225 + (q₁ − 225)·256 + q₂.
"""

import struct
import zlib
from dataclasses import dataclass

from benchmark.compatibility import STREAMS, newer_stream
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd.decoders import KINDS

MAGIC, VERSION = b"HFD", 1
CODES = {"mse": 0, "hific-small": 3} | {kind.name: kind.code for kind in KINDS.values()}
"""Decoder -> its number in a stream. `hfd` has those of KINDS, on any base; `mse` and `hific-small` are codecs."""
DECODERS = {code: name for name, code in CODES.items()}
QUALITY_STEPS = 32
"""A stream keeps a quality in units of 1/32 level: "steps", (quality − 1)·32."""
_ONE_BYTE = 225
"""Fewer steps than so many are one byte."""
MAX_STEPS = _ONE_BYTE + (256 - _ONE_BYTE) * 256 - 1
MAX_SIDE, MAX_SEED = 65535, 2**14 - 1
TYPICAL_BYTES = 20
"""Of a container around its payload, for an image of 768×512; other sizes take 17 to 25."""
MAX_PIXELS = 2**28
"""Larger images are refused before anything is allocated."""


def steps_of(quality: float, levels: int) -> int:
    """`quality` in steps, as the container has it. Raises UsageError out of range: 1 (fewest bits) to `levels`."""
    if not 1 <= quality <= levels:
        raise UsageError(f"quality {quality:g} is out of range: 1 (fewest bits) to {levels}")
    return round((quality - 1) * QUALITY_STEPS)


def quality_of(steps: int) -> float:
    """The quality, 1 or more, of a number of steps."""
    return 1 + steps / QUALITY_STEPS


@dataclass(frozen=True)
class Container:
    """What a stream holds. quality_steps: (quality − 1)·32. weights: four bytes that name the decoder's weights."""

    decoder: str
    height: int
    width: int
    quality_steps: int
    seed: int
    weights: bytes
    payload: bytes


def pack(container: Container) -> bytes:
    """The byte string. Raises BenchmarkError on an image too large, or a quality or seed out of range."""
    if not (1 <= container.height <= MAX_SIDE and 1 <= container.width <= MAX_SIDE) or (
        container.height * container.width > MAX_PIXELS
    ):
        raise BenchmarkError(
            f"an image of {container.width}x{container.height} is too large: sides up to {MAX_SIDE}, "
            f"{MAX_PIXELS // 10**6} megapixels in all"
        )
    if not 0 <= container.quality_steps <= MAX_STEPS:
        raise BenchmarkError(f"quality {quality_of(container.quality_steps):g} is beyond what a stream can hold")
    if not 0 <= container.seed <= MAX_SEED:
        raise BenchmarkError(f"decoder seed {container.seed} is out of range: 0 to {MAX_SEED}")
    body = b"".join(
        [
            MAGIC,
            bytes([VERSION << 4 | CODES[container.decoder]]),
            varint(container.height),
            varint(container.width),
            _quality(container.quality_steps),
            varint(container.seed),
            container.weights,
            varint(len(container.payload)),
            container.payload,
        ]
    )
    return body + struct.pack(">I", zlib.crc32(body))


def unpack(data: bytes) -> Container:
    """The fields of `data`. Raises CorruptStream with the reason if it is not a whole and sound container."""
    if data[: len(MAGIC)] != MAGIC:
        raise CorruptStream("this is no HFD stream: it does not begin with 'HFD'")
    if len(data) < 17:
        raise CorruptStream(f"the stream is truncated: {len(data)} bytes are fewer than any header")
    if data[3] >> 4 not in STREAMS[MAGIC]:
        raise CorruptStream(newer_stream(MAGIC, data[3] >> 4))
    body, checksum = data[:-4], data[-4:]
    if struct.pack(">I", zlib.crc32(body)) != checksum:
        raise CorruptStream("the stream is damaged or truncated: its CRC-32 does not fit")
    if data[3] & 15 not in DECODERS:
        raise CorruptStream(f"the stream asks for decoder {data[3] & 15}, which this program does not know")
    height, at = read_varint(body, 4)
    width, at = read_varint(body, at)
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE) or height * width > MAX_PIXELS:
        raise CorruptStream(f"the stream claims an image of {width}x{height}, beyond what any encoder writes")
    if at >= len(body):
        raise CorruptStream("the stream's header is truncated")
    quality_steps, at = _read_quality(body, at)
    seed, at = read_varint(body, at)
    if seed > MAX_SEED:
        raise CorruptStream(f"the stream claims decoder seed {seed}, beyond what any encoder writes")
    weights = body[at : at + 4]
    length, at = read_varint(body, at + 4)
    payload = body[at:]
    if len(payload) != length:
        raise CorruptStream(f"the stream's payload has {len(payload)} bytes, its header says {length}")
    return Container(DECODERS[data[3] & 15], height, width, quality_steps, seed, weights, payload)


def codec_of(data: bytes) -> str | None:
    """The codec spec that decodes `data` (`mse`, `hfd:decoder=diffusion`), None if it is no container."""
    return spec_of(unpack(data).decoder) if data[: len(MAGIC)] == MAGIC else None


def spec_of(decoder: str) -> str:
    """The codec spec of one of CODES: `mse`, `hfd:decoder=flow`, `hific-small`."""
    return f"hfd:decoder={decoder}" if decoder in KINDS else decoder


def _quality(steps: int) -> bytes:
    if steps < _ONE_BYTE:
        return bytes([steps])
    high, low = divmod(steps - _ONE_BYTE, 256)
    return bytes([_ONE_BYTE + high, low])


def _read_quality(data: bytes, at: int) -> tuple[int, int]:
    """The steps that begin at `at`, where there is a byte, and where they end. Raises CorruptStream."""
    first = data[at]
    if first < _ONE_BYTE:
        return first, at + 1
    if at + 1 >= len(data):
        raise CorruptStream("the stream's header is truncated")
    return _ONE_BYTE + (first - _ONE_BYTE) * 256 + data[at + 1], at + 2


def varint(value: int) -> bytes:
    """LEB128: seven bits a byte, the lowest first."""
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, below 2^35, and where it ends. Raises CorruptStream."""
    value, shift = 0, 0
    while True:
        if at >= len(data) or shift > 28:
            raise CorruptStream("the stream's header is truncated or malformed")
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            if data[at - 1] == 0 and shift > 7:
                raise CorruptStream("the stream's header has a number that is longer than any encoder writes it")
            return value, at
