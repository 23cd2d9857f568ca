from pathlib import Path

import pytest
from support.baselines import METRICS, synthetic

from benchmark.analysis.history import add_entry, read_entries, series_of
from benchmark.errors import BenchmarkError, UsageError


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
