"""The guard around CompressAI's rANS decoder, held against a decoder in Python that counts what it reads."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compressai._CXX import pmf_to_quantized_cdf
from compressai.ans import BufferedRansEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from support.zygote import Zygote

from benchmark.errors import CorruptStream
from benchmark.hfd.codec import mse
from benchmark.hfd.container import pack, unpack
from benchmark.hfd.rans import BYTES_PER_SYMBOL, decoder_of, guarded, least_bits, require_bits

CDFS = [list(pmf_to_quantized_cdf(pmf, 16)) for pmf in ([0.2, 0.5, 0.29, 0.01], [0.97, 0.02, 0.01], [0.3, 0.4, 0.3])]
LENGTHS, OFFSETS = [len(cdf) for cdf in CDFS], [-1, 0, -1]


def decoded_in_python(data: bytes, rows: list[int]) -> tuple[list[int], int]:
    """The symbols (modulo 2**32, as escapes of forged streams overflow), and how many bytes were read."""
    at, state = 0, 0

    def word() -> int:
        nonlocal at
        at += 4
        return int.from_bytes(data[at - 4 : at], "little")

    def digit() -> int:
        nonlocal state
        value, state = state & 15, state >> 4
        if state < 2**31:
            state = state << 32 | word()
        return value

    state = word()
    state |= word() << 32
    symbols = []
    for row in rows:
        cdf, low = CDFS[row], state & 0xFFFF
        place = next(place for place in range(len(cdf)) if cdf[place + 1] > low)
        state = (cdf[place + 1] - cdf[place]) * (state >> 16) + low - cdf[place]
        if state < 2**31:
            state = state << 32 | word()
        if place == len(cdf) - 2:
            count = value = digit()
            while value == 15:
                value = digit()
                count += value
            raw = 0
            for index in range(count):
                raw |= digit() << 4 * index if index < 8 else 0 * digit()
            place = -(raw >> 1) - 1 if raw & 1 else place + (raw >> 1)
        symbols.append(place + OFFSETS[row])
    return symbols, at


def coded(symbols: list[int], rows: list[int]) -> bytes:
    """CompressAI's encoder, which writes before its buffer where there are fewer than four symbols."""
    encoder = BufferedRansEncoder()
    encoder.encode_with_indexes(symbols, rows, CDFS, LENGTHS, OFFSETS)
    return encoder.flush()


@given(
    st.lists(st.tuples(st.integers(-70_000, 70_000) | st.integers(-3, 3), st.integers(0, 2)), min_size=8, max_size=40)
)
@settings(deadline=None)
def test_sound_streams_are_decoded_as_ever(pairs: list[tuple[int, int]]) -> None:
    symbols, rows = [symbol for symbol, _ in pairs], [row for _, row in pairs]
    stream = coded(symbols, rows)
    assert decoder_of(stream, len(rows)).decode_stream(rows, CDFS, LENGTHS, OFFSETS) == symbols
    assert decoded_in_python(guarded(stream, len(rows)), rows)[0] == symbols


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(0, 60))
@settings(deadline=None, max_examples=200)
def test_nothing_is_read_beyond_the_zeros(seed: int, count: int, run: int) -> None:
    rng = random.Random(seed)
    rows = [rng.randrange(3) for _ in range(count)]
    stream = rng.randbytes(rng.randrange(20)) + b"\xff" * run + rng.randbytes(rng.randrange(20))
    data = guarded(stream[: BYTES_PER_SYMBOL * (count + 2)], count)
    assert decoded_in_python(data, rows)[1] <= len(data)


@pytest.mark.parametrize("length", [3000, 100_000])
def test_a_run_of_ones_asks_for_sixteen_times_its_length(length: int) -> None:
    """What ended the process: CompressAI's decoder reads that far. It fits into the zeros, and just so."""
    rows = [0] * (length // BYTES_PER_SYMBOL)
    data = guarded(b"\xff" * length, len(rows))
    _, read = decoded_in_python(data, rows[:1])
    assert 15 * length < read <= len(data) < 2**5 * length


def test_a_stream_longer_than_any_encoders_is_refused() -> None:
    guarded(bytes(BYTES_PER_SYMBOL * 12), 10)
    with pytest.raises(CorruptStream, match="an entropy-coded part has 97 bytes; no more than 96 are ever written"):
        guarded(bytes(BYTES_PER_SYMBOL * 12 + 1), 10)


def test_no_stream_is_longer_than_that() -> None:
    """Escapes of the largest numbers with which the coder ends: at 2**28 it counts digits for ever."""
    rows = [1] * 500
    stream = coded([2**26] * 500, rows)
    assert len(guarded(stream, 500)) > len(stream)
    assert len(stream) < BYTES_PER_SYMBOL * 502


def test_the_fewest_bits_are_those_of_the_likeliest_symbols() -> None:
    likeliest = [max(np.diff(cdf)) for cdf in CDFS]
    each = least_bits(likeliest)
    assert each == pytest.approx(sum(16 - np.log2(count) for count in likeliest), abs=3 * 2**-14)
    rows = [row for row in range(3) for _ in range(3000)]
    symbols = [int(np.diff(CDFS[row]).argmax()) + OFFSETS[row] for row in rows]
    stream = coded(symbols, rows)
    require_bits(stream, 3000 * each)
    with pytest.raises(CorruptStream, match="an image of this size has at least"):
        require_bits(stream[: len(stream) * 9 // 10], 3000 * each)


def test_a_forged_payload_of_ones_ends_no_process(
    first_stage_file: Path, picture: np.ndarray, tmp_path: Path, coding: Zygote
) -> None:
    """In a process of its own, since what is tested is that it lives."""
    codec = mse("cpu", first_stage=first_stage_file)
    whole = unpack(codec.encode(picture, 2))
    code = (
        "import sys; from pathlib import Path; from benchmark.hfd.codec import mse; "
        "from benchmark.errors import CorruptStream\n"
        "try: mse('cpu', first_stage=Path(sys.argv[1])).decode(sys.stdin.buffer.read()); print('image')\n"
        "except CorruptStream: print('corrupt')"
    )
    (tmp_path / "forged").write_bytes(pack(replace(whole, payload=b"\xff" * 300_000)))
    exit_code, out, errors = coding.run(str(first_stage_file), folder=tmp_path, script=code, into="forged")
    assert (exit_code, out) == (0, "corrupt\n"), errors
