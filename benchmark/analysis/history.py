"""Baselines over commits in one file of JSON lines, and where a number changed.

A line is one baseline with the commit and the time at which it was added. Consecutive baselines of one data set and
one protocol are compared in pairs over their images; others start a new stretch, which no line joins to the last.
"""

import datetime
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field

from benchmark.analysis.baseline import Baseline, baseline_json
from benchmark.analysis.missing import named, of_infinite
from benchmark.compatibility import HISTORY
from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import append_line
from benchmark.reading import parse_record, read_text, shown
from benchmark.reconstructions import label_among
from benchmark.results import Record
from benchmark.statistics.gate import Outcome
from benchmark.statistics.intervals import Estimate
from benchmark.statistics.paired import paired_difference
from benchmark.statistics.quantiles import student_quantile

SCHEMA_VERSION = HISTORY.writes
ALPHA = 0.05


class Entry(Record):
    """A line of the file."""

    schema_version: int = Field(default=SCHEMA_VERSION, description="of this record")
    commit: str = Field(description="of the code that was measured, or another name for its state")
    added: str = Field(description="ISO 8601, UTC")
    baseline: Baseline = Field(description="the numbers")


@dataclass(frozen=True)
class HistoryPoint:
    """place: index of the entry. stretch: points of one stretch may be joined by a line.

    changed: whether a change from the point before is shown. change: its size, NaN for the first of a stretch.
    since: the change from the first of the stretch, NaN for the first. drifted: whether that is shown although no step
    from one point to the next has been: many small steps the same way. n: images behind the value. note: what the
    numbers do not say: values that became infinite or were so, and other images than the point before. The estimate
    of an entry without a value is NaN, and infinite where that of all images is.
    """

    place: int
    estimate: Estimate
    stretch: int
    changed: bool
    change: float
    since: float = math.nan
    drifted: bool = False
    n: int = 0
    note: str = ""


@dataclass(frozen=True)
class Series:
    """A codec at one quality over the entries."""

    codec: str
    quality: float
    points: tuple[HistoryPoint, ...]


def add_entry(file: Path, baseline: Baseline, commit: str | None) -> Entry:
    """Appends `baseline` to `file`, which is made if need be.

    commit: None for the run's own. Raises UsageError if there is none, or if the file has that commit with the same
    data set already; BenchmarkError if the file is no history.
    """
    name = commit or baseline.origin.git_commit
    if not name:
        raise UsageError("the run knows no commit of the suite, which was installed from a release; --commit names one")
    entries = read_entries(file) if file.exists() else []
    if any((e.commit, e.baseline.dataset) == (name, baseline.dataset) for e in entries):
        raise UsageError(f"{file}: has {name[:12]} on {baseline.label} already")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entry = Entry(commit=name, added=now, baseline=baseline)
    line = json.dumps({**entry.model_dump(exclude={"baseline"}), "baseline": json.loads(baseline_json(baseline))})
    append_line(file, line.encode())
    return entry


def read_entries(file: Path) -> list[Entry]:
    """The entries in the order in which they were added. Raises BenchmarkError, which names the line."""
    try:
        lines = read_text(file).split("\n")  # a name may hold what Python takes for the end of a line, too
    except FileNotFoundError:
        raise BenchmarkError(f"{shown(file)}: there is no history; `history add` makes one") from None
    if lines.pop():
        raise BenchmarkError(
            f"{shown(file)}, line {len(lines) + 1}: the file ends within this line; remove it, or end it if it is whole"
        )
    entries = [
        parse_record(Entry, line, f"{shown(file)}, line {number}", "an entry of a history", HISTORY)
        for number, line in enumerate(lines, start=1)
    ]
    if not entries:
        raise BenchmarkError(f"{file}: the history is empty")
    return entries


