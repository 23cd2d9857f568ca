"""Whether a large run stays as fast and as small as it begins: images that are drawn, `jpeg`, PSNR and fd-effnet.

`python -m benchmark studies scale --images 30000` makes the images, codes them and prints, for each tenth of the trials
of this start, seconds and memory; at the end what the summary takes, and how many files the run has. With `-o FOLDER`
images and run stay there, and a later start goes on where one was stopped, after `--minutes` for instance: the table in
FOLDER has all tenths that were done in one go. Seconds are of the CPU, of this process and its workers, beside those by
the clock; memory is what they have for themselves, and a share of what they have in common. Needs /proc: Linux.
"""

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import make_folder
from benchmark.reports.outcome import sum_up
from benchmark.running.interruption import Stop
from benchmark.running.run import Request, Run, open_run

SIDE = 256
PARTS = 10
TABLE, IMAGES, RUN = "scale.csv", "images", "run"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Part:
    """Of a run, the trials from number `first` to before `end`: what one of them took, and memory after the last.

    seconds: by the clock; cpu_seconds: of all processes. One that was not done in one go is not there.
    """

    images: int
    first: int
    end: int
    seconds: float
    cpu_seconds: float
    megabytes: float

    NAMES: ClassVar = ("images", "first", "end")


@dataclass(frozen=True)
class Ending:
    """What comes after the trials: seconds of summary and plots, the process's peak memory; the run folder's files."""

    seconds: float
    cpu_seconds: float
    megabytes: float
    files: int
    folder_megabytes: float


def draw_images(folder: Path, count: int) -> None:
    """Writes `0.jpg` and so on, SIDE×SIDE, each another; those that are there stay."""
    make_folder(folder)
    for number in range(count):
        path = folder / f"{number}.jpg"
        if path.exists():
            continue
        draw = np.random.default_rng(number)
        coarse = Image.fromarray(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = smooth + draw.integers(-12, 13, (SIDE, SIDE, 1), dtype=np.int16)
        partial = folder / f".{number}.partial"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(partial, format="JPEG", quality=90)
        partial.replace(path)


def measure(
    images: int, folder: Path, workers: int, metrics: tuple[str, ...], minutes: float | None = None
) -> Iterator[Part]:
    """Each part of the run in `folder` as it is done; the run goes on where it was.

    Raises BenchmarkError if a trial fails, and where the run was stopped after `minutes`: the same call goes on.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        raise UsageError("studies scale reads what processes take from /proc, which this system does not have")
    if images < PARTS:
        raise UsageError(f"--images {images}: at least {PARTS}")
    until = None if minutes is None else time.monotonic() + 60 * minutes
    draw_images(folder / IMAGES, images)
    request = Request(
        codecs=["jpeg"],
        only=True,
        dataset=str(folder / IMAGES),
        qualities=["50"],
        metrics=metrics,
        output=folder / RUN,
        workers=workers,
    )
    with open_run(request) as run:
        if run.done + len(run.trials) != images:
            raise UsageError(f"{folder}: holds other images than the {images} that are asked for; name another folder")
        yield from _parts(run, images, max(PARTS, images - workers), until)


def _parts(run: Run, images: int, counted: int, until: float | None) -> Iterator[Part]:
    """counted: trials that are divided into parts; by the last ones a worker has ended, and its seconds are gone."""
    edges = {counted * part // PARTS: counted * (part + 1) // PARTS for part in range(PARTS)}
    done, stop = run.done, Stop()
    first, began = done, (time.perf_counter(), _cpu_seconds())
    try:
        with contextlib.closing(run.execute(stop)) as trials:
            for trial in trials:
                if trial.error is not None:
                    raise BenchmarkError(f"{trial.image}: {trial.error}")
                done += 1
                if done in edges or done == counted:
                    seconds, cpu = time.perf_counter(), _cpu_seconds()
                    if edges.get(first) == done:
                        each = done - first
                        yield Part(
                            images, first, done, (seconds - began[0]) / each, (cpu - began[1]) / each, _megabytes()
                        )
                    first, began = done, (time.perf_counter(), _cpu_seconds())
                if until is not None and time.monotonic() > until:
                    stop.asked = True
    except KeyboardInterrupt:
        if not stop.asked:
            raise
        raise BenchmarkError(f"stopped after {done} of {images} trials; the same command goes on") from None


def end(folder: Path) -> Ending:
    """Sums the complete run in `folder` up."""
    from benchmark.results import RunFolder

    start, cpu = time.perf_counter(), time.process_time()
    sum_up(RunFolder.open(folder / RUN))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sizes = [path.stat().st_size for path in (folder / RUN).rglob("*") if path.is_file()]
    return Ending(seconds, cpu, peak, len(sizes), sum(sizes) / 2**20)


def lines(parts: Iterator[Part], folder: Path) -> Iterator[str]:
    """A line a part, as it is done; then the last of them over the second, the ending, the files.

    The first part has the start of the processes and what every network's first calls cost.
    """
    yield f"{'trials':>15} {'s each':>8} {'CPU s each':>11} {'MB':>7}"
    found = []
    for part in parts:
        found.append(part)
        yield f"{part.first:>7}-{part.end:>7} {part.seconds:8.4f} {part.cpu_seconds:11.4f} {part.megabytes:7.0f}"
    if len(found) > 2 and found[1].cpu_seconds > 0:  # the clock of processes ticks a hundred times a second
        early, late = found[1], found[-1]
        yield (
            f"trials {late.first}-{late.end} over {early.first}-{early.end}: "
            f"{late.cpu_seconds / early.cpu_seconds:.3f} CPU, {late.seconds / early.seconds:.3f} by the clock, "
            f"{late.megabytes - early.megabytes:+.0f} MB"
        )
    ending = end(folder)
    yield f"summary and plots: {ending.seconds:.1f} s, CPU {ending.cpu_seconds:.1f} s, peak {ending.megabytes:.0f} MB"
    yield f"run folder: {ending.files} files, {ending.folder_megabytes:.0f} MB"


def _family() -> list[int]:
    """This process and those that come from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (found := _stat(int(entry.name))) is not None:
            parents.setdefault(int(found[1]), []).append(int(entry.name))
    family = [os.getpid()]
    for one in family:
        family += parents.get(one, [])
    return family


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat after the name; None if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _cpu_seconds() -> float:
    """Of all of the family that are there."""
    found = [stat for pid in _family() if (stat := _stat(pid)) is not None]
    return sum(int(stat[11]) + int(stat[12]) for stat in found) / _TICKS


def _megabytes() -> float:
    """Proportional set size of the family."""
    total = 0
    for pid in _family():
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024
