"""How often the intervals that this suite prints hold the truth, by simulation.

`python -m benchmark studies coverage` draws sets of n images, lets the suite make its interval of each, and counts how
often the truth lies in it. Where a number is made of means over images, the images are drawn with replacement from
those of POPULATION and MORE, committed runs, so that values are as skewed and hang together as real ones do; its own
numbers are the truth. Distances between sets, and votes, are drawn from models. A distance depends on the number of
images, so its truth is the mean over all draws. A new interval is a new function in `cases`.
"""

import csv
import io
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from benchmark import reports
from benchmark.analysis.baseline import Baseline, Point, SetPoint, read_numbers
from benchmark.analysis.differences import paired_differences
from benchmark.analysis.equal_bits import at_rate
from benchmark.analysis.inputs import summary_of
from benchmark.analysis.leaderboard import Entry, boards
from benchmark.analysis.rate_differences import rate_differences
from benchmark.analysis.summary import MEAN_MSE, TOTAL
from benchmark.errors import UsageError
from benchmark.files import write_file
from benchmark.metrics import distribution, extrapolation
from benchmark.statistics.intervals import Estimate, function_of_means_estimate, jackknife_estimate, mean_estimate
from benchmark.statistics.paired import paired_difference, paired_estimate
from benchmark.statistics.preference import agreement, bradley_terry

POPULATION = Path(reports.__file__ or "").parent / "baselines" / "photos.json"
MORE = POPULATION.with_name("photos-more.json")
SECOND_SEED = POPULATION.with_name("photos-seed-1.json")
SIZES = (8, 24, 100)
REPETITIONS = 1000
RESAMPLES = 100
"""Of each bootstrap of rate differences: as few as `bd` takes."""
FEATURES, PATCHES = 16, 2
_PEOPLE = 6

Record = TypeVar("Record")
Random = np.random.Generator
Vector = npt.NDArray[np.float64]
Ends = tuple[float, float, float]
"""A value and both ends of its interval; NaN where there is none."""


@dataclass(frozen=True)
class Case:
    """interval: where the suite prints it. of: the number. draw: an interval over n images.

    truth: None for the mean of the values of all draws; a function where it takes long to find.
    share: of the repetitions, less where a draw takes long.
    """

    interval: str
    of: str
    draw: Callable[[Random, int], Ends]
    truth: float | Callable[[], float] | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Coverage:
    """Of one case at one n.

    covered, missed_below, missed_above: shares of the intervals, per cent; missed_below: those that lie below the
    truth. undefined: draws without an interval, per cent. width: median width over the standard deviation of the
    values, 2·1.96 for the best interval of a normal one. stderr: of `covered`, were it 95 %, from so many draws.
    """

    NAMES = ("interval", "of", "n")

    interval: str
    of: str
    n: int
    draws: int
    covered: float
    missed_below: float
    missed_above: float
    undefined: float
    width: float
    stderr: float


def measure(
    sizes: Sequence[int] = SIZES, repetitions: int = REPETITIONS, only: Sequence[str] = (), seed: int = 0
) -> Iterator[Coverage]:
    """The coverage of each case at each number of images.

    only: parts of the names of intervals and of what they are of, none for all. Each case has random numbers of its
    own, so that its counts do not depend on the others. Raises UsageError on sizes, repetitions or names that cannot
    be.
    """
    if not sizes or min(sizes) < 2:
        raise UsageError("--images: numbers of at least 2 are needed: one image has no interval")
    if repetitions < 10:
        raise UsageError(f"--repetitions {repetitions}: at least 10 are needed")
    named = {f"{case.interval}, {case.of}": case for case in cases()}
    chosen = [case for name, case in named.items() if not only or any(part in name for part in only)]
    if not chosen:
        there = ", ".join(dict.fromkeys(case.interval for case in cases()))
        raise UsageError(f"--only {', '.join(only)}: there are {there}")
    return (_coverage(case, n, max(round(case.share * repetitions), 10), seed) for case in chosen for n in sizes)


