"""python -m benchmark audit, as a user calls it: exit codes, the one line of an error, report and JSON."""

import json
from pathlib import Path

import pytest
from support import cheating_codecs
from support.pictures import write_pictures

from benchmark.cli.main import main

CODECS = cheating_codecs.__file__


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "pictures", ["a.png"], size=(48, 40))


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(("audit", *arguments))
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_a_codec_that_fails_is_1_with_report_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    codec = f"{CODECS}:IgnoresQuality"
    assert call(codec, "--dataset", "pictures", "--damages", "0", "--output", "out", "--quality", "3,5") == 1
    output = capsys.readouterr()
    assert output.out == Path("out/audit.txt").read_text()
    assert output.out.splitlines()[-1] == "1 of 12 checks failed: quality"
    assert "out/audit.json" in output.err
    record = json.loads(Path("out/audit.json").read_text())
    assert (record["codec"], record["failed"]) == (codec, ["quality"])
    assert record["about"]["qualities"] == [3, 5]
    assert record["about"]["description"]["file_sha256"]
    ordinary = [row for row in record["rates"] if row["picture"] == "a"]
    assert [row["quality"] for row in ordinary] == [3, 5]
    assert all(row["bpp"] == 8 * row["bytes"] / (48 * 40) for row in ordinary)
    assert {path.name for path in Path("out").iterdir()} == {"audit.txt", "audit.json"}


def test_a_codec_of_the_suite_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("jpeg", "--dataset", "pictures", "--damages", "4", "--quality", "20,60") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "no check failed"
    assert Path("results/audit-jpeg/audit.json").exists()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "reason"),
    [
        (("jepg",), 2, "did you mean jpeg?"),
        (("jpeg:",), 2, "nothing follows the colon"),
        ((f"{CODECS}:Nothing",), 2, "has no Nothing"),
        (("jpeg", "--quality", "500", "--damages", "0"), 2, "quality 500 is not an integer from 1 to 100"),
        (("jpeg", "--dataset", "./nowhere"), 2, "no such folder"),
        (("jpeg", "--limit", "-1"), 2, "--limit"),
        (("jpeg", "--output", "pictures"), 2, "neither empty nor an audit; it holds a.png"),
        (("jpeg", "--output", "pictures/a.png"), 2, "a file, not a folder"),
        ((f"{CODECS}:CannotOpen",), 3, "weights that are not there"),
        ((f"{CODECS}:DiesOpening",), 3, "the process ended: exit code 7"),
    ],
)
def test_trouble_is_one_line(
    arguments: tuple[str, ...], exit_code: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = () if "--dataset" in arguments else ("--dataset", "pictures")
    assert call(*arguments, *data) == exit_code
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert reason in last
    assert not Path("results").exists()
