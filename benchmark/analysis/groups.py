"""Which trials of a run belong to one number: those of one codec at one quality, and of these the successful ones."""

import math
import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from benchmark.results import Manifest, RunFolder, Trial, TrialKey, quality_name


@dataclass(frozen=True)
class Group:
    """The trials of one codec at one quality, in the data set's order."""

    codec: str
    quality: float
    trials: tuple[Trial, ...]

    def __str__(self) -> str:
        return f"{self.codec} at quality {quality_name(self.quality)}"


def groups_of(manifest: Manifest, trials: Sequence[Trial]) -> Iterator[Group]:
    """By codec and quality, in the manifest's order."""
    place = {picture.name: index for index, picture in enumerate(manifest.dataset.pictures)}
    grouped: dict[tuple[str, float], list[Trial]] = {
        (codec, quality): [] for codec, record in manifest.codecs.items() for quality in record.qualities
    }
    for trial in trials:
        grouped[trial.codec, trial.quality].append(trial)
    for (codec, quality), group in grouped.items():
        if group:
            yield Group(codec, quality, tuple(sorted(group, key=lambda t: place[t.image])))


_WHOLE = ("height", "width")
_REAL = ("bpp", "bpp_estimated", "encode_seconds", "decode_seconds")


class _Columns:
    """The trials of one codec at one quality: some eight bytes per field, where a `Trial` takes thousands.

    rest: by row, what few trials have: reasons, error, and metrics where they are not those of the manifest.
    """

    def __init__(self, metrics: Sequence[str]) -> None:
        self.images, self.seeds = array("q"), array("q")
        self.whole = tuple(array("q") for _ in _WHOLE)
        self.real = tuple(array("d") for _ in _REAL)
        self.bytes = array("d")  # whole numbers up to 2**53 are exact in it
        self.metrics = {name: array("d") for name in metrics}
        self.rest: dict[int, tuple[dict[str, str], str | None, dict[str, float | None] | None]] = {}

    def append(self, image: int, trial: Trial) -> None:
        usual = list(trial.metrics) == list(self.metrics)
        if trial.reasons or trial.error is not None or not usual:
            reasons = {sys.intern(name): sys.intern(reason) for name, reason in trial.reasons.items()}
            self.rest[len(self.images)] = (reasons, trial.error, None if usual else dict(trial.metrics))
        self.images.append(image)
        self.seeds.append(_number(trial.decoder_seed))
        for field, column in zip(_WHOLE, self.whole, strict=True):
            column.append(_number(getattr(trial, field)))
        for field, numbers in zip(_REAL, self.real, strict=True):
            numbers.append(_real(getattr(trial, field)))
        self.bytes.append(_real(trial.bytes))
        for name, numbers in self.metrics.items():
            numbers.append(_real(trial.metrics.get(name)))

    def trials(self, codec: str, quality: float, names: Sequence[str]) -> Iterator[Trial]:
        """Each is what was read, without the seconds of repeated calls; of two with one key the later."""
        last = {(seed, image): row for row, (seed, image) in enumerate(zip(self.seeds, self.images, strict=True))}
        for row in last.values():
            reasons, error, metrics = self.rest.get(row, ({}, None, None))
            yield Trial.model_construct(
                codec=codec,
                quality=quality,
                decoder_seed=_or_none(self.seeds[row]),
                image=names[self.images[row]],
                **{field: _or_none(column[row]) for field, column in zip(_WHOLE, self.whole, strict=True)},
                **{field: _or_none(column[row]) for field, column in zip(_REAL, self.real, strict=True)},
                bytes=_whole_if_it_is(self.bytes[row]),
                metrics={name: _or_none(column[row]) for name, column in self.metrics.items()}
                if metrics is None
                else dict(metrics),
                reasons=dict(reasons),
                error=error,
            )


def _number(value: int | None) -> int:
    return -1 if value is None else value


def _real(value: float | None) -> float:
    return math.nan if value is None else value


def _or_none(value: Any) -> Any:
    """None for what stands for it: a trial has neither negative numbers of bytes and pixels nor NaN."""
    return None if (value == -1 and isinstance(value, int)) or value != value else value


def _whole_if_it_is(value: float) -> int | float | None:
    return None if math.isnan(value) else int(value) if value.is_integer() else value


class StoredGroups(Sequence[Group]):
    """The groups of a run, in the order of `groups_of`, from one reading of trials.jsonl.

    n_trials: how many there are. failures: why trials failed, or a metric of theirs, a line per image and reason with
    the number of trials, in the order of the file.
    """

    def __init__(self, folder: RunFolder) -> None:
        pictures = [picture.name for picture in folder.manifest.dataset.pictures]
        places = {name: index for index, name in enumerate(pictures)}
        metrics = [name for name, record in folder.manifest.metrics.items() if record.kind != "set"]
        columns: dict[tuple[str, float], _Columns] = {
            (codec, quality): _Columns(metrics)
            for codec, record in folder.manifest.codecs.items()
            for quality in record.qualities
        }
        errors: dict[TrialKey, str] = {}
        for _, _, trial in folder.each_trial():
            columns[trial.codec, trial.quality].append(places[trial.image], trial)
            errors.pop(trial.key, None)
            if trial.broken is not None:
                errors[trial.key] = trial.broken
        self._names = pictures
        self._columns = [(key, found) for key, found in columns.items() if found.images]
        self.n_trials = sum(len({*zip(found.seeds, found.images, strict=True)}) for found in columns.values())
        counts = Counter((key[3], error) for key, error in errors.items())
        self.failures = [
            f"{image}: {error}" + (f" ({count} trials)" if count > 1 else "")
            for (image, error), count in counts.items()
        ]

    def __len__(self) -> int:
        return len(self._columns)

    @overload
    def __getitem__(self, index: int) -> Group: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Group]: ...

    def __getitem__(self, index: int | slice) -> Group | Sequence[Group]:
        if isinstance(index, slice):
            return [self[one] for one in range(len(self))[index]]
        (codec, quality), columns = self._columns[index]
        places = {name: place for place, name in enumerate(self._names)}
        trials = sorted(columns.trials(codec, quality, self._names), key=lambda trial: places[trial.image])
        return Group(codec, quality, tuple(trials))


def by_seed(group: Group) -> dict[int | None, dict[str, Trial]]:
    """Decoder seed -> image -> trial, of the trials that succeeded."""
    seeds: dict[int | None, dict[str, Trial]] = {}
    for trial in group.trials:
        if trial.error is None:
            seeds.setdefault(trial.decoder_seed, {})[trial.image] = trial
    return dict(sorted(seeds.items(), key=lambda item: -1 if item[0] is None else item[0]))


def images_with(group: Group, metric: str, kind: str) -> list[str]:
    """The images that have a value of `metric` at every decoder seed."""
    seeds = by_seed(group)
    return [
        image
        for image in next(iter(seeds.values()), {})
        if all(image in trials and _has(trials[image], metric, kind) for trials in seeds.values())
    ]


def _has(trial: Trial, metric: str, kind: str) -> bool:
    if metric == "bpp":
        return None not in (trial.bpp, trial.bytes, trial.height, trial.width)
    if kind == "set":
        return metric not in trial.reasons
    return trial.metrics.get(metric) is not None
