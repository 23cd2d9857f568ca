"""Training of `hific`, the paper's own: MSE + LPIPS at a target rate first, then the conditional GAN besides.

Mentzer et al. 2020, appendix, with the constants of `losses`. What is otherwise: crops as all trainings of this suite
cut them (half are scaled down by up to 2 first), the weights that are kept are averaged (0.9995), β₂ of Adam is 0.99,
and with fewer steps than the paper's million the learning rate drops, and the easier target ends, that much sooner.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from rich.console import Console
from torch import Tensor

from benchmark.baselines.hific.adversarial import AdversarialLoss
from benchmark.baselines.hific.discriminator import Discriminator
from benchmark.baselines.hific.losses import LossSettings, compression_loss, learning_rate
from benchmark.baselines.hific.model import Hific, HificConfig, quantise
from benchmark.baselines.hific.network import HYPER_STRIDE, STRIDE
from benchmark.baselines.hific.weights import write_hific
from benchmark.errors import BenchmarkError, UsageError
from benchmark.hfd.weights import from_json
from benchmark.metrics.perceptual import load_network
from benchmark.reading import shown, sound
from benchmark.training.adversarial import train_then_gan
from benchmark.training.checkpoint import fill_averaged, read_training
from benchmark.training.command import TrainingCommand
from benchmark.training.crops import centre_crops, open_pictures, random_crops, split
from benchmark.training.optimisers import ADAM
from benchmark.training.options import Options, Schedule
from benchmark.training.precision import Precision, precision_of
from benchmark.training.processes import Processes, open_processes
from benchmark.training.task import DiscriminatorTraining

TARGETS = {"low": 0.14, "med": 0.30, "high": 0.45}
"""Bits per pixel of the paper's three models."""

LARGEST_NORM = 1e6
"""Of the gradient of a step that counts. The paper neither clips nor leaves out; this stops at what is no gradient."""

CHECK_EVERY = 5_000


@dataclass(frozen=True)
class HificRecipe:
    """How the model is trained; each field but the target, in bits per pixel, is an option of the command."""

    steps: Annotated[int, Field(ge=0, description="steps with MSE and LPIPS; 0: begin the GAN with --from")] = 1_000_000
    gan_steps: Annotated[int, Field(ge=0, description="steps with the discriminator after those")] = 1_000_000
    target: float = TARGETS["low"]
    learning_rate: Annotated[float, Field(ge=0, description="of Adam; a tenth in the second half of each part")] = 1e-4
    batch: Annotated[int, Field(ge=1, description="crops per batch, of each process")] = 8
    crop: Annotated[int, Field(ge=128, description="side of a crop, a multiple of 64")] = 256
    precision: Annotated[Precision, Field(description="of encoder, generator, discriminator")] = "float32"
    accumulate: Annotated[int, Field(ge=1, description="batches of each process for one step")] = 1


