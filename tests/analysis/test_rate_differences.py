"""Rate differences of real curves: a codec against itself, and what is said of curves that are drawn differently."""

from collections.abc import Sequence

import pytest

from benchmark.analysis.baseline import Baseline, read_numbers
from benchmark.analysis.rate_differences import RateRow, rate_differences
from benchmark.reports.rates import rate_notes
from benchmark.studies.coverage import POPULATION

PHOTOS = read_numbers(POPULATION)
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


@pytest.mark.parametrize("codec", ["jpeg", "webp", "mse"])
@pytest.mark.parametrize("way", ["even and odd", "thirds", "every third and all", "all but one and all", "halves"])
def test_a_codec_against_itself_at_other_qualities_differs_by_nothing(codec: str, way: str) -> None:
    every = list(range(len(PHOTOS.of(codec))))
    half = len(every) // 2
    one, other = {
        "even and odd": (every[::2], every[1::2]),
        "thirds": (every[::3], every[1::3]),
        "every third and all": (every[::3], every),
        "all but one and all": ([*every[:2], *every[3:]], every),
        "halves": (every[: half + 2], every[half - 1 :]),
    }[way]
    if min(len(one), len(other)) < 3:
        pytest.skip("a curve of two points is drawn as a straight line: a note says so")
    for row in differences(parted(codec, one, other)):
        assert row.difference.estimate.ci_low <= 0 <= row.difference.estimate.ci_high, row


def test_where_interpolations_part_a_note_says_how_far() -> None:
    sparse = parted("jpeg", range(10), [0, 5, 9])
    [row] = differences(sparse, ["lpips"])
    assert row.difference.ways is not None
    assert row.difference.ways.parted
    [line] = row.drawing
    assert line.startswith("interpolations part, cubic spline ")
    assert f"other at equal lpips: {line}" in rate_notes([row], "photos")
    [calm] = differences(parted("jpeg", range(10), range(10)), ["lpips"])
    assert calm.difference.estimate.value == 0
    assert not calm.notes


def test_two_points_and_a_small_overlap_are_said() -> None:
    [row] = differences(parted("webp", [0, 5], range(1, 5)), ["psnr"])
    assert any("two points" in line for line in row.notes)
    [row] = differences(parted("jpeg", range(4), range(2, 10)), ["psnr"])
    assert any("they share" in line for line in row.notes)
