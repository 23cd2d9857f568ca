"""The decoder `energy`: a diffusion whose every evaluation is a sample, so that few of them are enough.

A diffusion that is trained with squared error says E[r | z_t], and only many steps make a sample of it. Here the
network has noise ξ beside z_t and is trained with the energy score at all levels of noise, so what it says is itself
a sample of r given z_t (De Bortoli et al., "Distributional Diffusion Models with Scoring Rules", 2025,
arXiv 2502.02483, algorithms 1 and 2). Noise is put back to a lower level, and the next evaluation samples anew what
that noise leaves open:

    z_1 ~ N(0, 1)
    for t, s in successive times, 1 = t_0 > … > t_K = 0:
        r̂ = network(z_t, ξ, x̂, t),  ξ ~ N(0, 1)        a sample of r given z_t
        z_s ~ q(z_s | z_t, r̂)                           as if r̂ were r: then z_s is as it should be

With one step it is the decoder `one-step`. Residual, schedule and z_t are those of `diffusion`, and the U-Net says v
as it does there: r̂ = α_t·z_t − σ_t·v.

The network is told two numbers besides the quality: the time, and the spread of the score, from what is nearest to
the original (0) to a full sample (1); see `training.energy`. The spread is the setting `realism`. A sample of spread
λ has a share g = λ/√(2 − λ²) of the deviation that a full sample has, if r is Gaussian, and so the noise that is put
back is in that proportion too: σ_s/α_s = g·tan(πs/2). For 1 it is the diffusion's, and for 0 there is none: r̂ stays.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from benchmark.hfd.decoders.decoder import Decoder
from benchmark.hfd.decoders.diffusion import alpha_sigma, angle, time_steps
from benchmark.hfd.decoders.one_step import SAMPLES, OneStepRecipe, OneStepSettings, OneStepTask
from benchmark.hfd.sampling import Noise, Predict, Sampler, Steps
from benchmark.hfd.score import ScoreNetwork, to_luma_chroma
from benchmark.hfd.training.conversion import begin_energy
from benchmark.hfd.training.decoder import gaussian_nll, stratified
from benchmark.hfd.unet import UNetConfig

Draw = Callable[[Tensor, Tensor, float], Tensor]
"""(z_t, ξ, both (N, 3, H, W), t as an `angle`) -> a sample of r given z_t, (N, 3, H, W)."""


def renoise(z: Tensor, r_hat: Tensor, t: float, s: float, shift: float, fresh: float, noise: Tensor) -> Tensor:
    """z_s from z_t and a sample r̂ of r given z_t, for 0 < s < t.

    Where r̂ has its distribution, ε̂ = (z_t − α_t·r̂)/σ_t is standard normal and independent of it. So any part of it
    may be kept, and z_s has its distribution too: α_s·r̂ + √(σ_s² − η²)·ε̂ + η·noise. fresh: η over the deviation of
    q(z_s | z_t, r); 1 is that posterior, 0 keeps all of ε̂ (Song, Meng, Ermon, "DDIM", 2021, equations 12 and 16).
    """
    (alpha_t, sigma_t), (alpha_s, sigma_s) = alpha_sigma(t, shift), alpha_sigma(s, shift)
    variance_ts = sigma_t**2 - (alpha_t / alpha_s * sigma_s) ** 2  # of z_t given z_s
    eta = fresh * math.sqrt(variance_ts) * sigma_s / sigma_t
    epsilon = torch.sub(z, r_hat, alpha=alpha_t).div_(sigma_t)
    mean = epsilon.mul_(math.sqrt(sigma_s**2 - eta**2)).add_(r_hat, alpha=alpha_s)
    return mean.add_(noise, alpha=eta)


def sample(draw: Draw, noise: Noise, times: Sequence[float], shift: float, fresh: float = 1.0) -> Tensor:
    """r from noise(0) along `times`: one evaluation a step, which takes noise(2k + 1), and noise(2k + 2) after it."""
    z = noise(0)
    for k, (t, s) in enumerate(pairwise(times)):
        r_hat = draw(z, noise(2 * k + 1), angle(t, shift))
        if s == 0:
            return r_hat
        z = renoise(z, r_hat, t, s, shift, fresh, noise(2 * k + 2))
    return z


def share_of_deviation(spread: float) -> float:
    """Of a full sample's deviation that one of this spread has, if r is Gaussian; see `training.energy`."""
    return spread / math.sqrt(2 - spread**2)


# The codec's side


