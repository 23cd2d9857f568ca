"""From the trials of a run to summary.csv: one row a value, each with its standard error and interval over images.

Needs the run folder alone: per-image metrics come from trials.jsonl, metrics of sets from the stored features.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import numpy.typing as npt

from benchmark.analysis.groups import Group, StoredGroups, by_seed, images_with
from benchmark.analysis.set_values import (
    SetFailure,
    SetValue,
    check_unchanged,
    failure_lines,
    keep_values,
    values_of_sets,
)
from benchmark.codecs import ESTIMATE_BYTES, ESTIMATE_SHARE
from benchmark.compatibility import SUMMARY, check_version
from benchmark.errors import BenchmarkError, UsageError
from benchmark.metrics import Kind, MetricInfo, shipped_info
from benchmark.metrics.info import Scale
from benchmark.metrics.records import BPP, info_of
from benchmark.reading import brief, column_of, one_of, read_table, real_of, shown, text_of, truth_of, whole_of
from benchmark.results import Manifest, RunFolder, Trial
from benchmark.statistics.intervals import (
    Estimate,
    function_of_means_estimate,
    jackknife_estimate,
    mean_estimate,
    t_estimate,
)

if TYPE_CHECKING:
    import pandas

MEAN = "mean over images"
TOTAL = "total bits / total pixels"  # of bpp
ESTIMATED = "estimated by the codec, mean over images"  # of bpp
MEAN_MSE = "of the mean MSE"  # of psnr
SET = "set"
ORIGINALS = "of the originals, mean over images"  # of metrics without a reference
HEADLINES = (MEAN, SET)
"""The aggregations that curves and tables show: a summary has one of them for each metric."""

COLUMN_WORDS = {
    "dataset": "name, with its preparation",
    "codec": "label: the codec spec, or the name that the user gave it",
    "quality": "on the codec's own scale",
    "metric": "as the user named it, or bpp",
    "protocol": "everything that moves the number; other protocols are not comparable",
    "value": "the mean over images, or that of the whole set; empty if there is none",
    "stderr": "standard error of the value over images",
    "ci_low": "lower end of the 95 % interval over images",
    "ci_high": "upper end of the 95 % interval over images",
    "stderr_seed": "standard error over decoder seeds; empty with fewer than two",
    "n_images": "images behind the value",
    "n_patches": "patches of the originals; empty for metrics of images",
    "aggregation": f"how images became one value: {MEAN}; {SET}; of bpp {TOTAL}, or {ESTIMATED}; of psnr {MEAN_MSE}; "
    f"of metrics without a reference {ORIGINALS}",
    "unit": "of the value, empty for a pure number",
    "higher_is_better": "direction",
    "title": "as plots call the metric",
    "signed": "whether values can be negative, so that a share means nothing",
    "scale": "of plots: linear or decibel",
    "schema": "version of this table",
}
"""Column -> what it holds."""
COLUMNS = tuple(COLUMN_WORDS)
SCHEMA_VERSION = SUMMARY.writes
"""Files of version 1 have the columns up to `higher_is_better`."""
_FIRST_COLUMNS = COLUMNS[: COLUMNS.index("title")]

ESTIMATED_PROTOCOL = "bpp/estimated/original-pixels"
"""Bits that a codec's entropy model predicts, its header counted: a column beside bpp, never drawn as bpp."""

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Value:
    """A value of a group. estimate: None if there is none. per_seed: its values, one a decoder seed."""

    aggregation: str
    estimate: Estimate | None
    per_seed: tuple[float, ...] = ()
    n_images: int = 0
    n_patches: int | None = None


