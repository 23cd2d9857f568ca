"""A real bitstream for HiFiC's latents: ẑ by the factorised density, ŷ by mean and scale, through CompressAI's rANS.

Scales are computed in float64, so that what differs between two computations is of the order 1e-15 of a scale; they are
floats all the same, and which row of the table a scale takes is certain only on the same kind of machine.
"""

import copy
import math
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from benchmark.baselines.hific.density import MIN_SCALE, FactorisedDensity, lower_bound, unit_interval
from benchmark.baselines.hific.model import HificConfig
from benchmark.baselines.hific.network import HYPER_STRIDE
from benchmark.errors import BenchmarkError, CorruptStream
from benchmark.hfd.compressai_parts import BufferedRansEncoder, RansDecoder, pmf_to_quantized_cdf
from benchmark.hfd.entropy import CdfTables
from benchmark.hfd.rans import decoder_of, require_bits

CDF_BITS = 16
"""Precision of rANS probabilities."""
TAIL_MASS = 2.0**-CDF_BITS
"""What a table leaves out, in all: symbols there would get the smallest frequency anyway. They are coded as escapes."""
MAX_SCALE, SCALES = 256.0, 128
"""The table of distributions: SCALES scales from MIN_SCALE to MAX_SCALE, evenly in the log. The nearest is within 3 %,
which costs less than 0.001 bits a latent."""
REACH = 1024
"""Hyper-latents beyond ±REACH are always escapes."""
LARGEST_SYMBOL = 2**20
"""Beyond what any image's latents are; bounds what a forged stream can do."""


def _table(pmfs: list[npt.NDArray[np.float64]], offsets: list[int]) -> CdfTables:
    """Tables of probability mass functions, each beginning at the symbol `offset`; what they lack is the escape's."""
    cdfs = []
    for pmf in pmfs:
        cdf = pmf_to_quantized_cdf([*pmf.tolist(), max(0.0, 1 - float(pmf.sum()))], CDF_BITS)
        cdfs.append(list(cdf))
    return CdfTables(cdfs, [len(cdf) for cdf in cdfs], offsets)


def latent_tables(likelihood: str) -> CdfTables:
    """One row for each scale: the distribution of ŷ − mean, integers."""
    tail = math.log(2 / TAIL_MASS - 1)
    if likelihood == "gaussian":
        tail = -float(torch.special.ndtri(torch.tensor(TAIL_MASS / 2, dtype=torch.float64)))
    pmfs, offsets = [], []
    for scale in np.geomspace(MIN_SCALE, MAX_SCALE, SCALES).tolist():
        reach = max(1, math.ceil(scale * tail))
        symbols = torch.arange(-reach, reach + 1, dtype=torch.float64)
        pmfs.append(unit_interval(symbols, torch.tensor(scale, dtype=torch.float64), likelihood).numpy())
        offsets.append(-reach)
    return _table(pmfs, offsets)


def nearest_row(scale: Tensor) -> Tensor:
    """The row of `latent_tables` whose scale is nearest in the log; int64."""
    step = math.log(MAX_SCALE / MIN_SCALE) / (SCALES - 1)
    return torch.floor((scale / MIN_SCALE).log() / step + 0.5).clamp(0, SCALES - 1).long()


def hyper_tables(density: FactorisedDensity) -> CdfTables:
    """One row for each channel of ẑ: the probabilities of the integers, without the tails."""
    symbols = torch.arange(-REACH, REACH + 1, dtype=torch.float64)
    channels = len(density.get_parameter("b_0"))
    grid = symbols.expand(channels, 1, -1)
    exact = _double(density)
    below = torch.sigmoid(exact.logits(grid - 0.5))[:, 0]
    above = torch.sigmoid(-exact.logits(grid + 0.5))[:, 0]
    pmf = exact.interval(grid)[:, 0].numpy()
    if not np.isfinite(pmf).all():
        raise BenchmarkError("the density of the hyper-latents is not finite: these weights are damaged")
    pmfs, offsets = [], []
    for channel in range(channels):
        # From the last symbol that has at most half of the tail below it to the first with as little above it.
        first = max(0, int((below[channel] <= TAIL_MASS / 2).sum()) - 1)
        last = min(2 * REACH, 2 * REACH + 1 - int((above[channel] <= TAIL_MASS / 2).sum()))
        pmfs.append(pmf[channel, min(first, last) : max(first, last) + 1])
        offsets.append(min(first, last) - REACH)
    return _table(pmfs, offsets)


def _double(density: FactorisedDensity) -> FactorisedDensity:
    widths = [density.get_parameter(f"b_{k}").shape[1] for k in range(density.layers - 1)]
    exact = FactorisedDensity(len(density.get_parameter("b_0")), widths)
    exact.load_state_dict(density.state_dict())
    return exact.double().requires_grad_(False)


