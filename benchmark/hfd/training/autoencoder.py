"""Training of the first stage: bits + λ·MSE at random qualities, the entropy model alone first."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from benchmark.hfd.autoencoder import SMALL, Autoencoder, AutoencoderConfig
from benchmark.hfd.training.crops import centre_crops, open_pictures, random_crops, split
from benchmark.hfd.training.engine import Options, Schedule, train

BALANCE_LAMBDA, BALANCE_POWER = 0.0067, 0.45
"""The loss of each quality is divided by (λ/0.0067)^0.45, so that all qualities count alike."""


@dataclass(frozen=True)
class AutoencoderRecipe:
    """How the first stage is trained. entropy_steps: with the DCT alone as transform, at twice the learning rate."""

    steps: int = 20_000
    entropy_steps: int = 1_500
    decay: int = 4_000
    learning_rate: float = 8e-4
    batch: int = 8
    crop: int = 128


class AutoencoderTask:
    """`Task` of the first stage."""

    def __init__(self, folder: Path, cache: Path, config: AutoencoderConfig, recipe: AutoencoderRecipe) -> None:
        self.recipe = recipe
        self.training, held_out = split(open_pictures(folder, cache))
        self.held_out = centre_crops(held_out, 10, 256)
        self.network = Autoencoder(config)
        self.network.initialise_scales(random_crops(self.training, np.random.default_rng(1), 64, 128))

    def loss(self, step: int, generator: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Rate + λ·255²·MSE over a batch of crops, one quality each, plus the factorised prior's own loss."""
        model, recipe = self.network, self.recipe
        x = random_crops(self.training, generator, recipe.batch, recipe.crop)
        # stratified: each batch covers the whole range of qualities
        places = (generator.permutation(recipe.batch) + generator.random(recipe.batch)) / recipe.batch
        quality = torch.from_numpy(1 + places * (model.config.levels - 1)).float()
        forward = model.forward_fixed_transform if step < recipe.entropy_steps else model.forward
        x_hat, bpp = forward(x, quality)
        mse = (x_hat - x).square().mean((1, 2, 3))
        lam = torch.tensor([model.lam(q) for q in quality.tolist()])
        objective = bpp + lam * 255**2 * mse
        loss = (objective / (lam / BALANCE_LAMBDA) ** BALANCE_POWER).mean()
        quantiles = 1e-3 * model.entropy.bottleneck.loss()  # moves the quantiles only; small, lest it fill the clip
        figures = {
            "loss": float(loss.detach()),
            "bpp": float(bpp.detach().mean()),
            "psnr": float(-10 * mse.detach().log10().mean()),
        }
        return loss + quantiles, figures

    def check(self) -> dict[str, float]:
        """Estimated bpp and PSNR on held-out pictures at each level; score: the balanced loss."""
        model = self.network
        figures, score = {}, 0.0
        for level in range(1, model.config.levels + 1):
            x_hat, bpp = model(self.held_out, torch.full((len(self.held_out),), float(level)))
            mse = (x_hat.clamp(-0.5, 0.5) - self.held_out).square().mean((1, 2, 3))
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


def parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Gains and scales move four times as fast as weights: they are logarithms."""
    tables: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (tables if name in ("log_gain", "entropy.log2_scale") else rest).append(parameter)
    return [{"params": rest, "scale": 1.0}, {"params": tables, "scale": 4.0}]


def train_autoencoder(
    folder: Path,
    output: Path,
    cache: Path,
    recipe: AutoencoderRecipe,
    console: Console,
    seed: int = 0,
    config: AutoencoderConfig = SMALL,
    start: Path | None = None,
) -> Path:
    """Trains on the pictures of `folder`; returns the path of the averaged weights."""
    torch.manual_seed(seed)
    task = AutoencoderTask(folder, cache, config, recipe)
    schedule = Schedule(recipe.steps, recipe.learning_rate, decay=recipe.decay)
    return train(task, schedule, Options(output, seed), parameter_groups, console, start)
