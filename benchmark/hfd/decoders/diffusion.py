"""The decoder `diffusion`: from noise to the image's residual.

v-prediction (Salimans & Ho, "Progressive Distillation", 2022) on a shifted cosine schedule (Hoogeboom, Heek, Salimans,
"simple diffusion", 2023). Everything is written for the residual r = (x − x̂)/σ_r, where σ_r is the deviation of the
first stage's error at that quality and place: diffusing it with shift s = 1 is the process on the image with a
schedule shifted to s ≈ σ_r, far towards less noise, since x̂ already holds the coarse content.

    z_t = α_t·r + σ_t·ε,   σ_t/α_t = s·tan(πt/2),   α_t² + σ_t² = 1,
    target v = α_t·ε − σ_t·r,   t from 1 (noise) to 0.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from benchmark.hfd.decoders.decoder import Decoder, plain_network
from benchmark.hfd.sampling import Noise, Predict, Realism, Recording, Sampler, Steps
from benchmark.hfd.score import ScoreNetwork
from benchmark.hfd.training.conversion import begin_diffusion
from benchmark.hfd.training.decoder import DecoderRecipe, PathTask
from benchmark.hfd.unet import UNetConfig

Prediction = Callable[[Tensor, Tensor], Tensor]
"""(z_t (N, 3, H, W), angle (N,)) -> v (N, 3, H, W); see `angle`."""


def alpha_sigma(t: float, shift: float) -> tuple[float, float]:
    """α_t and σ_t for t in [0, 1]; logSNR(t) = −2·(ln tan(πt/2) + ln s)."""
    ratio = shift * math.tan(math.pi * t / 2)
    alpha = 1 / math.sqrt(1 + ratio * ratio)
    return alpha, ratio * alpha


def angle(t: float, shift: float) -> float:
    """2/π·atan(σ_t/α_t) in [0, 1]: how a network is told the level of noise. It is t for shift 1.

    So a network can be sampled on another schedule than it was trained on.
    """
    return 2 / math.pi * math.atan(shift * math.tan(math.pi * t / 2))


def diffuse(r: Tensor, noise: Tensor, t: Tensor, shift: float) -> tuple[Tensor, Tensor, Tensor]:
    """z_t, the target v and SNR(t) (N,) of r and noise (N, 3, H, W) at t (N,), strictly between 0 and 1."""
    ratio = shift * torch.tan(math.pi * t / 2)
    alpha = (1 + ratio.square()).rsqrt()
    a, s = alpha[:, None, None, None], (ratio * alpha)[:, None, None, None]
    return a * r + s * noise, a * noise - s * r, ratio.square().reciprocal()


def loss(
    predict: Prediction, r: Tensor, noise: Tensor, t: Tensor, shift: float, weight: Tensor, largest_snr: float = 5.0
) -> Tensor:
    """Squared error of v, (N,), with min-SNR weighting (Hang et al., 2023): as if r were predicted, weight min(SNR, 5).

    r: residual, noise: standard normal, both (N, 3, H, W); t (N,); weight: of each error, anything that broadcasts.
    An error in v of size e is one in r of size σ_t·e, so min(SNR, 5) on r is min(SNR, 5)/(SNR + 1) on v.
    """
    z, v, snr = diffuse(r, noise, t, shift)
    snr_weight = snr.clamp(max=largest_snr) / (snr + 1)
    told = 2 / math.pi * torch.atan(snr.rsqrt())
    return snr_weight * (weight * (predict(z, told) - v).square()).mean((1, 2, 3))


def time_steps(steps: int) -> list[float]:
    """1 = t_0 > … > t_steps = 0, evenly spaced."""
    return [1 - k / steps for k in range(steps)] + [0.0]


def predict_r(predict: Prediction, z: Tensor, t: float, shift: float) -> tuple[Tensor, Tensor]:
    """E[r | z_t] and E[ε | z_t], both (N, 3, H, W)."""
    alpha, sigma = alpha_sigma(t, shift)
    v = predict(z, torch.full((len(z),), angle(t, shift), device=z.device))
    return (alpha * z).sub_(v, alpha=sigma), (sigma * z).add_(v, alpha=alpha)


def ancestral_step(
    z: Tensor, r_hat: Tensor, t: float, s: float, shift: float, interpolation: float, noise: Tensor
) -> Tensor:
    """z_s from z_t and the estimate of r, for 0 < s < t: q(z_s | z_t, r_hat) with a deviation between two bounds.

    interpolation: 0 is the lower bound σ_{t|s}·σ_s/σ_t (right for a known r), 1 the upper one σ_{t|s} (right for r of
    unit variance), between them geometric (Nichol & Dhariwal, "Improved DDPM", 2021, equation 15). noise: standard
    normal.
    """
    (alpha_t, sigma_t), (alpha_s, sigma_s) = alpha_sigma(t, shift), alpha_sigma(s, shift)
    alpha_ts = alpha_t / alpha_s
    variance_ts = sigma_t**2 - alpha_ts**2 * sigma_s**2  # of z_t given z_s
    mean = (alpha_ts * sigma_s**2 / sigma_t**2 * z).add_(r_hat, alpha=alpha_s * variance_ts / sigma_t**2)
    lower, upper = math.sqrt(variance_ts) * sigma_s / sigma_t, math.sqrt(variance_ts)
    return mean.add_(noise, alpha=upper**interpolation * lower ** (1 - interpolation))


def sample_ancestral(
    predict: Prediction, noise: Noise, times: Sequence[float], shift: float, interpolation: float = 0.0
) -> Tensor:
    """r from noise(0) along `times`: one evaluation a step, fresh noise between two of them. One step is E[r | x̂]."""
    z = noise(0)
    for k, (t, s) in enumerate(pairwise(times), 1):
        r_hat = predict_r(predict, z, t, shift)[0]
        if s == 0:
            return r_hat
        z = ancestral_step(z, r_hat, t, s, shift, interpolation, noise(k))
    return z


def sample_ddim(predict: Prediction, noise: Noise, times: Sequence[float], shift: float) -> Tensor:
    """r from noise(0) along `times`, deterministic (Song, Meng, Ermon, "DDIM", 2021): one evaluation a step."""
    z = noise(0)
    for t, s in pairwise(times):
        r_hat, epsilon = predict_r(predict, z, t, shift)
        alpha_s, sigma_s = alpha_sigma(s, shift)
        z = (alpha_s * r_hat).add_(epsilon, alpha=sigma_s)
    return z


# The codec's side


@dataclass(frozen=True)
class DiffusionSettings:
    """How the diffusion is sampled.

    noise: interpolation between the bounds of the ancestral deviation; shift: of the schedule; realism: see `__call__`.
    The sampler "noise" is a baseline that asks the network nothing: x̂ plus noise of the deviation `noise`·σ_r. What it
    gains over x̂ is no merit of a score.
    """

    steps: Steps = 4
    sampler: Annotated[
        Literal["ancestral", "ddim", "noise"], Field(description="noise is a baseline without network: x̂ plus noise")
    ] = "ancestral"
    noise: Annotated[
        float,
        Field(
            ge=0, le=1, description="where the ancestral deviation lies between its bounds; the noise baseline's own"
        ),
    ] = 0.4
    shift: Annotated[float, Field(ge=0.01, le=10, description="of the schedule; below 1 is less noise")] = 1.0
    realism: Realism = 0.7

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> "DiffusionSettings":
        """The defaults of a weights file."""
        return cls(
            int(configuration["steps"]),
            noise=float(configuration["noise"]),
            shift=float(configuration["shift"]),
            realism=float(configuration.get("realism", 1)),
        )

    @classmethod
    def configuration(cls, training: Mapping[str, Any], steps: int) -> dict[str, Any]:
        """Steps, and the shift as it was trained; noise and realism as they are here."""
        return {"steps": steps, "noise": cls.noise, "realism": cls.realism, "shift": training["shift"]}

    def idle(self) -> dict[str, str]:
        """DDIM injects no noise; the noise baseline does nothing else."""
        idle = {"ddim": ("noise",), "noise": ("steps", "shift", "realism")}.get(self.sampler, ())
        return dict.fromkeys(idle, f"sampler={self.sampler}")

    def __call__(self, predict: Predict, noise: Noise) -> Tensor:
        """As `FlowSettings`: a sample of r, E[r | x̂], or the blend of the two."""
        if self.sampler == "noise":
            return self.noise * noise(0)
        if self.realism == 1:
            return self._sample(predict, noise, self.steps)
        if self.realism == 0:
            return self._sample(predict, noise, 1)
        recording = Recording(predict)
        r = self._sample(recording, noise, self.steps)
        assert recording.first is not None
        return torch.lerp(-recording.first, r, self.realism)  # at t = 1 v is −r

    def _sample(self, predict: Predict, noise: Noise, steps: int) -> Tensor:
        times = time_steps(steps)
        if self.sampler == "ddim":
            return sample_ddim(predict, noise, times, self.shift)
        return sample_ancestral(predict, noise, times, self.shift, self.noise)


# Its training


@dataclass(frozen=True)
class DiffusionRecipe(DecoderRecipe):
    """How the diffusion is trained; t is uniform on the schedule."""

    shift: Annotated[float, Field(ge=0.01, description="of the schedule; below 1 is less noise")] = 1.0


class DiffusionTask(PathTask[DiffusionRecipe]):
    """`Task` of the diffusion decoder: v-prediction."""

    kind = "diffusion"

    def make_network(self, unet: UNetConfig, levels: int) -> ScoreNetwork:
        """The untrained network."""
        return ScoreNetwork(unet, levels)

    def objective(self, predict: Predict, r: Tensor, places: Tensor, axes: Tensor) -> Tensor:
        """Squared error of v, min-SNR weighting."""
        t = 1e-3 + (1 - 2e-3) * places
        return loss(predict, r, torch.randn_like(r), t, self.recipe.shift, axes)

    def end_point(self, output: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """α_t·z_t − σ_t·v; t as an `angle`."""
        a = (math.pi / 2 * t)[:, None, None, None]
        return a.cos() * z - a.sin() * output

    def sampler(self, steps: int) -> Sampler:
        """Ancestral."""
        return DiffusionSettings(steps, shift=self.recipe.shift, realism=1.0)

    def describe_kind(self) -> dict[str, Any]:
        """Shift of the schedule."""
        return {"shift": self.recipe.shift}


DECODER = Decoder(DiffusionSettings, plain_network, DiffusionTask, DiffusionRecipe, begin_diffusion)
