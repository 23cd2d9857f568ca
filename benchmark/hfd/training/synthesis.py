"""Training of the first stage's synthesis transform alone, on the latents of real streams.

The training of the whole learns on latents to which noise was added; an encoder rounds them. Here analysis, entropy
model and so the bits stay as they are, and what decodes them learns from just what a decoder is given: x̂ comes nearer
to the posterior mean, the best that squared error knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from rich.console import Console
from torch import Tensor

from benchmark.errors import UsageError
from benchmark.hfd.autoencoder import Autoencoder
from benchmark.hfd.bases import AutoencoderBase
from benchmark.hfd.container import QUALITY_STEPS
from benchmark.hfd.first_stage import load_first_stage
from benchmark.hfd.training.autoencoder import BALANCE_LAMBDA, BALANCE_POWER
from benchmark.hfd.training.export import export_synthesis
from benchmark.hfd.training.latents import decode_latents, make_latents, random_latent_crops
from benchmark.hfd.training.pairs import coded_quality, make_pairs
from benchmark.hfd.transforms import STRIDE
from benchmark.hfd.weights import FIRST_STAGE_FILE, SHIPPED
from benchmark.training.command import TrainingCommand
from benchmark.training.crops import PictureStore, centre_crops, open_pictures, split
from benchmark.training.loop import train
from benchmark.training.options import Options, Schedule
from benchmark.training.processes import Processes, open_processes


@dataclass(frozen=True)
class SynthesisRecipe:
    """How the synthesis transform is trained; each field is an option of the command.

    passes, low: of the images, see `make_pairs`. even: with low above 1, how far the loss makes up for it: 0 not at
    all, 1 until all qualities count as with uniform ones.
    """

    steps: Annotated[int, Field(ge=1, description="steps in all")] = 4_000
    decay: Annotated[int, Field(ge=0, description="steps of the falling learning rate at the end")] = 2_400
    learning_rate: Annotated[float, Field(ge=0, description="highest learning rate")] = 6e-4
    batch: Annotated[int, Field(ge=1, description="crops per batch, of each process")] = 6
    crop: Annotated[int, Field(ge=16, description="side of a crop, a multiple of 16")] = 160
    optimiser: Annotated[Literal["muon", "adam"], Field(description="what moves the weights")] = "muon"
    passes: Annotated[int, Field(ge=1, description="of the images, each coded at another quality")] = 3
    low: Annotated[float, Field(ge=0.1, description="above 1 more of these are of low rates")] = 1.0
    even: Annotated[float, Field(ge=0, le=1, description="how far the loss makes up for --low")] = 0.5
    workers: Annotated[int, Field(ge=1, description="processes that code the images before the training")] = 1
    check_every: Annotated[int, Field(ge=1, description="steps between checks on held-out images")] = 500


class SynthesisTask:
    """`Task` of the synthesis transform: λ·255²·MSE, balanced over the qualities as in the training of the whole."""

    network: Autoencoder

    def __init__(
        self,
        first_stage: Path,
        folders: Path | Sequence[Path],
        cache: Path,
        recipe: SynthesisRecipe,
        console: Console,
    ) -> None:
        """first_stage: the weights file that the training goes on from. UsageError if it is of the full size."""
        if recipe.crop % STRIDE:
            raise UsageError(f"the side of a crop is a multiple of {STRIDE}, not {recipe.crop}")
        self.recipe = recipe
        self.base = AutoencoderBase(*load_first_stage(first_stage, torch.device("cpu"), "small"))
        training, held_out = split(open_pictures(folders, cache))
        pairs = make_pairs(
            self.base, training, cache, recipe.passes, console, low=recipe.low, workers=recipe.workers
        ).at_least(recipe.crop)
        self.store = make_latents(self.base, pairs, cache, console)
        self._prepare_check(held_out)
        self.network = self.base.first_stage.model
        self.network.synthesis.requires_grad_(True)

    def _prepare_check(self, held_out: PictureStore) -> None:
        """ŷ and x of centre crops at each level, coded once: the bits do not change."""
        side = 256
        x = centre_crops(held_out, 10, side)
        self.check_set = {
            level: torch.cat([decode_latents(self.base, one, coded_quality(self.base, level)) for one in x.split(1)])
            for level in range(1, self.base.levels + 1)
        }
        self.check_originals = x

    def batch(self, generator: np.random.Generator) -> tuple[Tensor, ...]:
        """x, quality and ŷ of crops."""
        x, _, quality, y_hat = random_latent_crops(self.store, generator, self.recipe.batch, self.recipe.crop)
        return x, quality, y_hat

    def _synthesise(self, y_hat: Tensor, quality: Tensor) -> Tensor:
        synthesis = self.network.synthesis
        x_hat: Tensor = synthesis(y_hat, self.network.interpolate(synthesis.level_table, quality))
        return x_hat

    def _weight(self, quality: Tensor) -> Tensor:
        """One over the density of the pairs at `quality`, to the power `even`: (N,), of quality (N,)."""
        place = (quality - 1 + 0.5 / QUALITY_STEPS) / (self.base.levels - 1)
        low = self.recipe.low
        return (low * place ** (1 - 1 / low)) ** self.recipe.even

    def _balanced(self, mse: Tensor, quality: Tensor) -> Tensor:
        """The distortion's part of the whole first stage's loss, with the same weight for each quality: (N,)."""
        lam = torch.tensor([self.network.lam(q) for q in quality.tolist()], device=mse.device)
        return lam * 255**2 * mse / (lam / BALANCE_LAMBDA) ** BALANCE_POWER

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Balanced squared error."""
        x, quality, y_hat = batch
        mse = (self._synthesise(y_hat, quality) - x).square().mean((1, 2, 3))
        loss = (self._weight(quality) * self._balanced(mse, quality)).mean()
        return loss, {"psnr": float(-10 * mse.detach().log10().mean())}

    def check(self) -> dict[str, float]:
        """PSNR on held-out images at each level; score: the balanced squared error."""
        device = self.network.log_gain.device
        x, figures, scores = self.check_originals.to(device), {}, []
        for level, y_hat in self.check_set.items():
            quality = torch.full((len(x),), float(level), device=device)
            x_hat = self._synthesise(y_hat.to(device), quality).clamp(-0.5, 0.5)
            mse = (x_hat - x).square().mean((1, 2, 3))
            scores.append(float(self._balanced(mse, quality).mean()))
            figures[f"psnr_{level}"] = float(-10 * mse.log10().mean())
        return {"score": float(np.mean(scores)), **figures}

    def describe(self) -> dict[str, Any]:
        """First stage, whose bits stay as they are, and data."""
        return {
            "synthesis_of": self.base.record()["first_stage"],
            "autoencoder": self.network.config.as_json(),
            "pairs": len(self.store.pairs.qualities),
            "batch": self.recipe.batch,
            "low": self.recipe.low,
            "even": self.recipe.even,
            "crop": self.recipe.crop,
        }


