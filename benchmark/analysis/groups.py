"""Which trials of a run belong to one number: those of one codec at one quality, and of these the successful ones."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from benchmark.results import Manifest, RunFolder, Trial, quality_name


@dataclass(frozen=True)
class Group:
    """The trials of one codec at one quality, in the data set's order."""

    codec: str
    quality: float
    trials: tuple[Trial, ...]

    def __str__(self) -> str:
        return f"{self.codec} at quality {quality_name(self.quality)}"


def groups_of(manifest: Manifest, trials: Sequence[Trial]) -> Iterator[Group]:
    """By codec and quality, in the manifest's order, what it does not name at the end."""
    place = {picture.name: index for index, picture in enumerate(manifest.dataset.pictures)}
    grouped: dict[tuple[str, float], list[Trial]] = {
        (codec, quality): [] for codec, record in manifest.codecs.items() for quality in record.qualities
    }
    for trial in trials:
        grouped.setdefault((trial.codec, trial.quality), []).append(trial)
    for (codec, quality), group in grouped.items():
        if group:
            yield Group(codec, quality, tuple(sorted(group, key=lambda t: place.get(t.image, len(place)))))


class StoredGroups(Sequence[Group]):
    """The groups of a run, in the order of `groups_of`, each read when it is asked for.

    What is kept is where each trial's line begins: 8 bytes a trial, where the trial itself takes some thousands.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._places = {picture.name: index for index, picture in enumerate(folder.manifest.dataset.pictures)}
        starts: dict[tuple[str, float], array[int]] = {
            (codec, quality): array("q")
            for codec, record in folder.manifest.codecs.items()
            for quality in record.qualities
        }
        for start, _, trial in folder.each_trial():
            starts.setdefault((trial.codec, trial.quality), array("q")).append(start)
        self._starts = [(key, found) for key, found in starts.items() if found]

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Group: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Group]: ...

    def __getitem__(self, index: int | slice) -> Group | Sequence[Group]:
        if isinstance(index, slice):
            return [self[one] for one in range(len(self))[index]]
        (codec, quality), starts = self._starts[index]
        last = {trial.key: trial for trial in self._folder.trials_at(starts)}
        places = self._places
        return Group(codec, quality, tuple(sorted(last.values(), key=lambda t: places.get(t.image, len(places)))))


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
