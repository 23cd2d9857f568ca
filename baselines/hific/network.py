"""The networks of HiFiC: encoder, generator and the three of its hyperprior.

Mentzer et al. 2020, arXiv 2006.09965, appendix. The names of the parameters are those of the public PyTorch checkpoints
(github.com/Justin-Tan/high-fidelity-generative-compression), so that these load without renaming; layers without
parameters stand where they stand there, because they count in the names. So do the paddings: another border would
decode another image.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 16
"""Pixels per latent, in each direction."""
HYPER_STRIDE = 4
"""Latents per hyper-latent, in each direction."""


class ChannelNorm(nn.Module):
    """Normalises each position over its channels, then scales and shifts each channel.

    Unlike instance normalisation it does not depend on the size of the image. The variance is the unbiased one.
    """

    def __init__(self, channels: int, epsilon: float = 1e-3) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        variance, mean = torch.var_mean(x, dim=1, keepdim=True)
        normalised: Tensor = self.gamma * ((x - mean) * torch.rsqrt(variance + self.epsilon)) + self.beta
        return normalised


class Encoder(nn.Module):
    """Image to latents: (N, 3, H, W) -> (N, latents, H/16, W/16); H and W multiples of 16.

    widths: channels at the full resolution and after each of the four strided convolutions.
    """

    def __init__(self, widths: Sequence[int], latents: int) -> None:
        super().__init__()
        self.conv_block1 = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(3, widths[0], 7), ChannelNorm(widths[0]), nn.ReLU()
        )
        for block in range(2, 6):
            channels_in, channels = widths[block - 2 : block]
            # The border of one is at the right and at the top: left 0, right 1, top 1, bottom 0.
            layers = nn.Sequential(
                nn.ReflectionPad2d((0, 1, 1, 0)),
                nn.Conv2d(channels_in, channels, 3, 2),
                ChannelNorm(channels),
                nn.ReLU(),
            )
            self.add_module(f"conv_block{block}", layers)
        self.conv_block_out = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(widths[4], latents, 3))

    def forward(self, x: Tensor) -> Tensor:
        """y, not quantised."""
        for block in self.children():
            x = block(x)
        return x


class ResidualBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x)))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3)
        self.conv2 = nn.Conv2d(channels, channels, 3)
        self.norm1 = ChannelNorm(channels)
        self.norm2 = ChannelNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        inner = F.relu(self.norm1(self.conv1(_reflect(x, 1))))
        outer: Tensor = self.norm2(self.conv2(_reflect(inner, 1)))
        return x + outer


class Generator(nn.Module):
    """Quantised latents to an image: (N, latents, h, w) -> (N, 3, 16·h, 16·w), before tanh or clamping.

    widths: as the encoder's, from the full resolution down. blocks: residual blocks at 1/16 resolution.
    """

    def __init__(self, widths: Sequence[int], latents: int, blocks: int) -> None:
        super().__init__()
        self.conv_block_init = nn.Sequential(
            ChannelNorm(latents), nn.ReflectionPad2d(1), nn.Conv2d(latents, widths[4], 3), ChannelNorm(widths[4])
        )
        for block in range(blocks):
            self.add_module(f"resblock_{block}", ResidualBlock(widths[4]))
        for block in range(1, 5):
            channels_in, channels = widths[5 - block], widths[4 - block]
            layers = nn.Sequential(
                nn.ConvTranspose2d(channels_in, channels, 3, 2, padding=1, output_padding=1),
                ChannelNorm(channels),
                nn.ReLU(),
            )
            self.add_module(f"upconv_block{block}", layers)
        self.conv_block_out = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(widths[0], 3, 7))
        self.blocks = blocks

    def forward(self, y_hat: Tensor) -> Tensor:
        """The image in the range that the model was trained on, not clamped."""
        head = self.conv_block_init(y_hat)
        x = head
        for block in range(self.blocks):
            x = self.get_submodule(f"resblock_{block}")(x)
        x = x + head
        for block in range(1, 5):
            x = self.get_submodule(f"upconv_block{block}")(x)
        picture: Tensor = self.conv_block_out(x)
        return picture


class HyperAnalysis(nn.Module):
    """Latents to hyper-latents: (N, latents, h, w) -> (N, hyper, h/4, w/4); h and w multiples of 4, at least 8."""

    def __init__(self, latents: int, hyper: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(latents, hyper, 3, padding=1)
        self.conv2 = nn.Conv2d(hyper, hyper, 5, 2, padding=2, padding_mode="reflect")
        self.conv3 = nn.Conv2d(hyper, hyper, 5, 2, padding=2, padding_mode="reflect")

    def forward(self, y: Tensor) -> Tensor:
        """z, not quantised."""
        z: Tensor = self.conv3(F.relu(self.conv2(F.relu(self.conv1(y)))))
        return z


class HyperSynthesis(nn.Module):
    """Hyper-latents to one parameter of each latent: (N, hyper, h/4, w/4) -> (N, latents, h, w)."""

    def __init__(self, latents: int, hyper: int) -> None:
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(hyper, hyper, 5, 2, padding=2, output_padding=1)
        self.conv2 = nn.ConvTranspose2d(hyper, hyper, 5, 2, padding=2, output_padding=1)
        self.conv3 = nn.ConvTranspose2d(hyper, latents, 3, padding=1)

    def forward(self, z_hat: Tensor) -> Tensor:
        """Means, or scales before their lower bound."""
        parameter: Tensor = self.conv3(F.relu(self.conv2(F.relu(self.conv1(z_hat)))))
        return parameter


def _reflect(x: Tensor, border: int) -> Tensor:
    return F.pad(x, (border, border, border, border), mode="reflect")


def pad_by_reflection(x: Tensor, height: int, width: int) -> Tensor:
    """x (N, C, H, W) continued below and to the right to (N, C, height, width) by reflection without the edge.

    Where `F.pad(mode="reflect")` is defined it is the same; beyond that the reflection goes on, back and forth.
    """
    return x[..., _reflected(x.shape[-2], height), :][..., _reflected(x.shape[-1], width)].contiguous()


def _reflected(size: int, padded: int) -> Tensor:
    """Indices below `size`: 0, 1, …, size − 1, size − 2, …, 1, 0, 1, …; `padded` of them."""
    period = max(1, 2 * (size - 1))
    index = torch.arange(padded) % period
    return torch.minimum(index, period - index) if size > 1 else torch.zeros_like(index)