def _coverage(case: Case, n: int, draws: int, seed: int) -> Coverage:
    random = np.random.default_rng([seed, n, zlib.crc32(f"{case.interval}, {case.of}".encode())])
    value, low, high = np.array([case.draw(random, n) for _ in range(draws)], dtype=np.float64).T
    there = ~(np.isnan(low) | np.isnan(high))
    value, low, high = value[there], low[there], high[there]
    if not value.size:
        return Coverage(case.interval, case.of, n, draws, math.nan, math.nan, math.nan, 100.0, math.nan, math.nan)
    truth = float(value.mean()) if case.truth is None else case.truth() if callable(case.truth) else case.truth
    slack = 1e-9 * max(abs(truth), float(np.abs(value).max()))  # of rounding, where an interval has no width
    below, above = high < truth - slack, low > truth + slack
    spread = float(value.std())
    held, under, over = (round(100 * float(part.mean()), 1) for part in (~(below | above), below, above))
    return Coverage(
        case.interval,
        case.of,
        n,
        draws,
        held,
        under,
        over,
        round(100 * float(1 - there.mean()), 1),
        round(float(np.median(high - low)) / spread, 2) if spread else math.nan,
        round(100 * math.sqrt(0.95 * 0.05 / value.size), 1),
    )


def lines(found: Iterator[Coverage] | Sequence[Coverage]) -> Iterator[str]:
    """A head, and a line as soon as a count is there."""
    yield (
        f"{'95 % interval':34} {'of':44} {'n':>4} {'covered':>8} {'below':>6} {'above':>6} "
        f"{'none':>6} {'width':>6} "
        f"{'± of 95':>8}"
    )
    for one in found:
        numbers = (one.covered, one.missed_below, one.missed_above, one.undefined)
        shares = " ".join(f"{number:{width}.1f}" for number, width in zip(numbers, (8, 6, 6, 6), strict=True))
        yield f"{one.interval:34} {one.of:44} {one.n:>4} {shares} {one.width:6.2f} {one.stderr:8.1f}"


