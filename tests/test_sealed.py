"""The frame that containers share: what is no whole and sound stream is refused with its reason."""

import struct
import zlib

import pytest

from benchmark.baselines.msillm.container import Container, pack
from benchmark.errors import BenchmarkError, CorruptStream
from benchmark.sealed import body_of, sealed

BODY = b"HIC\x10payload"


def test_the_checksum_is_the_crc_32_of_the_body() -> None:
    assert sealed(BODY) == BODY + struct.pack(">I", zlib.crc32(BODY))
    assert body_of(sealed(BODY), b"HIC", "HiFiC stream", 8) == BODY


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (sealed(b"XIC\x10payload"), "this is no HiFiC stream: it does not begin with 'HIC'"),
        (b"HIC\x10", "the stream is truncated: 4 bytes"),
        (sealed(b"HIC\x20payload"), "newer version"),
        (sealed(BODY)[:-1], "its CRC-32 does not fit"),
        (sealed(BODY)[:-1] + b"\x00", "its CRC-32 does not fit"),
        (sealed(BODY).replace(b"y", b"z"), "its CRC-32 does not fit"),
    ],
)
def test_other_bytes_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(CorruptStream, match=reason):
        body_of(data, b"HIC", "HiFiC stream", 8)


def test_an_image_too_large_is_refused_by_the_codec_s_own_name() -> None:
    with pytest.raises(BenchmarkError, match=r"^msillm: an image of 70000x1 is too large"):
        pack(Container("msillm", 1, 1, 70000, bytes(4), bytes(4), b""))
