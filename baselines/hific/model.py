"""HiFiC as a whole: image to latents, their estimated bits, and back to an image."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmark.baselines.hific.density import (
    MIN_SCALE,
    FactorisedDensity,
    bits,
    latent_likelihood,
    lower_bound,
)
from benchmark.baselines.hific.network import (
    HYPER_STRIDE,
    STRIDE,
    Encoder,
    Generator,
    HyperAnalysis,
    HyperSynthesis,
    pad_by_reflection,
)
from benchmark.reading import check_sizes

SMALLEST_SIDE = 5 * STRIDE
"""Smaller images are continued to this by reflection: the hyper-analysis reflects two of its inputs, which needs
eight latents, and five are continued to eight."""


@dataclass(frozen=True)
class HificConfig:
    """Size and conventions of a HiFiC model; the defaults are the paper's.

    widths: channels from the full resolution down to 1/16. latents: channels of y. hyper: channels of z. blocks:
    residual blocks of the generator. density: hidden widths of the factorised density. likelihood: "gaussian" or
    "logistic", the distribution of the latents. signed_range: images in [−1, 1] and a generator that ends in tanh;
    otherwise images in [0, 1] and no tanh.
    """

    widths: tuple[int, ...] = (60, 120, 240, 480, 960)
    latents: int = 220
    hyper: int = 320
    blocks: int = 9
    density: tuple[int, ...] = (3, 3, 3)
    likelihood: str = "gaussian"
    signed_range: bool = True

    def __post_init__(self) -> None:
        check_sizes(widths=self.widths, latents=self.latents, hyper=self.hyper, density=self.density)
        check_sizes(0, blocks=self.blocks)

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


class Hyperprior(nn.Module):
    """The networks and the density around the hyper-latents; names as in the public checkpoints."""

    def __init__(self, config: HificConfig) -> None:
        super().__init__()
        self.analysis_net = HyperAnalysis(config.latents, config.hyper)
        self.synthesis_mu = HyperSynthesis(config.latents, config.hyper)
        self.synthesis_std = HyperSynthesis(config.latents, config.hyper)
        self.hyperlatent_likelihood = FactorisedDensity(config.hyper, config.density)


class Coded(NamedTuple):
    """What a training step needs. reconstruction: (N, 3, H, W) in the model's range. y_hat: (N, latents, H/16, W/16).

    noisy_bits, rounded_bits: (N,), estimated with uniform noise in place of rounding (for the gradient) and with
    rounding (for the rate controller).
    """

    reconstruction: Tensor
    y_hat: Tensor
    noisy_bits: Tensor
    rounded_bits: Tensor


class Hific(nn.Module):
    """Encoder, hyperprior, generator."""

    def __init__(self, config: HificConfig | None = None) -> None:
        super().__init__()
        self.config = config or HificConfig()
        self.Encoder = Encoder(self.config.widths, self.config.latents)
        self.Generator = Generator(self.config.widths, self.config.latents, self.config.blocks)
        self.Hyperprior = Hyperprior(self.config)

    def to_range(self, picture: Tensor) -> Tensor:
        """[0, 1] -> the model's range."""
        return picture * 2 - 1 if self.config.signed_range else picture

    def from_range(self, x: Tensor) -> Tensor:
        """The model's range -> [0, 1], not clamped."""
        return (x + 1) / 2 if self.config.signed_range else x

    def analyse(self, picture: Tensor) -> Tensor:
        """y of an image (N, 3, H, W) in [0, 1] of any size, continued by reflection: (N, latents, h, w).

        h and w are `latent_size`.
        """
        rows, columns = (max(_up(side, STRIDE), SMALLEST_SIDE) for side in picture.shape[-2:])
        y = self.Encoder(pad_by_reflection(self.to_range(picture), rows, columns))
        return pad_by_reflection(y, *latent_size(*picture.shape[-2:]))

    def hyper_analyse(self, y: Tensor) -> Tensor:
        """ẑ, integers: (N, latents, h, w) -> (N, hyper, h/4, w/4)."""
        return torch.floor(self.Hyperprior.analysis_net(y) + 0.5)

    def mean_and_scale(self, z_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Of each latent: (N, hyper, h/4, w/4) -> twice (N, latents, h, w)."""
        mean = self.Hyperprior.synthesis_mu(z_hat)
        return mean, lower_bound(self.Hyperprior.synthesis_std(z_hat), MIN_SCALE)

    def estimate(self, y_hat: Tensor, z_hat: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        """Bits (N,) of quantised or noisy latents, from likelihoods."""
        likelihood = latent_likelihood(y_hat, mean, scale, self.config.likelihood)
        return bits(self.Hyperprior.hyperlatent_likelihood(z_hat)) + bits(likelihood)

    def synthesise(self, y_hat: Tensor, height: int, width: int) -> Tensor:
        """The image of ŷ (N, latents, h, w), cropped to (N, 3, height, width), in [0, 1], clamped."""
        return self.from_range(self._generate(y_hat))[..., :height, :width].clamp(0, 1)

    def _generate(self, y_hat: Tensor) -> Tensor:
        x = self.Generator(y_hat)
        return torch.tanh(x) if self.config.signed_range else x

    def forward(self, x: Tensor) -> Coded:
        """For training. x (N, 3, H, W) in the model's range, sides multiples of 64 and at least 128.

        Likelihoods see y and z with uniform noise, the generator sees rounded latents with a straight-through gradient
        and the hyper-synthesis ẑ with noise. Under autocast the hyperprior stays in float32: latents are far larger
        than the step at which they are rounded.
        """
        y = self.Encoder(x).float()
        with torch.autocast(x.device.type, enabled=False):
            z = self.Hyperprior.analysis_net(y)
            noisy_z = z + torch.rand_like(z) - 0.5
            mean, scale = self.mean_and_scale(noisy_z)
            noisy_bits = self.estimate(y + torch.rand_like(y) - 0.5, noisy_z, mean, scale)
            y_hat = quantise(y, mean)
            with torch.no_grad():
                rounded_bits = self.estimate(y_hat, torch.floor(z + 0.5), mean, scale)
            y_hat = y + (y_hat - y).detach()
        return Coded(self._generate(y_hat), y_hat, noisy_bits, rounded_bits)


def quantise(y: Tensor, mean: Tensor) -> Tensor:
    """The value nearest to y at a whole distance from the mean."""
    return torch.floor(y - mean + 0.5) + mean


def latent_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of latents of an image, multiples of 4 and at least 8."""
    rows, columns = (_up(max(-(-side // STRIDE), SMALLEST_SIDE // STRIDE), HYPER_STRIDE) for side in (height, width))
    return rows, columns


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
