"""table: from a summary or numbers of images to a table for a paper."""

import csv
import io
from pathlib import Path

import pytest
from support.baselines import synthetic

from benchmark.analysis.baseline import baseline_json
from benchmark.analysis.differences import joined_numbers
from benchmark.cli.main import main

SUMMARY = Path(__file__).parents[2] / "reports" / "figures" / "kodak-summary.csv"
pytestmark = pytest.mark.checkout


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["table", *arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_chosen_codecs_at_chosen_rates(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--metric", "lpips", "--codec", "mse", "--codec", "hfd:decoder=flow", "--label", "hfd:decoder=flow=Ours"]
    assert call(str(SUMMARY), *options, "--at-bpp", "0.2,0.5", "--format", "latex", "--plus-minus") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("%")]
    assert [line.split(" & ")[:2] for line in lines[4:6]] == [["0.2", "mse"], ["", "Ours"]]
    assert [line.split(" & ")[:2] for line in lines[7:9]] == [["0.5", "mse"], ["", "Ours"]]
    assert r"\textbf{0.2589} {\scriptsize $\pm$ 0.024}" in lines[5]


def test_a_name_may_be_that_of_a_codec_that_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(str(SUMMARY), "--metric", "lpips", "--codec", "mse", "--label", "mse=jpeg") == 0
    assert "| jpeg |" in capsys.readouterr().out
    assert call(str(SUMMARY), "--metric", "lpips", "--label", "mse=jpeg", "--label", "jpeg=mse") == 0


def test_a_file_is_written_where_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new" / "table.csv"
    assert call(str(SUMMARY), "--format", "csv", "-o", str(file)) == 0
    assert capsys.readouterr().out == ""
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert list(rows[0]) == ["codec", "quality", "bpp", "psnr", "lpips", "fd-effnet", "kd-effnet"]
    assert len(rows) == 50


def test_ties_from_a_baseline_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = joined_numbers([synthetic(0), synthetic(1)], [{"noisy": "one"}, {"noisy": "other"}])
    (tmp_path / "base.json").write_text(baseline_json(numbers))
    arguments = [str(tmp_path / "base.json"), "--metric", "psnr", "--at-bpp", "0.4"]
    assert call(*arguments) == 0
    assert capsys.readouterr().out.count("**") == 2
    assert call(*arguments, "--bold-ties") == 0
    assert capsys.readouterr().out.count("**") == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "docx"), "format 'docx': there are latex, markdown, csv, html"),
        (("--at-bpp", "much"), "numbers above 0"),
        (("--codec", "avif"), "no codec 'avif' was measured"),
        (("--metric", "fid"), "no metric 'fid' was measured"),
        (("--label", "avif=x"), "CODEC=TEXT is needed"),
        (("--label", "mse=Ours", "--label", "jpeg=Ours"), "label 'Ours': both "),
        (("--label", "mse=jpeg"), "label 'jpeg': both "),
        (("--label", "mse=One", "--label", "mse=Two"), "mse is called 'One' already"),
        (("--at-bpp", "0.2", "--bold-ties"), "name the run folder or a baseline file"),
    ],
)
def test_wrong_values_are_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert call(str(SUMMARY), *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
