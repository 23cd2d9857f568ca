"""Entropy coding of latents: exact, close to their entropy, and sound on any bytes."""

import contextlib
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.baselines.text_to_image.latent_coder import (
    BINS,
    LARGEST_SYMBOL,
    ROWS,
    Symbols,
    checkerboard,
    contexts,
    decode,
    encode,
    tables,
)
from benchmark.errors import BenchmarkError, CorruptStream


def draw(seed: int, shape: tuple[int, int, int], deviation: float) -> Symbols:
    """Gaussian, rounded."""
    return np.rint(np.random.default_rng(seed).normal(0, deviation, shape)).astype(np.int64)


@given(
    st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 12), st.integers(1, 12), st.sampled_from([0, 0.3, 3, 4000])
)
@settings(max_examples=25, deadline=None)
def test_what_is_written_is_read(seed: int, channels: int, rows: int, columns: int, deviation: float) -> None:
    symbols = draw(seed, (channels, rows, columns), deviation) + np.arange(-1, channels - 1)[:, None, None] * 100
    assert np.array_equal(decode(encode(symbols), channels, rows, columns), symbols)


def test_the_largest_symbols() -> None:
    symbols = np.full((2, 3, 4), LARGEST_SYMBOL)
    symbols[:, 1] = -LARGEST_SYMBOL
    assert np.array_equal(decode(encode(symbols), 2, 3, 4), symbols)
    with pytest.raises(BenchmarkError, match="far too large: these weights are damaged"):
        encode(symbols + 1)


@pytest.mark.parametrize("deviation", [0.2, 0.5, 1.0, 4.0, 16.0])
def test_a_source_without_context_takes_its_entropy(deviation: float) -> None:
    """Independent, Gaussian: nothing to be gained by context, nothing lost by it but few bytes of settings."""
    symbols = draw(1, (4, 64, 64), deviation)
    _, counts = np.unique(symbols, return_counts=True)
    entropy = -(counts * np.log2(counts / symbols.size)).sum() / 8
    assert len(encode(symbols)) < 1.03 * entropy + 40


def test_context_is_worth_bits() -> None:
    """One half of each channel quiet, the other loud: by context it takes little more than the two apart."""
    symbols = draw(2, (4, 64, 64), 1.0)
    symbols[:, :, :32] *= 12
    apart = len(encode(symbols[:, :, :32])) + len(encode(symbols[:, :, 32:]))
    mixed = len(encode(np.random.default_rng(0).permutation(symbols.reshape(4, -1), axis=1).reshape(symbols.shape)))
    together = len(encode(symbols))
    assert together < 1.12 * apart
    assert together < 0.92 * mixed


def test_tables_are_the_same_on_every_machine() -> None:
    """The hash of the integers: another one would make old streams unreadable."""
    made = tables()
    assert len(made.cdfs) == 2 * ROWS
    assert all(cdf[0] == 0 and cdf[-1] == 2**16 and min(np.diff(cdf)) >= 1 for cdf in made.cdfs)
    text = repr((made.cdfs, made.offsets)).encode()
    assert hashlib.sha256(text).hexdigest()[:16] == "36b69dceb967a0ba"


def test_contexts_see_only_what_a_decoder_knows() -> None:
    symbols = draw(3, (2, 9, 8), 5.0)
    first = checkerboard(9, 8)
    known = np.where(first, symbols[1], 0)
    second = contexts(known, symbols[0], second=True)
    changed = np.where(first, known, 99)  # what is not known yet
    assert np.array_equal(second[~first], contexts(changed, symbols[0], second=True)[~first])
    assert second.max() < BINS
    assert np.array_equal(contexts(known, symbols[0], False), contexts(changed, symbols[0], False))


@given(st.binary(max_size=200), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_any_bytes(data: bytes, channels: int, rows: int, columns: int) -> None:
    with contextlib.suppress(CorruptStream):
        assert decode(data, channels, rows, columns).shape == (channels, rows, columns)


def test_a_large_claim_wants_bytes() -> None:
    data = encode(draw(4, (4, 16, 16), 1.0))
    with pytest.raises(CorruptStream, match="an image of this size has at least"):
        decode(data, 4, 4000, 4000)
