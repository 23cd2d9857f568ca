"""Metrics of sets over a run: the value, and the value without each image, from the stored features.

The values without an image cost seconds each where there are many patches, and every interval and gate needs them, so
the summary leaves them in the run folder: leave-one-out.json, which holds only for the trials.jsonl whose hash it has.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError
from threadpoolctl import threadpool_limits  # type: ignore[import-not-found,import-untyped]  # has no hints

from benchmark.errors import NotComparable, Undefined
from benchmark.metrics import SetMetric, open_metric
from benchmark.results import MetricRecord, Record, RunFolder
from benchmark.running.groups import Group, by_seed, images_with

Features = npt.NDArray[np.float32]
SetKey = tuple[str, float, str]
"""(codec spec, quality, metric)"""

FILE = "leave-one-out.json"
_MOST_THREADS = 4  # each holds the features of two sets in float64: 0.6 GB for 28,650 patches of 1280 numbers


class SetValue(Record):
    """A metric of sets of one codec at one quality, over the images that have a patch."""

    codec: str = Field(description="codec spec")
    quality: float = Field(description="on the codec's own scale")
    metric: str = Field(description="as the user named it")
    protocol: str = Field(description="of the metric")
    images: list[str] = Field(description="that are in the set, in the data set's order")
    n_patches: int = Field(description="of the originals")
    per_seed: list[float] = Field(description="the value, one a decoder seed")
    without: list[float] | None = Field(
        description="without each image, mean over decoder seeds; null where the metric has no value for one fewer"
    )

    @property
    def value(self) -> float:
        return float(np.mean(self.per_seed))


class _Stored(Record):
    schema_version: int = Field(description="of this file")
    trials_sha256: str = Field(description="of the trials.jsonl that the values belong to")
    values: list[SetValue] = Field(description="of all codecs, qualities and metrics of sets")


def values_of_sets(folder: RunFolder, groups: Sequence[Group]) -> dict[SetKey, SetValue]:
    """The values of all metrics of sets; none where a metric has none. Computed side by side on this machine's cores.

    Each on one thread: so the number of cores does not change the order of sums, and with it the last digits. What an
    earlier summary of the same trials has left is taken as it is. Raises NotComparable if a metric has another protocol
    now than the run was measured with, and BenchmarkError if features are missing.
    """
    metrics = {n: _opened(n, record) for n, record in folder.manifest.metrics.items() if record.kind == "set"}
    if not metrics:
        return {}
    there = _read(folder)
    originals = _Originals(folder)
    jobs = [
        (group, name)
        for group in groups
        for name, metric in metrics.items()
        if getattr(there.get((group.codec, group.quality, name)), "protocol", None) != metric.protocol
    ]

    def value(job: tuple[Group, str]) -> SetValue | None:
        group, name = job
        return _value(folder, group, name, metrics[name], originals)

    with threadpool_limits(1), ThreadPoolExecutor(min(len(os.sched_getaffinity(0)), _MOST_THREADS)) as pool:
        found = list(pool.map(value, jobs))
    computed = {(v.codec, v.quality, v.metric): v for v in found if v is not None}
    keys = [(group.codec, group.quality, name) for group in groups for name in metrics]
    return {key: values[key] for key in keys for values in (computed, there) if key in values}


def keep_values(folder: RunFolder, values: dict[SetKey, SetValue]) -> None:
    """Writes leave-one-out.json of the run, atomically; only for who holds the folder's lock."""
    stored = _Stored(schema_version=1, trials_sha256=trials_sha256(folder.path), values=list(values.values()))
    folder.write_bytes(folder.path / FILE, (stored.model_dump_json() + "\n").encode())


def trials_sha256(run: Path) -> str:
    """The hash of the run's trials.jsonl; that of nothing where there is none."""
    trials = run / "trials.jsonl"
    return hashlib.sha256(trials.read_bytes() if trials.exists() else b"").hexdigest()


def _read(folder: RunFolder) -> dict[SetKey, SetValue]:
    """Nothing where there is no file, or one of other trials or of another version: it can always be made again."""
    try:
        stored = _Stored.model_validate_json((folder.path / FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}
    if stored.schema_version != 1 or stored.trials_sha256 != trials_sha256(folder.path):
        return {}
    return {(value.codec, value.quality, value.metric): value for value in stored.values}


class _Originals:
    """The originals' features, each read once."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._read: dict[tuple[str, str], Features] = {}

    def __call__(self, feature_key: str, image: str) -> Features:
        key = (feature_key, image)
        if key not in self._read:
            self._read[key] = self._folder.read_features(self._folder.original_features_path(*key))
        return self._read[key]


def _value(folder: RunFolder, group: Group, name: str, metric: SetMetric, originals: _Originals) -> SetValue | None:
    key = metric.feature_key
    pictures = {image: originals(key, image) for image in images_with(group, name, "set")}
    pictures = {image: features for image, features in pictures.items() if len(features)}
    if not pictures:
        return None
    before = list(pictures.values())
    after = [
        [folder.read_features(folder.features_path(key, trials[image].key)) for image in pictures]
        for trials in by_seed(group).values()
    ]
    try:
        distances = [metric.distance(before, reconstructions) for reconstructions in after]
    except Undefined:
        return None
    return SetValue(
        codec=group.codec,
        quality=group.quality,
        metric=name,
        protocol=metric.protocol,
        images=list(pictures),
        n_patches=sum(len(features) for features in before),
        per_seed=distances,
        without=_without(metric, before, after),
    )


def _without(metric: SetMetric, before: list[Features], after: list[list[Features]]) -> list[float] | None:
    if len(before) < 2:
        return None
    try:
        left_out = [metric.leave_one_out(before, reconstructions) for reconstructions in after]
    except Undefined:
        return None
    return [float(value) for value in np.mean(left_out, axis=0)]


def _opened(name: str, record: MetricRecord) -> SetMetric:
    metric = open_metric(name)
    if not isinstance(metric, SetMetric):
        raise NotComparable(f"{name}: a metric of sets in the run, one of images in this version")
    if metric.protocol != record.protocol:
        raise NotComparable(
            f"{name}: the run was measured as {record.protocol}, this version computes {metric.protocol}"
        )
    return metric
