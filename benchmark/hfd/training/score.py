"""Training of the score-based decoders on a frozen base's reconstructions."""

from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from benchmark.hfd import diffusion, flow
from benchmark.hfd.bases import Base
from benchmark.hfd.sampling import DiffusionSettings, FlowSettings, Predict, Sampler
from benchmark.hfd.score import FlowNetwork, ScoreNetwork, to_luma_chroma
from benchmark.hfd.training.conversion import begin_diffusion, begin_larger
from benchmark.hfd.training.decoder import DecoderTask, ScoreRecipe, axis_weights, gaussian_surprise
from benchmark.hfd.training.one_step import OneStepTask
from benchmark.hfd.unet import SMALL, UNetConfig
from benchmark.training.engine import Options, Schedule, train
from benchmark.training.processes import Processes, open_processes


class ScoreTask(DecoderTask):
    """`Task` of a score-based decoder, but for what tells flow and diffusion apart."""

    @abstractmethod
    def objective(self, predict: Predict, r: Tensor, places: Tensor, axes: Tensor) -> Tensor:
        """The loss (N,) of r (N, 3, H, W) with times from `places` (N,), uniform in [0, 1]; axes: weight of each."""

    def batch(self, generator: np.random.Generator) -> tuple[Tensor, ...]:
        """x, x̂, quality, and a place in [0, 1] for t of each crop, stratified over the batch."""
        count = self.recipe.batch
        crops = super().batch(generator)
        places = (generator.permutation(count) + generator.random(count)) / count
        return *crops, torch.from_numpy(places).float()

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The decoder's loss on crops, and that of the local deviation."""
        x, x_hat, quality, places = batch
        deviation = self.network.deviation(x_hat, quality)
        residual = to_luma_chroma(x - x_hat)
        surprise = gaussian_surprise(residual, deviation).mean()
        r = residual / deviation.detach()

        def predict(z: Tensor, t: Tensor) -> Tensor:
            with self.autocast(z.device):
                out: Tensor = self.network(z, x_hat, t, quality)
            return out

        axes = torch.tensor(axis_weights(self.recipe.chroma), device=r.device)[:, None, None]
        losses = self.objective(predict, r, places, axes)
        return losses.mean() + surprise, {
            self.kind: float(losses.detach().mean()),
            "surprise": float(surprise.detach()),
        }


class FlowTask(ScoreTask):
    """`Task` of the rectified-flow decoder: flow matching."""

    kind = "flow"

    def make_network(self, unet: UNetConfig, levels: int) -> ScoreNetwork:
        """The untrained network."""
        return FlowNetwork(unet, levels, self.recipe.kappa)

    def objective(self, predict: Predict, r: Tensor, places: Tensor, axes: Tensor) -> Tensor:
        """Squared error of the velocity."""
        t = 1 - (1 - places) ** self.recipe.late
        return flow.loss(predict, r, torch.randn_like(r), self.recipe.kappa, t, axes)

    def sampler(self, steps: int) -> Sampler:
        """Euler's method."""
        return FlowSettings(steps, noise=self.recipe.kappa)

    def describe_kind(self) -> dict[str, Any]:
        """Noise of the start and density of t."""
        return {"kappa": self.recipe.kappa, "late": self.recipe.late}


class DiffusionTask(ScoreTask):
    """`Task` of the diffusion decoder: v-prediction."""

    kind = "diffusion"

    def make_network(self, unet: UNetConfig, levels: int) -> ScoreNetwork:
        """The untrained network."""
        return ScoreNetwork(unet, levels)

    def objective(self, predict: Predict, r: Tensor, places: Tensor, axes: Tensor) -> Tensor:
        """Squared error of v, min-SNR weighting."""
        t = 1e-3 + (1 - 2e-3) * places
        return diffusion.loss(predict, r, torch.randn_like(r), t, self.recipe.shift, axes)

    def sampler(self, steps: int) -> Sampler:
        """Ancestral."""
        return DiffusionSettings(steps, shift=self.recipe.shift)

    def describe_kind(self) -> dict[str, Any]:
        """Shift of the schedule."""
        return {"shift": self.recipe.shift}


TASKS: dict[str, type[DecoderTask]] = {"flow": FlowTask, "diffusion": DiffusionTask, "one-step": OneStepTask}


def parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """One group: all weights alike."""
    return [{"params": [p for p in network.parameters() if p.requires_grad], "scale": 1.0}]


def train_score(
    kind: str,
    base: Path | Base,
    folder: Path,
    output: Path,
    cache: Path,
    recipe: ScoreRecipe,
    console: Console,
    seed: int = 0,
    unet: UNetConfig = SMALL,
    start: Path | None = None,
    processes: Processes | None = None,
) -> Path:
    """Trains a "flow", "diffusion" or "one-step" decoder on the pictures of `folder` as `base` reconstructs them.

    base: a base, or the weights file of a first stage. start: earlier weights; a diffusion can begin with a flow's, a
    one-step decoder with either's.
    Returns the path of the averaged weights.
    """
    processes = processes or open_processes(recipe.precision)
    with processes.first_alone():
        torch.manual_seed(seed)
        start = begin_larger(start, unet, output) if start else None
        task = TASKS[kind](base, folder, cache, unet, recipe, console, processes.device, start)
        if start is not None and kind in ("diffusion", "one-step"):
            start = begin_diffusion(start, output)
    schedule = Schedule(recipe.steps, recipe.learning_rate, decay=recipe.decay)
    options = Options(
        output,
        seed,
        ema_decay=0.999,
        clip=1.0,
        check_every=recipe.check_every,
        checkpoint_seconds=180,
        optimiser=recipe.optimiser,
        accumulate=recipe.accumulate,
    )
    return train(task, schedule, options, parameter_groups, console, start, processes)
