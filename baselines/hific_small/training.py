"""Training of `hific-small`: MSE and LPIPS first, then a conditional GAN besides, on the bits of `mse`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from rich.console import Console
from torch import Tensor

from benchmark.baselines.hific.losses import LossSettings
from benchmark.baselines.hific_small.adversarial import LatentAdversarialLoss
from benchmark.baselines.hific_small.network import KIND, SMALL, Generator, GeneratorConfig
from benchmark.errors import UsageError
from benchmark.hfd.bases import AutoencoderBase
from benchmark.hfd.container import steps_of
from benchmark.hfd.first_stage import load_first_stage
from benchmark.hfd.score import tensor_to_picture
from benchmark.hfd.training.latents import decode_latents, make_latents, random_latent_crops
from benchmark.hfd.training.pairs import coded_quality, make_pairs
from benchmark.hfd.transforms import STRIDE
from benchmark.hfd.weights import FIRST_STAGE_FILE, from_json, write_weights
from benchmark.hfd.weights import SHIPPED as FIRST_STAGES
from benchmark.macs import count_macs
from benchmark.metrics.perceptual import load_network
from benchmark.packed import HALF
from benchmark.reading import shown, sound
from benchmark.training.adversarial import train_then_gan
from benchmark.training.checkpoint import fill_averaged, read_training
from benchmark.training.command import TrainingCommand
from benchmark.training.crops import PictureStore, centre_crops, open_pictures, split
from benchmark.training.options import Options, Schedule
from benchmark.training.precision import AUTO, Precision, precision_of
from benchmark.training.processes import Processes, open_processes
from benchmark.training.task import DiscriminatorTraining

BALANCE_POWER = 0.45
"""Squared error and LPIPS fall tenfold from the first quality to the last, the adversarial loss does not. At quality q
they count (λ(q)/λ(middle))^0.45 times, so that all qualities matter alike; at the middle the balance is the paper's."""


@dataclass(frozen=True)
class HificSmallRecipe:
    """How the generator is trained; each field is an option of the command. Weights: see `losses.LossSettings`."""

    steps: Annotated[int, Field(ge=0, description="steps with MSE and LPIPS; 0: begin the GAN with --from")] = 2_000
    gan_steps: Annotated[int, Field(ge=0, description="steps with the discriminator after those")] = 4_000
    decay: Annotated[int, Field(ge=0, description="last of --steps, with falling learning rate")] = 600
    gan_decay: Annotated[int, Field(ge=0, description="last of --gan-steps, with falling learning rate")] = 1_500
    learning_rate: Annotated[float, Field(ge=0, description="highest, without the discriminator")] = 8e-4
    gan_learning_rate: Annotated[float, Field(ge=0, description="highest, of generator and discriminator")] = 3e-4
    distortion: Annotated[float, Field(ge=0, description="weight of the squared error on 0..255")] = (
        LossSettings.distortion
    )
    perceptual: Annotated[float, Field(ge=0, description="weight of LPIPS")] = LossSettings.perceptual
    adversarial: Annotated[float, Field(ge=0, description="weight of the generator's GAN loss")] = (
        LossSettings.adversarial
    )
    batch: Annotated[int, Field(ge=1, description="crops per batch, of each process")] = 8
    crop: Annotated[int, Field(ge=64, le=128, description="side of a crop, a multiple of 16")] = 96
    precision: Annotated[
        Precision, Field(description="of the networks but LPIPS; auto: bf16 if the processor is quick at it")
    ] = AUTO
    optimiser: Annotated[
        Literal["muon", "adam"], Field(description="of the generator; Adam moves the discriminator")
    ] = "muon"
    passes: Annotated[int, Field(ge=1, description="of the images, each coded at another quality")] = 2


