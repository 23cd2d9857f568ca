"""The numbers of a table: each codec's metrics at chosen rates, or at the qualities that were measured."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.analysis.baseline import Baseline
from benchmark.analysis.comparable import chosen_codecs, codec_labels, joined_headlines, one_dataset, one_protocol
from benchmark.analysis.differences import joined_numbers, paired_differences, value_at_rate
from benchmark.analysis.missing import rate_note
from benchmark.analysis.summary import metric_facts
from benchmark.errors import UsageError
from benchmark.metrics import MetricInfo

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """value, and the ends of its 95 % interval over images, NaN where there is none; of the metric, in its own unit.

    rank: 1 for the best codec of its rate, 2 for the second, equal values sharing one; 0 for all others, and where
    nothing is compared. tied: no paired difference from the best is shown; of the best itself too. n: images behind it;
    between two points the fewer.
    """

    value: float
    low: float
    high: float
    rank: int = 0
    tied: bool = False
    n: int = 0


@dataclass(frozen=True)
class Line:
    """A codec at a rate. place: the rate that was asked for, or the quality that was measured. bpp: mean over images.

    cells: metric -> its cell; None where the curve does not reach the rate, or has no value.
    """

    codec: str
    place: float
    bpp: float
    cells: Mapping[str, Cell | None]


@dataclass(frozen=True)
class Tabulation:
    """lines: by rate and in it by codec, or by codec and in it by quality. at_rates: which of the two.

    dataset: name and 8 digits of the fingerprint. metrics: their facts, in the order of the columns; protocols: of
    each. images: the fewest and the most behind a value. tested: whether ties are known. notes: where values are over
    other images than the rates beside them, or ties over fewer.
    """

    dataset: str
    metrics: tuple[MetricInfo, ...]
    protocols: tuple[str, ...]
    images: tuple[int, int]
    at_rates: bool
    tested: bool
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


def tabulate(
    summaries: Sequence[pd.DataFrame],
    metrics: Sequence[str],
    *,
    codecs: Sequence[str] = (),
    rates: Sequence[float] = (),
    numbers: Sequence[Baseline] = (),
) -> Tabulation:
    """The numbers of `metrics` for `codecs`, in both orders; all codecs where none is named.

    rates: bits per pixel. Between two measured points of a codec, values are interpolated linearly in log rate; outside
    of its curve there is no cell. The cells of each rate are ranked. Without rates the lines are the measured
    qualities, at rates of their own, and nothing is ranked.
    numbers: of the same runs in the same order: marks the cells that no paired 95 % interval tells from the best, and
    makes the intervals at chosen rates, `value_at_rate`; without them those are interpolated too, and too short.
    Raises UsageError on unknown codecs and metrics and on rates that are none, NotComparable on several data sets or
    protocols.
    """
    if not summaries:
        raise UsageError("there is nothing to tabulate: name at least one run")
    if numbers and len(numbers) != len(summaries):
        raise UsageError("the numbers of single images are needed of each summary")
    for rate in rates:
        if not isinstance(rate, Real) or isinstance(rate, bool) or not 0 < float(rate) < math.inf:
            raise UsageError(f"rate {rate!r}: a number of bits per pixel above 0 is needed")
    rates = list(dict.fromkeys(map(float, rates)))
    dataset = one_dataset(summaries)
    frame = joined_headlines(summaries)
    for metric in metrics:
        if metric == "bpp":
            raise UsageError("bpp is a column of every table; --metric names what stands beside it")
    facts = tuple(metric_facts(frame, metric) for metric in dict.fromkeys(metrics))
    if not facts:
        raise UsageError("there is nothing to tabulate: name at least one metric")
    protocols = tuple(one_protocol(frame, info.name) for info in facts)
    one_protocol(frame, "bpp")
    chosen = chosen_codecs(frame, codecs)
    columns = frame["codec"].isin(chosen) & frame["metric"].isin([info.name for info in facts])
    counts = frame.loc[columns & frame["value"].notna(), "n_images"]
    images = (int(counts.min()), int(counts.max())) if len(counts) else (0, 0)
    notes = [note for info in facts if (note := rate_note(frame, info.name, info.title, chosen))]
    if rates:
        joined = joined_numbers(numbers, codec_labels(summaries)) if numbers else None
        lines = [line for rate in rates for line in _at_rate(frame, chosen, facts, rate, joined, notes)]
    else:
        lines = [line for codec in chosen for line in _measured(frame, codec, facts)]
    tested = bool(rates and numbers)
    unique = tuple(dict.fromkeys(notes))
    return Tabulation(dataset, facts, protocols, images, bool(rates), tested, tuple(lines), unique)


def _measured(frame: pd.DataFrame, codec: str, facts: Sequence[MetricInfo]) -> list[Line]:
    own = frame[frame["codec"] == codec]
    bpp = own[own["metric"] == "bpp"].sort_values("value", kind="stable")
    lines = []
    for quality, rate in zip(bpp["quality"], bpp["value"], strict=True):
        rows = own[own["quality"] == quality]
        cells = {info.name: _cell(rows[rows["metric"] == info.name]) for info in facts}
        lines.append(Line(codec, float(quality), float(rate), cells))
    return lines


def _cell(rows: pd.DataFrame) -> Cell | None:
    valued = rows[rows["value"].notna()]
    if valued.empty:
        return None
    row = valued.iloc[0]
    return Cell(float(row["value"]), float(row["ci_low"]), float(row["ci_high"]), n=int(row["n_images"]))


def _at_rate(
    frame: pd.DataFrame,
    codecs: Sequence[str],
    facts: Sequence[MetricInfo],
    rate: float,
    numbers: Baseline | None,
    notes: list[str],
) -> list[Line]:
    """notes: gets a line for each tie that is tested over fewer images."""
    columns = {
        info.name: _marked(
            {codec: _interpolated(frame, codec, info.name, rate, numbers) for codec in codecs},
            info,
            rate,
            numbers,
            notes,
        )
        for info in facts
    }
    return [Line(codec, rate, rate, {name: cells[codec] for name, cells in columns.items()}) for codec in codecs]


def _interpolated(frame: pd.DataFrame, codec: str, metric: str, rate: float, numbers: Baseline | None) -> Cell | None:
    own = frame[frame["codec"] == codec]
    rates = own[own["metric"] == "bpp"].set_index("quality")["value"]
    rows = own[(own["metric"] == metric) & own["value"].notna()]
    points = rows.assign(bpp=rates.reindex(rows["quality"]).to_numpy()).dropna(subset=["bpp"])
    points = points[points["bpp"] > 0].sort_values("bpp", kind="stable").drop_duplicates("bpp")
    x = points["bpp"].to_numpy(dtype=np.float64)
    if not x.size or not x[0] <= rate <= x[-1]:
        return None
    value, low, high = (
        float(np.interp(np.log(rate), np.log(x), points[name].to_numpy(dtype=np.float64)))
        for name in ("value", "ci_low", "ci_high")
    )
    found = None if numbers is None else value_at_rate(numbers, codec, metric, rate)
    if found is not None:  # about the summary's value, which may be over more images
        low, high = value + found.ci_low - found.value, value + found.ci_high - found.value
    above = min(max(int(np.searchsorted(x, rate)), 1), x.size - 1)
    beside = points["n_images"].to_numpy()[[max(above - 1, 0), above] if x.size > 1 else [0]]
    return Cell(value, low, high, n=int(beside.min()))


def _marked(
    cells: Mapping[str, Cell | None], info: MetricInfo, rate: float, numbers: Baseline | None, notes: list[str]
) -> dict[str, Cell | None]:
    """The cells of one rate and metric with their ranks and ties."""
    values = sorted({cell.value for cell in cells.values() if cell is not None}, reverse=info.higher_is_better)
    ranked = {
        codec: None
        if cell is None
        else replace(cell, rank=values.index(cell.value) + 1 if cell.value in values[:2] else 0)
        for codec, cell in cells.items()
    }
    if numbers is None or not values:
        return ranked
    best = next(codec for codec, cell in ranked.items() if cell is not None and cell.rank == 1)
    others = [codec for codec, cell in ranked.items() if cell is not None and codec != best]
    tied = {best}
    for found in paired_differences(numbers, best, others, info.name, [rate]):
        notes += [f"ties in {line}" for line in found.left_out]
        if found.rate.size and (found.low[0] > 0 or found.high[0] < 0):
            continue
        tied.add(found.codec)
        if not found.rate.size or np.isnan(found.low[0]):
            why = found.reason or "one image tells nothing of the spread"
            notes.append(f"ties in {info.name}: {found.codec} and {best} cannot be told apart, {why}")
    return {codec: None if cell is None else replace(cell, tied=codec in tied) for codec, cell in ranked.items()}
