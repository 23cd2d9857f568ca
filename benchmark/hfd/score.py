"""A trained score-based decoder: x̂ and a seed to a picture."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.hfd import flow
from benchmark.hfd.autoencoder import QUALITY_STEPS
from benchmark.hfd.deterministic import on_one_thread
from benchmark.hfd.noise import gaussian_noise
from benchmark.hfd.transforms import zero_initialised
from benchmark.hfd.unet import UNet, UNetConfig
from benchmark.hfd.weights import fill, from_json, read_weights

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
    would leave coloured grain, which no photograph has.
    """

    residual_deviation: Tensor

    def __init__(self, config: UNetConfig, levels: int, kappa: float) -> None:
        super().__init__()
        self.unet = UNet(config)
        self.local_deviation = LocalDeviation()
        self.levels = levels
        self.kappa = kappa
        self.register_buffer("residual_deviation", torch.ones(levels, 3))

    def deviation(self, x_hat: Tensor, quality: Tensor) -> Tensor:
        """σ_r of luma and chroma at each pixel of x̂ (N, 3, H, W) at `quality` (N,): (N, 3, H, W)."""
        log_ratio = self.local_deviation(x_hat * INPUT_SCALE, (quality - 1) / (self.levels - 1))
        return self.mean_deviation(quality) * log_ratio.exp()

    def mean_deviation(self, quality: Tensor) -> Tensor:
        """The deviation over whole pictures at `quality` (N,), interpolated in the log: (N, 3, 1, 1)."""
        position = quality - 1
        low = position.floor().long().clamp(0, self.levels - 2)
        fraction = (position - low)[:, None]
        log = self.residual_deviation.float().log()
        return (log[low] * (1 - fraction) + log[low + 1] * fraction).exp()[..., None, None]

    def forward(self, z: Tensor, x_hat: Tensor, t: Tensor, quality: Tensor) -> Tensor:
        """The flow's velocity at z (N, 3, H, W), which is luma and chroma in units of σ_r.

        x_hat: RGB in [-0.5, 0.5], the same shape; t in [0, 1] and quality in [1, levels], both (N,).
        """
        output = self.unet(z, x_hat * INPUT_SCALE, t, (quality - 1) / (self.levels - 1))
        return flow.precondition(output.float(), z, t, self.kappa)


@dataclass(frozen=True)
class FlowSettings:
    """How the flow is sampled. kappa: deviation of the start's noise in units of σ_r. sampler: euler or heun."""

    steps: int = 4
    sampler: str = "euler"
    kappa: float = 1.0
    precision: str = "float32"


SAMPLERS: dict[str, Callable[[flow.Velocity, Tensor, Tensor], Tensor]] = {
    "euler": flow.sample_euler,
    "heun": flow.sample_heun,
}


class FlowDecoder:
    """Samples the rectified flow from x̂. Same x̂, quality, seed and settings: the same picture, on any thread count."""

    def __init__(self, network: ScoreNetwork, settings: FlowSettings, device: str | torch.device) -> None:
        """network: on `device`, in evaluation mode."""
        self.device = torch.device(device)
        self.network = network
        self.settings = settings

    @torch.inference_mode()
    @on_one_thread()
    def sample(self, x_hat: Tensor, quality_steps: int, seed: int) -> Tensor:
        """x̂ (1, 3, H, W) in [-0.5, 0.5] -> a picture of the same shape, clamped to that range."""
        height, width = x_hat.shape[-2:]
        stride = self.network.unet.stride
        padding = (0, -width % stride, 0, -height % stride)
        x_hat = F.pad(x_hat.to(self.device), padding, mode="replicate")
        quality = torch.tensor([1 + quality_steps / QUALITY_STEPS], device=self.device)
        noise = torch.from_numpy(gaussian_noise(seed, 0, *x_hat.shape[-2:]))[None].to(self.device)

        def velocity(z: Tensor, t: Tensor) -> Tensor:
            if self.settings.precision == "float32":
                return self.network(z, x_hat, t, quality)
            with torch.autocast(self.device.type, torch.bfloat16):
                return self.network(z, x_hat, t, quality)

        sample = SAMPLERS[self.settings.sampler]
        r = sample(velocity, self.settings.kappa * noise, flow.time_steps(self.settings.steps))
        x = x_hat + from_luma_chroma(self.network.deviation(x_hat, quality) * r)
        return x[..., :height, :width].clamp(-0.5, 0.5)


def load_score_network(path: Path, kind: str) -> tuple[ScoreNetwork, dict[str, Any], str]:
    """The network in `path`, its configuration ("unet", "levels", "kappa", …) and its identity."""
    tensors, configuration, identity = read_weights(path, kind)
    unet = UNetConfig(**from_json(configuration["unet"]))
    network = ScoreNetwork(unet, int(configuration["levels"]), float(configuration["kappa"]))
    fill(network, tensors, path)
    return network.eval().requires_grad_(False), configuration, identity


def picture_to_tensor(image: "np.typing.NDArray[np.uint8]") -> Tensor:
    """uint8 (H, W, 3) -> float32 (1, 3, H, W) in [-0.5, 0.5]."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].float() / 255 - 0.5


def tensor_to_picture(x: Tensor) -> "np.typing.NDArray[np.uint8]":
    """(1, 3, H, W) in [-0.5, 0.5] -> uint8 (H, W, 3), rounded."""
    values = ((x[0].float() + 0.5) * 255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(values.permute(1, 2, 0).cpu().numpy())
