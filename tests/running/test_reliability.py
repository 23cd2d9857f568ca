"""Runs under adverse conditions: what was written stays, every line is whole, and the run can go on."""

import errno
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.fake_benchmark import obey_modes, start
from support.pictures import write_pictures
from support.records import manifest, trial, with_hashes

from benchmark import load
from benchmark.analysis.summary import read_summary
from benchmark.errors import BenchmarkError
from benchmark.reports.outcome import sum_up
from benchmark.results import RunFolder
from benchmark.running.interruption import finishing_trials
from benchmark.running.run import Request, open_run

RUN = ("run", "--codec", "slow", "--codec", "noisy", "--metric", "bpp", "--dataset", "pictures", "--output", "run")
TRIALS = 4 * 2 * 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "pictures", ["a.png", "b.png", "c.png", "d.png"])
    return tmp_path


def finish(process: "subprocess.Popen[str]", exit_code: int = 0) -> str:
    _, errors = process.communicate(timeout=600)
    assert process.returncode == exit_code, errors
    assert "Traceback" not in errors, errors
    return errors


def whole_lines(run: Path) -> list[bytes]:
    """The lines of trials.jsonl; each is JSON, and nothing follows the last."""
    path = run / "trials.jsonl"
    content = path.read_bytes() if path.exists() else b""
    assert not content or content.endswith(b"\n")
    lines = content.splitlines()
    assert all(json.loads(line)["codec"] for line in lines)
    return lines


def wait_until(condition: Any, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 600
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


def without_times(lines: list[bytes]) -> set[str]:
    records = [json.loads(line) for line in lines]
    for record in records:
        record.update(encode_seconds=None, decode_seconds=None, reasons={})
    return {json.dumps(record, sort_keys=True) for record in records}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_twenty_times(workers: int, folder: Path) -> None:
    write_pictures(folder / "pictures", [f"{name}.png" for name in "efghijkl"])
    finish(start(*RUN[:-1], "whole", "--workers", "1", folder=folder))
    expected = without_times(whole_lines(folder / "whole"))
    run = folder / "run"
    rng = random.Random(workers)
    kept: list[bytes] = []
    killed = 0
    while killed < 20:
        process = start(*RUN, "--workers", str(workers), folder=folder)
        if killed % 2:  # while the run starts, and while trials are being done
            time.sleep(rng.uniform(0.1, 2))
        else:
            while process.poll() is None and len(whole_lines(run)) == len(kept):
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += 1
        lines = whole_lines(run)
        assert lines[: len(kept)] == kept  # nothing written is lost
        kept = lines
    finish(start(*RUN, "--workers", str(workers), folder=folder))
    assert without_times(whole_lines(run)) == expected
    assert RunFolder.open(run).manifest.status == "complete"
    assert (run / "summary.csv").read_bytes() == (folder / "whole" / "summary.csv").read_bytes()


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_disk_that_is_full(workers: int, folder: Path) -> None:
    process = start(*RUN, "--workers", str(workers), folder=folder)
    run = folder / "run"
    wait_until(lambda: whole_lines(run), process)
    full = (run / "trials.jsonl").stat().st_size + 100  # in the middle of a line
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (full, full))
    errors = finish(process, 3)
    assert "error: run/trials.jsonl: cannot be written: File too large" in errors
    assert "stopped; nothing written is lost; to go on: python -m benchmark run" in errors
    kept = whole_lines(run)
    assert 1 <= len(kept) < TRIALS
    assert not (run / ".partial").exists()
    finish(start(*RUN, "--workers", str(workers), folder=folder))
    assert whole_lines(run)[: len(kept)] == kept
    assert len(whole_lines(run)) == len(without_times(whole_lines(run))) == TRIALS


@pytest.mark.slow
def test_a_file_system_that_is_full(folder: Path) -> None:
    (folder / "small").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(folder / "small")]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        command = (*RUN[:-1], "small/run", "--keep-reconstructions", "--workers", "1")
        errors = finish(start(*command, folder=folder), 3)
        assert errors.splitlines()[-1].endswith("cannot be written: No space left on device")
        kept = whole_lines(folder / "small" / "run")
        assert 1 <= len(kept) < TRIALS
        subprocess.run(["mount", "-o", "remount,size=10m", str(folder / "small")], check=True)
        finish(start(*command, folder=folder))
        assert whole_lines(folder / "small" / "run")[: len(kept)] == kept
        assert len(without_times(whole_lines(folder / "small" / "run"))) == TRIALS
    finally:
        subprocess.run(["umount", str(folder / "small")], check=True)


