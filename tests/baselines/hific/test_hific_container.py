import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.baselines.hific.container import MAX_PIXELS, OVERHEAD, VARIANTS, Container, pack, unpack
from benchmark.errors import BenchmarkError, CorruptStream

EXAMPLE = Container("med", 512, 768, b"\x01\x02\x03\x04", b"\x05\x06\x07\x08", bytes(range(90)))


@given(
    st.sampled_from(VARIANTS),
    st.integers(1, 65535),
    st.integers(1, 512),
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=4, max_size=4),
    st.binary(max_size=200),
)
def test_round_trip(variant: str, height: int, width: int, weights: bytes, machine: bytes, payload: bytes) -> None:
    container = Container(variant, height, width, weights, machine, payload)
    data = pack(container)
    assert unpack(data) == container
    assert len(data) == len(payload) + OVERHEAD == len(payload) + 20


@given(st.data())
@settings(max_examples=100)
def test_damage_is_noticed(data: st.DataObject) -> None:
    whole = pack(EXAMPLE)
    position = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[position] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(flipped), whole[:position], whole + b"\0"):
        with pytest.raises(CorruptStream):
            unpack(damaged)


@given(st.binary(max_size=60))
def test_any_header_with_a_fitting_checksum_is_read_or_refused(header: bytes) -> None:
    body = b"HIC" + header
    try:
        container = unpack(body + zlib.crc32(body).to_bytes(4, "big"))
    except CorruptStream:
        return
    assert 1 <= container.height * container.width <= MAX_PIXELS


def test_absurd_sizes_are_refused() -> None:
    for height, width in ((65535, 65535), (70000, 1), (0, 5)):
        with pytest.raises(BenchmarkError, match="too large"):
            pack(Container("low", height, width, bytes(4), bytes(4), b""))
