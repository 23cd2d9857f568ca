"""The small committed form of a run: per-image values, and for metrics of sets the values without each image.

From it follow every interval, paired difference, rate difference and gate, with no image and no features. One JSON
file, a line a point, so that a version control system shows which point moved. Real numbers have seven digits.
"""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationInfo, model_validator

from benchmark.analysis.groups import Group, by_seed, groups_of
from benchmark.analysis.set_values import SetFailure, SetValue, check_unchanged, values_of_sets
from benchmark.compatibility import BASELINE
from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import write_file
from benchmark.metrics import MetricInfo
from benchmark.metrics.records import BPP, info_of
from benchmark.reading import parse_record, read_text, shown
from benchmark.reconstructions import label_among
from benchmark.results import (
    FAILED,
    MOST,
    CodecRecord,
    Manifest,
    MetricRecord,
    Record,
    RunFolder,
    quality_name,
    unique,
)
from benchmark.statistics.intervals import Estimate, jackknife_estimate, mean_estimate
from benchmark.statistics.paired import Replicates, mean_replicates

SCHEMA_VERSION = BASELINE.writes
LARGEST = 200_000
"""Bytes of a baseline that belongs into a repository."""
_DIGITS = 7
_SLACK = 1e-4
"""Relative to an end of a range beyond 1, by which a value may lie outside: sums of float32 round so."""

Vector = npt.NDArray[np.float64]


Count = Annotated[int, Field(ge=0, le=MOST)]
Size = Annotated[float, Field(ge=0, le=MOST)]


class Origin(Record):
    """Where the numbers come from."""

    command: list[str] = Field(description="command line of the run")
    git_commit: str | None = Field(
        description="of the suite's checkout, or of what pip installed from git; null for a release"
    )
    git_dirty: bool | None = Field(description="whether tracked files differed from the commit")
    started: str = Field(description="ISO 8601, UTC")
    packages: dict[str, str] = Field(description="versions that can move a number")
    environment: dict[str, str] = Field(default_factory=dict, description="variables that choose libraries' arithmetic")
    machine: dict[str, str | int | None] = Field(description="system, processor, cores, memory in bytes")
    threads: int = Field(description="per process")
    workers: int = Field(description="processes")
    timing: int = Field(default=0, description="repeats of each encode and decode; 0 if time was not measured so")
    device: str = Field(description="of codecs and metrics")
    decoder_seeds: list[int] = Field(description="of stochastic codecs")


class Verification(Record):
    """Somebody has decoded the bitstreams behind the numbers again, and found the same values."""

    version: str = Field(description="of the suite")
    git_commit: str | None = Field(description="of its checkout, or of what pip installed from git; null for a release")
    when: str = Field(description="ISO 8601, UTC")
    machine: dict[str, str | int | None] = Field(description="system, processor, cores, memory in bytes")
    streams: int = Field(description="that were decoded")
    largest_difference: float = Field(description="of a value, as a share of it")


class DatasetIdentity(Record):
    """The data set, without its images."""

    name: str = Field(description="as it is labelled in every table")
    fingerprint: str = Field(description="hash of the preparation and of the images")
    preparation: str = Field(description='what was done to each image, "none" if nothing')


class SetPoint(Record):
    """A metric of sets at one point."""

    value: float = Field(description="mean over decoder seeds")
    per_seed: list[float] = Field(description="one a decoder seed")
    n_patches: int = Field(ge=0, le=MOST, description="of the originals")
    without: list[float | None] = Field(description="without each image; null: in no set, or not defined")

    @model_validator(mode="after")
    def _value_is_the_mean(self, info: ValidationInfo) -> Self:
        if not info.context:
            return self
        if not self.per_seed:
            raise ValueError("per_seed: there is none")
        mean, largest = float(np.mean(self.per_seed)), max(map(abs, [self.value, *self.per_seed]))
        if not abs(self.value - mean) <= 10 ** (1 - _DIGITS) * largest:
            raise ValueError(f"value is {self.value:g}, but the mean over the decoder seeds is {mean:g}")
        return self


