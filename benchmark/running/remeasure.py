"""A metric more for a finished run, from what it kept: its features, or else its reconstructions."""

import contextlib
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from benchmark.addresses import Location, location, sha256_of_each, why_gone
from benchmark.children import Apart, Ended
from benchmark.datasets import open_dataset
from benchmark.errors import BenchmarkError, NotComparable, Undefined, UsageError
from benchmark.images import load_image
from benchmark.metrics import ImageMetric, SetMetric, check_metric, open_metric, shipped_info
from benchmark.pixels import Image
from benchmark.results import FAILED, Manifest, MetricRecord, RunFolder, Trial, locked
from benchmark.running.manifest import metric_records
from benchmark.running.measurement import (
    NO_PATCH,
    Instruments,
    Prepared,
    TrialError,
    load_networks,
    measure_pair,
    open_instruments,
    prepare,
)
from benchmark.running.setup import check_device, check_time_limit

Result = TypeVar("Result")


@dataclass(frozen=True)
class Measuring:
    """A run and the metrics that it is to have besides.

    trials: all that succeeded, image by image. instruments: what needs images. featured: metrics whose features
    are all there. originals: image name -> file. apart: whether what needs images runs in a process of its own, since
    it is not the suite's; a metric may then take `time_limit` seconds of an image.
    """

    folder: RunFolder
    trials: Sequence[Trial]
    instruments: Instruments
    featured: Mapping[str, SetMetric]
    originals: Mapping[str, Location]
    records: Mapping[str, MetricRecord]
    notes: Sequence[str]
    apart: bool = False
    device: str = "cpu"
    time_limit: float | None = None

    def execute(self) -> Generator[Trial, None, None]:
        """Measures, yields each trial with its new values, and at the end writes all of them at once.

        Until then trials.jsonl is what it was, whatever happens. Raises BenchmarkError if an image cannot be read or
        measured.
        """
        measured = {}
        for trial in self._measured() if self.originals else self.trials:
            for name, metric in self.featured.items():
                if not len(self.folder.read_features(self.folder.features_path(metric.feature_key, trial.key))):
                    trial.reasons[name] = NO_PATCH
            measured[trial.key] = trial
            yield trial
        self.folder.rewrite([measured.get(trial.key, trial) for trial in self.folder.trials()])
        self.folder.pack_rest()
        manifest = self.folder.manifest
        self.folder.write_manifest(manifest.model_copy(update={"metrics": {**manifest.metrics, **self.records}}))

    def _measured(self) -> Iterator[Trial]:
        if not self.apart:
            measure = _Pairs(self.folder, self.instruments, self.originals)
            yield from map(measure, self.trials)
            return
        specs = [spec for spec in self.instruments.specs.values() if spec is not None]
        arguments = self.folder.path, tuple(specs), self.device, dict(self.originals)
        with Apart(_opened_apart, arguments, self.time_limit) as measure_apart:
            for trial in self.trials:
                try:
                    yield measure_apart(trial)
                except Ended as error:
                    raise BenchmarkError(f"{trial.image}: {error}") from None


@dataclass
class _Pairs:
    """Measures a trial anew, from its images.

    witnesses: as `_witnesses` has them, each with what it made of the original.
    """

    folder: RunFolder
    instruments: Instruments
    originals: Mapping[str, Location]
    original: Prepared | None = None
    witnesses: Mapping[str, tuple[ImageMetric, Any]] = field(default_factory=dict)

    def __call__(self, trial: Trial) -> Trial:
        if self.original is None or self.original.name != trial.image:
            image = load_image(self.originals[trial.image], self.folder.manifest.dataset.preparation)
            self.original = _of(trial.image, prepare, self.folder, self.instruments, trial.image, image)
            self.witnesses = {
                name: (metric, metric.prepare(image)) for name, metric in _witnesses(self.folder.manifest).items()
            }
        path = self.folder.reconstruction_path(trial.key)
        reconstruction = load_image(path)
        for name, (metric, prepared) in self.witnesses.items():
            _check_same(path, trial, name, metric, prepared, reconstruction)
        _of(trial.image, measure_pair, self.folder, self.instruments, trial, self.original, reconstruction)
        for name in self.instruments.all:
            if (why := trial.reasons.get(name, "")).startswith(FAILED):
                raise BenchmarkError(f"{trial.image}: {name}: {why.removeprefix(FAILED)}")
        return trial


def _witnesses(manifest: Manifest) -> dict[str, ImageMetric]:
    """Metrics that the run has and that take no time: their values tell whether a reconstruction is still the same."""
    found = {}
    for name in manifest.metrics:
        info = shipped_info(name)
        if info is not None and info.pooled:
            metric = open_metric(name)
            if isinstance(metric, ImageMetric) and metric.protocol == manifest.metrics[name].protocol:
                found[name] = metric
    return found


def _check_same(path: Path, trial: Trial, name: str, metric: ImageMetric, prepared: Any, reconstruction: Image) -> None:
    """Raises BenchmarkError if the reconstruction is not the one that the trial was measured on."""
    there = trial.metrics.get(name)
    if there is None and trial.reasons.get(name) != metric.info.infinite_reason:
        return
    try:
        now: float | None = metric.compare(prepared, reconstruction)
    except Undefined:
        now = None
    same = there is now if there is None or now is None else math.isclose(there, now, rel_tol=1e-6)
    if not same:
        one, other = ("infinite" if value is None else f"{value:.6g}" for value in (there, now))
        raise BenchmarkError(f"{path}: has changed since the run: its {name} is {other}, and was {one}")


