"""Rate differences of real curves: a codec against itself, and what is said of curves that are drawn differently."""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from support.baselines import synthetic

from benchmark.analysis.baseline import Baseline, read_numbers
from benchmark.analysis.rate_differences import RateRow, rate_differences, scale_of
from benchmark.reports.rates import rate_cells, rate_notes
from benchmark.statistics.bjontegaard import Curve, bd_rate
from benchmark.studies.coverage import MORE, POPULATION

PHOTOS, MORE_PHOTOS = read_numbers(POPULATION), read_numbers(MORE)
METRICS = [name for name in PHOTOS.metrics if name != "bpp"]


def parted(codec: str, one: Sequence[int], other: Sequence[int]) -> Baseline:
    """Points of a codec, by their places, as those of the codecs "one" and "other"."""
    points = PHOTOS.of(codec)
    named = [points[place].model_copy(update={"codec": "one"}) for place in one]
    named += [points[place].model_copy(update={"codec": "other"}) for place in other]
    record = PHOTOS.codecs[codec]
    return PHOTOS.model_copy(update={"points": named, "codecs": {"one": record, "other": record}})


def differences(numbers: Baseline, metrics: Sequence[str] = ()) -> list[RateRow]:
    return rate_differences(numbers, "one", metrics, resamples=100)


@pytest.mark.long
@pytest.mark.parametrize("codec", ["jpeg", "webp", "mse"])
@pytest.mark.parametrize(
    "way", ["even and odd", "thirds", "every third and all", "all but one and all", "halves", "a gap"]
)
def test_a_codec_against_itself_at_other_qualities_differs_by_nothing(codec: str, way: str) -> None:
    every = list(range(len(PHOTOS.of(codec))))
    half = len(every) // 2
    one, other = {
        "even and odd": (every[::2], every[1::2]),
        "thirds": (every[::3], every[1::3]),
        "every third and all": (every[::3], every),
        "all but one and all": ([*every[:2], *every[3:]], every),
        "halves": (every[: half + 2], every[half - 1 :]),
        "a gap": ([every[0], *every[-2:]], every[1:-2]),
    }[way]
    for row in differences(parted(codec, one, other)):
        if min(len(one), len(other)) < 3:
            assert any("a curve of two points is drawn as a straight line" in note for note in row.notes), row
            continue
        assert row.difference.estimate.ci_low <= 0 <= row.difference.estimate.ci_high, row


def partings(count: int) -> Iterator[NDArray[np.bool_]]:
    """All ways to part so many points into two curves of three points or more."""
    for chosen in itertools.product((False, True), repeat=count):
        if 3 <= sum(chosen) <= count - 3:
            yield np.array(chosen)


def share_that_holds(numbers: Baseline, codec: str, metric: str, every: int = 1) -> float:
    """Of the partings of a codec's own points, in which share nothing lies within the error of the interpolation. The
    curves are those of all images, so that there is no other error."""
    images = range(len(numbers.images))
    points = numbers.of(codec)
    rate, value = (np.array([numbers.image_values(p, name, images).mean() for p in points]) for name in ("bpp", metric))
    facts = numbers.facts(metric)
    held = []
    for first in itertools.islice(partings(len(points)), 0, None, every):
        sides = (Curve(rate[own], value[own]) for own in (first, ~first))
        found = bd_rate(*sides, facts.higher_is_better, scale_of(facts))
        if found.ways is not None:
            held.append(abs(math.log1p(found.estimate.value / 100)) <= found.ways.error() + 1e-9)
    assert held
    return float(np.mean(held))


SELVES = [(numbers, codec) for numbers in (PHOTOS, MORE_PHOTOS) for codec in numbers.codecs if codec != "hfd"]


@pytest.mark.parametrize("metric", ["psnr", "ms_ssim", "lpips"])
@pytest.mark.parametrize(("numbers", "codec"), SELVES, ids=[codec for _, codec in SELVES])
def test_however_points_lie_a_codec_differs_from_itself_by_nothing(numbers: Baseline, codec: str, metric: str) -> None:
    """Clusters and gaps among them: the ways to draw a curve may agree there and all be wrong."""
    assert share_that_holds(numbers, codec, metric, every=1 if len(numbers.of(codec)) < 8 else 23) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["psnr", "ms_ssim", "lpips"])
@pytest.mark.parametrize(("numbers", "codec"), SELVES, ids=[codec for _, codec in SELVES])
def test_in_every_parting_of_its_points_a_codec_differs_from_itself_by_nothing(
    numbers: Baseline, codec: str, metric: str
) -> None:
    assert share_that_holds(numbers, codec, metric) >= 0.95


def test_where_interpolations_part_a_note_says_how_far() -> None:
    sparse = parted("jpeg", range(10), [0, 5, 9])
    [row] = differences(sparse, ["lpips"])
    assert row.difference.ways is not None
    assert row.difference.ways.parted
    parts, few = row.drawing
    assert parts.startswith("interpolations part, cubic spline ")
    assert "of the interval is the error of the interpolation, which more qualities lessen" in few
    assert few.endswith("; no point of other in 83% of what both reach")
    assert f"other at equal lpips: {parts}" in rate_notes([row], "photos")
    [calm] = differences(parted("jpeg", range(10), range(10)), ["lpips"])
    assert calm.difference.estimate.value == 0
    assert not calm.notes


def test_two_points_and_a_small_overlap_are_said() -> None:
    [row] = differences(parted("webp", [0, 5], range(1, 5)), ["psnr"])
    assert any("two points" in line and "leaves it out" not in line for line in row.notes)
    [both] = differences(parted("webp", [0, 5], [1, 4]), ["psnr"])
    assert any("two points" in line and "the interval leaves it out" in line for line in both.notes)
    [row] = differences(parted("jpeg", range(4), range(2, 10)), ["psnr"])
    assert any("they share" in line for line in row.notes)


@pytest.mark.parametrize("factor", [1e4, 1e9])
def test_an_interval_beyond_all_measure_is_a_line_and_no_traceback(factor: float) -> None:
    """Two images, of which each codec makes the other one large: Student's t of one degree of freedom does the rest."""
    n, pixels = 2, 10**6
    large = np.array([[1.0, factor]]) * np.array([[100], [200], [400]])
    plain = synthetic(n=n)
    points = []
    for codec, sizes in (("one", large), ("other", large[:, ::-1])):
        for point, row in zip(plain.points, sizes, strict=True):
            changes = {"codec": codec, "bytes": [int(size) for size in row]}
            points.append(point.model_copy(update=changes))
    record = plain.codecs["noisy"]
    numbers = plain.model_copy(
        update={"codecs": {"one": record, "other": record}, "points": points, "pixels": [pixels] * n}
    )
    rows = rate_differences(numbers, "one", ["psnr", "fd-effnet"])
    for row in rows:
        estimate = row.difference.estimate
        assert estimate.value == pytest.approx(0)
        assert estimate.ci_low == pytest.approx(-100)
        assert estimate.ci_high > 1e30
        assert not any("error of the interpolation" in line for line in row.notes)
        assert all(len(cell) < 40 for cell in rate_cells(row))
