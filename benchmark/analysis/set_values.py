"""Metrics of sets over a run: the value, and the value without each image, from the stored features.

The values without an image cost seconds each where there are many patches, and every interval and gate needs them, so
the summary leaves them in the run folder: leave-one-out.json, which holds only for the trials.jsonl whose hash it has.
"""

import contextlib
import hashlib
import math
import os
import shlex
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self, overload

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator
from threadpoolctl import threadpool_limits  # type: ignore[import-not-found,import-untyped]  # has no hints

from benchmark.analysis.groups import Group, by_seed, images_with
from benchmark.children import Apart, Ended
from benchmark.compatibility import LEAVE_ONE_OUT
from benchmark.errors import BenchmarkError, NotComparable, Undefined, one_line
from benchmark.metrics import SetMetric, open_metric, shipped_info
from benchmark.metrics.distribution import Memory
from benchmark.metrics.own import OwnSetMetric, from_record, object_of
from benchmark.metrics.records import info_of
from benchmark.reading import parse_record, read_text, shown
from benchmark.results import MOST, MetricRecord, Record, RunFolder, unique

Features = npt.NDArray[np.float32]
SetKey = tuple[str, float, str]
"""(codec spec, quality, metric)"""

FILE = "leave-one-out.json"
_MOST_THREADS = 4  # each holds some 4,096 patches of a set in float64, and a few square matrices: 0.2 GB
_JOBS_OF_A_PROCESS = 8
_KEPT_BYTES = 32 << 20
"""Of the features of a set that stay in memory; what is beyond is read again each time."""


class SetValue(Record):
    """A metric of sets of one codec at one quality, over the images that have a patch."""

    codec: str = Field(description="codec spec")
    quality: float = Field(description="on the codec's own scale")
    metric: str = Field(description="as the user named it")
    protocol: str = Field(description="of the metric")
    images: list[str] = Field(description="that are in the set, in the data set's order")
    n_patches: int = Field(ge=0, le=MOST, description="of the originals")
    per_seed: list[float] = Field(min_length=1, description="the value, one a decoder seed")
    without: list[float] | None = Field(
        description="without each image, mean over decoder seeds; null where the metric has no value for one fewer"
    )

    @property
    def value(self) -> float:
        return float(np.mean(self.per_seed))

    @model_validator(mode="after")
    def _one_entry_an_image(self) -> Self:
        unique("images", self.images)
        if self.without is not None and len(self.without) != len(self.images):
            raise ValueError(f"without: {len(self.without)} entries for {len(self.images)} images")
        return self


class SetFailure(Record):
    """Why a metric of sets of the user's own has no value of one codec at one quality."""

    codec: str = Field(description="codec spec")
    quality: float = Field(description="on the codec's own scale")
    metric: str = Field(description="as the user named it")
    protocol: str = Field(description="of the metric")
    reason: str = Field(description="one line")


class _Stored(Record):
    schema_version: int = Field(description="of this file")
    trials_sha256: str = Field(description="of the trials.jsonl that the values belong to")
    summary_sha256: str | None = Field(
        default=None, description="of the summary.csv that was written with it; null in runs of 0.2.0 and before"
    )
    values: list[SetValue] = Field(description="of all codecs, qualities and metrics of sets")
    failures: list[SetFailure] = Field(
        default_factory=list,
        description="of metrics of the user's own that broke down; none in runs of 0.2.0 and before",
    )


@dataclass(frozen=True)
class _Job:
    """A value to compute: metric `name` of a codec at a quality, over `images` and each of `seeds`."""

    codec: str
    quality: float
    name: str
    images: tuple[str, ...]
    seeds: tuple[int | None, ...]


