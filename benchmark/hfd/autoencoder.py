"""The first stage: one variable-rate autoencoder for all qualities, trained for rate and MSE.

Its bits are all that HFD, MSE-only and the small HiFiC send. Qualities run from 1 to `levels`, evenly spaced in log λ,
and are continuous between: gains, scales and biases are interpolated (Cui et al., "Asymmetric Gained Deep Image
Compression with Continuous Rate Adaptation", 2021).
"""

import math
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.hfd.container import QUALITY_STEPS, quality_of
from benchmark.hfd.deterministic import repeatable
from benchmark.hfd.entropy import Coded, EntropyModel, ExactEntropyModel
from benchmark.hfd.exact import LATENT_ONE
from benchmark.hfd.memory import require_memory
from benchmark.hfd.transforms import STRIDE, AnalysisTransform, SynthesisTransform, dct_kernels, in_tiles, pad_to_stride
from benchmark.reading import check_reals, check_sizes


@dataclass(frozen=True)
class AutoencoderConfig:
    """Size and rates of a first stage.

    lambda_low, lambda_high: weight of the squared error (on 0..255) against bits per pixel, at the first and the last
    level. slice_ends: radial frequency (0..1) where each channel slice ends.
    """

    luma: int = 256
    chroma: int = 64
    widths: tuple[int, int, int] = (64, 96, 192)
    hyper_channels: int = 48
    features: int = 64
    hidden: int = 96
    levels: int = 7
    lambda_low: float = 0.0005
    lambda_high: float = 0.05
    slice_ends: tuple[float, ...] = (0.06, 0.12, 0.20, 0.35, 0.55, 1.01)

    def __post_init__(self) -> None:
        check_sizes(luma=self.luma, chroma=self.chroma, widths=self.widths, hyper_channels=self.hyper_channels)
        check_sizes(features=self.features, hidden=self.hidden, levels=self.levels)
        check_reals(lambda_low=self.lambda_low, lambda_high=self.lambda_high, slice_ends=self.slice_ends)
        if len(self.widths) != 3:
            raise ValueError(f"widths: {self.widths} are not three")

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    def with_levels_below(self, count: int) -> "AutoencoderConfig":
        """The same with `count` levels more below the lowest, as far apart in log λ as the others."""
        ratio = (self.lambda_low / self.lambda_high) ** (count / (self.levels - 1))
        return replace(self, levels=self.levels + count, lambda_low=self.lambda_low * ratio)


SMALL = AutoencoderConfig()


