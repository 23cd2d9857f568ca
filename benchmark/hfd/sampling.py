"""A score-based decoder at work: x̂ and a seed to an image."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol

import torch
from pydantic import Field
from torch import Tensor

from benchmark.hfd.container import quality_of
from benchmark.hfd.deterministic import repeatable
from benchmark.hfd.inference import StepNetwork
from benchmark.hfd.memory import require_memory, sampling_memory
from benchmark.hfd.noise import gaussian_noise
from benchmark.hfd.score import INPUT_SCALE, LocalDeviation, ScoreNetwork, from_luma_chroma
from benchmark.hfd.transforms import STRIDE, TILE, Part, cut_out, in_parts, pad_to_stride, tiles

Predict = Callable[[Tensor, Tensor], Tensor]
"""What the network says at z (N, 3, H, W) and t (N,): the flow's velocity, the diffusion's v. That of `energy` takes
(N, 6, H, W) and (N, 2), and says a sample of r."""

Noise = Callable[[int], Tensor]
"""The standard normal noise (N, 3, H, W) of a step; 0 is the start's."""

Sampler = Callable[[Predict, Noise], Tensor]
"""A sample of the residual r (N, 3, H, W), in luma and chroma and in units of its deviation."""


class SamplerSettings(Protocol):
    """A `Sampler` whose annotated fields are settings of the codec."""

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> "SamplerSettings":
        """The defaults of a weights file with this configuration."""
        ...

    @classmethod
    def configuration(cls, training: Mapping[str, Any], steps: int) -> dict[str, Any]:
        """What a weights file must say for `of`, of a training with this description. steps: the default number."""
        ...

    def idle(self) -> Mapping[str, str]:
        """Fields that do nothing beside the values of the others -> the setting that makes them idle."""
        ...

    def __call__(self, predict: Predict, noise: Noise) -> Tensor:
        """See `Sampler`."""
        ...


class Recording:
    """A network that keeps what it said first."""

    def __init__(self, predict: Predict) -> None:
        self.predict = predict
        self.first: Tensor | None = None

    def __call__(self, z: Tensor, t: Tensor) -> Tensor:
        out = self.predict(z, t)
        if self.first is None:
            self.first = out
        return out


Realism = Annotated[float, Field(ge=0, le=1, description="0 is the mean of what the bits leave open, 1 a full sample")]
Steps = Annotated[int, Field(ge=1, le=1000, description="evaluations of the network; Heun's method takes two each")]


class ScoreDecoder:
    """Samples an image from x̂. Same x̂, quality, seed and sampler: the same image, on any number of threads.

    Large images go through the network in tiles, in each step all of them. A tile sees as far beyond its border as
    the network looks, so each value is that of the whole image up to float rounding, and there can be no seam. The
    price are the operations in the overlap: 144 pixels on either side with `small`, 17 % more at 6000×4000, in six
    tiles; with the one-step decoder's U-Net 352 pixels, 45 %. (The paper samples each patch to its end,
    group by group, and lets later patches continue the finished overlaps: an overlap of an eighth of its 256 pixels
    would take 31 % more, and values are not those of the whole.)
    """

    def __init__(
        self,
        network: ScoreNetwork,
        sampler: Sampler,
        precision: str = "float32",
        device: str | torch.device = "cpu",
        tile: int = TILE,
    ) -> None:
        """network: on `device`, in evaluation mode.

        precision: float32 or bfloat16, of the U-Net's convolutions and of what they hand on.
        tile: its largest side, in units of `unit` pixels.
        """
        self.network = network
        self.sampler = sampler
        self.precision = precision
        self.device = torch.device(device)
        self.tile = tile
        self.unit = max(STRIDE, network.unet.stride)
        self.overlap = -(-network.unet.receptive_field // self.unit)

    @torch.inference_mode()
    @repeatable()
    def sample(self, x_hat: Tensor, quality_steps: int, seed: int) -> Tensor:
        """x̂ (1, 3, H, W) in [-0.5, 0.5] -> an image of the same shape, clamped to that range.

        Raises BenchmarkError if that takes more memory than there is.
        """
        height, width = x_hat.shape[-2:]
        require_memory(height, width, sampling_memory(self.network.unet.config.channels[0], self.overlap * self.unit))
        x_hat = pad_to_stride(x_hat.to(self.device), self.unit)
        quality = torch.tensor([quality_of(quality_steps)], device=self.device)

        def predict(z: Tensor, t: Tensor) -> Tensor:
            evaluate = self._at_step(t, quality)
            return self._in_tiles(evaluate, torch.empty_like(x_hat), (z, x_hat), self.overlap)

        def noise(step: int) -> Tensor:
            return torch.from_numpy(gaussian_noise(seed, step, *x_hat.shape[-2:]))[None].to(self.device)

        def add_residual(r: Tensor, x_hat: Tensor) -> Tensor:
            return x_hat + from_luma_chroma(self.network.deviation(x_hat, quality) * r)

        r = self.sampler(predict, noise)
        x = self._in_tiles(add_residual, r, (r, x_hat), -(-LocalDeviation.RECEPTIVE_FIELD // self.unit))
        return x[..., :height, :width].clamp_(-0.5, 0.5)

    def _at_step(self, t: Tensor, quality: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """The network at one step: what it says at z and x̂, both (1, 3, H, W)."""
        network = self.network
        if self.device.type == "cpu":
            unet = StepNetwork(network.unet, t, network.relative(quality), self.precision)
            return lambda z, x_hat: network.interpret(unet(z, x_hat * INPUT_SCALE), z, t)

        def evaluate(z: Tensor, x_hat: Tensor) -> Tensor:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
                out: Tensor = network(z, x_hat, t, quality)
            return out

        return evaluate

    def _in_tiles(
        self, function: Callable[[Tensor, Tensor], Tensor], out: Tensor, both: tuple[Tensor, Tensor], overlap: int
    ) -> Tensor:
        """`function` of both images (1, 3, H, W), written into `out`, which may be the first of them; returns it.

        overlap: how far beyond its own pixels a tile sees in the second image, and in the first where that is not
        `out`, in units.
        """
        rows, columns = (side // self.unit for side in out.shape[-2:])

        def of(seen: Part) -> Tensor:
            return function(*(cut_out(x, seen, self.unit) for x in both))

        parts = list(tiles(rows, columns, self.tile, overlap))
        return in_parts(of, lambda: out, parts, (rows, columns), overlap, self.unit)
