"""Which trials of a run belong to one number: those of one codec at one quality, and of these the successful ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmark.results import Manifest, Trial, quality_name


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