class Point(Record):
    """A codec at one quality. Lists follow the order of `images`, null where an image has no value."""

    codec: str = Field(description="codec spec")
    quality: float = Field(description="on the codec's own scale")
    bytes: list[Count | Size | None] = Field(description="of the stream; a fraction where bits are stated")
    metrics: dict[str, list[float | None]] = Field(description="per-image metrics, mean over decoder seeds")
    per_seed: dict[str, list[float]] = Field(description="mean over images of per-image metrics, one a decoder seed")
    sets: dict[str, SetPoint] = Field(description="metrics of sets")
    infinite: dict[str, list[int]] = Field(
        default_factory=dict, description="per-image metrics: images whose value is infinitely good at every seed"
    )
    broken: dict[str, list[int]] = Field(
        default_factory=dict,
        description="metrics that broke down, and the images on which they did; not written where none did",
    )
    encode_seconds: list[float] | None = Field(description="median of the repeats, measured alone, else null")
    decode_seconds: list[float] | None = Field(description="the same, mean over seeds, else null")
    failed: dict[str, str] = Field(description="image: why its trial failed")

    def __str__(self) -> str:
        return f"{self.codec} at quality {quality_name(self.quality)}"

    @property
    def key(self) -> tuple[str, float]:
        return self.codec, self.quality


def _is_within(value: float, record: MetricRecord) -> bool:
    """Whether a value is in the metric's range, but for rounding."""
    ends = ((record.lowest, -1.0), (record.highest, 1.0))
    return all(end is None or sign * (value - end) <= _SLACK * max(1.0, abs(end)) for end, sign in ends)


