"""The entropy model of the first stage: a thin hyperprior and a context in channel slices, decoded in exact arithmetic.

Latents are sorted from low to high frequency and coded slice by slice (Minnen & Singh, "Channel-wise Autoregressive
Entropy Models", 2020). Mean and scale of a slice come from the hyper-latents ẑ and from the slices that are done; the
first slice, which has no slice before it, is coded in four interleaved grids, each seeing those that are done (a
checkerboard split once more; He et al., "Checkerboard Context Model", 2021). All that the decoder must know bit for bit
is computed by `exact`; the symbols go through CompressAI's rANS coder.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.errors import CorruptStream
from benchmark.hfd.compressai_parts import (
    BufferedRansEncoder,
    EntropyBottleneck,
    GaussianConditional,
    LowerBound,
    RansDecoder,
    pmf_to_quantized_cdf,
)
from benchmark.hfd.exact import (
    ACTIVATION_BITS,
    LATENT_ONE,
    ONE,
    ExactSequential,
    HardSwish,
    exact_dtype,
    exact_pseudo_exp2,
    exact_pseudo_log2,
    pseudo_exp2,
    pseudo_log2,
)
from benchmark.hfd.rans import CDF_BITS, decoder_of, least_bits, require_bits

HYPER_STRIDE = 4
"""Latents per hyper-latent, in each direction."""

LOG2_SCALE_MIN, LOG2_SCALE_MAX, STEPS_PER_OCTAVE = -3.25, 7.0, 8
"""The table of Gaussians: σ = E(l) for l from min to max, where E is `pseudo_exp2`."""

GRIDS = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Row and column of each interleaved grid within a cell of 2×2 latents, in the order of coding."""

_SYMBOL_LIMIT = 2**14  # no image has latents of so many steps; 2**14·LATENT_ONE and the mean stay within int32
_LOG2_LOW, _LOG2_HIGH = round(LOG2_SCALE_MIN * ONE), round(LOG2_SCALE_MAX * ONE)