def values_of_sets(
    folder: RunFolder,
    groups: Iterable[Group],
    failures: list[SetFailure] | None = None,
    *,
    again: bool = False,
    time_limit: float | None = None,
) -> dict[SetKey, SetValue]:
    """The values of all metrics of sets; none where a metric has none. Computed side by side on this machine's cores.

    Each on one thread: so the number of cores does not change the order of sums, and with it the last digits. What an
    earlier summary of the same trials has left is taken as it is. Raises NotComparable if a metric has another protocol
    now than the run was measured with, and BenchmarkError if features are missing.

    failures: gets an entry for each value that a metric of the user's own fails to give, or that is not there any more;
    without it, that is a BenchmarkError. again: what failed in an earlier summary is tried again. A distance of the
    user's own class runs in a process of its own, where a call may take `time_limit` seconds; that of an object in this
    one, which alone has it.
    """
    records = {name: record for name, record in folder.manifest.metrics.items() if record.kind == "set"}
    if not records:
        return {}
    there, broken = _read(folder)
    # Those of the suite at once: they must be the ones of the run. The user's file need not be there without need.
    metrics = {name: _opened(name, record) for name, record in records.items() if shipped_info(name) is not None}
    kept = {v.metric for v in there.values() if v.metric in records and records[v.metric].protocol == v.protocol}
    jobs: dict[str, list[_Job]] = {name: [] for name in records}
    keys = []
    same: dict[tuple[str, ...], tuple[str, ...]] = {}  # most points are over the same images
    lost: dict[SetKey, SetFailure] = {}
    for group in groups:
        for name, record in records.items():
            key = (group.codec, group.quality, name)
            keys.append(key)
            failed = broken.get(key)
            if failed is not None and failed.protocol == record.protocol and not again:
                lost[key] = failed
                continue
            # Once a metric of the user's own has values here, those that are missing do not exist.
            measured = name in kept and shipped_info(name) is None and failed is None
            if not measured and getattr(there.get(key), "protocol", None) != record.protocol:
                images = tuple(images_with(group, name, "set"))
                jobs[name].append(_Job(*key, same.setdefault(images, images), tuple(by_seed(group))))
        del group  # some kilobytes an image: not beside the next one
    originals = _Originals(folder)
    apart: list[Apart] = []

    def values(name: str, some: Sequence[_Job]) -> Iterator[tuple[_Job, SetValue | BenchmarkError | None]]:
        with contextlib.ExitStack() as undone:
            if _runs_here(name, records[name]):
                value: Callable[[_Job], SetValue | None] = partial(_value_here, folder, originals, metrics, name)
            else:
                process = undone.enter_context(Apart(_opened_apart, (folder.path, name), time_limit))
                apart.append(process)
                value = process
            for job in some:
                try:
                    yield job, value(job)
                except BenchmarkError as error:
                    if shipped_info(name) is not None:
                        raise
                    yield job, BenchmarkError(f"{name}: {error}") if isinstance(error, Ended) else error

    with threadpool_limits(1), ThreadPoolExecutor(_threads()) as pool:
        pieces = [
            (name, piece) for name, some in jobs.items() for piece in _pieces(some, _runs_here(name, records[name]))
        ]
        try:
            found = [one for done in pool.map(lambda piece: list(values(*piece)), pieces) for one in done]
        except BaseException:  # of whoever cannot wait any more
            pool.shutdown(wait=False, cancel_futures=True)
            for one in apart:
                one.stop()
            raise
    computed = {}
    for job, value in found:
        key = (job.codec, job.quality, job.name)
        if isinstance(value, BenchmarkError):
            if failures is None:
                raise value
            reason = one_line(value)
            lost[key] = SetFailure(
                codec=job.codec,
                quality=job.quality,
                metric=job.name,
                protocol=records[job.name].protocol,
                reason=reason,
            )
        elif value is not None:
            computed[key] = value
    if failures is not None:
        failures += [lost[key] for key in keys if key in lost]
    return {key: values[key] for key in keys if key not in lost for values in (computed, there) if key in values}


def _runs_here(name: str, record: MetricRecord) -> bool:
    """Whether its distance does: the suite's, or that of an object. What a spec opens anywhere runs elsewhere."""
    return shipped_info(name) is not None or record.distance is not None or record.spec is None


def _threads() -> int:
    return min(len(os.sched_getaffinity(0)), _MOST_THREADS)


def _pieces(jobs: Sequence[_Job], runs_here: bool) -> list[Sequence[_Job]]:
    """What one thread does after another: each job, or as many as a process of its own is worth."""
    count = len(jobs) if runs_here else min(_threads(), math.ceil(len(jobs) / _JOBS_OF_A_PROCESS))
    return [jobs[first::count] for first in range(count)]


def _value_here(
    folder: RunFolder, originals: "_Originals", metrics: dict[str, SetMetric], name: str, job: _Job
) -> SetValue | None:
    """metrics: those that are open; another one is opened."""
    if name not in metrics:
        metrics[name] = _opened(name, folder.manifest.metrics[name])
    return _value(folder, originals, metrics[name], job)


def _opened_apart(run: Path, name: str) -> Callable[[_Job, Callable[[str], None]], SetValue | None]:
    """In a process of its own: the values of a metric of the user's own."""
    folder = RunFolder.open(run)
    metric = _opened(name, folder.manifest.metrics[name])
    originals = _Originals(folder)
    threadpool_limits(1)

    def value(job: _Job, begin: Callable[[str], None]) -> SetValue | None:
        if isinstance(metric, OwnSetMetric):
            metric.begin = begin
        return _value(folder, originals, metric, job)

    return value


