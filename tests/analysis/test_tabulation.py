import math

import pytest
from support.baselines import synthetic
from support.summaries import summary_frame

from benchmark.analysis.baseline import Baseline
from benchmark.analysis.inputs import summary_of
from benchmark.analysis.tabulation import tabulate
from benchmark.errors import NotComparable, UsageError

BETWEEN = math.sqrt(0.1 * 0.3)  # halfway in log rate between hfd's first points


def test_between_two_points_a_value_is_interpolated_in_log_rate() -> None:
    table = tabulate([summary_frame()], ["lpips"], rates=[BETWEEN])
    [hfd, jpeg] = table.lines
    cell = hfd.cells["lpips"]
    assert cell is not None
    assert (cell.value, cell.low, cell.high) == pytest.approx((0.35, 0.315, 0.385))  # of 0.4 and 0.3, ± 10 %
    assert (hfd.codec, hfd.place) == ("hfd", BETWEEN)
    other = jpeg.cells["lpips"]
    assert other is not None
    assert other.value == pytest.approx(0.42 - 0.1 * math.log(BETWEEN / 0.11) / math.log(3))


def test_a_measured_rate_has_its_own_value() -> None:
    table = tabulate([summary_frame(("hfd",))], ["lpips"], rates=[0.1, 0.3, 0.9])
    assert [line.cells["lpips"].value for line in table.lines if line.cells["lpips"]] == pytest.approx([0.4, 0.3, 0.2])


def test_outside_of_a_curve_there_is_no_cell() -> None:
    table = tabulate([summary_frame()], ["lpips"], rates=[0.105, 0.05, 2.0])
    assert [line.cells["lpips"] is None for line in table.lines] == [False, True, True, True, True, True]


def test_ranks_follow_the_better_direction_and_equal_values_share_one() -> None:
    frame = summary_frame(("a", "b", "c", "d"), ("lpips", "ms_ssim"))
    frame.loc[frame["metric"] == "bpp", "value"] = frame["quality"]
    second = frame[(frame["codec"] == "b") & (frame["metric"] != "bpp")]["value"].to_numpy()
    frame.loc[(frame["codec"] == "a") & (frame["metric"] != "bpp"), "value"] = second
    table = tabulate([frame], ["lpips", "ms_ssim"], rates=[2.0])
    ranks = {
        metric: [cell.rank for line in table.lines if (cell := line.cells[metric])] for metric in ("lpips", "ms_ssim")
    }
    assert ranks == {"lpips": [1, 1, 2, 0], "ms_ssim": [0, 0, 2, 1]}


def test_without_rates_the_measured_qualities_stand_unranked() -> None:
    table = tabulate([summary_frame()], ["lpips"], codecs=["jpeg", "hfd"])
    assert [(line.codec, line.place) for line in table.lines] == [
        (codec, quality) for codec in ("jpeg", "hfd") for quality in (1.0, 2.0, 3.0)
    ]
    assert [line.bpp for line in table.lines[:3]] == pytest.approx([0.11, 0.33, 0.99])
    assert {cell.rank for line in table.lines if (cell := line.cells["lpips"])} == {0}
    assert not table.at_rates


def test_ties_are_what_no_paired_interval_tells_from_the_best() -> None:
    # The first two differ by chance alone, the third is worse everywhere by as much as its own interval is wide.
    numbers = [synthetic(0, codec="a"), synthetic(1, codec="b"), synthetic(2, codec="c", psnr_loss=0.5)]
    table = tabulate([summary_of(one) for one in numbers], ["psnr"], rates=[0.4], numbers=numbers)
    cells = {line.codec: line.cells["psnr"] for line in table.lines}
    assert {codec: cell.tied for codec, cell in cells.items() if cell} == {"a": True, "b": True, "c": False}
    best, worst = cells["a"], cells["c"]
    assert best is not None
    assert worst is not None
    assert worst.high > best.low  # the intervals of absolute values do not tell them apart


def without_psnr(numbers: Baseline, lacking: range) -> Baseline:
    """`numbers` with no PSNR of some images."""
    points = []
    for point in numbers.points:
        psnr = [None if index in lacking else value for index, value in enumerate(point.metrics["psnr"])]
        points.append(point.model_copy(update={"metrics": point.metrics | {"psnr": psnr}}))
    return numbers.model_copy(update={"points": points})


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ([synthetic(0, codec="a", n=1), synthetic(1, codec="b", n=1, psnr_loss=5)], "one image"),
        (
            [
                without_psnr(synthetic(0, codec="a"), range(6)),
                without_psnr(synthetic(0, codec="b", psnr_loss=5), range(6, 12)),
            ],
            "no image has a value of both",
        ),
    ],
)
def test_what_no_test_compares_is_not_told_from_the_best(numbers: list[Baseline], why: str) -> None:
    table = tabulate([summary_of(one) for one in numbers], ["psnr"], rates=[0.4], numbers=numbers)
    assert [cell.tied for line in table.lines if (cell := line.cells["psnr"])] == [True, True]
    assert [cell.rank for line in table.lines if (cell := line.cells["psnr"])] == [1, 2]
    [note] = [note for note in table.notes if "cannot be told apart" in note]
    assert note.startswith("ties in psnr: b and a")
    assert why in note


def test_images_are_counted_of_the_codecs_that_are_shown() -> None:
    frame = summary_frame()
    frame.loc[frame["codec"] == "jpeg", "n_images"] = 3
    assert tabulate([frame], ["lpips"]).images == (3, 8)
    assert tabulate([frame], ["lpips"], codecs=["hfd"]).images == (8, 8)


def test_what_cannot_be_tabulated_is_refused() -> None:
    with pytest.raises(UsageError, match="'fid' was measured"):
        tabulate([summary_frame()], ["fid"])
    with pytest.raises(UsageError, match="'webp' was measured; there are hfd, jpeg"):
        tabulate([summary_frame()], ["lpips"], codecs=["webp"])
    with pytest.raises(UsageError, match="column of every table"):
        tabulate([summary_frame()], ["bpp"])
    with pytest.raises(UsageError, match="at least one metric"):
        tabulate([summary_frame()], [])
    with pytest.raises(UsageError, match="at least one run"):
        tabulate([], ["lpips"])
    with pytest.raises(UsageError, match="of each summary"):
        tabulate([summary_frame(), summary_frame(("mse",))], ["lpips"], numbers=[synthetic()])
    other = summary_frame(("mse",), protocol="another")
    with pytest.raises(NotComparable):
        tabulate([summary_frame(), other], ["lpips"])