class HificSmallTask:
    """`Task` of the generator, in either part of its training."""

    def __init__(
        self,
        first_stage: Path,
        folders: Path | Sequence[Path],
        cache: Path,
        config: GeneratorConfig,
        recipe: HificSmallRecipe,
        console: Console,
        device: torch.device,
    ) -> None:
        if recipe.crop % STRIDE:
            raise UsageError(f"the side of a crop is a multiple of {STRIDE}, not {recipe.crop}")
        self.recipe = recipe
        self.base = AutoencoderBase(*load_first_stage(first_stage, device))
        training, held_out = split(open_pictures(folders, cache))
        self.store = make_latents(
            self.base, make_pairs(self.base, training, cache, recipe.passes, console), cache, console
        )
        sample = random_latent_crops(self.store, np.random.default_rng(1), 256, recipe.crop)[3]
        self.latent_deviation = sample.transpose(0, 1).flatten(1).square().mean(1).sqrt().clamp(min=0.02)
        self.network = Generator(config)
        self.network.set_latent_gain(1 / self.latent_deviation)
        self.perceptual = load_network().to(device)
        self.gan: LatentAdversarialLoss | None = None
        self.device = device
        lambdas = [self.base.first_stage.model.lam(level) for level in range(1, self.base.levels + 1)]
        self.log_lambda = torch.tensor(lambdas).log()
        self._prepare_check(held_out)

    def _prepare_check(self, held_out: PictureStore) -> None:
        from benchmark.metrics import open_metric

        self.lpips: Any = open_metric("lpips")
        qualities = [coded_quality(self.base, 1 + part * (self.base.levels - 1)) for part in (0, 0.25, 0.5)]
        self.check_set = []
        side = 256
        for original in centre_crops(held_out, 6, side).split(1):
            for quality in qualities:
                y_hat, steps = decode_latents(self.base, original, quality), steps_of(quality, self.base.levels)
                x_hat = self.base.first_stage.synthesise(y_hat, side, side, steps).cpu()
                self.check_set.append((original, y_hat, x_hat, torch.tensor([quality])))

    def batch(self, generator: np.random.Generator) -> tuple[Tensor, ...]:
        """x, x̂, quality, ŷ of crops."""
        return random_latent_crops(self.store, generator, self.recipe.batch, self.recipe.crop)

    def quality_weight(self, quality: Tensor) -> Tensor:
        """Weight of squared error and LPIPS at `quality` (N,): (N,), 1 at the middle of the qualities."""
        low, high = float(self.log_lambda[0]), float(self.log_lambda[-1])
        place = (quality - 1) / (self.base.levels - 1) - 0.5
        return (BALANCE_POWER * place * (high - low)).exp()

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Weighted squared error and LPIPS of each crop, and the generator's part of the GAN."""
        x, x_hat, quality, y_hat = batch
        recipe = self.recipe
        generated = self.network(y_hat, x_hat, quality)
        with torch.autocast(x.device.type, enabled=False):
            squared_error = (generated - x).mul(255).square().mean((1, 2, 3))
            distance = self.perceptual(2 * generated, 2 * x).flatten()
            similar = recipe.distortion * squared_error + recipe.perceptual * distance
            loss = (self.quality_weight(quality) * similar).mean()
        figures = {
            "loss": float(loss.detach()),
            "psnr": float(20 * np.log10(255) - 10 * squared_error.detach().log10().mean()),
            "lpips": float(distance.detach().mean()),
        }
        if self.gan is not None:
            adversarial = self.gan.against_generator(2 * x, 2 * generated, self.gan.condition(y_hat, quality))
            loss = loss + recipe.adversarial * adversarial
            figures["adversarial"] = float(adversarial.detach())
        return loss, figures

    def check(self) -> dict[str, float]:
        """LPIPS and PSNR of x̂ and of the generator's images; score: LPIPS, which is also a part of the loss."""
        figures: dict[str, list[float]] = {key: [] for key in ("lpips_0", "psnr_0", "lpips_1", "psnr_1")}
        for x, y_hat, x_hat, quality in self.check_set:
            made = self.network(*(t.to(self.device) for t in (y_hat, x_hat, quality))).clamp(-0.5, 0.5).cpu()
            original = self.lpips.prepare(tensor_to_picture(x))
            for place, picture in enumerate((x_hat, made)):
                figures[f"lpips_{place}"].append(self.lpips.compare(original, tensor_to_picture(picture)))
                figures[f"psnr_{place}"].append(float(-10 * (picture - x).square().mean().log10()))
        means = {key: float(np.mean(values)) for key, values in figures.items()}
        return {"score": means["lpips_1"], **means}

    def describe(self) -> dict[str, Any]:
        """Network, base, data, balance, and floating-point operations of a step of each process."""
        recipe = self.recipe
        return {
            "decoder": KIND,
            "generator": self.network.config.as_json(),
            **self.base.record(),
            "pairs": len(self.store.pairs.qualities),
            "crop": recipe.crop,
            "batch": recipe.batch,
            "distortion": recipe.distortion,
            "perceptual": recipe.perceptual,
            "adversarial": recipe.adversarial if self.gan else 0.0,
            "operations_per_step": self.operations(),
        }

    def operations(self) -> int:
        """Floating-point operations of the convolutions and linear layers of a step: two for a multiply-accumulate.

        A backward pass takes twice its forward pass, and as much as it where no weight is trainable. A step with the
        discriminator takes its forward pass three times: on original and reconstruction for itself, on the latter for
        the generator.
        """
        count, side = self.recipe.batch, self.recipe.crop
        x, one = torch.zeros(1, 3, side, side, device=self.device), torch.ones(1, device=self.device)
        y = torch.zeros(1, self.network.config.latents, side // STRIDE, side // STRIDE, device=self.device)
        self.network.to(self.device)
        macs = 3 * count_macs(lambda: self.network(y, x, one))
        macs += 3 * count_macs(lambda: self.perceptual(x, x)) // 2
        if self.gan is not None:
            discriminator = self.gan.discriminator.to(self.device)
            condition = self.gan.condition(y, one)
            macs += (3 * 2 + 2) * count_macs(lambda: discriminator(x, condition))
        return 2 * macs * count


def train_hific_small(
    first_stage: Path,
    folders: Path | Sequence[Path],
    output: Path,
    cache: Path,
    recipe: HificSmallRecipe,
    console: Console,
    seed: int = 0,
    config: GeneratorConfig = SMALL,
    start: Path | None = None,
    processes: Processes | None = None,
) -> Path:
    """Trains a generator for `first_stage` on the images of `folders`; returns the path of the averaged weights.

    Two trainings, one after the other: OUTPUT/1-similar with MSE and LPIPS, OUTPUT/2-gan with the discriminator
    besides, begun with the averaged weights of the first. start: earlier weights; with steps = 0 the GAN begins with
    them, with gan_steps = 0 there is none.
    """
    processes = processes or open_processes(recipe.precision)
    with processes.first_alone():
        torch.manual_seed(seed)
        task = HificSmallTask(first_stage, folders, cache, config, recipe, console, processes.device)
    options = Options(
        output,
        seed,
        ema_decay=0.999,
        clip=1.0,
        check_every=500,
        checkpoint_seconds=120,
        precision=precision_of(recipe.precision, processes.device, console),
        optimiser=recipe.optimiser,
    )

    def open_discriminator(schedule: Schedule) -> DiscriminatorTraining:
        task.gan = LatentAdversarialLoss(task.latent_deviation, task.base.levels)
        return DiscriminatorTraining(task.gan.discriminator, task.gan.loss, schedule)

    similar = Schedule(recipe.steps, recipe.learning_rate, decay=recipe.decay)
    adversarial = Schedule(recipe.gan_steps, recipe.gan_learning_rate, decay=recipe.gan_decay)
    return train_then_gan(task, (similar, adversarial), open_discriminator, options, console, start, processes)


def make_hific_small(
    folders: Sequence[Path],
    output: Path,
    cache: Path,
    recipe: HificSmallRecipe,
    *,
    first_stage: Path | None = None,
    seed: int = 0,
    start: Path | None = None,
) -> None:
    """From images to a weights file, OUTPUT/hific-small.safetensors: what the command `train hific-small` does.

    first_stage: weights of the autoencoder; None is the shipped one.
    """
    processes = open_processes(recipe.precision)
    console = Console(quiet=not processes.first)
    first_stage = first_stage or FIRST_STAGES / FIRST_STAGE_FILE
    averaged = train_hific_small(
        first_stage, folders, output, cache, recipe, console, seed, start=start, processes=processes
    )
    weights = output / "hific-small.safetensors"
    if processes.first:
        export_generator(averaged, weights)
    console.print(f"weights: {weights}; use them as hific-small:weights=FILE", markup=False)


COMMAND = TrainingCommand(
    make_hific_small, HificSmallRecipe, Path("trainings/hific-small"), notes="Writes OUTPUT/hific-small.safetensors."
)


def export_generator(trained: Path, output: Path, bits: int = HALF) -> None:
    """Writes the generator in `trained` (`averaged.safetensors`, `best.safetensors`) as a weights file.

    bits: as in `write_weights`.
    """
    averaged, recipe = read_training(trained)
    with sound(shown(trained), "a training of hific-small"):
        network = Generator(GeneratorConfig(**from_json(recipe["generator"])))
    fill_averaged(network, averaged, trained)
    configuration = {"generator": network.config.as_json(), "first_stage": recipe["first_stage"]}
    write_weights(output, network, KIND, configuration, recipe, bits)