def write_summary(
    folder: RunFolder,
    groups: Sequence[Group] | None = None,
    failures: list[str] | None = None,
    time_limit: float | None = None,
) -> "pandas.DataFrame":
    """Writes summary.csv of the run `folder` atomically and returns it; the columns are COLUMNS.

    groups: of the run, if they are read already. failures: gets a line for each metric of the user's own that breaks
    down, or is not there any more; it has no value then. Without it, that is a BenchmarkError too. time_limit: as
    `values_of_sets` has it.

    A row is over the images whose trials succeeded and have a value; n_images counts them, `coverage_notes` names the
    others. Where none has one, the row stays, with n_images 0 and no value. With several decoder seeds the value is
    the mean over them, an image counts if it has a value at every seed, the standard error is that of the seeds'
    mean over images, and stderr_seed is the standard deviation of the per-seed values over √(number of seeds).
    stderr and interval are missing for a single image. Aggregations: "mean over images" and "set" for the headline,
    "total bits / total pixels" for bpp and "of the mean MSE" for psnr besides, for bpp, where a codec estimates its
    bits, "estimated by the codec, mean over images" with a protocol of its own, and for a metric without a reference
    "of the originals, mean over images", over the same images. The last columns are the metric's facts, `metric_facts`
    reads them, and the version of this file. Raises NotComparable if a metric of
    sets has another protocol now than the run was measured with, and BenchmarkError if features are missing.
    """
    groups = StoredGroups(folder) if groups is None else groups
    broken: list[SetFailure] = []
    of_sets = values_of_sets(folder, groups, None if failures is None else broken, again=True, time_limit=time_limit)
    if failures is not None:
        failures += failure_lines(broken)
    frame = _frame(folder, groups, of_sets)
    text = frame.to_csv(index=False, lineterminator="\n").encode()
    folder.write_bytes(folder.summary_path, text)
    keep_values(folder, of_sets, text, broken)
    return frame


def summary_so_far(folder: RunFolder, images: Collection[str]) -> "pandas.DataFrame":
    """What `write_summary` returns, over `images` alone and without metrics of sets; nothing is written.

    For a look at a run that goes on. A metric of sets has another value over a part of the images.
    """
    parts = (
        replace(group, trials=tuple(trial for trial in group.trials if trial.image in images))
        for group in StoredGroups(folder)
    )
    return _frame(folder, (part for part in parts if part.trials), None)


def _frame(
    folder: RunFolder, groups: Iterable[Group], of_sets: Mapping[tuple[str, float, str], SetValue] | None
) -> "pandas.DataFrame":
    """of_sets: values of metrics of sets; None leaves their rows out."""
    import pandas

    manifest = folder.manifest
    dataset = dataset_label(manifest)
    records = {"bpp": BPP, **manifest.metrics}
    if of_sets is None:
        records = {name: record for name, record in records.items() if record.kind != "set"}
    facts = {name: info_of(name, record) for name, record in records.items()}
    value_of = cache(folder.read_original_value)
    rows: list[list[object]] = []
    for group in groups:
        for name, record in records.items():
            if record.kind == "set":
                values = [_of_the_set((of_sets or {}).get((group.codec, group.quality, name)))]
            elif name == "bpp":
                values = _of_the_rate(group)
            else:
                values = _of_the_images(group, name, facts[name])
            if record.kind == "no-reference" and record.feature_key is not None:
                values.append(_of_the_originals(group, name, partial(value_of, record.feature_key)))
            for value in values:
                protocol = ESTIMATED_PROTOCOL if value.aggregation == ESTIMATED else record.protocol
                rows.append([dataset, group.codec, group.quality, name, protocol, *_cells(value)])
                rows[-1] += [record.unit, record.higher_is_better]
                rows[-1] += [facts[name].title, facts[name].signed, facts[name].scale, SCHEMA_VERSION]
        del group  # some kilobytes an image: not beside the next one
    return typed(pandas.DataFrame(rows, columns=list(COLUMNS)))


def read_summary(path: Path) -> "pandas.DataFrame":
    """The summary at `path`, a run folder or a CSV file, equal to what `write_summary` returned.

    A file of an older version gets the columns that it lacks, by the names of its metrics. Raises BenchmarkError if
    there is none, if it is no summary, or if that of a run folder is not of its trials any more.
    """
    import pandas

    file = path
    if path.is_dir():
        file = path / SUMMARY_FILE
        if (path / "run.json").exists():
            check_unchanged(RunFolder.open(path))
    place = shown(file)
    try:
        columns, rows = read_table(file, _WHAT)
    except FileNotFoundError:
        raise BenchmarkError(f"{place}: there is no summary; a run writes it at its end") from None
    if SUMMARY.field in columns:
        for number in column_of(columns, rows, SUMMARY.field, whole_of, place, _WHAT):
            check_version(place, SUMMARY, {SUMMARY.field: number})
    if tuple(columns) not in (COLUMNS, _FIRST_COLUMNS):
        raise BenchmarkError(f"{place}: no summary: its columns must be {','.join(COLUMNS)}")
    frame = pandas.DataFrame(
        {name: column_of(columns, rows, name, _CELLS.get(name, str), place, _WHAT) for name in columns}, columns=columns
    )
    _check_rows(frame, [number for number, _ in rows], place)
    return typed(frame if "schema" in frame else _with_facts(frame))


