"""Training of the one-step decoder: the diffusion's network at pure noise, taught to sample there by the energy score.

A diffusion with squared error can say no more than E[r | z_t] at each step, so it needs many. Trained with a proper
scoring rule the same network gives a sample at its first evaluation: z is then what tells one sample from another.

The score asks how likely each small patch is by itself; what is larger a second network judges, where the recipe wants
it, see `critic`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.hfd.sampling import OneStepSettings, Sampler
from benchmark.hfd.score import ScoreNetwork, from_luma_chroma, to_luma_chroma
from benchmark.hfd.training.critic import Condition, Critic, Evidence, balanced, critic_loss, frozen, generator_loss
from benchmark.hfd.training.decoder import AXIS_WEIGHTS, DecoderTask, gaussian_surprise
from benchmark.hfd.training.energy import (
    PerceptualFeatures,
    band_distance,
    energy_score,
    patch_distance,
    perceptual_distance,
)
from benchmark.hfd.training.engine import Opponent, Schedule
from benchmark.hfd.unet import UNetConfig
from benchmark.metrics.perceptual import load_network

SAMPLES = 2
"""Of each crop in a step: the least from which the score can be estimated."""
BAND_PATCH = 2
"""Side of the patches of a Haar band that are scored as one."""
CRITIC_RATE, CRITIC_ALONE = 1e-3, 100
"""The critic's learning rate, and its first steps, in which the decoder does not listen to it."""


class _Drawn(NamedTuple):
    """Samples of a batch and what they are compared with; r in units of σ_r."""

    v: Tensor
    r: list[Tensor]
    residual: Tensor
    deviation: Tensor
    views: list["_View"]


class _View(NamedTuple):
    """AlexNet's maps of a window of the crops, enlarged `scale` times: of the originals, of the samples, of x̂."""

    maps: tuple[Tensor, ...]
    sampled: tuple[Tensor, ...]
    given: tuple[Tensor, ...]


