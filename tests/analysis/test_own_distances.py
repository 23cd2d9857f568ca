"""Distances of a class of the user's own that end their process, or never end: a reason of that metric alone."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.pictures import write_pictures

from benchmark import evaluate, load
from benchmark.analysis.summary import read_summary
from benchmark.cli.main import main
from benchmark.results import RunFolder

METRIC = """
import ctypes, os, signal, sys, time
from pathlib import Path

def again():
    again()

WAYS = {
    "crash": lambda: ctypes.string_at(0),
    "leave": lambda: ctypes.CDLL(None)._exit(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "terminate": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "hang": lambda: time.sleep(1000),
    "raise": lambda: 1 / 0,
    "exit": lambda: sys.exit(0),
    "os_exit": lambda: os._exit(0),
    "interrupt": lambda: (_ for _ in ()).throw(KeyboardInterrupt()),
    "recursion": again,
    "close": lambda: os.closerange(3, 1000),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "fine": lambda: None,
}

class D:
    higher_is_better = False
    margin = 0.1
    def __init__(self, how: str):
        self.how = self.name = how
    def features(self, image):
        return image.mean((0, 1))
    def distance(self, originals, reconstructions):
        WAYS[self.how]()
        return 1.5
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmark.reports.outcome.draw_curves", lambda *_: [])
    (tmp_path / "mine.py").write_text(METRIC)
    write_pictures(tmp_path / "images", ["a.png", "b.png"])
    return tmp_path


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def run(output: str, *ways: str, more: tuple[str, ...] = ()) -> int:
    words = ["run", "--only", "--codec", "jpeg", "--quality", "30", "--dataset", "images", "--workers", "1"]
    for metric in ("psnr", *(f"./mine.py:D:how={way}" for way in ways)):
        words += ["--metric", metric]
    return call(*words, "--output", output, *more)


QUICK = ("kill", "raise", "fine")
REASONS = {
    "kill": "the process ended in it: signal 9 (SIGKILL), perhaps for want of memory",
    "crash": "the process ended in it: signal 11 (SIGSEGV) (mine.py:9 in <lambda>)",
    "leave": "the process ended in it: exit code 0",
    "terminate": "the process ended in it: signal 15 (SIGTERM)",
    "hang": "the process ended in it: no end after 5 seconds; it was killed (mine.py:13 in <lambda>)",
    "raise": "ZeroDivisionError: division by zero (mine.py:14 in <lambda>)",
    "exit": "RuntimeError: it calls sys.exit(0) (mine.py:15 in <lambda>)",
    "os_exit": "RuntimeError: it calls os._exit(0) (mine.py:16 in <lambda>)",
    "interrupt": "RuntimeError: it raises KeyboardInterrupt, which nobody asked for (mine.py:17 in <genexpr>)",
    "recursion": "RecursionError: maximum recursion depth exceeded (mine.py:6 in again)",
    "close": "the process ended in it: exit code 0",
    "exec": "the process ended in it: exit code 0",
}


@pytest.mark.parametrize(
    "ways", [QUICK, pytest.param(tuple(REASONS), marks=pytest.mark.slow)], ids=["quick", "every-way"]
)
def test_a_distance_that_ends_its_process_is_one_reason(
    work: Path, capsys: pytest.CaptureFixture[str], ways: tuple[str, ...]
) -> None:
    """In the run, where the summary stands; and for who reads it, without another call."""
    assert run("run", *ways, more=("--time-limit", "5") if "hang" in ways else ()) == 3
    said = capsys.readouterr().err
    assert "Traceback" not in said
    broken = [way for way in ways if way != "fine"]
    for way in broken:
        assert f"failed: {way}: distance: {REASONS[way]}" in said.splitlines()
    assert RunFolder.open(work / "run").manifest.status == "complete"
    rows = read_summary(work / "run").set_index(["metric", "aggregation"])["value"]
    assert rows.loc["psnr"].notna().all()
    for way in ways:
        assert rows.loc[way].isna().all() == (way in broken)
    kept = json.loads((work / "run" / "leave-one-out.json").read_text())
    assert {one["metric"]: one["reason"] for one in kept["failures"]} == {
        way: f"{way}: distance: {REASONS[way]}" for way in broken
    }
    (work / "mine.py").unlink()  # nobody needs it any more
    assert set(load(work / "run").failures) == {f"{way}: distance: {REASONS[way]}" for way in broken}
    assert call("compare", "run", "run") == 3
    said = capsys.readouterr().out
    assert "jpeg at quality 30, kill: failed in both runs, so nothing can be said" in " ".join(said.split())
    assert call("baseline", "run", "--output", "base.json") == 0
    assert call("compare", "base.json", "run") == 3


def test_a_distance_that_broke_down_is_tried_again_by_who_writes_the_summary(work: Path) -> None:
    note = work / "called"
    noted = f'"raise": lambda: open({str(note)!r}, "a").write("called") / 0'
    (work / "mine.py").write_text(METRIC.replace('"raise": lambda: 1 / 0', noted))
    assert run("run", "raise") == 3
    assert note.read_text().count("called") == 1
    for command in (("compare", "run", "run"), ("bd", "run", "--anchor", "jpeg"), ("explain", "run")):
        call(*command)
    assert note.read_text().count("called") == 1
    assert run("run", "raise") == 3
    assert note.read_text().count("called") == 2


def test_the_process_that_asks_is_not_the_one_that_ends(work: Path) -> None:
    """`evaluate` in a program of the user's: a metric that is named, not one that is an object there."""
    with pytest.warns(RuntimeWarning, match="kill: distance: the process ended in it: signal 9"):
        found = evaluate(
            "jpeg", str(work / "images"), metrics=["psnr", f"{work}/mine.py:D:how=kill"], qualities=[30], limit=2
        )
    assert found.failures == ("kill: distance: " + REASONS["kill"],)
    assert found.summary.set_index("metric").loc["psnr", "value"].notna().all()


def test_what_ends_many_processes_is_not_tried_for_ever(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "leave", more=("--quality", "jpeg=10,20,30,40,50")) == 3
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    assert said == [
        f"failed: leave: distance: {REASONS['leave']}",
        f"failed: leave: not tried any more: distance: {REASONS['leave']}",
    ]


def test_a_file_that_is_gone_is_said(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "fine", more=("--keep-reconstructions",)) == 0
    assert call("measure", "run", "--metric", "./mine.py:D:how=raise") == 3
    assert "failed: raise: distance: ZeroDivisionError" in capsys.readouterr().err
    shutil.move(work / "mine.py", work / "yours.py")
    (work / "run" / "leave-one-out.json").unlink()
    assert call("measure", "run", "--metric", "bpp") == 3
    said = capsys.readouterr().err
    assert "there is no file" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_calls_are_limited_one_by_one(work: Path) -> None:
    """Not all of a point together: leaving out each image takes as many calls as there are images."""
    (work / "mine.py").write_text(METRIC.replace('"fine": lambda: None', '"fine": lambda: time.sleep(1)'))
    write_pictures(work / "images", [f"{name}.png" for name in "cdef"])
    assert run("run", "fine", more=("--time-limit", "5")) == 0  # seven calls of a second each
    rows: Any = read_summary(work / "run").set_index("metric")
    assert rows.loc["fine", "value"] == 1.5
    assert rows.loc["fine", "stderr"] == 0


# `measure`, which changes nothing where a metric fails

IMAGES = """
import ctypes, os, signal, time
WAYS = {
    "crash": lambda: ctypes.string_at(0), "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "hang": lambda: time.sleep(1000), "fine": lambda: None,
}

class Base:
    higher_is_better = False
    def __init__(self, how: str):
        self.how = self.name = how
    def value(self):
        WAYS[self.how]()
        return 2.5

class Of(Base):
    def compare(self, original, reconstruction):
        return self.value()

class Alone(Base):
    def score(self, image):
        return self.value()

class Features(Base):
    distance = "frechet"
    def features(self, image):
        return [self.value(), image.mean()]
"""


def test_measuring_ends_in_one_line_whatever_a_metric_does(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / "yours.py").write_text(IMAGES)
    assert run("run", more=("--keep-reconstructions",)) == 0
    before = {path.name: path.read_bytes() for path in (work / "run").iterdir() if path.is_file()}
    for metric, reason in (
        ("Of:how=crash", "a: crash: the process ended in it: signal 11 (SIGSEGV) (yours.py:4 in <lambda>)"),
        ("Features:how=kill", "a: kill: the process ended in it: signal 9 (SIGKILL), perhaps for want of memory"),
        ("Alone:how=hang", "a: hang: the process ended in it: no end after 5 seconds; it was killed (yours.py:5 in"),
    ):
        capsys.readouterr()
        words = (
            "--metric",
            f"./yours.py:{metric}",
            "--metric",
            "psnr-y",
            *(("--time-limit", "5") if "hang" in metric else ()),
        )
        assert call("measure", "run", *words) == 3
        assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {reason}")
        assert {path.name: path.read_bytes() for path in (work / "run").iterdir() if path.is_file()} == before
    words = [f"--metric=./yours.py:{name}:how=fine" for name in ("Of", "Features", "Alone")]
    for word in words:
        kind = word.partition("py:")[2].partition(":")[0]
        (work / "yours.py").write_text(
            IMAGES.replace("self.how = self.name = how", f"self.how, self.name = how, {kind!r}")
        )
        assert call("measure", "run", word) == 0
    rows: Any = read_summary(work / "run").set_index(["metric", "aggregation"])["value"]
    assert rows.loc["Of"].tolist() == [2.5]
    assert rows.loc["Alone"].tolist() == [2.5, 2.5]
    assert rows.loc["Features"].notna().all()


@pytest.mark.slow
def test_an_interrupt_ends_a_summary_that_waits(work: Path) -> None:
    words = ["run", "--only", "--codec", "jpeg", "--quality", "30", "--dataset", "images", "--workers", "1"]
    line = [sys.executable, "-m", "benchmark", *words, "--metric", "./mine.py:D:how=hang", "--output", "run"]
    (work / "mine.py").write_text(METRIC.replace("time.sleep(1000)", "(Path('begun').touch(), time.sleep(1000))"))
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    while not (work / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert RunFolder.open(work / "run").manifest.status == "complete"