def _check_rows(frame: "pandas.DataFrame", lines: Sequence[int], place: str) -> None:
    """Raises BenchmarkError where a value stands twice, or a metric has two directions."""
    twice = frame.duplicated(["dataset", "codec", "quality", "metric", "aggregation"]).to_numpy()
    if twice.any():
        raise BenchmarkError(f"{place}, line {lines[int(twice.argmax())]}: not {_WHAT}: the value is there twice")
    for column in ("higher_is_better", "unit"):
        for metric, rows in frame.groupby("metric", sort=False):
            if rows[column].nunique() > 1:
                raise BenchmarkError(f"{place}: not {_WHAT}: {column} of {brief(metric)} is not the same in all lines")


def metric_facts(frame: "pandas.DataFrame", metric: str) -> MetricInfo:
    """What the summary `frame` says of `metric`; what it leaves open is as the suite has it, or plain.

    Raises UsageError if the frame has no row of it.
    """
    rows = frame[frame["metric"] == metric]
    if not len(rows):
        raise UsageError(f"no metric {metric!r} was measured; there are {', '.join(dict.fromkeys(frame['metric']))}")
    aggregations = set(rows["aggregation"]) if "aggregation" in rows else set()
    kind: Kind = "set" if SET in aggregations else "no-reference" if ORIGINALS in aggregations else "image"
    first = rows.iloc[0]
    facts: dict[str, Any] = {"higher_is_better": bool(first["higher_is_better"])}
    if isinstance(first.get("unit"), str) and first["unit"]:
        facts["unit"] = first["unit"]
    if isinstance(first.get("title"), str) and first["title"]:
        facts |= {"title": first["title"], "signed": bool(first["signed"]), "scale": first["scale"]}
    known = shipped_info(metric) or MetricInfo(metric, metric, kind, "", False, None, None)
    return replace(known, **facts)


def drawable_metrics(frame: "pandas.DataFrame") -> list[str]:
    """The metrics, bpp aside, with a point in their plots, in the order of the summary; see `undrawable_metrics`."""
    without = undrawable_metrics(frame)
    valued = frame.loc[(frame["metric"] != "bpp") & frame["value"].notna(), "metric"]
    return [name for name in dict.fromkeys(valued) if name not in without]


def undrawable_metrics(frame: "pandas.DataFrame") -> dict[str, str]:
    """Why metrics that have values have no point in their plots, by name.

    In decibels a similarity of 1 is infinite: of lossless codecs alone there is nothing to draw. The axis of bits is
    logarithmic: it has no place for codecs that spend none.
    """
    found = {}
    rates = frame[(frame["metric"] == "bpp") & (frame["value"] > 0)].set_index(["codec", "quality"]).index
    for name, rows in frame[(frame["metric"] != "bpp") & frame["value"].notna()].groupby("metric", sort=False):
        points = rows[rows.set_index(["codec", "quality"]).index.isin(rates)]
        if not len(points):
            found[str(name)] = "no point with a value has any bits"
        elif metric_facts(frame, str(name)).scale == "decibel" and not (points["value"] < 1).any():
            found[str(name)] = "every value is infinite in dB"
    return found


def _with_facts(frame: "pandas.DataFrame") -> "pandas.DataFrame":
    """A summary of version 1 with all current columns."""
    facts = {name: metric_facts(frame, name) for name in dict.fromkeys(frame["metric"])}
    own = [facts[name] for name in frame["metric"]]
    return frame.assign(
        title=[f.title for f in own], signed=[f.signed for f in own], scale=[f.scale for f in own], schema=1
    )


def coverage_notes(manifest: Manifest, groups: Iterable[Group]) -> list[str]:
    """What the summary's values leave out, a line each: failed trials, missing values, points over unequal images."""
    failures: list[str] = []
    estimates: dict[str, dict[str, str]] = {}
    coverage = {name: _Coverage() for name in ("bpp", *manifest.metrics)}
    for group in groups:
        failed = {trial.image: trial.error for trial in group.trials if trial.error is not None}
        if failed:
            count = len({trial.image for trial in group.trials})
            failures.append(f"{group}: {len(failed)} of {count} images failed; {_first(failed)}")
        _find_wrong_estimates(group, estimates)
        for name, record in {"bpp": BPP, **manifest.metrics}.items():
            coverage[name].add(group, name, record.kind)
    wrong = [
        f"{codec}: estimates of its bits that are not its bits, {len(found)} images; {_first(found)}"
        for codec, found in estimates.items()
    ]
    return failures + wrong + [line for name, found in coverage.items() for line in found.notes(name)]