def write_table(found: Sequence[Any], path: Path) -> None:
    """A CSV of records of one class, a column a field, four digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(found[0])])
    for one in found:
        writer.writerow([f"{v:.4g}" if isinstance(v, float) else v for v in asdict(one).values()])
    write_file(path, text.getvalue(), parents=True)


def read_table(of: type[Record], path: Path) -> list[Record]:
    """The records of a table that `write_table` wrote. Raises UsageError on a table of something else."""
    columns = fields(cast(Any, of))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        return [of(**{column.name: _KINDS[column.type](row[column.name]) for column in columns}) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        wanted = ", ".join(column.name for column in columns)
        raise UsageError(f"{path}: not a table of this study, whose columns are {wanted} ({error})") from None


_KINDS: dict[Any, Callable[[str], Any]] = {str: str, int: int, float: float}


# What is drawn from


@cache
def population() -> Baseline:
    """24 photographs through JPEG, WebP, mse and hfd."""
    return read_numbers(POPULATION)


@cache
def more() -> Baseline:
    """The same photographs through AVIF and JPEG 2000."""
    return read_numbers(MORE)


def drawn(numbers: Baseline, places: npt.NDArray[np.intp]) -> Baseline:
    """The images at `places`, which may repeat, as if they were images of their own; without metrics of sets."""
    chosen = [int(place) for place in places]

    def of(values: Sequence[Any]) -> list[Any]:
        return [values[place] for place in chosen]

    points = [
        point.model_copy(
            update={
                "bytes": of(point.bytes),
                "metrics": {name: of(values) for name, values in point.metrics.items()},
                "per_seed": {},
                "sets": {},
                "infinite": {
                    name: [k for k, place in enumerate(chosen) if place in there]
                    for name, there in point.infinite.items()
                },
                "encode_seconds": None,
                "decode_seconds": None,
                "failed": {},
            }
        )
        for point in numbers.points
    ]
    return numbers.model_copy(
        update={
            "images": [f"image {number}" for number in range(len(chosen))],
            "pixels": of(numbers.pixels),
            "metrics": {name: record for name, record in numbers.metrics.items() if record.kind != "set"},
            "points": points,
        }
    )


def only_codecs(numbers: Baseline, *codecs: str) -> Baseline:
    """The points of `codecs` alone."""
    return numbers.model_copy(
        update={
            "codecs": {name: record for name, record in numbers.codecs.items() if name in codecs},
            "points": [point for point in numbers.points if point.codec in codecs],
        }
    )


def _resampled(numbers: Baseline, random: Random, n: int) -> Baseline:
    return drawn(numbers, random.integers(len(numbers.images), size=n))


def _values(codec: str, quality: float, metric: str) -> Vector:
    numbers = population()
    point = numbers.point(codec, quality)
    assert point is not None
    return numbers.image_values(point, metric, range(len(numbers.images)))


# Cases


def cases() -> list[Case]:
    """All intervals, each of several numbers."""
    return [
        *_means(),
        *_of_sets(),
        *_at_infinity(),
        *_paired(),
        *_at_rates(),
        *_rate_differences(),
        *_with_itself(),
        *_ties(),
        *_votes(),
    ]


def _ends(estimate: Estimate) -> Ends:
    return estimate.value, estimate.ci_low, estimate.ci_high


def _means() -> Iterator[Case]:
    """summary.csv, table, plot, page: per-image metrics and bits per pixel."""
    for codec, quality, metric in (
        ("jpeg", 20, "bpp"), ("jpeg", 90, "bpp"), ("hfd", 1, "bpp"),
        ("jpeg", 20, "psnr"), ("hfd", 3, "psnr"),
        ("jpeg", 20, "ms_ssim"), ("jpeg", 90, "ms_ssim"),
        ("jpeg", 20, "lpips"), ("jpeg", 90, "lpips"), ("hfd", 3, "lpips"),
    ):  # fmt: skip
        values = _values(codec, quality, metric)

        def draw(random: Random, n: int, values: Vector = values) -> Ends:
            return _ends(mean_estimate(random.choice(values, n)))

        yield Case("mean over images", f"{metric} of {codec} at quality {quality:g}", draw, float(values.mean()))
    for codec, quality in (("jpeg", 20), ("hfd", 3)):
        bits, pixels = _values(codec, quality, "bpp"), np.array(population().pixels, dtype=np.float64)
        bits = bits * pixels
        error = 10 ** (-_values(codec, quality, "psnr") / 10)

        def total(random: Random, n: int, bits: Vector = bits, pixels: Vector = pixels) -> Ends:
            places = random.integers(len(bits), size=n)
            return _ends(function_of_means_estimate(np.divide, bits[places], pixels[places]))

        def pooled(random: Random, n: int, error: Vector = error) -> Ends:
            return _ends(function_of_means_estimate(lambda mean: -10 * np.log10(mean), random.choice(error, n)))

        yield Case(TOTAL, f"bpp of {codec} at quality {quality}", total, float(bits.sum() / pixels.sum()))
        yield Case(MEAN_MSE, f"psnr of {codec} at quality {quality}", pooled, float(-10 * np.log10(error.mean())))


DISTANCES = {
    "fd": (distribution.frechet_distance, distribution.frechet_leave_one_out),
    "kd": (distribution.kernel_distance, distribution.kernel_leave_one_out),
    "kd paired": (distribution.paired_kernel_distance, distribution.paired_kernel_leave_one_out),
}


def patches(random: Random, n: int, of_each: int = PATCHES) -> Vector:
    """(n, of_each, FEATURES): originals; patches of one image are alike."""
    spread = np.linspace(0.6, 1.4, FEATURES)
    found: Vector = random.normal(size=(n, 1, FEATURES)) * spread + 0.7 * random.normal(size=(n, of_each, FEATURES))
    return found


def strengths_of(random: Random, n: int, skewed: bool) -> Vector:
    """(n, 1, 1), mean 1: how much a codec changes each image; where skewed, a few much more than the others."""
    sizes = random.lognormal(-0.125, 0.5, n) if skewed else random.gamma(8, 1 / 8, n)
    return np.asarray(sizes, dtype=np.float64)[:, None, None]


def coded(random: Random, before: Vector, strength: Vector) -> Vector:
    """What is left of `before`: less detail, a shift, and noise."""
    shift = np.linspace(0, 1, FEATURES)
    after: Vector = before * np.exp(-0.3 * strength) + 0.4 * strength * shift + 0.1 * random.normal(size=before.shape)
    return after


def _of_sets() -> Iterator[Case]:
    """summary.csv, table, plot, page: distances between sets."""
    for name, (whole, without) in DISTANCES.items():
        for skewed in (False, True):

            def draw(random: Random, n: int, skewed: bool = skewed, whole: Any = whole, without: Any = without) -> Ends:
                before = patches(random, n)
                after = coded(random, before, strengths_of(random, n, skewed))
                sides = list(before), list(after)
                return _ends(jackknife_estimate(whole(*sides), without(*sides)))

            how = "a few images dominate" if skewed else "images alike"
            yield Case("distance between sets", f"{name}, {how}", draw, share=0.2)


MANY = 4000
"""Images that stand for a set without end: there the distance is some 0.2 % from where it tends to."""
WIDE = 8
"""Patches of an image, so that half of 8 images have more patches than features."""


def _at_infinity() -> Iterator[Case]:
    """The distance between sets without end, from a finite one: `fid-infinity`. The truth is that of MANY images."""
    for skewed in (False, True):

        def pair(random: Random, n: int, skewed: bool = skewed) -> tuple[list[Vector], list[Vector]]:
            before = patches(random, n, WIDE)
            return list(before), list(coded(random, before, strengths_of(random, n, skewed)))

        def draw(random: Random, n: int, pair: Any = pair) -> Ends:
            sides = pair(random, n)
            return _ends(
                jackknife_estimate(
                    extrapolation.frechet_at_infinity(*sides), extrapolation.frechet_at_infinity_leave_one_out(*sides)
                )
            )

        truth = float(distribution.frechet_distance(*pair(np.random.default_rng(0), MANY)))
        how = "a few images dominate" if skewed else "images alike"
        yield Case("distance at infinity", f"fd, {how}", draw, truth, 0.06)


def with_sets(numbers: Baseline, rates: Sequence[Sequence[float]], values: Sequence[Any]) -> Baseline:
    """A baseline of the codecs "one" and "other" of values of sets alone.

    rates: of each codec's points, bits per pixel of each image (q, n). values: the same of (value, without).
    """
    template = numbers.points[0]
    pixels = 2**18
    points: list[Point] = []
    for codec, own_rates, own_values in zip(("one", "other"), rates, values, strict=True):
        for quality, (rate, found) in enumerate(zip(own_rates, own_values, strict=True), start=1):
            sets = {
                name: SetPoint.model_construct(value=value, per_seed=[value], n_patches=0, without=list(without))
                for name, (value, without) in found.items()
            }
            sizes = [round(bits * pixels / 8) for bits in np.asarray(rate)]
            update = {"codec": codec, "quality": quality, "bytes": sizes, "metrics": {}, "sets": sets, "infinite": {}}
            points.append(template.model_copy(update=update))
    record = numbers.codecs[template.codec]
    n = len(points[0].bytes)
    return numbers.model_copy(
        update={
            "images": [f"image {number}" for number in range(n)],
            "pixels": [pixels] * n,
            "codecs": {"one": record, "other": record},
            "points": points,
        }
    )


LEVELS = (1.0, 0.7, 0.45)


def curves_of_sets(
    random: Random,
    n: int,
    skewed: bool,
    distance: str = "fd",
    levels: Sequence[float] = LEVELS,
    gains: Sequence[float] = (1.0, 0.85),
) -> Baseline:
    """Two codecs on the same images, at a rate for each of `levels`: how much they change, as a distance of patches.

    distance: fd or kd, as the metric fd-effnet or kd-effnet. gains: of the rates of each codec.
    """
    before = patches(random, n)
    difficulty = random.normal(0, 0.4, n)
    hard = strengths_of(random, n, skewed)
    rates, values = [], []
    whole, without = DISTANCES[distance]
    for gain in gains:
        own = random.normal(0, 0.1, n)
        rates.append([gain * 0.15 * 2**place * np.exp(difficulty + own) for place in range(len(levels))])
        found = []
        for level in levels:
            after = coded(random, before, level * hard * np.exp(random.normal(0, 0.15, (n, 1, 1))))
            sides = list(before), list(after)
            found.append({f"{distance}-effnet": (whole(*sides), without(*sides))})
        values.append(found)
    return with_sets(population(), rates, values)


def _paired() -> Iterator[Case]:
    """images --against, the pairs of the page."""
    pairs = {
        "hfd at quality 3 and jpeg at 20": (("hfd", 3), ("jpeg", 20)),
        "webp at quality 35 and jpeg at 30": (("webp", 35), ("jpeg", 30)),
    }
    for what, (one, other) in pairs.items():
        for metric in ("bpp", "psnr", "ms_ssim", "lpips"):
            numbers = only_codecs(population(), one[0], other[0])
            change = _values(*one, metric) - _values(*other, metric)

            def draw(
                random: Random, n: int, numbers: Baseline = numbers, one: Any = one, other: Any = other, m: str = metric
            ) -> Ends:
                return _difference(_resampled(numbers, random, n), other, one, m)

            yield Case("paired difference", f"{metric} of {what}", draw, float(change.mean()))
    for skewed in (False, True):
        for metric in ("fd-effnet", "kd-effnet"):

            def of_sets(random: Random, n: int, skewed: bool = skewed, m: str = metric) -> Ends:
                numbers = curves_of_sets(random, n, skewed, m.removesuffix("-effnet"), LEVELS[1:2])
                return _difference(numbers, ("one", 1), ("other", 1), m)

            how = "a few images dominate" if skewed else "images alike"
            yield Case("paired difference", f"{metric}, {how}", of_sets, share=0.15)


def _difference(numbers: Baseline, base: tuple[str, float], new: tuple[str, float], metric: str) -> Ends:
    one, other = numbers.point(*base), numbers.point(*new)
    assert one is not None
    assert other is not None
    images = range(len(numbers.images))
    before, after = numbers.replicates(one, metric, list(images)), numbers.replicates(other, metric, list(images))
    assert before is not None
    assert after is not None
    return _ends(paired_estimate(paired_difference(before, after)))


_RATES = {"webp": 0.6, "hfd": 0.35}
"""Codec -> bits per pixel in the range that it and JPEG reach."""


def _at_rates() -> Iterator[Case]:
    """plot --relative-to and ties of table; values of table --at-bpp."""
    for codec, rate in _RATES.items():
        numbers = only_codecs(population(), "jpeg", codec)
        whole = drawn(numbers, np.arange(len(numbers.images)))
        for metric in ("psnr", "lpips"):
            [exact] = paired_differences(whole, "jpeg", [codec], metric, [rate])

            def difference(random: Random, n: int, numbers: Baseline = numbers, codec: str = codec, m: str = metric,
                           rate: float = rate) -> Ends:  # fmt: skip
                found = _resampled(numbers, random, n)
                [curve] = paired_differences(found, "jpeg", [codec], m, [rate])
                return (curve.difference[0], curve.low[0], curve.high[0]) if curve.rate.size else (math.nan,) * 3

            what = f"{metric} of {codec} at {rate:g} bpp"
            yield Case("difference at equal rate", f"{what} from jpeg", difference, float(exact.difference[0]), 0.3)
            truth = at_rate(summary_of(whole), codec, metric, rate)
            assert truth is not None

            for alone in (False, True):

                def value(random: Random, n: int, numbers: Baseline = numbers, codec: str = codec, m: str = metric,
                          rate: float = rate, alone: bool = alone) -> Ends:  # fmt: skip
                    found = _resampled(only_codecs(numbers, codec), random, n)
                    at = at_rate(summary_of(found), codec, m, rate, None if alone else found)
                    return (math.nan,) * 3 if at is None else (at.value, at.low, at.high)

                yield Case(f"value at a rate{', of a summary alone' if alone else ''}", what, value, truth.value, 0.08)
    for skewed in (False, True):

        def of_sets(random: Random, n: int, skewed: bool = skewed) -> Ends:
            [curve] = paired_differences(curves_of_sets(random, n, skewed), "one", ["other"], "fd-effnet", [0.3])
            return (curve.difference[0], curve.low[0], curve.high[0]) if curve.rate.size else (math.nan,) * 3

        how = "a few images dominate" if skewed else "images alike"
        yield Case("difference at equal rate", f"fd-effnet, {how}", of_sets, share=0.08)


def _rate_differences() -> Iterator[Case]:
    """bd."""
    for codec in ("webp", "hfd"):
        numbers = only_codecs(population(), "jpeg", codec)
        sparse = [point for place, point in enumerate(numbers.of("jpeg")) if place % 2]  # five, as many as usual
        numbers = numbers.model_copy(update={"points": [*sparse, *numbers.of(codec)]})
        whole = drawn(numbers, np.arange(len(numbers.images)))
        for metric in ("psnr", "lpips"):
            [exact] = rate_differences(whole, "jpeg", [metric], resamples=RESAMPLES)

            def draw(random: Random, n: int, numbers: Baseline = numbers, m: str = metric) -> Ends:
                [row] = rate_differences(_resampled(numbers, random, n), "jpeg", [m], resamples=RESAMPLES)
                return _ends(row.difference.estimate)

            yield Case(
                "rate difference, bootstrap",
                f"{codec} against jpeg at equal {metric}",
                draw,
                exact.difference.estimate.value,
                0.1,
            )
    for skewed in (False, True):

        def of_sets(random: Random, n: int, skewed: bool = skewed) -> Ends:
            [row] = rate_differences(curves_of_sets(random, n, skewed), "one", ["fd-effnet"])
            return _ends(row.difference.estimate)

        how = "a few images dominate" if skewed else "images alike"
        yield Case("rate difference, jackknife", f"fd-effnet, {how}", of_sets, share=0.06)


def _with_itself() -> Iterator[Case]:
    """bd of a codec against itself at other qualities, parted by chance, three of them or more on each side."""
    for codec in ("jpeg", "webp", "mse", "avif", "jpeg2000"):
        numbers = only_codecs(population() if codec in population().codecs else more(), codec)
        for metric in ("psnr", "ms_ssim", "lpips"):
            for drawing in (True, False):

                def draw(random: Random, n: int, numbers: Baseline = numbers, m: str = metric,
                         drawing: bool = drawing) -> Ends:  # fmt: skip
                    parted = _parted(_resampled(numbers, random, n), random)
                    [row] = rate_differences(parted, "one", [m], resamples=RESAMPLES)
                    value, low, high = _ends(row.difference.estimate)
                    if row.difference.ways is not None and not drawing:
                        error = row.difference.ways.error()
                        low, high = (
                            100 * math.expm1(math.log1p(end / 100) + way * error) for end, way in ((low, 1), (high, -1))
                        )
                    return value, low, high

                if drawing or (codec, metric) == ("jpeg", "psnr"):  # what the error of the interpolation is good for
                    how = "" if drawing else ", over images alone"
                    yield Case(f"rate difference with itself{how}", f"{codec} at equal {metric}", draw, 0.0, 0.12)


def _parted(numbers: Baseline, random: Random) -> Baseline:
    """The points of one codec as those of two, "one" and "other", by chance; each has three or more."""
    [(codec, record)] = numbers.codecs.items()
    points = numbers.of(codec)
    while not 3 <= (first := random.random(len(points)) < 0.5).sum() <= len(points) - 3:
        pass
    named = [
        point.model_copy(update={"codec": "one" if own else "other"}) for point, own in zip(points, first, strict=True)
    ]
    return numbers.model_copy(update={"codecs": {"one": record, "other": record}, "points": named})


TIES = "ties of a leaderboard"
RANKED = (2, 4)
"""Codecs of a board."""


def _ties() -> Iterator[Case]:
    """leaderboard: codecs that are equal, so that no one is better. Covered: draws in which all share the first rank.

    Of metrics of images they are hfd, each image decoded with one of two seeds by a coin, for each codec anew; or a
    codec and itself at other qualities, whose points are parted by chance.
    """
    for metric in ("psnr", "lpips"):
        for count in RANKED:

            def draw(random: Random, n: int, metric: str = metric, count: int = count) -> Ends:
                return _tied(equals(random, n, count), metric, _RATES["hfd"])

            yield Case(TIES, f"{metric} of {count} equal codecs", draw, 0.0, 0.08)

    for codec in ("jpeg", "avif"):
        whole = only_codecs(population() if codec in population().codecs else more(), codec)
        for metric in ("psnr", "lpips"):

            def itself(random: Random, n: int, numbers: Baseline = whole, m: str = metric) -> Ends:
                parted = _parted(_resampled(numbers, random, n), random)
                [curve] = paired_differences(parted, "one", ["other"], m, [_RATES["webp"]])
                return (curve.difference[0], curve.low[0], curve.high[0]) if curve.rate.size else (math.nan,) * 3

            yield Case(TIES, f"{metric} of {codec} and itself at other qualities", itself, 0.0, 0.3)

    def of_sets(random: Random, n: int) -> Ends:
        numbers = curves_of_sets(random, n, skewed=False, gains=(1.0, 1.0))
        record = population().metrics["fd-effnet"]
        return _tied(numbers.model_copy(update={"metrics": numbers.metrics | {"fd-effnet": record}}), "fd-effnet", 0.3)

    yield Case(TIES, "fd-effnet of 2 equal codecs", of_sets, 0.0, 0.08)


def _tied(numbers: Baseline, metric: str, rate: float) -> Ends:
    """0 where all codecs share the first rank, 1 where one is said to be better than another; NaN without a rank."""
    [board] = boards([Entry("drawn", numbers)], [rate], [metric])
    ranks = [row.ranks[metric] for row in board.tables[rate]]
    if len(ranks) < len(numbers.codecs) or None in ranks:
        return (math.nan,) * 3
    broken = float(ranks != [1] * len(ranks))
    return broken, broken, broken


def equals(random: Random, n: int, count: int) -> Baseline:
    """`count` codecs over n drawn images that differ by nothing but chance."""
    seeds = [only_codecs(numbers, "hfd") for numbers in (population(), read_numbers(SECOND_SEED))]
    places = random.integers(len(seeds[0].images), size=n)
    first, second = (drawn(numbers, places) for numbers in seeds)
    points: list[Point] = []
    names = [f"codec {number}" for number in range(1, count + 1)]
    for name in names:
        coin = random.random(n) < 0.5
        for one, other in zip(first.points, second.points, strict=True):
            metrics = {
                metric: [a if own else b for a, b, own in zip(values, other.metrics[metric], coin, strict=True)]
                for metric, values in one.metrics.items()
            }
            points.append(one.model_copy(update={"codec": name, "metrics": metrics}))
    return first.model_copy(update={"codecs": dict.fromkeys(names, first.codecs["hfd"]), "points": points})


_ITEMS = np.array([0.6, 0.1, -0.2, -0.5])


def _votes() -> Iterator[Case]:
    """study tally: Elo points, and how often a metric says what people say. n images, _PEOPLE votes on each."""
    for spread in (0.0, 0.8):
        how = "images alike" if not spread else "images differ"

        def elo(random: Random, n: int, spread: float = spread) -> Ends:
            pairs, images = cast_votes(random, n, spread)
            try:
                found = bradley_terry(len(_ITEMS), pairs, images)
            except ValueError:  # an item won or lost everywhere
                return (math.nan,) * 3
            return float(found.value[0]), *found.interval(0)

        yield Case("strength from votes", f"the first of {len(_ITEMS)} codecs, {how}", elo, partial(_strength, spread))

        def agreed(random: Random, n: int, spread: float = spread) -> Ends:
            chance = expit(0.7 + 2 * spread * random.normal(size=n))
            votes = random.random((n, _PEOPLE)) < chance[:, None]
            return agreement([bool(vote) for vote in votes.ravel()], np.repeat(np.arange(n), _PEOPLE))

        truth = float(expit(0.7 + 2 * spread * _normal_quantiles()).mean())
        yield Case("agreement of votes and a metric", how, agreed, truth)


def cast_votes(random: Random, n: int, spread: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Votes (m, 2), winner and loser, and the image of each: _PEOPLE on each of n images, each of a random pair.

    spread: of an item's strength over images, natural logarithms.
    """
    images = np.repeat(np.arange(n), _PEOPLE)
    pairs = np.array([random.choice(len(_ITEMS), 2, replace=False) for _ in images])
    own = _ITEMS + spread * random.normal(size=(n, len(_ITEMS)))
    first, second = own[images, pairs[:, 0]], own[images, pairs[:, 1]]
    wins = random.random(len(images)) < expit(first - second)
    return np.where(wins[:, None], pairs, pairs[:, ::-1]), images


@cache
def _strength(spread: float) -> float:
    """What the model's maximum tends to with many images."""
    return float(bradley_terry(len(_ITEMS), *cast_votes(np.random.default_rng(0), 50_000, spread)).value[0])


def _normal_quantiles() -> Vector:
    from scipy import stats

    return np.asarray(stats.norm.ppf((np.arange(10_000) + 0.5) / 10_000), dtype=np.float64)
