"""Training of the one-step decoder: the diffusion's network at pure noise, taught to sample there by the energy score.

A diffusion with squared error can say no more than E[r | z_t] at each step, so it needs many. Trained with a proper
scoring rule the same network gives a sample at its first evaluation: z is then what tells one sample from another.

Each crop has a spread of its own, drawn between 0 and 1, by default with density 2·spread, for all its scores. The
network is told it where a diffusion is told the time: the dial from what is nearest to the original to a full sample.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.hfd.sampling import OneStepSettings, Sampler
from benchmark.hfd.score import ScoreNetwork, from_luma_chroma, to_luma_chroma
from benchmark.hfd.training.decoder import DecoderTask, axis_weights, gaussian_surprise
from benchmark.hfd.training.energy import (
    PerceptualFeatures,
    band_distance,
    energy_score,
    patch_distance,
    perceptual_distance,
)
from benchmark.hfd.training.views import View, plain_views, random_views
from benchmark.hfd.unet import UNetConfig
from benchmark.metrics.perceptual import load_network

SAMPLES = 2
"""Of each crop in a step: the least from which the score can be estimated."""
BAND_PATCH = 2
"""Side of the patches of a Haar band that are scored as one; each band is scored by itself."""


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
            "patches": list(self.recipe.patches),
            "bands": self.recipe.bands,
            "band_levels": self.recipe.band_levels,
            "perceptual": self.recipe.perceptual,
            "perceptual_scales": list(self.recipe.perceptual_scales),
            "perceptual_views": self.recipe.perceptual_views,
            "spread_exponent": self.recipe.spread_exponent,
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
        spread = torch.rand_like(quality) ** recipe.spread_exponent
        with self.autocast(x.device):
            twice = [torch.cat([part] * SAMPLES) for part in (x_hat, spread, quality)]
            v: Tensor = self.network(torch.randn_like(twice[0]), *twice)
        r = list((-v).chunk(SAMPLES))
        score = partial(energy_score, spread=spread)
        axes = torch.tensor(axis_weights(recipe.chroma), device=x.device).sqrt()[:, None, None]
        truth, scaled = axes * residual / deviation, [axes * one for one in r]
        pixels = torch.stack(
            [score(scaled, truth, partial(patch_distance, side=side)) for side in recipe.patches]
        ).mean(0)
        bands = score(scaled, truth, partial(band_distance, levels=recipe.band_levels, side=BAND_PATCH))
        pictures = torch.cat([x_hat + from_luma_chroma(deviation * one) for one in r])
        views = random_views if recipe.perceptual_views else plain_views
        looks = [views(scale) for scale in recipe.perceptual_scales]
        seen = torch.stack([self._seen(scale, view, x, pictures, score) for scale, view in looks]).mean(0)
        # The perceptual distance falls with x̂'s error, as that of pixels in units of σ_r does not.
        seen = seen * (self.middle / self.network.mean_deviation(quality)[:, 0, 0, 0])
        loss = (pixels + recipe.bands * bands + recipe.perceptual * seen).mean() + surprise
        return loss, {
            "pixels": float(pixels.detach().mean()),
            "bands": float(bands.detach().mean()),
            "perceptual": float(seen.detach().mean()),
            "surprise": float(surprise.detach()),
        }

    def _seen(self, scale: float, view: View, x: Tensor, pictures: Tensor, score: Callable[..., Tensor]) -> Tensor:
        """`score` (N,) of LPIPS's maps of `view` of a window of the crops, the same in all, enlarged to their size.

        x: N originals; pictures: their samples, one after the other.
        """
        perceptual, size = self.perceptual, x.shape[-1]
        assert perceptual is not None
        side = round(size / scale)
        top, left = (int(torch.randint(size - side + 1, ())) for _ in range(2))

        def look(whole: Tensor) -> tuple[Tensor, ...]:
            window = whole[..., top : top + side, left : left + side]
            if scale > 1:
                window = F.interpolate(window, size=(size, size), mode="bilinear")
            maps: tuple[Tensor, ...] = perceptual(view(window))
            return maps

        with torch.autocast(x.device.type, enabled=False):
            with torch.no_grad():
                features = look(x)
            parts = list(zip(*(one.chunk(SAMPLES) for one in look(pictures)), strict=True))
        return score(parts, features, perceptual_distance)

    @property
    def middle(self) -> Tensor:
        """x̂'s mean deviation in luma at the middle of the qualities."""
        return self.network.residual_deviation[self.base.levels // 2, 0]
