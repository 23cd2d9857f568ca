"""The command line in this process: exit codes, the one line that an error is, and what commands leave behind."""

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.pictures import write_pictures

from benchmark.cli.main import main
from benchmark.codecs import open_codec
from benchmark.images import load_image, png_bytes
from benchmark.results import RunFolder

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "pictures", ["a.png", "b.png"])


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def run(*arguments: str, codec: str = "tiny", output: str = "run", metric: str = "bpp") -> int:
    """A run in this process, where the fake codecs are known; without plots, unless a metric is named."""
    words = (
        "run",
        "--workers",
        "1",
        "--codec",
        codec,
        "--only",
        "--dataset",
        "pictures",
        "--metric",
        metric,
        "--output",
        output,
    )
    return call(*words, *arguments)


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    errors = capsys.readouterr().err.splitlines()
    assert [line for line in errors if line.startswith("error: ")] == errors[-1:]
    return errors[-1].removeprefix("error: ")


# Starting


def started(code: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Processor seconds of a start of Python that runs `code`, which must end well, and what it says.

    They say more than a clock where other programs run.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done


@pytest.fixture(scope="module")
def bare_start() -> float:
    """The least of three starts of Python that import NumPy alone."""
    return min(started("import numpy")[0] for _ in range(3))


@pytest.mark.parametrize("arguments", [("--help",), ("list", "codecs"), ("list", "datasets"), ("list", "metrics")])
def test_help_and_lists_are_quick_and_import_nothing_heavy(arguments: tuple[str, ...], bare_start: float) -> None:
    heavy = ("torch", "pandas", "matplotlib", "scipy", "lpips", "compressai", "PIL", "requests")
    code = (
        "import sys\n"
        "from benchmark.cli.main import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)\n"
    )
    seconds, done = started(code)
    assert done.stderr.strip() == "[]"
    assert done.stdout.strip()
    assert seconds < 8 * bare_start or started(code)[0] < 8 * bare_start


def test_a_short_run_imports_what_it_needs_and_takes_little_more_time(tmp_path: Path) -> None:
    """JPEG and PSNR need no network, intervals no more of SciPy than a quantile, PNG and SVG no writer of PDF.

    Measured were 2.1 times the seconds of the packages that a table, its intervals and a plot cannot do without.
    """
    heavy = ("torch", "torchvision", "lpips", "scipy.stats", "scipy.interpolate", "scipy.integrate", "fontTools.subset")
    heavy += ("matplotlib.pyplot", "matplotlib.backends.backend_pdf", "requests", "ray")
    options = ("--only", "--codec", "jpeg", "--quality", "50", "--limit", "2", "--metric", "psnr", "--workers", "1")
    code = (
        "import sys\n"
        "from benchmark.cli.main import main\n"
        "try:\n"
        f"    main({('run', *options, '--output', str(tmp_path / 'run'))!r})\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        f"there = [name for name in {heavy!r} if name in sys.modules]\n"
        "assert not there, there\n"
    )
    run = started(code)[0]
    assert (tmp_path / "run" / "plots" / "curves.svg").is_file()
    assert run < 3 * started("import numpy, pandas, pydantic, PIL.Image, scipy.special, matplotlib.figure")[0]


def test_python_m_benchmark_is_there() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", "list", "codecs"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    there = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"jpeg", "webp", "avif", "jxl", "jpeg2000", "compressai", "command", "mse", "hfd"} <= there


# Usage


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--codec", "jepg"), "did you mean jpeg?"),
        (("--codec", "tiny:"), "nothing follows the colon"),
        (("--codec", "tiny:nothing=1", "--only"), "tiny has no setting 'nothing'"),
        (("--codec", "tiny", "--only", "--metric", "pnsr"), "did you mean psnr"),
        (("--codec", "tiny", "--only", "--dataset", "kodka"), "did you mean kodak?"),
        (("--codec", "tiny", "--only", "--dataset", "./nothing"), "no such folder"),
        (("--codec", "tiny", "--only", "--quality", "jpeg=1"), "this run has no codec 'jpeg'; there are tiny"),
        (("--codec", "tiny", "--only", "--quality", "9"), "quality 9 is not between 1 and 8"),
        (("--codec", "tiny", "--only", "--decoder-seeds", "x"), "--decoder-seeds x"),
        (("--codec", "tiny", "--only", "--limit", "-1"), "--limit -1"),
        (("--codec", "tiny", "--only", "--workers", "0"), "--workers 0"),
        (("--codec", "tiny", "--only", "--device", "gpu9"), "--device gpu9"),
        (("--codec", "tiny", "--only", "--output", "pictures"), "neither empty nor a run; it holds a.png"),
        (("--codec", "tiny", "--only", "--output", "pictures/a.png"), "a file, not a folder"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_2(
    arguments: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = () if "--dataset" in arguments else ("--dataset", "pictures")
    metric = () if "--metric" in arguments else ("--metric", "psnr")
    assert call("run", "--workers", "1", *arguments, *dataset, *metric) == 2
    assert reason in error_of(capsys)


@pytest.mark.parametrize("arguments", [("rum",), ("run", "--limit", "x"), ("list", "nothing"), ("encode",)])
def test_malformed_command_lines_are_2(arguments: tuple[str, ...]) -> None:
    assert call(*arguments) == 2


# Runs


def test_a_run_leaves_all_that_the_contract_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--quality", "4", "--keep-reconstructions", codec="noisy", metric="psnr") == 0
    manifest = json.loads(Path("run/run.json").read_text())
    assert manifest["status"] == "complete"
    assert manifest["schema_version"] == 2
    assert manifest["codecs"]["noisy"] == {
        "bits": "real",
        "label": "noisy",
        "qualities": [4],
        "stochastic": True,
        "description": {"steps": [1, 2], "kind": "Tiny"},
        "spec": "noisy",
        "trained_on": [],
        "audited": None,
    }
    assert manifest["metrics"]["psnr"]["unit"] == "dB"
    assert [picture["name"] for picture in manifest["dataset"]["pictures"]] == ["a", "b"]
    assert all(len(picture["sha256"]) == 64 for picture in manifest["dataset"]["pictures"])
    assert {"python", "numpy", "torch", "pillow"} <= manifest["packages"].keys()
    assert len(Path("run/trials.jsonl").read_text().splitlines()) == 2
    assert Path("run/reconstructions/noisy/4/seed-0/a.png").exists()
    assert Path("run/reconstructions/noisy/4/a.bin").exists()
    summary = pd.read_csv("run/summary.csv")
    assert set(summary["metric"]) == {"bpp", "psnr"}
    output = capsys.readouterr()
    assert "noisy" in output.out
    for path in ("run/summary.csv", "run/plots/psnr.png", "run/plots/psnr.svg"):
        assert path in output.err
        assert Path(path).stat().st_size > 0


def test_started_again_it_does_nothing_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    before = Path("run/trials.jsonl").read_bytes()
    assert run() == 0
    assert "4 trials are there" in capsys.readouterr().err
    assert Path("run/trials.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "difference"),
    [
        (("--quality", "2"), "qualities of tiny: 2,4 there, 2 asked"),
        (("--limit", "1"), "data set: pictures ("),
        (("--keep-reconstructions",), "reconstructions: not kept there, kept asked"),
        (("--decoder-seeds", "1"), "decoder seeds: 0 there, 1 asked"),
        (("--metric", "psnr"), "metrics: none there, psnr asked"),
    ],
)
def test_another_run_in_the_same_folder_is_refused(
    arguments: tuple[str, ...], difference: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    assert run(*arguments) == 2
    assert difference in error_of(capsys)
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before


def test_a_changed_picture_is_another_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    write_pictures(Path("pictures"), ["b.png", "a.png"])
    assert run() == 2
    assert "data set: pictures (" in error_of(capsys)


def test_a_bad_picture_is_recorded_and_the_rest_measured(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pictures/bad.png").write_text("not an image")
    assert run(metric="psnr") == 3
    trials = RunFolder.open(Path("run")).trials()
    assert [(trial.image, trial.error is None) for trial in trials] == [
        (image, fine) for image, fine in (("a", True), ("b", True), ("bad", False)) for _ in range(2)
    ]
    errors = capsys.readouterr().err
    assert "failed: bad: pictures/bad.png: not an image" in errors
    assert "(2 trials)" in errors
    assert Path("run/plots/psnr.png").exists()
    assert set(pd.read_csv("run/summary.csv")["n_images"]) == {2}


def test_all_pictures_bad_is_still_told() -> None:
    for name in ("a", "b"):
        Path(f"pictures/{name}.png").write_text("not an image")
    assert run(metric="psnr") == 3
    assert len(RunFolder.open(Path("run")).trials()) == 4


def test_codecs_of_the_wrong_shape_fail(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--codec", "tiny", codec="wrong_shape") == 3
    assert "decode returned uint8 (15, 24, 3)" in capsys.readouterr().err
    assert sum(trial.error is None for trial in RunFolder.open(Path("run")).trials()) == 4


def test_pictures_with_equal_stems_stay_apart() -> None:
    write_pictures(Path("pictures"), ["a.png", "a.bmp", "a b.png", "a-b.png"])
    assert run("--keep-reconstructions", "--quality", "8") == 0
    trials = RunFolder.open(Path("run")).trials()
    assert len({trial.image for trial in trials}) == 5
    kept = sorted(Path("run/reconstructions/tiny/8").glob("*.png"))
    assert len(kept) == 5
    originals = [load_image(path) for path in Path("pictures").iterdir()]  # quality 8 loses nothing
    assert all(any(np.array_equal(load_image(path), original) for original in originals) for path in kept)


def test_labels_keep_settings_apart() -> None:
    assert run("--codec", "tiny:note=a/b", "--codec", "tiny:note=a-b", "--keep-reconstructions") == 0
    manifest = RunFolder.open(Path("run")).manifest
    assert list(manifest.codecs) == ["tiny", "tiny:note=a/b", "tiny:note=a-b"]
    assert len({record.label for record in manifest.codecs.values()}) == 3
    assert {path.name for path in Path("run/reconstructions").iterdir()} == {
        record.label for record in manifest.codecs.values()
    }


def test_a_subset_has_its_own_name_and_fingerprint() -> None:
    assert run("--limit", "1", output="one") == 0
    assert run(output="all") == 0
    one, both = (RunFolder.open(Path(name)).manifest.dataset for name in ("one", "all"))
    assert one.name == "pictures[quick look, 1 of 2]"
    assert both.name == "pictures"
    assert one.fingerprint != both.fingerprint
    assert len(one.pictures) == 1


def test_photos_are_a_quick_look_unless_a_limit_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    common = ("run", "--workers", "1", "--codec", "jpeg", "--only", "--metric", "bpp", "--quality", "5")
    assert call(*common, "--output", "quick") == 0
    assert "8 of the 24 images of photos; --limit 0 takes all" in capsys.readouterr().err
    assert len(RunFolder.open(Path("quick")).manifest.dataset.pictures) == 8
    assert call(*common, "--output", "whole", "--limit", "0") == 0
    assert "quick look" not in capsys.readouterr().err
    assert len(RunFolder.open(Path("whole")).manifest.dataset.pictures) == 24


def test_a_quick_look_takes_four_qualities_of_each_codec_unless_they_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    common = ("run", "--workers", "1", "--codec", "jpeg", "--codec", "webp", "--metric", "bpp")
    assert call(*common, "--quality", "webp=1,2,3,4,5", "--output", "quick") == 0
    assert "a quick look too at 4 qualities of jpeg; --limit 0 takes all" in capsys.readouterr().err
    chosen = {name: record.qualities for name, record in RunFolder.open(Path("quick")).manifest.codecs.items()}
    every = open_codec("jpeg").qualities
    assert chosen["webp"] == [1, 2, 3, 4, 5]
    assert len(chosen["jpeg"]) == 4 < len(every)
    assert set(chosen["jpeg"]) < set(every)
    assert (chosen["jpeg"][0], chosen["jpeg"][-1]) == (every[0], every[-1])
    assert call(*common, "--quality", "webp=30", "--limit", "1", "--output", "all") == 0
    assert "quick look too" not in capsys.readouterr().err
    assert tuple(RunFolder.open(Path("all")).manifest.codecs["jpeg"].qualities) == tuple(every)


def test_a_dated_folder_is_the_default() -> None:
    words = ("run", "--workers", "1", "--codec", "tiny", "--only", "--dataset", "pictures", "--metric", "bpp")
    assert call(*words) == 0
    assert call(*words) == 0
    assert len(list(Path("results").glob("*/run.json"))) == 2


# Measuring again


@pytest.mark.usefixtures("undrawn")
def test_measure_adds_what_a_run_would_have_measured() -> None:
    assert run("--keep-reconstructions", codec="noisy", output="first") == 0
    assert run("--keep-reconstructions", codec="noisy", output="both", metric="psnr") == 0
    assert call("measure", "first", "--metric", "psnr") == 0
    first, both = (RunFolder.open(Path(name)) for name in ("first", "both"))
    assert [trial.metrics for trial in first.trials()] == [trial.metrics for trial in both.trials()]
    assert first.manifest.metrics == both.manifest.metrics
    assert Path("first/summary.csv").read_text() == Path("both/summary.csv").read_text()
    before = Path("first/trials.jsonl").read_bytes()
    assert call("measure", "first", "--metric", "psnr") == 0
    assert Path("first/trials.jsonl").read_bytes() == before


def test_measure_finds_originals_that_have_moved(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--keep-reconstructions") == 0
    before = Path("run/trials.jsonl").read_bytes()
    Path("pictures").rename("moved")
    assert call("measure", "run", "--metric", "psnr") == 3
    assert "the original of a is not where the run found it any more; --dataset says where" in error_of(capsys)
    assert Path("run/trials.jsonl").read_bytes() == before
    assert call("measure", "run", "--metric", "psnr", "--dataset", "moved") == 0
    assert all(trial.metrics["psnr"] for trial in RunFolder.open(Path("run")).trials())


@pytest.mark.usefixtures("undrawn")
def test_measure_refuses_a_reconstruction_that_has_changed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--keep-reconstructions", metric="psnr") == 0
    folder = RunFolder.open(Path("run"))
    before = Path("run/trials.jsonl").read_bytes()
    first, *_, last = folder.trials()
    shutil.copy(folder.reconstruction_path(first.key), folder.reconstruction_path(last.key))
    assert call("measure", "run", "--metric", "psnr-y") == 3
    said = error_of(capsys)
    assert f"{folder.reconstruction_path(last.key)}: has changed since the run: its psnr is " in said
    assert Path("run/trials.jsonl").read_bytes() == before


@pytest.mark.usefixtures("undrawn")
def test_metrics_of_sets_need_features_only() -> None:
    write_pictures(Path("pictures"), ["a.png", "b.png", "c.png"], size=(192, 128))
    assert run("--quality", "4", metric="fd-effnet", output="first") == 0
    assert call("measure", "first", "--metric", "kd-effnet") == 0  # without reconstructions, from the features
    assert run("--quality", "4", "--keep-reconstructions", output="second") == 0
    assert call("measure", "second", "--metric", "fd-effnet", "--metric", "kd-effnet") == 0
    first, second = (pd.read_csv(f"{name}/summary.csv") for name in ("first", "second"))
    assert set(first["metric"]) == {"bpp", "fd-effnet", "kd-effnet"}
    pd.testing.assert_frame_equal(first, second)
    assert first.loc[first["metric"] == "fd-effnet", "n_patches"].tolist() == [3]


def test_measure_needs_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert call("measure", "run", "--metric", "psnr") == 2
    assert "without --keep-reconstructions" in error_of(capsys)
    assert call("measure", "nothing", "--metric", "psnr") == 3
    assert "no run.json" in error_of(capsys)
    assert not Path("nothing").exists()


# One image


def test_encode_and_decode() -> None:
    assert call("encode", "--codec", "tiny", "--quality", "8", "pictures/a.png", "a.tiny") == 0
    assert call("decode", "--codec", "tiny", "a.tiny", "a.png") == 0
    assert np.array_equal(load_image(Path("a.png")), load_image(Path("pictures/a.png")))


@pytest.mark.parametrize("codec", ["jpeg", "webp", "avif"])
def test_decode_knows_the_common_formats(codec: str) -> None:
    assert call("encode", "--codec", codec, "--quality", "50", "pictures/a.png", "coded") == 0
    assert call("decode", "coded", "a.png") == 0
    assert call("decode", "--codec", codec, "coded", "b.png") == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_files_that_cannot_be_coded_or_decoded_are_one_line_and_3(capsys: pytest.CaptureFixture[str]) -> None:
    Path("foreign").write_bytes(png_bytes(np.zeros((1, 1, 3), np.uint8)))
    assert call("decode", "foreign", "a.png") == 3
    assert error_of(capsys) == "foreign: no codec of the suite wrote this file; --codec names one"
    assert call("decode", "--codec", "tiny", "foreign", "a.png") == 3
    assert error_of(capsys) == "foreign: tiny: not a tiny stream"
    assert call("decode", "nothing", "a.png") == 3
    assert error_of(capsys) == "nothing: cannot be read: No such file or directory"
    assert call("encode", "--codec", "tiny", "--quality", "8", "foreign.png", "out") == 3
    assert error_of(capsys) == "foreign.png: no such file"
    assert call("encode", "--codec", "tiny", "--quality", "9", "pictures/a.png", "out") == 2
    assert call("decode", "foreign", "a.jpg") == 2
    assert not Path("a.png").exists()
    assert not Path("out").exists()


# Plots and fetching


def test_plot_draws_what_runs_have_in_common(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(metric="psnr", output="one") == 0
    assert run(codec="noisy", metric="psnr", output="two") == 0
    capsys.readouterr()
    assert call("plot", "one", "two", "--output", "plots") == 0
    paths = capsys.readouterr().out.split()
    assert "plots/psnr.svg" in paths
    assert all(Path(path).stat().st_size for path in paths)
    assert "noisy" in Path("plots/psnr.svg").read_text()
    assert call("plot", "one", "--metric", "lpips") == 2
    assert call("plot", "nothing") == 3


def test_fetch_takes_what_one_has_and_verifies_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    assert call("fetch", "kodak", "--from", "pictures") == 3
    assert "kodim01.png" in error_of(capsys)
    assert call("fetch", "clic", "--from", "pictures") == 2
