"""A run folder that is elsewhere, or may not be written, and clocks that go backwards."""

import datetime
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.small_runs import EVALUATE, assert_equal, files, lines, prepare
from support.zygote import Zygote

from benchmark.analysis import history
from benchmark.analysis.baseline import baseline_of_run
from benchmark.results import RunFolder

pytestmark = pytest.mark.long

HERE = (
    "run", "--codec", "jpeg", "--codec", "webp", "--quality", "20,90", "--metric", "psnr", "--metric",
    "./toy.py:Colours", "--dataset", "pictures", "--keep-reconstructions", "--workers", "1",
)  # fmt: skip
TRIALS = 12


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory, zygote: Zygote) -> Path:
    folder = prepare(tmp_path_factory.mktemp("places"))
    assert zygote.run(*HERE, "--output", "whole", folder=folder)[0] == 0
    assert zygote.run("baseline", "whole", "-o", "whole.json", folder=folder)[0] == 0
    return folder


@pytest.fixture
def read_only(material: Path) -> Iterator[Path]:
    """The run once more, where nothing can be written."""
    place = material / "read-only"
    place.mkdir(exist_ok=True)
    if (
        shutil.which("mount") is None
        or subprocess.run(["mount", "--bind", str(material / "whole"), str(place)], capture_output=True).returncode
    ):
        pytest.skip("no file system may be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_run_that_was_moved_is_the_same_run(zygote: Zygote, material: Path, tmp_path: Path) -> None:
    place = prepare(tmp_path / "another machine")
    shutil.copytree(material / "whole", place / "moved")
    half = lines(place / "moved")[:5]
    code, _, errors = zygote.run("compare", str(material / "whole.json"), "moved", "--strict", folder=place)
    assert code == 0, errors
    assert zygote.run("baseline", "moved", "-o", "moved.json", folder=place)[0] == 0
    assert (place / "moved.json").read_bytes() == (material / "whole.json").read_bytes()
    assert zygote.run("report", "moved", "--no-maps", "-o", "page", folder=place)[0] == 0
    (place / "moved" / "trials.jsonl").write_bytes(b"".join(half))  # as if it had been stopped there
    code, _, errors = zygote.run(*HERE, "--output", "moved", folder=place)
    assert code == 0, errors
    assert "7 trials to do" in errors
    assert_equal(place / "moved", material / "whole", TRIALS)


@pytest.mark.parametrize(
    "command",
    [
        ("explain", "read-only"),
        ("compare", "read-only", "whole", "--strict"),
        ("bd", "read-only", "--anchor", "jpeg", "--resamples", "100"),
        ("images", "read-only", "--point", "jpeg=20"),
        ("table", "read-only"),
        ("baseline", "read-only", "-o", "o/b.json"),
        ("export", "read-only", "--format", "csv", "-o", "o/a.csv"),
        ("plot", "read-only", "--output", "o/plots"),
        ("report", "read-only", "--no-maps", "-o", "o/page"),
    ],
    ids=lambda command: command[0],
)
def test_what_only_reads_a_run_needs_no_leave_to_write_there(
    command: tuple[str, ...], zygote: Zygote, material: Path, read_only: Path
) -> None:
    shutil.rmtree(material / "o", ignore_errors=True)
    code, _, errors = zygote.run(*command, folder=material)
    assert code == 0, errors


@pytest.mark.parametrize(
    "command",
    [
        (*HERE, "--output", "read-only"),
        ("measure", "read-only", "--metric", "./toy.py:Contrast"),
        ("plot", "read-only", "--metric", "psnr"),
        ("export", "read-only", "--format", "csv"),
    ],
    ids=lambda command: command[0],
)
def test_what_writes_there_is_one_line(
    command: tuple[str, ...], zygote: Zygote, material: Path, read_only: Path
) -> None:
    before = files(material / "whole")
    code, _, errors = zygote.run(*command, folder=material)
    assert code == 3, errors
    assert errors.splitlines()[-1].startswith("error: read-only"), errors
    assert errors.splitlines()[-1].endswith("Read-only file system"), errors
    assert "Traceback" not in errors
    assert files(material / "whole") == before


BACKWARDS = """
import time
from benchmark.running import manifest
hour = [12]
def now():
    hour[0] -= 1
    return f"2020-01-01T{hour[0]:02}:00:00+00:00"
manifest.now = now
import benchmark.running.run
benchmark.running.run.now = now
time.time = lambda: 1e9 - 3600 * hour[0]
"""


def test_a_clock_that_is_set_back_in_a_run_and_between_its_starts(zygote: Zygote, material: Path) -> None:
    script = EVALUATE % ("backwards", 1)
    assert zygote.run(script=EVALUATE % ("forwards", 1), folder=material)[0] == 0
    code, _, errors = zygote.run(script=BACKWARDS + script, folder=material)
    assert code == 0, errors
    run = material / "backwards"
    content = run / "trials.jsonl"
    content.write_bytes(b"".join(lines(run)[:7]))
    code, _, errors = zygote.run(script=BACKWARDS + "hour[0] = 6\n" + script, folder=material)
    assert code == 0, errors
    assert_equal(run, material / "forwards")
    there = RunFolder.open(run).manifest
    assert there.finished is not None
    assert there.finished < there.started  # what the clock said stands there; nothing is reckoned from it
    assert len(there.resumptions) == 1


def test_the_order_of_a_history_is_that_of_its_lines(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = baseline_of_run(RunFolder.open(material / "whole"))

    class Clock(datetime.datetime):
        hour_now = 12

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Clock":
            cls.hour_now -= 1
            return cls(2020, 1, 1, cls.hour_now, tzinfo=tz)

    monkeypatch.setattr(history.datetime, "datetime", Clock)
    for commit in ("first", "second", "third"):
        history.add_entry(tmp_path / "h.jsonl", numbers, commit)
    entries = history.read_entries(tmp_path / "h.jsonl")
    assert [entry.commit for entry in entries] == ["first", "second", "third"]
    assert [entry.added for entry in entries] == sorted((entry.added for entry in entries), reverse=True)
