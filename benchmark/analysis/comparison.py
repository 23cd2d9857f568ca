"""Whether a new run is worse than a base: every number of the base is looked for in the new run and judged.

Bits, and what else has a tolerance, of codecs without chance are held against it; everything else is a paired test
over images with a margin, 5 % over all tests together. Seconds are judged only where both runs can be held against
each other.
"""

import html
import math
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmark.analysis.baseline import Baseline, Point
from benchmark.analysis.comparable import dataset_difference, protocol_difference
from benchmark.analysis.margins import MARGIN, RATE_DIFFERENCE, SECONDS, Gate
from benchmark.analysis.missing import missing_notes, named, of_infinite
from benchmark.analysis.rate_differences import jackknife_curve, scale_of
from benchmark.errors import BenchmarkError, NotComparable
from benchmark.metrics import Margin, shipped_info
from benchmark.results import FEWEST_REPEATS, quality_name
from benchmark.statistics.bjontegaard import Curve, bd_rate, bd_rate_without
from benchmark.statistics.gate import Judgement, Outcome, judge, judge_exactly
from benchmark.statistics.intervals import jackknife_stderr
from benchmark.statistics.paired import Difference, Replicates, influence, mean_replicates, paired_difference

if TYPE_CHECKING:
    import pandas

Vector = npt.NDArray[np.float64]

MOST_MOVED = 5
NOTHING_SAID = "failed in both runs, so nothing can be said"
NO_BASE = "failed, and the base has no value either, so nothing can be said"


@dataclass(frozen=True)
class Row:
    """One number of both runs.

    quality: None for what is over all qualities. metric: as measured; for a rate difference, at equal values of it.
    kind: "value", "bd-rate" or "seconds". base, new: the two numbers; NaN for a rate difference, which is one number.
    change: new − base, relative where `margin` is, positive where the number rose; in per cent for a rate difference.
    exact: held against a tolerance, not tested. judgement: None where it could not be judged, and `reason` says why.
    n: images.
    """

    codec: str
    quality: float | None
    metric: str
    kind: str
    unit: str
    higher_is_better: bool
    base: float
    new: float
    change: float
    margin: Margin | None
    exact: bool
    judgement: Judgement | None
    reason: str
    n: int

    @property
    def name(self) -> str:
        """What the row is about, without the codec: "quality 5, lpips"."""
        if self.kind == "bd-rate":
            return f"BD-rate at equal {self.metric}"
        return f"quality {quality_name(self.quality)}, {self.metric}" if self.quality is not None else self.metric

    @property
    def outcome(self) -> Outcome | None:
        return None if self.judgement is None else self.judgement.outcome


@dataclass(frozen=True)
class Move:
    """An image that moved. change: of its value, or of a set's value through it; margins: the loss over the margin."""

    image: str
    codec: str
    quality: float
    metric: str
    change: float
    margins: float


