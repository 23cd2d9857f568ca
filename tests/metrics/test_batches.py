"""Batches of patches: those that a device has no memory for are halved, and features do not depend on them."""

import numpy as np
import pytest
import torch
from support.short_memory import LittleMemory

from benchmark.metrics.extractors import in_batches
from benchmark.shortage import shortages

PATCHES = [np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8) for number in range(13)]


def extractor(x: torch.Tensor) -> torch.Tensor:
    """8 maps of float32 a patch, 2048 bytes, then their means."""
    weight = torch.linspace(-1, 1, 8 * 3 * 9).view(8, 3, 3, 3)
    return torch.nn.functional.conv2d(x.float(), weight, padding=1).mean((2, 3))


def test_batches_are_halved_until_they_fit() -> None:
    alone = in_batches(extractor, PATCHES, "cpu", 1)
    assert alone.shape == (13, 8)
    sizes: list[int] = []

    def watched(x: torch.Tensor) -> torch.Tensor:
        found = extractor(x)
        sizes.append(len(x))
        return found

    with shortages() as told, LittleMemory(4 * 2048) as memory:
        halved = in_batches(watched, PATCHES, "cpu", 64)
    assert np.allclose(halved, alone, rtol=1e-5, atol=0)
    assert sizes == [3, 3, 3, 3, 1]
    assert memory.refusals == 2
    assert told == {"batch": "no memory for 6 patches at once on the device: batches of 3"}


def test_a_patch_that_does_not_fit_is_an_error() -> None:
    with shortages(), LittleMemory(2000), pytest.raises(torch.OutOfMemoryError):
        in_batches(extractor, PATCHES, "cpu", 4)


@pytest.mark.parametrize("size", [2, 5, 64])
def test_no_batch_moves_a_patch_s_features(size: int) -> None:
    alone = in_batches(extractor, PATCHES, "cpu", 1)
    assert np.allclose(in_batches(extractor, PATCHES, "cpu", size), alone, rtol=1e-5, atol=0)
    assert np.allclose(in_batches(extractor, PATCHES[::-1], "cpu", size)[::-1], alone, rtol=1e-5, atol=0)
