"""Training of the one-step decoder: the diffusion's network at pure noise, taught to sample there by the energy score.

A diffusion with squared error can say no more than E[r | z_t] at each step, so it needs many. Trained with a proper
scoring rule the same network gives a sample at its first evaluation: z is then what tells one sample from another.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmark.hfd.sampling import OneStepSettings, Sampler
from benchmark.hfd.score import ScoreNetwork, from_luma_chroma, to_luma_chroma
from benchmark.hfd.training.decoder import AXIS_WEIGHTS, DecoderTask, gaussian_surprise
from benchmark.hfd.training.energy import (
    PerceptualFeatures,
    band_distance,
    energy_score,
    patch_distance,
    perceptual_distance,
)
from benchmark.hfd.unet import UNetConfig
from benchmark.metrics.perceptual import load_network

SAMPLES = 2
"""Of each crop in a step: the least from which the score can be estimated."""
BAND_LEVELS, BAND_PATCH = 3, 2
"""Of the Haar bands, each of which is scored by itself: levels, and side of the patches that are scored as one."""


class OneStepTask(DecoderTask):
    """`Task` of the one-step decoder: energy scores of patches, of Haar bands and of the maps of LPIPS."""

    kind = "one-step"
    check_steps = (1,)
    judged_steps = 1
    smallest_crop = 32  # AlexNet, under LPIPS, takes none below 31
    perceptual: PerceptualFeatures | None = None

    def make_network(self, unet: UNetConfig, levels: int) -> ScoreNetwork:
        """The untrained network."""
        return ScoreNetwork(unet, levels)

    def sampler(self, steps: int) -> Sampler:
        """One evaluation."""
        return OneStepSettings()

    def describe_kind(self) -> dict[str, Any]:
        """The distances and their weights."""
        return {
            "samples": SAMPLES,
            "spread": list(self.recipe.spread),
            "patches": list(self.recipe.patches),
            "bands": self.recipe.bands,
            "perceptual": self.recipe.perceptual,
        }

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Energy scores of SAMPLES samples of each crop, and the loss of the local deviation."""
        x, x_hat, quality = batch
        recipe = self.recipe
        if self.perceptual is None:
            self.perceptual = PerceptualFeatures(load_network(str(x.device)))
        deviation = self.network.deviation(x_hat, quality)
        residual = to_luma_chroma(x - x_hat)
        surprise = gaussian_surprise(residual, deviation).mean()
        deviation = deviation.detach()
        with self.autocast(x.device):
            twice = [torch.cat([part] * SAMPLES) for part in (x_hat, quality)]
            z = torch.randn_like(twice[0])
            v: Tensor = self.network(z, twice[0], torch.ones_like(twice[1]), twice[1])
        r = list((-v).chunk(SAMPLES))
        score = partial(energy_score, spread=self.spread(quality))
        axes = torch.tensor(AXIS_WEIGHTS, device=x.device).sqrt()[:, None, None]
        truth, scaled = axes * residual / deviation, [axes * one for one in r]
        pixels = torch.stack(
            [score(scaled, truth, partial(patch_distance, side=side)) for side in recipe.patches]
        ).mean(0)
        bands = score(scaled, truth, partial(band_distance, levels=BAND_LEVELS, side=BAND_PATCH))
        pictures = torch.cat([x_hat + from_luma_chroma(deviation * one) for one in r])
        with torch.autocast(x.device.type, enabled=False):
            with torch.no_grad():
                features = self.perceptual(x)
            maps = self.perceptual(pictures)
        parts = list(zip(*(one.chunk(SAMPLES) for one in maps), strict=True))
        seen = score(parts, features, perceptual_distance)
        # The perceptual distance falls with x̂'s error, as that of pixels in units of σ_r does not.
        seen = seen * (self.middle / self.network.mean_deviation(quality)[:, 0, 0, 0])
        loss = (pixels + recipe.bands * bands + recipe.perceptual * seen).mean() + surprise
        return loss, {
            "pixels": float(pixels.detach().mean()),
            "bands": float(bands.detach().mean()),
            "perceptual": float(seen.detach().mean()),
            "surprise": float(surprise.detach()),
        }

    def spread(self, quality: Tensor) -> Tensor:
        """Of the energy scores at `quality` (N,): (N,)."""
        lowest, highest = self.recipe.spread
        return lowest + (highest - lowest) * self.network.relative(quality)

    @property
    def middle(self) -> Tensor:
        """x̂'s mean deviation in luma at the middle of the qualities."""
        return self.network.residual_deviation[self.base.levels // 2, 0]
