"""The members of the contest of decoders: five objectives for one network, and how all of them are judged.

Each sees the same crops of the same pairs (x, x̂) and says the residual r = (x − x̂)/σ_r. `regression` says its mean
from one evaluation; `gan` a sample, against a discriminator that sees r, x̂ and the quality; `flow`, `diffusion` and
`energy` are the decoders of `hfd`. See `contest`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm
from torch.utils.flop_counter import FlopCounterMode

from benchmark.baselines.hific.adversarial import AdversarialLoss
from benchmark.errors import BenchmarkError, Undefined
from benchmark.hfd.bases import Base
from benchmark.hfd.container import steps_of
from benchmark.hfd.decoders.diffusion import DiffusionRecipe, DiffusionTask
from benchmark.hfd.decoders.energy import EnergyRecipe, EnergyTask
from benchmark.hfd.decoders.flow import FlowRecipe, FlowTask
from benchmark.hfd.sampling import Noise, Predict, Sampler, ScoreDecoder
from benchmark.hfd.score import (
    INPUT_SCALE,
    ScoreNetwork,
    from_luma_chroma,
    picture_to_tensor,
    tensor_to_picture,
    to_luma_chroma,
)
from benchmark.hfd.training.decoder import DecoderRecipe, DecoderTask, axis_weights, gaussian_nll
from benchmark.hfd.training.pairs import coded_quality, reconstruct
from benchmark.hfd.unet import UNetConfig
from benchmark.metrics import open_metric
from benchmark.pixels import Image
from benchmark.training.crops import PictureStore, centre_crops
from benchmark.training.options import Options
from benchmark.training.parts import add_gradient, make_part

# How they are judged


@dataclass(frozen=True)
class Judging:
    """What is measured along the way: on the centres of so many held-out images, `side` pixels wide and high.

    places: of the qualities, from the lowest (0) to the highest (1). steps: evaluations of those that sample in steps.
    """

    images: int = 8
    side: int = 256
    places: tuple[float, ...] = (0.0, 0.4)
    steps: tuple[int, ...] = (1, 2, 4, 8)
    metrics: tuple[str, ...] = ("psnr", "lpips", "fd-effnet", "kd-effnet")


Draw = Callable[[Tensor, int, int], Tensor]
"""(x̂ (1, 3, H, W), quality in steps of 1/32 level, seed) -> an image, as `ScoreDecoder.sample`."""


class Judge:
    """Images, their x̂ at a few qualities, and what metrics say of decoders there."""

    def __init__(self, base: Base, images: Sequence[Image], places: Sequence[float], metrics: Sequence[str]) -> None:
        self.images = images
        self.levels = base.levels
        self.qualities = [coded_quality(base, 1 + place * (base.levels - 1)) for place in places]
        self.x_hat = {q: [reconstruct(base, picture_to_tensor(x), q) for x in images] for q in self.qualities}
        self.metrics = {name: open_metric(name) for name in metrics}
        self.prepared = {
            name: [metric.features(x) if metric.info.kind == "set" else metric.prepare(x) for x in images]  # type: ignore[union-attr]
            for name, metric in self.metrics.items()
        }
        self._of_x_hat: dict[float, dict[str, float]] | None = None

    def of_x_hat(self) -> dict[float, dict[str, float]]:
        """What `measure` says of x̂ itself; measured once."""
        if self._of_x_hat is None:
            self._of_x_hat = self.measure(lambda x_hat, steps, seed: x_hat)
        return self._of_x_hat

    def measure(self, draw: Draw, seed: int = 0) -> dict[float, dict[str, float]]:
        """Quality -> metric -> its value: of a set, or the mean over images; NaN where there is none."""
        found = {}
        for quality, x_hats in self.x_hat.items():
            steps = steps_of(quality, self.levels)
            made = [tensor_to_picture(draw(x_hat, steps, seed).cpu()) for x_hat in x_hats]
            found[quality] = {name: self._value(name, made) for name in self.metrics}
        return found

    def _value(self, name: str, made: Sequence[Image]) -> float:
        metric: Any = self.metrics[name]
        try:
            if metric.info.kind == "set":
                return float(metric.distance(self.prepared[name], [metric.features(image) for image in made]))
            pairs = zip(self.prepared[name], made, strict=True)
            return float(np.mean([metric.compare(prepared, image) for prepared, image in pairs]))
        except Undefined:
            return float("nan")


def available(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those metrics whose networks are here, and a note on each other."""
    there, notes = [], []
    for name in names:
        metric: Any = open_metric(name)
        try:
            grey = np.full((256, 256, 3), 128, np.uint8)
            metric.load() if metric.info.kind == "set" else metric.prepare(grey)
            there.append(name)
        except BenchmarkError as error:
            notes.append(f"{name} is left out: {error}")
    return there, notes