def train_synthesis(
    first_stage: Path,
    folders: Path | Sequence[Path],
    output: Path,
    cache: Path,
    recipe: SynthesisRecipe,
    console: Console,
    seed: int = 0,
    processes: Processes | None = None,
) -> Path:
    """Goes on with the synthesis transform of `first_stage`, a weights file; the path of the averaged weights."""
    processes = processes or open_processes("float32")
    with processes.first_alone():
        torch.manual_seed(seed)
        task = SynthesisTask(first_stage, folders, cache, recipe, console)
    schedule = Schedule(recipe.steps, recipe.learning_rate, decay=recipe.decay)
    options = Options(output, seed, optimiser=recipe.optimiser, check_every=recipe.check_every)
    return train(task, schedule, options, console, processes=processes)


def make_synthesis(
    folders: Sequence[Path],
    output: Path,
    cache: Path,
    recipe: SynthesisRecipe,
    *,
    first_stage: Path | None = None,
    seed: int = 0,
) -> None:
    """From images to a weights file, OUTPUT/first-stage.safetensors: what the command `train synthesis` does.

    first_stage: the weights file to go on from; None is the shipped one.
    """
    first_stage = first_stage or SHIPPED / FIRST_STAGE_FILE
    processes = open_processes("float32")
    console = Console(quiet=not processes.first)
    averaged = train_synthesis(first_stage, folders, output, cache, recipe, console, seed, processes)
    weights = output / "first-stage.safetensors"
    if processes.first:
        export_synthesis(averaged, first_stage, weights)
    console.print(f"weights: {weights}; use them as mse:first_stage=FILE", markup=False)


COMMAND = TrainingCommand(
    make_synthesis,
    SynthesisRecipe,
    Path("trainings/synthesis"),
    notes="Writes OUTPUT/first-stage.safetensors. Decoders that were trained on the first stage before belong to that "
    "one.",
)