def _opened_apart(
    run: Path, specs: Sequence[str], device: str, originals: Mapping[str, Location]
) -> Callable[[Trial, Callable[[str], None]], Trial]:
    """In a process of its own."""
    instruments = open_instruments(specs, device)
    load_networks(instruments)
    measure = _Pairs(RunFolder.open(run), instruments, originals)

    def measured(trial: Trial, begin: Callable[[str], None]) -> Trial:
        measure.instruments = replace(instruments, begin=begin)
        return measure(trial)

    return measured


@contextlib.contextmanager
def open_measuring(
    path: Path, names: Sequence[str], dataset: str | None, device: str, time_limit: float | None = None
) -> Iterator[Measuring]:
    """Makes ready to add the metrics `names` to the run at `path`, which nobody else may write to inside the `with`.

    dataset: where the originals are if not where the run found them. time_limit: as in `Measuring`. Raises UsageError
    on an unknown metric or a run that is not complete, BenchmarkError if images are needed that are not there, and
    NotComparable if the run has a metric already that this version defines otherwise.
    """
    for name in names:
        if name != "bpp":
            check_metric(name)
    check_device(device)
    check_time_limit(time_limit)
    RunFolder.open(path)  # before anything is made there
    with locked(path):
        folder = RunFolder.open(path)
        if folder.manifest.status != "complete":
            raise UsageError(f"{path}: this run is {folder.manifest.status}, not complete; let it go on first")
        instruments = open_instruments([name for name in dict.fromkeys(names) if name != "bpp"], device)
        records = metric_records(instruments)
        there = [name for name in records if name in folder.manifest.metrics]
        for name in there:
            if folder.manifest.metrics[name].protocol != records[name].protocol:
                old, new = folder.manifest.metrics[name].protocol, records[name].protocol
                raise NotComparable(f"{path}: {name} was measured as {old}, this version computes {new}")
        new_sets = {name: metric for name, metric in instruments.set.items() if name not in there}
        trials = _by_picture(folder)
        featured = {
            name: metric for name, metric in new_sets.items() if _has_features(folder, metric.feature_key, trials)
        }
        needing = Instruments(
            {name: metric for name, metric in instruments.image.items() if name not in there},
            {name: metric for name, metric in new_sets.items() if name not in featured},
            {name: metric for name, metric in instruments.alone.items() if name not in there},
        )
        needing = replace(needing, specs={name: instruments.specs[name] for name in needing.all})
        apart = any(shipped_info(name) is None for name in needing.all)
        originals: dict[str, Location] = {}
        if recoding := [name for name in instruments.recoding if name not in there]:
            raise UsageError(
                f"{path}: {', '.join(recoding)} needs the codec, so a run has it from its start: run --metric"
            )
        if needing.all:
            if not folder.manifest.keep_reconstructions:
                wanted = ", ".join(needing.all)
                raise UsageError(f"{path}: {wanted} needs images, but the run was without --keep-reconstructions")
            if not apart:
                load_networks(needing)
            originals = _originals(folder.manifest, dataset, [trial.image for trial in trials])
        anything = len(there) < len(records)
        yield Measuring(
            folder,
            trials if anything else (),
            needing,
            featured,
            originals,
            {name: record for name, record in records.items() if name not in there},
            [f"{name} is there already" for name in there],
            apart,
            device,
            time_limit,
        )


def _by_picture(folder: RunFolder) -> list[Trial]:
    place = {picture.name: index for index, picture in enumerate(folder.manifest.dataset.pictures)}
    trials = [trial for trial in folder.trials() if trial.error is None]
    return sorted(trials, key=lambda trial: place.get(trial.image, len(place)))


def _has_features(folder: RunFolder, feature_key: str, trials: Sequence[Trial]) -> bool:
    return all(
        folder.holds(folder.features_path(feature_key, trial.key))
        and folder.holds(folder.original_features_path(feature_key, trial.image))
        for trial in trials
    )


def _originals(manifest: Manifest, dataset: str | None, images: Sequence[str]) -> dict[str, Location]:
    """Image name -> a file with the hash that the run recorded."""
    hashes = {picture.name: picture.sha256 for picture in manifest.dataset.pictures if picture.name in set(images)}
    if dataset is not None:
        found = {picture.sha256: picture.path for picture in open_dataset(dataset).pictures}
    else:
        paths = [location(picture.path) for picture in manifest.dataset.pictures if picture.path is not None]
        there = [path for path in paths if isinstance(path, str) or path.is_file()]
        found = dict(zip(sha256_of_each(there), there, strict=True))
    missing = [name for name, sha256 in hashes.items() if sha256 not in found]
    if missing:
        if dataset is not None:
            raise BenchmarkError(f"the original of {missing[0]} is not in {dataset}; --dataset says where it is")
        place = next(p.path for p in manifest.dataset.pictures if p.name == missing[0])
        raise BenchmarkError(why_gone(None if place is None else location(place), f"the original of {missing[0]}"))
    return {name: found[sha256] for name, sha256 in hashes.items()}


def _of(image: str, function: Callable[..., Result], *arguments: object) -> Result:
    try:
        return function(*arguments)
    except TrialError as error:
        raise BenchmarkError(f"{image}: {error}") from None
