"""The study of intervals: that it counts rightly, and in a small size what it found. Limits are binomial."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmark.cli.studies import studies
from benchmark.errors import UsageError
from benchmark.metrics import distribution
from benchmark.studies import coverage
from benchmark.studies.coverage import Case, drawn, lines, measure, population, read_table, write_table

pytestmark = pytest.mark.long

TABLE = Path(__file__).parents[2] / "reports" / "figures" / "coverage.csv"


def count(case: Case, n: int = 8, draws: int = 400) -> coverage.Coverage:
    return coverage._coverage(case, n, draws, 0)


def lowest(share: float, draws: int, deviations: float = 4) -> float:
    """Of a count of `draws`, in per cent, that many binomial deviations below `share`."""
    return share - deviations * math.sqrt(share * (100 - share) / draws)


def test_the_study_counts_on_which_side_the_truth_is_missed() -> None:
    ends = iter([(0.0, -1.0, 1.0), (0.0, -3.0, -2.0), (0.0, 2.0, 3.0), (0.0, math.nan, math.nan), (0.0, -1.0, 2.0)])
    found = count(Case("made", "by hand", lambda random, n: next(ends), 0.0), draws=5)
    shares = (found.covered, found.missed_below, found.missed_above, found.undefined)
    assert shares == pytest.approx((50.0, 25.0, 25.0, 20.0))
    nothing = count(Case("made", "nothing", lambda random, n: (math.nan,) * 3, 0.0), draws=5)
    assert nothing.undefined == 100
    assert math.isnan(nothing.covered)


def test_without_a_known_truth_it_is_the_mean_of_the_draws() -> None:
    values = iter([1.0, 3.0])
    found = count(Case("made", "by hand", lambda random, n: (value := next(values), value - 0.5, value + 0.5)), draws=2)
    assert (found.missed_below, found.missed_above) == (50.0, 50.0)  # 2 lies above 0.5 to 1.5 and below 2.5 to 3.5


def test_drawn_images_have_their_own_values_at_every_point() -> None:
    numbers, places = population(), np.array([3, 3, 11])
    found = drawn(numbers, places)
    assert found.images == ["image 0", "image 1", "image 2"]
    for point, original in zip(found.points, numbers.points, strict=True):
        for metric in ("bpp", "psnr", "lpips"):
            wanted = numbers.image_values(original, metric, places.tolist())
            assert found.image_values(point, metric, range(3)) == pytest.approx(wanted)
    assert "fd-effnet" not in found.metrics


@pytest.mark.parametrize("metric", ["psnr", "ms_ssim", "lpips"])
def test_intervals_of_means_hold_the_truth(metric: str) -> None:
    case = next(case for case in coverage._means() if case.of == f"{metric} of jpeg at quality 20")
    for n in (8, 24):
        assert count(case, n).covered >= lowest(94, 400)


def test_intervals_of_agreement_hold_the_truth_where_images_differ() -> None:
    [case] = [c for c in coverage._votes() if c.interval.startswith("agreement") and c.of == "images differ"]
    assert count(case, 8).covered >= lowest(95, 400)


def test_a_codec_against_itself_differs_by_nothing() -> None:
    """At other qualities and at chance sets of images; without the error of the interpolation it often does not."""
    whole, alone = (case for case in coverage._with_itself() if case.of == "jpeg at equal psnr")
    assert count(whole, 24, 25).covered >= lowest(95, 25)
    assert count(alone, 24, 25).covered <= 60


@pytest.mark.parametrize("codec", ["webp", "avif"])
def test_some_draws_of_a_codec_against_itself_hold_nothing(codec: str) -> None:
    case = next(c for c in coverage._with_itself() if c.of == f"{codec} at equal psnr")
    assert count(case, 24, 12).covered >= lowest(95, 12)


def test_codecs_that_are_equal_have_equal_bits_and_each_image_one_of_two_values() -> None:
    found = coverage.equals(np.random.default_rng(0), 8, 3)
    assert list(found.codecs) == ["codec 1", "codec 2", "codec 3"]
    points = [found.point(codec, 3) for codec in found.codecs]
    assert len({tuple(point.bytes) for point in points if point is not None}) == 1
    for values in zip(*(point.metrics["lpips"] for point in points if point is not None), strict=True):
        assert len(set(values)) <= 2


def test_two_equal_codecs_share_a_rank_of_the_leaderboard() -> None:
    case = next(c for c in coverage._ties() if c.of == "psnr of 2 equal codecs")
    assert count(case, 24, 20).covered >= lowest(95, 20)


def test_the_distance_at_infinity_is_that_of_a_large_set() -> None:
    """Half as large, its truth moves by less than 2 %, and the interval of one draw has both ends."""
    case = next(iter(coverage._at_infinity()))
    value, low, high = case.draw(np.random.default_rng(0), 24)
    assert low < value < high
    assert isinstance(case.truth, float)
    before = coverage.patches(np.random.default_rng(3), 2000, coverage.WIDE)
    random = np.random.default_rng(4)
    after = coverage.coded(random, before, coverage.strengths_of(random, 2000, skewed=False))
    assert distribution.frechet_distance(list(before), list(after)) == pytest.approx(case.truth, rel=0.02)


def test_a_table_grows_by_parts_and_another_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    runner = CliRunner()
    for part, repetitions in (("agreement", 20), ("mean over images, bpp of hfd", 20), ("agreement", 10)):
        options = ["coverage", "--only", part, "--images", "8", "--repetitions", str(repetitions), "-o", str(path)]
        assert runner.invoke(studies, options).exit_code == 0
    found = read_table(coverage.Coverage, path)
    assert [(one.of, one.draws) for one in found] == [
        ("images alike", 10),
        ("images differ", 10),
        ("bpp of hfd at quality 1", 20),
    ]
    assert found[0].stderr == pytest.approx(100 * math.sqrt(0.95 * 0.05 / 10), abs=0.05)
    path.write_text("kind,n\npsnr,8\n")
    with pytest.raises(UsageError, match="not a table of this study"):
        read_table(coverage.Coverage, path)


def test_the_same_seed_gives_the_same_counts_whatever_else_is_measured(tmp_path: Path) -> None:
    one = list(measure([8], 20, ["agreement"]))
    assert one == [found for found in measure([8], 20, ["bpp of hfd at quality 1", "agreement"]) if found in one]
    assert list(measure([8], 20, ["agreement"], seed=1)) != one
    text = list(lines(one))
    assert len(text) == 1 + len(one)
    write_table(one, tmp_path / "t.csv")
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert [row["of"] for row in rows] == ["images alike", "images differ"]


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 2"):
        measure([1])
    with pytest.raises(UsageError, match="at least 10"):
        measure([8], 9)


@pytest.mark.checkout
def test_the_committed_table_is_of_this_study() -> None:
    """Each row is a case with the draws that it takes; what is lacking, the page says."""
    draws = {(case.interval, case.of): max(round(case.share * coverage.REPETITIONS), 10) for case in coverage.cases()}
    found = read_table(coverage.Coverage, TABLE)
    assert len(found) >= 100
    for one in found:
        assert draws[one.interval, one.of] == one.draws, one
        assert one.n in coverage.SIZES


@pytest.mark.checkout
def test_in_the_committed_table_a_codec_against_itself_holds_nothing() -> None:
    found = read_table(coverage.Coverage, TABLE)
    assert sum(one.interval == "rate difference with itself" for one in found) == 3 * 15
    for one in found:
        pair = one.interval == coverage.TIES and "of 4" not in one.of  # of more, some pair is told apart more often
        if pair or one.interval == "rate difference with itself":
            assert one.covered >= 95 - 2 * one.stderr, one


@pytest.mark.slow
@pytest.mark.checkout
def test_the_committed_table_is_what_the_study_says() -> None:
    """Every case again with another seed and fewer draws: four binomial deviations of both counts together."""
    table = {(row["interval"], row["of"], int(row["n"])): row for row in csv.DictReader(TABLE.open())}
    found = list(measure((8, 24, 100), 100, seed=1))
    for one in found:
        if (one.interval, one.of, one.n) not in table:  # the page says so
            continue
        row = table[one.interval, one.of, one.n]
        share = (float(row["covered"]) * int(row["draws"]) + one.covered * one.draws) / (int(row["draws"]) + one.draws)
        spread = math.sqrt(max(share * (100 - share), 100) * (1 / int(row["draws"]) + 1 / one.draws))
        assert abs(one.covered - float(row["covered"])) <= 4 * spread, one
