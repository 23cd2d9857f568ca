"""How many bits random samples need, and what Python adds to streams."""

import io
import math
import pickle
import zlib

import numpy as np
import pytest

from benchmark.audit.checks import CHECKS
from benchmark.audit.elsewhere import UNKNOWN
from benchmark.audit.information import CHANCE_BITS, fewest_bits, overhead

NOISE = np.random.default_rng(7).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("step", [1, 2, 4, 8, 16, 32, 64, 128])
def test_no_quantiser_needs_fewer_bits_than_the_bound(step: int) -> None:
    """A uniform quantiser of uniform samples takes log2(256 / step) bits each. Its error is (step² − 1) / 12, and a
    quarter more where its values lie half a level off the middle of their cells."""
    coarse = NOISE // step * step + np.uint8((step - 1) // 2)
    taken = NOISE.size * math.log2(256 / step)
    bound = fewest_bits(NOISE, coarse.astype(np.uint8))
    error = (step**2 - 1) / 12 + (0.25 if step > 1 else 0)
    known = NOISE.size * (8 - 0.5 * math.log2(2 * math.pi * math.e * (error + 1 / 12))) - CHANCE_BITS
    assert bound == pytest.approx(max(0, known), abs=0.02 * NOISE.size)
    assert bound < taken


def test_what_keeps_nothing_needs_nothing() -> None:
    assert fewest_bits(NOISE, np.full_like(NOISE, 128)) == 0
    assert fewest_bits(NOISE, NOISE) > 8 * NOISE.size - 0.3 * NOISE.size


CONTENT = bytes(np.random.default_rng(1).integers(0, 256, 1000, dtype=np.uint8))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_found_wherever_it_begins(protocol: int) -> None:
    data = pickle.dumps({"strings": [CONTENT], "shape": (3, 4)}, protocol=protocol)
    for before in (b"", b"HEADER\x80\xff"):
        found = overhead(before + data)
        assert found is not None
        assert found[0] == "a pickle"
        assert found[1] == len(data) - len(CONTENT)


def test_archives_and_arrays() -> None:
    plain, packed, of_torch = io.BytesIO(), io.BytesIO(), io.BytesIO()
    array = np.frombuffer(CONTENT, np.uint8)
    np.save(plain, array)
    np.savez(packed, a=array)
    found = overhead(plain.getvalue())
    assert found == ("a file of NumPy's", len(plain.getvalue()) - 1000)
    archive = overhead(packed.getvalue())
    assert archive is not None
    assert archive[1] == len(packed.getvalue()) - len(plain.getvalue())
    import torch

    torch.save({"strings": torch.from_numpy(array.copy())}, of_torch)
    of_torch_found = overhead(of_torch.getvalue())
    assert of_torch_found is not None
    assert 300 < of_torch_found[1] < len(of_torch.getvalue()) - 999


@pytest.mark.parametrize(
    "data", [CONTENT, zlib.compress(CONTENT), b"", b"\x80", b"\x80\x04.", b"PK\x03\x04", CONTENT * 200]
)
def test_streams_are_none(data: bytes) -> None:
    assert overhead(data) is None


def test_images_made_elsewhere_are_asked_the_same() -> None:
    assert set(UNKNOWN) <= {question.name for question in CHECKS}