class Prior(Protocol):
    """What is known of latents beforehand."""

    @property
    def hyperlatent_likelihood(self) -> FactorisedDensity:
        """Of ẑ."""
        ...

    @property
    def synthesis_mu(self) -> nn.Module:
        """From ẑ to the mean of each latent."""
        ...

    @property
    def synthesis_std(self) -> nn.Module:
        """From ẑ to its scale, before the lower bound."""
        ...


class Model(Protocol):
    """What has latents to code. Of config the sizes count, and what distribution the latents have."""

    @property
    def config(self) -> HificConfig:
        """Of the networks."""
        ...

    @property
    def Hyperprior(self) -> Prior:  # noqa: N802
        """By the name of HiFiC's checkpoints."""
        ...


class LatentCoder:
    """Writes and reads ẑ and ŷ of one image. Runs on the CPU, whatever the device of the other networks."""

    def __init__(self, model: Model) -> None:
        prior = model.Hyperprior
        self.config = model.config
        self.factorised = hyper_tables(prior.hyperlatent_likelihood)
        self.conditional = latent_tables(model.config.likelihood)
        self.mean_network = copy.deepcopy(prior.synthesis_mu).cpu()
        self.scale_network = copy.deepcopy(prior.synthesis_std).cpu().double()

    def _mean_and_row(self, z_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (float32) and row of the table (int64) of each latent, (1, latents, h, w), from ẑ in float64."""
        mean = self.mean_network(z_hat.float())
        scale = lower_bound(self.scale_network(z_hat), MIN_SCALE)
        if not bool(torch.isfinite(mean).all()) or not bool(torch.isfinite(scale).all()):
            raise CorruptStream("the hyper-latents lead to means or scales that are not finite")
        return mean, nearest_row(scale)

    def encode(self, y: Tensor, z_hat: Tensor) -> tuple[bytes, Tensor]:
        """y (1, latents, h, w) and ẑ (1, hyper, h/4, w/4): the stream, and ŷ as the decoder will have it, float32.

        Raises BenchmarkError where latents are not finite or far too large, which damaged weights do.
        """
        y, z_hat = y.cpu(), z_hat.cpu().double()
        _check_symbols(z_hat)
        mean, row = self._mean_and_row(z_hat)
        symbols = torch.floor(y - mean + 0.5)
        _check_symbols(symbols)
        coder = BufferedRansEncoder()
        _put(coder, z_hat, _channels(z_hat), self.factorised)
        _put(coder, symbols, row, self.conditional)
        return coder.flush(), symbols + mean

    def decode(self, stream: bytes, rows: int, columns: int) -> Tensor:
        """ŷ (1, latents, rows, columns), float32. Raises CorruptStream on a stream that no encoder wrote."""
        latents = self.config.latents * rows * columns
        shape = (1, self.config.hyper, rows // HYPER_STRIDE, columns // HYPER_STRIDE)
        require_bits(stream, self.factorised.least_bits * shape[2] * shape[3])
        coder = decoder_of(stream, latents + math.prod(shape))
        z_hat = _get(coder, _channels(torch.empty(shape)), self.factorised)
        mean, row = self._mean_and_row(z_hat)
        return _get(coder, row, self.conditional).float() + mean


def _channels(z_hat: Tensor) -> Tensor:
    return torch.arange(z_hat.shape[1])[None, :, None, None].expand(z_hat.shape)


def _check_symbols(symbols: Tensor) -> None:
    if not bool((symbols.abs() <= LARGEST_SYMBOL).all()):  # also false where one is not a number
        raise BenchmarkError("the image has latents that are not finite or far too large: these weights are damaged")


def _put(coder: BufferedRansEncoder, symbols: Tensor, rows: Tensor, tables: CdfTables) -> None:
    coder.encode_with_indexes(
        symbols.to(torch.int32).flatten().tolist(),
        rows.to(torch.int32).flatten().tolist(),
        tables.cdfs,
        tables.lengths,
        tables.offsets,
    )


def _get(coder: RansDecoder, rows: Tensor, tables: CdfTables) -> Tensor:
    """Symbols for `rows`, in their shape, float64."""
    values = coder.decode_stream(rows.to(torch.int32).flatten().tolist(), tables.cdfs, tables.lengths, tables.offsets)
    symbols = torch.tensor(values, dtype=torch.float64).reshape(rows.shape)
    if bool((symbols.abs() > LARGEST_SYMBOL).any()):
        raise CorruptStream("the stream holds latents that no image has")
    return symbols
