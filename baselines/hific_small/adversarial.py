"""The discriminator of `hific-small`: HiFiC's, told ŷ and the quality."""

import torch
from torch import Tensor

from benchmark.baselines.hific.adversarial import AdversarialLoss
from benchmark.baselines.hific.discriminator import Discriminator


class LatentAdversarialLoss(AdversarialLoss):
    """Its condition is ŷ, each channel in units of its own deviation over training images, and the quality besides.

    The quality is one channel more, since one discriminator serves all of them.
    """

    def __init__(self, latent_deviation: Tensor, levels: int) -> None:
        """latent_deviation: of each channel of ŷ, (M,)."""
        super().__init__(Discriminator(len(latent_deviation) + 1))
        self.levels = levels
        self._gain = 1 / latent_deviation[None, :, None, None]

    def condition(self, y_hat: Tensor, quality: Tensor) -> Tensor:
        """ŷ (N, M, h, w) and quality (N,) -> (N, M + 1, h, w)."""
        plane = (2 * (quality - 1) / (self.levels - 1) - 1)[:, None, None, None]
        return torch.cat([y_hat * self._gain.to(y_hat), plane.expand(-1, 1, *y_hat.shape[-2:]).to(y_hat)], 1)