class EnergyNetwork(ScoreNetwork):
    """A `ScoreNetwork` that takes z_t and ξ, and time and spread, and says a sample of r."""

    def __init__(self, config: UNetConfig, levels: int) -> None:
        super().__init__(config, levels, images=2, times=2)

    def interpret(self, output: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """r̂ = α_t·z_t − σ_t·output, (N, 3, H, W). z: z_t and ξ, (N, 6, H, W); t: time and spread, (N, 2)."""
        a = (math.pi / 2 * t[:, 0])[:, None, None, None]
        return a.cos() * z[:, :3] - a.sin() * output


@dataclass(frozen=True)
class EnergySettings:
    """How the decoder is sampled. realism: the spread, see above; noise: `fresh` of `renoise`."""

    steps: Steps = 4
    noise: Annotated[
        float, Field(ge=0, le=1, description="share of the noise between steps that is fresh: 1 as the posterior has")
    ] = 1.0
    shift: Annotated[
        float, Field(ge=0.01, le=10, description="of the schedule between steps; below 1 is less noise")
    ] = 1.0
    realism: Annotated[float, Field(ge=0, le=1, description="0 is nearest to the original, 1 a full sample")] = (
        OneStepSettings.realism
    )

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> "EnergySettings":
        """The defaults of a weights file."""
        return cls(int(configuration["steps"]), realism=float(configuration["realism"]))

    @classmethod
    def configuration(cls, training: Mapping[str, Any], steps: int) -> dict[str, Any]:
        """Steps, and realism as it is here."""
        return {"steps": steps, "realism": cls.realism}

    def idle(self) -> dict[str, str]:
        """Between the steps of one step there is nothing."""
        return dict.fromkeys(("noise", "shift"), "steps=1") if self.steps == 1 else {}

    def __call__(self, predict: Predict, noise: Noise) -> Tensor:
        """A sample of r; at realism 0 from one evaluation, since no noise would be put back."""

        def draw(z: Tensor, xi: Tensor, t: float) -> Tensor:
            told = torch.tensor([[t, self.realism]], device=z.device).expand(len(z), -1)
            both = torch.cat([z, xi], 1)
            del xi  # 12 bytes a pixel while the network works
            return predict(both, told)

        if self.realism == 0:
            return sample(draw, noise, time_steps(1), self.shift)
        shift = self.shift * share_of_deviation(self.realism)
        return sample(draw, noise, time_steps(self.steps), shift, self.noise)


# Its training


@dataclass(frozen=True)
class EnergyRecipe(OneStepRecipe):
    """How the decoder is trained: as `one-step`, at all times.

    starts: share of the crops at t = 1, where a single step begins; the others have t = u^early with u uniform. early:
    below 1 more of them have much noise, where most of the sample is still open.
    """

    starts: Annotated[float, Field(ge=0, le=1, description="share of the crops at pure noise")] = 0.25
    early: Annotated[float, Field(ge=0.01, description="of the times: below 1 more of them near pure noise")] = 0.8


class EnergyTask(OneStepTask):
    """`Task` of the decoder: energy scores of samples of r given z_t."""

    kind = "energy"
    check_steps: tuple[int, ...] = (1, 2, 4)
    scored_steps = 4
    recipe: EnergyRecipe

    def make_network(self, unet: UNetConfig, levels: int) -> ScoreNetwork:
        """The untrained network."""
        return EnergyNetwork(unet, levels)

    def sampler(self, steps: int) -> Sampler:
        """With the settings of a new weights file."""
        return EnergySettings(steps)

    def describe_kind(self) -> dict[str, Any]:
        """The distances, their weights, and the density of t."""
        return {**super().describe_kind(), "starts": self.recipe.starts, "early": self.recipe.early}

    def batch(self, generator: np.random.Generator) -> tuple[Tensor, ...]:
        """x, x̂, quality, and a place in [0, 1] for t of each crop, stratified over the batch."""
        return *super().batch(generator), stratified(generator, self.recipe.batch)

    def times(self, places: Tensor) -> Tensor:
        """t (N,) in (0, 1] of places (N,), uniform in [0, 1]."""
        later = 1 - self.recipe.starts
        return torch.where(places < later, (places / max(later, 1e-6)).clamp(1e-3, 1) ** self.recipe.early, 1.0)

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Energy scores of SAMPLES samples of each crop given its z_t, and the loss of the local deviation.

        The samples of a crop have one z_t, and a ξ each. At t = 1, where z_t says nothing about r, each has a z_1 of
        its own: there z_1 may be what tells one sample from another, as it is in the decoder `one-step`.
        """
        x, x_hat, quality, places = batch
        deviation = self.network.deviation(x_hat, quality)
        residual = to_luma_chroma(x - x_hat)
        nll = gaussian_nll(residual, deviation).mean()
        deviation = deviation.detach()
        t = self.times(places)
        spread = torch.rand_like(quality) ** self.recipe.spread_exponent
        xi, noise = torch.randn(2, SAMPLES, *x.shape, device=x.device)
        noise = torch.where((t < 1)[:, None, None, None], noise[0], noise)
        a = (math.pi / 2 * t)[:, None, None, None]
        z = a.cos() * (residual / deviation) + a.sin() * noise
        inputs = torch.cat([z, xi], 2).flatten(0, 1)
        with self.autocast(x.device):
            told = [torch.cat([part] * SAMPLES) for part in (x_hat, torch.stack([t, spread], 1), quality)]
            r: Tensor = self.network(inputs, *told)
        scores, figures = self.scores(x, x_hat, quality, spread, residual, deviation, list(r.chunk(SAMPLES)))
        return scores.mean() + nll, figures | {"nll": float(nll.detach())}


def network_of(unet: UNetConfig, levels: int, configuration: Mapping[str, Any]) -> EnergyNetwork:
    """The network, of whatever training."""
    return EnergyNetwork(unet, levels)


DECODER = Decoder(EnergySettings, network_of, EnergyTask, EnergyRecipe, begin_energy, trained_on=("lpips",))