def failure_lines(failures: Iterable[SetFailure]) -> list[str]:
    """A line a metric and reason."""
    return list(dict.fromkeys(failure.reason for failure in failures))


def failures_of_sets(folder: RunFolder) -> list[str]:
    """Why metrics of sets have no value in the run's summary, a line each; nothing where it is of other trials."""
    return failure_lines(_read(folder)[1].values())


def keep_values(
    folder: RunFolder, values: dict[SetKey, SetValue], summary: bytes, failures: Sequence[SetFailure] = ()
) -> None:
    """Writes leave-one-out.json of the run, atomically; only for who holds the folder's lock.

    summary: what summary.csv holds. failures: as `values_of_sets` gives them.
    """
    head = _Stored(
        schema_version=LEAVE_ONE_OUT.writes,
        trials_sha256=trials_sha256(folder.path),
        summary_sha256=hashlib.sha256(summary).hexdigest(),
        values=[],
    ).model_dump_json(exclude={"failures"})
    assert head.endswith("[]}")

    def pieces() -> Iterator[bytes]:  # the whole text is larger than all that it is made from
        yield head.removesuffix("]}").encode()
        for number, value in enumerate(values.values()):
            yield ("," if number else "").encode() + value.model_dump_json().encode()
        told = ",".join(failure.model_dump_json() for failure in failures)
        yield (f'],"failures":[{told}]}}\n' if told else "]}\n").encode()

    folder.write_bytes(folder.path / FILE, pieces())


def trials_sha256(run: Path) -> str:
    """The hash of the run's trials.jsonl; that of nothing where there is none."""
    trials = run / "trials.jsonl"
    if not trials.exists():
        return hashlib.sha256().hexdigest()
    with trials.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_unchanged(folder: RunFolder) -> None:
    """Raises BenchmarkError if the trials or the summary of a complete run are not those that the run ended with.

    A run that is not complete has trials that no summary knows yet. Where leave-one-out.json is missing or damaged
    nothing can be told.
    """
    stored = _stored(folder)
    if stored is None or folder.manifest.status != "complete":
        return
    again = f"`python -m benchmark measure {shlex.quote(shown(folder.path))} --metric bpp` sums the run up again"
    if stored.trials_sha256 != trials_sha256(folder.path):
        trials = shown(folder.path / "trials.jsonl")
        raise BenchmarkError(f"{trials}: has changed since the run was summed up; if that was meant, {again}")
    summary = folder.summary_path
    if stored.summary_sha256 is not None and summary.exists():
        with summary.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != stored.summary_sha256:
                raise BenchmarkError(f"{shown(summary)}: has changed since the run wrote it; {again}")


def _read(folder: RunFolder) -> tuple[dict[SetKey, SetValue], dict[SetKey, SetFailure]]:
    """Nothing where there is no file, or one of other trials or of another version: it can always be made again."""
    stored = _stored(folder)
    if stored is None or stored.trials_sha256 != trials_sha256(folder.path):
        return {}, {}
    images = {picture.name for picture in folder.manifest.dataset.pictures}
    codecs, seeds = folder.manifest.codecs, len(folder.manifest.decoder_seeds)
    found = {(value.codec, value.quality, value.metric): value for value in stored.values}
    if len(found) < len(stored.values):
        return {}, {}
    values = {
        key: value
        for key, value in found.items()
        if value.codec in codecs
        and images.issuperset(value.images)
        and len(value.per_seed) <= (seeds if codecs[value.codec].stochastic else 1)
    }
    failed = {(one.codec, one.quality, one.metric): one for one in stored.failures if one.codec in codecs}
    return values, failed


def _stored(folder: RunFolder) -> _Stored | None:
    place = folder.path / FILE
    try:
        return parse_record(_Stored, read_text(place), shown(place), "the values of a run", LEAVE_ONE_OUT)
    except (FileNotFoundError, BenchmarkError):
        return None