def series_of(entries: Sequence[Entry], metric: str, codecs: Sequence[str] = ()) -> list[Series]:
    """How `metric` went, of all codecs if none is named. Raises UsageError if nothing of that was measured.

    A change is shown where the paired interval over images of the difference to the entry before leaves 0 out, ALPHA
    over all such tests together, or where an infinite value became finite or the other way round. The difference to
    the first entry of a stretch is tested in the same way, ALPHA over those tests.
    """
    there = dict.fromkeys(name for entry in entries for name in entry.baseline.metrics)
    if metric not in there:
        raise UsageError(f"no metric {metric!r} was measured; there are {', '.join(there)}")
    known = list(dict.fromkeys(point.codec for entry in entries for point in entry.baseline.points))
    wanted = [label_among(codec, known) for codec in codecs] or known
    if unknown := [codec for codec in wanted if codec not in known]:
        raise UsageError(f"no codec {', '.join(unknown)} was measured; there are {', '.join(known)}")
    keys = dict.fromkeys(point.key for entry in entries for point in entry.baseline.points if point.codec in wanted)
    tests = max(len(keys) * (len(entries) - 1), 1)
    found = [Series(codec, quality, _points(entries, metric, codec, quality, tests)) for codec, quality in keys]
    return [series for series in found if any(not math.isnan(point.estimate.value) for point in series.points)]


def _points(entries: Sequence[Entry], metric: str, codec: str, quality: float, tests: int) -> tuple[HistoryPoint, ...]:
    points: list[HistoryPoint] = []
    before: Baseline | None = None
    first: Baseline | None = None
    stretch, moved = 0, False
    for place, entry in enumerate(entries):
        baseline = entry.baseline
        point = baseline.point(codec, quality)
        if point is None or metric not in baseline.metrics:
            continue
        estimate = baseline.estimate(point, metric)
        if estimate is None and not baseline.infinite_images(point, metric):
            points.append(HistoryPoint(place, _NOTHING, stretch, False, math.nan, note="no value"))
            continue
        if estimate is None:  # of all images it is infinitely good
            best = math.inf if baseline.metrics[metric].higher_is_better else -math.inf
            estimate = replace(_NOTHING, value=best)
        changed, change, since, drifted, note = False, math.nan, math.nan, False, ""
        if before is not None and first is not None and _comparable(before, baseline, metric):
            changed, change, note = _change(before, baseline, metric, codec, quality, tests)
            moved = moved or changed
            shown, since, _ = _change(first, baseline, metric, codec, quality, tests)
            drifted = shown and not moved
        else:
            stretch += before is not None
            first, moved = baseline, False
        n = len(baseline.images_with(point, metric))
        points.append(HistoryPoint(place, estimate, stretch, changed, change, since, drifted, n, note))
        before = baseline
    return tuple(points)


_NOTHING = Estimate(math.nan, math.nan, math.nan, math.nan)


def _comparable(one: Baseline, other: Baseline, metric: str) -> bool:
    # values are paired by the places of the images
    same_pictures = (one.dataset.fingerprint, one.images) == (other.dataset.fingerprint, other.images)
    return same_pictures and one.metrics[metric].protocol == other.metrics[metric].protocol


def _change(
    one: Baseline, other: Baseline, metric: str, codec: str, quality: float, tests: int
) -> tuple[bool, float, str]:
    """Whether a change is shown, its size over the images of both, and a line on the others."""
    sides = [(side, side.point(codec, quality)) for side in (one, other)]
    [(_, before), (_, after)] = sides
    assert before is not None  # both have a value
    assert after is not None
    there, here = one.images_with(before, metric), other.images_with(after, metric)
    images = [i for i in there if i in set(here)]
    outcome, note = of_infinite(one, other, before, after, metric)
    leapt = outcome in (Outcome.WORSE, Outcome.BETTER)
    if not leapt:
        lost, fresh = (
            [one.images[i] for i in mine if i not in set(theirs)] for mine, theirs in ((there, here), (here, there))
        )
        parts = [f"without {named(lost)}" if lost else "", f"with {named(fresh)} besides" if fresh else ""]
        note = ", ".join(filter(None, parts))
    old, new = one.replicates(before, metric, images), other.replicates(after, metric, images)
    if old is None or new is None:
        return leapt, math.nan, note
    difference = paired_difference(old, new)
    if math.isnan(difference.total_stderr):
        return leapt, difference.value, note
    reach = student_quantile(1 - ALPHA / (2 * tests), difference.n - 1) * difference.total_stderr
    return leapt or abs(difference.value) > reach, difference.value, note
