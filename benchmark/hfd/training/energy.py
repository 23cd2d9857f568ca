"""The energy score: how well samples of a distribution fit the one thing that happened.

    ES(P, x) = E d(X, x) − ½·E d(X, X′),   X, X′ ~ P independent.

For a distance d of negative type its expectation over x is least where P is the distribution of x itself (Gneiting &
Raftery, "Strictly Proper Scoring Rules", 2007, section 5.1), so a generator that is trained with it learns to sample,
without a discriminator (Bouchacourt et al., "DISCO Nets", 2016; De Bortoli et al., "Distributional Diffusion Models
with Scoring Rules", 2025). The Euclidean norm is of negative type, and so is a sum of norms over places and features:
what is then learned is the distribution of what each place shows.

With less than the whole of the second term, `spread` below 1, samples keep closer to what happened than they are to
each other: it is the score and a distortion, E d(X, x), in the proportion spread to 1 − spread. A Gaussian of deviation
1 is then met by one of deviation spread/√(2 − spread²): 0.47 for 0.6.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FLOOR = 1e-8
"""Under the root: the slope of a norm at zero is finite then."""

Value = TypeVar("Value")


def energy_score(
    samples: Sequence[Value], x: Value, distance: Callable[[Value, Value], Tensor], spread: Tensor | float = 1.0
) -> Tensor:
    """The unbiased estimate from two samples or more: (N,), if `distance` of two values is."""
    to_x = torch.stack([distance(sample, x) for sample in samples]).mean(0)
    apart = torch.stack([distance(a, b) for a, b in combinations(samples, 2)]).mean(0)
    return to_x - spread * apart / 2


def patch_distance(a: Tensor, b: Tensor, side: int) -> Tensor:
    """Root mean square of the difference of (N, C, H, W) over channels and side×side pixels, mean over places: (N,)."""
    return _patch_norm(a - b, side)


def _patch_norm(difference: Tensor, side: int) -> Tensor:
    squared = difference.square().mean(1, keepdim=True)
    return (F.avg_pool2d(squared, side, 1) + FLOOR).sqrt().mean((1, 2, 3))


def haar_bands(x: Tensor, levels: int) -> list[Tensor]:
    """The 3·levels detail bands of the undecimated Haar transform of (N, C, H, W), without what the border cuts."""
    bands = []
    for level in range(levels):
        step = 2**level
        left, right = x[..., :-step], x[..., step:]
        low, high = (left + right) / 2, (left - right) / 2
        for part in (low, high):
            bands.append((part[..., :-step, :] - part[..., step:, :]) / 2)
        bands.append((high[..., :-step, :] + high[..., step:, :]) / 2)
        x = (low[..., :-step, :] + low[..., step:, :]) / 2
    return bands


def band_distance(a: Tensor, b: Tensor, levels: int, side: int) -> Tensor:
    """`patch_distance` of each of the `haar_bands`, their mean: (N,).

    A norm's slope does not fall with its size, so the faintest band is seen as well as the strongest. A distance of
    pixels hardly notices a chequerboard of little contrast, which the eye does.
    """
    return torch.stack([_patch_norm(band, side) for band in haar_bands(a - b, levels)]).mean(0)


class PerceptualFeatures(nn.Module):
    """The five maps of LPIPS (Zhang et al., 2018), scaled so that LPIPS is the squared norm of their difference."""

    def __init__(self, network: Any) -> None:
        """network: `lpips.LPIPS`, frozen."""
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """RGB (N, 3, H, W) in [-0.5, 0.5] -> five maps, each (N, C, h, w)."""
        from lpips import normalize_tensor

        maps = self.network.net(self.network.scaling_layer(2 * x))
        roots = [linear.model[-1].weight.clamp(min=0).sqrt() for linear in self.network.lins]
        return tuple(normalize_tensor(features) * root for features, root in zip(maps, roots, strict=True))


def perceptual_distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Norm over channels of the difference of the maps of `PerceptualFeatures`, mean over places, sum: (N,)."""
    norms = [((x - y).square().sum(1) + FLOOR).sqrt().mean((1, 2)) for x, y in zip(a, b, strict=True)]
    return torch.stack(norms).sum(0)
