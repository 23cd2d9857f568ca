"""`images`: what it shows of metrics that have no values."""

from pathlib import Path

import pytest
from support.baselines import synthetic
from support.web_pages import call

POINTS = ("--point", "noisy=2", "--against", "noisy=1")


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    """Four images, of which none has a value of LPIPS."""
    numbers = synthetic(1, n=4, qualities=2)
    for point in numbers.points:
        point.metrics["lpips"] = [None] * 4
    (tmp_path / "b.json").write_text(numbers.model_dump_json(), encoding="utf-8")
    return tmp_path / "b.json"


def test_a_metric_without_values_hides_no_other(baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("images", str(baseline), *POINTS) == 0
    shown = capsys.readouterr()
    assert "fd-effnet of noisy" in shown.out  # it comes behind lpips
    assert "note: lpips: no image has a value at both points" in shown.err


def test_one_that_is_asked_for_is_refused(baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("images", str(baseline), *POINTS, "--metric", "lpips") == 4
    assert "lpips: no image has a value at both points" in capsys.readouterr().err


def test_a_difference_of_decibels_is_no_share(baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("images", str(baseline), *POINTS, "--metric", "psnr") == 0
    assert "that is" not in capsys.readouterr().out
    assert call("images", str(baseline), *POINTS, "--metric", "bpp") == 0
    assert "that is +" in capsys.readouterr().out