class Autoencoder(nn.Module):
    """Analysis transform, gains, entropy model, synthesis transform."""

    def __init__(self, config: AutoencoderConfig = SMALL) -> None:
        super().__init__()
        self.config = config
        analysis, synthesis, frequency = dct_kernels(config.luma, config.chroma)
        ends = [int((frequency < end).sum()) for end in config.slice_ends]
        if any(end <= first for first, end in pairwise([0, *ends])):
            raise ValueError(f"slice_ends: with {config.slice_ends} a slice of {len(frequency)} channels is empty")
        self.analysis = AnalysisTransform(analysis, config.widths, config.levels)
        self.synthesis = SynthesisTransform(synthesis, config.widths, config.levels)
        self.entropy = EntropyModel(
            list(zip([0, *ends[:-1]], ends, strict=True)),
            config.hyper_channels,
            config.features,
            config.hidden,
            config.levels,
        )
        # The step that is best for a Laplacian falls with the root of λ; 9 grey levels at λ = 0.08.
        lambdas = torch.tensor([self.lam(q) for q in range(1, config.levels + 1)])
        steps = 9 * (0.08 / lambdas).sqrt()
        self.log_gain = nn.Parameter((255 / steps).log()[:, None].repeat(1, len(frequency)))

    def lam(self, quality: float) -> float:
        """λ at `quality`: geometric from lambda_low to lambda_high."""
        low, high = self.config.lambda_low, self.config.lambda_high
        return low * math.exp((quality - 1) / (self.config.levels - 1) * math.log(high / low))

    def interpolate(self, table: Tensor, quality: Tensor) -> Tensor:
        """Rows of `table` (levels, C) at `quality` (N,), linear between levels: (N, C, 1, 1)."""
        position = quality - 1
        low = position.floor().long().clamp(0, self.config.levels - 2)
        fraction = (position - low)[:, None]
        return (table[low] * (1 - fraction) + table[low + 1] * fraction)[..., None, None]

    @torch.no_grad()
    def initialise_scales(self, x: Tensor) -> None:
        """Before the first step: scales from the deviation of each DCT coefficient of the images `x`.

        x (N, 3, H, W) in [-0.5, 0.5]. A learned scale moves by one learning rate a step: from 1 to 0.1 takes
        thousands of steps.
        """
        spread = self.analysis.dct(x).transpose(0, 1).flatten(1).abs().mean(1) * 1.2 + 1e-4
        scale = (self.log_gain.exp() * spread).clamp(0.11, 100)
        self.entropy.log2_scale.copy_(scale.log2())

    def forward(self, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """For training. x (N, 3, H, W) in [-0.5, 0.5], sides multiples of 16; quality (N,).

        Returns x̂ (N, 3, H, W), not clamped, and estimated bits per pixel (N,).
        """
        y = self.analysis(x, self.interpolate(self.analysis.level_table, quality))
        gain = self.interpolate(self.log_gain, quality).exp()
        y_hat, bits = self.entropy(y * gain, self.interpolate(self.entropy.log2_scale, quality))
        x_hat = self.synthesis(y_hat / gain, self.interpolate(self.synthesis.level_table, quality))
        return x_hat, bits / (x.shape[-2] * x.shape[-1])

    def forward_fixed_transform(self, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """`forward` with the DCT alone as transform: the first minutes train the entropy model only."""
        with torch.no_grad():
            y = self.analysis.dct(x)
        gain = self.interpolate(self.log_gain, quality).exp()
        y_hat, bits = self.entropy(y * gain, self.interpolate(self.entropy.log2_scale, quality))
        return self.synthesis.idct(y_hat / gain), bits / (x.shape[-2] * x.shape[-1])


class FirstStage:
    """A trained autoencoder, ready to code: image to payload, payload to latents, latents to x̂."""

    def __init__(self, model: Autoencoder, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.model = model.eval().requires_grad_(False).to(self.device)
        self.coder: ExactEntropyModel = model.entropy.exact()

    @property
    def levels(self) -> int:
        """The highest quality."""
        return self.model.config.levels

    def _quality(self, steps: int) -> Tensor:
        return torch.tensor([quality_of(steps)], device=self.device)

    @torch.inference_mode()
    @repeatable()
    def encode(self, x: Tensor, steps: int) -> bytes:
        """The payload of image x (1, 3, H, W) in [-0.5, 0.5] at a quality in steps of 1/32 level.

        Raises BenchmarkError if x takes more memory than there is.
        """
        return self.encode_with_bits(x, steps)[0]

    @torch.inference_mode()
    @repeatable()
    def encode_with_bits(self, x: Tensor, steps: int) -> tuple[bytes, float]:
        """`encode`, and the bits that the entropy model says the payload costs: −log2 of its symbols' probabilities."""
        require_memory(*x.shape[-2:])
        coded = self._encode(x, steps)
        return coded.stream, coded.bits

    @torch.inference_mode()
    @repeatable()
    def reconstruct(self, x: Tensor, steps: int) -> Tensor:
        """x̂ of x (1, 3, H, W) in [-0.5, 0.5], as a decoder has it after `encode`."""
        height, width = x.shape[-2:]
        y_hat = self._encode(x, steps).y_hat
        return self.synthesise(self._to_picture_units(y_hat, steps), height, width, steps)

    def _encode(self, x: Tensor, steps: int) -> Coded:
        y, z = self.analyse(x, steps)
        return self.coder.encode(y, z, self.scales(steps))

    def error_weight(self, steps: int) -> Tensor:
        """What a squared error of one quantisation step costs in the loss, in bits: (1, M, 1, 1), float64.

        The loss is bits + λ·255²·sum of squares / 3 channels; a unit of y is a unit of the image (`dct_kernels`).
        """
        return self.model.lam(quality_of(steps)) * 255**2 / 3 / self._gain(steps).double().cpu() ** 2

    def analyse(self, x: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """y in quantisation steps, float (1, M, h, w), and ẑ, whole numbers (1, C, h', w'), of x; on the CPU."""
        model, quality = self.model, self._quality(steps)
        x = pad_to_stride(x.to(self.device))
        level = model.interpolate(model.analysis.level_table, quality)
        y = in_tiles(lambda part: model.analysis(part, level), x, STRIDE, 1, model.analysis.dct.out_channels)
        y *= self._gain(steps)
        return y.cpu(), torch.round(model.entropy.hyper_latents(y)).cpu()

    def _gain(self, steps: int) -> Tensor:
        """Quantisation steps per unit of the image, (1, M, 1, 1)."""
        return self.model.interpolate(self.model.log_gain, self._quality(steps)).exp()

    def _to_picture_units(self, y_hat: Tensor, steps: int) -> Tensor:
        return (y_hat / LATENT_ONE).to(self.device).div_(self._gain(steps))

    def scales(self, steps: int) -> Tensor:
        """The table of log2 scales at this quality; see `ExactEntropyModel.scale_of_level`."""
        return self.coder.scale_of_level(*divmod(steps, QUALITY_STEPS), QUALITY_STEPS)

    @torch.inference_mode()
    @repeatable()
    def decode_latents(self, payload: bytes, height: int, width: int, steps: int) -> Tensor:
        """ŷ in units of the image, (1, M, ⌈H/16⌉, ⌈W/16⌉), of a payload that `encode` wrote.

        Raises BenchmarkError if the image takes more memory than there is, CorruptStream on a payload that no encoder
        wrote; both before anything of the image's size is allocated.
        """
        require_memory(height, width)
        rows, columns = -(-height // STRIDE), -(-width // STRIDE)
        return self._to_picture_units(self.coder.decode(payload, rows, columns, self.scales(steps)), steps)

    @torch.inference_mode()
    @repeatable()
    def synthesise(self, y_hat: Tensor, height: int, width: int, steps: int) -> Tensor:
        """x̂ of ŷ, (1, 3, H, W) in [-0.5, 0.5], clamped."""
        level = self.model.interpolate(self.model.synthesis.level_table, self._quality(steps))
        x_hat = in_tiles(lambda part: self.model.synthesis(part, level), y_hat, 1, STRIDE, 3)
        return x_hat.clamp_(-0.5, 0.5)[..., :height, :width]
