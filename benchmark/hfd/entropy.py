"""The entropy model of the first stage: a thin hyperprior and a context in channel slices, decoded in exact arithmetic.

Latents are sorted from low to high frequency and coded slice by slice (Minnen & Singh, "Channel-wise Autoregressive
Entropy Models", 2020). Mean and scale of a slice come from the hyper-latents ẑ and from the slices that are done. All
that the decoder must know bit for bit is computed by `exact`; the symbols go through CompressAI's rANS coder.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from compressai._CXX import pmf_to_quantized_cdf
from compressai.ans import BufferedRansEncoder, RansDecoder
from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from compressai.ops import LowerBound
from torch import Tensor, nn

from benchmark.errors import CorruptStream
from benchmark.hfd.exact import (
    ACTIVATION_LIMIT,
    ONE,
    ExactSequential,
    HardSwish,
    exact_pseudo_exp2,
    exact_pseudo_log2,
    pseudo_exp2,
    pseudo_log2,
)

HYPER_STRIDE = 4
"""Latents per hyper-latent, in each direction."""

LOG2_SCALE_MIN, LOG2_SCALE_MAX, STEPS_PER_OCTAVE = -3.25, 7.0, 8
"""The table of Gaussians: σ = E(l) for l from min to max, where E is `pseudo_exp2`."""

CDF_BITS = 16
"""Precision of rANS probabilities."""

_MEAN_LIMIT = 2**24  # a mean beyond ± 16384 steps comes from a damaged stream, never from a picture


@dataclass(frozen=True)
class CdfTables:
    """Integer cumulative distributions as the rANS coder wants them: rows of `cdfs`, their lengths and offsets."""

    cdfs: list[list[int]]
    lengths: list[int]
    offsets: list[int]


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
            nn.Sequential(
                nn.Conv2d(features + first, hidden, 3, padding=1),
                HardSwish(),
                nn.Conv2d(hidden, hidden, 1),
                HardSwish(),
                nn.Conv2d(hidden, 2 * (end - first), 1),
            )
            for first, end in slices
        )
        for network in self.parameters_of_slice:
            last = network[-1]  # type: ignore[index]
            with torch.no_grad():
                last.weight.mul_(0.1)
                last.bias.zero_()
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
        done: list[Tensor] = []
        for (first, end), network in zip(self.slices, self.parameters_of_slice, strict=True):
            context = [features, *(pseudo_log2(part) for part in done)]
            mean, log2_offset = network(torch.cat(context, 1)).chunk(2, 1)
            log2 = self.lower_bound(2 * log2_offset + log2_scale[:, first:end])
            scale = pseudo_exp2(log2.clamp(max=LOG2_SCALE_MAX))
            mean = mean * scale
            part = y[:, first:end]
            _, likelihood = self.gaussian(part, scale, mean)
            bits = bits - likelihood.log2().sum((1, 2, 3))
            done.append(_straight_through_round(part - mean) + mean)
        return torch.cat(done, 1), bits

    def exact(self) -> "ExactEntropyModel":
        """The coder with these weights; `update` must have been called. Raises ValueError on weights not finite."""
        return ExactEntropyModel(self)

    def update(self) -> None:
        """Writes the factorised prior's integer tables into its buffers; once, when training ends."""
        self.bottleneck.update(force=True)


def _straight_through_round(x: Tensor) -> Tensor:
    return x + (torch.round(x) - x).detach()


