"""Training of the first stage: bits + λ·MSE at random qualities; of the small one the entropy model alone first."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from rich.console import Console
from torch import Tensor, nn

from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import write_tensors
from benchmark.hfd.autoencoder import SMALL, Autoencoder, AutoencoderConfig
from benchmark.hfd.elic import PAPER, Elic, ElicConfig
from benchmark.hfd.elic import STRIDE as ELIC_STRIDE
from benchmark.hfd.training.export import export_first_stage
from benchmark.hfd.transforms import STRIDE
from benchmark.hfd.weights import from_json, kind_of, read_weights, take_architecture
from benchmark.reading import shown, sound
from benchmark.training.checkpoint import read_training
from benchmark.training.command import TrainingCommand
from benchmark.training.crops import centre_crops, open_pictures, random_crops, split
from benchmark.training.loop import train
from benchmark.training.options import Options, Schedule
from benchmark.training.precision import AUTO, Precision, precision_of
from benchmark.training.processes import Processes, open_processes
from benchmark.training.replay import ReplayedPart, replay

BALANCE_LAMBDA, BALANCE_POWER = 0.0067, 0.45
"""The loss of each quality is divided by (λ/0.0067)^0.45, so that all qualities count alike."""


@dataclass(frozen=True)
class AutoencoderRecipe:
    """How the first stage is trained; each field is an option of the command. entropy_steps: of the small one only."""

    steps: Annotated[int, Field(ge=1, description="steps in all")] = 20_000
    entropy_steps: Annotated[int, Field(ge=0, description="first steps, with the DCT alone as transform")] = 1_500
    decay: Annotated[int, Field(ge=0, description="steps of the falling learning rate at the end")] = 4_000
    learning_rate: Annotated[float, Field(ge=0, description="highest learning rate")] = 1.2e-3
    batch: Annotated[int, Field(ge=1, description="crops per batch, of each process")] = 8
    crop: Annotated[int, Field(ge=16, description="side of a crop, a multiple of 16; of 64 for the full size")] = 128
    precision: Annotated[Precision, Field(description="of the networks; the small ones take float32 alone")] = "float32"
    accumulate: Annotated[int, Field(ge=1, description="batches of each process for one step")] = 1
    optimiser: Annotated[Literal["muon", "adam"], Field(description="what moves the weights")] = "muon"
    weight_decay: Annotated[float, Field(ge=0, description="of kernels other than the DCT's, with muon alone")] = 0.0


FULL_SIZE: dict[str, Any] = {
    "steps": 2_000_000,
    "entropy_steps": 0,
    "decay": 400_000,
    "learning_rate": 1e-4,
    "crop": 256,
    "precision": AUTO,
    "optimiser": "adam",
}
"""What the recipe for the full size has otherwise: as is usual for such networks; nothing of it has been tried here."""


PAPER_LARGEST_NORM = 1e5
"""Of the gradient of a step that counts. In the first steps of the full size norms of 100 to 1300 are ordinary."""

PAPER_CHECK_EVERY = 5_000
"""Steps between checks on held-out images: a training of the full size is a hundred times as long."""


HELD_OUT_CROPS = 10
"""Held-out crops that a check looks at, for each folder of images."""


class AutoencoderTask:
    """`Task` of the first stage."""

    def __init__(
        self,
        folders: Path | Sequence[Path],
        cache: Path,
        config: AutoencoderConfig | ElicConfig,
        recipe: AutoencoderRecipe,
    ) -> None:
        _check_recipe(config, recipe)
        self.recipe = recipe
        self.training, held_out = split(open_pictures(folders, cache))
        self.held_out = centre_crops(held_out, HELD_OUT_CROPS * (1 if isinstance(folders, Path) else len(folders)), 256)
        self.network: Autoencoder | Elic
        if isinstance(config, ElicConfig):
            self.network = Elic(config)
        else:
            self.network = Autoencoder(config)
            self.network.initialise_scales(random_crops(self.training, np.random.default_rng(1), 64, 128))

    def batch(self, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Crops, and a quality for each."""
        count = self.recipe.batch
        x = random_crops(self.training, generator, count, self.recipe.crop)
        # stratified: each batch covers the whole range of qualities
        places = (generator.permutation(count) + generator.random(count)) / count
        return x, torch.from_numpy(1 + places * (self.network.config.levels - 1)).float()

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Rate + λ·255²·MSE over a batch of crops, one quality each, plus the factorised prior's own loss."""
        quality = batch[1]
        bpp, mse = self._rate_and_error(step, *batch)
        lam = torch.tensor([self.network.lam(q) for q in quality.tolist()], device=bpp.device)
        objective = bpp + lam * 255**2 * mse
        loss = (objective / (lam / BALANCE_LAMBDA) ** BALANCE_POWER).mean()
        with torch.autocast(loss.device.type, enabled=False):
            quantiles = 1e-3 * self._bottleneck().loss()  # moves the quantiles only; small, lest it fill the clip
        figures = {
            "loss": float(loss.detach()),
            "bpp": float(bpp.detach().mean()),
            "psnr": float(-10 * mse.detach().log10().mean()),
        }
        return loss + quantiles, figures

    def _rate_and_error(self, step: int, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Estimated bits per pixel and mean squared error of each crop, (N,)."""
        model = self.network
        if step < self.recipe.entropy_steps and isinstance(model, Autoencoder):
            x_hat, bpp = model.forward_fixed_transform(x, quality)
        else:
            x_hat, bpp = model(x, quality)
        return bpp, (x_hat - x).square().mean((1, 2, 3))

    def _bottleneck(self) -> Any:
        return self.network.bottleneck if isinstance(self.network, Elic) else self.network.entropy.bottleneck

    @torch.no_grad()
    def each_crop(self, step: int, *batch: Tensor) -> list[dict[str, float]]:
        """Quality, bits per pixel and PSNR of each crop of a batch; with the noise that torch's generator gives."""
        bpp, mse = self._rate_and_error(step, *batch)
        psnr = -10 * mse.log10()
        rows = zip(batch[1].tolist(), bpp.tolist(), psnr.tolist(), strict=True)
        return [{"quality": q, "bpp": b, "psnr": p} for q, b, p in rows]

    def check(self) -> dict[str, float]:
        """Estimated bpp and PSNR on held-out images at each level; score: the balanced loss."""
        model = self.network
        held_out = self.held_out.to(model.log_gain.device)
        figures, score = {}, 0.0
        for level in range(1, model.config.levels + 1):
            x_hat, bpp = model(held_out, torch.full((len(held_out),), float(level), device=held_out.device))
            mse = (x_hat.clamp(-0.5, 0.5) - held_out).square().mean((1, 2, 3))
            lam = model.lam(level)
            objective = bpp + lam * 255**2 * mse
            score += float(objective.mean()) / (lam / BALANCE_LAMBDA) ** BALANCE_POWER / model.config.levels
            figures[f"bpp_{level}"] = float(bpp.mean())
            figures[f"psnr_{level}"] = float(-10 * mse.log10().mean())
        return {"score": score, **figures}

    def describe(self) -> dict[str, Any]:
        """Network and data."""
        model = self.network
        recipe: dict[str, float] = {
            "batch": self.recipe.batch,
            "crop": self.recipe.crop,
            "entropy_steps": self.recipe.entropy_steps,
        }
        if self.recipe.weight_decay:  # a training without one does not say so, as older recipes do not
            recipe["weight_decay"] = self.recipe.weight_decay
        return {"autoencoder": model.config.as_json(), "pictures": len(self.training), **recipe}


def _check_recipe(config: AutoencoderConfig | ElicConfig, recipe: AutoencoderRecipe) -> None:
    """Raises UsageError on what the architecture cannot do."""
    paper = isinstance(config, ElicConfig)
    stride = ELIC_STRIDE if paper else STRIDE
    if recipe.crop % stride:
        raise UsageError(f"the {'paper' if paper else 'small'} model takes crops whose side is a multiple of {stride}")
    if paper and recipe.entropy_steps:
        raise UsageError("the paper model has no fixed transform to begin with: leave out --entropy-steps")
    if not paper and recipe.precision != "float32":
        raise UsageError("the small model trains in float32, which its entropy model needs: leave out --precision")
    if recipe.weight_decay and recipe.optimiser != "muon":
        raise UsageError("--weight-decay is Muon's: leave it out with --optimiser adam")


def parameter_groups(network: nn.Module, weight_decay: float = 0.0) -> list[dict[str, Any]]:
    """Gains and scales move four times as fast as weights: they are logarithms. The DCT's kernels do not decay."""
    groups: dict[str, list[nn.Parameter]] = {"weights": [], "dct": [], "tables": []}
    for name, parameter in network.named_parameters():
        tables = name in ("log_gain", "entropy.log2_scale")
        groups["tables" if tables else "dct" if "dct." in name else "weights"].append(parameter)
    weights = {"params": groups["weights"], "scale": 1.0, **({"weight_decay": weight_decay} if weight_decay else {})}
    return [weights, {"params": groups["dct"], "scale": 1.0}, {"params": groups["tables"], "scale": 4.0}]


def train_autoencoder(
    folders: Path | Sequence[Path],
    output: Path,
    cache: Path,
    recipe: AutoencoderRecipe,
    console: Console,
    seed: int = 0,
    config: AutoencoderConfig | ElicConfig = SMALL,
    start: Path | None = None,
    processes: Processes | None = None,
    levels_below: int = 0,
) -> Path:
    """Trains on the images of `folders`; returns the path of the averaged weights.

    levels_below: so many levels are added below the lowest of `start`; `config` has them already.
    """
    processes = processes or open_processes(recipe.precision)
    with processes.first_alone():
        torch.manual_seed(seed)
        task = AutoencoderTask(folders, cache, config, recipe)
        if levels_below and start is not None:
            begun = output / "begun.safetensors"
            if processes.first:
                add_levels_below(start, begun, levels_below)
            start = begun
    schedule = Schedule(recipe.steps, recipe.learning_rate, decay=recipe.decay)
    precision = precision_of(recipe.precision, processes.device, console)
    options = Options(output, seed, precision=precision, accumulate=recipe.accumulate, optimiser=recipe.optimiser)
    if isinstance(config, ElicConfig):
        options.largest_norm, options.check_every = PAPER_LARGEST_NORM, PAPER_CHECK_EVERY
    groups = partial(parameter_groups, weight_decay=recipe.weight_decay)
    return train(task, schedule, options, console, start, processes, groups=groups)


def make_first_stage(
    folders: Sequence[Path],
    output: Path,
    cache: Path,
    recipe: AutoencoderRecipe,
    *,
    model: str = "small",
    start: Path | None = None,
    levels_below: int = 0,
    seed: int = 0,
) -> None:
    """From images to a weights file, OUTPUT/first-stage.safetensors: what the command `train autoencoder` does.

    model: "small" or "paper". levels_below: so many levels more than `start` has, below its lowest. Raises UsageError
    if there is no such weights file of the small size.
    """
    paper = model == "paper"
    if levels_below and (paper or start is None):
        raise UsageError("--levels-below adds to trained weights of the small size: name them with --from")
    small = SMALL if paper or start is None else config_of(start).with_levels_below(levels_below)
    processes = open_processes(recipe.precision)
    console = Console(quiet=not processes.first)
    averaged = train_autoencoder(
        folders, output, cache, recipe, console, seed, PAPER if paper else small, start, processes, levels_below
    )
    weights = output / "first-stage.safetensors"
    if processes.first:
        export_first_stage(averaged, weights)
    settings = "mse:model=paper,first_stage=FILE" if paper else "mse:first_stage=FILE"
    console.print(f"weights: {weights}; use them as {settings}", markup=False)


COMMAND = TrainingCommand(
    make_first_stage,
    AutoencoderRecipe,
    Path("trainings/first-stage"),
    FULL_SIZE,
    notes="Writes OUTPUT/first-stage.safetensors.",
)


def config_of(weights: Path) -> AutoencoderConfig:
    """The configuration of a small first stage, a training's or a weights file's. UsageError on anything else."""
    if kind_of(weights) == "first stage":
        configuration = read_weights(weights, "first stage")[1]
    else:
        configuration = dict(read_training(weights)[1].get("autoencoder", {}))
    if not configuration or take_architecture(weights, configuration, None) != "small":
        raise UsageError(f"{weights} is no first stage of the small size")
    return AutoencoderConfig(**from_json(configuration))


def add_levels_below(weights: Path, output: Path, count: int) -> None:
    """Writes `weights` of a small first stage to `output` with `count` levels more below the lowest.

    Gains and scales go on as they go from the second level to the first, the transforms' tables as they are at the
    first. Raises UsageError on weights of anything else.
    """
    tensors, recipe = read_training(weights)
    extended = config_of(weights).with_levels_below(count)
    for name in ("log_gain", "entropy.log2_scale"):
        first, second = tensors[name][0].float(), tensors[name][1].float()
        added = [first + n * (first - second) for n in range(count, 0, -1)]
        tensors[name] = torch.cat([torch.stack(added), tensors[name].float()])
    for name in ("analysis.level_table", "synthesis.level_table"):
        first = tensors[name][:1].float()
        tensors[name] = torch.cat([first.repeat(count, 1), tensors[name].float()])
    metadata = recipe | {"autoencoder": extended.as_json()}
    plain = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_tensors(output, plain, {"training": json.dumps(metadata)})


def replay_autoencoder(
    path: Path, folders: Path | Sequence[Path], cache: Path
) -> tuple[AutoencoderTask, int, list[ReplayedPart]]:
    """The step of a file in `left-out/` once more: the task with the weights before it, the step, its parts.

    Raises BenchmarkError if the file is of another kind of training, or the images are others.
    """
    _, evidence = read_training(path)
    if "autoencoder" not in evidence or "norm" not in evidence or "synthesis_of" in evidence:
        raise BenchmarkError(f"{path} is no step that a training of the first stage left out")
    configuration = dict(evidence["autoencoder"]) if isinstance(evidence["autoencoder"], dict) else {}
    kind = ElicConfig if take_architecture(path, configuration, None) == "paper" else AutoencoderConfig
    sizes = {key: evidence[key] for key in ("batch", "crop", "entropy_steps", "precision")}
    with sound(shown(path), "a step of a training of the first stage"):
        task = AutoencoderTask(folders, cache, kind(**from_json(configuration)), AutoencoderRecipe(**sizes))
    if len(task.training) != evidence["pictures"]:
        raise BenchmarkError(
            f"these folders have {len(task.training)} training images, the training had {evidence['pictures']}"
        )
    return task, evidence["step"], list(replay(task, path))