@dataclass(frozen=True)
class CdfTables:
    """Integer cumulative distributions as the rANS coder wants them: rows of `cdfs`, their lengths and offsets."""

    cdfs: list[list[int]]
    lengths: list[int]
    offsets: list[int]

    @cached_property
    def costs(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """−log2 of the probability of each entry, rows one after the other; and where each row begins, and the end."""
        rows = [np.diff(np.asarray(cdf[:n], np.float64)) for cdf, n in zip(self.cdfs, self.lengths, strict=True)]
        return CDF_BITS - np.log2(np.concatenate(rows)), np.cumsum([0, *map(len, rows)])

    @cached_property
    def least_bits(self) -> float:
        """The fewest bits of one symbol of each row."""
        rows = zip(self.cdfs, self.lengths, strict=True)
        return least_bits(int(np.diff(np.asarray(cdf[:length])).max()) for cdf, length in rows)


@dataclass(frozen=True)
class Coded:
    """An image's latents as bytes.

    y_hat: as the decoder will have them, (1, M, h, w), int32 in units of 1/LATENT_ONE step. bits: what the symbols cost
    by the entropy model, without a look at the stream; see `code_length`.
    """

    stream: bytes
    y_hat: Tensor
    bits: float


def log2_scales() -> Tensor:
    """log2-like parameters l of the Gaussian tables, float64."""
    count = round((LOG2_SCALE_MAX - LOG2_SCALE_MIN) * STEPS_PER_OCTAVE) + 1
    return LOG2_SCALE_MIN + torch.arange(count, dtype=torch.float64) / STEPS_PER_OCTAVE


def gaussian_tables(tail_mass: float = 1e-9) -> tuple[Tensor, Tensor, Tensor]:
    """Quantised cumulative distributions of zero-mean Gaussians convolved with a unit box, one for each scale.

    Returns int32 tensors: the rows one after the other, the length of each, the offset of each. They are stored with
    the weights: computed again on another machine they might differ by one count.
    """
    scales = pseudo_exp2(log2_scales())
    quantile = -float(torch.special.ndtri(torch.tensor(tail_mass / 2, dtype=torch.float64)))
    rows, lengths, offsets = [], [], []
    for scale in scales.tolist():
        reach = max(1, int(np.ceil(scale * quantile)))
        k = torch.arange(-reach, reach + 1, dtype=torch.float64)
        upper, lower = (
            torch.special.ndtr((0.5 - k.abs()) / scale),
            torch.special.ndtr((-0.5 - k.abs()) / scale),
        )
        pmf = upper - lower
        row = pmf_to_quantized_cdf([*pmf.tolist(), max(0.0, 1 - float(pmf.sum()))], CDF_BITS)
        rows.extend(row)
        lengths.append(len(row))
        offsets.append(-reach)
    return tuple(torch.tensor(values, dtype=torch.int32) for values in (rows, lengths, offsets))  # type: ignore[return-value]


def _tables(rows: Tensor, lengths: Tensor, offsets: Tensor) -> CdfTables:
    """`CdfTables` from rows stored one after the other."""
    cdfs, start = [], 0
    flat = rows.tolist()
    for length in lengths.tolist():
        cdfs.append(flat[start : start + length])
        start += length
    return CdfTables(cdfs, lengths.tolist(), offsets.tolist())


def parameter_network(channels_in: int, hidden: int, channels: int, interleaved: bool) -> nn.Sequential:
    """The network that says mean and scale of `channels` latents: (N, channels_in, h, w) -> (N, 2·channels, h, w).

    interleaved: for a grid of every second row and column; its input is a `grid_context`.
    """
    first = nn.Conv2d(channels_in, hidden, 3, 2) if interleaved else nn.Conv2d(channels_in, hidden, 3, padding=1)
    last = nn.Conv2d(hidden, 2 * channels, 1)
    with torch.no_grad():
        last.weight.mul_(0.1)
    return nn.Sequential(first, HardSwish(), nn.Conv2d(hidden, hidden, 1), HardSwish(), zero_bias(last))


def zero_bias(layer: nn.Conv2d) -> nn.Conv2d:
    """`layer` with its bias set to zero."""
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


Network = TypeVar("Network")


def grids_of(latents: Tensor, networks: Iterable[Network]) -> Iterator[tuple[tuple[int, int], Network]]:
    """The grids that `latents` (N, C, h, w) has, each with its network: a single row or column has fewer than four."""
    for (row, column), network in zip(GRIDS, networks, strict=True):
        if row < latents.shape[-2] and column < latents.shape[-1]:
            yield (row, column), network


def at_grid(latents: Tensor, grid: tuple[int, int]) -> Tensor:
    """Every second row and column, beginning at `grid`; a view."""
    return latents[..., grid[0] :: 2, grid[1] :: 2]


def place_grid(latents: Tensor, values: Tensor, grid: tuple[int, int]) -> Tensor:
    """A copy of `latents` with `values` at `grid`."""
    placed = latents.clone()
    placed[..., grid[0] :: 2, grid[1] :: 2] = values
    return placed


def grid_context(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """x (N, C, h, w) with a border of zeros, shifted: a 3×3 convolution of stride 2 then has its centres at `grid`."""
    return F.pad(x, (1, 1, 1, 1))[..., grid[0] :, grid[1] :]


class EntropyModel(nn.Module):
    """p(ŷ, ẑ): hyper-analysis, factorised prior of ẑ, hyper-synthesis, one parameter network a slice.

    slices: (first, last + 1) channel of each slice. hyper_channels: of ẑ. features: what the hyper-synthesis hands to
    each parameter network. hidden: width of the parameter networks. levels: rows of the table of scales.
    """

    gaussian_cdf: Tensor
    gaussian_length: Tensor
    gaussian_offset: Tensor

    def __init__(
        self, slices: Sequence[tuple[int, int]], hyper_channels: int, features: int, hidden: int, levels: int
    ) -> None:
        super().__init__()
        self.slices = tuple(slices)
        latents = slices[-1][1]
        self.hyper_analysis = nn.Sequential(
            nn.Conv2d(latents, 2 * hidden, 1),
            HardSwish(),
            nn.Conv2d(2 * hidden, hidden, 5, 2, 2),
            HardSwish(),
            nn.Conv2d(hidden, hyper_channels, 5, 2, 2),
        )
        self.hyper_synthesis = nn.Sequential(
            nn.Conv2d(hyper_channels, 4 * hidden, 3, padding=1),
            HardSwish(),
            nn.PixelShuffle(2),
            nn.Conv2d(hidden, 4 * features, 3, padding=1),
            HardSwish(),
            nn.PixelShuffle(2),
        )
        self.parameters_of_slice = nn.ModuleList(
            parameter_network(features + first, hidden, end - first, interleaved=False) for first, end in slices[1:]
        )
        width = slices[0][1]
        self.parameters_of_grid = nn.ModuleList(
            parameter_network(features + width, hidden, width, interleaved=True) for _ in GRIDS
        )
        self.log2_scale = nn.Parameter(torch.zeros(levels, latents))
        self.lower_bound = LowerBound(LOG2_SCALE_MIN)  # lets a scale rise again that fell below the table
        self.bottleneck = EntropyBottleneck(hyper_channels)
        self.gaussian = GaussianConditional(None, scale_bound=0.1)
        for name, tensor in zip(("gaussian_cdf", "gaussian_length", "gaussian_offset"), gaussian_tables(), strict=True):
            self.register_buffer(name, tensor)

    def hyper_latents(self, y: Tensor) -> Tensor:
        """z before quantisation, medians removed: (N, M, h, w) -> (N, C, ⌈h/4⌉, ⌈w/4⌉)."""
        height, width = y.shape[-2:]
        padded = F.pad(y, (0, -width % HYPER_STRIDE, 0, -height % HYPER_STRIDE), mode="replicate")
        return self.hyper_analysis(pseudo_log2(padded)) - self.medians()

    def medians(self) -> Tensor:
        """Of the factorised prior, (1, C, 1, 1)."""
        return self.bottleneck.quantiles[:, 0, 1].detach()[None, :, None, None]

    def forward(self, y: Tensor, log2_scale: Tensor) -> tuple[Tensor, Tensor]:
        """For training. y (N, M, h, w) in quantisation steps; log2_scale (N, M, 1, 1) of the quality level.

        Returns ŷ (quantised with a straight-through gradient) and the estimated bits (N,), from likelihoods of y with
        uniform noise (training) or of ŷ (evaluation).
        """
        z = self.hyper_latents(y)
        medians = self.medians()
        _, z_likelihood = self.bottleneck(z + medians)
        features = self.hyper_synthesis(_straight_through_round(z))[..., : y.shape[-2], : y.shape[-1]]
        bits = -z_likelihood.log2().sum((1, 2, 3))
        low = y[:, : self.slices[0][1]]
        y_hat = torch.zeros_like(low)
        for grid, network in grids_of(y, self.parameters_of_grid):
            parameters = network(grid_context(torch.cat([features, pseudo_log2(y_hat)], 1), grid))
            part, grid_bits = self._code(at_grid(low, grid), parameters, log2_scale[:, : low.shape[1]])
            y_hat = place_grid(y_hat, part, grid)
            bits = bits + grid_bits
        done = [y_hat]
        for (first, end), network in zip(self.slices[1:], self.parameters_of_slice, strict=True):
            context = torch.cat([features, *(pseudo_log2(part) for part in done)], 1)
            part, slice_bits = self._code(y[:, first:end], network(context), log2_scale[:, first:end])
            done.append(part)
            bits = bits + slice_bits
        return torch.cat(done, 1), bits

    def _code(self, y: Tensor, parameters: Tensor, log2_scale: Tensor) -> tuple[Tensor, Tensor]:
        """ŷ and bits (N,) of a part of the latents y (N, C, h, w); parameters (N, 2·C, h, w) as a network says them."""
        mean, log2_offset = parameters.chunk(2, 1)
        log2 = self.lower_bound(2 * log2_offset + log2_scale)
        scale = pseudo_exp2(log2.clamp(max=LOG2_SCALE_MAX))
        mean = mean * scale
        _, likelihood = self.gaussian(y, scale, mean)
        return _straight_through_round(y - mean) + mean, -likelihood.log2().sum((1, 2, 3))

    def exact(self) -> "ExactEntropyModel":
        """The coder with these weights; `update` must have been called. Raises ValueError on weights not finite."""
        return ExactEntropyModel(self)

    def update(self) -> None:
        """Writes the factorised prior's integer tables into its buffers; once, when training ends."""
        self.bottleneck.update(force=True)


def _straight_through_round(x: Tensor) -> Tensor:
    return x + (torch.round(x) - x).detach()


class ExactEntropyModel:
    """Writes and reads the symbols of one image; the same on every machine."""

    def __init__(self, model: EntropyModel) -> None:
        self.slices = model.slices
        self.hyper_synthesis = ExactSequential(model.hyper_synthesis)
        self.parameters_of_slice = [ExactSequential(network) for network in model.parameters_of_slice]  # type: ignore[arg-type]
        self.parameters_of_grid = [ExactSequential(network) for network in model.parameters_of_grid]  # type: ignore[arg-type]
        self.log2_scale = torch.round(model.log2_scale.detach().cpu().double() * ONE)
        # what a network's log2 of a scale means, for each integer from `_LOG2_LOW` to `_LOG2_HIGH`
        log2 = torch.arange(_LOG2_LOW, _LOG2_HIGH + 1)
        step = ONE // STEPS_PER_OCTAVE
        self.scale_of_log2 = exact_pseudo_exp2(log2)
        self.row_of_log2 = ((log2 - _LOG2_LOW + step // 2) // step).to(torch.int32)
        self.gaussian = _tables(model.gaussian_cdf, model.gaussian_length, model.gaussian_offset)
        bottleneck = model.bottleneck
        self.factorised = CdfTables(
            [
                row[:length].tolist()
                for row, length in zip(bottleneck._quantized_cdf, bottleneck._cdf_length, strict=True)
            ],
            bottleneck._cdf_length.tolist(),
            bottleneck._offset.tolist(),
        )
        self.hyper_channels = bottleneck.channels

    def scale_of_level(self, level: int, fraction: int, denominator: int) -> Tensor:
        """The table of log2 scales between rows `level` and `level` + 1, integers (1, M, 1, 1) in units of 1/ONE."""
        low = self.log2_scale[level]
        high = self.log2_scale[min(level + 1, len(self.log2_scale) - 1)]
        return torch.floor((low * (denominator - fraction) + high * fraction) / denominator)[None, :, None, None]

    def distribution(self, parameters: Tensor, log2_scale: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (units of 1/LATENT_ONE step) and row of the Gaussian table, int32, from a network's integers."""
        mean, offset = parameters.chunk(2, 1)
        log2 = (2 * offset + log2_scale.to(offset)).clamp_(_LOG2_LOW, _LOG2_HIGH).sub_(_LOG2_LOW).to(torch.int32)
        flat = log2.reshape(-1)
        scale = self.scale_of_log2.index_select(0, flat).view(log2.shape)
        # |mean| ≤ 2**11 and scale ≤ 2**17: the product stays below 2**29
        mean = mean.to(torch.int32).mul_(scale).add_(ONE // 2).bitwise_right_shift_(ACTIVATION_BITS)
        return mean, self.row_of_log2.index_select(0, flat).view(log2.shape)

    def walk(self, z: Tensor, height: int, width: int, log2_scale: Tensor, code: "CodePart") -> Tensor:
        """ŷ in the order of coding; `code` turns the place, mean and table row of each part into its symbols."""
        dtype = exact_dtype()
        features = self.hyper_synthesis(z.to(dtype) * ONE)[..., :height, :width]
        channels, wide = self.slices[0][1], features.shape[1]
        latents = self.slices[-1][1]
        y_hat = torch.zeros(1, latents, height, width, dtype=torch.int32)
        context = torch.cat([features, features.new_zeros(1, self.slices[-1][0], height, width)], 1)
        low, low_context = y_hat[:, :channels], context[:, : wide + channels]
        for grid, network in grids_of(y_hat, self.parameters_of_grid):
            mean, row = self.distribution(network(grid_context(low_context, grid)), log2_scale[:, :channels])
            place = (slice(0, channels), slice(grid[0], None, 2), slice(grid[1], None, 2))
            values = code(place, mean, row) * LATENT_ONE + mean
            at_grid(low, grid).copy_(values)
            at_grid(low_context[:, wide:], grid).copy_(exact_pseudo_log2(values, dtype))
        for (first, end), network in zip(self.slices[1:], self.parameters_of_slice, strict=True):
            mean, row = self.distribution(network(context[:, : wide + first]), log2_scale[:, first:end])
            values = code((slice(first, end), slice(None), slice(None)), mean, row) * LATENT_ONE + mean
            y_hat[:, first:end] = values
            if end < latents:
                context[:, wide + first : wide + end] = exact_pseudo_log2(values, dtype)
        return y_hat

    def encode(self, y: Tensor, z: Tensor, log2_scale: Tensor) -> Coded:
        """y (1, M, h, w) in quantisation steps, float, is rounded; z (1, C, h', w') integers; `scale_of_level`."""
        coder = BufferedRansEncoder()
        z = z.clamp(-_SYMBOL_LIMIT, _SYMBOL_LIMIT)
        channel = torch.arange(self.hyper_channels)[None, :, None, None].expand(z.shape)
        _put(coder, z, channel, self.factorised)
        symbols_in_order: list[Tensor] = []
        rows_in_order: list[Tensor] = []

        def code(place: Place, mean: Tensor, row: Tensor) -> Tensor:
            error = y[:, *place] - mean / LATENT_ONE
            coded = row > 0  # the narrowest Gaussian is certain enough: its symbol is 0 and costs nothing
            symbols = torch.round(error).clamp_(-_SYMBOL_LIMIT, _SYMBOL_LIMIT).to(torch.int32).mul_(coded)
            symbols_in_order.append(symbols[coded])
            rows_in_order.append(row[coded])
            return symbols

        y_hat = self.walk(z, y.shape[-2], y.shape[-1], log2_scale, code)
        # one call for all parts: each call has CompressAI convert the tables from Python lists
        symbols, rows = torch.cat(symbols_in_order), torch.cat(rows_in_order)
        _put(coder, symbols, rows, self.gaussian)
        bits = code_length(z, channel, self.factorised) + code_length(symbols, rows, self.gaussian)
        return Coded(coder.flush(), y_hat, bits)

    def decode(self, stream: bytes, height: int, width: int, log2_scale: Tensor) -> Tensor:
        """ŷ of an image with height×width latents, (1, M, h, w): int32 in units of 1/LATENT_ONE step.

        Raises CorruptStream if the stream is shorter than any encoder's, or holds a symbol that no image has.
        """
        latents = self.slices[-1][1] * height * width
        z_shape = (1, self.hyper_channels, -(-height // HYPER_STRIDE), -(-width // HYPER_STRIDE))
        require_bits(stream, self.least_bits(height, width))
        coder = decoder_of(stream, latents + math.prod(z_shape))
        channel = torch.arange(self.hyper_channels)[None, :, None, None].expand(z_shape)
        z = _get(coder, channel, self.factorised).reshape(z_shape)

        def code(_: Place, mean: Tensor, row: Tensor) -> Tensor:
            coded = row > 0
            symbols = torch.zeros_like(mean)
            symbols[coded] = _get(coder, row[coded], self.gaussian)
            return symbols

        return self.walk(z, height, width, log2_scale, code)

    def least_bits(self, height: int, width: int) -> int:
        """No encoder writes fewer bits for height×width latents: those of the hyper-latents, see `rans.least_bits`."""
        return int(self.factorised.least_bits * -(-height // HYPER_STRIDE) * -(-width // HYPER_STRIDE))


Place = tuple[slice, slice, slice]
"""Channels, rows and columns of a part of the latents that is coded in one go."""

CodePart = Callable[[Place, Tensor, Tensor], Tensor]
"""(place, mean, row of the Gaussian table) -> symbols, all int32 (1, C, h, w)."""

_LARGEST_COUNTED = 40  # larger symbols are rare: `code_length` looks each up by itself


def code_length(symbols: Tensor, rows: Tensor, tables: CdfTables) -> float:
    """The bits that `symbols` cost: the sum of −log2 of the probability that row `rows` of `tables` gives to each.

    symbols and rows: whole numbers of one shape. A symbol beyond its row is an escape: the cost of the row's last
    entry, and four bits for each half-byte of the symbol's distance from the row and for their number, as CompressAI's
    coder writes them.
    """
    row, symbol = rows.reshape(-1).numpy().astype(np.int32), symbols.reshape(-1).numpy().astype(np.int32)
    near = np.abs(symbol) <= _LARGEST_COUNTED
    if not near.all():
        return _length(row[near], symbol[near], tables) + _length_each(row[~near], symbol[~near], 1, tables)
    return _length(row, symbol, tables)


def _length(row: npt.NDArray[np.int32], symbol: npt.NDArray[np.int32], tables: CdfTables) -> float:
    """`code_length` of symbols up to _LARGEST_COUNTED: there are few, so each is looked up once and counted."""
    width = 2 * _LARGEST_COUNTED + 1
    counts = np.bincount(row * width + (symbol + _LARGEST_COUNTED))
    there = np.flatnonzero(counts)
    return _length_each(there // width, there % width - _LARGEST_COUNTED, counts[there], tables)


def _length_each(
    row: npt.NDArray[Any], symbol: npt.NDArray[Any], times: npt.NDArray[Any] | int, tables: CdfTables
) -> float:
    """`code_length` of symbols that occur so many `times`."""
    costs, begin = tables.costs
    first, escape = begin[row], begin[row + 1] - 1
    place = symbol + (begin[:-1] - tables.offsets)[row]
    beyond = (place < first) | (place >= escape)
    distance = np.where(place < first, 2 * (first - place) - 1, 2 * (place - escape)) * beyond
    half_bytes = np.array([-(-int(value).bit_length() // 4) for value in distance], dtype=np.int64)
    bits = costs[np.where(beyond, escape, place)] + 4 * (half_bytes + half_bytes // 15 + 1) * beyond
    return float((bits * times).sum())


def _put(coder: BufferedRansEncoder, symbols: Tensor, rows: Tensor, tables: CdfTables) -> None:
    coder.encode_with_indexes(
        symbols.to(torch.int32).reshape(-1).tolist(),
        rows.to(torch.int32).reshape(-1).tolist(),
        tables.cdfs,
        tables.lengths,
        tables.offsets,
    )


def _get(coder: RansDecoder, rows: Tensor, tables: CdfTables) -> Tensor:
    """Symbols for `rows`, in their shape, int32. Raises CorruptStream if one is beyond what any encoder writes."""
    if not rows.numel():
        return torch.zeros(rows.shape, dtype=torch.int32)
    used = int(rows.max()) + 1  # CompressAI converts the tables in each call: hand it those that count
    values = coder.decode_stream(
        rows.to(torch.int32).reshape(-1).tolist(), tables.cdfs[:used], tables.lengths[:used], tables.offsets[:used]
    )
    symbols = torch.from_numpy(np.fromiter(values, np.int32, len(values))).reshape(rows.shape)
    if int(symbols.max()) > _SYMBOL_LIMIT or int(symbols.min()) < -_SYMBOL_LIMIT:
        raise CorruptStream("the stream holds latents that no image has")
    return symbols
