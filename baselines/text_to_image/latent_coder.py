"""Bits for the quantised latents of an autoencoder that knows no entropy model, by CompressAI's rANS.

Each channel is coded around a centre of its own, in two halves, as a checkerboard has them (He et al. 2021,
arXiv:2103.15306). How wide a latent's distribution is follows from its context, the magnitudes of latents that are
known: for the first half those of the channel before, at the place and about it; for the second the four neighbours,
which are all of the first half, besides. Contexts fall into `BINS`. Distributions are two-sided geometric or Gaussian
over the integers, `ROWS` of each from narrow to wide; a half names its kind, the row of its lowest bin, and how fast
rows rise with the bin: whichever takes the fewest bits.

Nothing is learned of any data: the shapes are fixed, and what an image needs is said in its stream. All of it is
integer arithmetic, and the tables come from decimal arithmetic, which is the same on every machine.
"""

import functools
import struct
from decimal import Decimal, localcontext

import numpy as np
import numpy.typing as npt

from benchmark.errors import BenchmarkError, CorruptStream
from benchmark.hfd.compressai_parts import BufferedRansEncoder, pmf_to_quantized_cdf
from benchmark.hfd.container import read_varint, varint
from benchmark.hfd.entropy import CdfTables
from benchmark.hfd.rans import CDF_BITS, decoder_of, require_bits

Symbols = npt.NDArray[np.int64]
"""(channels, rows, columns)."""

ROWS, NARROWEST, WIDEST = 32, Decimal("0.12"), Decimal(48)
"""Rows of each kind of distribution, evenly in the log of their width, in units of the quantiser's step."""
REACH = 6
"""Times the width of a Gaussian, and twice as many of a geometric one, that a table reaches; beyond it are escapes."""
LIMITS = (1, 2, 4, 7, 11, 18, 30)
"""A context below the first is in bin 0, one below the second in bin 1, …"""
BINS, SLOPES = len(LIMITS) + 1, 8
"""A row rises by half of the slope for each bin."""
FEWEST = 8
"""Symbols of a stream: CompressAI's encoder has a word of memory for each, and writes two at the end of any stream.
Zeros that nobody reads stand in for what is missing."""
LARGEST_SYMBOL = 2**15
"""Beyond what any image's latents are; bounds what a forged stream can do."""


@functools.cache
def tables() -> CdfTables:
    """The rows of both kinds: geometric ones first."""
    cdfs, offsets = [], []
    with localcontext() as context:
        context.prec = 30
        ratio = (WIDEST / NARROWEST).ln() / (ROWS - 1)
        for gaussian in (False, True):
            for row in range(ROWS):
                width = NARROWEST * (ratio * row).exp()
                reach = max(1, int((REACH if gaussian else 2 * REACH) * width) + 1)
                masses = [(-(k * k) / (2 * width * width) if gaussian else -k / width).exp() for k in _to(reach)]
                whole = masses[0] + 2 * sum(masses[1:])
                half = [float(mass / whole) for mass in masses]
                pmf = [*reversed(half[1:]), *half, 2.0**-CDF_BITS]  # the last is the escape
                cdfs.append(list(pmf_to_quantized_cdf(pmf, CDF_BITS)))
                offsets.append(-reach)
    return CdfTables(cdfs, [len(cdf) for cdf in cdfs], offsets)


def _to(reach: int) -> list[Decimal]:
    return [Decimal(k) for k in range(reach + 1)]


ESCAPE_BITS = 12
"""What an escape is reckoned to cost beside its mark."""


@functools.cache
def _costs() -> npt.NDArray[np.float64]:
    """(2·ROWS, 2·widest reach + 1): bits of each symbol, those that a row lacks as escapes."""
    made = tables()
    flat, starts = made.costs
    widest = max(-offset for offset in made.offsets)
    costs = np.empty((2 * ROWS, 2 * widest + 1))
    for row, offset in enumerate(made.offsets):
        own = flat[starts[row] : starts[row + 1]]
        costs[row] = own[-1] + ESCAPE_BITS
        costs[row, widest + offset : widest - offset + 1] = own[:-1]
    return costs


def checkerboard(rows: int, columns: int) -> npt.NDArray[np.bool_]:
    """The places of the first half."""
    return (np.add.outer(np.arange(rows), np.arange(columns)) % 2) == 0


