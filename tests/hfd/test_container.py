import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import BenchmarkError, CorruptStream
from benchmark.hfd.container import CODES, MAX_SEED, MAX_STEPS, Container, codec_of, pack, quality_of, steps_of, unpack


def example(**changes: object) -> Container:
    fields = {
        "decoder": "flow",
        "height": 512,
        "width": 768,
        "quality_steps": 64,
        "seed": 3,
        "weights": b"\x01\x02\x03\x04",
        "payload": bytes(range(200)),
    }
    return Container(**(fields | changes))  # type: ignore[arg-type]


containers = st.builds(
    Container,
    decoder=st.sampled_from(sorted(CODES)),
    height=st.integers(1, 4096),
    width=st.integers(1, 65535),
    quality_steps=st.integers(0, 300) | st.integers(0, MAX_STEPS),
    seed=st.integers(0, MAX_SEED),
    weights=st.binary(min_size=4, max_size=4),
    payload=st.binary(max_size=300),
)


@given(containers)
def test_round_trip_within_24_bytes_and_one_more_for_high_qualities(container: Container) -> None:
    data = pack(container)
    assert unpack(data) == container
    assert len(data) - len(container.payload) <= 24 + (quality_of(container.quality_steps) > 8)


def test_models_of_more_than_eight_levels() -> None:
    """A byte of 1/32 level ends at 8.97."""
    for quality in (8, 8.03125, 9, 10, 100):
        steps = steps_of(quality, 100)
        assert quality_of(unpack(pack(example(quality_steps=steps))).quality_steps) == quality
    for steps in (-1, MAX_STEPS + 1):
        with pytest.raises(BenchmarkError, match=r"quality \S+ is beyond"):
            pack(example(quality_steps=steps))


def test_overhead_at_the_largest_side_and_seed() -> None:
    container = example(height=65535, width=4000, seed=MAX_SEED, payload=bytes(2**21 - 1))
    assert len(pack(container)) - len(container.payload) <= 24
    assert len(pack(example())) - 200 == 20


@given(st.data())
@settings(max_examples=200)
def test_damage_is_noticed(data: st.DataObject) -> None:
    whole = pack(example())
    position = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptStream):
        unpack(bytes(flipped))
    with pytest.raises(CorruptStream):
        unpack(whole[:position])


@given(st.binary(max_size=100))
def test_foreign_bytes(data: bytes) -> None:
    with pytest.raises(CorruptStream):
        unpack(data)


@given(st.binary(max_size=60))
def test_any_header_with_a_fitting_checksum_is_read_or_refused(header: bytes) -> None:
    body = b"HFD\x11" + header
    try:
        container = unpack(body + zlib.crc32(body).to_bytes(4, "big"))
    except CorruptStream:
        return
    assert container.height * container.width <= 2**28


def test_absurd_sizes_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="too large"):
        pack(example(height=65535, width=65535))
    with pytest.raises(BenchmarkError, match="too large"):
        pack(example(height=70000, width=1))
    with pytest.raises(BenchmarkError, match="seed"):
        pack(example(seed=MAX_SEED + 1))


def test_codec_of() -> None:
    assert codec_of(pack(example(decoder="mse"))) == "mse"
    assert codec_of(pack(example())) == "hfd:decoder=flow"
    assert codec_of(b"\x89PNG") is None


def test_only_what_an_encoder_writes_is_read() -> None:
    """Numbers in more bytes than they need, and a seed that no encoder has."""
    whole = pack(Container("mse", 16, 16, 0, 0, b"abcd", b"payload"))

    def sealed(body: bytes) -> bytes:
        return body + struct.pack(">I", zlib.crc32(body))

    assert sealed(whole[:-4]) == whole
    for at in (4, 5, 7, 12):
        with pytest.raises(CorruptStream, match="longer than any encoder writes it"):
            unpack(sealed(whole[:at] + bytes([whole[at] | 128, 0]) + whole[at + 1 : -4]))
    with pytest.raises(CorruptStream, match="claims decoder seed 16384"):
        unpack(sealed(whole[:7] + b"\x80\x80\x01" + whole[8:-4]))
