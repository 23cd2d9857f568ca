"""Training of the score-based decoders on a frozen base's reconstructions."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from benchmark.hfd import diffusion, flow
from benchmark.hfd.autoencoder import QUALITY_STEPS
from benchmark.hfd.bases import AutoencoderBase, Base
from benchmark.hfd.first_stage import load_first_stage
from benchmark.hfd.sampling import DiffusionSettings, FlowSettings, Predict, Sampler, ScoreDecoder
from benchmark.hfd.score import FlowNetwork, ScoreNetwork, tensor_to_picture, to_luma_chroma
from benchmark.hfd.training.conversion import begin_diffusion
from benchmark.hfd.training.crops import PictureStore, centre_crops, open_pictures, split
from benchmark.hfd.training.engine import MUON, Options, Schedule, train
from benchmark.hfd.training.pairs import (
    coded_quality,
    make_pairs,
    random_pair_crops,
    reconstruct,
    residual_deviation,
)
from benchmark.hfd.training.processes import Processes, open_processes
from benchmark.hfd.unet import SMALL, UNetConfig

AXIS_WEIGHTS = (2.0, 0.5, 0.5)
"""Of luma and chroma in the loss: in units of σ_r they are alike, to the eye they are not."""


@dataclass(frozen=True)
class ScoreRecipe:
    """How a score-based decoder is trained.

    Flow. kappa: deviation of the start's noise in units of σ_r. late: density of t is proportional to
    (1 − t)^(1/late − 1); 1 is uniform, larger values train the end of the path more, smaller ones its beginning. A
    sampler with K Euler steps never looks beyond t = 1 − 1/K, so few steps want a value below 1.
    Diffusion. shift: of the schedule that t, uniform, is drawn on.
    """

    steps: int = 12_000
    decay: int = 3_000
    learning_rate: float = 8e-4
    batch: int = 16
    crop: int = 64
    kappa: float = 1.0
    late: float = 0.8
    shift: float = 1.0
    optimiser: str = MUON
    passes: int = 2


class ScoreTask(ABC):
    """`Task` of a score-based decoder, but for what tells flow and diffusion apart."""

    kind: str
    check_steps: tuple[int, ...] = (1, 4, 16)
    network: ScoreNetwork

    def __init__(
        self,
        base: Path | Base,
        folder: Path,
        cache: Path,
        unet: UNetConfig,
        recipe: ScoreRecipe,
        console: Console,
        device: torch.device,
    ) -> None:
        self.recipe = recipe
        self.base = AutoencoderBase(*load_first_stage(base, device)) if isinstance(base, Path) else base
        training, held_out = split(open_pictures(folder, cache))
        self.pairs = make_pairs(self.base, training, cache, recipe.passes, console)
        self.network = self.make_network(unet, self.base.levels)
        self.network.residual_deviation.copy_(residual_deviation(self.base, training))
        self._prepare_check(held_out)

    @abstractmethod
    def make_network(self, unet: UNetConfig, levels: int) -> ScoreNetwork:
        """The untrained network."""

    @abstractmethod
    def objective(self, predict: Predict, r: Tensor, places: Tensor, axes: Tensor) -> Tensor:
        """The loss (N,) of r (N, 3, H, W) with times from `places` (N,), uniform in [0, 1]; axes: weight of each."""

    @abstractmethod
    def sampler(self, steps: int) -> Sampler:
        """What the check samples with."""

    @abstractmethod
    def describe_kind(self) -> dict[str, Any]:
        """The part of the recipe that this kind of decoder alone has."""

    def _prepare_check(self, held_out: PictureStore) -> None:
        from benchmark.metrics import open_metric

        self.lpips: Any = open_metric("lpips")
        x = centre_crops(held_out, 6, 256)
        qualities = [coded_quality(self.base, 1 + part * (self.base.levels - 1)) for part in (0, 0.25, 0.5)]
        self.check_set = [
            (original[None], reconstruct(self.base, original[None], quality), quality)
            for original in x
            for quality in qualities
        ]

    def batch(self, generator: np.random.Generator) -> tuple[Tensor, ...]:
        """x, x̂, quality, and a place in [0, 1] for t of each crop, stratified over the batch."""
        recipe = self.recipe
        x, x_hat, quality = random_pair_crops(self.pairs, generator, recipe.batch, recipe.crop)
        places = (generator.permutation(recipe.batch) + generator.random(recipe.batch)) / recipe.batch
        return x, x_hat, quality, torch.from_numpy(places).float()

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The decoder's loss on crops, and that of the local deviation."""
        x, x_hat, quality, places = batch
        deviation = self.network.deviation(x_hat, quality)
        residual = to_luma_chroma(x - x_hat)
        surprise = gaussian_surprise(residual, deviation).mean()
        r = residual / deviation.detach()

        def predict(z: Tensor, t: Tensor) -> Tensor:
            with torch.autocast(z.device.type, torch.bfloat16):
                out: Tensor = self.network(z, x_hat, t, quality)
            return out

        axes = torch.tensor(AXIS_WEIGHTS, device=r.device)[:, None, None]
        losses = self.objective(predict, r, places, axes)
        return losses.mean() + surprise, {
            self.kind: float(losses.detach().mean()),
            "surprise": float(surprise.detach()),
        }

    def check(self) -> dict[str, float]:
        """LPIPS and PSNR of x̂ (0 steps) and of samples; score: LPIPS with the last but one number of steps."""
        figures = {}
        device = self.network.residual_deviation.device
        for steps in (0, *self.check_steps):
            decoder = ScoreDecoder(self.network, self.sampler(max(steps, 1)), "bfloat16", device)
            lpips, psnr = [], []
            for x, x_hat, quality in self.check_set:
                sample = decoder.sample(x_hat, round((quality - 1) * QUALITY_STEPS), 0).cpu() if steps else x_hat
                original = self.lpips.prepare(tensor_to_picture(x))
                lpips.append(self.lpips.compare(original, tensor_to_picture(sample)))
                psnr.append(float(-10 * (sample - x).square().mean().log10()))
            figures[f"lpips_{steps}"] = float(np.mean(lpips))
            figures[f"psnr_{steps}"] = float(np.mean(psnr))
        return {"score": figures[f"lpips_{self.check_steps[-2]}"], **figures}

    def describe(self) -> dict[str, Any]:
        """Network, base and data."""
        return {
            "decoder": self.kind,
            "unet": self.network.unet.config.as_json(),
            "levels": self.network.levels,
            **self.base.record(),
            "residual_deviation": self.network.residual_deviation.tolist(),
            "pairs": len(self.pairs.qualities),
            "crop": self.recipe.crop,
            "batch": self.recipe.batch,
            **self.describe_kind(),
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


TASKS: dict[str, type[ScoreTask]] = {"flow": FlowTask, "diffusion": DiffusionTask}


def gaussian_surprise(residual: Tensor, deviation: Tensor) -> Tensor:
    """−log of a Gaussian density of `residual` with `deviation`, both (N, 3, H, W), less a constant: (N,)."""
    return (deviation.log() + (residual / deviation).square() / 2).mean((1, 2, 3))


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
    """Trains a "flow" or a "diffusion" decoder on the pictures of `folder` as `base` reconstructs them.

    base: a base, or the weights file of a first stage. start: earlier weights; a diffusion can begin with a flow's.
    Returns the path of the averaged weights.
    """
    processes = processes or open_processes()
    with processes.first_alone():
        torch.manual_seed(seed)
        task = TASKS[kind](base, folder, cache, unet, recipe, console, processes.device)
        if start is not None and kind == "diffusion":
            start = begin_diffusion(start, output)
    schedule = Schedule(recipe.steps, recipe.learning_rate, decay=recipe.decay)
    options = Options(output, seed, ema_decay=0.999, clip=1.0, checkpoint_seconds=180, optimiser=recipe.optimiser)
    return train(task, schedule, options, parameter_groups, console, start, processes)