@dataclass(frozen=True, repr=False)
class Comparison:
    """All that `compare` knows. notes: lines for the user. failures: what the base has and the new run failed to give.

    tests: number of statistical tests that share alpha. moved: the images that moved most, the largest first.
    """

    base: Baseline
    new: Baseline
    rows: tuple[Row, ...]
    tests: int
    alpha: float
    notes: tuple[str, ...]
    failures: tuple[str, ...]
    moved: tuple[Move, ...]

    def __repr__(self) -> str:
        counts = Counter("not judged" if row.outcome is None else row.outcome.value for row in self.rows)
        found = ", ".join(f"{count} {name}" for name, count in counts.items())
        failed = f"; {len(self.failures)} failures" if self.failures else ""
        return f"<Comparison on {self.base.label}: {found}{failed}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>{self.frame().to_html(index=False)}"

    def frame(self) -> "pandas.DataFrame":
        """A row per number: codec, quality (None for a whole curve), metric, kind, unit, base, new, change, outcome, n.

        outcome: "worse", "undecided", "better", "not worse", "same"; empty where it is not judged, and reason says why.
        n: images.
        """
        import pandas

        columns = ("codec", "quality", "metric", "kind", "unit", "base", "new", "change", "n", "reason")
        frame = pandas.DataFrame([[getattr(row, name) for name in columns] for row in self.rows], columns=list(columns))
        outcomes = ["" if row.outcome is None else row.outcome.value for row in self.rows]
        frame.insert(columns.index("change") + 1, "outcome", outcomes)
        return frame

    def with_outcome(self, *outcomes: Outcome) -> list[Row]:
        """The rows with one of `outcomes`, in their order."""
        return [row for row in self.rows if row.outcome in outcomes]

    @property
    def unsaid(self) -> list[str]:
        """The metrics of each codec that are gated, and judged at no quality: "psnr of jpeg"."""
        rows = [row for row in self.rows if row.kind == "value"]
        said = {(row.codec, row.metric) for row in rows if row.judgement is not None}
        lacking = dict.fromkeys((row.codec, row.metric) for row in rows if (row.codec, row.metric) not in said)
        return [f"{metric} of {codec}" for codec, metric in lacking]

    def exit_code(self, strict: bool = False) -> int:
        """0 fine; 1 worse, or undecided if `strict`; 3 something failed, or nothing could be judged."""
        if self.failures or not any(row.judgement for row in self.rows):
            return 3
        bad = (Outcome.WORSE, Outcome.UNDECIDED) if strict else (Outcome.WORSE,)
        return 1 if self.with_outcome(*bad) else 0


def compare(base: Baseline, new: Baseline, gate: Gate) -> Comparison:
    """Raises NotComparable on another data set, another protocol, or a codec, quality or metric that `new` lacks.

    Raises BenchmarkError if `base` has no number.
    """
    _check_comparable(base, new)
    notes = _notes(base, new, gate)
    pending = [item for point in base.points for item in _of_point(base, new, point, gate)]
    pending += [item for codec in base.codecs for item in _of_curve(base, new, codec, gate)]
    why_no_time = _time_obstacle(base, new)
    if why_no_time:
        notes.append(f"seconds are not compared: {why_no_time}")
    else:
        pending += [item for codec in base.codecs for item in _of_time(base, new, codec, gate)]
    if not pending:
        raise BenchmarkError("nothing was measured that could be compared")
    tests = sum(item.loss is not None and not item.row.exact for item in pending)
    rows = tuple(_judged(item, max(tests, 1), gate.alpha) for item in pending)
    return Comparison(
        base,
        new,
        rows,
        tests,
        gate.alpha,
        tuple(notes),
        tuple(_failures(base, new, gate)),
        tuple(_moved(base, new, gate)),
    )


# Whether the two stand side by side


def _check_comparable(base: Baseline, new: Baseline) -> None:
    if base.dataset != new.dataset:
        if base.dataset.fingerprint == new.dataset.fingerprint and base.dataset.preparation == new.dataset.preparation:
            pass  # the same images under another name
        elif base.dataset.preparation != new.dataset.preparation:
            raise NotComparable(
                f"the data sets differ in their preparation: {base.dataset.preparation} "
                f"against {new.dataset.preparation}"
            )
        else:
            raise NotComparable(dataset_difference(base.label, new.label))
    if base.images != new.images:
        raise NotComparable("the data sets have one fingerprint, but not the same images in one order")
    for image, before, after in zip(base.images, base.pixels, new.pixels, strict=True):
        if None not in (before, after) and before != after:
            raise NotComparable(f"{image}: {before} pixels in the base, {after} in the new run")
    for codec in base.codecs:
        if codec not in new.codecs:
            raise NotComparable(f"the codec {codec} is missing in the new run; {_other_name(base, new, codec)}")
    for point in base.points:
        if new.point(*point.key) is None:
            raise NotComparable(f"{point} is missing in the new run")
    for name, record in base.metrics.items():
        if name not in new.metrics:
            raise NotComparable(f"the metric {name} is missing in the new run; it has {', '.join(new.metrics)}")
        if record.protocol != new.metrics[name].protocol:
            raise NotComparable(f"{name}: {protocol_difference(record.protocol, new.metrics[name].protocol)}")
        if record.higher_is_better != new.metrics[name].higher_is_better:
            raise NotComparable(f"{name}: higher is better in one of the runs only")


