"""The GAN's half of a training: a conditional discriminator, and what both sides lose by it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from benchmark.baselines.hific.losses import discriminator_loss, generator_loss


class AdversarialLoss:
    """A discriminator, which learns on the images that the generator has just made: one step for one step."""

    def __init__(self, discriminator: nn.Module) -> None:
        """discriminator: (images, condition) -> logits, such as HiFiC's."""
        self.discriminator = discriminator
        self._last: tuple[Tensor, Tensor, Tensor] | None = None

    def against_generator(self, original: Tensor, generated: Tensor, condition: Tensor) -> Tensor:
        """The generator's loss, a scalar. Leaves no gradient in the discriminator, and keeps the batch for `loss`.

        Both (N, 3, H, W) and the condition are as the discriminator wants them: for HiFiC's images about [−1, 1], and
        (N, latents, H/16, W/16).
        """
        self._last = (original, generated.detach(), condition.detach())
        with _frozen(self.discriminator):
            return generator_loss(self.discriminator(generated, condition).float())

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The discriminator's own loss on the batch that `against_generator` has seen; `DiscriminatorTraining.loss`."""
        assert self._last is not None
        original, generated, condition = self._last
        logits = self.discriminator(torch.cat([original, generated]), condition.repeat(2, 1, 1, 1)).float()
        real, made = logits.chunk(2)
        loss = discriminator_loss(real, made)
        return loss, {
            "discriminator_loss": float(loss.detach()),
            "d_real": float(real.detach().sigmoid().mean()),
            "d_generated": float(made.detach().sigmoid().mean()),
        }


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Gradients go through `network` and leave none in it; the vectors of its spectral norm stay as they are."""
    network.eval().requires_grad_(False)
    try:
        yield
    finally:
        network.train().requires_grad_(True)
