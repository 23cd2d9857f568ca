"""Schedule, loss and samplers against closed forms: r is Gaussian, so the best prediction is known."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from benchmark.hfd.decoders.diffusion import (
    Noise,
    Prediction,
    alpha_sigma,
    angle,
    diffuse,
    loss,
    sample_ancestral,
    sample_ddim,
    time_steps,
)

MEAN, DEVIATION = 0.3, 0.5


def posterior() -> Prediction:
    """E[v | z_t] for r ~ N(MEAN, DEVIATION²); the angle says all about the level of noise, whatever the shift."""

    def predict(z: Tensor, angle: Tensor) -> Tensor:
        alpha, sigma = alpha_sigma(float(angle[0]), 1.0)
        variance = (alpha * DEVIATION) ** 2 + sigma**2
        r = MEAN + alpha * DEVIATION**2 / variance * (z - alpha * MEAN)
        epsilon = sigma / variance * (z - alpha * MEAN)
        return alpha * epsilon - sigma * r

    return predict


def noise(seed: int, count: int = 40) -> Noise:
    def of_step(step: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed * 1000 + step)
        return torch.randn(count, 3, 32, 32, generator=generator, dtype=torch.float64)

    return of_step


@given(st.floats(0, 1), st.floats(0.05, 4))
def test_schedule_preserves_variance_and_is_the_shifted_cosine(t: float, shift: float) -> None:
    alpha, sigma = alpha_sigma(t, shift)
    assert alpha**2 + sigma**2 == pytest.approx(1)
    if 0.01 < t < 0.99:
        log_snr = -2 * (math.log(math.tan(math.pi * t / 2)) + math.log(shift))
        assert math.log(alpha**2 / sigma**2) == pytest.approx(log_snr, abs=1e-9)


def test_unshifted_schedule_is_the_cosine() -> None:
    for t in (0.0, 0.2, 0.5, 0.9):
        assert alpha_sigma(t, 1.0) == pytest.approx((math.cos(math.pi * t / 2), math.sin(math.pi * t / 2)))


def test_target_gives_back_residual_and_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    r, epsilon = torch.randn(2, 5, 3, 4, 4, generator=generator, dtype=torch.float64)
    t = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9], dtype=torch.float64)
    z, v, snr = diffuse(r, epsilon, t, 0.5)
    for n in range(5):
        alpha, sigma = alpha_sigma(float(t[n]), 0.5)
        torch.testing.assert_close(alpha * z[n] - sigma * v[n], r[n])
        torch.testing.assert_close(sigma * z[n] + alpha * v[n], epsilon[n])
        assert float(snr[n]) == pytest.approx((alpha / sigma) ** 2)


def test_loss_is_the_weighted_error_of_the_residual() -> None:
    """A constant error e in v is an error σ·e in r: the loss must be min(SNR, 5)·(σ·e)²."""
    r = torch.zeros(3, 3, 4, 4, dtype=torch.float64)
    t = torch.tensor([0.05, 0.5, 0.9], dtype=torch.float64)
    _, v, snr = diffuse(r, torch.ones_like(r), t, 1.0)
    losses = loss(lambda z, t: v + 0.1, r, torch.ones_like(r), t, 1.0, torch.ones(1, dtype=torch.float64))
    sigma = torch.tensor([alpha_sigma(float(each), 1.0)[1] for each in t], dtype=torch.float64)
    torch.testing.assert_close(losses, snr.clamp(max=5) * (sigma * 0.1) ** 2)


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_ddim_transports_noise_to_the_known_distribution(shift: float) -> None:
    """Of first order: four times the steps, about a quarter of the error."""
    errors = []
    for steps in (64, 256):
        r = sample_ddim(posterior(), noise(1), time_steps(steps), shift)
        assert float(r.mean()) == pytest.approx(MEAN, abs=0.01)
        errors.append(abs(float(r.std()) - DEVIATION) / DEVIATION)
    assert errors[1] < 0.015
    assert errors[1] < 0.4 * errors[0] + 0.003


@pytest.mark.parametrize("shift", [0.5, 1.0])
@pytest.mark.parametrize("interpolation", [0.0, 0.3, 1.0])
def test_ancestral_sampler_gives_the_known_distribution(shift: float, interpolation: float) -> None:
    """With many steps the bounds meet, so every interpolation samples the same."""
    r = sample_ancestral(posterior(), noise(2, 12), time_steps(400), shift, interpolation)
    assert float(r.mean()) == pytest.approx(MEAN, abs=0.01)
    assert float(r.std()) == pytest.approx(DEVIATION, rel=0.03)


def test_deviation_lies_between_the_bounds() -> None:
    """Few steps: more injected noise, more variance, and the exact variance lies between."""
    deviations = [
        float(sample_ancestral(posterior(), noise(3, 12), time_steps(8), 1.0, gamma).std()) for gamma in (0, 0.5, 1)
    ]
    assert deviations[0] < deviations[1] < deviations[2]
    assert deviations[0] < DEVIATION < deviations[2]


def test_one_step_is_the_posterior_mean() -> None:
    for sample in (sample_ddim, sample_ancestral):
        r = sample(posterior(), noise(4), time_steps(1), 1.0)
        torch.testing.assert_close(r, torch.full_like(r, MEAN))


def test_angle_is_t_without_shift_and_tells_the_signal_to_noise_ratio() -> None:
    for t in (0.1, 0.5, 0.9):
        assert angle(t, 1.0) == pytest.approx(t)
        assert alpha_sigma(angle(t, 0.2), 1.0) == pytest.approx(alpha_sigma(t, 0.2))


def test_ddim_is_deterministic_and_ancestral_takes_each_steps_noise() -> None:
    asked: list[int] = []

    def recorded(step: int) -> Tensor:
        asked.append(step)
        return noise(5, 1)(step)

    first = sample_ddim(posterior(), recorded, time_steps(4), 1.0)
    assert asked == [0]
    torch.testing.assert_close(first, sample_ddim(posterior(), noise(5, 1), time_steps(4), 1.0))
    asked.clear()
    sample_ancestral(posterior(), recorded, time_steps(4), 1.0)
    assert asked == [0, 1, 2, 3]