class ExactEntropyModel:
    """Writes and reads the symbols of one picture; the same on every machine."""

    def __init__(self, model: EntropyModel) -> None:
        self.slices = model.slices
        self.hyper_synthesis = ExactSequential(model.hyper_synthesis)
        self.parameters_of_slice = [ExactSequential(network) for network in model.parameters_of_slice]  # type: ignore[arg-type]
        self.log2_scale = torch.round(model.log2_scale.detach().cpu().double() * ONE)
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
        """The table of log2 scales between rows `level` and `level` + 1, as integers (1, M, 1, 1)."""
        low = self.log2_scale[level]
        high = self.log2_scale[min(level + 1, len(self.log2_scale) - 1)]
        return torch.floor((low * (denominator - fraction) + high * fraction) / denominator)[None, :, None, None]

    def _features(self, z: Tensor, height: int, width: int) -> Tensor:
        return self.hyper_synthesis(z * ONE)[..., :height, :width]

    def _parameters(self, index: int, context: Sequence[Tensor], log2_scale: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (integers, units of 1/ONE step) and index of the Gaussian table (int64) of slice `index`."""
        first, end = self.slices[index]
        mean, offset = self.parameters_of_slice[index](torch.cat(list(context), 1)).chunk(2, 1)
        log2 = (2 * offset + log2_scale[:, first:end]).clamp(LOG2_SCALE_MIN * ONE, LOG2_SCALE_MAX * ONE)
        mean = torch.floor(mean * exact_pseudo_exp2(log2) / ONE).clamp(-_MEAN_LIMIT, _MEAN_LIMIT)
        step = ONE // STEPS_PER_OCTAVE
        return mean, torch.floor((log2 - LOG2_SCALE_MIN * ONE + step // 2) / step).long()

    def encode(self, y: Tensor, z: Tensor, log2_scale: Tensor) -> tuple[bytes, Tensor]:
        """y (1, M, h, w) in quantisation steps, float; z (1, C, h', w') integers in float64; `scale_of_level`.

        Returns the stream and ŷ as the decoder will have it: integers in units of 1/ONE step, float64.
        """
        coder = BufferedRansEncoder()
        channel = torch.arange(self.hyper_channels)[None, :, None, None].expand(z.shape)
        _put(coder, z, channel, self.factorised)
        context, done = [self._features(z, *y.shape[-2:])], []
        for index, (first, end) in enumerate(self.slices):
            mean, table = self._parameters(index, context, log2_scale)
            symbols = torch.round(y[:, first:end].double() - mean / ONE)
            coded = table > 0  # the narrowest Gaussian is certain enough: its symbol is 0 and costs nothing
            symbols = torch.where(coded, symbols, torch.zeros_like(symbols))
            _put(coder, symbols[coded], table[coded], self.gaussian)
            done.append(symbols * ONE + mean)
            context.append(exact_pseudo_log2(done[-1]))
        return coder.flush(), torch.cat(done, 1)

    def decode(self, stream: bytes, height: int, width: int, log2_scale: Tensor) -> Tensor:
        """ŷ of a picture with height×width latents, (1, M, h, w): integers in units of 1/ONE step, float64."""
        latents = self.slices[-1][1] * height * width
        coder = RansDecoder()
        # The coder does not watch the end of its stream; zeros there keep a forged one from reading beyond it.
        coder.set_stream(stream + bytes(8 * (latents + 1024)))
        z_shape = (1, self.hyper_channels, -(-height // HYPER_STRIDE), -(-width // HYPER_STRIDE))
        channel = torch.arange(self.hyper_channels)[None, :, None, None].expand(z_shape)
        z = _get(coder, channel, self.factorised).reshape(z_shape)
        context, done = [self._features(z, height, width)], []
        for index in range(len(self.slices)):
            mean, table = self._parameters(index, context, log2_scale)
            coded = table > 0
            symbols = torch.zeros_like(mean)
            symbols[coded] = _get(coder, table[coded], self.gaussian)
            done.append(symbols * ONE + mean)
            context.append(exact_pseudo_log2(done[-1]))
        return torch.cat(done, 1)


def _put(coder: BufferedRansEncoder, symbols: Tensor, rows: Tensor, tables: CdfTables) -> None:
    coder.encode_with_indexes(
        symbols.to(torch.int32).reshape(-1).tolist(),
        rows.to(torch.int32).reshape(-1).tolist(),
        tables.cdfs,
        tables.lengths,
        tables.offsets,
    )


def _get(coder: RansDecoder, rows: Tensor, tables: CdfTables) -> Tensor:
    """Symbols for `rows`, in their shape, float64. Raises CorruptStream if one is beyond what any encoder writes."""
    values = coder.decode_stream(rows.to(torch.int32).reshape(-1).tolist(), tables.cdfs, tables.lengths, tables.offsets)
    symbols = torch.tensor(values, dtype=torch.float64).reshape(rows.shape)
    if symbols.numel() and float(symbols.abs().max()) * ONE > 64 * ACTIVATION_LIMIT:
        raise CorruptStream("the stream holds latents that no picture has")
    return symbols