def _neighbours(magnitudes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The sum of the four neighbours, zeros outside."""
    padded = np.pad(magnitudes, 1)
    total: npt.NDArray[np.int64] = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return total


def contexts(own: npt.NDArray[np.int64], before: npt.NDArray[np.int64], second: bool) -> npt.NDArray[np.int64]:
    """The bin of each place. own: residuals of this channel, zeros where unknown. before: of the channel before it."""
    magnitudes = np.minimum(np.abs(before), LARGEST_SYMBOL)
    from_before = 4 * magnitudes + _neighbours(magnitudes)
    around = 2 * _neighbours(np.minimum(np.abs(own), LARGEST_SYMBOL))
    context = around + from_before // 4 if second else from_before // 2
    return np.searchsorted(LIMITS, context, side="right")


def row_of(kind: int, base: int, slope: int, bins: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The table's row of each place."""
    rows: npt.NDArray[np.int64] = kind * ROWS + np.minimum(ROWS - 1, base + slope * bins // 2)
    return rows


def choose(residuals: npt.NDArray[np.int64], bins: npt.NDArray[np.int64]) -> tuple[int, int, int]:
    """(kind, base, slope) that take the fewest bits."""
    costs = _costs()
    widest = costs.shape[1] // 2
    outside = np.abs(residuals) > widest
    places = np.where(outside, 0, residuals + widest)
    by_bin = np.zeros((BINS, 2 * ROWS))
    for each in range(BINS):
        counts = np.bincount(places[(bins == each) & ~outside], minlength=costs.shape[1])
        by_bin[each] = costs @ counts
    best, found = np.inf, (0, 0, 0)
    every = np.arange(BINS)
    for kind in range(2):
        for base in range(ROWS):
            for slope in range(SLOPES):
                bits = float(by_bin[every, row_of(kind, base, slope, every)].sum())
                if bits < best:
                    best, found = bits, (kind, base, slope)
    return found


def encode(symbols: Symbols) -> bytes:
    """The latents' bytes. Raises BenchmarkError where one is far too large, which damaged weights do."""
    if int(np.abs(symbols).max(initial=0)) > LARGEST_SYMBOL:
        raise BenchmarkError("the image has latents that are far too large: these weights are damaged")
    channels, height, width = symbols.shape
    first = checkerboard(height, width)
    made, head, coder = tables(), b"", BufferedRansEncoder()
    before = np.zeros((height, width), np.int64)
    for channel in range(channels):
        centre = int(np.floor(np.median(symbols[channel]) + 0.5))
        head += varint(2 * centre if centre >= 0 else -2 * centre - 1)
        residuals, known = symbols[channel] - centre, np.zeros((height, width), np.int64)
        for second, half in ((False, first), (True, ~first)):
            bins = contexts(known, before, second)[half]
            chosen = choose(residuals[half], bins)
            head += struct.pack(">BB", chosen[0] << 7 | chosen[1], chosen[2])
            rows = row_of(*chosen, bins)
            coder.encode_with_indexes(residuals[half].tolist(), rows.tolist(), made.cdfs, made.lengths, made.offsets)
            known[half] = residuals[half]
        before = known
    if (missing := FEWEST - symbols.size) > 0:
        coder.encode_with_indexes([0] * missing, [0] * missing, made.cdfs, made.lengths, made.offsets)
    return head + bytes(coder.flush())


def decode(data: bytes, channels: int, height: int, width: int) -> Symbols:
    """The latents. Raises CorruptStream on bytes that no encoder wrote."""
    settings, at = [], 0
    for _ in range(channels):
        folded, at = read_varint(data, at)
        centre = -(folded + 1) // 2 if folded % 2 else folded // 2
        halves = data[at : at + 4]
        if len(halves) < 4 or abs(centre) > LARGEST_SYMBOL:
            raise CorruptStream("the stream's settings of its latents are truncated or beyond what any encoder writes")
        chosen = [(halves[k] >> 7, halves[k] & 127, halves[k + 1]) for k in (0, 2)]
        if any(base >= ROWS or slope >= SLOPES for _, base, slope in chosen):
            raise CorruptStream("the stream's settings of its latents are beyond what any encoder writes")
        settings.append((centre, chosen))
        at += 4
    made, payload, count = tables(), data[at:], height * width
    least = [made.costs[0][made.costs[1][row] : made.costs[1][row + 1]].min() for row in range(2 * ROWS)]
    narrow = sum(
        min(least[k * ROWS + base :][: ROWS - base]) * count / 2 for _, chosen in settings for k, base, _ in chosen
    )
    require_bits(payload, narrow)
    coder = decoder_of(payload, channels * count)
    first = checkerboard(height, width)
    symbols, before = np.empty((channels, height, width), np.int64), np.zeros((height, width), np.int64)
    for channel, (centre, chosen) in enumerate(settings):
        known = np.zeros((height, width), np.int64)
        for second, half in ((False, first), (True, ~first)):
            rows = row_of(*chosen[second], contexts(known, before, second)[half])
            values = coder.decode_stream(rows.tolist(), made.cdfs, made.lengths, made.offsets)
            residuals = np.asarray(values, np.int64)
            if int(np.abs(residuals).max(initial=0)) > 2 * LARGEST_SYMBOL:
                raise CorruptStream("the stream holds latents that no image has")
            known[half] = residuals
        symbols[channel] = known + centre
        before = known
    return symbols