class Baseline(Record):
    """The numbers of a run."""

    schema_version: int = Field(default=SCHEMA_VERSION, description="of this record")
    kind: Literal["baseline"] = Field(default="baseline", description="tells this record from others")
    dataset: DatasetIdentity = Field(description="what was coded")
    images: list[str] = Field(description="in the data set's order")
    pixels: list[Annotated[int, Field(ge=1, le=MOST)] | None] = Field(
        description="height * width of each; null if it could not be read"
    )
    metrics: dict[str, MetricRecord] = Field(description="bpp and what was measured, with protocols")
    codecs: dict[str, CodecRecord] = Field(description="by codec spec")
    origin: Origin = Field(description="the run")
    points: list[Point] = Field(description="in the order of the tables")
    verified: Verification | None = Field(default=None, description="by whom; null for nobody, and then not written")

    @model_validator(mode="after")
    def _lists_have_one_length(self) -> Self:
        count = len(self.images)
        if len(self.pixels) != count:
            raise ValueError(f"pixels: {len(self.pixels)} entries for {count} images")
        for point in self.points:
            of_sets = {name: found.without for name, found in point.sets.items()}
            lists: dict[str, Sequence[object]] = {"bytes": point.bytes, **point.metrics, **of_sets}
            for name, values in lists.items():
                if len(values) != count:
                    raise ValueError(f"{point}, {name}: {len(values)} entries for {count} images")
        return self

    @model_validator(mode="after")
    def _no_contradiction(self, info: ValidationInfo) -> Self:
        """Nothing is there twice, nothing is missing that a run has, and nothing is of what the file does not name."""
        if not info.context:
            return self
        unique("images", self.images)
        unique("points", [point.key for point in self.points])
        planned = {(codec, quality) for codec, record in self.codecs.items() for quality in record.qualities}
        there = {point.key for point in self.points}
        if self.points and planned != there:
            codec, quality = next(iter(planned ^ there))
            lacks = "points has none of" if (codec, quality) in planned else "codecs does not name that of the point"
            raise ValueError(f"{lacks} {codec} at quality {quality_name(quality)}")
        if "bpp" not in self.metrics:
            raise ValueError("metrics: bpp is missing")
        of_images = {name for name, record in self.metrics.items() if record.kind != "set"} - {"bpp"}
        of_sets = {name for name, record in self.metrics.items() if record.kind == "set"}
        for point in self.points:
            if point.metrics.keys() != of_images:
                name = next(iter(point.metrics.keys() ^ of_images))
                raise ValueError(f"{point}: metrics: {name} is {'missing' if name in of_images else 'unknown'}")
            for field, known in (("sets", of_sets), ("infinite", of_images), ("per_seed", of_images)):
                if other := getattr(point, field).keys() - known:
                    raise ValueError(f"{point}: {field}: {next(iter(other))} is unknown")
            if other := point.broken.keys() - of_images - of_sets:
                raise ValueError(f"{point}: broken: {next(iter(other))} is unknown")
            for field, found in (("infinite", point.infinite), ("broken", point.broken)):
                for name, places in found.items():
                    unique(f"{point}: {field}: {name}", places)
                    for place in places:
                        if not 0 <= place < len(self.images):
                            raise ValueError(f"{point}: {field}: {name}: there is no image {place}")
                        if self._values(point, name)[place] is not None:
                            raise ValueError(f"{point}: {field}: {name}: image {place} has a value")
            stated = self.codecs[point.codec].bits in ("stated", "nominal")
            if not stated and any(isinstance(size, float) for size in point.bytes):
                raise ValueError(f"{point}: bytes: a fraction, but its bits are not stated")
            if other := point.failed.keys() - set(self.images):
                raise ValueError(f"{point}: failed: {next(iter(other))} is no image")
            of_sets_too: dict[str, list[float | None]] = {name: [found.value] for name, found in point.sets.items()}
            for name, values in (point.metrics | of_sets_too).items():
                for value in values:
                    if value is not None and not _is_within(value, self.metrics[name]):
                        raise ValueError(f"{point}: {name}: {value:g} is outside of its range")
        return self

    @property
    def label(self) -> str:
        """The data set as tables name it."""
        return f"{self.dataset.name} {self.dataset.fingerprint[:8]}"

    def facts(self, metric: str) -> MetricInfo:
        """The facts about `metric`, which was measured, from its record alone."""
        return info_of(metric, self.metrics[metric])

    def point(self, codec: str, quality: float) -> Point | None:
        return next((point for point in self.points if point.key == (codec, quality)), None)

    def of(self, codec: str) -> list[Point]:
        """The points of `codec`."""
        return [point for point in self.points if point.codec == codec]

    def images_with(self, point: Point, metric: str) -> list[int]:
        """The indices of the images that have a value of `metric` at `point`; for a metric of sets, those of the set.

        An interval needs more than one of them, and of a set its values without each.
        """
        return [index for index, value in enumerate(self._values(point, metric)) if value is not None]

    def infinite_images(self, point: Point, metric: str) -> list[int]:
        """The indices of the images whose value of `metric` at `point` is infinitely good: they have no number."""
        return point.infinite.get(metric, [])

    def failed_images(self, point: Point, metric: str) -> set[int]:
        """The indices of the images whose trial failed at `point`, or on which `metric` broke down."""
        failed = {index for index, image in enumerate(self.images) if image in point.failed}
        return failed | set(point.broken.get(metric, []))

    def image_values(self, point: Point, metric: str, images: Sequence[int]) -> Vector:
        """(n,): the per-image metric or bpp at `images`, which have values."""
        values = self._values(point, metric)
        return np.array([values[index] for index in images], dtype=np.float64)

    def replicates(self, point: Point, metric: str, images: Sequence[int]) -> Replicates | None:
        """The headline number of `metric` over `images`, without each of them, and by decoder seed.

        None if there is none: no image, or a metric of sets that was measured over other images.
        """
        there = self.images_with(point, metric)
        if self.metrics[metric].kind == "set":
            found = point.sets.get(metric)
            if found is None or not there or list(images) != there:
                return None
            return Replicates(found.value, self.image_values(point, metric, images), np.array(found.per_seed))
        if not images or not set(images) <= set(there):
            return None
        found_mean = mean_replicates([self.image_values(point, metric, images)])
        seeds = point.per_seed.get(metric, []) if list(images) == there else []
        return Replicates(found_mean.value, found_mean.without, np.array(seeds))

    def estimate(self, point: Point, metric: str) -> Estimate | None:
        """The headline number with its 95 % interval over images, as the summary has it; None if there is none."""
        images = self.images_with(point, metric)
        found = self.replicates(point, metric, images)
        if found is None:
            return None
        if self.metrics[metric].kind == "set":
            return jackknife_estimate(found.value, found.without)
        return mean_estimate(self.image_values(point, metric, images))

    def _values(self, point: Point, metric: str) -> Sequence[float | None]:
        if metric == "bpp":
            pairs = zip(point.bytes, self.pixels, strict=True)
            return [None if size is None or not pixels else 8 * size / pixels for size, pixels in pairs]
        if self.metrics[metric].kind == "set":
            return point.sets[metric].without if metric in point.sets else [None] * len(self.images)
        return point.metrics.get(metric, [None] * len(self.images))


