"""Ranks with ties, rates within curves only, the front, and entries that do not fit."""

import pytest
from support.baselines import synthetic

from benchmark.analysis.baseline import Baseline
from benchmark.analysis.differences import value_at_rate
from benchmark.analysis.leaderboard import RATES, Entry, boards
from benchmark.errors import NotComparable, UsageError


def entries(*losses: float) -> list[Entry]:
    return [
        Entry(f"entry-{number}", synthetic(number, codec=f"codec-{number}", psnr_loss=loss))
        for number, loss in enumerate(losses)
    ]


def test_a_codec_that_is_worse_by_much_is_ranked_below_and_equals_share_a_rank() -> None:
    (board,) = boards(entries(0.0, 0.0, 2.0), rates=[0.4], metrics=["psnr"])
    ranks = {row.codec: row.ranks["psnr"] for row in board.tables[0.4]}
    assert ranks == {"codec-0": 1, "codec-1": 1, "codec-2": 3}
    assert [row.place for row in board.tables[0.4]] == [1, 1, 3]  # those that tie stand level
    assert board.tables[0.4][-1].codec == "codec-2"


def test_rates_are_within_curves_only() -> None:
    (board,) = boards(entries(0.0, 0.5), rates=[0.4, 90.0])
    assert len(board.tables[0.4]) == 2
    assert board.tables[90.0] == ()
    assert board.absent[90.0] == ("codec-0", "codec-1")


def test_rates_that_suit_the_board_are_reached_by_at_least_two() -> None:
    few, many = synthetic(0, codec="few"), synthetic(1, codec="many", rate=2.0)
    (board,) = boards([Entry("one", few), Entry("two", many)])
    assert len(board.tables) == RATES
    assert all(len(rows) >= 2 for rows in board.tables.values())


def test_the_front_holds_what_nobody_beats_in_both() -> None:
    (board,) = boards(entries(0.0, 3.0), rates=[0.4])
    assert board.sides is not None
    assert board.sides[0] == "psnr"
    on = {row.codec for row in board.tables[0.4] if row.front}
    values = {row.codec: [row.cells[name] for name in board.sides] for row in board.tables[0.4]}
    best_psnr = max(values, key=lambda codec: values[codec][0].value)  # type: ignore[union-attr]
    best_realism = min(values, key=lambda codec: values[codec][1].value)  # type: ignore[union-attr]
    assert {best_psnr, best_realism} <= on
    assert board.tables[0.4][0].front


def test_one_codec_of_two_entries_is_told_apart() -> None:
    (board,) = boards([Entry("mine", synthetic(0)), Entry("theirs", synthetic(1))], rates=[0.4])
    assert {row.codec for row in board.tables[0.4]} == {"noisy (mine)", "noisy (theirs)"}


def test_entries_of_one_name_are_told_apart() -> None:
    """As those in commit-1/run and commit-2/run; or one run that is named twice."""
    numbers = synthetic(0)
    (board,) = boards([Entry("run", numbers), Entry("run", numbers), Entry("run 2", numbers)], rates=[0.4])
    assert {row.entry for row in board.tables[0.4]} == {"run", "run 2", "run 2 2"}
    assert {row.codec for row in board.tables[0.4]} == {"noisy (run)", "noisy (run 2)", "noisy (run 2 2)"}
    assert {rank for row in board.tables[0.4] for rank in row.ranks.values()} == {1}
    assert [row.place for row in board.tables[0.4]] == [1, 1, 1]


def test_each_data_set_has_a_board() -> None:
    other = synthetic(0)
    other = other.model_copy(update={"dataset": other.dataset.model_copy(update={"name": "elsewhere"})})
    assert len(boards([Entry("a", synthetic(0)), Entry("b", other)])) == 2


def test_what_does_not_fit_is_refused_with_its_name_and_the_part() -> None:
    base = Entry("base", synthetic(0, codec="one"))
    other_images = synthetic(0, codec="two", pictures=1)
    other_images = other_images.model_copy(
        update={"dataset": other_images.dataset.model_copy(update={"fingerprint": "f" * 64})}
    )
    with pytest.raises(NotComparable, match=r"newer: other images of .* than base"):
        boards([base, Entry("newer", other_images)])
    numbers = synthetic(0, codec="three")
    changed = numbers.metrics | {"lpips": numbers.metrics["lpips"].model_copy(update={"protocol": "lpips/v9/none"})}
    with pytest.raises(NotComparable, match=r"strange: lpips is lpips/v9/none, lpips/.* in base"):
        boards([base, Entry("strange", numbers.model_copy(update={"metrics": changed}))])
    lame = synthetic(0, codec="four")
    lame.points[1].bytes[3] = None
    with pytest.raises(NotComparable, match=r"lame: four at quality .*: 1 of 12 images failed"):
        boards([base, Entry("lame", lame)])


def test_nothing_to_rank() -> None:
    with pytest.raises(UsageError, match="name at least one run"):
        boards([])
    with pytest.raises(UsageError, match="no metric 'fid' was measured"):
        boards(entries(0.0), metrics=["fid"])


def test_other_names_and_another_order_are_said() -> None:
    base, numbers = Entry("base", synthetic(0, codec="one")), synthetic(0, codec="two")
    turned = numbers.model_copy(update={"images": numbers.images[::-1]})
    with pytest.raises(
        NotComparable, match=r"turned: the images of .* have other names, or another order, than in base"
    ):
        boards([base, Entry("turned", turned)])


def test_intervals_between_points_are_those_of_the_curve() -> None:
    """Those of the neighbouring points are too short: of one image, bits and values move together."""
    own = entries(0.0, 0.5)
    (board,) = boards(own, rates=[0.4], metrics=["psnr"])
    for row in board.tables[0.4]:
        numbers = next(entry.numbers for entry in own if entry.name == row.entry)
        wanted = value_at_rate(numbers, row.codec, "psnr", 0.4)
        cell = row.cells["psnr"]
        assert cell is not None
        assert wanted is not None
        assert cell.high - cell.low == pytest.approx(wanted.ci_high - wanted.ci_low)


def test_rates_of_a_narrow_range_lie_in_it_and_a_codec_without_bits_has_none() -> None:
    plain = synthetic(0, codec="a")
    points = [
        point.model_copy(update={"bytes": [49152 + 40 * place + 2 * index for index in range(12)]})
        for place, point in enumerate(plain.points)
    ]
    narrow = plain.model_copy(update={"points": points})
    (board,) = boards([Entry("one", narrow), Entry("two", with_codec(narrow, "b"))], metrics=["psnr"])
    assert len(board.tables) >= 1
    assert all(len(rows) == 2 for rows in board.tables.values())
    empty = [point.model_copy(update={"bytes": [0] * 12}) for point in plain.points]
    nothing = with_codec(plain.model_copy(update={"points": empty}), "nothing")
    (board,) = boards([Entry("one", plain), Entry("two", nothing)], metrics=["psnr"])
    assert all(absent == ("nothing",) for absent in board.absent.values())


def with_codec(numbers: Baseline, codec: str) -> Baseline:
    """`numbers`, whose one codec is called `codec`."""
    [record] = numbers.codecs.values()
    points = [point.model_copy(update={"codec": codec}) for point in numbers.points]
    return numbers.model_copy(update={"codecs": {codec: record}, "points": points})
