"""Whole runs in processes of their own: killed, interrupted, with workers that die, and carried on."""

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.fake_benchmark import start
from support.pictures import write_pictures

from benchmark.results import RunFolder
from benchmark.running.backends import processes
from benchmark.running.run import Request, open_run
from benchmark.running.setup import device_of_worker, threads_per_process

RUN = ("run", "--codec", "slow", "--codec", "noisy", "--decoder-seeds", "0,1", "--metric", "psnr")
TRIALS = 3 * 2 * (1 + 2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), ["a.png", "b.png", "c.png"])


@pytest.fixture(scope="module")
def uninterrupted(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By a program from its beginning: its sets have another order than those of copies of one process."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    command = (*RUN, "--dataset", str(pictures), "--output", "run", "--workers", "1")
    finish(start(*command, folder=folder, before=lambda: None))
    return folder / "run"


def finish(process: "subprocess.Popen[str]", exit_code: int = 0) -> str:
    _, errors = process.communicate(timeout=600)
    assert process.returncode == exit_code, errors
    return errors


def lines(run: Path) -> int:
    path = run / "trials.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_lines(run: Path, count: int, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 600
    while lines(run) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


def records(run: Path) -> dict[Any, dict[str, Any]]:
    """The trials by key, timings and the reasons for their absence apart."""
    found = {}
    for line in (run / "trials.jsonl").read_text().splitlines():
        record = json.loads(line)
        for timing in ("encode_seconds", "decode_seconds"):
            record.pop(timing)
            record.pop(timing.replace("seconds", "repeats"))
            record["reasons"].pop(timing, None)
        key = (record["codec"], record["quality"], record["decoder_seed"], record["image"])
        assert key not in found
        found[key] = record
    return found


def test_a_codec_and_a_seed_are_added_and_what_is_there_is_not_done_again(
    pictures: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    one = ("run", "--only", "--codec", "slow", "--decoder-seeds", "1", "--metric", "psnr")
    rest = ("--dataset", str(pictures), "--output", "run", "--workers", "1")
    finish(start(*one, *rest, folder=tmp_path))
    before = (tmp_path / "run" / "trials.jsonl").read_bytes()
    assert "added to the run: noisy, decoder seed 0" in finish(start(*RUN, *rest, folder=tmp_path))
    assert (tmp_path / "run" / "trials.jsonl").read_bytes().startswith(before)
    assert records(tmp_path / "run") == records(uninterrupted)
    assert list(RunFolder.open(tmp_path / "run").manifest.codecs) == ["slow", "noisy"]
    assert "codecs: slow,noisy there, slow asked" in finish(start(*one, *rest, folder=tmp_path), 2)


def test_what_was_added_and_not_done_makes_a_run_incomplete(pictures: Path, tmp_path: Path) -> None:
    asked = Request(["jpeg"], True, str(pictures), ["50"], ["psnr"], output=tmp_path / "run", workers=1)
    with open_run(asked) as run:
        assert len(list(run.execute())) == 3
    assert RunFolder.open(tmp_path / "run").manifest.status == "complete"
    with open_run(replace(asked, codecs=["jpeg", "webp"])) as run:
        assert len(run.trials) == 3
    manifest = RunFolder.open(tmp_path / "run").manifest
    assert (manifest.status, manifest.finished) == ("interrupted", None)


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_killed_and_carried_on_equals_uninterrupted(
    workers: int, pictures: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    command = (*RUN, "--dataset", str(pictures), "--output", "run", "--workers", str(workers))
    command += ("--timing", "3") if workers == 1 else ()
    run = tmp_path / "run"
    for count in (1, 8):
        process = start(*command, folder=tmp_path)
        wait_for_lines(run, count, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kept = lines(run)
        assert count <= kept < TRIALS
        assert RunFolder.open(run).manifest.status == "running"
    with (run / "trials.jsonl").open("ab") as file:
        file.write(b'{"codec":"slow","quality":2.0,"deco')  # a kill in the middle of a line
    errors = finish(start(*command, folder=tmp_path))
    assert f"{kept} trials are there" in errors
    assert records(run) == records(uninterrupted)
    assert (run / "summary.csv").read_bytes() == (uninterrupted / "summary.csv").read_bytes()
    manifest = RunFolder.open(run).manifest
    assert manifest.status == "complete"
    assert len(manifest.resumptions) == 2
    assert not (run / ".partial").exists()
    for trial in RunFolder.open(run).trials():
        if workers == 1:
            assert trial.decode_seconds is not None
            assert trial.decode_seconds >= (0.05 if trial.codec == "slow" else 0)
            assert trial.decode_repeats is not None
            assert len(trial.decode_repeats) == 3
        else:
            assert trial.decode_seconds is None
            assert trial.reasons["decode_seconds"] == "not measured alone: 2 workers"


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_says_how_to_go_on(workers: int, pictures: Path, tmp_path: Path) -> None:
    process = start(*RUN, "--dataset", str(pictures), "--workers", str(workers), folder=tmp_path)
    while not (runs := list(tmp_path.glob("results/*"))):
        assert process.poll() is None
        time.sleep(0.005)
    wait_for_lines(runs[0], 2, process)
    process.send_signal(signal.SIGINT)
    errors = finish(process, 130)
    assert RunFolder.open(runs[0]).manifest.status == "interrupted"
    again = [line for line in errors.splitlines() if line.startswith("interrupted; to go on: python -m benchmark run")]
    assert len(again) == 1
    assert f"--output results/{runs[0].name}" in again[0]
    assert "Traceback" not in errors


def test_a_worker_that_dies_costs_its_trial_only(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "pictures", ["a.png", "c.png"])
    write_pictures(pictures, ["b.png"], corner=0)
    command = ("run", "--codec", "dies", "--only", "--metric", "bpp", "--dataset", "pictures", "--output", "run")
    errors = finish(start(*command, "--workers", "2", folder=tmp_path), 3)
    failed = [trial for trial in RunFolder.open(tmp_path / "run").trials() if trial.error is not None]
    assert [trial.image for trial in failed] == ["b", "b"]
    assert failed[0].error == (
        "the worker process ended during this trial: signal 9 (SIGKILL), perhaps for want of memory"
    )
    assert lines(tmp_path / "run") == 6
    assert "failed: b: the worker process ended" in errors

    # Mended, the same command does again what failed, and nothing else.
    write_pictures(pictures, ["b.png"], corner=0)
    errors = finish(start(*command, "--workers", "2", folder=tmp_path), 3)
    assert "2 of them failed and are done again" in errors
    assert "2 trials to do" in errors
    assert lines(tmp_path / "run") == 6


def test_numbers_beyond_what_there_is_to_do_and_the_system_counts(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", ["a.png"])
    command = ("run", "--codec", "noisy", "--only", "--metric", "bpp", "--dataset", "pictures", "--output", "run")
    finish(start(*command, "--workers", "9" * 22, "--time-limit", "1e300", folder=tmp_path))
    assert all(trial.error is None for trial in RunFolder.open(tmp_path / "run").trials())


def test_what_a_worker_cannot_open_ends_the_run(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", ["a.png"])
    errors = finish(
        start(
            *("run", "--codec", "tiny", "--only", "--metric", "psnr", "--dataset", "pictures"),
            *("--quality", "9", "--workers", "2"),
            folder=tmp_path,
        ),
        2,
    )
    assert errors.splitlines()[-1] == "error: tiny: quality 9 is not between 1 and 8"


def test_threads_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads_per_process(workers) for workers in (1, 2, 3, 16)] == [8, 4, 2, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert [threads_per_process(workers) for workers in (1, 4)] == [3, 2]


@pytest.mark.parametrize(
    ("device", "count", "expected"),
    [
        ("cuda", 3, ["cuda:0", "cuda:1", "cuda:2", "cuda:0"]),
        ("cuda", 1, ["cuda"] * 4),
        ("cuda:1", 3, ["cuda:1"] * 4),
        ("cpu", 3, ["cpu"] * 4),
    ],
)
def test_workers_of_one_machine_share_its_gpus(
    device: str, count: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    assert [device_of_worker(number, device) for number in range(4)] == expected


KNOWS_ITS_DEVICE = """
import numpy

class C:
    qualities = (1.0,)
    def __init__(self, device: str):
        self.device = device
    def encode(self, image, quality):
        return numpy.uint16(image.shape[:2]).tobytes() + self.device.encode()
    def decode(self, data):
        return numpy.zeros((*numpy.frombuffer(data[:4], numpy.uint16), 3), numpy.uint8)
"""


def test_each_worker_opens_its_codecs_on_its_own_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's name is in the stream: two workers, two lengths."""
    monkeypatch.setattr(processes, "device_of_worker", lambda number, device: ["cpu", "cpu:0"][number])
    (tmp_path / "c.py").write_text(KNOWS_ITS_DEVICE)
    images = write_pictures(tmp_path / "images", ["a.png", "b.png", "c.png", "d.png"])
    request = Request(
        codecs=[f"{tmp_path / 'c.py'}:C"], only=True, dataset=str(images), metrics=["bpp"], output=tmp_path / "run",
        workers=2, limit=4,
    )  # fmt: skip
    with open_run(request) as run:
        found = list(run.execute())
    assert [trial.error for trial in found] == [None] * 4
    assert {trial.bytes for trial in found} == {7, 9}
