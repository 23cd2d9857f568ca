"""The probabilities of HiFiC's latents: a factorised density for ẑ, Gaussians or logistics for ŷ.

The factorised density is that of Ballé, Minnen, Singh, Hwang, Johnston, "Variational Image Compression with a Scale
Hyperprior", ICLR 2018, section 6.1, as the public PyTorch checkpoints hold it: each of the four layers ends in a gate,
the last one too. CompressAI's `EntropyBottleneck` has no last gate and cannot hold these weights.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.hfd.compressai_parts import LowerBoundFunction

LIKELIHOODS = ("gaussian", "logistic")
MIN_SCALE = 0.11
"""Smallest scale of a latent's distribution."""
MIN_LIKELIHOOD = 1e-9
"""Smallest likelihood, so that no symbol costs infinitely many bits."""


def lower_bound(x: Tensor, bound: float) -> Tensor:
    """max(x, bound); the gradient still passes where it would raise an x below the bound."""
    bounded: Tensor = LowerBoundFunction.apply(x, torch.tensor(bound, dtype=x.dtype, device=x.device))
    return bounded


class FactorisedDensity(nn.Module):
    """One density a channel: its cumulative distribution is the sigmoid of a small monotone network.

    With x₀ = x, layer k computes u = softplus(H_k)·x_k + b_k and x_{k+1} = u + tanh(a_k)·tanh(u).
    """

    def __init__(self, channels: int, widths: Sequence[int] = (3, 3, 3), initial_scale: float = 10.0) -> None:
        super().__init__()
        sizes = (1, *widths, 1)
        self.layers = len(sizes) - 1
        scale = initial_scale ** (1 / self.layers)
        for k in range(self.layers):
            weight = torch.full((channels, sizes[k + 1], sizes[k]), 1 / scale / sizes[k + 1]).expm1().log()
            self.register_parameter(f"H_{k}", nn.Parameter(weight))
            self.register_parameter(f"a_{k}", nn.Parameter(torch.zeros(channels, sizes[k + 1], 1)))
            self.register_parameter(f"b_{k}", nn.Parameter(torch.empty(channels, sizes[k + 1], 1).uniform_(-0.5, 0.5)))

    def logits(self, x: Tensor) -> Tensor:
        """Logits of the cumulative distributions at x (C, 1, n): (C, 1, n)."""
        for k in range(self.layers):
            x = torch.bmm(F.softplus(self.get_parameter(f"H_{k}")), x) + self.get_parameter(f"b_{k}")
            x = x + torch.tanh(self.get_parameter(f"a_{k}")) * torch.tanh(x)
        return x

    def interval(self, x: Tensor) -> Tensor:
        """Probability of [x − 1/2, x + 1/2] for x (C, 1, n): (C, 1, n), not bounded."""
        lower, upper = self.logits(x - 0.5), self.logits(x + 0.5)
        # Both on the side where the sigmoid is small: a difference of two numbers near 1 would have no digits left.
        sign = -torch.sign(lower + upper).detach()
        return (torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower)).abs()

    def forward(self, z: Tensor) -> Tensor:
        """Likelihoods of z (N, C, h, w), integers or integers with uniform noise: (N, C, h, w)."""
        by_channel = z.transpose(0, 1)
        likelihood = self.interval(by_channel.reshape(len(by_channel), 1, -1)).reshape(by_channel.shape)
        return lower_bound(likelihood.transpose(0, 1), MIN_LIKELIHOOD)


def cumulative(x: Tensor, likelihood: str) -> Tensor:
    """The standard distribution's cumulative function; "gaussian" with variance 1, "logistic" with scale 1."""
    return torch.special.erfc(x * -(0.5**0.5)) / 2 if likelihood == "gaussian" else torch.sigmoid(x)


def unit_interval(distance: Tensor, scale: Tensor, likelihood: str) -> Tensor:
    """Probability of the interval of length 1 around a point at `distance` from the mean; not bounded."""
    distance = distance.abs()  # by symmetry; so both values are small and their difference keeps its digits
    return cumulative((0.5 - distance) / scale, likelihood) - cumulative((-0.5 - distance) / scale, likelihood)


def latent_likelihood(y: Tensor, mean: Tensor, scale: Tensor, likelihood: str) -> Tensor:
    """Likelihoods of y, at an integer distance from the mean or with uniform noise. All (N, C, h, w)."""
    return lower_bound(unit_interval(y - mean, scale, likelihood), MIN_LIKELIHOOD)


def bits(likelihood: Tensor) -> Tensor:
    """Estimated bits of each item of a batch: (N, C, h, w) -> (N,).

    The small number under the logarithm is part of the published definition.
    """
    return -(likelihood + 1e-9).log2().sum((1, 2, 3))
