"""Who stands where at a rate: codecs of several entries on the same images, with ties, and which are beaten.

An entry is a run or a baseline file. Entries on one data set make one board. At each rate a codec's metrics are read
off its own curve, interpolated in log rate between its points and never beyond them. Its rank in a metric is one more
than the number of codecs that a paired test finds better; codecs that the test does not tell apart can share a rank.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmark.analysis.baseline import Baseline
from benchmark.analysis.differences import joined_numbers, paired_differences
from benchmark.analysis.inputs import summary_of
from benchmark.analysis.tabulation import Cell, tabulate
from benchmark.errors import NotComparable, UsageError
from benchmark.metrics import MetricInfo
from benchmark.reconstructions import WORDS
from benchmark.results import CodecRecord

RATES = 5
"""Rates of a board where none are asked for: spread evenly in log rate where at least two codecs can be compared."""


@dataclass(frozen=True)
class Entry:
    """numbers: of a run. name: of its file or folder."""

    name: str
    numbers: Baseline


@dataclass(frozen=True)
class Row:
    """A codec at a rate. place: 1 for the top of the table; codecs that share one stand level. cells and ranks: by
    metric, None where its curve ends. front: no codec of this rate is better in both the board's metric of fidelity and
    its metric of realism.
    """

    codec: str
    entry: str
    place: int
    cells: Mapping[str, Cell | None]
    ranks: Mapping[str, int | None]
    front: bool


@dataclass(frozen=True)
class Board:
    """One data set. metrics: the columns. protocols: of each. sides: the metrics of `Row.front`, if there are both.

    tables: rate -> its rows, the best first. absent: rate -> codecs whose curves do not reach it. codecs: the record of
    each, and the entry it is from.
    """

    dataset: str
    images: int
    metrics: tuple[MetricInfo, ...]
    protocols: Mapping[str, str]
    sides: tuple[str, str] | None
    tables: Mapping[float, tuple[Row, ...]]
    absent: Mapping[float, tuple[str, ...]]
    codecs: Mapping[str, tuple[CodecRecord, Entry]]


def boards(entries: Sequence[Entry], rates: Sequence[float] = (), metrics: Sequence[str] = ()) -> list[Board]:
    """A board for each data set, in the order of the entries.

    rates: bits per pixel; none for `RATES` that suit the board. metrics: columns; none for all that were measured.
    Raises NotComparable, which names every entry that does not fit the first of its data set and the part that differs;
    UsageError without an entry or on a metric that none has.
    """
    if not entries:
        raise UsageError("there is nothing to rank: name at least one run or baseline file")
    groups: dict[str, list[Entry]] = {}
    for entry in _told_apart(entries):
        groups.setdefault(_name_of(entry.numbers), []).append(entry)
    misfits = [reason for group in groups.values() for reason in _misfits(group)]
    if misfits:
        raise NotComparable("; ".join(misfits))
    return [_board(group, rates, metrics) for group in groups.values()]


def _told_apart(entries: Sequence[Entry]) -> list[Entry]:
    """Those of one name, such as commit-1/run and commit-2/run, with a number: "run", "run 2"."""
    taken: set[str] = set()
    found = []
    for entry in entries:
        names = (entry.name if number == 1 else f"{entry.name} {number}" for number in itertools.count(1))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        found.append(replace(entry, name=name))
    return found


def _name_of(numbers: Baseline) -> str:
    return f"{numbers.dataset.name}, {numbers.dataset.preparation}"


def _misfits(group: Sequence[Entry]) -> list[str]:
    """Why entries do not fit: other images, numbers of images, or protocols than the first entry that has them."""
    first, found = group[0], []
    protocols: dict[str, tuple[str, str]] = {}
    for entry in group:
        numbers = entry.numbers
        if numbers.dataset.fingerprint != first.numbers.dataset.fingerprint:
            found.append(f"{entry.name}: other images of {numbers.dataset.name} than {first.name}")
        elif numbers.images != first.numbers.images:
            count, there = len(numbers.images), len(first.numbers.images)
            what = f"{count} images of {numbers.dataset.name}, {there} in {first.name}"
            if count == there:
                what = f"the images of {numbers.dataset.name} have other names, or another order, than in {first.name}"
            found.append(f"{entry.name}: {what}")
        for name, record in numbers.metrics.items():
            known, whose = protocols.setdefault(name, (record.protocol, entry.name))
            if known != record.protocol:
                found.append(f"{entry.name}: {name} is {record.protocol}, {known} in {whose}")
        for point in numbers.points:
            missing = sum(size is None for size in point.bytes)
            if missing:
                found.append(f"{entry.name}: {point}: {missing} of {len(point.bytes)} images failed")
    return found


def _board(group: Sequence[Entry], rates: Sequence[float], asked: Sequence[str]) -> Board:
    labels = _labels(group)
    joined = joined_numbers([entry.numbers for entry in group], labels)
    summary = summary_of(joined)
    names = [name for name in joined.metrics if name != "bpp" and (summary["metric"] == name).any()]
    for name in asked:
        if name not in names:
            raise UsageError(f"no metric {name!r} was measured on {joined.label}; there are {', '.join(names)}")
    names = list(asked) or names
    chosen = list(rates) or _suitable_rates(joined)
    codecs = {
        label: (entry.numbers.codecs[codec], entry)
        for entry, own in zip(group, labels, strict=True)
        for codec, label in own.items()
    }
    table = tabulate([summary], names, rates=chosen, numbers=[joined]) if chosen else None
    facts = tuple(joined.facts(name) for name in names)
    sides = _sides(facts)
    tables: dict[float, tuple[Row, ...]] = {}
    absent: dict[float, tuple[str, ...]] = {}
    for rate in chosen:
        assert table is not None
        cells = {line.codec: line.cells for line in table.lines if line.place == rate}
        there = [codec for codec, own in cells.items() if any(cell is not None for cell in own.values())]
        absent[rate] = tuple(codec for codec in cells if codec not in there)
        ranks = {info.name: _ranks(joined, info, rate, [c for c in there if cells[c][info.name]]) for info in facts}
        front = _front(cells, there, sides, {info.name: info for info in facts})
        merit = {codec: (codec not in front, _mean_rank(ranks, codec)) for codec in there}
        order = sorted(there, key=merit.__getitem__)  # a stable sort
        tables[rate] = tuple(
            Row(
                codec,
                codecs[codec][1].name,
                1 + sum(other < merit[codec] for other in merit.values()),
                cells[codec],
                {name: found.get(codec) for name, found in ranks.items()},
                codec in front,
            )
            for codec in order
        )
    protocols = {name: joined.metrics[name].protocol for name in names}
    return Board(joined.label, len(joined.images), facts, protocols, sides, tables, absent, codecs)


def _labels(group: Sequence[Entry]) -> list[dict[str, str]]:
    """By entry: codec -> its name on the board; the same codec of two entries is told apart by the entry's name."""
    taken = [codec for entry in group for codec in entry.numbers.codecs]
    return [
        {codec: codec if taken.count(codec) == 1 else f"{codec} ({entry.name})" for codec in entry.numbers.codecs}
        for entry in group
    ]


