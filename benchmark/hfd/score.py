"""The networks of the score-based decoders: the U-Net and what it must know of its first stage."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.hfd.decoders import KINDS
from benchmark.hfd.transforms import zero_initialised
from benchmark.hfd.unet import UNet, UNetConfig
from benchmark.hfd.weights import fill, from_json, read_weights
from benchmark.reading import check_sizes, sound

INPUT_SCALE = 4.0
"""x̂ in [-0.5, 0.5] times this has about unit deviation."""


_LUMA_CHROMA = torch.tensor([[3**-0.5, 3**-0.5, 3**-0.5], [2**-0.5, 0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]])
"""Rows: luma and two chroma axes of RGB, orthonormal (the DCT over the three channels)."""


def to_luma_chroma(x: Tensor) -> Tensor:
    """RGB to orthonormal luma and chroma, (N, 3, H, W). The first stage's error is several times larger in luma."""
    return torch.einsum("ij,njhw->nihw", _LUMA_CHROMA.to(x), x)


def from_luma_chroma(x: Tensor) -> Tensor:
    """The inverse of `to_luma_chroma`."""
    return torch.einsum("ij,nihw->njhw", _LUMA_CHROMA.to(x), x)


class LocalDeviation(nn.Module):
    """How far x̂ is from x, as x̂ tells it: the deviation of the residual at each pixel over that of the quality.

    A flat sky is known well and a meadow badly. Noise of one strength for both would leave grain in the sky.
    """

    RECEPTIVE_FIELD = 24
    """How far the result depends on x̂, in pixels: six cells of 4, five of them through the convolutions."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(4 * 16, channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=2, dilation=2),
            nn.SiLU(),
            zero_initialised(nn.Conv2d(channels, 1, 1)),
        )

    def forward(self, x_hat: Tensor, quality: Tensor) -> Tensor:
        """x_hat (N, 3, H, W) of unit deviation, quality (N,) in [0, 1]: the logarithm of the ratio, (N, 1, H, W)."""
        plane = quality[:, None, None, None].expand(-1, 1, *x_hat.shape[-2:])
        log_ratio = self.layers(torch.cat([x_hat, plane.to(x_hat.dtype)], 1)).float().clamp(-4, 2)
        return F.interpolate(log_ratio, scale_factor=4, mode="bilinear", align_corners=False)


class ScoreNetwork(nn.Module):
    """The U-Net with what it must know of its first stage: the deviation σ_r of x − x̂.

    It depends on the quality, on the axis (luma, two of chroma) and on the place. Noise of one strength in R, G and B
    would leave coloured grain, which no photograph has. Everything that is sampled is r = (x − x̂)/σ_r in luma and
    chroma.
    """

    residual_deviation: Tensor

    def __init__(self, config: UNetConfig, levels: int, images: int = 1, times: int = 1) -> None:
        """images, times: of z and t, see `UNet`."""
        super().__init__()
        self.unet = UNet(config, images, times)
        self.local_deviation = LocalDeviation()
        self.levels = levels
        self.register_buffer("residual_deviation", torch.ones(levels, 3))

    def deviation(self, x_hat: Tensor, quality: Tensor) -> Tensor:
        """σ_r of luma and chroma at each pixel of x̂ (N, 3, H, W) at `quality` (N,): (N, 3, H, W)."""
        log_ratio = self.local_deviation(x_hat * INPUT_SCALE, self.relative(quality))
        return self.mean_deviation(quality) * log_ratio.exp()

    def mean_deviation(self, quality: Tensor) -> Tensor:
        """The deviation over whole images at `quality` (N,), interpolated in the log: (N, 3, 1, 1)."""
        position = quality - 1
        low = position.floor().long().clamp(0, self.levels - 2)
        fraction = (position - low)[:, None]
        log = self.residual_deviation.float().log()
        return (log[low] * (1 - fraction) + log[low + 1] * fraction).exp()[..., None, None]

    def forward(self, z: Tensor, x_hat: Tensor, t: Tensor, quality: Tensor) -> Tensor:
        """What the U-Net says at z (N, 3·images, H, W), (N, 3, H, W), float32; see `interpret`.

        x_hat: RGB in [-0.5, 0.5], (N, 3, H, W); t in [0, 1], (N,) or (N, times), and quality in [1, levels], (N,).
        """
        return self.interpret(self.unet(z, x_hat * INPUT_SCALE, t, self.relative(quality)).float(), z, t)

    def relative(self, quality: Tensor) -> Tensor:
        """`quality` in [1, levels] as the networks are told it, in [0, 1]."""
        return (quality - 1) / (self.levels - 1)

    def interpret(self, output: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """What the U-Net's output at z and t says: the diffusion's v, as it is."""
        return output


def load_score_network(path: Path, kind: str) -> tuple[ScoreNetwork, dict[str, Any], str]:
    """The network of a decoder of this kind, one of KINDS, in `path`, its configuration, its identity."""
    tensors, configuration, identity = read_weights(path, kind)
    with sound(str(path), f"weights of a {kind} decoder"):
        unet, levels = UNetConfig(**from_json(configuration["unet"])), int(configuration["levels"])
        check_sizes(levels=levels)
        network = KINDS[kind].load().network(unet, levels, configuration)
        fill(network, tensors, path)
    return network.eval().requires_grad_(False), configuration, identity


def picture_to_tensor(image: "np.typing.NDArray[np.uint8]") -> Tensor:
    """uint8 (H, W, 3) -> float32 (1, 3, H, W) in [-0.5, 0.5]."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].float().div_(255).sub_(0.5)


def tensor_to_picture(x: Tensor) -> "np.typing.NDArray[np.uint8]":
    """(1, 3, H, W) in [-0.5, 0.5] -> uint8 (H, W, 3), rounded."""
    values = (x[0].float() + 0.5).mul_(255).round_().clamp_(0, 255).to(torch.uint8)
    return np.ascontiguousarray(values.permute(1, 2, 0).cpu().numpy())
