import io
import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from support.baselines import METRICS, synthetic

from benchmark.analysis.history import add_entry, read_entries, series_of
from benchmark.errors import BenchmarkError, UsageError
from benchmark.reports.history import draw_history, print_history


def test_changes_are_found_where_they_were_made(tmp_path: Path) -> None:
    file = tmp_path / "h" / "history.jsonl"
    for number, loss in enumerate([0.0, 0.0, 0.4, 0.4]):
        add_entry(file, synthetic(number, psnr_loss=loss), f"commit{number}")
    entries = read_entries(file)
    assert [entry.commit for entry in entries] == ["commit0", "commit1", "commit2", "commit3"]
    series = series_of(entries, "psnr")
    assert [one.quality for one in series] == [1, 2, 3]
    for one in series:
        assert [point.changed for point in one.points] == [False, False, True, False]
        assert one.points[2].change == pytest.approx(-0.4, abs=0.1)
        assert len({point.stretch for point in one.points}) == 1
        assert one.points[0].estimate.ci_low < one.points[0].estimate.value < one.points[0].estimate.ci_high


def test_another_protocol_starts_a_new_stretch(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    other = METRICS | {"psnr": METRICS["psnr"].model_copy(update={"protocol": "psnr/luma"})}
    add_entry(file, synthetic(), "one")
    add_entry(file, synthetic(psnr_loss=1, metrics=other), "two")
    for one in series_of(read_entries(file), "psnr"):
        assert [point.stretch for point in one.points] == [0, 1]
        assert not any(point.changed for point in one.points)
    for one in series_of(read_entries(file), "lpips"):
        assert [point.stretch for point in one.points] == [0, 0]


def test_what_cannot_be_added_or_read_is_said(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    with pytest.raises(BenchmarkError, match="there is no history"):
        read_entries(file)
    add_entry(file, synthetic(), None)
    assert read_entries(file)[0].commit == "c" * 40
    with pytest.raises(UsageError, match="already"):
        add_entry(file, synthetic(), None)
    with pytest.raises(UsageError, match="no metric 'x'"):
        series_of(read_entries(file), "x")
    with pytest.raises(UsageError, match="no codec jpeg"):
        series_of(read_entries(file), "psnr", ["jpeg"])
    file.write_text(file.read_text() + '{"torn": ')
    with pytest.raises(BenchmarkError, match="line 2"):
        read_entries(file)
    file.write_text("")
    with pytest.raises(BenchmarkError, match="empty"):
        read_entries(file)


def test_one_unknown_codec_of_several_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    add_entry(file, synthetic(), "one")
    with pytest.raises(UsageError, match="no codec jpge was measured; there are noisy"):
        series_of(read_entries(file), "psnr", ["noisy", "jpge"])


def test_images_of_other_names_or_another_order_start_a_new_stretch(tmp_path: Path) -> None:
    """Values are paired by their places."""
    file = tmp_path / "history.jsonl"
    plain = synthetic()
    add_entry(file, plain, "one")
    add_entry(file, plain.model_copy(update={"images": plain.images[::-1]}), "two")
    for one in series_of(read_entries(file), "psnr"):
        assert [point.stretch for point in one.points] == [0, 1]


def test_small_steps_the_same_way_are_shown_as_drift(tmp_path: Path) -> None:
    """Each step is lost in the decoder's chance; their sum, more than the margin, is not."""
    file = tmp_path / "history.jsonl"
    for number in range(9):
        add_entry(file, synthetic(number, psnr_loss=0.025 * number, noise=2), f"commit{number}")
    for one in series_of(read_entries(file), "psnr"):
        assert not any(point.changed for point in one.points)
        assert math.isnan(one.points[0].since)
        assert one.points[-1].since == pytest.approx(-0.2, abs=0.1)
        assert one.points[-1].drifted
        assert not one.points[1].drifted
    for one in series_of(read_entries(file), "lpips"):
        assert not any(point.drifted for point in one.points)
    console = Console(file=io.StringIO(), width=200)
    print_history(read_entries(file), series_of(read_entries(file), "psnr"), "psnr", console)
    assert console.file.getvalue().count("drifted") >= 3  # type: ignore[attr-defined]


def test_after_a_step_that_is_shown_nothing_drifts_and_a_new_stretch_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    other = METRICS | {"psnr": METRICS["psnr"].model_copy(update={"protocol": "psnr/luma"})}
    for number, loss in enumerate([0.0, 0.4, 0.4]):
        add_entry(file, synthetic(number, psnr_loss=loss), f"commit{number}")
    add_entry(file, synthetic(3, psnr_loss=2, metrics=other), "luma")
    for one in series_of(read_entries(file), "psnr"):
        assert [point.changed for point in one.points] == [False, True, False, False]
        assert not any(point.drifted for point in one.points)
        assert one.points[2].since == pytest.approx(-0.4, abs=0.1)
        assert math.isnan(one.points[3].since)


def test_a_value_that_was_infinite_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    plain = synthetic(None, stochastic=False)
    first, *others = plain.points
    psnr = [None, *first.metrics["psnr"][1:]]
    lossless = first.model_copy(update={"metrics": first.metrics | {"psnr": psnr}, "infinite": {"psnr": [0]}})
    add_entry(file, plain.model_copy(update={"points": [lossless, *others]}), "one")
    add_entry(file, plain, "two")
    one, *rest = series_of(read_entries(file), "psnr")
    assert [point.n for point in one.points] == [11, 12]
    assert one.points[1].changed
    assert one.points[1].note == "finite now: picture00"
    assert not any(point.changed or point.note for other in rest for point in other.points)


def test_a_value_that_was_infinite_of_all_images_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    plain = synthetic(None, stochastic=False)
    first, *others = plain.points
    nothing = {"metrics": first.metrics | {"psnr": [None] * 12}}
    lossless = first.model_copy(update=nothing | {"infinite": {"psnr": list(range(12))}})
    failed = first.model_copy(update=nothing | {"failed": dict.fromkeys(plain.images, "no")})
    for name, point in (("one", lossless), ("two", first), ("three", failed), ("four", lossless)):
        add_entry(file, plain.model_copy(update={"points": [point, *others]}), name)
    entries = read_entries(file)
    series = series_of(entries, "psnr")
    one, *rest = series
    assert [point.estimate.value for point in one.points] == pytest.approx(
        [math.inf, np.mean(first.metrics["psnr"]), math.nan, math.inf], nan_ok=True
    )
    assert [point.changed for point in one.points] == [False, True, False, True]
    assert "finite now: picture00, picture01, picture02 and 9 more" in one.points[1].note
    assert one.points[2].note == "no value"
    assert "infinite now: " in one.points[3].note
    assert not any(point.changed for other in rest for point in other.points)
    console = Console(file=io.StringIO(), width=200)
    print_history(entries, series, "psnr", console)
    assert "nan" not in console.file.getvalue()  # type: ignore[attr-defined]
    assert draw_history(entries, series, "psnr", tmp_path / "drawn.svg").exists()