# From a run


def baseline_of_run(folder: RunFolder) -> Baseline:
    """The numbers of a complete run. Raises BenchmarkError if it is empty, or was stopped before its end."""
    manifest = folder.manifest
    check_unchanged(folder)
    trials = folder.trials()
    if not trials:
        raise BenchmarkError(f"{folder.path}: the run is empty: nothing was measured")
    check_complete(folder, len(trials))
    groups = list(groups_of(manifest, trials))
    names = [picture.name for picture in manifest.dataset.pictures]
    sizes = {t.image: t.height * t.width for t in trials if t.height is not None and t.width is not None}
    broken: list[SetFailure] = []
    of_sets = values_of_sets(folder, groups, failures=broken)  # the run has said what is wrong with a metric
    return Baseline(
        dataset=DatasetIdentity(
            name=manifest.dataset.name,
            fingerprint=manifest.dataset.fingerprint,
            preparation=manifest.dataset.preparation,
        ),
        images=names,
        pixels=[sizes.get(name) for name in names],
        metrics={"bpp": BPP, **manifest.metrics},
        codecs=manifest.codecs,
        origin=_origin(manifest),
        points=[_point(group, names, manifest, of_sets, broken) for group in groups],
    )


def check_complete(folder: RunFolder, count: int) -> None:
    """Raises BenchmarkError if the run was stopped before its last trial, or lost some. count: of its trials."""
    manifest = folder.manifest
    seeds = len(manifest.decoder_seeds)
    planned = len(manifest.dataset.pictures) * sum(
        len(record.qualities) * (seeds if record.stochastic else 1) for record in manifest.codecs.values()
    )
    if count < planned:  # whatever the status: a run may be killed between its last trial and the manifest
        raise BenchmarkError(
            f"{folder.path}: the run is not complete, {count} of {planned} trials are there; "
            "started again with the same arguments and --output it goes on"
        )


def _origin(manifest: Manifest) -> Origin:
    return Origin(**{name: getattr(manifest, name) for name in Origin.model_fields})


def _point(
    group: Group,
    names: Sequence[str],
    manifest: Manifest,
    of_sets: dict[tuple[str, float, str], SetValue],
    failures: Sequence[SetFailure],
) -> Point:
    seeds = list(by_seed(group).values())
    first = seeds[0] if seeds else {}

    def over_seeds(values: Sequence[float | None]) -> float | None:
        """The mean; None if a seed has no value."""
        known = [value for value in values if value is not None]
        return _rounded(float(np.mean(known))) if known and len(known) == len(values) else None

    def everywhere(image: str) -> bool:
        return bool(seeds) and all(image in trials for trials in seeds)

    metrics: dict[str, list[float | None]] = {}
    per_seed: dict[str, list[float]] = {}
    for name, record in manifest.metrics.items():
        if record.kind != "set":
            metrics[name] = [
                over_seeds([trials[image].metrics.get(name) for trials in seeds]) if everywhere(image) else None
                for image in names
            ]
            valued = [image for image, value in zip(names, metrics[name], strict=True) if value is not None]
            if valued and len(seeds) > 1:
                matrix = [[trials[image].metrics[name] for image in valued] for trials in seeds]
                per_seed[name] = [_rounded(float(mean)) for mean in np.array(matrix, dtype=np.float64).mean(axis=1)]
    infinite: dict[str, list[int]] = {}
    for name in metrics:
        reason = info_of(name, manifest.metrics[name]).infinite_reason
        places = [
            place
            for place, image in enumerate(names)
            if everywhere(image) and all(trials[image].reasons.get(name) == reason for trials in seeds)
        ]
        if places:
            infinite[name] = places
    broken: dict[str, list[int]] = {}
    whole = {one.metric for one in failures if (one.codec, one.quality) == (group.codec, group.quality)}
    for name in manifest.metrics:
        there = {t.image for t in group.trials if t.reasons.get(name, "").startswith(FAILED)}
        if places := [place for place, image in enumerate(names) if name in whole or image in there]:
            broken[name] = places
    found_sets = {name: of_sets.get((group.codec, group.quality, name)) for name in manifest.metrics}

    def seconds(field: Literal["encode_seconds", "decode_seconds"]) -> list[float] | None:
        means = [
            over_seeds([getattr(trials[image], field) for trials in seeds]) if everywhere(image) else None
            for image in names
        ]
        return None if any(value is None for value in means) else [value for value in means if value is not None]

    return Point(
        codec=group.codec,
        quality=group.quality,
        bytes=[first[image].bytes if everywhere(image) else None for image in names],
        metrics=metrics,
        per_seed=per_seed,
        infinite=infinite,
        broken=broken,
        sets={name: _set_point(found, names) for name, found in found_sets.items() if found is not None},
        encode_seconds=seconds("encode_seconds"),
        decode_seconds=seconds("decode_seconds"),
        failed={t.image: t.error for t in group.trials if t.error is not None},
    )


