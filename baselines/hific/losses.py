"""What HiFiC's encoder, generator and discriminator minimise, and the controller that holds the rate at its target.

Mentzer et al. 2020, equations 7 and 8 and appendix; constants as in the authors' TensorFlow code: the loss is
C·(λ⁻¹·R + 0.75·MSE) + LPIPS + 0.15·G with C = 0.1·2⁻⁵ and MSE on images of 0..255. The weight of the rate, C·λ⁻¹, is
2 while a batch needs more bits than the target and 2⁻⁶ while it needs fewer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

C = 0.1 * 2.0**-5


@dataclass(frozen=True)
class LossSettings:
    """The paper's balance.

    target: bits per pixel; 0.14 low, 0.30 med, 0.45 high. rate_above, rate_below: weight of a bit per pixel above and
    below the target. distortion: of the squared error on 0..255. perceptual: of LPIPS. adversarial: of the generator's
    loss. warm_up: steps for which the target is easier by `easier` and the rate counts half.
    """

    target: float = 0.14
    rate_above: float = 2.0
    rate_below: float = 2.0**-6
    distortion: float = 0.75 * C
    perceptual: float = 1.0
    adversarial: float = 0.15
    warm_up: int = 50_000
    easier: float = 0.20 / 0.14


def target_rate(step: int, settings: LossSettings) -> float:
    """The target in bits per pixel at `step`, counted from 0."""
    return settings.target * (settings.easier if step < settings.warm_up else 1.0)


def rate_weight(bpp: float, step: int, settings: LossSettings) -> float:
    """The controller: weight of the rate for a batch that takes `bpp` bits per pixel with rounded latents."""
    weight = settings.rate_above if bpp > target_rate(step, settings) else settings.rate_below
    return weight * (0.5 if step < settings.warm_up else 1.0)


def learning_rate(step: int, first: float = 1e-4, drop_at: int = 500_000) -> float:
    """Adam's: `first`, and a tenth of it from `drop_at` on."""
    return first if step < drop_at else first / 10


class CompressionLoss(NamedTuple):
    """The sum that is minimised, and its parts before weighting, for the log; scalars."""

    total: Tensor
    bpp: Tensor
    squared_error: Tensor
    perceptual: Tensor
    rate_weight: float


def compression_loss(
    original: Tensor,
    reconstruction: Tensor,
    noisy_bits: Tensor,
    rounded_bits: Tensor,
    perceptual: Callable[[Tensor, Tensor], Tensor],
    step: int,
    settings: LossSettings,
) -> CompressionLoss:
    """Rate, squared error and LPIPS; without the adversarial part.

    original, reconstruction: (N, 3, H, W) in [0, 1]. noisy_bits, rounded_bits: (N,). perceptual: a distance of two
    batches in [−1, 1], one value per image, such as `benchmark.metrics.perceptual.load_network()`.
    """
    pixels = original.shape[-2] * original.shape[-1]
    bpp = noisy_bits.mean() / pixels
    weight = rate_weight(float(rounded_bits.detach().mean()) / pixels, step, settings)
    squared_error = F.mse_loss(reconstruction * 255, original * 255)
    distance = perceptual(reconstruction * 2 - 1, original * 2 - 1).mean()
    total = weight * bpp + settings.distortion * squared_error + settings.perceptual * distance
    return CompressionLoss(total, bpp.detach(), squared_error.detach(), distance.detach(), weight)


def generator_loss(generated_logits: Tensor) -> Tensor:
    """Non-saturating: −log D(x̂), the mean over patches; scalar. `LossSettings.adversarial` weights it."""
    return F.softplus(-generated_logits).mean()


def discriminator_loss(real_logits: Tensor, generated_logits: Tensor) -> Tensor:
    """−log D(x) − log(1 − D(x̂)), the mean over patches; scalar."""
    return F.softplus(-real_logits).mean() + F.softplus(generated_logits).mean()
