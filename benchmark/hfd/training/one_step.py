"""Training of the one-step decoder: the diffusion's network at pure noise, taught to sample there by the energy score.

A diffusion with squared error can say no more than E[r | z_t] at each step, so it needs many. Trained with a proper
scoring rule the same network gives a sample at its first evaluation: z is then what tells one sample from another.
"""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.hfd.sampling import OneStepSettings, Sampler
from benchmark.hfd.score import ScoreNetwork, from_luma_chroma, to_luma_chroma
from benchmark.hfd.training.decoder import AXIS_WEIGHTS, DecoderTask, gaussian_surprise
from benchmark.hfd.training.energy import (
    PerceptualFeatures,
    band_distance,
    energy_score,
    enlarged_window,
    patch_distance,
    perceptual_distance,
    pool,
)
from benchmark.hfd.training.moments import KEPT, RunningMoments, fit_space
from benchmark.hfd.training.pairs import random_pair_crops
from benchmark.hfd.unet import UNetConfig
from benchmark.metrics.perceptual import load_network

SAMPLES = 2
"""Of each crop in a step: the least from which the score can be estimated."""
BAND_PATCH = 2
"""Side of the patches of a Haar band that are scored as one; each band is scored by itself."""
MATCHED = (1, 2)
"""Fréchet distances are of windows enlarged so far."""
GROUP_ENDS = (1.6, 3.0)
"""Crops of qualities up to these, and above, have moments of their own."""
PHOTOGRAPHS, AT_ONCE = 3000, 20
"""Crops of photographs whose features the Fréchet distances compare with, and how many of them are cut at once."""


class OneStepTask(DecoderTask):
    """`Task` of the one-step decoder: energy scores of patches, Haar bands and the maps of LPIPS; FD of the latter."""

    kind = "one-step"
    check_steps = (1,)
    judged_steps = 1
    smallest_crop = 32  # AlexNet, under LPIPS, takes none below 31

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
            "band_levels": self.recipe.band_levels,
            "perceptual": self.recipe.perceptual,
            "perceptual_scales": list(self.recipe.perceptual_scales),
            **({"frechet": self.recipe.frechet, "kept": KEPT} if self.recipe.frechet else {}),
        }

    def state(self) -> dict[str, Tensor]:
        """The running moments of what was sampled, where the recipe has a Fréchet distance."""
        return {
            f"moments.{scale}.{key}": tensor
            for scale, moments in self.moments.items()
            for key, tensor in moments.state.items()
        }

    @cached_property
    def perceptual(self) -> PerceptualFeatures:
        """LPIPS's network, where the training runs."""
        return PerceptualFeatures(load_network(str(self.device)))

    @cached_property
    def moments(self) -> dict[int, RunningMoments]:
        """By how far a window is enlarged; their spaces are those of PHOTOGRAPHS crops, as trainings cut them."""
        if not self.recipe.frechet:
            return {}
        generator = np.random.default_rng(PHOTOGRAPHS)
        pooled: dict[int, list[Tensor]] = {scale: [] for scale in MATCHED}
        for _ in range(PHOTOGRAPHS // AT_ONCE):
            x, _, _ = random_pair_crops(self.pairs, generator, AT_ONCE, self.recipe.crop)
            for scale, found in pooled.items():
                side = round(x.shape[-1] / scale)
                top, left = (int(generator.integers(0, x.shape[-1] - side + 1)) for _ in range(2))
                with torch.no_grad():
                    maps = self.perceptual.maps(enlarged_window(x.to(self.device), scale, top, left))
                found.append(pool(maps))
        groups = len(GROUP_ENDS) + 1
        return {scale: RunningMoments(fit_space(torch.cat(found), KEPT), groups) for scale, found in pooled.items()}

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Energy scores of SAMPLES samples of each crop, and the loss of the local deviation."""
        x, x_hat, quality = batch
        recipe = self.recipe
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
        bands = score(scaled, truth, partial(band_distance, levels=recipe.band_levels, side=BAND_PATCH))
        pictures = torch.cat([x_hat + from_luma_chroma(deviation * one) for one in r])
        looks = [self._look(scale, x, pictures, quality, score) for scale in recipe.perceptual_scales]
        seen, frechet = torch.stack([look[0] for look in looks]).mean(0), sum(look[1] for look in looks)
        # The perceptual distance falls with x̂'s error, as that of pixels in units of σ_r does not.
        seen = seen * (self.middle / self.network.mean_deviation(quality)[:, 0, 0, 0])
        loss = (pixels + recipe.bands * bands + recipe.perceptual * seen + recipe.frechet * frechet).mean() + surprise
        return loss, {
            "pixels": float(pixels.detach().mean()),
            "bands": float(bands.detach().mean()),
            "perceptual": float(seen.detach().mean()),
            "surprise": float(surprise.detach()),
            **{
                f"frechet_{scale}_{group}": distance
                for scale, moments in self.moments.items()
                for group, distance in enumerate(moments.distances)
            },
        }

    def _look(
        self, scale: int, x: Tensor, pictures: Tensor, quality: Tensor, score: Callable[..., Tensor]
    ) -> tuple[Tensor, Tensor]:
        """`score` (N,) of LPIPS's maps in an enlarged window of the crops, the same in all; what moves FD there (N,).

        x: N originals; pictures: their samples, one after the other; quality: (N,).
        """
        size = x.shape[-1]
        top, left = (int(torch.randint(size - round(size / scale) + 1, ())) for _ in range(2))
        with torch.autocast(x.device.type, enabled=False):
            with torch.no_grad():
                truth = self.perceptual(enlarged_window(x, scale, top, left))
            maps = self.perceptual.maps(enlarged_window(pictures, scale, top, left))
            parts = list(zip(*(one.chunk(SAMPLES) for one in self.perceptual.weigh(maps)), strict=True))
            frechet = torch.zeros_like(quality)
            if scale in self.moments:
                groups = torch.bucketize(quality, torch.tensor(GROUP_ENDS, device=x.device)).repeat(SAMPLES)
                frechet = self.moments[scale].loss(pool(maps), groups).view(SAMPLES, -1).mean(0)
        return score(parts, truth, perceptual_distance), frechet

    def spread(self, quality: Tensor) -> Tensor:
        """Of the energy scores at `quality` (N,): (N,)."""
        lowest, highest = self.recipe.spread
        return lowest + (highest - lowest) * self.network.relative(quality)

    @property
    def middle(self) -> Tensor:
        """x̂'s mean deviation in luma at the middle of the qualities."""
        return self.network.residual_deviation[self.base.levels // 2, 0]
