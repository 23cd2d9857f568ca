"""Metrics of a user's own from the command line: one of each kind in every report, and what becomes of bad ones."""

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from support import own_metrics
from support.pictures import write_pictures

from benchmark.analysis.baseline import read_numbers
from benchmark.analysis.rate_differences import decibel, scale_of
from benchmark.analysis.summary import COLUMNS, ORIGINALS, metric_facts, read_summary, write_summary
from benchmark.cli.main import main
from benchmark.errors import BenchmarkError
from benchmark.images import load_image
from benchmark.metrics import open_metric
from benchmark.reports.tables import print_summary
from benchmark.results import RunFolder
from benchmark.running.run import Request, open_run

FILE = Path(own_metrics.__file__)
KINDS = ("Shift", "Similarity", "Rows", "Colours:factor=2", "Contrast")
NAMES = ("shift", "Similarity", "Rows", "Colours", "Contrast")
FAKE = Path(__file__).parents[1] / "support" / "fake_codecs.py"


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def run(output: str, metrics: Any, *more: str, workers: int = 1) -> int:
    words = ["run", "--dataset", "pictures", "--only", "--output", output, "--workers", str(workers)]
    words += ["--codec", f"{FAKE}:noisy", "--decoder-seeds", "0,1", "--quality", "2,4"]
    for metric in metrics:
        words += ["--metric", metric]
    return call(*words, *more)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one metric of each kind with two workers; the metrics' file is gone afterwards."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_pictures(folder / "pictures", [f"{name}.png" for name in "abc"])
        shutil.copy(FILE, "mine.py")
        asked = ["psnr", *(f"./mine.py:{kind}" for kind in KINDS)]
        assert run("run", asked, "--keep-reconstructions", workers=2) == 0
        (folder / "mine.py").unlink()
    return folder