def _suitable_rates(numbers: Baseline) -> list[float]:
    """Evenly spread in log rate over what at least two codecs reach, with few digits; none if no two overlap."""
    ends = []
    for codec in numbers.codecs:
        found = [numbers.estimate(point, "bpp") for point in numbers.of(codec)]
        own = [estimate.value for estimate in found if estimate is not None and estimate.value > 0]
        if own:
            ends.append((min(own), max(own)))
    wanted = min(2, len(ends))
    candidates = [
        (low, high)
        for low in sorted({low for low, _ in ends})
        for high in sorted({high for _, high in ends})
        if low < high and sum(a <= low and high <= b for a, b in ends) >= wanted
    ]
    if not candidates:
        return []
    low = min(a for a, _ in candidates)
    high = max(b for _, b in candidates)
    inner = np.exp(np.linspace(np.log(low), np.log(high), RATES + 2))[1:-1]
    rates: list[float] = []
    for digits in range(2, 10):  # two, unless they lead beyond a narrow range
        rates = list(dict.fromkeys(float(f"{rate:.{digits}g}") for rate in inner))
        if all(low <= rate <= high for rate in rates):
            break
    return rates


def _sides(facts: Sequence[MetricInfo]) -> tuple[str, str] | None:
    """The first metric of fidelity and the first of realism, or of perception where none is of realism."""
    fidelity = next((info.name for info in facts if info.aspect == "fidelity"), None)
    realism = next((info.name for info in facts if info.aspect == "realism"), None)
    realism = realism or next((info.name for info in facts if info.aspect == "perception"), None)
    return None if fidelity is None or realism is None else (fidelity, realism)


def _ranks(numbers: Baseline, info: MetricInfo, rate: float, codecs: Sequence[str]) -> dict[str, int]:
    """1 + how many codecs a paired 95 % interval finds better at this rate."""
    better = dict.fromkeys(codecs, 0)
    for anchor in codecs:
        for found in paired_differences(numbers, anchor, codecs, info.name, [rate]):
            if not found.rate.size:
                continue
            gain = found.low[0] if info.higher_is_better else -found.high[0]
            better[anchor] += bool(gain > 0)
    return {codec: 1 + count for codec, count in better.items()}


def _front(
    cells: Mapping[str, Mapping[str, Cell | None]],
    codecs: Sequence[str],
    sides: tuple[str, str] | None,
    facts: Mapping[str, MetricInfo],
) -> set[str]:
    """The codecs that no other one matches in both metrics and beats in one, by their values."""
    if sides is None:
        return set()
    values = {}
    for codec in codecs:
        pair = [cells[codec][name] for name in sides]
        if all(cell is not None for cell in pair):
            signs = [1 if facts[name].higher_is_better else -1 for name in sides]
            values[codec] = [sign * cell.value for sign, cell in zip(signs, pair, strict=True) if cell is not None]

    def beaten(codec: str) -> bool:
        own = values[codec]
        return any(
            all(a >= b for a, b in zip(other, own, strict=True)) and other != own
            for name, other in values.items()
            if name != codec
        )

    return {codec for codec in values if not beaten(codec)}


def _mean_rank(ranks: Mapping[str, Mapping[str, int]], codec: str) -> float:
    """The mean rank over the metrics that the codec has."""
    own = [found[codec] for found in ranks.values() if codec in found]
    return float(np.mean(own)) if own else float("inf")


def facts_of(record: CodecRecord, entry: Entry) -> dict[str, Any]:
    """What a row opens: spec, settings, what trained it, audit, and the run it comes from."""
    origin = entry.numbers.origin
    return {
        "spec": record.spec or "as it is called here",
        "settings": record.description,
        "trained on": ", ".join(record.trained_on) or "not known to be trained on a metric",
        "bits are": WORDS[record.bits],
        "audit": {True: "found nothing", False: "not made", None: "the suite's own codec"}[record.audited],
        "command": " ".join(origin.command),
        "started": origin.started,
        "suite": origin.git_commit or "a release",
        "packages": origin.packages,
        "machine": origin.machine,
        "device": origin.device,
    }
