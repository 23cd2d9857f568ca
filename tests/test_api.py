"""The suite from Python: specs and objects, arrays and data sets, and what is left on disk."""

import copy
import gc
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import threading
import warnings
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

import benchmark
from benchmark.cli.main import main
from benchmark.errors import BenchmarkError, UsageError
from benchmark.results import RunFolder


class Rounded:
    """Encodes with rounded samples; an object with nothing but `encode` and `decode`."""

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, image: np.ndarray, quality: float) -> bytes:
        self.encoded += 1
        step = int(quality)
        head = np.array([*image.shape[:2], step], np.uint16).tobytes()
        return head + zlib.compress((image // step).tobytes())

    def decode(self, data: bytes) -> np.ndarray:
        height, width, step = np.frombuffer(data[:6], np.uint16).astype(int)
        samples = np.frombuffer(zlib.decompress(data[6:]), np.uint8).reshape(height, width, 3)
        return np.minimum(samples.astype(int) * step + step // 2, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    smooth = [generator.integers(0, 255, (8, 10, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8) for _ in range(3)]
    return [(image + generator.integers(0, 9, image.shape)).astype(np.uint8) for image in smooth]


@pytest.fixture(scope="module")
def results(images: list[np.ndarray]) -> Any:
    return benchmark.evaluate(
        {"Ours": Rounded(), "JPEG": "jpeg"},
        images,
        metrics=["psnr"],
        qualities={"Ours": [4, 16, 64], "JPEG": [20, 50, 80]},
    )


def test_objects_and_specs_on_arrays(results: Any, images: list[np.ndarray]) -> None:
    assert len(results.trials) == 18
    assert results.failures == ()
    assert set(results.trials["codec"]) == {"Ours", "JPEG"}
    curve = results.curve("psnr", "Ours")
    assert list(curve["quality"]) == [64, 16, 4]
    image = images[0]
    codec = Rounded()
    data = codec.encode(image, 16)
    error = np.mean((codec.decode(data).astype(float) - image) ** 2)
    row = results.trials.query("codec == 'Ours' and quality == 16").iloc[0]
    assert row["bytes"] == len(data)
    assert row["psnr"] == pytest.approx(10 * np.log10(255**2 / error), abs=1e-9)
    assert "Ours" in repr(results)


def test_frames(results: Any) -> None:
    headline = results.summary.query("metric == 'psnr' and aggregation == 'mean over images' and codec == 'JPEG'")
    own = results.trials.query("codec == 'JPEG'").groupby("quality")["psnr"].mean()
    assert dict(zip(headline["quality"], headline["value"], strict=True)) == pytest.approx(dict(own))
    bd = results.bd("JPEG", "psnr")
    assert list(bd["codec"]) == ["Ours"]
    assert np.isfinite(bd["value"]).all() or bd["reason"].str.len().gt(0).all()
    shares = results.images("psnr", "Ours=16", "Ours=64")
    assert len(shares) == 3
    assert (shares["share"] > 0).all()


def test_axes_of_ones_own_keep_their_looks_and_a_figure_has_the_suites(results: Any, tmp_path: Path) -> None:
    figure = Figure()
    axes = figure.subplots()
    size = matplotlib.rcParams["font.size"]
    assert results.plot("psnr", ax=axes) is figure
    legend = axes.get_legend()
    assert legend is not None
    assert {text.get_fontsize() for text in legend.get_texts()} == {size}
    assert [text.get_text() for text in legend.get_texts()] == ["Ours", "JPEG"]
    own = results.plot("psnr", save=tmp_path / "new" / "figure.svg")
    assert own.axes[0].title.get_fontsize() < size
    assert (tmp_path / "new" / "figure.svg").read_text(encoding="utf-8").startswith("<?xml")
    (tmp_path / "file").touch()
    with pytest.raises(BenchmarkError, match="a file, not a folder"):
        results.plot("psnr", save=tmp_path / "file" / "figure.svg")


def command_line(*arguments: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert not end.value.code


@pytest.mark.long
@pytest.mark.usefixtures("undrawn")
def test_the_same_request_gives_the_same_bytes_as_the_command_line(
    images: list[np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, image in enumerate(images):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
    metrics = ["psnr", "ms_ssim", "fd-effnet"]
    images = [np.tile(image, (3, 3, 1)) for image in images]
    options = [argument for name in metrics for argument in ("--metric", name)]
    command = ["run", "--only", "--codec", "jpeg", "--codec", "jpeg:subsampling=4:4:4", "--quality", "20,60"]
    command += ["--dataset", str(tmp_path / "images"), "--output", str(tmp_path / "theirs"), *options]
    command += ["--label", "jpeg:subsampling=4:4:4=Ours", "--workers", "1"]
    command_line(*command)
    codecs = {"jpeg": "jpeg", "Ours": "jpeg:subsampling=4:4:4"}
    for workers in (1, 2):
        ours = tmp_path / f"ours-{workers}"
        benchmark.evaluate(
            codecs, tmp_path / "images", metrics=metrics, qualities=[20, 60], output=ours, workers=workers
        )
        assert (ours / "summary.csv").read_bytes() == (tmp_path / "theirs" / "summary.csv").read_bytes()
        lines = [(folder / "trials.jsonl").read_text().splitlines() for folder in (ours, tmp_path / "theirs")]
        if workers == 1:
            assert lines[0] == lines[1]
        else:  # in the order in which they end, and why no time was measured
            values = [sorted(line.partition('"reasons"')[0] for line in some) for some in lines]
            assert values[0] == values[1]
    loaded = benchmark.load(tmp_path / "theirs")
    capsys.readouterr()
    command_line("table", str(tmp_path / "theirs"), "--format", "latex", "--at-bpp", "1.5")
    assert capsys.readouterr().out == loaded.table(format="latex", rates=[1.5])
    assert loaded.compare(tmp_path / "ours-1").exit_code() == 0


def test_nothing_is_left_on_disk(images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    found = benchmark.evaluate("jpeg", images[:1], metrics=["psnr"], qualities=[50])
    folder = found.path
    assert folder.exists()
    with monkeypatch.context() as forked:  # such as a worker of a DataLoader, which has a copy of `found`
        forked.setattr(os, "getpid", lambda: -1)
        _, remove, arguments, _ = found._temporary.remove.peek()
        remove(*arguments)
    assert folder.exists()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del found
        gc.collect()
    assert not folder.parent.exists()
    assert not [warning for warning in told if warning.category is ResourceWarning and "benchmark-" in str(warning)]


def test_a_folder_keeps_the_run_and_goes_on(tmp_path: Path, images: list[np.ndarray]) -> None:
    codec = Rounded()
    arguments: dict[str, Any] = {"metrics": ["psnr"], "output": tmp_path / "run"}
    benchmark.evaluate({"Ours": codec}, images, qualities=[16], **arguments)
    assert codec.encoded >= 3
    loaded = benchmark.load(tmp_path / "run")
    assert len(loaded.trials) == 3
    assert RunFolder.open(tmp_path / "run").manifest.codecs["Ours"].qualities == [16]


def test_the_second_call_computes_nothing_of_an_original_again(images: list[np.ndarray], monkeypatch: Any) -> None:
    from benchmark.metrics import fidelity

    prepared: list[int] = []
    original = fidelity.Psnr.prepare
    monkeypatch.setattr(fidelity.Psnr, "prepare", lambda self, image: prepared.append(1) or original(self, image))
    other = [np.flipud(image).copy() for image in images]
    first = benchmark.evaluate("jpeg", other, metrics=["psnr"], qualities=[50])
    assert len(prepared) == 3
    second = benchmark.evaluate("jpeg", other, metrics=["psnr"], qualities=[50])
    assert len(prepared) == 3
    assert first.trials.equals(second.trials)


def test_the_second_call_loads_no_network_and_sends_no_original_through_one_again(
    images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.metrics import extractors, perceptual
    from benchmark.running import measurement

    calls: Counter[str] = Counter()

    def count(place: Any, name: str) -> None:
        own = getattr(place, name)
        monkeypatch.setattr(place, name, lambda *arguments: calls.update([name]) or own(*arguments))

    measurement._metric.cache_clear()
    count(perceptual, "load_network")
    count(perceptual.Lpips, "_features")
    count(extractors, "extract")
    other = [np.fliplr(image).copy() for image in images[:2]]
    found = []
    for _ in range(2):
        results = benchmark.evaluate("jpeg", other, metrics=["lpips", "fd-effnet@patch64-nc"], qualities=[50])
        found.append((dict(calls), results))
        calls.clear()
    (first, before), (second, after) = found
    assert first == {"load_network": 1, "_features": 2 + 2, "extract": 2 + 2}
    assert second == {"_features": 2, "extract": 2}
    assert before.trials.equals(after.trials)


def test_a_comparison(results: Any) -> None:
    assert benchmark.compare(results, results).exit_code() == 0
    assert results.compare(results).exit_code() == 0


def test_progress_is_told(images: list[np.ndarray]) -> None:
    told: list[tuple[str, int, int]] = []
    benchmark.evaluate(
        "jpeg",
        images,
        metrics=["psnr"],
        qualities=[50],
        progress=lambda trial, n, of: told.append((trial.image, n, of)),
    )
    assert [(n, of) for _, n, of in told] == [(1, 3), (2, 3), (3, 3)]


class Failing(Rounded):
    def decode(self, data: bytes) -> np.ndarray:
        raise ValueError("no luck")


def test_failures_are_warned_of_and_end_nothing(images: list[np.ndarray]) -> None:
    with pytest.warns(RuntimeWarning, match="no luck"):
        found = benchmark.evaluate({"bad": Failing(), "jpeg": "jpeg"}, images, metrics=["psnr"], qualities=[50])
    assert len(found.failures) == 3
    assert found.trials.query("codec == 'jpeg'")["error"].isna().all()


@pytest.mark.parametrize(
    ("codecs", "reason"),
    [
        ({"x": object()}, "encode"),
        ([Rounded(), Rounded()], "two codecs are called Rounded"),
        ("no-such-codec", "no codec is named"),
        ({"x": Rounded()}, "quality|qualities"),
        (Rounded, "a class, not an object"),
        ([], "codecs: none is given"),
        ({}, "codecs: none is given"),
        ("", "codecs: none is given"),
    ],
)
def test_what_cannot_be_meant(codecs: Any, reason: str, images: list[np.ndarray]) -> None:
    with pytest.raises(UsageError, match=reason):
        benchmark.evaluate(codecs, images, metrics=["psnr"])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"qualities": []}, "qualities .*: numbers are needed"),
        ({"qualities": "50"}, "qualities '50': numbers are needed"),
        ({"qualities": ["a"]}, "qualities .*: numbers are needed"),
        ({"qualities": {"jpeg": [None]}}, "qualities .*: numbers are needed"),
        ({"seeds": ()}, "seeds: at least one is needed"),
        ({"seeds": "0,1"}, "seeds '0,1': a whole number is needed"),
        ({"seeds": [-1]}, "seeds -1: at least 0"),
        ({"limit": 1.5}, "limit 1.5: a whole number is needed"),
        ({"limit": -1}, "limit -1: at least 0"),
        ({"workers": "2"}, "workers '2': a whole number is needed"),
        ({"workers": 0}, "workers 0: at least 1"),
        ({"timing": 1}, "at least 3 calls"),
        ({"progress": "yes"}, "progress 'yes': True, False, or a function"),
        ({"metrics": []}, "metrics: none is named"),
        ({"metrics": [object()]}, "no metric"),
        ({"output": 3}, "output: 3 is no path"),
        ({"output": "a\0b"}, "output: .* is no path"),
        ({"qualities": True}, "qualities True: numbers are needed"),
        ({"limit": True}, "limit True: a whole number is needed"),
        ({"time_limit": "3"}, "time_limit '3': a number of seconds"),
        ({"protocol": 3}, "protocol: a text is needed, not 3"),
        ({"keep_reconstructions": "no"}, "keep_reconstructions 'no': True or False"),
        ({"device": "no-such-device"}, "no-such-device"),
    ],
)
def test_arguments_that_cannot_be_meant(arguments: Any, reason: str, images: list[np.ndarray]) -> None:
    with pytest.raises(UsageError, match=reason):
        benchmark.evaluate("jpeg", images, **{"metrics": ["psnr"], "qualities": [50]} | arguments)


def test_one_of_each_needs_no_list(images: list[np.ndarray]) -> None:
    found = benchmark.evaluate("jpeg", images, metrics="psnr", qualities=50, seeds=1, limit=1)
    assert len(found.trials) == 1


@pytest.mark.parametrize(
    ("method", "arguments", "options", "reason"),
    [
        ("plot", (), {"witdh": 3}, "no option is named 'witdh'; did you mean width?"),
        ("plot", (), {"formats": ("png",)}, "formats belongs to the command line"),
        ("plot", ("psnr",), {"ax": 3}, "ax: matplotlib's Axes are needed, not int"),
        ("plot", (), {"save": "figure"}, "format ''"),
        ("plot", (), {"beside": [3]}, "run: 3 is no path"),
        ("plot", (), {"beside": 3}, "run: 3 is no path"),
        ("plot", (), {"style": 3}, "style: a name, a file or parameters are needed, not 3"),
        ("plot", (), {"published": True}, "published: a list is needed, not True"),
        ("plot", (["psnr"],), {}, "metric, one by one: a text is needed"),
        ("plot", ("psnr",), {"labels": {"JPEG": r"$\frac$"}}, "which matplotlib cannot set"),
        ("plot", ("psnr",), {"title": r"$\frac$"}, "which matplotlib cannot set"),
        ("table", (["psnr"],), {}, "metric, one by one: a text is needed"),
        ("table", (), {"rates": [True]}, "rate True: a number"),
        ("table", (), {"labels": {"JPEG": None}}, "label of JPEG: a text is needed, not None"),
        ("table", (), {"labels": ["JPEG"]}, "labels: a mapping by codec is needed"),
        ("table", (), {"codecs": 3}, "codecs: a text is needed, not 3"),
        ("bd", ("JPEG", 3), {}, "metric: a text is needed, not 3"),
        ("bd", ("JPEG",), {"resamples": "a"}, "resamples 'a': a whole number"),
        ("bd", ("JPEG",), {"seed": 2.5}, "seed 2.5: a whole number"),
        ("curve", (["psnr"],), {}, "metric: a text is needed"),
        ("images", ("psnr", ("JPEG", 20)), {}, 'point, such as "hfd=3": a text is needed'),
        ("images", ("psnr", "JPEG=20", 3), {}, 'point, such as "hfd=3": a text is needed'),
        ("table", (), {"rates": [0]}, "rate 0: a number of bits per pixel above 0"),
        ("table", (), {"rates": ["a"]}, "rate 'a': a number"),
        ("table", (), {"labels": {"x": "y"}}, "no codec 'x' was measured"),
        ("table", (), {"codecs": "x"}, "no codec 'x' was measured"),
        ("bd", ("JPEG",), {"resamples": 1}, "at least 100"),
        ("bd", ("JPEG",), {"seed": -1}, "seed -1"),
        ("bd", ("x",), {}, "no codec 'x' was measured"),
        ("curve", ("psnr", "x"), {}, "no codec 'x' was measured"),
        ("images", ("psnr", "JPEG=99"), {}, "no point 'JPEG=99' was measured"),
        ("compare", (3,), {}, "3 is no path"),
    ],
)
def test_what_results_cannot_give(results: Any, method: str, arguments: Any, options: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=re.escape(reason) if "(" not in reason else reason):
        getattr(results, method)(*arguments, **options)


def test_frames_are_the_callers_own(results: Any) -> None:
    before = results.table("psnr")
    summary, trials = results.summary, results.trials
    summary["value"] = 0.0
    trials.drop(columns="psnr", inplace=True)
    assert results.table("psnr") == before
    assert (results.summary["value"] > 0).any()
    assert "psnr" in results.trials


def test_a_copy_keeps_the_temporary_folder_and_only_a_run_in_a_folder_is_pickled(
    images: list[np.ndarray], tmp_path: Path
) -> None:
    found = benchmark.evaluate("jpeg", images[:1], metrics=["psnr"], qualities=[50])
    with pytest.raises(TypeError, match="output=FOLDER"):
        pickle.dumps(found)
    twins = copy.copy(found), copy.deepcopy(found)
    del found
    gc.collect()
    assert all(len(twin.trials) == 1 for twin in twins)
    kept = benchmark.evaluate("jpeg", images[:1], metrics=["psnr"], qualities=[50], output=tmp_path / "run")
    again = pickle.loads(pickle.dumps(kept))
    assert again.summary.equals(kept.summary)
    assert again.notes == kept.notes


def test_where_nothing_has_a_value_that_is_said(images: list[np.ndarray]) -> None:
    with pytest.warns(RuntimeWarning, match="no luck"):
        found = benchmark.evaluate({"bad": Failing()}, images, metrics=["psnr"], qualities=[50])
    assert "3 failures" in found._repr_html_()
    for method in (found.plot, found.table):
        with pytest.raises(BenchmarkError, match=r"no metric has a value that can be shown.*no luck"):
            method()


class Interrupted(Rounded):
    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def encode(self, image: np.ndarray, quality: float) -> bytes:
        if self.encoded == self.after:
            raise KeyboardInterrupt
        return super().encode(image, quality)


def test_ctrl_c_leaves_nothing_in_a_temporary_folder_and_a_run_that_goes_on(
    images: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    arguments: dict[str, Any] = {"metrics": ["psnr"], "qualities": [16]}
    with pytest.raises(KeyboardInterrupt) as raised:
        benchmark.evaluate({"x": Interrupted(1)}, images, **arguments)
    assert not list((tmp_path / "temporary").iterdir())  # while the exception still holds every frame
    with pytest.raises(KeyboardInterrupt):
        benchmark.evaluate({"x": Interrupted(1)}, images, output=tmp_path / "run", **arguments)
    with pytest.raises(BenchmarkError, match="interrupted and has no summary yet"):
        benchmark.load(tmp_path / "run")
    found = benchmark.evaluate({"x": Interrupted(-1)}, images, output=tmp_path / "run", **arguments)
    assert len(found.trials) == 3
    assert benchmark.load(tmp_path / "run").table("psnr") == found.table("psnr")
    del raised


def test_a_summary_older_than_its_trials_is_noted(images: list[np.ndarray], tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"metrics": ["psnr"], "qualities": [16], "output": tmp_path / "run"}
    benchmark.evaluate({"x": Rounded()}, images, **arguments)
    with pytest.raises(KeyboardInterrupt):
        benchmark.evaluate({"x": Rounded(), "y": Interrupted(0)}, images, **arguments)
    assert "the run is interrupted: its summary may be older than its trials" in benchmark.load(tmp_path / "run").notes


def test_a_metric_object_that_has_learned_says_what_it_says_now(images: list[np.ndarray]) -> None:
    """Its protocol cannot know: what another run kept of originals would be of other weights."""

    class Learning:
        higher_is_better = False

        def __init__(self) -> None:
            self._weight = 1.0

        def prepare(self, original: np.ndarray) -> float:
            return self._weight

        def compare(self, prepared: float, reconstruction: np.ndarray) -> float:
            return prepared

    metric = Learning()
    found = []
    for metric._weight in (1.0, 2.0):
        trials = benchmark.evaluate("jpeg", images, metrics=[metric, "psnr"], qualities=[50]).trials
        found.append(set(trials["Learning"]))
    assert found == [{1.0}, {2.0}]


def test_threads_each_get_their_own_numbers(images: list[np.ndarray]) -> None:
    def rates(image: np.ndarray) -> list[float]:
        return list(benchmark.evaluate("jpeg", [image], metrics=["psnr"], qualities=[20, 60]).trials["psnr"])

    alone = [rates(image) for image in images]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(rates, images * 4)) == alone * 4


def test_what_a_notebook_sets_in_torch_is_its_own_codecs_alone(images: list[np.ndarray]) -> None:
    """A default device would take a metric's tensors elsewhere; the caller's model may need it."""
    found = []

    class Asks(Rounded):
        def decode(self, data: bytes) -> np.ndarray:
            found.append(state())
            return super().decode(data)

    def state() -> tuple[object, ...]:
        return torch.empty(0).dtype, torch.empty(0).device.type, torch.is_autocast_enabled("cpu")

    def values() -> list[float]:
        results = benchmark.evaluate({"Asks": Asks()}, large, metrics=["ms_ssim"], qualities=[16])
        return list(results.trials["ms_ssim"])

    large = [np.tile(images[0], (3, 3, 1))]
    usual = values()
    assert not np.isnan(usual).any()
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        with torch.autocast("cpu"):
            own = state()
            assert values() == usual
            assert state() == own
        assert found[0] != own
        assert found[-1] == own
        thread = threading.Thread(target=lambda: found.append(values()))  # in which no device is set
        thread.start()
        thread.join()
        assert found[-1] == usual
        assert torch.get_default_device().type == "meta"
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)


def test_a_tilde_is_the_home_folder(results: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell has seen what a program writes."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    results.plot("psnr", save="~/figure.png")
    assert (tmp_path / "home" / "figure.png").is_file()
    with pytest.raises(BenchmarkError, match=str(tmp_path / "home" / "run")):
        benchmark.load("~/run")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_qualities_and_rates_are_arrays_of_any_shape(results: Any, images: list[np.ndarray]) -> None:
    for qualities in (np.array(50), torch.tensor(50.0), torch.tensor([50])):
        found = benchmark.evaluate("jpeg", images[:1], metrics=["psnr"], qualities=qualities)
        assert list(found.trials["quality"]) == [50]
    assert results.table("psnr", rates=torch.tensor([2.0, 2.0])) == results.table("psnr", rates=2)


def test_a_title_of_two_lines_and_a_lone_dollar_are_drawn(results: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of matplotlib: a glyph that is missing
        two = results.plot("psnr", title="One $x_1$\nTwo", labels={"JPEG": "US$"})
        two.canvas.draw()
    one = results.plot("psnr", title="One", labels={"JPEG": "US"})
    assert two.get_figheight() > one.get_figheight()


def test_one_run_has_one_writer(images: list[np.ndarray], tmp_path: Path) -> None:
    def again(trial: Any, number: int, total: int) -> None:
        benchmark.evaluate("jpeg", images, metrics=["psnr"], qualities=[50], output=tmp_path / "run")

    with pytest.raises(BenchmarkError, match="another process is writing this run"):
        benchmark.evaluate("jpeg", images, metrics=["psnr"], qualities=[50], output=tmp_path / "run", progress=again)


SCRIPT = """
import benchmark, numpy, codec_of_mine

class Here(codec_of_mine.Mine):
    pass

print("begins")
images = [numpy.full((16, 24, 3), value, numpy.uint8) for value in (9, 99)]
codecs = {"jpeg": "jpeg", "Ours": codec_of_mine.Mine(), "Mine": %s}
found = benchmark.evaluate(codecs, images, metrics=["bpp"], qualities=[50], workers=2)
print(len(found.trials), found.failures, any("cannot be sent" in note for note in found.notes))
"""

MODULE = """
import zlib, numpy

class Mine:
    helper = None
    def encode(self, image, quality):
        return numpy.uint16(image.shape).tobytes() + zlib.compress(image.tobytes())
    def decode(self, data):
        shape = numpy.frombuffer(data[:6], numpy.uint16)
        return numpy.frombuffer(zlib.decompress(data[6:]), numpy.uint8).reshape(shape)
    def with_helper(self, helper):
        self.helper = helper
        return self
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("codec", "stays"),
    [("codec_of_mine.Mine()", False), ("Here()", True), ("codec_of_mine.Mine().with_helper(Here)", True)],
)
def test_workers_do_not_run_an_unguarded_script_again(codec: str, stays: bool, tmp_path: Path) -> None:
    (tmp_path / "codec_of_mine.py").write_text(MODULE)
    (tmp_path / "script.py").write_text(SCRIPT % codec)
    ended = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.stdout.splitlines() == ["begins", f"6 () {stays}"], ended.stderr


def test_a_page_says_what_it_lacks(results: Any, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.warns(UserWarning, match="reconstructions"):
            page = results.report(tmp_path / "page")
        assert page == tmp_path / "page" / "index.html"
        assert "JPEG" in (tmp_path / "page" / "data.js").read_text(encoding="utf-8")


def test_load_wants_a_run(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError):
        benchmark.load(tmp_path)


def test_a_run_of_before_gives_the_same_numbers(images: list[np.ndarray], tmp_path: Path) -> None:
    """Its summary has no schema, and its records no facts of metrics."""
    run = tmp_path / "run"
    codecs = {"a": "jpeg", "b": "webp"}
    arguments: dict[str, Any] = {"metrics": ["psnr", "lpips"], "qualities": [10, 50, 90], "output": run}
    now = benchmark.evaluate(codecs, images, **arguments)
    frame = now.summary
    frame[list(frame.columns[:15])].to_csv(run / "summary.csv", index=False, lineterminator="\n")
    manifest = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "leave-one-out.json").unlink()  # an older one has no hash of the summary
    known = ("protocol", "unit", "higher_is_better", "kind", "feature_key")
    manifest["metrics"] = {name: {key: m[key] for key in known} for name, m in manifest["metrics"].items()}
    (run / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    before = benchmark.load(run)
    assert set(before.summary["schema"]) == {1}
    assert before.table(plus_minus=True) == now.table(plus_minus=True)
    assert before.bd("a").equals(now.bd("a"))
    assert before.compare(now).exit_code() == 0
    assert before.plot("psnr", beside=now, relative_to="a").axes


def test_public_names_are_lazy() -> None:
    code = (
        "import benchmark, sys; assert not {'torch', 'pandas', 'numpy'} & set(sys.modules); print(benchmark.evaluate)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(benchmark.__all__) <= set(dir(benchmark))
    for name in benchmark.__all__:
        assert getattr(benchmark, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = benchmark.nothing


@pytest.mark.checkout
def test_readmes_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    example = text.partition("<!-- from python -->\n```python\n")[2].partition("```")[0]
    assert "benchmark.evaluate" in example
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {"__name__": "example"})
    assert r"\toprule" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["psnr.pdf"]
    assert (tmp_path / "psnr.pdf").read_bytes().startswith(b"%PDF")