def _set_point(found: SetValue, names: Sequence[str]) -> SetPoint:
    # One image alone has the value itself. Where the value is not defined without an image, there are no replicates.
    without = [found.value] if len(found.images) == 1 else found.without
    of_image = {} if without is None else dict(zip(found.images, without, strict=True))
    return SetPoint(
        value=_rounded(found.value),
        per_seed=[_rounded(value) for value in found.per_seed],
        n_patches=found.n_patches,
        without=[_rounded(of_image[name]) if name in of_image else None for name in names],
    )


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


# On disk


def read_numbers(path: Path) -> Baseline:
    """The numbers at `path`, a run folder or a baseline file.

    Raises BenchmarkError if there is neither, if it is of another schema version, damaged, empty, or not complete.
    """
    if path.is_dir():
        return baseline_of_run(RunFolder.open(path))
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise BenchmarkError(f"{shown(path)}: neither a run folder nor a baseline is there") from None
    return parse_baseline(text, shown(path))


def parse_baseline(text: str, place: str) -> Baseline:
    """A baseline from its JSON. place: for messages. Raises BenchmarkError as `read_numbers` does."""
    baseline = parse_record(Baseline, text, place, "a baseline", BASELINE)
    if not baseline.points:
        raise BenchmarkError(f"{place}: the baseline is empty: nothing was measured")
    return baseline


def write_baseline(baseline: Baseline, path: Path) -> int:
    """Writes `path` and returns its size in bytes. Raises UsageError beyond LARGEST."""
    text = baseline_json(baseline)
    size = len(text.encode())
    if size > LARGEST:
        raise UsageError(
            f"{path}: would have {size / 1000:.0f} kB, and {LARGEST / 1000:.0f} are the most that belong into a "
            "repository; choose with --codec and --metric, or run with --limit"
        )
    write_file(path, text, parents=True)
    return size


def baseline_json(baseline: Baseline) -> str:
    """JSON with a line a field, and a line a point."""
    fields: dict[str, Any] = baseline.model_dump(mode="json") | {"schema_version": SCHEMA_VERSION}
    points = fields.pop("points")
    if fields["verified"] is None:
        del fields["verified"]
    for point in points:
        if not point["broken"]:
            del point["broken"]
    lines = [f"{json.dumps(name)}: {_compact(value)}" for name, value in fields.items()]
    lines.append('"points": [\n' + ",\n".join(_compact(point) for point in points) + "\n]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def chosen(baseline: Baseline, codecs: Collection[str], metrics: Collection[str]) -> Baseline:
    """A part of `baseline`: these codecs and metrics, all where none is named. Raises UsageError on unknown ones."""
    codecs = [label_among(codec, baseline.codecs) for codec in codecs]
    for what, asked, there in (("codec", codecs, baseline.codecs), ("metric", metrics, baseline.metrics)):
        for name in asked:
            if name not in there:
                raise UsageError(f"no {what} {name!r} was measured; there are {', '.join(there)}")
    kept = {name for name in baseline.metrics if not metrics or name in metrics or name == "bpp"}
    points = [
        point.model_copy(
            update={
                field: {name: value for name, value in getattr(point, field).items() if name in kept}
                for field in ("metrics", "per_seed", "sets", "infinite", "broken")
            }
        )
        for point in baseline.points
        if not codecs or point.codec in codecs
    ]
    return baseline.model_copy(
        update={
            "metrics": {name: record for name, record in baseline.metrics.items() if name in kept},
            "codecs": {name: record for name, record in baseline.codecs.items() if not codecs or name in codecs},
            "points": points,
        }
    )
