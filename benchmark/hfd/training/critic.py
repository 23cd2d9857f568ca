"""The opponent of the one-step decoder: does this residual look like one of an original, given x̂?

It judges places, not pictures, from two sides: patches of the residual r in units of σ_r, where texture is large
whatever its contrast, and the maps of AlexNet under LPIPS, which know what things look like before the training begins
(Sauer et al., "Projected GANs Converge Faster", 2021).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.hfd.score import INPUT_SCALE

MAP_CHANNELS = (64, 192, 384, 256, 256)
"""Of AlexNet's five maps."""
PIXEL_WEIGHT = 5.0
"""Of the patches of r, against 1 of each of the five maps: as much as all of them."""
MOVED, SLOPE_WEIGHT = 0.1, 0.05
"""Noise on original and made, and weight of the squared change of the logits over its variance."""


class Condition(NamedTuple):
    """What a judged residual belongs to: x̂ (N, 3, H, W), its maps, log σ_r over its mean at the quality (N, 1, H, W),
    and the quality in [0, 1] (N,)."""

    x_hat: Tensor
    maps: Sequence[Tensor]
    log_deviation: Tensor
    quality: Tensor

    def times(self, count: int) -> "Condition":
        """`count` copies, one after the other."""
        return Condition(
            self.x_hat.repeat(count, 1, 1, 1),
            [one.repeat(count, 1, 1, 1) for one in self.maps],
            self.log_deviation.repeat(count, 1, 1, 1),
            self.quality.repeat(count),
        )


class Evidence(NamedTuple):
    """What is judged: the residual r (N, 3, H, W) in luma and chroma over σ_r, and the unit maps of x̂ with it."""

    r: Tensor
    maps: Sequence[Tensor]

    def detached(self) -> "Evidence":
        """Without gradient."""
        return Evidence(*_together(Tensor.detach, self))

    def moved(self) -> "Evidence":
        """With noise of deviation MOVED on r, and on maps of what that is there."""
        maps = [one + MOVED / one.shape[1] ** 0.5 * torch.randn_like(one) for one in self.maps]
        return Evidence(self.r + MOVED * torch.randn_like(self.r), maps)


class Critic(nn.Module):
    """Logits, large for originals."""

    def __init__(self, widths: tuple[int, int, int] = (64, 96, 160), head: int = 64) -> None:
        super().__init__()
        first, second, third = widths
        self.pixels = nn.Sequential(  # sees 30 pixels, at every eighth
            nn.Conv2d(4 * (3 + 3 + 1 + 1), first, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(first, second, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(second, third, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(third, third, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(third, 1, 1),
        )
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(2 * channels + 1, head, 1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(head, head, 3, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(head, 1, 1),
            )
            for channels in MAP_CHANNELS
        )

    def forward(self, evidence: Evidence, condition: Condition) -> list[Tensor]:
        """Six of (N, places): of patches of r, and of each map."""
        quality = 2 * condition.quality[:, None, None, None] - 1

        def plane(like: Tensor) -> Tensor:
            return quality.expand(-1, 1, *like.shape[-2:]).to(like.dtype)

        shown = [evidence.r, condition.x_hat * INPUT_SCALE, condition.log_deviation, plane(evidence.r)]
        logits = [self.pixels(F.pixel_unshuffle(torch.cat(shown, 1), 2))]
        for head, made, given in zip(self.heads, evidence.maps, condition.maps, strict=True):
            scale = given.shape[1] ** 0.5  # of a place's values, in a map of length 1, about 1/√C
            logits.append(head(torch.cat([(made - given) * scale, given * scale, plane(given)], 1)))
        return [one.float().flatten(1) for one in logits]


def generator_loss(logits: Sequence[Tensor]) -> Tensor:
    """−log D, non-saturating, mean over places and weighted over the sides: (N,)."""
    return _weighted([F.softplus(-one).mean(1) for one in logits])


def critic_loss(
    critic: Critic, real: Evidence, made: Evidence, condition: Condition
) -> tuple[Tensor, dict[str, float]]:
    """−log D(real) − log(1 − D(made)), summed over the sides, and a penalty on the critic's slope at the originals.

    The slope is taken by moving them a little, without second derivatives (Lin et al., "Diffusion Adversarial
    Post-Training", 2025, section 3.3).
    """
    count = len(real.r)
    shown = Evidence(*_together(lambda *parts: torch.cat(parts), real, made, real.moved()))
    losses, slopes = [], []
    for logits in critic(shown, condition.times(3)):
        of_real, of_made, of_moved = logits.split(count)
        losses.append(F.softplus(-of_real).mean() + F.softplus(of_made).mean())
        slopes.append((of_moved - of_real).square().mean() / MOVED**2)
    loss, slope = torch.stack(losses), torch.stack(slopes)
    figures = {
        "critic_pixels": float(loss[0].detach()),
        "critic_maps": float(loss[1:].detach().mean()),
        "critic_slope": float(slope.detach().mean()),
    }
    return loss.sum() + SLOPE_WEIGHT * slope.sum(), figures


def balanced(output: Tensor, loss: Tensor, adversarial: Tensor, weight: float) -> Tensor:
    """A scalar whose gradient at `output` (N, …) is that of `loss` and, `weight` times as long for each of the N, that
    of `adversarial`.

    As lengths change tenfold over the qualities and over the training, so would the balance of a fixed weight (the
    same thought, for the last layer, in Esser et al., "Taming Transformers", 2021, equation 7).
    """
    (similar,) = torch.autograd.grad(loss, output, retain_graph=True)
    (deceiving,) = torch.autograd.grad(adversarial, output, retain_graph=True)
    lengths = [one.float().flatten(1).norm(dim=1) for one in (similar, deceiving)]
    ratio = (weight * lengths[0] / lengths[1].clamp(min=1e-12)).reshape(-1, *[1] * (output.dim() - 1))
    return (output * (similar + ratio * deceiving).detach()).sum()


@contextmanager
def frozen(critic: Critic) -> Iterator[None]:
    """Gradients go through `critic` and leave none in it."""
    critic.requires_grad_(False)
    try:
        yield
    finally:
        critic.requires_grad_(True)


def _together(change: Callable[..., Tensor], *evidence: Evidence) -> tuple[Tensor, list[Tensor]]:
    maps = zip(*(one.maps for one in evidence), strict=True)
    return change(*(one.r for one in evidence)), [change(*same) for same in maps]


def _weighted(sides: Sequence[Tensor]) -> Tensor:
    weights = [PIXEL_WEIGHT, *[1.0] * (len(sides) - 1)]
    return torch.stack([w * side for w, side in zip(weights, sides, strict=True)]).sum(0) / sum(weights)
