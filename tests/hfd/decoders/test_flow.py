"""The flow against closed forms: between Gaussians the best velocity is known, and so is what it transports."""

import pytest
import torch
from torch import Tensor

from benchmark.hfd.decoders import flow

MEAN, DEVIATION, KAPPA = 0.7, 0.5, 1.3


def optimal_velocity(z: Tensor, t: Tensor) -> Tensor:
    """E[r − z_0 | z_t] for independent r ~ N(MEAN, DEVIATION²), z_0 ~ N(0, KAPPA²)."""
    t = t[:, None, None, None]
    variance = (1 - t) ** 2 * KAPPA**2 + t**2 * DEVIATION**2
    covariance = t * DEVIATION**2 - (1 - t) * KAPPA**2
    return MEAN + covariance / variance * (z - t * MEAN)


@pytest.mark.parametrize(
    ("sampler", "steps", "tolerance"), [(flow.sample_euler, 400, 0.01), (flow.sample_heun, 40, 0.005)]
)
def test_transports_the_known_distribution(sampler, steps: int, tolerance: float) -> None:  # type: ignore[no-untyped-def]
    z_0 = KAPPA * torch.randn(1, 1, 200, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    r = sampler(optimal_velocity, z_0, flow.time_steps(steps))
    # a flow is a monotone map here, so each point is known, not only the moments
    assert float((r - (MEAN + DEVIATION / KAPPA * z_0)).abs().max()) < 6 * tolerance
    assert float(r.std() / z_0.std()) == pytest.approx(DEVIATION / KAPPA, abs=tolerance)


def test_one_euler_step_is_regression() -> None:
    z_0 = KAPPA * torch.randn(1, 1, 50, 50, generator=torch.Generator().manual_seed(0))
    r = flow.sample_euler(optimal_velocity, z_0, flow.time_steps(1))
    assert torch.allclose(r, torch.full_like(r, MEAN), atol=1e-5)


def test_loss_is_least_for_the_optimal_velocity() -> None:
    generator = torch.Generator().manual_seed(0)
    r = MEAN + DEVIATION * torch.randn(64, 3, 16, 16, generator=generator)
    noise = torch.randn(64, 3, 16, 16, generator=generator)
    t = torch.rand(64, generator=generator)
    best = flow.loss(optimal_velocity, r, noise, KAPPA, t, torch.ones(1)).mean()
    for factor in (0.9, 1.1):
        other = flow.loss(lambda z, t, f=factor: f * optimal_velocity(z, t), r, noise, KAPPA, t, torch.ones(1)).mean()  # type: ignore[misc]
        assert best < other


def test_interpolation_ends() -> None:
    z_0, r = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    path = flow.interpolate(z_0, r, torch.tensor([0.0, 1.0]))
    assert torch.equal(path[0], z_0[0])
    assert torch.equal(path[1], r[1])


@pytest.mark.parametrize("t", [0.0, 0.3, 0.8, 1.0])
def test_preconditioning_leaves_the_network_a_target_of_unit_deviation(t: float) -> None:
    generator = torch.Generator().manual_seed(0)
    r = torch.randn(1, 1, 300, 300, generator=generator, dtype=torch.float64)
    z_0 = KAPPA * torch.randn(1, 1, 300, 300, generator=generator, dtype=torch.float64)
    times = torch.tensor([t], dtype=torch.float64)
    z = flow.interpolate(z_0, r, times)
    nothing, one = torch.zeros_like(z), torch.ones_like(z)
    target = (r - z_0 - flow.precondition(nothing, z, times, KAPPA)) / flow.precondition(one, nothing, times, KAPPA)
    assert float(target.std()) == pytest.approx(1, abs=0.02)
    assert float((target * z).mean()) == pytest.approx(0, abs=0.02)  # nothing linear in z_t is left