@dataclass(frozen=True)
class DroppingSchedule(Schedule):
    """The paper's: constant, a tenth of it in the second half."""

    def at(self, step: int) -> float:
        """The learning rate of `step`, counted from 0."""
        return learning_rate(step, self.learning_rate, self.steps // 2)


def scaled(config: HificConfig, width: float) -> HificConfig:
    """The model with all channels times `width`, at least 4."""
    channels = [max(4, round(c * width)) for c in (*config.widths, config.latents, config.hyper)]
    return replace(config, widths=tuple(channels[:-2]), latents=channels[-2], hyper=channels[-1])


class HificTask:
    """`Task` of encoder, hyperprior and generator, in either half of their training."""

    def __init__(
        self,
        folders: Path | Sequence[Path],
        cache: Path,
        config: HificConfig,
        recipe: HificRecipe,
        device: torch.device,
    ) -> None:
        if recipe.crop % (STRIDE * HYPER_STRIDE) or recipe.crop < 128:
            raise UsageError(f"the side of a crop is a multiple of {STRIDE * HYPER_STRIDE}, at least 128")
        self.recipe = recipe
        self.training, held_out = split(open_pictures(folders, cache))
        self.held_out = centre_crops(held_out, 6, 256) + 0.5
        self.network = Hific(config)
        self.perceptual = load_network().to(device)
        self.settings = LossSettings(target=recipe.target)
        self.gan: AdversarialLoss | None = None

    def begin(self, steps: int, gan: AdversarialLoss | None) -> None:
        """Before each half, of so many steps: the easier target lasts for a twentieth of it."""
        self.settings = replace(self.settings, warm_up=steps // 20)
        self.gan = gan

    def batch(self, generator: np.random.Generator) -> tuple[Tensor, ...]:
        """Crops in [0, 1]."""
        return (random_crops(self.training, generator, self.recipe.batch, self.recipe.crop) + 0.5,)

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Rate, squared error and LPIPS, and the generator's part of the GAN."""
        (picture,) = batch
        model = self.network
        coded = model(model.to_range(picture))
        with torch.autocast(picture.device.type, enabled=False):
            made = model.from_range(coded.reconstruction.float())
            parts = compression_loss(
                picture, made, coded.noisy_bits, coded.rounded_bits, self.perceptual, step, self.settings
            )
        loss = parts.total
        figures = {
            "loss": float(loss.detach()),
            "bpp": float(coded.rounded_bits.mean()) / picture[0, 0].numel(),
            "psnr": float(20 * math.log10(255) - 10 * parts.squared_error.log10()),
            "lpips": float(parts.perceptual),
            "rate_weight": parts.rate_weight,
        }
        if self.gan is not None:
            adversarial = self.gan.against_generator(model.to_range(picture), model.to_range(made), coded.y_hat)
            loss = loss + self.settings.adversarial * adversarial
            figures["adversarial"] = float(adversarial.detach())
        return loss, figures

    def check(self) -> dict[str, float]:
        """Estimated bpp, PSNR, LPIPS on held-out images; score: squared error and LPIPS, weighted as in the loss."""
        model, device = self.network, next(self.network.parameters()).device
        bpp, error, distance = [], [], []
        for picture in self.held_out.to(device).split(1):
            y = model.analyse(picture)
            z_hat = model.hyper_analyse(y)
            mean, scale = model.mean_and_scale(z_hat)
            y_hat = quantise(y, mean)
            made = model.synthesise(y_hat, *picture.shape[-2:])
            bpp.append(float(model.estimate(y_hat, z_hat, mean, scale)) / picture[0, 0].numel())
            error.append(float((255 * (made - picture)).square().mean()))
            distance.append(float(self.perceptual(2 * made - 1, 2 * picture - 1).mean()))
        score = self.settings.distortion * np.mean(error) + self.settings.perceptual * np.mean(distance)
        psnr = np.mean(20 * math.log10(255) - 10 * np.log10(error))
        return {
            "score": float(score),
            "bpp": float(np.mean(bpp)),
            "psnr": float(psnr),
            "lpips": float(np.mean(distance)),
        }

    def describe(self) -> dict[str, Any]:
        """Network, data and target."""
        recipe = self.recipe
        return {
            "hific": self.network.config.as_json(),
            "pictures": len(self.training),
            "crop": recipe.crop,
            "batch": recipe.batch,
            "target": recipe.target,
            "adversarial": self.settings.adversarial if self.gan else 0.0,
        }


def train_hific(
    folders: Path | Sequence[Path],
    output: Path,
    cache: Path,
    recipe: HificRecipe,
    console: Console,
    seed: int = 0,
    config: HificConfig | None = None,
    start: Path | None = None,
    processes: Processes | None = None,
) -> Path:
    """Trains on the images of `folders`; returns the path of the averaged weights.

    Two trainings, one after the other: OUTPUT/1-similar without the discriminator, OUTPUT/2-gan with it, begun with the
    averaged weights of the first. start: earlier weights; with steps = 0 the GAN begins with them.
    """
    processes = processes or open_processes(recipe.precision)
    with processes.first_alone():
        torch.manual_seed(seed)
        task = HificTask(folders, cache, config or HificConfig(), recipe, processes.device)
    options = Options(
        output,
        seed,
        clip=math.inf,
        check_every=CHECK_EVERY,
        precision=precision_of(recipe.precision, processes.device, console),
        accumulate=recipe.accumulate,
        largest_norm=LARGEST_NORM,
        optimiser=ADAM,
    )
    task.begin(recipe.steps, None)

    def open_discriminator(schedule: Schedule) -> DiscriminatorTraining:
        gan = AdversarialLoss(Discriminator(task.network.config.latents))
        task.begin(schedule.steps, gan)
        return DiscriminatorTraining(gan.discriminator, gan.loss, schedule, (0.9, 0.999))

    similar, adversarial = (DroppingSchedule(steps, recipe.learning_rate) for steps in (recipe.steps, recipe.gan_steps))
    return train_then_gan(task, (similar, adversarial), open_discriminator, options, console, start, processes)


def make_hific(
    folders: Sequence[Path],
    output: Path,
    cache: Path,
    recipe: HificRecipe,
    *,
    target: str = "low",
    width: float = 1.0,
    seed: int = 0,
    start: Path | None = None,
) -> None:
    """From images to a weights file, OUTPUT/hific.safetensors: what the command `train hific` does.

    target: low, med, high, or bits per pixel. width: of all channels; 1 is the paper's model. Raises UsageError.
    """
    try:
        rate = TARGETS[target] if target in TARGETS else float(target)
    except ValueError:
        rate = math.nan
    if not 0 < rate < 24:
        raise UsageError(f"--target is {', '.join(TARGETS)} or bits per pixel, not {target!r}")
    processes = open_processes(recipe.precision)
    console = Console(quiet=not processes.first)
    config, recipe = scaled(HificConfig(), width), replace(recipe, target=rate)
    averaged = train_hific(folders, output, cache, recipe, console, seed, config, start, processes)
    weights = output / "hific.safetensors"
    if processes.first:
        export_hific(averaged, weights, target if target in TARGETS else None)
    variant = "" if target in TARGETS else ",variant=low (or med, high: where its quality shall stand)"
    console.print(f"weights: {weights}; use them as hific:weights=FILE{variant}", markup=False)


COMMAND = TrainingCommand(make_hific, HificRecipe, Path("trainings/hific"), notes="Writes OUTPUT/hific.safetensors.")


def export_hific(trained: Path, output: Path, variant: str | None) -> None:
    """Writes the model in `trained` (`averaged.safetensors`, `best.safetensors`) as a weights file of the codec."""
    averaged, recipe = read_training(trained)
    if "hific" not in recipe:
        raise BenchmarkError(f"{trained} holds no training of hific")
    with sound(shown(trained), "a training of hific"):
        model = Hific(HificConfig(**from_json(recipe["hific"])))
    fill_averaged(model, averaged, trained)
    training = json.dumps(recipe)
    write_hific(output, model, variant, {"trained with": "this suite", "recipe": training}, {"training": training})
