"""bd, baseline, compare, images, explain, history, export and import in this process, on runs of the fake codecs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import fake_codecs
from support.pictures import write_pictures

from benchmark.cli.main import main

COMMANDS = ("bd", "baseline", "compare", "images", "explain", "export", "import", "history")


@pytest.fixture(autouse=True, scope="module")
def _runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    fake_codecs.register()
    place = tmp_path_factory.mktemp("gate")
    write_pictures(place / "pictures", [f"{name}.png" for name in "abcd"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for output, arguments in (
            ("base", ("--codec", "tiny", "--codec", "noisy")),
            ("seed", ("--codec", "tiny", "--codec", "noisy", "--decoder-seeds", "7")),
            ("other", ("--codec", "tiny", "--only")),
            ("one", ("--codec", "tiny", "--only", "--limit", "1", "--quality", "3")),
        ):
            words = ("run", "--workers", "1", "--dataset", "pictures", "--metric", "psnr", "--output", output)
            assert call(*words, *arguments) == 0
        yield


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1].removeprefix("error: ")


def test_a_run_against_its_own_baseline(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call("baseline", "base", "-o", str(tmp_path / "b.json")) == 0
    assert "4 points, 4 images" in capsys.readouterr().out
    for pair in (("base", str(tmp_path / "b.json")), (str(tmp_path / "b.json"), "base"), ("base", "base")):
        assert call("compare", *pair, "--strict") == 0
        assert "verdict: not worse" in capsys.readouterr().out


def test_compare_writes_what_it_is_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    files = {name: str(tmp_path / "new" / name) for name in ("c.md", "c.xml", "b.json", "gab")}
    code = call(
        "compare", "base", "seed", "--markdown", files["c.md"], "--junit", files["c.xml"],
        "--bencher", files["b.json"], "--github-action-benchmark", files["gab"], "--all",
    )  # fmt: skip
    assert code in (0, 1)
    assert "the decoder seeds differ" in capsys.readouterr().out
    assert Path(files["c.md"]).read_text().startswith("### Compression gate")
    assert Path(files["c.xml"]).read_text().startswith("<?xml")
    assert set(json.loads(Path(files["b.json"]).read_text())) >= {"tiny quality 2", "noisy quality 4"}
    assert {path.name for path in Path(files["gab"]).iterdir()} == {"smaller-is-better.json", "bigger-is-better.json"}


def test_two_outputs_are_two_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "x")
    for other in (tmp_path / "x", tmp_path / "link"):
        words = ("--markdown", str(tmp_path / "x"), "--junit", str(other))
        assert call("compare", "base", "base", *words) == 2
        assert "one file for two outputs" in error_of(capsys)
        assert not (tmp_path / "x").exists()
    assert call("compare", "base", "base", "--markdown", "/dev/null", "--junit", "/dev/null") == 0


def test_options_of_what_is_not_asked_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words, reason in (
        (("explain", "base", "--codec", "tiny"), "how --under measures, which is not there"),
        (("explain", "base", "--device", "cuda"), "how --under measures, which is not there"),
        (("report", "base", "-o", str(tmp_path / "page"), "--gate", "gate.toml"), "two runs are judged"),
    ):
        assert call(*words) == 2, words
        assert reason in error_of(capsys)
    assert not (tmp_path / "page").exists()


def test_a_loss_is_1_and_a_missing_codec_is_4(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call("baseline", "other", "-o", str(tmp_path / "b.json")) == 0
    text = (tmp_path / "b.json").read_text()
    document = json.loads(text)
    for point in document["points"]:
        point["bytes"] = [size + 5 for size in point["bytes"]]
    (tmp_path / "worse.json").write_text(json.dumps(document))
    assert call("compare", str(tmp_path / "b.json"), str(tmp_path / "worse.json")) == 1
    assert "worse" in capsys.readouterr().out
    assert call("compare", str(tmp_path / "worse.json"), str(tmp_path / "b.json")) == 0
    assert "better" in capsys.readouterr().out
    assert call("compare", "base", "other") == 4
    assert "codec noisy is missing" in error_of(capsys)
    assert call("compare", "other", "one") == 4
    assert "data sets differ" in error_of(capsys)


def test_bad_input_is_one_line_and_the_right_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    manifest = Path("other/run.json").read_text()
    (damaged / "run.json").write_text(manifest)
    for words, code, reason in (
        (("compare", "base", "nothing"), 3, "neither a run folder nor a baseline"),
        (("compare", str(tmp_path / "empty"), "base"), 3, "no run.json"),
        (("compare", str(damaged), "base"), 3, "the run is empty"),
        (("compare", "base", "base", "--gate", "nothing.toml"), 2, "no such file"),
        (("bd", "base", "--anchor", "jpeg"), 2, "no codec 'jpeg' was measured"),
        (("bd", "base", "--anchor", "tiny", "--metric", "x"), 2, "no metric 'x'"),
        (("bd", "other", "--anchor", "tiny"), 2, "no codec beside the anchor"),
        (("images", "base", "--point", "tiny=9"), 2, "no point 'tiny=9'"),
        (("baseline", "base", "-o", str(tmp_path / "b.json"), "--metric", "x"), 2, "no metric 'x'"),
        (("history", "show", "--file", "nothing.jsonl"), 3, "there is no history"),
        (("export", str(damaged), "--format", "csv"), 3, "empty"),
        (("import", "nothing.json", "-o", "x.csv"), 3, "cannot be read"),
        (("explain", "nothing"), 3, "no run.json"),
    ):
        assert call(*words) == code, words
        assert reason in error_of(capsys)
    status = damaged / "trials.jsonl"
    status.write_text("".join(Path("other/trials.jsonl").read_text().splitlines(keepends=True)[:3]) + '{"torn')
    assert call("compare", "other", str(damaged)) == 3
    assert "not complete, 3 of 8 trials" in error_of(capsys)
    (damaged / "trials.jsonl").write_text('{"codec": NaN}\n' * 2)
    assert call("compare", "other", str(damaged)) == 3
    assert "line 1: not a trial" in error_of(capsys)
    (damaged / "run.json").write_text(manifest.replace('"schema_version": 2', '"schema_version": 9'))
    assert call("bd", str(damaged)) == 3
    assert "of schema 9, made by a newer version of the suite" in error_of(capsys)


def test_bd_prints_numbers_and_reasons(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert call("bd", "base", "--anchor", "tiny", "--metric", "psnr", "--pictures", "--resamples", "100") == 0
    output = capsys.readouterr().out
    [line] = [line for line in output.splitlines() if line.split()[:2] == ["noisy", "psnr"]]
    assert "%" in line
    assert "2 and 2" in line
    assert "noisy against tiny at equal psnr: " in output
    # One image, one quality: no curve, and no number.
    assert call("compare", "one", "one") == 0


def test_images_explain_and_history(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call("images", "base", "--point", "tiny=2", "--against", "noisy=2") == 0
    output = capsys.readouterr().out
    assert "95 % interval" in output
    assert "sign-flip test p = " in output
    assert call("explain", "base") == 0
    output = capsys.readouterr().out
    assert "- uint8: of images rounded to whole numbers" in output
    assert "Codec noisy" in output
    file = str(tmp_path / "h.jsonl")
    for run, commit in (("base", "one"), ("seed", "two")):
        assert call("history", "add", run, "--file", file, "--commit", commit) == 0
    assert call("history", "show", "--file", file, "--codec", "noisy") == 0
    output = capsys.readouterr().out
    assert "one" in output
    assert (tmp_path / "history-psnr.png").read_bytes().startswith(b"\x89PNG")
    assert call("history", "show", "--file", file, "-o", "x.txt") == 2


def test_export_and_import(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call("export", "base", "--format", "compressai", "-o", str(tmp_path)) == 0
    summary = str(tmp_path / "s.csv")
    assert call("import", str(tmp_path / "tiny.json"), "-o", summary, "--like", "base") == 0
    assert call("plot", "base", summary, "--output", str(tmp_path / "plots")) == 0
    assert (tmp_path / "plots" / "psnr.png").exists()
    assert call("import", str(tmp_path / "tiny.json"), "-o", summary, "--protocol", "psnr=psnr/other") == 0
    capsys.readouterr()
    assert call("plot", "base", summary, "--output", str(tmp_path / "plots")) == 4
    assert "'other'" in error_of(capsys)
    assert call("import", str(tmp_path / "tiny.json"), "-o", summary, "--protocol", "psnr") == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(command, "--help") == 0
    assert "Usage: python -m benchmark " in capsys.readouterr().out
