"""Damaged streams: all different from the original, within bounds, and the same each time."""

from hypothesis import given
from hypothesis import strategies as st

from benchmark.audit.damage import HEADER, damaged_streams


@given(st.binary(max_size=200), st.integers(0, 20), st.integers(0, 5))
def test_damages_differ_from_the_stream_and_are_repeatable(data: bytes, flips: int, seed: int) -> None:
    streams = damaged_streams(data, flips, seed)
    assert all(stream.data != data for stream in streams)
    assert all(len(stream.data) == len(data) for stream in streams if stream.changed)
    assert all(stream.data[: len(data)] == data[: len(stream.data)] for stream in streams if not stream.changed)
    assert all(len(stream.data) <= len(data) + 16 for stream in streams)
    assert streams == damaged_streams(data, flips, seed)


def test_every_byte_of_the_header_is_hit_and_the_stream_is_cut_and_lengthened() -> None:
    data = bytes(range(200))
    streams = damaged_streams(data, 0, 0)
    flipped = [stream.data for stream in streams if "flipped" in stream.what]
    places = [next(i for i in range(200) if one[i] != data[i]) for one in flipped]
    assert places == list(range(HEADER))
    assert all(sum(a != b for a, b in zip(one, data, strict=True)) == 1 for one in flipped)
    lengths = {len(stream.data) for stream in streams}
    assert {0, 1, 50, 100, 199, 216} <= lengths
