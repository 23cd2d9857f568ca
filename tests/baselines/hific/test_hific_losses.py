import math

import pytest
import torch
import torch.nn.functional as F

from benchmark.baselines.hific.losses import (
    CompressionLoss,
    LossSettings,
    compression_loss,
    discriminator_loss,
    generator_loss,
    learning_rate,
    rate_weight,
    target_rate,
)
from benchmark.metrics.perceptual import load_network

LOW = LossSettings()


def test_rate_controller() -> None:
    """2 above the target and 2⁻⁶ below; half of it, with a target of 0.20, for the first 50,000 steps."""
    assert rate_weight(0.141, 50_000, LOW) == 2
    assert rate_weight(0.139, 50_000, LOW) == 2**-6
    assert rate_weight(0.199, 49_999, LOW) == 2**-7
    assert rate_weight(0.201, 0, LOW) == 1
    assert target_rate(0, LOW) == pytest.approx(0.20)
    assert target_rate(50_000, LossSettings(target=0.45)) == 0.45
    assert target_rate(0, LossSettings(target=0.45)) == pytest.approx(0.45 * 0.2 / 0.14)


def test_rate_controller_holds_the_rate() -> None:
    """A rate that falls by its weight and rises by itself settles near the target."""
    bpp = 0.6
    for step in range(2000):
        bpp += 1e-3 - 1e-3 * rate_weight(bpp, 100_000 + step, LOW)
    assert bpp == pytest.approx(LOW.target, abs=2e-3)


def loss_of(original: torch.Tensor, reconstruction: torch.Tensor, noisy: float, rounded: float) -> CompressionLoss:
    def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        assert float(torch.minimum(a, b).detach().min()) == -1  # the range that LPIPS wants
        return (a - b).abs().amax((1, 2, 3))

    bits = torch.tensor([noisy, noisy]), torch.tensor([rounded, rounded])
    return compression_loss(original, reconstruction, *bits, distance, 60_000, LOW)


def test_compression_loss_by_hand() -> None:
    original = torch.zeros(2, 3, 8, 8)
    reconstruction = torch.full((2, 3, 8, 8), 0.1, requires_grad=True)
    loss = loss_of(original, reconstruction, noisy=64 * 0.5, rounded=64 * 0.2)
    assert loss.rate_weight == 2
    assert float(loss.bpp) == 0.5
    assert float(loss.squared_error) == pytest.approx(25.5**2)
    assert float(loss.perceptual) == pytest.approx(0.2)
    assert float(loss.total.detach()) == pytest.approx(2 * 0.5 + 0.75 * 0.1 / 32 * 25.5**2 + 0.2)
    loss.total.backward()
    assert reconstruction.grad is not None
    assert float(reconstruction.grad.min()) >= 0


def test_rounded_bits_choose_the_weight_and_noisy_bits_are_paid() -> None:
    picture = torch.zeros(2, 3, 8, 8)
    assert float(loss_of(picture, picture, noisy=64 * 0.5, rounded=64 * 0.1).total) == pytest.approx(0.5 * 2**-6)
    assert float(loss_of(picture, picture, noisy=64 * 0.1, rounded=64 * 0.2).total) == pytest.approx(2 * 0.1)


def test_perceptual_part_takes_the_lpips_of_the_metrics() -> None:
    torch.manual_seed(0)
    original = torch.rand(1, 3, 64, 64)
    reconstruction = (original + 0.1 * torch.randn_like(original)).clamp(0, 1).requires_grad_()
    bits = torch.zeros(1)
    loss = compression_loss(original, reconstruction, bits, bits, load_network(), 0, LOW)
    assert 0.01 < float(loss.perceptual) < 1
    loss.total.backward()
    assert reconstruction.grad is not None
    assert float(reconstruction.grad.abs().max()) > 0


def test_adversarial_losses_are_cross_entropies() -> None:
    real, generated = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.5, 3.0]])
    cross_entropy = F.binary_cross_entropy_with_logits
    ones, zeros = torch.ones_like(real), torch.zeros_like(real)
    assert float(generator_loss(generated)) == pytest.approx(float(cross_entropy(generated, ones)))
    wanted = cross_entropy(real, ones) + cross_entropy(generated, zeros)
    assert float(discriminator_loss(real, generated)) == pytest.approx(float(wanted))
    assert float(discriminator_loss(zeros, zeros)) == pytest.approx(2 * math.log(2))


def test_learning_rate() -> None:
    assert learning_rate(499_999) == 1e-4
    assert learning_rate(500_000) == pytest.approx(1e-5)