class Judged(DecoderTask[Any]):
    """A `DecoderTask` that the contest's judge checks, and whose operations are counted."""

    takes_steps = True
    judge: Judge

    def __init__(self, *arguments: Any, judging: Judging) -> None:
        """arguments: those of `DecoderTask`."""
        self.judging = judging
        super().__init__(*arguments)

    def _prepare_check(self, held_out: PictureStore) -> None:
        crops = centre_crops(held_out, self.judging.images, self.judging.side)
        images = [tensor_to_picture(crop[None]) for crop in crops]
        self.judge = Judge(self.base, images, self.judging.places, self.judging.metrics)

    def numbers_of_steps(self) -> tuple[int, ...]:
        """With how many evaluations it is judged."""
        return self.judging.steps if self.takes_steps else (1,)

    def decoder(self, steps: int, realism: float | None = None) -> ScoreDecoder:
        """The network at work; realism None is that of the sampler's defaults."""
        sampler: Any = self.sampler(steps)
        if realism is not None:
            sampler = replace(sampler, realism=realism)
        precision = "bfloat16" if self.recipe.precision == "bf16" else "float32"
        return ScoreDecoder(self.network, sampler, precision, self.network.residual_deviation.device)

    def check(self) -> dict[str, float]:
        """METRIC_STEPS, the mean over qualities, with 0 steps for x̂; qQUALITY.METRIC_STEPS at each of them.

        score: the first distance between sets, or of images, with the most steps up to four.
        """
        figures: dict[str, float] = {}
        for steps in (0, *self.numbers_of_steps()):
            found = self.judge.measure(self.decoder(steps).sample) if steps else self.judge.of_x_hat()
            for name in self.judge.metrics:
                figures[f"{name}_{steps}"] = float(np.mean([values[name] for values in found.values()]))
            for quality, values in found.items():
                figures |= {f"q{quality:g}.{name}_{steps}": value for name, value in values.items()}
        usual = max(steps for steps in self.numbers_of_steps() if steps <= 4)
        low = {name: metric.info for name, metric in self.judge.metrics.items() if not metric.info.higher_is_better}
        scored = next((name for name, info in low.items() if info.kind == "set"), next(iter(low)))
        return {"score": figures[f"{scored}_{usual}"], **figures}

    def describe(self) -> dict[str, Any]:
        """What any decoder says, and how it is judged: a contest goes on with the same images and metrics."""
        judging = self.judging
        return {**super().describe(), "judged_on": [judging.images, judging.side, list(judging.places)]}


# The members


def squared_error(r_hat: Tensor, r: Tensor, chroma: float) -> Tensor:
    """Weighted by axis, (N,)."""
    axes = torch.tensor(axis_weights(chroma), device=r.device)[:, None, None]
    return (axes * (r_hat - r).square()).mean((1, 2, 3))


