"""What the trainings of all decoders on a frozen base's reconstructions share: recipe, data, check."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from benchmark.errors import UsageError
from benchmark.hfd.autoencoder import QUALITY_STEPS
from benchmark.hfd.bases import AutoencoderBase, Base
from benchmark.hfd.first_stage import load_first_stage
from benchmark.hfd.sampling import Sampler, ScoreDecoder
from benchmark.hfd.score import ScoreNetwork, tensor_to_picture
from benchmark.hfd.training.pairs import (
    DevicePairs,
    coded_quality,
    make_pairs,
    random_pair_crops,
    reconstruct,
    residual_deviation,
)
from benchmark.hfd.unet import UNetConfig
from benchmark.training.crops import PictureStore, centre_crops, open_pictures, split
from benchmark.training.engine import ADAM, MUON, fitting_weights


def axis_weights(chroma: float) -> tuple[float, float, float]:
    """Of luma and both chroma axes in the loss, 3 in sum: in units of σ_r they are alike, to the eye they are not."""
    return 3 - 2 * chroma, chroma, chroma


@dataclass(frozen=True)
class ScoreRecipe:
    """How a score-based decoder is trained.

    chroma: weight of each chroma axis, see `axis_weights`.
    Flow. kappa: deviation of the start's noise in units of σ_r. late: density of t is proportional to
    (1 − t)^(1/late − 1); 1 is uniform, larger values train the end of the path more, smaller ones its beginning. A
    sampler with K Euler steps never looks beyond t = 1 − 1/K, so few steps want a value below 1.
    Diffusion. shift: of the schedule that t, uniform, is drawn on.
    One step. patches: sides of those whose energy scores are averaged; bands, perceptual: weights of the scores of Haar
    bands, of `band_levels` sizes, and of LPIPS's maps against theirs; perceptual_scales: how far windows of the crops
    are enlarged for the latter; perceptual_views: windows are shown each time otherwise, see `views`.
    spread_exponent: spreads are u^spread_exponent with u uniform.
    passes: of the pictures, each coded anew; low: above 1 more of them at low rates; varied: pictures turned, stretched
    and toned; see `make_pairs`. precision: of the U-Net, "bf16" (autocast) or "float32". accumulate: batches of each
    process for one step. check_every: steps between checks on held-out pictures. workers: processes that code pictures
    for the pairs.
    """

    steps: int = 12_000
    decay: int = 3_000
    learning_rate: float = 8e-4
    batch: int = 16
    crop: int = 64
    chroma: float = 0.5
    kappa: float = 1.0
    late: float = 0.8
    shift: float = 1.0
    patches: tuple[int, ...] = (1, 4)
    bands: float = 6.0
    band_levels: int = 3
    perceptual: float = 1.0
    perceptual_scales: tuple[int, ...] = (1,)
    perceptual_views: bool = False
    spread_exponent: float = 0.5
    optimiser: str = MUON
    passes: int = 2
    low: float = 1.0
    varied: bool = False
    precision: str = "bf16"
    accumulate: int = 1
    check_every: int = 1000
    workers: int = 1


PAPER_SCORE_RECIPE = ScoreRecipe(steps=1_000_000, decay=100_000, learning_rate=1e-4, crop=256, optimiser=ADAM)
"""Optimiser, learning rate and crops as is usual for networks of this size; nothing of it has been tried here."""


class DecoderTask(ABC):
    """`Task` of a decoder of residuals, but for what tells the kinds apart: network, loss, sampler."""

    kind: str
    check_steps: tuple[int, ...] = (1, 4, 16)
    judged_steps: int = 4
    smallest_crop: int = 8
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
        start: Path | None = None,
    ) -> None:
        """start: weights that the training will begin with; refused here, before pictures are coded, if they misfit."""
        if recipe.crop < self.smallest_crop:
            raise UsageError(f"crops for the {self.kind} decoder have sides of at least {self.smallest_crop} pixels")
        stride = 2 ** len(unet.channels)
        if recipe.crop % stride:
            raise UsageError(f"this U-Net takes crops whose side is a multiple of {stride}, not {recipe.crop}")
        self.recipe = recipe
        if isinstance(base, Path):
            coding = device if recipe.workers == 1 else torch.device("cpu")
            base = AutoencoderBase(*load_first_stage(base, coding))
        self.base = base
        self.network = self.make_network(unet, self.base.levels)
        if start is not None:
            fitting_weights(start, self.network)
        training, held_out = split(open_pictures(folder, cache))
        self.pairs = make_pairs(
            self.base,
            training,
            cache,
            recipe.passes,
            console,
            low=recipe.low,
            varied=recipe.varied,
            workers=recipe.workers,
        )
        self.pairs = self.pairs.at_least(recipe.crop)
        self.on_device = DevicePairs(self.pairs, device) if DevicePairs.fit(self.pairs, device) else None
        self.network.residual_deviation.copy_(residual_deviation(self.base, training))
        self._prepare_check(held_out)
        if device.type == "cuda":
            self.network.unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @abstractmethod
    def make_network(self, unet: UNetConfig, levels: int) -> ScoreNetwork:
        """The untrained network."""

    @abstractmethod
    def sampler(self, steps: int) -> Sampler:
        """What the check samples with."""

    @abstractmethod
    def describe_kind(self) -> dict[str, Any]:
        """The part of the recipe that this kind of decoder alone has."""

    @abstractmethod
    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The loss on what `batch` gave, to be made small, and figures for the log."""

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
        """x, x̂ and quality of each crop."""
        if self.on_device is not None:
            return self.on_device.random_crops(generator, self.recipe.batch, self.recipe.crop)
        return random_pair_crops(self.pairs, generator, self.recipe.batch, self.recipe.crop)

    def autocast(self, device: torch.device) -> torch.autocast:
        """The U-Net's precision, inside the `with`."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16")

    def check(self) -> dict[str, float]:
        """LPIPS and PSNR of x̂ (0 steps) and of samples; score: LPIPS with `judged_steps`."""
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
        return {"score": figures[f"lpips_{self.judged_steps}"], **figures}

    def describe(self) -> dict[str, Any]:
        """Network, base and data."""
        return {
            "decoder": self.kind,
            "unet": self.network.unet.config.as_json(),
            "levels": self.network.levels,
            **self.base.record(),
            "residual_deviation": self.network.residual_deviation.tolist(),
            "pairs": len(self.pairs.qualities),
            "chroma": self.recipe.chroma,
            "crop": self.recipe.crop,
            "batch": self.recipe.batch,
            "unet_precision": self.recipe.precision,
            **self.describe_kind(),
        }


def gaussian_surprise(residual: Tensor, deviation: Tensor) -> Tensor:
    """−log of a Gaussian density of `residual` with `deviation`, both (N, 3, H, W), less a constant: (N,)."""
    return (deviation.log() + (residual / deviation).square() / 2).mean((1, 2, 3))