class _Coverage:
    """Which images have a value of one metric, group by group."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.all: set[str] = set()
        self.fewest: tuple[frozenset[str], str] | None = None
        self.unequal = False

    def add(self, group: Group, name: str, kind: str) -> None:
        self.reasons |= {t.image: t.reasons[name] for t in group.trials if t.error is None and name in t.reasons}
        images = frozenset(images_with(group, name, kind))
        if self.fewest is not None:
            self.unequal |= images != self.fewest[0]
        if self.fewest is None or len(images) < len(self.fewest[0]):
            self.fewest = (images, str(group))
        self.all |= images

    def notes(self, name: str) -> list[str]:
        lines = []
        if self.reasons:
            some = "1 image" if len(self.reasons) == 1 else f"{len(self.reasons)} images"
            lines.append(f"{name}: no value for {some}; {_first(self.reasons)}")
        if self.unequal and self.fewest is not None:
            images, group = self.fewest
            counts = f"{len(images)} of {len(self.all)}"
            lines.append(f"{name}: the points are not all over the same images; {group} has {counts}")
        return lines


def _find_wrong_estimates(group: Group, found: dict[str, dict[str, str]]) -> None:
    """Adds to `found` (codec -> image -> what is wrong) where a codec's estimate is not the length of its stream."""
    for trial in group.trials:
        if trial.error is None and trial.bpp_estimated is not None and trial.bytes and trial.height and trial.width:
            estimate = trial.bpp_estimated * trial.height * trial.width / 8
            if abs(estimate - trial.bytes) > ESTIMATE_SHARE * trial.bytes + ESTIMATE_BYTES:
                line = f"at quality {group.quality:g} {estimate:.0f} bytes, the stream has {trial.bytes}"
                found.setdefault(group.codec, {}).setdefault(trial.image, line)


def dataset_label(manifest: Manifest) -> str:
    """The data set's name and 8 digits of its fingerprint: "photos[quick look, 8 of 24] 1a2b3c4d"."""
    return f"{manifest.dataset.name} {manifest.dataset.fingerprint[:8]}"


# Values of one codec at one quality


def _of_the_rate(group: Group) -> list[_Value]:
    images = images_with(group, "bpp", "image")
    chosen = [[trials[image] for image in images] for trials in by_seed(group).values()]
    bpp = np.array([[trial.bpp for trial in row] for row in chosen], dtype=np.float64)
    bits = np.array([[8 * (trial.bytes or 0) for trial in row] for row in chosen], dtype=np.float64)
    pixels = np.array([[(trial.height or 0) * (trial.width or 0) for trial in row] for row in chosen], dtype=np.float64)
    total = _Value(TOTAL, None)
    if images:
        # Every decoder seed reads the same bits, so the first row is all of them.
        estimate = function_of_means_estimate(np.divide, bits[0], pixels[0])
        total = _Value(TOTAL, estimate, tuple(bits.sum(axis=1) / pixels.sum(axis=1)), len(images))
    return [_mean(bpp, len(images)), total, *_estimated_rate(group)]


def _estimated_rate(group: Group) -> list[_Value]:
    """The mean over the images with an estimate; nothing where the codec makes none. It is one for all seeds."""
    first = next(iter(by_seed(group).values()), {})
    known = [trial.bpp_estimated for trial in first.values() if trial.bpp_estimated is not None]
    return [replace(_mean(np.array([known]), len(known)), aggregation=ESTIMATED)] if known else []


def _of_the_images(group: Group, metric: str, facts: MetricInfo) -> list[_Value]:
    images = images_with(group, metric, "image")
    matrix = np.array(
        [[trials[image].metrics[metric] for image in images] for trials in by_seed(group).values()], dtype=np.float64
    )
    values = [_mean(matrix, len(images))]
    if facts.pooled == "mse":
        values.append(_decibels_of_the_mean_error(_decibels(group, metric, facts.infinite_reason)))
    return values