class RegressionTask(Judged):
    """One evaluation that says the mean: squared error of r. `start`: deviation of its input z."""

    kind = "regression"
    takes_steps = False
    start = 0.0

    def make_network(self, unet: UNetConfig, levels: int) -> ScoreNetwork:
        """The untrained network."""
        return ScoreNetwork(unet, levels)

    def sampler(self, steps: int) -> Sampler:
        """One evaluation."""

        def sample(predict: Predict, noise: Noise) -> Tensor:
            z = self.start * noise(0)
            return -predict(z, torch.ones(len(z), device=z.device))

        return sample

    def describe_kind(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Squared error, LPIPS's maps if they have a weight, what `against` adds, and that of the local deviation."""
        x, x_hat, quality = batch
        deviation = self.network.deviation(x_hat, quality)
        residual = to_luma_chroma(x - x_hat)
        nll = gaussian_nll(residual, deviation).mean()
        deviation = deviation.detach()
        r = residual / deviation
        with self.autocast(x.device):
            r_hat: Tensor = -self.network(self.start * torch.randn_like(r), x_hat, torch.ones_like(quality), quality)
        losses = squared_error(r_hat, r, self.recipe.chroma)
        figures = {"squared_error": losses}
        if self.recipe.perceptual:
            image = x_hat + from_luma_chroma(deviation * r_hat)
            figures["perceptual"] = seen = self.perceptual_distance(image, x) * self.perceptual_weight(quality)
            losses = losses + self.recipe.perceptual * seen
        further, more = self.against(r, r_hat, x_hat, quality)
        means = {name: float(values.detach().mean()) for name, values in figures.items()}
        return losses.mean() + further + nll, {**means, **more, "nll": float(nll.detach())}

    def against(self, r: Tensor, r_hat: Tensor, x_hat: Tensor, quality: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Nothing besides."""
        return r.new_zeros(()), {}


class ResidualDiscriminator(nn.Module):
    """Is this residual real, for this x̂ at this quality? Spectral norm, a logit for each patch of 22×22 pixels."""

    CONDITION = 4

    def __init__(self, widths: Sequence[int] = (32, 64, 128)) -> None:
        super().__init__()
        sizes = (3 + self.CONDITION, *widths)
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(before, after, 4, 2, 1)) for before, after in zip(sizes, widths, strict=False)
        )
        self.exit = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, r: Tensor, condition: Tensor) -> Tensor:
        """r (N, 3, H, W) of unit deviation, condition (N, 4, H, W): x̂ and the quality. Logits (N, 1, H/8, W/8)."""
        h = torch.cat([r, condition], 1)
        for layer in self.layers:
            h = F.leaky_relu(layer(h), 0.2)
        out: Tensor = self.exit(h)
        return out


class GanTask(RegressionTask):
    """One evaluation that says a sample: squared error, and a discriminator of the residual; z is noise.

    ADVERSARIAL: weight of the generator's loss beside a squared error of about 1. HiFiC's 0.15 stands beside about
    0.23 of squared error at a PSNR of 28 dB, which is 0.6 to 1.
    """

    kind = "gan"
    start = 1.0
    ADVERSARIAL = 0.6
    gan: AdversarialLoss

    def make_network(self, unet: UNetConfig, levels: int) -> ScoreNetwork:
        """The untrained network, and beside it a discriminator."""
        network = super().make_network(unet, levels)
        self.gan = AdversarialLoss(ResidualDiscriminator())
        return network

    def describe_kind(self) -> dict[str, Any]:
        """The weight of the adversarial loss."""
        return {"adversarial": self.ADVERSARIAL}

    def against(self, r: Tensor, r_hat: Tensor, x_hat: Tensor, quality: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The generator's part of the GAN."""
        plane = self.network.relative(quality)[:, None, None, None].expand(-1, 1, *x_hat.shape[-2:])
        condition = torch.cat([INPUT_SCALE * x_hat, 2 * plane - 1], 1)
        with torch.autocast(x_hat.device.type, enabled=False):
            loss = self.gan.against_generator(r, r_hat, condition)
        return self.ADVERSARIAL * loss, {"adversarial": float(loss.detach())}


class FlowMember(Judged, FlowTask):
    """The decoder `flow`."""


class DiffusionMember(Judged, DiffusionTask):
    """The decoder `diffusion`."""


class EnergyMember(Judged, EnergyTask):
    """The decoder `energy`."""


@dataclass(frozen=True)
class Member:
    """A member's task and recipe."""

    task: type[Judged]
    recipe: type[DecoderRecipe]


MEMBERS: Mapping[str, Member] = {
    "regression": Member(RegressionTask, DecoderRecipe),
    "gan": Member(GanTask, DecoderRecipe),
    "flow": Member(FlowMember, FlowRecipe),
    "diffusion": Member(DiffusionMember, DiffusionRecipe),
    "energy": Member(EnergyMember, EnergyRecipe),
}


# What they cost


def operations_per_step(task: Judged) -> int:
    """Floating-point operations of the convolutions and linear layers in one training step, counted while one runs.

    Forwards and backwards, LPIPS's network and the discriminator's own step with it; two for a multiply-accumulate.
    What takes no gradient is not counted: the inputs of the first layers, the weights of LPIPS's network.
    """
    device = next(task.network.parameters()).device
    _, batch = make_part(task, 0, 0, 0)
    with FlopCounterMode(display=False) as counter:
        task.loss(0, *(part.to(device) for part in batch))[0].backward()  # type: ignore[no-untyped-call]
        if isinstance(task, GanTask):
            task.gan.loss(0)[0].backward()  # type: ignore[no-untyped-call]
            task.gan.discriminator.zero_grad(set_to_none=True)
    task.network.zero_grad(set_to_none=True)
    return int(counter.get_total_flops())


def seconds_per_step(task: Judged, steps: int = 3) -> float:
    """Processor time of a training step on this machine: the least of so many, without that of the optimiser."""
    task.network.train()
    least = float("inf")
    for step in range(steps + 1):
        noise, batch = make_part(task, 0, step, 0)
        begun = time.process_time()
        add_gradient(task, step, noise, batch, Options(output=None))  # type: ignore[arg-type]
        if step:  # the first loads what it needs
            least = min(least, time.process_time() - begun)
        task.network.zero_grad(set_to_none=True)
    return least
