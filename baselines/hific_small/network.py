"""The generator of `hific-small`: ŷ of the frozen first stage to an image, in one pass.

As in HiFiC (Mentzer et al. 2020) residual blocks at 1/16 of the resolution, then upwards, every normalisation over the
channels of a position by itself, so that any size of image or tile gives the same values. Two things are otherwise.
The first stage's synthesis is known and good in the mean, so the generator is given its x̂, which is a function of ŷ,
folded to each resolution, and says what is to be added. And one network serves all qualities, which FiLM tells it.
The blocks are those of the score-based decoders' U-Net: what differs between the decoders is what they were taught.
"""

from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.errors import BenchmarkError
from benchmark.hfd.score import INPUT_SCALE
from benchmark.hfd.transforms import STRIDE, zero_initialised
from benchmark.hfd.unet import Block, ChannelRmsNorm, fourier_features
from benchmark.hfd.weights import fill, from_json, read_weights
from benchmark.reading import STUMBLES, brief, check_sizes

KIND = "hific-small"
"""Of the weights file."""

OUTPUT_SCALE = 0.1
"""Of the residual: what the first stage lost has a deviation of 0.01 to 0.05 on images in [-0.5, 0.5]."""

FREQUENCIES = 8


@dataclass(frozen=True)
class GeneratorConfig:
    """Size of a generator.

    latents: channels of ŷ. levels: qualities of the first stage. channels, blocks: at 1/16, 1/8, 1/4 and 1/2 of the
    image's resolution. embedding: of the quality.
    """

    latents: int = 384
    levels: int = 7
    channels: tuple[int, ...] = (160, 128, 96, 48)
    blocks: tuple[int, ...] = (6, 3, 3, 3)
    embedding: int = 64

    def __post_init__(self) -> None:
        check_sizes(latents=self.latents, levels=self.levels, channels=self.channels)
        check_sizes(embedding=self.embedding)
        check_sizes(0, blocks=self.blocks)

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


SMALL = GeneratorConfig()


class Generator(nn.Module):
    """ŷ, x̂ and the quality to an image.

    Each channel of ŷ is multiplied by a learned gain, which starts at one over its deviation in training images: the
    lowest coefficients are a hundred times as large as the highest.
    """

    def __init__(self, config: GeneratorConfig = SMALL) -> None:
        super().__init__()
        self.config = config
        e, channels = config.embedding, config.channels
        self.embed = nn.Sequential(nn.Linear(2 * FREQUENCIES, e), nn.SiLU(), nn.Linear(e, e), nn.SiLU())
        self.latent_gain = nn.Parameter(torch.ones(1, config.latents, 1, 1))
        self.enter = nn.Conv2d(config.latents, channels[0], 1)
        self.fold = nn.ModuleList(
            nn.Conv2d(3 * cell**2, c, 3, padding=1) for cell, c in zip(self.cells[1:], channels[1:], strict=True)
        )
        self.grow = nn.ModuleList(
            nn.Sequential(nn.Conv2d(coarse, 4 * fine, 1), nn.PixelShuffle(2)) for coarse, fine in pairwise(channels)
        )
        self.stages = nn.ModuleList(
            nn.ModuleList(Block(c, c, e) for _ in range(count))
            for c, count in zip(channels, config.blocks, strict=True)
        )
        self.norm = ChannelRmsNorm(channels[-1])
        self.exit = zero_initialised(nn.Conv2d(channels[-1], 3 * self.cells[-1] ** 2, 3, padding=1))

    @property
    def cells(self) -> tuple[int, ...]:
        """Pixels to a position at each resolution, in each direction: 16, 8, 4, 2."""
        return tuple(STRIDE >> stage for stage in range(len(self.config.channels)))

    @property
    def receptive_field(self) -> int:
        """How far the image depends on ŷ and x̂, in latents, beyond the latent in which a pixel lies."""
        pixels = self.cells[-1]  # from the output inwards: the exit
        for cell, blocks in zip(self.cells[::-1], self.config.blocks[::-1], strict=True):
            pixels = -(-pixels // cell) * cell  # a position is seen as a whole
            pixels += 2 * cell * blocks  # two 3×3 convolutions a block
            if cell != STRIDE:
                pixels += cell  # folding x̂ in
        return -(-pixels // STRIDE)

    @torch.no_grad()
    def set_latent_gain(self, gain: Tensor) -> None:
        """Before the first step: what each channel of ŷ is multiplied by, (M,)."""
        self.latent_gain.copy_(gain[None, :, None, None])

    def forward(self, y_hat: Tensor, x_hat: Tensor, quality: Tensor) -> Tensor:
        """ŷ (N, M, h, w) in units of the image, x̂ (N, 3, 16·h, 16·w) in [-0.5, 0.5], quality (N,) in [1, levels].

        Returns the image (N, 3, 16·h, 16·w), about [-0.5, 0.5], float32, not clamped.
        """
        embedding = self.embed(fourier_features((quality - 1) / (self.config.levels - 1), FREQUENCIES))
        h = self.enter(y_hat * self.latent_gain)
        for stage, blocks in enumerate(self.stages):
            if stage:
                folded = F.pixel_unshuffle(x_hat * INPUT_SCALE, self.cells[stage])
                h = self.grow[stage - 1](h) + self.fold[stage - 1](folded)
            for block in blocks:  # type: ignore[union-attr, attr-defined]
                h = block(h, embedding)
        added = F.pixel_shuffle(self.exit(F.silu(self.norm(h))), self.cells[-1])
        return x_hat + OUTPUT_SCALE * added.float()


def load_generator(path: Path) -> tuple[Generator, dict[str, Any], str]:
    """The generator in `path`, for inference, its configuration ("generator", "first_stage") and its identity."""
    tensors, configuration, identity = read_weights(path, KIND)
    try:
        generator = Generator(GeneratorConfig(**from_json(configuration["generator"])))
        fill(generator, tensors, path)
    except STUMBLES as error:
        raise BenchmarkError(f"{path} is of another architecture: {brief(error)}") from error
    return generator.eval().requires_grad_(False), configuration, identity