@pytest.fixture
def here(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(work)
    monkeypatch.setattr("benchmark.reports.outcome.draw_curves", lambda *_: [])  # the run of `work` has drawn its own
    return work


def test_values_are_those_of_the_class(here: Path) -> None:
    folder = RunFolder.open(here / "run")
    shift, contrast = own_metrics.Shift(), own_metrics.Contrast()
    for trial in folder.trials():
        original = load_image(here / "pictures" / f"{trial.image}.png")
        decoded = load_image(folder.reconstruction_path(trial.key))
        assert trial.metrics["shift"] == shift.compare(original, decoded)
        assert trial.metrics["Contrast"] == contrast.score(decoded)
    assert list(folder.manifest.metrics) == ["psnr", *NAMES]
    assert list(folder.frame().columns[8:12]) == ["psnr", "shift", "Similarity", "Contrast"]


def test_the_summary_has_intervals_facts_and_the_originals(here: Path) -> None:
    summary = read_summary(here / "run")
    assert tuple(summary.columns) == COLUMNS
    assert set(summary["schema"]) == {2}
    heads = summary[summary["aggregation"].isin(["mean over images", "set"])]
    for name in NAMES:
        rows = heads[heads["metric"] == name]
        assert len(rows) == 2
        assert rows[["value", "ci_low", "ci_high", "stderr_seed"]].notna().all(axis=None)
        assert (rows["n_images"] == 3).all()
    shift = metric_facts(summary, "shift")
    assert (shift.title, shift.signed, shift.unit, shift.higher_is_better) == (
        "Brightness shift",
        True,
        "levels",
        False,
    )
    assert metric_facts(summary, "Similarity").scale == "decibel"
    assert [metric_facts(summary, name).kind for name in NAMES] == ["image", "image", "set", "set", "no-reference"]
    originals = summary[summary["aggregation"] == ORIGINALS]
    pictures = [load_image(here / "pictures" / f"{name}.png") for name in "abc"]
    assert set(originals["metric"]) == {"Contrast"}
    assert originals["value"].tolist() == pytest.approx(2 * [np.mean([p.astype(float).std() for p in pictures])])


def test_the_summary_can_be_made_again_without_the_file(here: Path) -> None:
    """Distances of the suite from the features; those of the class from what was kept."""
    folder = RunFolder.open(here / "run")
    before = read_summary(here / "run")
    pd.testing.assert_frame_equal(write_summary(folder), before)
    kept = (folder.path / "leave-one-out.json").read_bytes()
    (folder.path / "leave-one-out.json").unlink()
    with pytest.raises(BenchmarkError, match=r"there is no file .*mine\.py"):  # the class's own distance alone
        write_summary(folder)
    failures: list[str] = []
    without = write_summary(folder, failures=failures).set_index("metric")["value"]
    assert "there is no file" in failures[0]
    assert without["Colours"].isna().all()
    assert without["Rows"].tolist() == before.set_index("metric")["value"]["Rows"].tolist()
    (folder.path / "leave-one-out.json").write_bytes(kept)
    assert write_summary(folder).equals(before)


def test_every_report_works_from_the_run_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    point = f"{FAKE}:noisy"
    assert call("explain", "run") == 0
    said = capsys.readouterr().out
    assert "shift (Brightness shift)" in said
    assert "mean of the reconstruction minus that of the original" in said
    assert "It may be negative" in said
    unexplained = [line.strip() for line in said.splitlines() if "no words for it" in line]
    assert unexplained == [f"- {part}: this version has no words for it" for part in ("mean", "rgb")]  # of its protocol
    assert call("images", "run", "--point", f"{point}=2", "--against", f"{point}=4") == 0
    said = capsys.readouterr().out
    signed, unsigned = (said.partition(f"{name} of")[2].partition("\nimage")[0] for name in ("shift", "Contrast"))
    assert "that is" not in signed  # a share of what may be negative means nothing
    assert "that is" in unsigned
    assert call("compare", "run", "run", "--all") == 0
    said = capsys.readouterr().out
    assert "+0.25" in said  # the class's own margin
    assert "so not judged: Similarity, Rows, Colours, Contrast" in " ".join(said.split())
    assert call("plot", "run", "--metric", "Contrast") == 0
    words = (here / "run" / "plots" / "Similarity.svg").read_text()
    assert "Similarity (dB)" in words
    assert "Brightness shift (levels)" in (here / "run" / "plots" / "shift.svg").read_text()
    assert "originals" in (here / "run" / "plots" / "Contrast.svg").read_text()
    assert "originals" not in (here / "run" / "plots" / "shift.svg").read_text()
    console = Console(width=200, file=io.StringIO())
    with console.capture() as captured:
        print_summary(read_summary(here / "run"), console)
    assert "Brightness shift" in captured.get()


def test_rate_differences_are_at_equal_values_on_the_metric_s_scale(here: Path) -> None:
    numbers = read_numbers(here / "run")
    assert scale_of(numbers.facts("Similarity")) is decibel
    assert scale_of(numbers.facts("shift")) is None
    assert (numbers.facts("Similarity").shown_unit, numbers.facts("shift").shown_unit) == ("dB", "levels")


def test_baselines_carry_the_facts(here: Path) -> None:
    assert call("baseline", "run", "-o", "base.json") == 0
    numbers = read_numbers(Path("base.json"))
    assert numbers.metrics == read_numbers(here / "run").metrics
    assert numbers.facts("shift").margin == 0.25
    assert call("compare", "base.json", "run") == 0


def test_exports_know_sign_and_direction(here: Path) -> None:
    assert call("compare", "run", "run", "--github-action-benchmark", "gab", "--bencher", "bencher.json") == 0
    smaller = json.loads(Path("gab/smaller-is-better.json").read_text())
    bigger = json.loads(Path("gab/bigger-is-better.json").read_text())
    assert not any("shift" in entry["name"] for entry in smaller + bigger)  # ratios of signed values
    assert any("Contrast" in entry["name"] for entry in bigger)
    assert any("Colours" in entry["name"] for entry in smaller)
    assert "shift" in next(iter(json.loads(Path("bencher.json").read_text()).values()))
    assert call("export", "run", "--format", "csv", "-o", "long.csv") == 0
    with Path("long.csv").open(encoding="utf-8") as file:
        assert {row["metric"] for row in csv.DictReader(file)} >= {"psnr", *NAMES}
    for form in ("compressai", "codec-compare"):
        assert call("export", "run", "--format", form, "-o", form) == 0
        text = "".join(path.read_text() for path in Path(form).iterdir())
        assert '"shift"' in text
        assert '"Contrast"' in text
    assert call("export", "run", "--format", "benchmark-xl", "-o", "xl.csv") == 0
    assert {"psnr", "shift", "Similarity", "Contrast"} <= set(pd.read_csv("xl.csv").columns)


def test_the_page_gets_the_facts(here: Path) -> None:
    assert call("report", "run", "-o", "page", "--no-maps", "--images", "0") == 0
    data = json.loads(Path("page/data.js").read_text().partition("=")[2].strip().removesuffix(";"))
    metrics = {metric["name"]: metric for metric in data["metrics"]}
    assert [metrics[name]["signed"] for name in ("psnr", *NAMES)] == [False, True, False, False, False, False]
    assert (metrics["shift"]["title"], metrics["shift"]["unit"]) == ("Brightness shift", "levels")
    assert (metrics["Similarity"]["scale"], metrics["Similarity"]["shown_unit"]) == ("decibel", "dB")
    assert metrics["Contrast"]["originals"] > 0
    assert metrics["shift"]["originals"] is None
    assert len(data["points"][0]["images"]["Contrast"]) == 3


@pytest.mark.usefixtures("undrawn")
def test_measure_adds_them_to_a_finished_run(here: Path, tmp_path: Path) -> None:
    assert run(str(tmp_path / "bare"), ["psnr"], "--keep-reconstructions") == 0
    asked = [word for kind in KINDS for word in ("--metric", f"{FILE}:{kind}")]
    assert call("measure", str(tmp_path / "bare"), *asked) == 0
    one, other = (
        read_summary(path).set_index(["quality", "metric", "aggregation"]) for path in (here / "run", tmp_path / "bare")
    )
    assert other["value"].to_dict() == one["value"].to_dict()
    again = RunFolder.open(tmp_path / "bare").manifest.metrics
    assert set(again) == {"psnr", *NAMES}


@pytest.mark.usefixtures("undrawn")
def test_a_metric_that_breaks_down_in_measure_leaves_the_run_as_it_was(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(tmp_path / "bare"), ["psnr"], "--keep-reconstructions") == 0
    before = (tmp_path / "bare" / "trials.jsonl").read_bytes()
    assert call("measure", str(tmp_path / "bare"), "--metric", f"{FILE}:Raises") == 3
    assert "error: a: Raises: compare: KeyError" in capsys.readouterr().err
    assert (tmp_path / "bare" / "trials.jsonl").read_bytes() == before
    assert list(RunFolder.open(tmp_path / "bare").manifest.metrics) == ["psnr"]


@pytest.mark.usefixtures("undrawn")
def test_a_metric_that_breaks_down_is_recorded_and_ends_with_3(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["psnr", f"{FILE}:Raises", f"{FILE}:WrongFeatures:value=deep"]
    pictures = write_pictures(tmp_path / "corner", ["a.png", "b.png"], corner=0)
    words = ["--codec", f"{FAKE}:tiny", "--only", "--quality", "4", "--workers", "1"]
    for metric in asked:
        words += ["--metric", metric]
    assert call("run", *words, "--dataset", str(pictures), "-o", str(tmp_path / "run")) == 3
    said = capsys.readouterr().err
    assert "failed: a: Raises: compare: KeyError: 'no\\nidea'" in said
    trials = RunFolder.open(tmp_path / "run").trials()
    for trial in trials:
        assert trial.error is None
        assert trial.metrics["psnr"] is not None
        assert trial.metrics["Raises"] is None
        assert trial.reasons["Raises"].startswith("failed: compare: KeyError")
        assert trial.reasons["WrongFeatures"].startswith("failed: features returned ndarray of shape (2, 2, 2)")
    rows = read_summary(tmp_path / "run")
    assert rows.loc[rows["metric"] == "psnr", "value"].notna().all()
    assert rows.loc[rows["metric"] == "Raises", "value"].isna().all()
    # what broke down is done again
    assert call("run", *words, "--dataset", str(pictures), "-o", str(tmp_path / "run")) == 3
    assert "2 of them failed and are done again" in capsys.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_a_distance_that_breaks_down_takes_nothing_else_with_it(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(tmp_path / "run"), ["psnr", f"{FILE}:Breaks"]) == 3
    assert "failed: Breaks: distance: RuntimeError: no distance" in capsys.readouterr().err
    rows = read_summary(tmp_path / "run")
    assert rows.loc[rows["metric"] == "psnr", "value"].notna().all()
    assert rows.loc[rows["metric"] == "Breaks", "value"].isna().all()
    assert call("compare", str(tmp_path / "run"), str(tmp_path / "run")) == 0


@pytest.mark.usefixtures("undrawn")
def test_what_has_no_value_is_no_failure(here: Path, tmp_path: Path) -> None:
    asked = [f"{FILE}:Returns:value=nan", f"{FILE}:Undecided", "psnr"]
    assert run(str(tmp_path / "run"), asked) == 0
    assert run(str(tmp_path / "huge"), [f"{FILE}:Returns:value=huge"]) == 0
    assert {one.reasons["Returns"] for one in RunFolder.open(tmp_path / "huge").trials()} == {"the value is 1e+308"}
    for trial in RunFolder.open(tmp_path / "run").trials():
        assert trial.reasons["Returns"] == "the value is nan"
        assert trial.reasons["Undecided"] == "too dark"
    rows = read_summary(tmp_path / "run")
    assert rows.loc[rows["metric"] == "Undecided", "value"].isna().all()


def test_decibels_that_are_all_infinite_are_left_out_of_the_plots(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As MS-SSIM of lossless codecs: 1 everywhere is a value, and nothing that an axis in dB can show."""
    drawn: list[list[str]] = []
    monkeypatch.setattr("benchmark.reports.outcome.draw_curves", lambda _, metrics, __: drawn.append(metrics) or [])
    assert run(str(tmp_path / "run"), [f"{FILE}:Perfect", "psnr"]) == 0
    assert "note: Perfect: no plot; every value is infinite in dB" in capsys.readouterr().err
    assert drawn == [["psnr"]]
    rows = read_summary(tmp_path / "run")
    assert (rows.loc[rows["metric"] == "Perfect", "value"] == 1).all()
    assert call("plot", str(tmp_path / "run")) == 0
    assert sorted(path.stem for path in (tmp_path / "run" / "plots").glob("*.png")) == ["curves", "psnr"]
    assert call("plot", str(tmp_path / "run"), "--metric", "Perfect") == 3
    assert "in dB a value of 1 is infinite" in capsys.readouterr().err
    assert call("report", str(tmp_path / "run"), "-o", str(tmp_path / "page")) == 0


@pytest.mark.parametrize(
    ("metrics", "code", "line"),
    [
        (["./none.py:Mine"], 2, "there is no file"),
        ([f"{FILE}:Missing"], 2, "has no Missing"),
        ([f"{FILE}:Psnr"], 2, "is that of a metric of the suite"),
        ([f"{FILE}:Shift", f"{FILE}:Twin"], 2, "two metrics are named 'shift'"),
        (["./pictures/bad.py:Mine"], 3, "the file cannot be run: ZeroDivisionError"),
    ],
)
def test_what_is_no_metric_is_one_line(
    here: Path, metrics: list[str], code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("pictures/bad.py").write_text("1 / 0\n")
    assert run("never", metrics) == code
    errors = capsys.readouterr().err.splitlines()
    assert [error for error in errors if error.startswith("error: ")] == errors[-1:]
    assert line in errors[-1]
    assert not Path("never").exists()


def test_a_changed_file_is_another_metric(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    shutil.copy(FILE, file)
    for name in ("one", "two"):
        assert run(str(tmp_path / name), [f"{file}:Shift"]) == 0
        file.write_text(file.read_text() + "\n# changed\n")
    assert call("compare", str(tmp_path / "one"), str(tmp_path / "two")) == 4
    assert "shift: the protocols" in capsys.readouterr().err
    assert run(str(tmp_path / "two"), [f"{file}:Shift"]) == 2
    assert "protocol of shift" in capsys.readouterr().err


def test_a_share_as_the_gate_s_margin_of_a_signed_metric_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("gate.toml").write_text('[tool.benchmark.gate.margin]\nshift = "2 %"\n')
    assert call("compare", "run", "run", "--gate", "gate.toml") == 2
    assert "shift may be 0 or negative" in capsys.readouterr().err
    Path("gate.toml").write_text("[tool.benchmark.gate.margin]\nshift = 1.0\nContrast = 0.1\n")
    assert call("compare", "run", "run", "--gate", "gate.toml") == 0
    assert "not judged: Similarity, Rows, Colours" in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("undrawn")
def test_an_object_measures_in_this_process(here: Path, tmp_path: Path) -> None:
    metrics = [own_metrics.Shift(), own_metrics.Colours(2.0), own_metrics.Contrast(), "psnr"]
    asked = Request(
        codecs=[f"{FAKE}:noisy"], only=True, dataset="pictures", metrics=metrics, qualities=["2,4"],
        decoder_seeds="0,1", output=tmp_path / "run", workers=2,
    )  # fmt: skip
    with open_run(asked) as ready:
        assert any("an object of this process" in note for note in ready.notes)
        assert all(trial.broken is None for trial in ready.execute())
    frame = write_summary(ready.folder).set_index(["metric", "quality", "aggregation"])["value"]
    whole = read_summary(here / "run").set_index(["metric", "quality", "aggregation"])["value"]
    assert frame.to_dict() == {key: whole[key] for key in frame.index}


# Older runs


def test_summaries_and_manifests_of_before_are_read(here: Path, tmp_path: Path) -> None:
    assert run(str(tmp_path / "old"), ["psnr", "kd-effnet@whole"]) == 0
    now = read_summary(tmp_path / "old")
    path = tmp_path / "old" / "summary.csv"
    lines = list(csv.reader(path.read_text().splitlines()))
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(line[:15] for line in lines)
    (tmp_path / "old" / "leave-one-out.json").unlink()  # an older one has no hash of the summary
    old = read_summary(tmp_path / "old")
    assert set(old["schema"]) == {1}
    pd.testing.assert_frame_equal(old.drop(columns="schema"), now.drop(columns="schema"))
    assert metric_facts(old, "kd-effnet@whole").signed
    manifest = json.loads((tmp_path / "old" / "run.json").read_text())
    first = ("protocol", "unit", "higher_is_better", "kind", "feature_key")
    for name, record in manifest["metrics"].items():
        manifest["metrics"][name] = {field: record[field] for field in first}
    (tmp_path / "old" / "run.json").write_text(json.dumps(manifest))
    numbers = read_numbers(tmp_path / "old")
    assert (numbers.facts("kd-effnet@whole").title, numbers.facts("kd-effnet@whole").signed) == (
        "KD-EffNet (whole)",
        True,
    )
    assert numbers.facts("psnr").pooled == "mse"
    pd.testing.assert_frame_equal(write_summary(RunFolder.open(tmp_path / "old")), now)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.checkout
def test_the_page_s_metric_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "how-to" / "own-metric.md").read_text(encoding="utf-8")
    source = ""
    for mark, name in (("own metric", "MyMetric"), ("own metric of sets", "MySet")):
        found = re.search(rf"<!-- {mark} -->\n```python\n(.*?)```", text, re.DOTALL)
        assert found is not None
        assert len(found[1].splitlines()) < 25
        assert f"--metric ./my_metric.py:{name}" in text
        source += found[1]
    Path("my_metric.py").write_text(source)
    write_pictures(tmp_path / "pictures", ["a.png", "b.png", "c.png"])
    specs = ["./my_metric.py:MyMetric", "./my_metric.py:MySet"]
    assert run("run", specs) == 0
    rows = read_summary(Path("run"))
    for info in (open_metric(spec).info for spec in specs):
        values = rows.loc[rows["metric"] == info.name, "value"]
        assert len(values) == 2
        assert values.is_monotonic_increasing if info.higher_is_better else values.is_monotonic_decreasing