class StoredFeatures(Sequence[Features]):
    """The features of a set, image by image, read when they are asked for. memory: of the distances from it.

    place: the file of an image; a path takes some hundred bytes, so it is made when it is needed. shapes: that the
    files must have, image by image, a number of patches (None for any but 0) and of features; None for any.
    """

    def __init__(
        self,
        folder: RunFolder,
        images: Sequence[str],
        place: Callable[[str], Path],
        shapes: Sequence[tuple[int | None, int]] | None = None,
    ) -> None:
        self._folder = folder
        self._images = images
        self._place = place
        self._shapes = shapes
        self._kept: dict[int, Features] = {}
        self._kept_bytes = 0
        self.memory = Memory()

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> Features: ...

    @overload
    def __getitem__(self, index: slice) -> "StoredFeatures": ...

    def __getitem__(self, index: int | slice) -> "Features | StoredFeatures":
        """Raises BenchmarkError if a file is missing, no array, or of another shape."""
        if isinstance(index, slice):
            shapes = None if self._shapes is None else self._shapes[index]
            return StoredFeatures(self._folder, self._images[index], self._place, shapes)
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        path = self._place(self._images[index])
        features = self._folder.read_features(path)
        if self._shapes is not None:
            patches, numbers = self._shapes[index]
            if features.shape[1] != numbers or features.shape[0] != (patches or features.shape[0] or 1):
                raise BenchmarkError(
                    f"{shown(path)}: features of {features.shape[0]} patches with {features.shape[1]} numbers each, "
                    f"where those of the original are {numbers} of {patches or 'some'} patches"
                )
        if self._kept_bytes + features.nbytes <= _KEPT_BYTES:
            self._kept_bytes += features.nbytes
            self._kept[index] = features
        return features

    def __iter__(self) -> Iterator[Features]:
        return (self[index] for index in range(len(self)))


class _Originals:
    """The originals' features by the images that are in the set: one object for all codecs with the same images."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._sets: dict[tuple[str, tuple[str, ...]], tuple[list[str], StoredFeatures, list[tuple[int, int]]]] = {}
        self._lock = threading.Lock()

    def __call__(
        self, feature_key: str, images: tuple[str, ...]
    ) -> tuple[list[str], StoredFeatures, list[tuple[int, int]]]:
        """The images that have a patch, their features, and of each the numbers of patches and of features."""
        with self._lock:
            if (feature_key, images) not in self._sets:
                place = partial(self._folder.original_features_path, feature_key)
                shapes = [features.shape for features in StoredFeatures(self._folder, images, place)]
                there = [image for image, shape in zip(images, shapes, strict=True) if shape[0]]
                valued = [(shape[0], shape[1]) for shape in shapes if shape[0]]
                _check_dimensions(feature_key, {i: s[1] for i, s in zip(images, shapes, strict=True) if s[0]})
                self._sets[feature_key, images] = (there, StoredFeatures(self._folder, there, place), valued)
            return self._sets[feature_key, images]


def _value(folder: RunFolder, originals: _Originals, metric: SetMetric, job: _Job) -> SetValue | None:
    key = metric.feature_key
    images, before, shapes = originals(key, job.images)
    if not images:
        return None

    def place(image: str, seed: int | None) -> Path:
        return folder.features_path(key, (job.codec, job.quality, seed, image))

    # A metric of the user's own may find other numbers of patches in other images of one size.
    own = shipped_info(job.name) is None
    wanted = [(None if own else count, numbers) for count, numbers in shapes]
    after = [StoredFeatures(folder, images, partial(place, seed=seed), wanted) for seed in job.seeds]
    try:
        distances = [metric.distance(before, reconstructions) for reconstructions in after]
    except Undefined:
        return None
    return SetValue(
        codec=job.codec,
        quality=job.quality,
        metric=job.name,
        protocol=metric.protocol,
        images=images,
        n_patches=sum(count for count, _ in shapes),
        per_seed=distances,
        without=_without(metric, before, after),
    )


def _without(metric: SetMetric, before: StoredFeatures, after: list[StoredFeatures]) -> list[float] | None:
    if len(before) < 2:
        return None
    try:
        left_out = [metric.leave_one_out(before, reconstructions) for reconstructions in after]
    except Undefined:
        return None
    return [float(value) for value in np.mean(left_out, axis=0)]


def _check_dimensions(feature_key: str, dimensions: dict[str, int]) -> None:
    """Raises BenchmarkError that names two images, if their features are not of one dimension."""
    for image, dimension in dimensions.items():
        first = next(iter(dimensions))
        if dimension != dimensions[first]:
            raise BenchmarkError(
                f"{feature_key}: features of {image} are {dimension} numbers, of {first} {dimensions[first]}; "
                "a distance needs one number of them for all images"
            )


def _opened(name: str, record: MetricRecord) -> SetMetric:
    if record.distance is not None:
        return from_record(info_of(name, record), record)
    metric = object_of(record.protocol) or open_metric(record.spec or name)
    if not isinstance(metric, SetMetric):
        raise NotComparable(f"{name}: a metric of sets in the run, one of images in this version")
    if metric.protocol != record.protocol:
        raise NotComparable(
            f"{name}: the run was measured as {record.protocol}, this version computes {metric.protocol}"
        )
    return metric
