"""What the trainings of all decoders on a frozen base's reconstructions share: recipe, data, check."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import numpy as np
import torch
from pydantic import Field
from rich.console import Console
from torch import Tensor

from benchmark.errors import UsageError
from benchmark.hfd.bases import AutoencoderBase, Base, open_classical
from benchmark.hfd.container import steps_of
from benchmark.hfd.decoders import KINDS
from benchmark.hfd.first_stage import load_first_stage
from benchmark.hfd.sampling import Predict, Sampler, ScoreDecoder
from benchmark.hfd.score import ScoreNetwork, from_luma_chroma, tensor_to_picture, to_luma_chroma
from benchmark.hfd.training.conversion import begin_larger
from benchmark.hfd.training.energy import PerceptualFeatures, perceptual_distance
from benchmark.hfd.training.export import export_decoder, has_steps
from benchmark.hfd.training.pairs import (
    DevicePairs,
    coded_quality,
    make_pairs,
    random_pair_crops,
    reconstruct,
    residual_deviation,
)
from benchmark.hfd.unet import CONFIGS, SMALL, UNetConfig
from benchmark.hfd.weights import FIRST_STAGE_FILE, SHIPPED, read_weights, take_architecture
from benchmark.metrics.perceptual import load_network
from benchmark.training.checkpoint import fitting_weights
from benchmark.training.command import TrainingCommand
from benchmark.training.crops import PictureStore, centre_crops, open_pictures, split
from benchmark.training.loop import train
from benchmark.training.options import Options, Schedule
from benchmark.training.precision import AUTO, Precision, precision_of
from benchmark.training.processes import Processes, open_processes


def axis_weights(chroma: float) -> tuple[float, float, float]:
    """Of luma and both chroma axes in the loss, 3 in sum: in units of σ_r they are alike, to the eye they are not."""
    return 3 - 2 * chroma, chroma, chroma


@dataclass(frozen=True)
class DecoderRecipe:
    """How a decoder of any kind is trained; each field is an option of its command.

    batch: of each process. chroma: see `axis_weights`. passes, low, varied: see `make_pairs`. precision: of the U-Net.
    """

    steps: Annotated[int, Field(ge=1, description="steps in all")] = 12_000
    decay: Annotated[int, Field(ge=0, description="steps of the falling learning rate at the end")] = 3_000
    learning_rate: Annotated[float, Field(ge=0, description="highest learning rate")] = 8e-4
    batch: Annotated[int, Field(ge=1, description="crops per batch, of each process")] = 16
    crop: Annotated[
        int, Field(ge=8, description="side of a crop: a multiple of 8, from medium on of 16; with LPIPS at least 32")
    ] = 64
    chroma: Annotated[
        float, Field(ge=0, le=1.5, description="weight of each chroma axis in the loss; luma has the rest of 3")
    ] = 0.5
    optimiser: Annotated[Literal["muon", "adam"], Field(description="what moves the weights")] = "muon"
    passes: Annotated[int, Field(ge=1, description="of the images, each coded at another quality")] = 2
    low: Annotated[float, Field(ge=0.1, description="above 1 more of these are of low rates")] = 1.0
    varied: Annotated[bool, Field(description="from the second pass on images are turned, stretched and toned")] = False
    precision: Annotated[
        Precision, Field(description="of the U-Net while it is trained; auto: bf16 if the processor is quick at it")
    ] = AUTO
    perceptual: Annotated[float, Field(ge=0, description="weight of LPIPS's maps, at what a step points to")] = 0.0
    accumulate: Annotated[int, Field(ge=1, description="batches of each process for one step")] = 1
    check_every: Annotated[int, Field(ge=1, description="steps between checks on held-out images")] = 1000
    workers: Annotated[int, Field(ge=1, description="processes that code the images before the training")] = 1


FULL_SIZE: dict[str, Any] = {
    "steps": 1_000_000,
    "decay": 100_000,
    "learning_rate": 1e-4,
    "crop": 256,
    "optimiser": "adam",
}
"""What a recipe for the full size has otherwise: as is usual for such networks; nothing of it was tried here."""

SMALLEST_PERCEPTUAL_CROP = 32
"""AlexNet, under LPIPS, takes none below 31."""

Recipe = TypeVar("Recipe", bound=DecoderRecipe)


class DecoderTask(ABC, Generic[Recipe]):
    """`Task` of a decoder of residuals, but for what tells the kinds apart: network, loss, sampler."""

    kind: str
    check_steps: tuple[int, ...] = (1, 4, 16)
    scored_steps: int = 4
    smallest_crop: int = 8
    network: ScoreNetwork
    perceptual: PerceptualFeatures | None = None

    def __init__(
        self,
        base: Path | Base,
        folders: Path | Sequence[Path],
        cache: Path,
        unet: UNetConfig,
        recipe: Recipe,
        console: Console,
        device: torch.device,
        start: Path | None = None,
    ) -> None:
        """start: weights that the training will begin with; refused here, before images are coded, if they misfit."""
        smallest = max(self.smallest_crop, SMALLEST_PERCEPTUAL_CROP if recipe.perceptual else 0)
        if recipe.crop < smallest:
            raise UsageError(f"crops for the {self.kind} decoder have sides of at least {smallest} pixels")
        stride = 2 ** len(unet.channels)
        if recipe.crop % stride:
            raise UsageError(f"this U-Net takes crops whose side is a multiple of {stride}, not {recipe.crop}")
        self.recipe = recipe = replace(recipe, precision=precision_of(recipe.precision, device, console))
        if isinstance(base, Path):
            coding = device if recipe.workers == 1 else torch.device("cpu")
            base = AutoencoderBase(*load_first_stage(base, coding))
        self.base = base
        self.network = self.make_network(unet, self.base.levels)
        if start is not None:
            fitting_weights(start, self.network)
        training, held_out = split(open_pictures(folders, cache))
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
        self.network.residual_deviation.copy_(residual_deviation(self.base, training, cache))
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

    def open_perceptual(self, device: torch.device) -> PerceptualFeatures:
        """LPIPS's maps, loaded when they are first asked for."""
        if self.perceptual is None:
            self.perceptual = PerceptualFeatures(load_network(str(device)))
        return self.perceptual

    def perceptual_weight(self, quality: Tensor) -> Tensor:
        """What distances of LPIPS's maps at `quality` (N,) count, 1 at the middle of the qualities.

        They fall with x̂'s error, as distances of pixels in units of σ_r do not.
        """
        middle = self.network.residual_deviation[self.base.levels // 2, 0]
        return middle / self.network.mean_deviation(quality)[:, 0, 0, 0]

    def perceptual_distance(self, image: Tensor, x: Tensor) -> Tensor:
        """Between LPIPS's maps of `image` and x, RGB (N, 3, H, W) in [-0.5, 0.5]: (N,)."""
        perceptual = self.open_perceptual(x.device)
        with torch.autocast(x.device.type, enabled=False):
            with torch.no_grad():
                features = perceptual(x)
            return perceptual_distance(perceptual(image), features)

    def check(self) -> dict[str, float]:
        """LPIPS and PSNR of x̂ (0 steps) and of samples; score: LPIPS with `scored_steps`."""
        figures = {}
        device = self.network.residual_deviation.device
        precision = "bfloat16" if self.recipe.precision == "bf16" else "float32"
        for steps in (0, *self.check_steps):
            decoder = ScoreDecoder(self.network, self.sampler(max(steps, 1)), precision, device)
            lpips, psnr = [], []
            for x, x_hat, quality in self.check_set:
                sample = decoder.sample(x_hat, steps_of(quality, self.base.levels), 0).cpu() if steps else x_hat
                original = self.lpips.prepare(tensor_to_picture(x))
                lpips.append(self.lpips.compare(original, tensor_to_picture(sample)))
                psnr.append(float(-10 * (sample - x).square().mean().log10()))
            figures[f"lpips_{steps}"] = float(np.mean(lpips))
            figures[f"psnr_{steps}"] = float(np.mean(psnr))
        return {"score": figures[f"lpips_{self.scored_steps}"], **figures}

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
            **({"perceptual": self.recipe.perceptual} if self.recipe.perceptual else {}),
            **self.describe_kind(),
        }


