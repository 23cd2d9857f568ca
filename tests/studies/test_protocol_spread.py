"""explain --under: one codec of a run under several protocols, without a change to the run."""

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
    assert message in capsys.readouterr().err


def test_the_share_is_of_the_smallest() -> None:
    table = pd.DataFrame({"a": [10.0, 4.0], "b": [12.0, 5.0]}, index=["1", "2"])
    assert spread_lines(table)[-1].endswith("moves by up to 25 %.")
    assert len(spread_lines(pd.DataFrame({"a": [1.0]}, index=["1"]))) == 2