class OneStepTask(DecoderTask):
    """`Task` of the one-step decoder: energy scores of patches, of Haar bands and of the maps of LPIPS."""

    kind = "one-step"
    check_steps = (1,)
    judged_steps = 1
    smallest_crop = 32  # AlexNet, under LPIPS, takes none below 31
    perceptual: PerceptualFeatures | None = None
    critic: Critic | None = None
    judged: tuple[Evidence, Evidence, Condition] | None = None

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
            "adversarial": self.recipe.adversarial,
        }

    def opponent(self) -> Opponent | None:
        """The critic, where the recipe gives it a weight."""
        if not self.recipe.adversarial:
            return None
        self.critic = Critic()
        schedule = Schedule(self.recipe.steps, CRITIC_RATE, warm_up=20)
        return Opponent(self.critic, self.critic_loss, schedule, betas=(0.0, 0.99))

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Energy scores of SAMPLES samples of each crop, what the critic says, the loss of the local deviation."""
        x, x_hat, quality = batch
        deviation = self.network.deviation(x_hat, quality)
        residual = to_luma_chroma(x - x_hat)
        surprise = gaussian_surprise(residual, deviation).mean()
        deviation = deviation.detach()
        drawn = self._draw(x, x_hat, quality, residual / deviation, deviation)
        loss, figures = self._scores(drawn, quality)
        figures |= {"loss": float((loss + surprise).detach()), "surprise": float(surprise.detach())}
        if self.critic is not None:
            adversarial = self._judge(self.critic, drawn, x_hat, quality)
            figures["adversarial"] = float(adversarial.detach())
            if step >= CRITIC_ALONE:
                loss = balanced(drawn.v, loss, adversarial, self.recipe.adversarial)
        return loss + surprise, figures

    def _draw(self, x: Tensor, x_hat: Tensor, quality: Tensor, residual: Tensor, deviation: Tensor) -> _Drawn:
        if self.perceptual is None:
            self.perceptual = PerceptualFeatures(load_network(str(x.device)))
        with self.autocast(x.device):
            twice = [torch.cat([part] * SAMPLES) for part in (x_hat, quality)]
            z = torch.randn_like(twice[0])
            v: Tensor = self.network(z, twice[0], torch.ones_like(twice[1]), twice[1])
        r = list((-v).chunk(SAMPLES))
        pictures = torch.cat([x_hat + from_luma_chroma(deviation * one) for one in r])
        with torch.autocast(x.device.type, enabled=False):
            views = [self._view(scale, x, pictures, x_hat) for scale in self.recipe.perceptual_scales]
        return _Drawn(v, r, residual, deviation, views)

    def _view(self, scale: int, x: Tensor, pictures: Tensor, x_hat: Tensor) -> _View:
        """One window for all crops, as large as they are once it is enlarged."""
        assert self.perceptual is not None
        side = x.shape[-1] // scale
        top, left = (int(torch.randint(x.shape[-1] - side + 1, ())) for _ in range(2))

        def look(whole: Tensor) -> tuple[Tensor, ...]:
            assert self.perceptual is not None
            window = whole[..., top : top + side, left : left + side]
            if scale > 1:
                window = F.interpolate(window, scale_factor=scale, mode="bilinear")
            return self.perceptual.unit_maps(window)

        with torch.no_grad():
            maps, given = look(x), look(x_hat) if self.critic is not None else ()
        return _View(maps, look(pictures), given)

    def _scores(self, drawn: _Drawn, quality: Tensor) -> tuple[Tensor, dict[str, float]]:
        recipe = self.recipe
        score = partial(energy_score, spread=self.spread(quality))
        axes = torch.tensor(AXIS_WEIGHTS, device=quality.device).sqrt()[:, None, None]
        truth, scaled = axes * drawn.residual, [axes * one for one in drawn.r]
        pixels = torch.stack(
            [score(scaled, truth, partial(patch_distance, side=side)) for side in recipe.patches]
        ).mean(0)
        bands = score(scaled, truth, partial(band_distance, levels=recipe.band_levels, side=BAND_PATCH))
        seen = torch.stack([self._seen(view, score) for view in drawn.views]).mean(0)
        # The perceptual distance falls with x̂'s error, as that of pixels in units of σ_r does not.
        seen = seen * (self.middle / self.network.mean_deviation(quality)[:, 0, 0, 0])
        return (pixels + recipe.bands * bands + recipe.perceptual * seen).mean(), {
            "pixels": float(pixels.detach().mean()),
            "bands": float(bands.detach().mean()),
            "perceptual": float(seen.detach().mean()),
        }

    def _seen(self, view: _View, score: Callable[..., Tensor]) -> Tensor:
        assert self.perceptual is not None
        parts = list(zip(*(one.chunk(SAMPLES) for one in self.perceptual.weighted(view.sampled)), strict=True))
        return score(parts, self.perceptual.weighted(view.maps), perceptual_distance)

    def _judge(self, critic: Critic, drawn: _Drawn, x_hat: Tensor, quality: Tensor) -> Tensor:
        """What the decoder loses by the critic; the first sample of each crop is judged, its maps at the last scale."""
        view = drawn.views[-1]
        relative = (drawn.deviation / self.network.mean_deviation(quality))[:, :1].detach()
        condition = Condition(x_hat, view.given, relative.log(), self.network.relative(quality))
        made = Evidence(drawn.r[0], [one.chunk(SAMPLES)[0] for one in view.sampled])
        self.judged = Evidence(drawn.residual, view.maps), made.detached(), condition
        with frozen(critic), self.autocast(x_hat.device):
            return generator_loss(critic(made, condition)).mean()

    def critic_loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The critic's own loss on the batch that `loss` has seen; `engine.Opponent.loss`."""
        assert self.critic is not None
        assert self.judged is not None
        with self.autocast(batch[0].device):
            return critic_loss(self.critic, *self.judged)

    def spread(self, quality: Tensor) -> Tensor:
        """Of the energy scores at `quality` (N,): (N,)."""
        lowest, highest = self.recipe.spread
        return lowest + (highest - lowest) * self.network.relative(quality)

    @property
    def middle(self) -> Tensor:
        """x̂'s mean deviation in luma at the middle of the qualities."""
        return self.network.residual_deviation[self.base.levels // 2, 0]
