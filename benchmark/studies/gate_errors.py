"""How often the gate errs: false alarms where nothing changed, and what it says of a true loss, by simulation.

`python -m benchmark studies gate-errors` lets `compare` judge pairs of runs that are made for it. The chance of a
stochastic decoder is a real one: the images of POPULATION through hfd with two seeds, drawn with replacement, and each
image's two values in either run by a coin, so that nothing changed. A true loss, in margins, is added to the new run.
Distances between sets are those of drawn patches. Two settings: one number alone, by kind of metric; and a whole gate
of 12 codecs, 6 qualities and 5 metrics, where the chance of any false claim counts.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.analysis.baseline import Baseline, Point, SetPoint, read_numbers
from benchmark.analysis.comparison import compare
from benchmark.analysis.margins import Gate
from benchmark.errors import UsageError
from benchmark.metrics import parse_margin
from benchmark.results import CodecRecord, MetricRecord
from benchmark.statistics.gate import Outcome
from benchmark.statistics.intervals import leave_one_out_means
from benchmark.studies.coverage import (
    DISTANCES,
    SECOND_SEED,
    SIZES,
    coded,
    patches,
    population,
    strengths_of,
)

LOSSES = (0.0, 1.0, 2.0, 5.0)
"""In margins."""
REPETITIONS = 1000
CODECS, QUALITIES = 12, 6
_PIXELS = 2**18
_GATE = Gate()

Random = np.random.Generator
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """A kind of metric. record: its facts. draw: values of n images in the base, and what chance adds in the new run.

    Of sets, draw gives the distance and those without each image, of both runs: (1 + n,) each.
    """

    name: str
    record: MetricRecord
    draw: Callable[[Random, int], tuple[Vector, Vector]]
    stochastic: bool = True


@dataclass(frozen=True)
class Errors:
    """Of one kind at one n and one true loss: how often the gate says what, in per cent of the draws.

    stderr: of a share of 5 %, from so many draws.
    """

    NAMES = ("kind", "n", "loss")

    kind: str
    n: int
    loss: float
    draws: int
    worse: float
    undecided: float
    not_worse: float
    better: float
    stderr: float


@dataclass(frozen=True)
class FamilyErrors:
    """Of a whole gate. any_worse, any_better: per cent of the draws with such a claim of a number that did not change.

    found: per cent of the draws in which the codec with a true loss has a number that is worse. undecided: per cent of
    the numbers, where nothing changed. loss: of one codec, in margins, in all of its numbers. stderr: of a share of
    5 %, from so many draws.
    """

    NAMES = ("n", "loss")

    n: int
    loss: float
    draws: int
    tests: int
    any_worse: float
    any_better: float
    found: float
    undecided: float
    stderr: float


def measure(
    sizes: Sequence[int] = SIZES, repetitions: int = REPETITIONS, only: Sequence[str] = (), seed: int = 0
) -> Iterator[Errors]:
    """Each kind of metric as the only number of a gate. only: parts of the names of kinds, none for all.

    Raises UsageError on sizes, repetitions or names that cannot be.
    """
    _check(sizes, repetitions)
    there = kinds()
    chosen = [kind for kind in there if not only or any(part in kind.name for part in only)]
    if not chosen:
        raise UsageError(f"--only {', '.join(only)}: there are {', '.join(kind.name for kind in there)}")
    return (_errors(kind, n, loss, repetitions, seed) for kind in chosen for n in sizes for loss in LOSSES)


def measure_families(
    sizes: Sequence[int] = SIZES,
    repetitions: int = REPETITIONS,
    losses: Sequence[float] = (0.0, 2.0),
    seed: int = 0,
) -> Iterator[FamilyErrors]:
    """A gate of CODECS codecs at QUALITIES qualities: bpp, psnr, ms_ssim, lpips, fd-effnet, and rate differences.

    Raises UsageError on sizes or repetitions that cannot be.
    """
    _check(sizes, repetitions)
    return (_family(n, loss, repetitions, seed) for n in sizes for loss in losses)


def _check(sizes: Sequence[int], repetitions: int) -> None:
    if not sizes or min(sizes) < 2:
        raise UsageError("--images: numbers of at least 2 are needed: of one image nothing is tested")
    if repetitions < 10:
        raise UsageError(f"--repetitions {repetitions}: at least 10 are needed")


def lines(found: Iterator[Errors] | Sequence[Errors]) -> Iterator[str]:
    """A head, and a line as soon as a count is there."""
    yield (
        f"{'kind of metric':42} {'n':>4} {'loss':>6} {'worse':>7} {'undecided':>10} {'not worse':>10} "
        f"{'better':>7}   per cent"
    )
    for one in found:
        yield (
            f"{one.kind:42} {one.n:>4} {one.loss:6g} {one.worse:7.1f} {one.undecided:10.1f} {one.not_worse:10.1f} "
            f"{one.better:7.1f}"
        )


def family_lines(found: Iterator[FamilyErrors] | Sequence[FamilyErrors]) -> Iterator[str]:
    """The same of whole gates."""
    yield (
        f"{'a gate of all, n':>18} {'loss of one':>12} {'tests':>6} {'any false worse':>16} {'any false better':>17} "
        f"{'loss found':>11} {'undecided':>10}   per cent"
    )
    for one in found:
        yield (
            f"{one.n:>18} {one.loss:12g} {one.tests:>6} {one.any_worse:16.1f} {one.any_better:17.1f} {one.found:11.1f} "
            f"{one.undecided:10.1f}"
        )


# One number


def kinds() -> list[Kind]:
    """Per image of both directions, signed, in decibels, without a reference, mostly 0, of sets of both signs, bits."""
    metrics = population().metrics

    def own(**facts: Any) -> MetricRecord:
        plain: dict[str, Any] = {"protocol": "own/1", "unit": "", "kind": "image", "title": "own", "margin": 0.1}
        return MetricRecord(**(plain | facts))

    def of_images(
        metric: str, offset: float = 0.0, sign: float = 1.0
    ) -> Callable[[Random, int], tuple[Vector, Vector]]:
        base, change = _values(metric)

        def draw(random: Random, n: int) -> tuple[Vector, Vector]:
            places = random.integers(len(base), size=n)
            return sign * base[places] - offset, random.choice((-1.0, 1.0), n) * change[places]

        return draw

    mean = float(_values("psnr")[0].mean())
    return [
        Kind("psnr, higher is better", metrics["psnr"], of_images("psnr")),
        Kind("ms_ssim, in decibels", metrics["ms_ssim"], of_images("ms_ssim")),
        Kind("lpips, lower is better, a share", metrics["lpips"], of_images("lpips")),
        Kind("own, signed, higher is better", own(signed=True, higher_is_better=True), of_images("psnr", mean)),
        Kind("own, signed, lower is better", own(signed=True, higher_is_better=False), of_images("psnr", -mean, -1.0)),
        Kind(
            "own, without a reference, a share",
            own(kind="no-reference", feature_key="own", higher_is_better=False, margin="2 %"),
            of_images("lpips"),
        ),
        Kind("own, 0 on most images, lower is better", own(signed=False, higher_is_better=False), _rare),
        Kind("fd, a share", metrics["fd-effnet"], _of_sets("fd", 1.0)),
        Kind("kd, small beside its margin", _signed_sets(metrics["kd-effnet"], 0.05), _of_sets("kd", 0.5)),
        Kind("kd, of both signs", _signed_sets(metrics["kd-effnet"], 0.005), _of_sets("kd paired", 0.0)),
        Kind("psnr of a codec without chance", metrics["psnr"], of_images("psnr"), stochastic=False),
        Kind("bpp", metrics["bpp"], of_images("bpp"), stochastic=False),
    ]


def _rare(random: Random, n: int) -> tuple[Vector, Vector]:
    """A count of faults, say: one image in five has any, and these differ from seed to seed."""
    has = random.random(n) < 0.2
    base = np.where(has, random.exponential(1.0, n), 0.0)
    return base, np.where(has, 0.2 * random.normal(size=n), 0.0)


def _signed_sets(record: MetricRecord, margin: float) -> MetricRecord:
    """With a margin to fit the distances of drawn patches, which are of another size than those of a network."""
    facts = {"title": "kd", "signed": True, "margin": margin}
    return record.model_copy(update=facts)


@cache
def _values(metric: str, quality: float = 3) -> tuple[Vector, Vector]:
    """(24,) each: a metric of hfd with one seed, and the change to another seed."""
    sides = []
    for numbers in (population(), read_numbers(SECOND_SEED)):
        point = numbers.point("hfd", quality)
        assert point is not None
        sides.append(numbers.image_values(point, metric, range(len(numbers.images))))
    return sides[0], sides[1] - sides[0]


def _of_sets(distance: str, level: float) -> Callable[[Random, int], tuple[Vector, Vector]]:
    whole, without = DISTANCES[distance]

    def draw(random: Random, n: int) -> tuple[Vector, Vector]:
        before = patches(random, n)
        strength = level * strengths_of(random, n, skewed=False)
        found = []
        for _ in range(2):
            sides = list(before), list(coded(random, before, strength))
            found.append(np.array([whole(*sides), *without(*sides)]))
        return found[0], found[1] - found[0]

    return draw


def _errors(kind: Kind, n: int, loss: float, draws: int, seed: int) -> Errors:
    random = np.random.default_rng([seed, n, round(10 * loss), len(kind.name)])
    counts: Counter[Outcome | None] = Counter()
    for _ in range(draws):
        base, change = kind.draw(random, n)
        if not kind.stochastic:
            change = np.zeros_like(change)
        new = _worsened(base + change, kind.record, loss, exact=not kind.stochastic)
        name = "bpp" if kind.name == "bpp" else "own"
        before, after = (_run(n, name, kind.record, kind.stochastic, [values]) for values in (base, new))
        [row] = [row for row in compare(before, after, _GATE).rows if row.metric == name and row.kind == "value"]
        counts[row.outcome] += 1

    def share(*outcomes: Outcome | None) -> float:
        return 100 * sum(counts[outcome] for outcome in outcomes) / draws

    return Errors(
        kind.name,
        n,
        loss,
        draws,
        share(Outcome.WORSE),
        share(Outcome.UNDECIDED, None),
        share(Outcome.NOT_WORSE, Outcome.SAME),
        share(Outcome.BETTER),
        _stderr(draws),
    )


def _stderr(draws: int) -> float:
    return round(100 * math.sqrt(0.05 * 0.95 / draws), 1)


def _worsened(values: Vector, record: MetricRecord, loss: float, exact: bool = False) -> Vector:
    """`values` with a loss of so many margins; of what has no chance in it, of so many tolerances."""
    limit = record.tolerance if exact and record.tolerance is not None else record.margin
    assert limit is not None
    margin = parse_margin(limit)
    sign = -1 if record.higher_is_better else 1
    worse: Vector = values * (1 + sign * loss * margin.size) if margin.relative else values + sign * loss * margin.size
    return worse


def _run(
    n: int, name: str, record: MetricRecord, stochastic: bool, values: Sequence[Vector], codec: str = "codec"
) -> Baseline:
    """A run of one codec with a point for each of `values`."""
    template = population()
    points = [_point(template, codec, q, n, {} if name == "bpp" else {name: (record, v)}, v if name == "bpp" else None)
              for q, v in enumerate(values, start=1)]  # fmt: skip
    metrics = {"bpp": template.metrics["bpp"]} | ({} if name == "bpp" else {name: record})
    return _baseline(template, n, metrics, points, stochastic)


def _baseline(
    template: Baseline, n: int, metrics: dict[str, MetricRecord], points: Sequence[Point], stochastic: bool
) -> Baseline:
    codecs = {
        codec: CodecRecord(label=codec, qualities=[p.quality for p in points if p.codec == codec],
                           stochastic=stochastic, description={})
        for codec in dict.fromkeys(point.codec for point in points)
    }  # fmt: skip
    return template.model_copy(
        update={
            "images": [f"image {number}" for number in range(n)],
            "pixels": [_PIXELS] * n,
            "metrics": metrics,
            "codecs": codecs,
            "points": list(points),
        }
    )


def _point(
    template: Baseline,
    codec: str,
    quality: float,
    n: int,
    values: dict[str, tuple[MetricRecord, Vector]],
    rates: Vector | None = None,
) -> Point:
    """rates: bits per pixel of each image; None for one bit."""
    sizes = [_PIXELS // 8] * n if rates is None else [round(rate * _PIXELS / 8) for rate in rates]
    images = {name: list(v) for name, (record, v) in values.items() if record.kind != "set"}
    sets = {
        name: SetPoint.model_construct(value=float(v[0]), per_seed=[float(v[0])], n_patches=0, without=list(v[1:]))
        for name, (record, v) in values.items()
        if record.kind == "set"
    }
    return template.points[0].model_copy(
        update={
            "codec": codec,
            "quality": quality,
            "bytes": sizes,
            "metrics": images,
            "per_seed": {},
            "sets": sets,
            "infinite": {},
            "encode_seconds": None,
            "decode_seconds": None,
            "failed": {},
        }
    )


# A whole gate


def _family(n: int, loss: float, draws: int, seed: int) -> FamilyErrors:
    random = np.random.default_rng([seed, n, round(10 * loss)])
    worse, better, found, open_rows, rows, tests = 0, 0, 0, 0, 0, 0
    for _ in range(draws):
        base, new = _gates(random, n, loss)
        comparison = compare(base, new, _GATE)
        tests = comparison.tests
        unchanged = [row for row in comparison.rows if row.codec != "codec 0" or not loss]
        worse += any(row.outcome is Outcome.WORSE for row in unchanged)
        better += any(row.outcome is Outcome.BETTER for row in unchanged)
        found += any(row.outcome is Outcome.WORSE for row in comparison.rows if row.codec == "codec 0")
        open_rows += sum(row.outcome is Outcome.UNDECIDED for row in unchanged)
        rows += len(unchanged)
    false_worse, false_better, seen = (100 * count / draws for count in (worse, better, found))
    still = round(100 * open_rows / rows, 1)
    return FamilyErrors(n, loss, draws, tests, false_worse, false_better, seen, still, _stderr(draws))


def _gates(random: Random, n: int, loss: float) -> tuple[Baseline, Baseline]:
    """Both runs: the six qualities of mse, with hfd's real changes from one seed to another added to the new run.

    fd-effnet has the distances' usual spread from image to image, as a mean over images. loss: of the first codec.
    """
    template = population()
    metrics = {name: template.metrics[name] for name in ("bpp", "psnr", "ms_ssim", "lpips", "fd-effnet")}
    qualities = [point.quality for point in template.of("mse")]
    places = random.integers(len(template.images), size=n).tolist()
    texture = random.normal(0, 0.4, n)
    sides: tuple[list[Point], list[Point]] = ([], [])
    for number in range(CODECS):
        for level, quality in enumerate(qualities):
            point = template.point("mse", quality)
            assert point is not None
            coin = random.choice((-1.0, 1.0), n)
            rates = template.image_values(point, "bpp", places)
            base: dict[str, Vector] = {}
            new: dict[str, Vector] = {}
            for metric in ("psnr", "ms_ssim", "lpips"):
                base[metric] = template.image_values(point, metric, places)
                new[metric] = base[metric] + coin * _values(metric, (1, 1, 3, 3, 5, 5)[level])[1][places]
            own = 100 * 0.7**level * np.exp(texture)
            for side in (base, new):
                distance = own * np.exp(0.03 * random.normal(size=n))
                side["fd-effnet"] = np.array([distance.mean(), *leave_one_out_means(distance)])
            if number == 0:
                new = {metric: _worsened(values, metrics[metric], loss) for metric, values in new.items()}
            for points, values in zip(sides, (base, new), strict=True):
                named = {metric: (metrics[metric], found) for metric, found in values.items()}
                points.append(_point(template, f"codec {number}", quality, n, named, rates))
    one, other = (_baseline(template, n, metrics, points, stochastic=True) for points in sides)
    return one, other
