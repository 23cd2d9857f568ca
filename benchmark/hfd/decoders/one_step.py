"""The decoder `one-step`: the diffusion's network at pure noise, taught to sample there by the energy score.

A diffusion with squared error can say no more than E[r | z_t] at each step, so it needs many. Trained with a proper
scoring rule the same network gives a sample at its first evaluation: z is then what tells one sample from another.

Each crop has a spread of its own, drawn between 0 and 1, by default with density 2·spread, for all its scores. The
network is told it where a diffusion is told the time: a setting from what is nearest to the original to a full sample.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from benchmark.hfd.decoders.decoder import Decoder, plain_network
from benchmark.hfd.sampling import Noise, Predict, Sampler
from benchmark.hfd.score import ScoreNetwork, from_luma_chroma, to_luma_chroma
from benchmark.hfd.training.conversion import begin_diffusion
from benchmark.hfd.training.decoder import (
    SMALLEST_PERCEPTUAL_CROP,
    DecoderRecipe,
    DecoderTask,
    axis_weights,
    gaussian_nll,
)
from benchmark.hfd.training.energy import band_distance, energy_score, patch_distance, perceptual_distance
from benchmark.hfd.training.views import View, plain_views, random_views
from benchmark.hfd.unet import UNetConfig

# The codec's side


@dataclass(frozen=True)
class OneStepSettings:
    """How the one-step decoder is sampled.

    realism: the spread that it is told, see `training.energy`: 1 is the distribution, 0 what is nearest to it.
    """

    realism: Annotated[float, Field(ge=0, le=1, description="0 is nearest to the original, 1 a full sample")] = 0.3

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> "OneStepSettings":
        """The defaults of a weights file."""
        return cls(float(configuration["realism"]))

    @classmethod
    def configuration(cls, training: Mapping[str, Any], steps: int) -> dict[str, Any]:
        """Realism as it is here; there are no steps."""
        return {"realism": cls.realism}

    def idle(self) -> dict[str, str]:
        """The only setting counts."""
        return {}

    def __call__(self, predict: Predict, noise: Noise) -> Tensor:
        """A sample of r from one evaluation."""
        z = noise(0)
        return -predict(z, torch.full((len(z),), self.realism, device=z.device))  # at pure noise v is −r


# Its training


SAMPLES = 2
"""Of each crop in a step: the least from which the score can be estimated."""
BAND_PATCH = 2
"""Side of the patches of a Haar band that are scored as one; each band is scored by itself."""


@dataclass(frozen=True)
class OneStepRecipe(DecoderRecipe):
    """How the one-step decoder is trained.

    patches: sides of those whose energy scores are averaged; bands, perceptual: weights of the scores of Haar bands, of
    `band_levels` sizes, and of LPIPS's maps against theirs; enlarged: how far windows of the crops are enlarged for the
    latter besides; views: windows are shown each time otherwise, see `training.views`. spread_exponent: spreads are
    u^spread_exponent with u uniform.
    """

    patches: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], Field(description="sides of patches that are scored")
    ] = (
        1,
        4,
    )
    bands: Annotated[float, Field(ge=0, description="weight of the scores of Haar bands")] = 6.0
    band_levels: Annotated[int, Field(ge=1, description="sizes of Haar bands that are scored")] = 3
    perceptual: Annotated[float, Field(ge=0, description="weight of the scores of LPIPS's maps")] = 1.0
    enlarged: Annotated[
        tuple[Annotated[int, Field(ge=2, le=8)], ...],
        Field(description="show windows to LPIPS at so many times the size besides"),
    ] = ()
    views: Annotated[bool, Field(description="show windows to LPIPS mirrored, dimmed, …, each time otherwise")] = False
    spread_exponent: Annotated[
        float, Field(ge=0.01, description="of a uniform number, gives spreads; above 0.5 more small ones")
    ] = 0.5

    @property
    def scales(self) -> tuple[int, ...]:
        """How far windows are enlarged for LPIPS; 1 is the crop as it is."""
        return (1, *self.enlarged)


class OneStepTask(DecoderTask[OneStepRecipe]):
    """`Task` of the one-step decoder: energy scores of patches, of Haar bands and of the maps of LPIPS."""

    kind = "one-step"
    check_steps: tuple[int, ...] = (1,)
    scored_steps = 1
    smallest_crop = SMALLEST_PERCEPTUAL_CROP

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
            "perceptual_scales": list(self.recipe.scales),
            "perceptual_views": self.recipe.views,
            "spread_exponent": self.recipe.spread_exponent,
        }

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Energy scores of SAMPLES samples of each crop, and the loss of the local deviation."""
        x, x_hat, quality = batch
        deviation = self.network.deviation(x_hat, quality)
        residual = to_luma_chroma(x - x_hat)
        nll = gaussian_nll(residual, deviation).mean()
        deviation = deviation.detach()
        spread = torch.rand_like(quality) ** self.recipe.spread_exponent
        with self.autocast(x.device):
            twice = [torch.cat([part] * SAMPLES) for part in (x_hat, spread, quality)]
            v: Tensor = self.network(torch.randn_like(twice[0]), *twice)
        scores, figures = self.scores(x, x_hat, quality, spread, residual, deviation, list((-v).chunk(SAMPLES)))
        return scores.mean() + nll, figures | {"nll": float(nll.detach())}

    def scores(
        self,
        x: Tensor,
        x_hat: Tensor,
        quality: Tensor,
        spread: Tensor,
        residual: Tensor,
        deviation: Tensor,
        r: Sequence[Tensor],
    ) -> tuple[Tensor, dict[str, float]]:
        """The energy scores of samples r of each crop, weighted and added, (N,), and each of them for the log.

        x and x̂, RGB, `residual` x − x̂ in luma and chroma, its `deviation`, and each of r in units of that: all
        (N, 3, H, W). spread, quality: (N,).
        """
        recipe = self.recipe
        score = partial(energy_score, spread=spread)
        axes = torch.tensor(axis_weights(recipe.chroma), device=x.device).sqrt()[:, None, None]
        truth, scaled = axes * residual / deviation, [axes * one for one in r]
        pixels = torch.stack(
            [score(scaled, truth, partial(patch_distance, side=side)) for side in recipe.patches]
        ).mean(0)
        bands = score(scaled, truth, partial(band_distance, levels=recipe.band_levels, side=BAND_PATCH))
        loss, figures = pixels + recipe.bands * bands, {"pixels": pixels, "bands": bands}
        if recipe.perceptual:
            figures["perceptual"] = seen = self._seen_in_all(x, x_hat, quality, deviation, r, score)
            loss = loss + recipe.perceptual * seen
        return loss, {name: float(values.detach().mean()) for name, values in figures.items()}

    def _seen_in_all(
        self,
        x: Tensor,
        x_hat: Tensor,
        quality: Tensor,
        deviation: Tensor,
        r: Sequence[Tensor],
        score: Callable[..., Tensor],
    ) -> Tensor:
        """The mean of `_seen` (N,) over scales, of the samples that r makes of x̂."""
        recipe = self.recipe
        self.open_perceptual(x.device)
        pictures = torch.cat([x_hat + from_luma_chroma(deviation * one) for one in r])
        views = random_views if recipe.views else plain_views
        looks = [views(scale) for scale in recipe.scales]
        seen = torch.stack([self._seen(scale, view, x, pictures, score) for scale, view in looks]).mean(0)
        return seen * self.perceptual_weight(quality)

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


DECODER = Decoder(OneStepSettings, plain_network, OneStepTask, OneStepRecipe, begin_diffusion, trained_on=("lpips",))