def _other_name(base: Baseline, new: Baseline, codec: str) -> str:
    """What the new run has in place of a codec: the same one by another label, perhaps."""
    spec = base.codecs[codec].spec_or(codec)
    for label, record in new.codecs.items():
        if spec is not None and record.spec_or(label) == spec and label not in base.codecs:
            hint = f"--label {shlex.quote(f'{spec}={codec}')}" if codec != spec else f"no --label for {spec}"
            return f"it has the same codec spec, {spec}, as {label}: run it with {hint}"
    return f"it has {', '.join(new.codecs)}"


def _described_otherwise(there: Mapping[str, Any], here: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """The parts of two descriptions that differ, by their names: "settings_sha256 weights"."""
    for part in dict.fromkeys([*there, *here]):
        old, new = there.get(part), here.get(part)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _described_otherwise(old, new, f"{before}{part} ")
        elif old != new:
            yield before + part


def _notes(base: Baseline, new: Baseline, gate: Gate) -> list[str]:
    notes = []
    beside = [codec for codec in new.codecs if codec not in base.codecs]
    beside += [str(point) for point in new.points if point.codec in base.codecs and base.point(*point.key) is None]
    beside += [name for name in new.metrics if name not in base.metrics]
    if beside:
        notes.append(f"only in the new run, not compared: {', '.join(beside)}")
    there, here = base.origin.packages, new.origin.packages
    packages = [
        f"{name} {there.get(name, 'none')} → {here.get(name, 'none')}"
        for name in dict.fromkeys([*there, *here])
        if there.get(name) != here.get(name)
    ]
    if packages:
        notes.append(f"other packages: {', '.join(packages)}")
    variables = list(_described_otherwise(base.origin.environment, new.origin.environment))
    if variables:
        notes.append(f"environment variables differ: {', '.join(variables)}")
    for codec in base.codecs:
        differing = list(_described_otherwise(base.codecs[codec].description, new.codecs[codec].description))
        if differing:
            notes.append(f"{codec} is described otherwise: {', '.join(differing)}")
    stochastic = any(record.stochastic for record in base.codecs.values())
    if stochastic and base.origin.decoder_seeds != new.origin.decoder_seeds:
        notes.append("the decoder seeds differ, so their spread is not known in pairs")
    pairs = [(point, new.point(*point.key)) for point in base.points]
    changed = [str(point) for point, other in pairs if other is None or other.bytes != point.bytes]
    if changed:
        shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        notes.append(f"streams have other sizes at {len(changed)} of {len(pairs)} points: {shown}")
    else:
        notes.append(f"all streams have the same sizes, byte for byte, at {len(pairs)} points")
    fresh = [
        f"{metric} of {named(names)} at {point}"
        for point, other in pairs
        if other is not None
        for metric in base.metrics
        if (names := [base.images[i] for i in sorted(_valued(new, other, metric) - _valued(base, point, metric))])
    ]
    if fresh:
        notes.append(f"only the new run has a value, which is not compared: {named(fresh)}")
    twice = [
        f"{named(failed)} at {point}"
        for point, other in pairs
        if other is not None and (failed := [image for image in point.failed if image in other.failed])
    ]
    if twice:
        notes.append(f"failed in both runs, not compared: {named(twice)}")
    notes += [f"in the new run {line}" for line in missing_notes(new)]
    free = [name for name in base.metrics if gate.margin_of(name, base.facts(name)) is None]
    if free:
        notes.append(f"without a margin in [tool.benchmark.gate], so not judged: {', '.join(free)}")
    known = {part for name in base.metrics for part in (name, name.partition("@")[0])} | MARGIN.keys()
    strange = [name for name in dict.fromkeys([*gate.margin, *gate.tolerance]) if name not in known]
    strange = [name for name in strange if shipped_info(name.partition("@")[0]) is None]
    if strange:
        notes.append(f"in [tool.benchmark.gate], but no metric of these runs or of the suite: {', '.join(strange)}")
    if len(base.images) == 1:
        notes.append("one image tells nothing of the spread between images, so no statistical test is possible")
    return notes


def _failures(base: Baseline, new: Baseline, gate: Gate) -> Iterator[str]:
    """What the new run lost, and of what is gated and cannot be judged since it failed in both."""
    gated = {name for name in base.metrics if gate.margin_of(name, base.facts(name)) is not None}
    for point in base.points:
        found = new.point(*point.key)
        assert found is not None  # checked
        for image, error in found.failed.items():
            if image not in point.failed:
                yield f"{point}, {image}: {error}"
        if found.failed.keys() & point.failed.keys() == set(base.images):
            yield f"{point}: {NOTHING_SAID}: {next(iter(found.failed.values()))}"
            continue
        for metric in base.metrics:
            had, has = _valued(base, point, metric), _valued(new, found, metric)
            if had and not has:
                yield f"{point}, {metric}: the base has a value, the new run has none"
            elif lost := [base.images[index] for index in sorted(had - has) if base.images[index] not in found.failed]:
                yield f"{point}, {metric}: the base has a value of {named(lost)}, the new run has none"
            elif metric in gated and not had and not has and len(new.failed_images(found, metric)) == len(new.images):
                twice = len(base.failed_images(point, metric)) == len(base.images)
                yield f"{point}, {metric}: {NOTHING_SAID if twice else NO_BASE}"


def _valued(side: Baseline, point: Point, metric: str) -> set[int]:
    """The images with a value, be it infinite; all, of a set that has one and none without each image."""
    there = {*side.images_with(point, metric), *side.infinite_images(point, metric)}
    return there if there or metric not in point.sets else set(range(len(side.images)))


# Numbers, before they are judged


@dataclass(frozen=True)
class _Pending:
    """A row, and its loss in the unit of its margin: positive is worse; None where there is none.

    infinite: what values that are infinite in one run say, or in both; or a base of 0, of which there is no share.
    """

    row: Row
    loss: Difference | None
    infinite: Outcome | None = None


def _of_point(base: Baseline, new: Baseline, point: Point, gate: Gate) -> Iterator[_Pending]:
    other = new.point(*point.key)
    assert other is not None  # checked
    for metric, record in base.metrics.items():
        facts = base.facts(metric)
        margin = gate.margin_of(metric, facts)
        tolerance = gate.tolerance_of(metric, facts)
        # An encoder has no chance in it; a decoder may.
        stochastic = base.codecs[point.codec].stochastic or new.codecs[point.codec].stochastic
        exact = tolerance is not None and (metric == "bpp" or not stochastic)
        limit = tolerance if exact else margin
        if limit is None:
            continue
        images = _shared(base, new, point, other, metric)
        before, after = (side.replicates(p, metric, images) for side, p in ((base, point), (new, other)))
        row = Row(
            point.codec,
            point.quality,
            metric,
            "value",
            record.unit,
            record.higher_is_better,
            math.nan if before is None else before.value,
            math.nan if after is None else after.value,
            math.nan,
            limit,
            exact,
            None,
            "",
            len(images),
        )
        infinite, why = of_infinite(base, new, point, other, metric)
        row = replace(row, reason=why)
        if infinite is not None and (before is None or after is None):
            yield _Pending(row, None, infinite)
            continue
        if before is None or after is None:
            had, has = _valued(base, point, metric), _valued(new, other, metric)
            if not had and not has:
                why = "no value in either run"
            elif not had:
                why = "the base has no value"
            elif not has:
                why = "the new run has no value"
            elif not images and metric in point.sets:
                why = "no error is known: not defined without each image"
            else:
                why = "not over the same images in both runs"
            yield _Pending(replace(row, reason=why), None)
            continue
        pending = _with_loss(row, before, after)
        both = [found for found in (infinite, pending.infinite) if found is not None]
        yield replace(pending, infinite=min(both, key=_WORST_FIRST.index, default=None))


def _shared(base: Baseline, new: Baseline, one: Point, other: Point, metric: str) -> list[int]:
    """The images with a value in both runs, which list the same images; of a set only if the sets are one."""
    mine, theirs = base.images_with(one, metric), new.images_with(other, metric)
    return [index for index in mine if index in set(theirs)]


def _with_loss(row: Row, before: Replicates, after: Replicates) -> _Pending:
    assert row.margin is not None
    relative = row.margin.relative
    if relative and before.value == 0:
        return _from_zero(row, after.value)
    try:
        change = paired_difference(before, after, relative)
    except ValueError as error:
        if not (relative and before.value > 0 and before.without.shape == after.without.shape):
            return _Pending(replace(row, reason=str(error)), None)
        change = _share_of(before.value, paired_difference(before, after))
    return _Pending(replace(row, change=change.value), _oriented(change, row.higher_is_better))


def _from_zero(row: Row, after: float) -> _Pending:
    """A number that is 0 in the base, of which no loss is a small share: a distance of images that were exact, say."""
    if after == 0:
        return _Pending(replace(row, reason=row.reason or "0 in both"), None, Outcome.SAME)
    outcome = Outcome.BETTER if (after > 0) == row.higher_is_better else Outcome.WORSE
    return _Pending(replace(row, reason=row.reason or "0 in the base, not in the new run"), None, outcome)


def _share_of(base: float, change: Difference) -> Difference:
    """A difference as a share of the base's number, where that is 0 without one of the images, or for one seed."""
    return replace(
        change,
        value=change.value / base,
        stderr=change.stderr / base,
        stderr_seed=change.stderr_seed / base,
        without=change.without / base,
    )


_WORST_FIRST = (Outcome.WORSE, Outcome.BETTER, Outcome.SAME)


def _oriented(change: Difference, higher_is_better: bool) -> Difference:
    return replace(change, value=-change.value, without=-change.without) if higher_is_better else change


def _of_curve(base: Baseline, new: Baseline, codec: str, gate: Gate) -> Iterator[_Pending]:
    """The rate difference of the new curve against the base's, at equal values of each metric."""
    margin = gate.margin_of(RATE_DIFFERENCE)
    if margin is None or len(base.of(codec)) < 2:
        return
    for metric, record in base.metrics.items():
        facts = base.facts(metric)
        if metric == "bpp" or gate.margin_of(metric, facts) is None:
            continue
        pairs = [(point, new.point(*point.key)) for point in base.of(codec)]
        shared = [_shared(base, new, one, other, metric) for one, other in pairs if other is not None]
        images = sorted(set.intersection(*map(set, shared)))
        # The points of both, over the same images; others would compare sets of different images.
        one = jackknife_curve(base, base.of(codec), metric, images)
        other = jackknife_curve(new, [found for _, found in pairs if found is not None], metric, images)
        higher, scale = record.higher_is_better, scale_of(facts)
        whole = bd_rate(Curve(one.rate, one.value), Curve(other.rate, other.value), higher, scale, with_ways=False)
        row = Row(
            codec,
            None,
            metric,
            "bd-rate",
            "%",
            False,
            math.nan,
            math.nan,
            whole.estimate.value,
            margin,
            False,
            None,
            whole.reason,
            len(images),
        )
        if not whole.defined:
            yield _Pending(row, None)
            continue
        without = bd_rate_without(one, other, higher, scale)
        if np.isnan(without).any():
            count = int(np.isnan(without).sum())
            yield _Pending(replace(row, reason=f"not defined without each of {count} images"), None)
            continue
        stderr = jackknife_stderr(without)
        yield _Pending(row, Difference(whole.estimate.value, stderr, math.nan, len(images), without))


def _time_obstacle(base: Baseline, new: Baseline) -> str:
    """Why seconds cannot be held against each other; empty if they can."""
    for name, side in (("base", base), ("new run", new)):
        if side.origin.workers != 1:
            return f"the {name} was measured with {side.origin.workers} workers at once"
        if not any(point.encode_seconds for point in side.points):
            return f"the {name} has none"
        if side.origin.timing < FEWEST_REPEATS:
            return f"the {name} has them of single calls; `run --timing {FEWEST_REPEATS}` repeats them"
    for part in dict.fromkeys([*base.origin.machine, *new.origin.machine]):
        one, other = base.origin.machine.get(part), new.origin.machine.get(part)
        if one != other:
            return f"the machines differ in {part}: {one} against {other}"
    for part in ("threads", "device"):
        one, other = getattr(base.origin, part), getattr(new.origin, part)
        if one != other:
            return f"the runs differ in {part}: {one} against {other}"
    return ""


def _of_time(base: Baseline, new: Baseline, codec: str, gate: Gate) -> Iterator[_Pending]:
    """Seconds per image, over all qualities, of encode and of decode."""
    margin = gate.margin_of(SECONDS)
    if margin is None:
        return
    for name in ("encode_seconds", "decode_seconds"):
        before = [getattr(point, name) for point in base.of(codec)]
        after = [getattr(new.point(*point.key), name) for point in base.of(codec)]
        if any(seconds is None for seconds in (*before, *after)):
            continue
        one, other = (mean_replicates([np.mean(seconds, axis=0)]) for seconds in (before, after))
        label = name.replace("_", " ")
        row = Row(
            codec,
            None,
            label,
            SECONDS,
            "s",
            False,
            one.value,
            other.value,
            math.nan,
            margin,
            False,
            None,
            "",
            len(base.images),
        )
        yield _with_loss(row, one, other)


# Judging


def _judged(item: _Pending, tests: int, alpha: float) -> Row:
    row, loss = item.row, item.loss
    if row.margin is None:
        return row
    if loss is None:
        return row if item.infinite is None else replace(row, judgement=_judged_infinite(item.infinite))
    if row.exact:
        judgement, reason = judge_exactly(loss.value, row.margin.size), ""
    else:
        judgement = judge(loss, row.margin.size, tests, alpha)
        reason = "one image: no error is known" if math.isnan(loss.total_stderr) and loss.value != 0 else ""
    # A fall from infinite is worse whatever the other images do; a rise does not make up for what they lose.
    mended = item.infinite is Outcome.BETTER and judgement.outcome in (Outcome.SAME, Outcome.NOT_WORSE)
    if item.infinite is not None and (mended or item.infinite is Outcome.WORSE):
        return replace(row, judgement=_judged_infinite(item.infinite))
    return replace(row, judgement=judgement, reason=reason or row.reason)


def _judged_infinite(outcome: Outcome) -> Judgement:
    loss = {Outcome.WORSE: math.inf, Outcome.BETTER: -math.inf}.get(outcome, 0.0)
    return Judgement(outcome, loss, math.nan, math.nan, math.nan)


# Images


def _moved(base: Baseline, new: Baseline, gate: Gate) -> Sequence[Move]:
    """The largest moves of single images, in margins, losses positive; an image once, at its largest."""
    moves: dict[str, Move] = {}
    for point in base.points:
        other = new.point(*point.key)
        for metric, record in base.metrics.items():
            margin = gate.margin_of(metric, base.facts(metric))
            if other is None or margin is None or margin.size == 0:
                continue
            images = _shared(base, new, point, other, metric)
            changes = _picture_changes(base, new, point, other, metric, images)
            if changes is None:
                continue
            before = base.replicates(point, metric, images)
            unit = margin.size * (before.value if margin.relative and before is not None else 1.0)
            if unit < 0:
                continue
            for index, change in zip(images, changes, strict=True):
                image = base.images[index]
                loss = float(-change if record.higher_is_better else change)
                margins = loss / unit if unit else math.copysign(math.inf, loss)
                if change and (image not in moves or abs(margins) > abs(moves[image].margins)):
                    moves[image] = Move(image, point.codec, point.quality, metric, float(change), margins)
    return sorted(moves.values(), key=lambda move: -abs(move.margins))[:MOST_MOVED]


def _picture_changes(
    base: Baseline, new: Baseline, one: Point, other: Point, metric: str, images: Sequence[int]
) -> Vector | None:
    """(n,): the change of each image's value; for a metric of sets, of its influence on the set's value."""
    if not images:
        return None
    if base.metrics[metric].kind != "set":
        changes: Vector = new.image_values(other, metric, images) - base.image_values(one, metric, images)
        return changes
    before, after = base.replicates(one, metric, images), new.replicates(other, metric, images)
    if before is None or after is None:
        return None
    return influence(after.value, after.without) - influence(before.value, before.without)
