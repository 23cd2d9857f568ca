"""What HFD adds to a JPEG or AVIF file: a few bytes where every viewer ignores them.

| bytes | field |
| --- | --- |
| 3 | magic `HFD` |
| 1 | version (high four bits) and decoder (low four), as in the container |
| 1 | quality: (quality − 1)·32 |
| 4 | identity of the weights |
| 0-2 | decoder seed, big-endian, without leading zeros: seed 0 takes no byte |
| 4 | CRC-32 of everything before and of the image file without these bytes |

Between 13 and 15 bytes, in an APP9 segment of JPEG behind the JFIF header (4 bytes more; ITU-T T.81, B.2.4.6), or in a
`free` box at the end of an AVIF file (8 bytes more; ISO/IEC 14496-12, 8.1.2), where it moves no offset of the others.
Neither format has a checksum of its own: this one covers the image as well, so that a changed file is noticed.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from benchmark.compatibility import STREAMS, newer_stream
from benchmark.errors import BenchmarkError, CorruptStream
from benchmark.hfd.container import CODES, DECODERS, MAGIC, MAX_SEED
from benchmark.hfd.container import codec_of as codec_of_container
from benchmark.hfd.decoders import KINDS

VERSION = 1
SHORTEST, LONGEST = 13, 15
APP9 = 0xE9
"""Exif and XMP (1), ICC (2), Adobe (13, 14) and others have their habitual numbers; this one has no user of weight."""

FORMATS = {"jpeg": "JPEG", "avif": "AVIF"}
"""Base -> its name in messages."""


@dataclass(frozen=True)
class Header:
    """What a stream says beside its image, in a container or embedded.

    quality_steps: (quality − 1)·32. weights: four bytes that name the decoder's weights.
    """

    decoder: str
    quality_steps: int
    seed: int
    weights: bytes


def embed(picture: bytes, header: Header) -> bytes:
    """The JPEG or AVIF file `picture` with `header`. Raises BenchmarkError on another file or a seed too large."""
    if not 0 <= header.seed <= MAX_SEED:
        raise BenchmarkError(f"decoder seed {header.seed} is out of range: 0 to {MAX_SEED}")
    base = base_of(picture)
    if base is None:
        raise BenchmarkError("only a JPEG or an AVIF file can carry HFD's bytes")
    if _find(picture, base):
        raise BenchmarkError(f"the {FORMATS[base]} file carries HFD's bytes already")
    fields = b"".join(
        [
            MAGIC,
            bytes([VERSION << 4 | CODES[header.decoder], header.quality_steps]),
            header.weights,
            header.seed.to_bytes((header.seed.bit_length() + 7) // 8, "big"),
        ]
    )
    content = fields + _checksum(fields, picture)
    if base == "avif":
        return picture + struct.pack(">I", 8 + len(content)) + b"free" + content
    segment = struct.pack(">BBH", 0xFF, APP9, 2 + len(content)) + content
    at = _after_jfif(picture)
    return picture[:at] + segment + picture[at:]


def extract(data: bytes, base: str) -> tuple[Header, bytes]:
    """The header in `data`, a file of the format `base` ("jpeg", "avif"), and the image file without it.

    Raises CorruptStream with the reason if there is none, more than one, or one that does not fit the image.
    """
    there = base_of(data)
    if there is None and data[: len(MAGIC)] == MAGIC:
        raise CorruptStream(f"the stream is no {FORMATS[base]} file but a container; decode it with --codec hfd")
    if there != base:
        raise CorruptStream(
            f"hfd:base={base} decodes {FORMATS[base]} files; this is {FORMATS[there] if there else 'something else'}"
        )
    places = _find(data, base)
    if not places:
        raise CorruptStream(
            f"a {FORMATS[base]} file without HFD's bytes: nothing says which decoder belongs to it; "
            f"--codec {base} decodes it as it is"
        )
    if len(places) > 1:
        raise CorruptStream(f"the {FORMATS[base]} file carries HFD's bytes more than once")
    start, end, before = places[0]
    content = data[start + before : end]
    if not SHORTEST <= len(content) <= LONGEST:
        raise CorruptStream(f"HFD's bytes in the {FORMATS[base]} file are {len(content)}, not {SHORTEST} to {LONGEST}")
    if content[3] >> 4 not in STREAMS[MAGIC]:
        raise CorruptStream(f"HFD's bytes: {newer_stream(MAGIC, content[3] >> 4)}")
    fields, picture = content[:-4], data[:start] + data[end:]
    if _checksum(fields, picture) != content[-4:]:
        raise CorruptStream(
            f"the {FORMATS[base]} file was cut short or changed after it was encoded: HFD's CRC-32 does not fit"
        )
    decoder, seed = content[3] & 15, int.from_bytes(fields[9:], "big")
    if DECODERS.get(decoder) not in KINDS:
        raise CorruptStream(f"the {FORMATS[base]} file asks for decoder {decoder}, which this program does not know")
    if seed > MAX_SEED or fields[9:10] == b"\0":
        raise CorruptStream(f"the {FORMATS[base]} file has a decoder seed that no encoder writes")
    return Header(DECODERS[decoder], content[4], seed, fields[5:9]), picture


def codec_of(data: bytes) -> str | None:
    """The codec spec that decodes `data`, a container or an image file with HFD's bytes; None for anything else.

    Such as `mse`, `hfd:decoder=flow`, `hfd:base=jpeg,decoder=flow`. Raises CorruptStream on a damaged one.
    """
    base = base_of(data)
    if base is None:
        return codec_of_container(data)
    if not _find(data, base):
        return None
    header, _ = extract(data, base)
    return f"hfd:base={base},decoder={header.decoder}"


def base_of(data: bytes) -> str | None:
    """ "jpeg" or "avif" by the first bytes of a file, None for anything else."""
    if data[:3] == b"\xff\xd8\xff":
        return "jpeg"
    return "avif" if data[4:12] == b"ftypavif" else None


def _checksum(fields: bytes, picture: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(picture, zlib.crc32(fields)))


def _find(data: bytes, base: str) -> list[tuple[int, int, int]]:
    """(start, end, bytes before the content) of the first two segments or boxes with our magic: two are too many."""
    places = (
        (start, end, before)
        for start, end, before in (_segments(data) if base == "jpeg" else _free_boxes(data))
        if data[start + before : start + before + len(MAGIC)] == MAGIC
    )
    return list(islice(places, 2))


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The APP9 segments of a JPEG file before its first scan; ends where the file is malformed."""
    at = 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        marker, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        # A scan ends the header. Markers without a length and fill bytes stand in no file that is ours.
        if marker <= 0x01 or 0xD0 <= marker <= 0xDA or marker == 0xFF or not at + 4 <= end <= len(data):
            return
        if marker == APP9:
            yield at, end, 4
        at = end


def _free_boxes(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The `free` boxes of an AVIF file, outside all others; ends where the file is malformed."""
    at = 0
    while at + 8 <= len(data):
        end = at + int.from_bytes(data[at : at + 4], "big")
        if not at + 8 <= end <= len(data):  # sizes 0 (to the end) and 1 (64 bits) stand in no file that is ours
            return
        if data[at + 4 : at + 8] == b"free":
            yield at, end, 8
        at = end


def _after_jfif(picture: bytes) -> int:
    """Where a segment may be put: behind SOI, and behind APP0 where JFIF has it."""
    if picture[2:4] == b"\xff\xe0":
        return 4 + int.from_bytes(picture[4:6], "big")
    return 2