def _decibels(group: Group, metric: str, infinite: str) -> Matrix:
    """(seeds, images): the values of the images that have one at every seed, be it infinite."""

    def value(trial: Trial) -> float | None:
        return math.inf if trial.reasons.get(metric) == infinite else trial.metrics.get(metric)

    rows = [{image: value(trial) for image, trial in trials.items()} for trials in by_seed(group).values()]
    images = [image for image in next(iter(rows), {}) if all(row.get(image) is not None for row in rows)]
    return np.array([[row[image] for image in images] for row in rows], dtype=np.float64)


def _of_the_originals(group: Group, metric: str, value_of: Callable[[str], float | None]) -> _Value:
    """What a metric without a reference says of the originals of the images with a value."""
    found = [value_of(image) for image in images_with(group, metric, "no-reference")]
    known = [value for value in found if value is not None]
    return replace(_mean(np.array([known], dtype=np.float64), len(known)), aggregation=ORIGINALS)


def _mean(matrix: Matrix, n_images: int) -> _Value:
    """matrix: (seeds, images)."""
    if not n_images:
        return _Value(MEAN, None)
    return _Value(MEAN, mean_estimate(matrix.mean(axis=0)), tuple(matrix.mean(axis=1)), n_images)


def _decibels_of_the_mean_error(decibels: Matrix) -> _Value:
    """decibels: (seeds, images), of PSNR say. 10·log10(255² / mean over images of the MSE), for each seed; then their
    mean. An infinite one is an error of 0; None where no image has any error. Where a single one has, there is no
    interval: without it the value is infinite."""
    error = 10 ** (-decibels / 10)  # MSE over 255²; the peak cancels
    if not error.size or not (error.mean(axis=1) > 0).all():
        return _Value(MEAN_MSE, None)
    per_seed = -10 * np.log10(error.mean(axis=1))
    if ((error > 0).sum(axis=1) > 1).all():
        estimate = function_of_means_estimate(
            lambda *means: np.mean([-10 * np.log10(mean) for mean in means], axis=0), *error
        )
    else:
        estimate = t_estimate(float(per_seed.mean()), math.nan, error.shape[1])
    return _Value(MEAN_MSE, estimate, tuple(per_seed), error.shape[1])


def _of_the_set(found: SetValue | None) -> _Value:
    """Over the images that have a patch. The jackknife is over images, of the mean over the decoder seeds."""
    if found is None:
        return _Value(SET, None)
    if found.without is None:
        estimate = t_estimate(found.value, math.nan, len(found.images))
    else:
        estimate = jackknife_estimate(found.value, found.without)
    return _Value(SET, estimate, tuple(found.per_seed), len(found.images), found.n_patches)


# Cells


def _cells(value: _Value) -> list[object]:
    """value, stderr, ci_low, ci_high, stderr_seed, n_images, n_patches, aggregation; None for an empty cell."""
    estimate = value.estimate or Estimate(math.nan, math.nan, math.nan, math.nan)
    return [
        estimate.value,
        estimate.stderr,
        estimate.ci_low,
        estimate.ci_high,
        mean_estimate(value.per_seed).stderr if value.per_seed else math.nan,
        value.n_images,
        value.n_patches,
        value.aggregation,
    ]


_WHAT = "a summary"
SUMMARY_FILE = "summary.csv"
_REAL = ("quality", "value", "stderr", "ci_low", "ci_high", "stderr_seed")
_CELLS: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(("dataset", "codec", "metric", "protocol", "aggregation"), text_of),
    "quality": real_of,
    **dict.fromkeys(_REAL[1:], partial(real_of, missing=True)),
    "n_images": whole_of,
    "n_patches": partial(whole_of, missing=True),
    **dict.fromkeys(("higher_is_better", "signed"), truth_of),
    "scale": partial(one_of, choices=get_args(Scale)),
    "schema": whole_of,
}
"""How a column's cells are read; as text where nothing is said."""


def typed(frame: "pandas.DataFrame") -> "pandas.DataFrame":
    """quality, value, stderr, ends and stderr_seed float64; n_images int64, n_patches nullable Int64; the rest text."""
    types = dict.fromkeys(COLUMNS, "object") | dict.fromkeys(_REAL, "float64")
    whole = {"n_images": "int64", "n_patches": "Int64", "schema": "int64"}
    return frame.astype(types | whole | {"higher_is_better": "bool", "signed": "bool"})


def _first(reasons: dict[str, str]) -> str:
    image, reason = next(iter(reasons.items()))
    return f"{image}: {reason}"