def test_an_append_that_fails_leaves_no_part(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", manifest())
    run.append(trial(quality=1))
    before = (run.path / "trials.jsonl").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 1, 100):
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, limits[1]))
        try:
            with pytest.raises(BenchmarkError, match=os.strerror(errno.EFBIG)):
                run.append(trial(quality=2.5))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (run.path / "trials.jsonl").read_bytes() == before
    run.append(trial(quality=2.5))
    assert [one.quality for one in RunFolder.open(run.path).trials()] == [1, 2.5]


def test_records_that_were_replaced_stay_until_they_are_dropped(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", manifest())
    for one in (trial(error="bad"), trial(quality=2.5), trial()):
        run.append(one)
    assert [one.error for one in run.trials()] == [None, None]
    assert len(whole_lines(run.path)) == 3
    run.drop_replaced()
    assert len(whole_lines(run.path)) == 2
    assert RunFolder.open(run.path).trials() == [trial(), trial(quality=2.5)]


def test_a_run_whose_only_line_is_torn_begins_anew(folder: Path) -> None:
    run = RunFolder.create(folder / "run", manifest())
    (run.path / "trials.jsonl").write_bytes(b'{"codec":"slo')
    again = RunFolder.create(run.path, manifest())
    again.append(trial())
    assert again.trials() == [trial()]


def test_output_that_cannot_be_written(folder: Path) -> None:
    (folder / "locked").mkdir(mode=0o555)
    errors = finish(start(*RUN[:-1], "locked/run", "--workers", "1", folder=folder, before=obey_modes), 3)
    assert errors.splitlines()[-1] == "error: locked/run: cannot be written: Permission denied"


def test_a_run_folder_that_has_become_read_only(folder: Path) -> None:
    RunFolder.create(folder / "run", manifest()).append(trial())
    before = (folder / "run" / "trials.jsonl").read_bytes()
    (folder / "run" / "trials.jsonl").chmod(0o444)
    (folder / "run").chmod(0o555)
    errors = finish(start(*RUN, "--workers", "1", folder=folder, before=obey_modes), 3)
    assert errors.splitlines()[-1] == "error: run: cannot be written: Permission denied"
    assert (folder / "run" / "trials.jsonl").read_bytes() == before


def test_a_picture_that_cannot_be_read(folder: Path) -> None:
    (folder / "pictures" / "b.png").chmod(0)
    errors = finish(start(*RUN, "--workers", "1", folder=folder, before=obey_modes), 3)
    assert "pictures/b.png" in errors.splitlines()[-1]
    assert "Permission denied" in errors.splitlines()[-1]


@pytest.mark.slow
def test_pictures_that_vanish_during_the_run(folder: Path) -> None:
    process = start(*RUN, "--workers", "1", folder=folder)
    wait_until(lambda: whole_lines(folder / "run"), process)
    (folder / "pictures" / "d.png").rename(folder / "d.png")
    errors = finish(process, 3)
    assert "failed: d: pictures/d.png: no such file (4 trials)" in errors
    assert len(whole_lines(folder / "run")) == TRIALS
    (folder / "d.png").rename(folder / "pictures" / "d.png")
    errors = finish(start(*RUN, "--workers", "1", folder=folder))
    assert "4 of them failed and are done again" in errors
    assert len(whole_lines(folder / "run")) == TRIALS  # the failures have been replaced


def test_killed_between_the_last_trial_and_the_manifest(folder: Path) -> None:
    data, output = str(folder / "pictures"), folder / "run"
    request = Request(["jpeg"], only=True, dataset=data, qualities=["5"], metrics=["bpp"], output=output)
    with open_run(request) as run:
        assert len(list(run.execute())) == 4
        run.folder.write_manifest(run.folder.manifest.model_copy(update={"status": "running", "finished": None}))
    with open_run(request) as run:
        assert list(run.execute()) == []
    there = RunFolder.open(folder / "run").manifest
    assert there.status == "complete"
    assert there.finished is not None


def test_killed_between_the_last_trial_and_the_summary(folder: Path) -> None:
    """A summary of fewer trials than a complete run has is never taken for the run's."""
    data, output = str(folder / "pictures"), folder / "run"
    request = Request(["jpeg"], only=True, dataset=data, qualities=["5"], metrics=["bpp"], output=output)
    with open_run(request) as run:
        list(run.execute())
        sum_up(run.folder, draw=False)
    assert set(read_summary(output)["codec"]) == {"jpeg"}
    more = replace(request, codecs=["jpeg", "webp"])
    with open_run(more) as run:
        list(run.execute())
    assert RunFolder.open(output).manifest.status == "complete"
    for read in (read_summary, load):
        with pytest.raises(BenchmarkError, match=r"trials\.jsonl: has changed since the run was summed up"):
            read(output)
    with open_run(more) as run:
        assert list(run.execute()) == []
        sum_up(run.folder, draw=False)
    assert set(read_summary(output)["codec"]) == {"jpeg", "webp"}
    (output / "leave-one-out.json").unlink()  # as in older runs
    assert set(read_summary(output)["codec"]) == {"jpeg", "webp"}


def test_the_second_of_two_runs_is_refused(folder: Path) -> None:
    codec = f"waits:folder={folder},seconds=2"
    first = start(*RUN, "--codec", codec, "--workers", "1", folder=folder)
    wait_until(lambda: whole_lines(folder / "run"), first)
    errors = finish(start(*RUN, "--codec", codec, "--workers", "1", folder=folder), 3)
    assert errors.splitlines()[-1].startswith("error: run: another process is writing this run: process ")
    before = len(whole_lines(folder / "run"))
    wait_until(lambda: len(whole_lines(folder / "run")) > before, first)  # the first goes on
    first.kill()
    first.communicate()


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_ctrl_c_finishes_the_trial_in_hand(workers: int, folder: Path) -> None:
    codec = f"waits:folder={folder},seconds=1"
    command = ("run", "--codec", codec, "--only", "--metric", "bpp", "--dataset", "pictures", "--output", "run")
    process = start(*command, "--workers", str(workers), folder=folder)
    wait_until(lambda: len(list(folder.glob("decoding-*"))) >= 2, process)
    process.send_signal(signal.SIGINT)
    errors = finish(process, 130)
    begun = len(list(folder.glob("decoding-*")))
    assert len(whole_lines(folder / "run")) == begun < 8
    assert "finishing the trial in hand; Ctrl-C again stops at once" in errors
    assert "interrupted; to go on: python -m benchmark run --codec waits" in errors
    assert RunFolder.open(folder / "run").manifest.status == "interrupted"


@pytest.mark.parametrize("ignored", [False, True])
def test_a_second_ctrl_c_stops_at_once(folder: Path, ignored: bool) -> None:
    """Also where a shell has started the run in the background, with Ctrl-C ignored."""
    codec = f"waits:folder={folder},seconds=3600"  # longer than `finish` waits
    command = ("run", "--codec", codec, "--only", "--metric", "bpp", "--dataset", "pictures", "--output", "run")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    try:  # a program from its beginning, which inherits whether Ctrl-C is ignored
        process = start(*command, "--workers", "2", folder=folder, before=lambda: None)
    finally:
        signal.signal(signal.SIGINT, before)
    wait_until(lambda: list(folder.glob("decoding-*")), process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    heard = ""
    while "Ctrl-C again stops at once" not in heard:  # two signals that come before it is heard are one
        heard += process.stderr.readline()
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    finish(process, 130)
    assert whole_lines(folder / "run") == []


def test_ctrl_c_is_what_it_was_afterwards() -> None:
    # a shell's background job ignores Ctrl-C, and so would this test
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _ctrl_c_twice()
    finally:
        signal.signal(signal.SIGINT, previous)


def _ctrl_c_twice() -> None:
    before = signal.getsignal(signal.SIGINT)
    told = []
    with finishing_trials(lambda: told.append(True)) as stop:
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked
        assert told == [True]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_byte_string_that_lies_about_its_length_is_refused(tmp_path: Path) -> None:
    from support.cheating_codecs import LyingLength

    from benchmark.results import CodecRecord
    from benchmark.running.measurement import Instruments, Workbench
    from benchmark.running.plan import PlannedTrial

    write_pictures(tmp_path, ["a.png"])
    record = CodecRecord(label="c", qualities=[4], stochastic=False, description={})
    folder = RunFolder.create(tmp_path / "run", with_hashes(tmp_path, manifest(codecs={"c": record})))
    workbench = Workbench(folder, {"c": LyingLength()}, Instruments({}, {}), False, "not now")
    assert workbench.measure(PlannedTrial("c", 4, None, "a", tmp_path / "a.png")).error == (
        "encode returned ShortBytes, not bytes"
    )
