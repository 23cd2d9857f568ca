from pathlib import Path

import pytest

from benchmark.errors import BenchmarkError
from benchmark.reports.training import draw_training, draw_trainings

RATE_DISTORTION = (
    "step,seconds,score,bpp_1,psnr_1,bpp_2,psnr_2\n100,5,1.2,0.2,25,0.5,30\n200,9,1.1,0.18,25.5,0.45,30.5\n"
)
PERCEPTION = "step,seconds,score,lpips_0,psnr_0,lpips_4,psnr_4\n100,5,0.3,0.4,28,0.3,27\n"


@pytest.mark.parametrize("checks", [RATE_DISTORTION, PERCEPTION, None])
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_draws_each_kind_of_training(tmp_path: Path, checks: str | None, suffix: str) -> None:
    (tmp_path / "log.csv").write_text("step,loss\n50,4.5\n100,2.5\n150,9000\n200,1.5\n")
    if checks:
        (tmp_path / "checks.csv").write_text(checks)
    drawn = draw_training(tmp_path, tmp_path / f"curves.{suffix}")
    content = drawn.read_bytes()
    assert content.startswith(b"\x89PNG") if suffix == "png" else b"<svg" in content


def test_a_folder_without_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no log"):
        draw_training(tmp_path, tmp_path / "curves.png")


def test_several_trainings_side_by_side(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("adam", "muon")]
    for folder in folders:
        folder.mkdir()
        (folder / "checks.csv").write_text(RATE_DISTORTION)
    drawn = draw_trainings(folders, tmp_path / "both.svg").read_text()
    assert "adam" in drawn
    assert "muon" in drawn
    (folders[1] / "checks.csv").unlink()
    with pytest.raises(BenchmarkError, match=r"muon has no checks\.csv"):
        draw_trainings(folders, tmp_path / "both.svg")


@pytest.mark.parametrize("step", ["1e308", "-5", "2.5", ""])
def test_a_step_that_is_no_count_is_refused_with_its_line(tmp_path: Path, step: str) -> None:
    (tmp_path / "log.csv").write_text(f"step,loss\n5,1.5\n{step},1.2\n")
    with pytest.raises(BenchmarkError, match=r"log\.csv.*line 3.*step.*whole number"):
        draw_training(tmp_path, tmp_path / "curves.svg")
