"""Tiles that overlap, blended."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmark.baselines.text_to_image.tiling import blended, starts


@given(st.integers(1, 60), st.integers(2, 12), st.integers(0, 11), st.sampled_from([1, 2, 8]))
def test_tiles_cover_the_length_and_overlap(units: int, tile: int, overlap: int, grid: int) -> None:
    length, side, wanted = units * grid, tile * grid, min(overlap, tile - 1) * grid
    found = starts(length, side, wanted, grid)
    assert found[0] == 0
    assert found[-1] + side >= length
    assert all(start % grid == 0 for start in found)
    assert all(0 < later - earlier <= side - wanted for earlier, later in pairwise(found))
    assert found[-1] + side == length or len(found) == 1


@given(st.integers(1, 40), st.integers(1, 40), st.integers(4, 12), st.integers(0, 3), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_what_looks_at_one_place_only_is_that_of_the_whole(h: int, w: int, tile: int, overlap: int, seed: int) -> None:
    x = torch.rand(1, 2, h, w, generator=torch.Generator().manual_seed(seed))

    def enlarge(part: Tensor) -> Tensor:
        return part.repeat_interleave(4, 2).repeat_interleave(4, 3) * 3 + 1

    torch.testing.assert_close(blended(enlarge, x, tile, overlap, 1, scale_out=4), enlarge(x))


def test_tiles_that_disagree_leave_no_step() -> None:
    """Each tile is a constant of its own; in the blend no value is far from its neighbour."""
    count = iter(range(100))

    def constant(part: Tensor) -> Tensor:
        assert part.shape[-2:] == (16, 16)
        return torch.full_like(part, float(next(count)))

    out = blended(constant, torch.zeros(1, 1, 16, 40), 16, 8, 1)
    assert next(count) == 4
    assert out[0, 0, 0, 0] == 0
    assert out[0, 0, 0, -1] == 3
    assert float((out[..., 1:] - out[..., :-1]).abs().max()) < 0.3


@pytest.mark.parametrize("scale", [1, 4])
def test_samples_of_the_input_are_cut_at_units(scale: int) -> None:
    x = torch.rand(1, 3, 24 * scale, 40 * scale)

    def shrink(part: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(part, scale)

    torch.testing.assert_close(blended(shrink, x, 16, 4, 4, 1, scale), shrink(x))
