"""A score-based decoder at work: x̂ and a seed to a picture."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.hfd import diffusion, flow
from benchmark.hfd.autoencoder import QUALITY_STEPS
from benchmark.hfd.deterministic import on_one_thread
from benchmark.hfd.noise import gaussian_noise
from benchmark.hfd.score import ScoreNetwork, from_luma_chroma
from benchmark.hfd.transforms import STRIDE, TILE, in_tiles, pad_to_stride

Predict = Callable[[Tensor, Tensor], Tensor]
"""What the network says at z (N, 3, H, W) and t (N,): the flow's velocity, the diffusion's v."""

Noise = Callable[[int], Tensor]
"""The standard normal noise (N, 3, H, W) of a step; 0 is the start's."""

Sampler = Callable[[Predict, Noise], Tensor]
"""A sample of the residual r (N, 3, H, W), in luma and chroma and in units of its deviation."""


@dataclass(frozen=True)
class FlowSettings:
    """How the flow is sampled.

    sampler: euler or heun; noise: κ, deviation of the start's noise in units of σ_r; realism: where the path is left,
    see `flow.sample_euler`.
    """

    steps: int = 4
    sampler: str = "euler"
    noise: float = 1.0
    realism: float = 1.0

    def __call__(self, predict: Predict, noise: Noise) -> Tensor:
        """One sample of r."""
        sample = {"euler": flow.sample_euler, "heun": flow.sample_heun}[self.sampler]
        return sample(predict, self.noise * noise(0), flow.time_steps(self.steps, self.realism))


@dataclass(frozen=True)
class DiffusionSettings:
    """How the diffusion is sampled.

    sampler: ancestral or ddim; noise: interpolation between the bounds of the ancestral deviation; shift: of the
    schedule; realism: where the path is left, see `diffusion.time_steps`.
    """

    steps: int = 16
    sampler: str = "ancestral"
    noise: float = 0.0
    shift: float = 1.0
    realism: float = 1.0

    def __call__(self, predict: Predict, noise: Noise) -> Tensor:
        """One sample of r."""
        times = diffusion.time_steps(self.steps, self.realism)
        if self.sampler == "ddim":
            return diffusion.sample_ddim(predict, noise, times, self.shift)
        return diffusion.sample_ancestral(predict, noise, times, self.shift, self.noise)


class ScoreDecoder:
    """Samples a picture from x̂. Same x̂, quality, seed and sampler: the same picture, on any number of threads.

    Large pictures go through the network in tiles, in each step all of them. A tile sees as far beyond its border as
    the network looks, so each value is that of the whole picture up to float rounding, and there can be no seam. (The
    paper samples each patch to its end and lets later patches continue the finished overlaps.)
    """

    def __init__(
        self,
        network: ScoreNetwork,
        sampler: Sampler,
        precision: str = "float32",
        device: str | torch.device = "cpu",
        tile: int = TILE,
    ) -> None:
        """network: on `device`, in evaluation mode. precision: float32 or bfloat16, of the U-Net's convolutions.

        tile: its largest side, in units of `unit` pixels.
        """
        self.network = network
        self.sampler = sampler
        self.precision = precision
        self.device = torch.device(device)
        self.tile = tile
        self.unit = max(STRIDE, network.unet.stride)
        self.overlap = -(-network.unet.reach // self.unit)

    @torch.inference_mode()
    @on_one_thread()
    def sample(self, x_hat: Tensor, quality_steps: int, seed: int) -> Tensor:
        """x̂ (1, 3, H, W) in [-0.5, 0.5] -> a picture of the same shape, clamped to that range."""
        height, width = x_hat.shape[-2:]
        x_hat = pad_to_stride(x_hat.to(self.device), self.unit)
        quality = torch.tensor([1 + quality_steps / QUALITY_STEPS], device=self.device)

        def predict(z: Tensor, t: Tensor) -> Tensor:
            def of_tile(both: Tensor) -> Tensor:
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
                    out: Tensor = self.network(both[:, :3], both[:, 3:], t, quality)
                return out

            both = torch.cat([z, x_hat], 1)
            return in_tiles(of_tile, both, self.unit, self.unit, 3, self.tile, self.overlap)

        def noise(step: int) -> Tensor:
            return _noise(seed, step, *x_hat.shape[-2:]).to(self.device)

        r = self.sampler(predict, noise)
        x = x_hat + from_luma_chroma(self.network.deviation(x_hat, quality) * r)
        return x[..., :height, :width].clamp(-0.5, 0.5)


NOISE_ROWS = 256
"""Rows whose noise is made in one go: the generator's integers take many times the room of its floats."""


def _noise(seed: int, step: int, height: int, width: int) -> Tensor:
    """`gaussian_noise` of a whole picture, float32 (1, 3, height, width)."""
    noise = torch.empty(1, 3, height, width)
    for top in range(0, height, NOISE_ROWS):
        rows = min(NOISE_ROWS, height - top)
        noise[0, :, top : top + rows] = torch.from_numpy(gaussian_noise(seed, step, rows, width, top))
    return noise
