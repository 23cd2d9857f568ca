"""The Fréchet distance as a loss: its slopes, and where a network that follows them comes to rest."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from benchmark.hfd.training import moments as module
from benchmark.hfd.training.moments import ENOUGH, RunningMoments, fit_space, frechet_slopes


def covariance(generator: torch.Generator, size: int) -> Tensor:
    factor = torch.randn(size, 2 * size, generator=generator, dtype=torch.float64)
    return factor @ factor.T / (2 * size)


def distance_by_scipy(mean: Tensor, c: Tensor, variances: Tensor) -> float:
    """Dowson & Landau's formula with SciPy's matrix root, against N(0, diag(variances))."""
    photographs = np.diag(variances.numpy())
    product = sqrtm(c.numpy() @ photographs)
    return float(mean.square().sum() + np.trace(c.numpy() + photographs - 2 * product.real))


def test_distance_and_slopes() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, c = torch.randn(5, generator=generator, dtype=torch.float64), covariance(generator, 5)
    variances = torch.rand(5, generator=generator, dtype=torch.float64) + 0.2
    distance, slope, second_slope = frechet_slopes(mean, c, variances)
    assert float(distance) == pytest.approx(distance_by_scipy(mean, c, variances), rel=1e-9)
    small = 1e-6
    for _ in range(4):
        step = torch.randn(5, generator=generator, dtype=torch.float64)
        turn = covariance(generator, 5) - covariance(generator, 5)
        ends = [distance_by_scipy(mean + s * small * step, c + s * small * turn, variances) for s in (1, -1)]
        expected = float(slope @ step + (second_slope * turn).sum())
        assert (ends[0] - ends[1]) / (2 * small) == pytest.approx(expected, rel=1e-4)


def test_no_slope_where_the_moments_are_those_of_photographs() -> None:
    variances = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    distance, slope, second_slope = frechet_slopes(torch.zeros(3, dtype=torch.float64), variances.diag(), variances)
    for value in (distance, slope.norm(), second_slope.norm()):
        assert float(value) == pytest.approx(0, abs=1e-9)


def test_what_follows_them_gets_the_moments_of_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A linear generator of too little variance, in two groups, one of which begins elsewhere."""
    monkeypatch.setattr(module, "WINDOW", 400)
    torch.manual_seed(0)
    mixing = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [0.0, 0.3, 2.0]])
    photographs = torch.randn(20_000, 3) @ mixing.T + torch.tensor([1.0, -2.0, 0.5])
    moments = RunningMoments(fit_space(photographs, 3), 2)
    matrices = torch.stack([0.3 * torch.eye(3), 0.5 * torch.ones(3, 3) + torch.eye(3)]).requires_grad_()
    shifts = torch.zeros(2, 3, requires_grad=True)
    optimiser = torch.optim.Adam([matrices, shifts], 0.02)
    groups = torch.arange(2).repeat_interleave(20)
    for step in range(1200):
        optimiser.param_groups[0]["lr"] = 0.02 if step < 800 else 0.004
        features = torch.cat([torch.randn(20, 3) @ m.T + shift for m, shift in zip(matrices, shifts, strict=True)])
        optimiser.zero_grad()
        moments.loss(features, groups).mean().backward()
        optimiser.step()
    for m, shift in zip(matrices.detach(), shifts.detach(), strict=True):
        torch.testing.assert_close(shift, photographs.mean(0), atol=0.15, rtol=0.1)
        torch.testing.assert_close(m @ m.T, photographs.T.cov(), atol=0.35, rtol=0.15)
    assert max(moments.distances) < 0.05


def test_nothing_is_said_before_enough_was_seen_and_groups_keep_to_themselves() -> None:
    torch.manual_seed(0)
    moments = RunningMoments(fit_space(torch.randn(500, 6), 4), 3)
    few = ENOUGH * 4 - 1
    groups = torch.tensor([0] * few + [2] * (few + 1))
    losses = moments.loss(torch.randn(len(groups), 6), groups)
    assert bool((losses[groups == 0] == 0).all())
    assert bool((losses[groups == 2] != 0).any())
    assert moments.state["seen"].tolist() == [few, 0, few + 1]
    assert float(moments.state["second"][1].abs().max()) == 0
