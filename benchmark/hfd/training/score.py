"""Training of the score-based decoder on the frozen first stage's reconstructions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from benchmark.hfd import flow
from benchmark.hfd.autoencoder import QUALITY_STEPS
from benchmark.hfd.score import FlowDecoder, FlowSettings, ScoreNetwork, tensor_to_picture, to_luma_chroma
from benchmark.hfd.training.crops import PictureStore, centre_crops, open_pictures, split
from benchmark.hfd.training.engine import Options, Schedule, train
from benchmark.hfd.training.pairs import make_pairs, random_pair_crops, reconstruct, residual_deviation
from benchmark.hfd.unet import SMALL, UNetConfig
from benchmark.hfd.weights import load_autoencoder

AXIS_WEIGHTS = (2.0, 0.5, 0.5)
"""Of luma and chroma in the loss: in units of σ_r they are alike, to the eye they are not."""


@dataclass(frozen=True)
class ScoreRecipe:
    """How the score-based decoder is trained.

    kappa: deviation of the start's noise in units of σ_r. late: density of t is proportional to (1 − t)^(1/late − 1);
    1 is uniform, larger values train the end of the path more, smaller ones its beginning. A sampler with K Euler
    steps never looks beyond t = 1 − 1/K, so few steps want a value below 1.
    """

    steps: int = 12_000
    decay: int = 3_000
    learning_rate: float = 8e-4
    batch: int = 16
    crop: int = 64
    kappa: float = 1.0
    late: float = 0.8
    passes: int = 2


class FlowTask:
    """`Task` of the rectified-flow decoder."""

    def __init__(
        self,
        first_stage: Path,
        folder: Path,
        cache: Path,
        unet: UNetConfig,
        recipe: ScoreRecipe,
        console: Console,
    ) -> None:
        self.recipe = recipe
        model, self.identity = load_autoencoder(first_stage)
        training, held_out = split(open_pictures(folder, cache))
        self.pairs = make_pairs(model, self.identity, training, cache, recipe.passes, console)
        self.network = ScoreNetwork(unet, model.config.levels, recipe.kappa)
        self.network.residual_deviation.copy_(residual_deviation(model, training))
        self._prepare_check(model, held_out)

    def _prepare_check(self, model: Any, held_out: PictureStore) -> None:
        from benchmark.metrics import open_metric

        self.lpips: Any = open_metric("lpips")
        x = centre_crops(held_out, 6, 256)
        qualities = (1.0, 2.5, 4.0)
        self.check_set = [
            (original[None], reconstruct(model, original[None], quality), quality)
            for original in x
            for quality in qualities
        ]

    def _velocity(self, x_hat: Tensor, quality: Tensor) -> flow.Velocity:
        def velocity(z: Tensor, t: Tensor) -> Tensor:
            with torch.autocast(z.device.type, torch.bfloat16):
                v: Tensor = self.network(z, x_hat, t, quality)
            return v

        return velocity

    def loss(self, step: int, generator: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Flow matching on crops, t stratified over the batch."""
        recipe = self.recipe
        x, x_hat, quality = random_pair_crops(self.pairs, generator, recipe.batch, recipe.crop)
        places = (generator.permutation(recipe.batch) + generator.random(recipe.batch)) / recipe.batch
        t = torch.from_numpy(1 - (1 - places) ** recipe.late).float()
        deviation = self.network.deviation(x_hat, quality)
        residual = to_luma_chroma(x - x_hat)
        surprise = gaussian_surprise(residual, deviation).mean()
        r = residual / deviation.detach()
        axes = torch.tensor(AXIS_WEIGHTS, device=r.device)[:, None, None]
        losses = flow.loss(self._velocity(x_hat, quality), r, torch.randn_like(r), recipe.kappa, t, axes)
        return losses.mean() + surprise, {"flow": float(losses.detach().mean()), "surprise": float(surprise.detach())}

    def check(self) -> dict[str, float]:
        """LPIPS and PSNR of x̂ and of samples with 1, 4 and 16 Euler steps; score: LPIPS with 4."""
        figures = {}
        for steps in (0, 1, 4, 16):
            settings = FlowSettings(steps, kappa=self.recipe.kappa, precision="bfloat16")
            lpips, psnr = [], []
            for x, x_hat, quality in self.check_set:
                sample = x_hat
                if steps:
                    decoder = FlowDecoder(self.network, settings, "cpu")
                    sample = decoder.sample(x_hat, round((quality - 1) * QUALITY_STEPS), 0)
                original = self.lpips.prepare(tensor_to_picture(x))
                lpips.append(self.lpips.compare(original, tensor_to_picture(sample)))
                psnr.append(float(-10 * (sample - x).square().mean().log10()))
            figures[f"lpips_{steps}"] = float(np.mean(lpips))
            figures[f"psnr_{steps}"] = float(np.mean(psnr))
        return {"score": figures["lpips_4"], **figures}

    def describe(self) -> dict[str, Any]:
        """Network, first stage and data."""
        return {
            "unet": self.network.unet.config.as_json(),
            "levels": self.network.levels,
            "first_stage": self.identity,
            "residual_deviation": self.network.residual_deviation.tolist(),
            "kappa": self.recipe.kappa,
            "late": self.recipe.late,
            "pairs": len(self.pairs.qualities),
            "crop": self.recipe.crop,
            "batch": self.recipe.batch,
        }


def gaussian_surprise(residual: Tensor, deviation: Tensor) -> Tensor:
    """−log of a Gaussian density of `residual` with `deviation`, both (N, 3, H, W), less a constant: (N,)."""
    return (deviation.log() + (residual / deviation).square() / 2).mean((1, 2, 3))


def parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """One group: all weights alike."""
    return [{"params": [p for p in network.parameters() if p.requires_grad], "scale": 1.0}]


def train_flow(
    first_stage: Path,
    folder: Path,
    output: Path,
    cache: Path,
    recipe: ScoreRecipe,
    console: Console,
    seed: int = 0,
    unet: UNetConfig = SMALL,
    start: Path | None = None,
) -> Path:
    """Trains on the pictures of `folder` as `first_stage` reconstructs them; returns the averaged weights' path."""
    torch.manual_seed(seed)
    task = FlowTask(first_stage, folder, cache, unet, recipe, console)
    schedule = Schedule(recipe.steps, recipe.learning_rate, decay=recipe.decay)
    options = Options(output, seed, ema_decay=0.999, clip=1.0, checkpoint_seconds=180)
    return train(task, schedule, options, parameter_groups, console, start)
