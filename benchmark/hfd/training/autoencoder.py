"""Training of the first stage: bits + λ·MSE at random qualities; of the small one the entropy model alone first."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmark.errors import BenchmarkError, UsageError
from benchmark.hfd.autoencoder import SMALL, Autoencoder, AutoencoderConfig
from benchmark.hfd.elic import STRIDE as ELIC_STRIDE
from benchmark.hfd.elic import Elic, ElicConfig
from benchmark.hfd.transforms import STRIDE
from benchmark.hfd.weights import from_json, kind_of, read_weights, take_architecture
from benchmark.training.crops import centre_crops, open_pictures, random_crops, split
from benchmark.training.engine import ADAM, MUON, Options, ReplayedPart, Schedule, read_training, replay, train
from benchmark.training.processes import Processes, open_processes

BALANCE_LAMBDA, BALANCE_POWER = 0.0067, 0.45
"""The loss of each quality is divided by (λ/0.0067)^0.45, so that all qualities count alike."""


@dataclass(frozen=True)
class AutoencoderRecipe:
    """How the first stage is trained.

    entropy_steps: with the DCT alone as transform, at twice the learning rate; the small one only. batch: of each
    process. precision: "float32" or "bf16". accumulate: batches of each process for one step. optimiser: "muon" or
    "adam".
    """

    steps: int = 20_000
    entropy_steps: int = 1_500
    decay: int = 4_000
    learning_rate: float = 1.2e-3
    batch: int = 8
    crop: int = 128
    precision: str = "float32"
    accumulate: int = 1
    optimiser: str = MUON


PAPER_RECIPE = AutoencoderRecipe(
    steps=2_000_000,
    entropy_steps=0,
    decay=400_000,
    learning_rate=1e-4,
    batch=8,
    crop=256,
    precision="bf16",
    optimiser=ADAM,
)
"""Optimiser, learning rate and crops as is usual for networks of this kind; nothing of it has been tried here."""


PAPER_LARGEST_NORM = 1e5
"""Of the gradient of a step that counts. In the first steps of the full size norms of 100 to 1300 are ordinary."""

PAPER_CHECK_EVERY = 5_000
"""Steps between checks on held-out pictures: a training of the full size is a hundred times as long."""


HELD_OUT_CROPS = 10
"""Held-out crops that a check looks at, for each folder of pictures."""


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
        """Estimated bpp and PSNR on held-out pictures at each level; score: the balanced loss."""
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
        recipe = {"batch": self.recipe.batch, "crop": self.recipe.crop, "entropy_steps": self.recipe.entropy_steps}
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
        raise UsageError("the small model trains in float32: its integer-like entropy model needs it, and it is thin")


def parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Gains and scales move four times as fast as weights: they are logarithms."""
    tables: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (tables if name in ("log_gain", "entropy.log2_scale") else rest).append(parameter)
    return [{"params": rest, "scale": 1.0}, {"params": tables, "scale": 4.0}]


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
    """Trains on the pictures of `folders`; returns the path of the averaged weights.

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
    options = Options(
        output, seed, precision=recipe.precision, accumulate=recipe.accumulate, optimiser=recipe.optimiser
    )
    if isinstance(config, ElicConfig):
        options.largest_norm, options.check_every = PAPER_LARGEST_NORM, PAPER_CHECK_EVERY
    return train(task, schedule, options, parameter_groups, console, start, processes)


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
    output.parent.mkdir(parents=True, exist_ok=True)
    plain = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(plain, output, metadata={"training": json.dumps(metadata)})


def replay_autoencoder(path: Path, folder: Path, cache: Path) -> tuple[AutoencoderTask, int, list[ReplayedPart]]:
    """The step of a file in `left-out/` once more: the task with the weights before it, the step, its parts.

    Raises BenchmarkError if the file is of another kind of training, or the pictures are others.
    """
    _, evidence = read_training(path)
    if "autoencoder" not in evidence or "norm" not in evidence or "synthesis_of" in evidence:
        raise BenchmarkError(f"{path} is no step that a training of the first stage left out")
    configuration = dict(evidence["autoencoder"])
    kind = ElicConfig if take_architecture(path, configuration, None) == "paper" else AutoencoderConfig
    sizes = {key: evidence[key] for key in ("batch", "crop", "entropy_steps", "precision")}
    task = AutoencoderTask(folder, cache, kind(**from_json(configuration)), AutoencoderRecipe(**sizes))
    if len(task.training) != evidence["pictures"]:
        raise BenchmarkError(
            f"{folder} has {len(task.training)} training pictures, the training had {evidence['pictures']}"
        )
    return task, evidence["step"], list(replay(task, path))
