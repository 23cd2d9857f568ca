"""The network of the score-based decoders: a convolutional U-Net in pixel space, conditioned on x̂, time and quality.

No attention and no statistics over the image (normalisation is per pixel, over channels), so any size of image or
tile goes through and gives the same values.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.reading import check_sizes


@dataclass(frozen=True)
class UNetConfig:
    """channels: at 1/2, 1/4, 1/8, … of the image's resolution; blocks: residual blocks at each, down and up."""

    channels: tuple[int, ...] = (32, 64, 128)
    blocks_down: tuple[int, ...] = (2, 3, 4)
    blocks_up: tuple[int, ...] = (2, 2)
    embedding: int = 128

    def __post_init__(self) -> None:
        check_sizes(channels=self.channels, embedding=self.embedding)
        check_sizes(0, blocks_down=self.blocks_down, blocks_up=self.blocks_up)

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


SMALL = UNetConfig()
MEDIUM = UNetConfig(channels=(32, 64, 128, 192), blocks_down=(2, 3, 4, 4), blocks_up=(2, 2, 3))
"""`SMALL` with three blocks more at 1/8 on the way up, and four below, at 1/16."""
LARGE = UNetConfig(channels=(32, 64, 128, 192), blocks_down=(3, 4, 4, 4), blocks_up=(5, 5, 3))
"""`MEDIUM` with more blocks at 1/2 and 1/4, where the finest detail is made: one each on the way down, three up."""
PAPER = UNetConfig(channels=(128, 256, 512, 512), blocks_down=(2, 2, 4, 4), blocks_up=(4, 2, 2), embedding=512)
"""Of full size, twice the operations of HiFiC's generator. The paper says neither channels nor blocks where it was read
for this suite, so these are ours; meant for its patches of 256 pixels."""


CONFIGS = {"small": SMALL, "medium": MEDIUM, "large": LARGE, "paper": PAPER}

RMS_FLOOR = 1e-4
"""Added to the mean square."""


class ChannelRmsNorm(nn.Module):
    """x / RMS over channels, at each pixel by itself (Zhang & Sennrich, 2019), with a gain per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        scale = torch.rsqrt(x.float().square().mean(1, keepdim=True) + RMS_FLOOR)
        return x * scale.to(x.dtype) * self.gain.to(x.dtype)


class Block(nn.Module):
    """x + conv3(SiLU(FiLM(conv3(SiLU(norm(x)))))), FiLM by the embedding of time and quality."""

    def __init__(self, channels_in: int, channels: int, embedding: int) -> None:
        super().__init__()
        self.norm = ChannelRmsNorm(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.film = nn.Linear(embedding, 2 * channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.skip = nn.Identity() if channels_in == channels else nn.Conv2d(channels_in, channels, 1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x (N, C_in, H, W), embedding (N, E) -> (N, C, H, W)."""
        scale, shift = self.film(embedding)[..., None, None].chunk(2, 1)
        h = self.conv1(F.silu(self.norm(x)))
        h = torch.addcmul(h + shift, h, scale)
        out: Tensor = self.skip(x) + self.conv2(F.silu(h))
        return out


def fourier_features(value: Tensor, count: int) -> Tensor:
    """sin and cos of `value` (N,) in [0, 1] at frequencies from 1/2 to 64 turns: (N, 2·count)."""
    frequency = 2 * math.pi * torch.logspace(-1, 6, count, base=2, device=value.device)
    angle = value[:, None].float() * frequency
    return torch.cat([angle.sin(), angle.cos()], 1)


TOLD_FEATURES = 16
"""Numbers as which the blocks are told one number: sin and cos of eight multiples of it."""


class UNet(nn.Module):
    """ε, v or velocity from (z_t, x̂, t, quality); the meaning of the output is the decoder's."""

    def __init__(self, config: UNetConfig = SMALL, images: int = 1, times: int = 1) -> None:
        """images: how many z holds, of three channels each; times: how many numbers t holds."""
        super().__init__()
        self.config = config
        channels, e = config.channels, config.embedding
        self.embed = nn.Sequential(nn.Linear((times + 1) * TOLD_FEATURES, e), nn.SiLU(), nn.Linear(e, e), nn.SiLU())
        self.enter = nn.Conv2d(12 * (images + 1), channels[0], 3, padding=1)
        self.down = nn.ModuleList()
        self.shrink = nn.ModuleList()
        for level, c in enumerate(channels):
            self.down.append(nn.ModuleList(Block(c, c, e) for _ in range(config.blocks_down[level])))
            if level + 1 < len(channels):
                self.shrink.append(nn.Conv2d(c, channels[level + 1], 2, 2))
        self.grow = nn.ModuleList()
        self.up = nn.ModuleList()
        for level, c in reversed(list(enumerate(channels[:-1]))):
            self.grow.append(nn.Sequential(nn.Conv2d(channels[level + 1], 4 * c, 1), nn.PixelShuffle(2)))
            self.up.append(nn.ModuleList(Block(c, c, e) for _ in range(config.blocks_up[level])))
        self.norm = ChannelRmsNorm(channels[0])
        self.exit = nn.Conv2d(channels[0], 12, 3, padding=1)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)  # type: ignore[arg-type]

    @property
    def stride(self) -> int:
        """Sides of the input must be multiples of this."""
        return int(2 ** len(self.config.channels))

    @property
    def receptive_field(self) -> int:
        """How far an output depends on the input: pixels beyond the cell of the coarsest grid in which it lies."""
        deepest = len(self.config.channels) - 1
        pixels = 2  # from the output inwards; enter and exit are 3×3 at half the resolution
        for level in range(deepest):
            pixels += 2 ** (level + 1) * 2 * self.config.blocks_up[level]  # two 3×3 convolutions a block
            cell = 2 ** (level + 2)
            pixels = -(-pixels // cell) * cell  # a cell of the next grid is seen as a whole
        for level in reversed(range(deepest + 1)):
            pixels += 2 ** (level + 1) * 2 * self.config.blocks_down[level]
        return pixels + 2

    def embedding(self, t: Tensor, quality: Tensor) -> Tensor:
        """t (N,), or (N, times), and quality (N,) in [0, 1] -> (N, E), what the blocks are told of them."""
        numbers = [*(t[:, None] if t.ndim == 1 else t).unbind(1), quality]
        embedding: Tensor = self.embed(torch.cat([fourier_features(n, TOLD_FEATURES // 2) for n in numbers], 1))
        return embedding

    def forward(self, z: Tensor, x_hat: Tensor, t: Tensor, quality: Tensor) -> Tensor:
        """z (N, 3·images, H, W) and x_hat (N, 3, H, W), about unit deviation; t and quality as in `embedding`.

        Returns (N, 3, H, W).
        """
        embedding = self.embedding(t, quality)
        h = self.enter(F.pixel_unshuffle(torch.cat([z, x_hat], 1), 2))
        kept = []
        for level, blocks in enumerate(self.down):
            for block in blocks:  # type: ignore[union-attr, attr-defined]
                h = block(h, embedding)
            if level < len(self.shrink):
                kept.append(h)
                h = self.shrink[level](h)
        for grow, blocks in zip(self.grow, self.up, strict=True):
            h = grow(h) + kept.pop()
            for block in blocks:  # type: ignore[union-attr, attr-defined]
                h = block(h, embedding)
        out: Tensor = F.pixel_shuffle(self.exit(F.silu(self.norm(h))), 2)
        return out
