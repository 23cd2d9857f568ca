"""What exact entropy parameters cost against float ones, in rate and in time.

`python -m benchmark studies exact-cost` prints a line per image and quality. One thread.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from benchmark.datasets.shipped import FOLDER
from benchmark.hfd.autoencoder import FirstStage
from benchmark.hfd.container import steps_of
from benchmark.hfd.deterministic import on_one_thread
from benchmark.hfd.entropy import (
    LOG2_SCALE_MAX,
    LOG2_SCALE_MIN,
    STEPS_PER_OCTAVE,
    CdfTables,
    EntropyModel,
    Place,
    at_grid,
    grid_context,
    grids_of,
    place_grid,
)
from benchmark.hfd.exact import LATENT_ONE, ONE, ExactSequential, pseudo_exp2, pseudo_log2
from benchmark.hfd.rans import CDF_BITS
from benchmark.hfd.score import picture_to_tensor
from benchmark.hfd.weights import FIRST_STAGE_FILE, SHIPPED, load_autoencoder
from benchmark.images import load_image

QUALITIES = (1.0, 3.0, 5.0, 7.0)


@dataclass(frozen=True)
class RateCost:
    """Of all latents of an image, with exact and with float means and scales: bits, and squared error in bits.

    The same latents, each rounded to its own mean and coded with the same tables and contexts; hyper-latents are left
    out. The squared error counts with the loss's λ: another mean gives another error as well.
    """

    exact_bits: float
    float_bits: float
    exact_error: float
    float_error: float

    @property
    def extra(self) -> float:
        """Share of the rate that exactness costs at equal error; may be slightly negative by chance."""
        return (self.exact_bits + self.exact_error - self.float_error) / self.float_bits - 1


@dataclass(frozen=True)
class TimeCost:
    """CPU seconds, each the smallest of several runs: a decode, its exact networks, the same networks in float32.

    Both with the arithmetic around the convolutions that belongs to them.
    """

    decode: float
    exact: float
    float: float


def table_bits(tables: CdfTables) -> Tensor:
    """Bits of each symbol, float64 (rows, 2·largest + 1) for symbols −largest … largest; escapes count 32 bits."""
    largest = -min(tables.offsets)
    bits = np.full((len(tables.cdfs), 2 * largest + 1), 32.0)
    for row, (cdf, length, offset) in enumerate(zip(tables.cdfs, tables.lengths, tables.offsets, strict=True)):
        frequency = np.diff(np.asarray(cdf[:length], dtype=np.float64))[:-1]
        bits[row, largest + offset : largest - offset + 1] = CDF_BITS - np.log2(frequency)
    bits[0] = 0  # the narrowest Gaussian is not coded
    return torch.from_numpy(bits)


def float_parameters(
    model: EntropyModel, z: Tensor, y_hat: Tensor, log2_scale: Tensor
) -> Iterator[tuple[Place, Tensor, Tensor]]:
    """Place, mean and table row of each part as the float networks say them, given all of ẑ and ŷ (in steps)."""

    def distribution(parameters: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
        mean, offset = parameters.chunk(2, 1)
        log2 = (2 * offset + scales).clamp(LOG2_SCALE_MIN, LOG2_SCALE_MAX)
        return mean * pseudo_exp2(log2), torch.round((log2 - LOG2_SCALE_MIN) * STEPS_PER_OCTAVE).long()

    features = model.hyper_synthesis(z)[..., : y_hat.shape[-2], : y_hat.shape[-1]]
    width = model.slices[0][1]
    done = torch.zeros_like(y_hat[:, :width])
    for grid, network in grids_of(y_hat, model.parameters_of_grid):
        context = grid_context(torch.cat([features, pseudo_log2(done)], 1), grid)
        place = (slice(0, width), slice(grid[0], None, 2), slice(grid[1], None, 2))
        yield place, *distribution(network(context), log2_scale[:, :width])
        done = place_grid(done, at_grid(y_hat[:, :width], grid), grid)
    for (first, end), network in zip(model.slices[1:], model.parameters_of_slice, strict=True):
        context = torch.cat([features, pseudo_log2(y_hat[:, :first])], 1)
        place = (slice(first, end), slice(None), slice(None))
        yield place, *distribution(network(context), log2_scale[:, first:end])


@torch.inference_mode()
@on_one_thread()
def rate_cost(first_stage: FirstStage, x: Tensor, steps: int) -> RateCost:
    """Of image x (1, 3, H, W) in [-0.5, 0.5] at a quality in steps of 1/32 level."""
    coder, model = first_stage.coder, first_stage.model.entropy
    y, z = first_stage.analyse(x, steps)
    scales, weight = first_stage.scales(steps), first_stage.error_weight(steps)
    bits = table_bits(coder.gaussian)
    largest = bits.shape[1] // 2

    def quantise(place: Place, mean: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        """Symbols, and their bits and squared error, (2,); mean in steps."""
        error = y[:, *place] - mean
        symbols = torch.round(error) * (row > 0)
        cost = bits[row.long(), symbols.clamp(-largest, largest).long() + largest].sum()
        return symbols, torch.stack([cost, (weight[:, place[0]] * (error - symbols) ** 2).sum()])

    exact = torch.zeros(2, dtype=torch.float64)

    def code(place: Place, mean: Tensor, row: Tensor) -> Tensor:
        symbols, cost = quantise(place, mean / LATENT_ONE, row)
        exact.add_(cost)
        return symbols.to(torch.int32)

    y_hat = coder.walk(z, y.shape[-2], y.shape[-1], scales, code) / LATENT_ONE
    # the very table of scales that the exact coder uses, so that nothing but the networks differs
    plain = torch.stack([quantise(*part)[1] for part in float_parameters(model, z, y_hat, scales.float() / ONE)]).sum(0)
    return RateCost(float(exact[0]), float(plain[0]), float(exact[1]), float(plain[1]))


@torch.inference_mode()
@on_one_thread()
def time_cost(first_stage: FirstStage, x: Tensor, steps: int, repeats: int = 5) -> TimeCost:
    """Of image x (1, 3, H, W) in [-0.5, 0.5] at a quality in steps of 1/32 level."""
    height, width = x.shape[-2:]
    payload = first_stage.encode(x, steps)
    model = first_stage.model.entropy
    y, z = first_stage.analyse(x, steps)
    rows, columns = y.shape[-2:]
    plain = ExactSequential.__call__
    seconds = 0.0

    def timed(network: ExactSequential, value: Tensor) -> Tensor:
        nonlocal seconds
        start = time.process_time()
        result = plain(network, value)
        seconds += time.process_time() - start
        return result

    decodes, exacts, floats = [], [], []
    for _ in range(repeats + 1):  # the first one warms up
        seconds = 0.0
        with patch.object(ExactSequential, "__call__", timed):
            start = time.process_time()
            first_stage.synthesise(first_stage.decode_latents(payload, height, width, steps), height, width, steps)
            decodes.append(time.process_time() - start)
        exacts.append(seconds)
        start = time.process_time()
        for _part in float_parameters(model, z, y[..., :rows, :columns], model.log2_scale[:1, :, None, None]):
            pass
        floats.append(time.process_time() - start)
    return TimeCost(min(decodes[1:]), min(exacts[1:]), min(floats[1:]))


@dataclass(frozen=True)
class ExactCost:
    """What exactness costs for an image at a quality. bpp: of its latents."""

    image: str
    quality: float
    bpp: float
    rate: RateCost
    time: TimeCost


def measure(images: Sequence[Path] = (), weights: Path = SHIPPED / FIRST_STAGE_FILE) -> Iterator[ExactCost]:
    """The costs for each image at those of QUALITIES that the first stage has, as they are there.

    images: files; none for every eighth photograph that comes with the suite. weights: of the first stage. Raises
    BenchmarkError, before the first is computed, on a file that cannot be read.
    """
    first_stage = FirstStage(load_autoencoder(weights)[0])
    files = images or sorted(FOLDER.glob("*.png"))[::8]
    loaded = [(path.stem, picture_to_tensor(load_image(path))) for path in files]

    def costs() -> Iterator[ExactCost]:
        for name, x in loaded:
            for quality in (quality for quality in QUALITIES if quality <= first_stage.levels):
                steps = steps_of(quality, first_stage.levels)
                rate, seconds = rate_cost(first_stage, x, steps), time_cost(first_stage, x, steps)
                yield ExactCost(name, quality, rate.exact_bits / x[0, 0].numel(), rate, seconds)

    return costs()


def lines(found: Iterable[ExactCost]) -> Iterator[str]:
    """A heading, then a line for each of `found`."""
    yield f"{'image':24} quality     bpp  rate +%   decode ms  exact nets ms  share %  float nets ms"
    for cost in found:
        seconds = cost.time
        yield (
            f"{cost.image[:24]:24} {cost.quality:7g} {cost.bpp:7.4f} {100 * cost.rate.extra:8.3f} "
            f"{1e3 * seconds.decode:11.0f} {1e3 * seconds.exact:14.1f} "
            f"{100 * seconds.exact / seconds.decode:8.1f} {1e3 * seconds.float:14.1f}"
        )
