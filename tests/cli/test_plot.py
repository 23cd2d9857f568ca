"""plot --published, whose value may be left out."""

from pathlib import Path

import pytest

from benchmark.cli.main import main
from benchmark.cli.plot import _with_values

SUMMARY = Path(__file__).parents[2] / "reports" / "figures" / "kodak-summary.csv"


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["here", "--published"], ["here", "--published="]),
        (["--published", "here"], ["--published=", "here"]),
        (["here", "--published", "--metric", "psnr"], ["here", "--published=", "--metric", "psnr"]),
        (["here", "--published", "jpeg,bpg"], ["here", "--published", "jpeg,bpg"]),
        (["here", "--published=all"], ["here", "--published=all"]),
        (["here"], ["here"]),
        ([], []),
    ],
)
def test_published_may_stand_alone(
    arguments: list[str], meant: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    assert _with_values(arguments) == meant


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["plot", str(SUMMARY), *arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_published_curves_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = ("--output", str(tmp_path / "plots"))
    assert call("--metric", "psnr", *output, "--published") == 0
    assert ">mbt2018-mean<" in (tmp_path / "plots" / "psnr.svg").read_text()
    assert call("--metric", "fd-effnet", *output, "--published") == 4
    assert "none of FD-EffNet on kodak" in capsys.readouterr().err
    assert call("--metric", "psnr", *output, "--published", "mbt2018-maen") == 2
    assert "did you mean mbt2018-mean" in capsys.readouterr().err
