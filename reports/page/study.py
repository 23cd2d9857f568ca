"""A page on which people say which of two reconstructions looks more like the original, and what their votes are."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from benchmark.addresses import Location
from benchmark.analysis.baseline import Baseline, Point, baseline_of_run
from benchmark.errors import BenchmarkError, UsageError
from benchmark.images import load_image, write_png
from benchmark.reports.page.files import copy_assets, link, new_folder, write_page
from benchmark.reports.page.pictures import Track, write_originals
from benchmark.results import Record, RunFolder

ASSETS = ("page.css", "study.css", "study.js")
KIND = "hfd-benchmark votes"
_LEVELS = (0.15, 0.5, 0.85)
"""Where the rates lie, over the logarithm of bits, between the ends that all codecs reach."""


class Side(Record):
    """What was seen on one side."""

    codec: str = Field(description="codec spec; empty for the original in an attention check")
    quality: float | None = Field(description="on the codec's own scale; null for the original")
    bytes: int | None = Field(ge=0, description="of the stream; null for the original")
    metrics: dict[str, float] = Field(description="per-image metrics")


class Vote(Record):
    """One answer."""

    picture: str = Field(description="name in the data set")
    level: float | None = Field(
        gt=0, description="bits per pixel that both sides came near; null for an attention check"
    )
    first: Side = Field(description="shown first")
    second: Side = Field(description="shown second")
    choice: int = Field(ge=1, le=2, description="which looks more like the original")
    expected: int | None = Field(ge=1, le=2, description="the answer of an attention check, null for a comparison")
    seconds: float = Field(ge=0, description="until the answer")

    @model_validator(mode="after")
    def _two_sides(self) -> Self:
        """A comparison is of two codecs at a rate; an attention check has the original on one side."""
        originals = sum(not side.codec for side in (self.first, self.second))
        if self.expected is None and (originals or self.level is None or self.first.codec == self.second.codec):
            raise ValueError("a comparison is of two codecs at a number of bits per pixel")
        if self.expected is not None and (originals != 1 or self.level is not None):
            raise ValueError("an attention check is of the original and a codec, at no number of bits per pixel")
        return self


class Votes(Record):
    """A file of votes of one person."""

    kind: str = Field(description="tells this file from others")
    schema_version: int = Field(description="of this record")
    study: str = Field(description="identity of the study: a hash of its questions")
    dataset: str = Field(description="label of the data set")
    higher_is_better: dict[str, bool] = Field(description="of the metrics")
    voter: str = Field(description="random, tells files apart")
    screen: dict[str, float] = Field(description="width, height and device pixel ratio")
    votes: list[Vote] = Field(description="in the order of the answers")


@dataclass(frozen=True)
class Made:
    """questions: how many pairs there are. left_out: pairs whose bits differ too much. rates: bits per pixel."""

    questions: int
    left_out: int
    rates: tuple[float, ...]


def write_study(
    path: Path,
    output: Path,
    *,
    rates: Sequence[float],
    within: float,
    trials: int,
    checks: int,
    elsewhere: dict[str, Location],
    track: Track[Any],
) -> Made:
    """Writes a study of the run at `path` into the folder `output`.

    rates: bits per pixel at which codecs are compared, none for three that all codecs reach. within: the largest share
    by which the bits of a pair may differ. trials, checks: comparisons and attention checks that each person gets.
    Raises UsageError if the run has no reconstructions, fewer than two codecs, or no pair of such bits.
    """
    if trials < 1 or checks < 0 or not within > 0:
        raise UsageError("--trials must be at least 1, --checks at least 0, --within above 0")
    folder = RunFolder.open(path)
    if not folder.manifest.keep_reconstructions:
        raise UsageError(f"{path}: a study shows images, but the run was without --keep-reconstructions")
    numbers = baseline_of_run(folder)
    if len(numbers.codecs) < 2:
        raise UsageError(f"{path}: a study compares codecs, the run has one: {next(iter(numbers.codecs))}")
    chosen = tuple(rates) or _usual_rates(numbers)
    pairs, left_out = _pairs(numbers, chosen, within)
    if not pairs:
        raise UsageError(
            f"{path}: no two codecs spend bits within {100 * within:g} % of each other on any image near "
            f"{', '.join(f'{rate:g}' for rate in chosen)} bpp; a run with --match or --bpp, --per image has such"
        )
    new_folder(output)
    originals = {o.name: o for o in write_originals(folder.manifest, elsewhere, output, len(numbers.images), track)}
    unread = [original for original in originals.values() if original.problem]
    if unread:
        raise BenchmarkError(f"{unread[0].name}: {unread[0].problem}")
    shown = _Shown(folder, output)
    questions = [
        {
            "picture": numbers.images[image],
            "original": originals[numbers.images[image]].file,
            "level": rate,
            "sides": [_side(numbers, point, image) | {"file": shown(point, numbers.images[image])} for point in pair],
        }
        for image, rate, pair in track(pairs, "images")
    ]
    study = hashlib.sha256(json.dumps(questions, sort_keys=True).encode()).hexdigest()[:16]
    asked = [_check(numbers, image, originals, shown) for image in range(len(numbers.images))]
    data = {
        "kind": KIND,
        "study": study,
        "dataset": numbers.label,
        "higher": {name: record.higher_is_better for name, record in _image_metrics(numbers)},
        "questions": questions,
        "checks": [check for check in asked if check is not None],
        "trials": trials,
        "checksEach": checks,
    }
    copy_assets(output, *ASSETS)
    shown_counts = {"trials": min(trials, len(questions)), "checks": checks}
    write_page(output, "study.html.j2", shown_counts, "STUDY", data)
    return Made(len(questions), left_out, chosen)


class _Shown:
    """Puts reconstructions into the page, under names that do not tell the codec."""

    def __init__(self, folder: RunFolder, output: Path) -> None:
        self._folder = folder
        self._output = output
        self._done: dict[Path, str] = {}

    def __call__(self, point: Point, image: str) -> str:
        seed = self._folder.manifest.decoder_seeds[0] if self._folder.manifest.codecs[point.codec].stochastic else None
        source = self._folder.reconstruction_path((point.codec, point.quality, seed, image))
        if source not in self._done:
            if not source.is_file():
                raise BenchmarkError(f"{source}: the reconstruction is missing; the run started again makes it anew")
            name = hashlib.sha256(f"{point.codec} {point.quality} {image}".encode()).hexdigest()[:16]
            link(source, self._output / "pictures" / f"{name}.png")
            self._done[source] = f"pictures/{name}.png"
        return self._done[source]

    def poor(self, point: Point, image: str) -> str:
        """The reconstruction with its samples rounded to eight levels besides."""
        file = self(point, image)
        poor = file.replace("pictures/", "pictures/poor-")
        samples = load_image(self._output / file)
        write_png(self._output / poor, (samples // 32 * 32 + 16).astype(np.uint8))
        return poor


def _usual_rates(numbers: Baseline) -> tuple[float, ...]:
    """Three rates between the ends that all codecs reach. Raises UsageError if there is no rate that all reach."""
    ends = []
    for codec in numbers.codecs:
        estimates = [e.value for point in numbers.of(codec) if (e := numbers.estimate(point, "bpp")) is not None]
        found = [value for value in estimates if value > 0]
        if found:
            ends.append((min(found), max(found)))
    if not ends:
        raise UsageError("no codec spent bits on any image, so there is nothing to compare")
    low, high = max(end[0] for end in ends), min(end[1] for end in ends)
    if low > high:
        raise UsageError("there are no bits per pixel that all codecs reach; --bpp names some that most reach")
    return tuple(float(f"{math.exp(math.log(low) * (1 - p) + math.log(high) * p):.3g}") for p in _LEVELS)


def _pairs(
    numbers: Baseline, rates: Sequence[float], within: float
) -> tuple[list[tuple[int, float, tuple[Point, Point]]], int]:
    """(image, rate, points) for each two codecs, at the qualities that come nearest to the rate on the image."""
    pairs: list[tuple[int, float, tuple[Point, Point]]] = []
    left_out = 0
    for rate in rates:
        for image, pixels in enumerate(numbers.pixels):
            near = [_nearest(numbers.of(codec), image, rate * (pixels or 0) / 8) for codec in numbers.codecs]
            for one, other in combinations([point for point in near if point is not None], 2):
                sizes = one.bytes[image] or 0, other.bytes[image] or 0
                if max(sizes) <= (1 + within) * min(sizes):
                    pairs.append((image, rate, (one, other)))
                else:
                    left_out += 1
    return pairs, left_out


def _nearest(points: Sequence[Point], image: int, wanted: float) -> Point | None:
    """Of the points with a stream of this image, that with the size nearest to `wanted`, by ratio."""
    there = [point for point in points if point.bytes[image]]
    if not there or wanted <= 0:
        return None
    return min(there, key=lambda point: abs(math.log((point.bytes[image] or 1) / wanted)))


def _image_metrics(numbers: Baseline) -> list[tuple[str, Any]]:
    return [(name, record) for name, record in numbers.metrics.items() if record.kind != "set" and name != "bpp"]


def _side(numbers: Baseline, point: Point, image: int) -> dict[str, Any]:
    values = {name: point.metrics[name][image] for name, _ in _image_metrics(numbers) if name in point.metrics}
    return {
        "codec": point.codec,
        "quality": point.quality,
        "bytes": None if point.bytes[image] is None else math.ceil(point.bytes[image] or 0),  # stated may be a fraction
        "metrics": {name: value for name, value in values.items() if value is not None},
    }


def _check(numbers: Baseline, image: int, originals: dict[str, Any], shown: _Shown) -> dict[str, Any] | None:
    """A question whose answer is plain: the original itself, against a poor image made of it.

    The image is the smallest stream's, its samples rounded to eight levels besides, so that nobody can take it for
    the original.
    """
    there = [point for point in numbers.points if point.bytes[image]]
    if not there:
        return None
    worst = min(there, key=lambda point: point.bytes[image] or 0)
    name = numbers.images[image]
    original = originals[name].file
    same = {"codec": "", "quality": None, "bytes": None, "metrics": {}, "file": original}
    poor = _side(numbers, worst, image) | {"metrics": {}, "file": shown.poor(worst, name)}
    return {"picture": name, "original": original, "level": None, "sides": [same, poor]}
