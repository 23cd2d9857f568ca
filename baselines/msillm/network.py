"""The networks of MS-ILLM and No-GAN, which are HiFiC's with other borders.

arXiv 2301.11189. The names of the parameters are those of the public checkpoints of NeuralCompression
(github.com/facebookresearch/NeuralCompression), so that these load without renaming. Every border is zeros, where the
public HiFiC reflects, and the image is in [0, 1] on both sides. The density of the hyper-latents is CompressAI's
`EntropyBottleneck`: `FactorisedDensity` without the last gate, about a median for each channel.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.baselines.hific.density import MIN_SCALE, FactorisedDensity, latent_likelihood, lower_bound
from benchmark.baselines.hific.model import HificConfig
from benchmark.baselines.hific.network import STRIDE, ChannelNorm, pad_by_reflection

MULTIPLE = 64
"""An image is continued by reflection to sides that are multiples of this: STRIDE times the hyper-latents' stride."""


def conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """Zeros outside."""
    return nn.Conv2d(inputs, outputs, size, stride, size // 2)


def doubling(inputs: int, outputs: int, size: int) -> nn.ConvTranspose2d:
    """Twice as many rows and columns."""
    return nn.ConvTranspose2d(inputs, outputs, size, 2, size // 2, output_padding=1)


class Encoder(nn.Module):
    """(N, 3, H, W) in [0, 1] -> y (N, latents, H/16, W/16); H and W multiples of 16."""

    def __init__(self, config: HificConfig) -> None:
        super().__init__()
        widths = config.widths
        blocks: list[nn.Module] = [nn.Sequential(conv(3, widths[0], 7), ChannelNorm(widths[0]), nn.ReLU())]
        for inputs, outputs in pairwise(widths):
            blocks.append(nn.Sequential(conv(inputs, outputs, 3, 2), ChannelNorm(outputs), nn.ReLU()))
        self.blocks = nn.Sequential(*blocks, conv(widths[-1], config.latents, 3))

    def forward(self, x: Tensor) -> Tensor:
        """y, not quantised."""
        y: Tensor = self.blocks(x)
        return y


class ResidualBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x)))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sequence = nn.Sequential(
            conv(channels, channels, 3),
            ChannelNorm(channels),
            nn.ReLU(),
            conv(channels, channels, 3),
            ChannelNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        out: Tensor = x + self.sequence(x)
        return out


class Generator(nn.Module):
    """ŷ (N, latents, h, w) -> (N, 3, 16·h, 16·w), about [0, 1], not clamped."""

    def __init__(self, config: HificConfig) -> None:
        super().__init__()
        widths = config.widths[::-1]
        latents = config.latents
        self.block_0 = nn.Sequential(ChannelNorm(latents), conv(latents, widths[0], 3), ChannelNorm(widths[0]))
        self.resid_blocks = nn.Sequential(*(ResidualBlock(widths[0]) for _ in range(config.blocks)))
        blocks: list[nn.Module] = [
            nn.Sequential(doubling(inputs, outputs, 3), ChannelNorm(outputs), nn.ReLU())
            for inputs, outputs in pairwise(widths)
        ]
        self.blocks = nn.Sequential(*blocks, conv(widths[-1], 3, 7))

    def forward(self, y_hat: Tensor) -> Tensor:
        """The image."""
        head = self.block_0(y_hat)
        image: Tensor = self.blocks(head + self.resid_blocks(head))
        return image


class Synthesis(nn.Module):
    """Symbols of ẑ to one parameter of each latent: the median is added first."""

    def __init__(self, medians: Tensor, layers: nn.Module) -> None:
        super().__init__()
        self.register_buffer("medians", medians)
        self.layers = layers

    def forward(self, symbols: Tensor) -> Tensor:
        """(N, hyper, h/4, w/4), whole numbers -> (N, latents, h, w)."""
        out: Tensor = self.layers(symbols + self.get_buffer("medians").to(symbols))
        return out


class Hyperprior(nn.Module):
    """What `hific.coder.LatentCoder` asks of a model, in symbols of ẑ: whole distances from the median."""

    def __init__(self, model: "Msillm") -> None:
        super().__init__()
        self.hyperlatent_likelihood = shifted(model.density, model.medians)
        self.synthesis_mu: nn.Module = Synthesis(model.medians, model.hyper_synthesis_mean)
        self.synthesis_std: nn.Module = Synthesis(model.medians, model.hyper_synthesis_scale)


class Msillm(nn.Module):
    """Encoder, hyperprior, generator."""

    def __init__(self, config: HificConfig) -> None:
        super().__init__()
        latents, hyper = config.latents, config.hyper
        self.config = config
        self.encoder, self.decoder = Encoder(config), Generator(config)
        self.hyper_analysis = nn.Sequential(
            conv(latents, hyper, 3), nn.ReLU(), conv(hyper, hyper, 5, 2), nn.ReLU(), conv(hyper, hyper, 5, 2)
        )
        self.hyper_synthesis_mean, self.hyper_synthesis_scale = (
            nn.Sequential(
                doubling(hyper, hyper, 5), nn.ReLU(), doubling(hyper, hyper, 5), nn.ReLU(), conv(hyper, latents, 3)
            )
            for _ in range(2)
        )
        self.density = FactorisedDensity(hyper, config.density)
        self.register_buffer("medians", torch.zeros(1, hyper, 1, 1))
        self.medians: Tensor

    @property
    def Hyperprior(self) -> Hyperprior:  # noqa: N802
        """For `hific.coder.LatentCoder`, which knows the networks by the names of HiFiC's checkpoints."""
        return Hyperprior(self)

    def analyse(self, image: Tensor) -> Tensor:
        """y of an image (N, 3, H, W) in [0, 1] of any size: (N, latents, *latent_size(H, W))."""
        rows, columns = (STRIDE * side for side in latent_size(*image.shape[-2:]))
        y: Tensor = self.encoder(pad_by_reflection(image, rows, columns))
        return y

    def hyper_analyse(self, y: Tensor) -> Tensor:
        """Symbols of ẑ, whole numbers: (N, latents, h, w) -> (N, hyper, h/4, w/4)."""
        return torch.floor(self.hyper_analysis(y) - self.medians + 0.5)

    def estimate(self, y: Tensor, symbols: Tensor) -> Tensor:
        """Bits (N,) of y, quantised, and of the symbols of ẑ, by the model's likelihoods."""
        prior = self.Hyperprior
        mean, scale = prior.synthesis_mu(symbols), lower_bound(prior.synthesis_std(symbols), MIN_SCALE)
        likelihood = latent_likelihood(torch.floor(y - mean + 0.5) + mean, mean, scale, "gaussian")
        both = prior.hyperlatent_likelihood(symbols), likelihood
        return -sum((each.log2().sum((1, 2, 3)) for each in both), torch.zeros(len(y), device=y.device))

    def synthesise(self, y_hat: Tensor, height: int, width: int) -> Tensor:
        """The image of ŷ, cropped to (N, 3, height, width), in [0, 1], clamped."""
        image: Tensor = self.decoder(y_hat)
        return image[..., :height, :width].clamp(0, 1)


def latent_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the latents of an image, multiples of 4."""
    rows, columns = (MULTIPLE // STRIDE * -(-side // MULTIPLE) for side in (height, width))
    return rows, columns


def shifted(density: FactorisedDensity, medians: Tensor) -> FactorisedDensity:
    """The density of x − median, for x of `density`."""
    made = FactorisedDensity(len(density.get_parameter("b_0")), widths_of(density.state_dict()))
    tensors = {name: tensor.clone() for name, tensor in density.state_dict().items()}
    tensors["b_0"] = tensors["b_0"] + F.softplus(tensors["H_0"]) * medians.reshape(-1, 1, 1)
    made.load_state_dict(tensors)
    return made.to(medians.device).requires_grad_(False)


def widths_of(tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Hidden widths of a density with these parameters."""
    layers = sum(name.startswith("b_") for name in tensors)
    return tuple(tensors[f"b_{k}"].shape[1] for k in range(layers - 1))
