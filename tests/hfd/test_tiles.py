import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.hfd.transforms import (
    OVERLAP,
    STRIDE,
    TILE,
    AnalysisTransform,
    SynthesisTransform,
    dct_kernels,
    in_tiles,
    tiles,
)


@given(st.integers(1, 150), st.integers(1, 150), st.integers(8, 40))
@settings(max_examples=50, deadline=None)
def test_tiles_cover_every_latent_once(rows: int, columns: int, tile: int) -> None:
    covered = np.zeros((rows, columns), dtype=int)
    parts = list(tiles(rows, columns, tile))
    assert (len(parts) == 1) == (rows * columns <= tile**2 or max(rows, columns) <= tile)
    for own, seen in parts:
        covered[own] += 1
        for o, s, length in zip(own, seen, (rows, columns), strict=True):
            assert len(parts) == 1 or o.stop - o.start <= tile
            assert s.start == max(0, o.start - OVERLAP)
            assert s.stop == min(length, o.stop + OVERLAP)
    assert (covered == 1).all()


def test_small_pictures_are_one_tile() -> None:
    assert len(list(tiles(TILE, TILE))) == 1
    assert len(list(tiles(250, 375))) == 6


@pytest.fixture(scope="module")
def networks() -> tuple[AnalysisTransform, SynthesisTransform]:
    """With random weights, no branch asleep."""
    torch.manual_seed(0)
    analysis, synthesis, _ = dct_kernels(20, 4)
    pair = AnalysisTransform(analysis, (8, 8, 8), 2), SynthesisTransform(synthesis, (8, 8, 8), 2)
    for network in pair:
        for parameter in network.parameters():
            if parameter.ndim == 4 and parameter.shape[-1] != STRIDE:
                torch.nn.init.kaiming_normal_(parameter)
    return pair


@torch.inference_mode()
def test_tiles_give_the_values_of_the_whole(
    networks: tuple[AnalysisTransform, SynthesisTransform],
) -> None:
    analysis, synthesis = networks
    x = torch.rand(1, 3, 30 * STRIDE, 41 * STRIDE) - 0.5
    level_in, level_out = (network.level_table[:1, :, None, None] for network in networks)
    y = analysis(x, level_in)
    back = synthesis(y, level_out)

    def differences(overlap: int) -> tuple[float, float]:
        y_tiled = in_tiles(lambda part: analysis(part, level_in), x, STRIDE, 1, 28, 12, overlap)
        back_tiled = in_tiles(lambda part: synthesis(part, level_out), y, 1, STRIDE, 3, 12, overlap)
        return float((y_tiled - y).abs().max() / y.std()), float((back_tiled - back).abs().max() / back.std())

    assert max(differences(OVERLAP)) < 1e-4
    assert min(differences(4)) > 1e-4
