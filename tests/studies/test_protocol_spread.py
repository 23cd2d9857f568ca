"""explain --under: one codec of a run under several protocols, without a change to the run."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.cli.main import main
from benchmark.studies.protocol_spread import spread_lines


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spread")
    (folder / "images").mkdir()
    for number in range(3):
        smooth = np.add.outer(np.arange(200), np.arange(200))[..., None] % 256
        pixels = (smooth + np.random.default_rng(number).integers(0, 20, (200, 200, 3))) % 256
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{number}.png")
    asked = ["--dataset", str(folder / "images"), "--codec", "jpeg", "--quality", "10,60", "--metric", "psnr"]
    assert call("run", "--only", *asked, "--keep-reconstructions", "--workers", "1", "-o", str(folder / "run")) == 0
    return folder / "run"


def test_a_number_under_other_protocols(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert call("explain", str(run), "--under", "fd-effnet@patch64-nc", "--under", "fd-effnet") == 0
    told = capsys.readouterr().out
    assert "Under other protocols" in told
    assert "fd-effnet@patch64-nc" in told
    assert "by the protocol alone the number moves by up to" in told
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--under", "fid-claen"), 2, "did you mean fid-clean"),
        (("--under", "fd-effnet", "--codec", "avif"), 2, "no codec 'avif' is in"),
    ],
)
def test_mistakes(
    arguments: tuple[str, ...], code: int, message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("explain", str(run), *arguments) == code
    told = capsys.readouterr()
    assert message in told.err
    assert told.out == ""


def test_metrics_of_images_too(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They change the copy's trials, which the run's own summary does not know."""
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert call("explain", str(run), "--under", "psnr", "--under", "psnr-y") == 0
    table = capsys.readouterr().out.partition("Under other protocols")[2].splitlines()
    values = [[float(cell) for cell in line.split()[1:]] for line in table[2:4]]
    assert all(psnr > 0 and psnr_y > 0 for psnr, psnr_y in values)
    assert "by the protocol alone the number moves by up to" in table[-1]
    assert call("explain", str(run), "--under", "psnr-y", "--under", "fd-effnet") == 0
    assert "by the protocol alone" not in capsys.readouterr().out  # two things, not two ways to measure one
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_run_that_was_changed_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run, tmp_path / "run")
    trials = tmp_path / "run" / "trials.jsonl"
    trials.write_text(trials.read_text().replace('"psnr":', '"psnr": ', 1))
    assert call("explain", str(tmp_path / "run"), "--under", "psnr-y") == 3
    assert "has changed since the run was summed up" in capsys.readouterr().err


def test_the_share_is_of_the_smallest() -> None:
    table = pd.DataFrame({"fid": [10.0, 4.0], "fid-clean": [12.0, 5.0]}, index=["1", "2"])
    assert spread_lines(table)[-1].endswith("moves by up to 25 %.")
    assert len(spread_lines(pd.DataFrame({"a": [1.0]}, index=["1"]))) == 2
