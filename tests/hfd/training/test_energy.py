"""The energy score: closed forms on Gaussians, and the packages whose distance it uses."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from benchmark.hfd.training.energy import (
    PerceptualFeatures,
    energy_score,
    haar_bands,
    patch_distance,
    perceptual_distance,
)
from benchmark.metrics.perceptual import load_network
from benchmark.metrics.references import package_of_lpips


def absolute(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs()


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (0.7, 0.5), (-0.3, 2.0)])
def test_of_a_gaussian_it_is_the_continuous_ranked_probability_score(mean: float, deviation: float) -> None:
    """Gneiting & Raftery 2007, equation 21: closed form for N(mean, deviation²) at x."""
    torch.manual_seed(0)
    x = 0.4
    standard = (x - mean) / deviation
    closed = deviation * (standard * (2 * norm.cdf(standard) - 1) + 2 * norm.pdf(standard) - 1 / math.sqrt(math.pi))
    samples = list(mean + deviation * torch.randn(3, 400_000, dtype=torch.float64))
    estimates = energy_score(samples, torch.full((400_000,), x, dtype=torch.float64), absolute)
    assert float(estimates.mean()) == pytest.approx(closed, abs=4 * float(estimates.std()) / math.sqrt(400_000))


@pytest.mark.parametrize("spread", [1.0, 0.6])
def test_what_minimises_it_is_the_distribution(spread: float) -> None:
    """A generator mean + deviation·z finds N(1, 0.5²), where squared error finds the mean alone; or a narrower one.

    E|X − x| is √(2/π)·√(σ² + s²) and E|X − X′| is √(2/π)·√2·s: least at s = σ·spread/√(2 − spread²).
    """
    torch.manual_seed(0)
    mean, deviation = torch.zeros((), requires_grad=True), torch.tensor(0.05, requires_grad=True)
    optimiser = torch.optim.Adam([mean, deviation], 0.02)
    for step in range(400):
        if step == 300:
            optimiser.param_groups[0]["lr"] = 0.002
        x = 1 + 0.5 * torch.randn(2000)
        loss = energy_score([mean + deviation * torch.randn(2000) for _ in range(2)], x, absolute, spread).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(mean.detach()) == pytest.approx(1, abs=0.03)
    assert abs(float(deviation.detach())) == pytest.approx(0.5 * spread / math.sqrt(2 - spread**2), abs=0.03)


def test_samples_that_are_alike_score_their_distance() -> None:
    x, sample = torch.rand(5), torch.rand(5)
    assert torch.allclose(energy_score([sample, sample, sample], x, absolute), absolute(sample, x))


def test_each_of_a_batch_may_have_its_own_spread() -> None:
    samples, x = list(torch.rand(2, 3)), torch.rand(3)
    spreads = torch.tensor([0.0, 0.6, 1.0])
    each = [energy_score([s[n] for s in samples], x[n], absolute, float(spreads[n])) for n in range(3)]
    assert torch.allclose(energy_score(samples, x, absolute, spreads), torch.stack(each))


@pytest.mark.parametrize("side", [1, 3])
def test_distance_of_patches(side: int) -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 2, 3, 6, 5))
    windows = np.lib.stride_tricks.sliding_window_view((a - b) ** 2, (side, side), axis=(2, 3))
    expected = np.sqrt(windows.mean((1, 4, 5))).mean((1, 2))
    assert np.allclose(patch_distance(torch.from_numpy(a), torch.from_numpy(b), side).numpy(), expected, atol=1e-6)


def test_bands_hold_all_but_the_low_pass() -> None:
    x = torch.zeros(1, 1, 40, 40, dtype=torch.float64)
    x[..., 12:24, 12:24] = torch.rand(12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    bands = haar_bands(x, 2)
    low = torch.nn.functional.avg_pool2d(x, 4, 1)  # two averages of pairs at distances 1 and 2
    held = sum(float(band.square().sum()) for band in [*bands, low])
    assert held == pytest.approx(float(x.square().sum()))


def test_a_chequerboard_is_in_one_band_and_a_plane_in_none() -> None:
    row, column = torch.meshgrid(torch.arange(12), torch.arange(10), indexing="ij")
    bands = haar_bands(((row + column) % 2).float()[None, None], 3)
    assert [bool(band.abs().max() > 0) for band in bands] == [False, True, *[False] * 7]
    assert all(float(band.abs().max()) == 0 for band in haar_bands(torch.ones(1, 3, 12, 10), 3))


def test_maps_are_those_of_lpips() -> None:
    """The squared norm of the maps' difference, where the energy score takes the norm, is LPIPS of the package."""
    torch.manual_seed(0)
    features = PerceptualFeatures(load_network())
    a, b = torch.rand(2, 2, 3, 64, 80) - 0.5
    maps = list(zip(features(a), features(b), strict=True))
    squared = sum((x - y).square().sum(1).mean((1, 2)) for x, y in maps)
    assert torch.allclose(squared, package_of_lpips()(2 * a, 2 * b).flatten(), rtol=1e-5)
    assert torch.allclose(perceptual_distance(features(a), features(a)), torch.zeros(2), atol=1e-3)


def test_slopes_are_finite_where_samples_meet() -> None:
    x = torch.zeros(1, 3, 8, 8, requires_grad=True)
    patch_distance(x, torch.zeros(1, 3, 8, 8), 2).sum().backward()
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())