class PathTask(DecoderTask[Recipe]):
    """`Task` of a decoder that samples along a path of times, but for its network and objective."""

    @abstractmethod
    def end_point(self, output: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """The r (N, 3, H, W) to which the path leads if the network says `output` at z (N, 3, H, W) and t (N,)."""

    @abstractmethod
    def objective(self, predict: Predict, r: Tensor, places: Tensor, axes: Tensor) -> Tensor:
        """The loss (N,) of r (N, 3, H, W) with times from `places` (N,), uniform in [0, 1]; axes: weight of each."""

    def batch(self, generator: np.random.Generator) -> tuple[Tensor, ...]:
        """x, x̂, quality, and a place in [0, 1] for t of each crop, stratified over the batch."""
        return *super().batch(generator), stratified(generator, self.recipe.batch)

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The decoder's loss on crops, and that of the local deviation; with `perceptual` that of LPIPS's maps too."""
        x, x_hat, quality, places = batch
        deviation = self.network.deviation(x_hat, quality)
        residual = to_luma_chroma(x - x_hat)
        nll = gaussian_nll(residual, deviation).mean()
        deviation = deviation.detach()
        r = residual / deviation
        pointed = r

        def predict(z: Tensor, t: Tensor) -> Tensor:
            nonlocal pointed
            with self.autocast(z.device):
                out: Tensor = self.network(z, x_hat, t, quality)
            pointed = self.end_point(out, z, t)
            return out

        axes = torch.tensor(axis_weights(self.recipe.chroma), device=r.device)[:, None, None]
        losses = self.objective(predict, r, places, axes)
        figures = {self.kind: losses}
        if self.recipe.perceptual:
            image = x_hat + from_luma_chroma(deviation * pointed)
            figures["perceptual"] = seen = self.perceptual_distance(image, x) * self.perceptual_weight(quality)
            losses = losses + self.recipe.perceptual * seen
        means = {name: float(values.detach().mean()) for name, values in figures.items()}
        return losses.mean() + nll, means | {"nll": float(nll.detach())}


def stratified(generator: np.random.Generator, count: int) -> Tensor:
    """Places (count,) in [0, 1], float32: one in each part of so many, in any order."""
    places = (generator.permutation(count) + generator.random(count)) / count
    return torch.from_numpy(places).float()


def gaussian_nll(residual: Tensor, deviation: Tensor) -> Tensor:
    """Gaussian negative log-likelihood of `residual` (N, 3, H, W) with `deviation`, less a constant: (N,)."""
    return (deviation.log() + (residual / deviation).square() / 2).mean((1, 2, 3))


def train_decoder(
    kind: str,
    base: Path | Base,
    folders: Path | Sequence[Path],
    output: Path,
    cache: Path,
    recipe: DecoderRecipe,
    console: Console,
    seed: int = 0,
    unet: UNetConfig = SMALL,
    start: Path | None = None,
    processes: Processes | None = None,
) -> Path:
    """Trains a decoder of this kind on the images of `folders` as `base` reconstructs them.

    base: a base, or the weights file of a first stage. start: earlier weights, also of another kind of decoder: see
    `training.conversion`. Returns the path of the averaged weights.
    """
    processes = processes or open_processes(recipe.precision)
    decoder = KINDS[kind].load()
    with processes.first_alone():
        torch.manual_seed(seed)
        start = decoder.begin(begin_larger(start, unet, output), output) if start else None
        task: Any = decoder.task(base, folders, cache, unet, recipe, console, processes.device, start)
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
    return train(task, schedule, options, console, start, processes)


def make_decoder(
    kind: str,
    folders: Sequence[Path],
    output: Path | None,
    cache: Path,
    recipe: DecoderRecipe,
    *,
    base: str = "autoencoder",
    model: str = "small",
    unet: str | None = None,
    first_stage: Path | None = None,
    start: Path | None = None,
    sampling_steps: int = 4,
    seed: int = 0,
) -> None:
    """From images to a weights file: what the command `train KIND` does.

    base: a codec spec of a classical base, or "autoencoder". model: "small" or "paper"; unet: the U-Net's size if it is
    another. first_stage: of the autoencoder; None is the shipped one. sampling_steps: the default of a weights file
    whose decoder samples in steps. Raises UsageError on what does not go together, before anything is coded.
    """
    classical = None if base == "autoencoder" else open_classical(base)
    if classical and first_stage:
        raise UsageError(f"--first-stage belongs to the autoencoder; --base {base} has none")
    if model == "paper" and not classical and first_stage is None:
        raise UsageError(
            "--model paper: no first stage of full size is shipped; make one with `python -m benchmark train "
            "autoencoder FOLDER --model paper`, then name it with --first-stage FILE"
        )
    output = output or Path("trainings") / (f"{kind}-{classical.name}" if classical else kind)
    processes = open_processes(recipe.precision)
    console = Console(quiet=not processes.first)
    trained_on = classical or first_stage or SHIPPED / FIRST_STAGE_FILE
    config = CONFIGS[unet or model]
    averaged = train_decoder(kind, trained_on, folders, output, cache, recipe, console, seed, config, start, processes)
    weights = output / f"{kind}.safetensors"
    if processes.first:
        export_decoder(averaged, weights, sampling_steps)
    settings = [f"base={base}"] if classical else []
    if first_stage is not None:
        _, configuration, _ = read_weights(first_stage, "first stage")
        full_size = take_architecture(first_stage, configuration, None) == "paper"
        settings = [*(["model=paper"] if full_size else []), f"first_stage={first_stage}"]
    spec = "hfd:" + ",".join([*settings, f"decoder={kind}", f"weights={weights}"])
    console.print(f"weights: {weights}; use them as {spec}", markup=False)


class _Commands(Mapping[str, TrainingCommand]):
    """Name of a kind -> its command; the kind is loaded when it is asked for."""

    def __getitem__(self, name: str) -> TrainingCommand:
        return TrainingCommand(
            partial(make_decoder, name),
            KINDS[name].load().recipe,
            None,
            FULL_SIZE,
            without=() if has_steps(name) else ("sampling_steps",),
            notes=f"Writes OUTPUT/{name}.safetensors; OUTPUT by default: trainings/{name}[-BASE].",
        )

    def __iter__(self) -> Iterator[str]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)


COMMANDS: Mapping[str, TrainingCommand] = _Commands()
