"""The optimiser against torch's own, against Adam, and against the definition by singular values."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmark.training.muon import ITERATIONS, NEWTON_SCHULZ, Muon, is_matrix, orthogonalise


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_orthogonalise_is_the_polynomial_of_the_singular_values(rows: int, columns: int, seed: int) -> None:
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    s = s / matrix.norm()
    for _ in range(ITERATIONS):
        a, b, c = NEWTON_SCHULZ
        s = a * s + b * s**3 + c * s**5
    torch.testing.assert_close(orthogonalise(matrix), u @ s.diag() @ vh, rtol=1e-3, atol=1e-4)


def test_singular_values_end_near_one() -> None:
    matrix = torch.randn(48, 200, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrix))
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3


def steps_of(optimiser: torch.optim.Optimizer, parameter: nn.Parameter, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimiser.step()
    return parameter.detach()


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon to compare with")
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
def test_equals_torchs_muon(weight_decay: float) -> None:
    start = torch.randn(32, 80, generator=torch.Generator().manual_seed(2))
    theirs = nn.Parameter(start.clone())
    ours = nn.Parameter(start.reshape(32, 20, 2, 2).clone())
    oracle = torch.optim.Muon([theirs], lr=0.01, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
    expected = steps_of(oracle, theirs, 4) - start
    generator = torch.Generator().manual_seed(1)
    optimiser = Muon([{"params": [ours], "weight_decay": weight_decay}], lr=0.01)
    for _ in range(4):
        ours.grad = torch.randn(32, 80, generator=generator).reshape(ours.shape)
        optimiser.step()
    moved = ours.detach().reshape(32, 80) - start
    assert float((moved - expected).norm() / expected.norm()) < 0.02  # theirs computes in bfloat16


def test_biases_and_tables_move_as_with_adam() -> None:
    start = torch.randn(7, 50, generator=torch.Generator().manual_seed(3))
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    moved = steps_of(Muon([{"params": [ours]}], lr=0.01), ours, 5)
    expected = steps_of(torch.optim.Adam([theirs], lr=0.01, betas=(0.9, 0.99)), theirs, 5)
    torch.testing.assert_close(moved, expected)


def test_only_kernels_that_are_not_thin_are_matrices() -> None:
    assert is_matrix(nn.Conv2d(16, 16, 3).weight)
    assert not is_matrix(nn.Conv2d(16, 15, 3).weight)
    assert not is_matrix(nn.Conv2d(3, 64, 1).weight)
    assert not is_matrix(nn.Parameter(torch.zeros(64, 64)))


def test_parameters_of_one_shape_move_as_each_by_itself() -> None:
    generator = torch.Generator().manual_seed(4)
    shapes = [(32, 16, 3, 3), (32, 16, 3, 3), (32, 144, 1, 1), (16,), (7,)]
    starts = [torch.randn(shape, generator=generator) for shape in shapes]
    gradients = [[torch.randn(shape, generator=generator) for shape in shapes] for _ in range(3)]
    together = [nn.Parameter(start.clone()) for start in starts]
    alone = [nn.Parameter(start.clone()) for start in starts]
    optimisers = [Muon([{"params": together}], lr=0.01), *(Muon([{"params": [p]}], lr=0.01) for p in alone)]
    for of_step in gradients:
        for a, b, gradient in zip(together, alone, of_step, strict=True):
            a.grad, b.grad = gradient.clone(), gradient.clone()
        for optimiser in optimisers:
            optimiser.step()
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
