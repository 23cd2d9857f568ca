"""Runs that are killed at random moments and started again, until they end: nothing lost, nothing twice, no false end.

The default tries a few kills; `HFD_KILLS=200 pytest -s -m slow tests/attacks/test_kills.py` tries so many in all. The
kills of a run and their moments come from its seed, which a failure names; `HFD_KILLS_SEED` is the first.
"""

import json
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from support.small_runs import EVALUATE, IN_SHARDS, RUN, assert_equal, is_complete, lines, prepare
from support.zygote import Started, Zygote

pytestmark = pytest.mark.long

STARTS: dict[str, tuple[str, ...]] = {
    "local, 1 worker": (*RUN, "--workers", "1"),
    "local, 2 workers": (*RUN, "--workers", "2"),
    "ray": (*RUN, "--executor", "ray", "--workers", "2"),
    "evaluate": (),
    "evaluate, in shards": (),
}
PATIENCE = {"ray": 180}
"""Seconds until what a run has started is gone: Ray's agents notice by themselves, and late on a busy machine."""
KINDS = ("SIGKILL group", "SIGKILL parent", "SIGKILL child", "SIGTERM", "SIGINT", "SIGINT twice")


@dataclass(frozen=True)
class Material:
    """folder: what runs need. whole: start -> its run that nothing befell. seconds: that this took."""

    folder: Path
    whole: dict[str, Path] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory, zygote: Zygote) -> Material:
    found = Material(prepare(tmp_path_factory.mktemp("kills")))
    for start in ("local, 1 worker", "evaluate"):
        begun = time.monotonic()
        assert begin(zygote, start, found.folder, f"whole {start}").wait() == 0, (found.folder / "err").read_text()
        found.seconds[start] = time.monotonic() - begun
        found.whole[start] = found.folder / f"whole {start}"
    found.whole["local, 2 workers"] = found.whole["ray"] = found.whole["local, 1 worker"]
    found.whole["evaluate, in shards"] = found.whole["evaluate"]
    found.seconds["evaluate, in shards"] = found.seconds["evaluate"]
    found.seconds["local, 2 workers"] = found.seconds["local, 1 worker"]
    found.seconds["ray"] = 3 * found.seconds["local, 1 worker"]
    return found


def begin(zygote: Zygote, start: str, folder: Path, run: str) -> Started:
    (folder / "err").unlink(missing_ok=True)
    if start.startswith("evaluate"):
        before = IN_SHARDS if start.endswith("in shards") else ""
        return zygote.start(script=before + EVALUATE % (run, 1), folder=folder)
    return zygote.start(*STARTS[start], "--output", run, folder=folder)


@dataclass
class Told:
    """What the kills of a start have come to. late: those that came when it had ended."""

    kills: Counter[str] = field(default_factory=Counter)
    late: int = 0
    runs: int = 0


def strike(kind: str, started: Started, family: list[psutil.Process], rng: random.Random) -> None:
    if kind == "SIGKILL group":
        started.kill()
    elif kind == "SIGKILL parent":
        started.signal(signal.SIGKILL)
    elif kind == "SIGKILL child":
        if family:
            rng.choice(family).kill()
    elif kind == "SIGTERM":
        started.signal(signal.SIGTERM)
    else:
        started.signal(signal.SIGINT)
        if kind == "SIGINT twice":
            time.sleep(rng.uniform(0, 0.2))
            started.signal(signal.SIGINT)


def until_whole(zygote: Zygote, start: str, material: Material, seed: int, told: Told, most: int) -> None:
    """Starts a run again and again, and kills it up to `most` times, until it ends by itself; then checks all of it."""
    rng = random.Random(seed)
    run = material.folder / f"run {start} {seed}"
    kept: set[bytes] = set()
    for last in [False] * most + [True]:
        started = begin(zygote, start, material.folder, run.name)
        kind, family = "none", []
        if not last:
            kind = rng.choice(KINDS)
            wait_a_while(started, run, rng, material.seconds[start])
            family = descendants(started.pid)
            late = not started.running()
            if not late:
                strike(kind, started, family, rng)
            told.late += late
            told.kills[kind] += not late
        code = started.wait(300)
        errors = (material.folder / "err").read_text()
        where = (seed, kind, code, errors)
        if not start.startswith("evaluate"):  # in Python, errors are exceptions
            assert "Traceback" not in errors, where
        there = set(lines(run))
        assert kept <= there, where
        kept = {line for line in there if json.loads(line)["error"] is None}
        assert is_complete(run) or code, where
        gone(family, where, soon=PATIENCE.get(start, 60))
        if not code:
            break
    assert not code, where
    told.runs += 1
    assert_equal(run, material.whole[start])


def wait_a_while(started: Started, run: Path, rng: random.Random, seconds: float) -> None:
    """Until a random moment, of which as many are while the run starts as while it does its trials and its end."""
    before, place = len(lines(run)), rng.random()
    if place < 0.4:
        time.sleep(rng.uniform(0, seconds))
        return
    while started.running() and len(lines(run)) <= before:
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.3 if place < 0.7 else seconds / 2))


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def gone(family: list[psutil.Process], where: object, soon: float) -> None:
    """No process outlives its run: what it had started is gone `soon` after it."""
    _, alive = psutil.wait_procs(family, timeout=soon)
    names = []
    for one in alive:
        try:
            if one.status() != psutil.STATUS_ZOMBIE:
                names.append(one.cmdline())
        except psutil.NoSuchProcess:
            continue
    assert not names, where


def show(told: Told, start: str) -> None:
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(told.kills.items()))
    print(f"{start}: {sum(told.kills.values())} kills ({kinds}) of {told.runs} runs; {told.late} came late")


@pytest.mark.parametrize("start", ["local, 2 workers", "evaluate"])
def test_a_few_kills(start: str, zygote: Zygote, material: Material) -> None:
    told = Told()
    until_whole(zygote, start, material, 1, told, 3)
    show(told, start)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["raylet/raylet", "DashboardAgent", "gcs_server", "log_monitor"])
def test_a_part_of_ray_that_dies_does_not_keep_the_run_waiting(part: str, zygote: Zygote, material: Material) -> None:
    run = material.folder / f"run {part.replace('/', ' ')}"
    started = begin(zygote, "ray", material.folder, run.name)
    while started.running() and not lines(run):
        time.sleep(0.01)
    family = descendants(started.pid)
    for one in family:
        if part in " ".join(one.cmdline()[:1]):
            one.kill()
    code = started.wait(200)
    errors = (material.folder / "err").read_text()
    assert code in (0, 3), errors
    assert "Traceback" not in errors
    gone(family, errors, soon=PATIENCE["ray"])
    if code:
        again = begin(zygote, "ray", material.folder, run.name).wait(300)
        assert again == 0, (material.folder / "err").read_text()
    assert_equal(run, material.whole["ray"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "share"),
    [
        ("local, 1 worker", 0.3),
        ("local, 2 workers", 0.35),
        ("ray", 0.05),
        ("evaluate", 0.3),
        ("evaluate, in shards", 0.1),
    ],
)
def test_kills_at_random_moments(start: str, share: float, zygote: Zygote, material: Material) -> None:
    wanted = max(1, round(int(os.environ.get("HFD_KILLS", "200")) * share))
    told, seed = Told(), int(os.environ.get("HFD_KILLS_SEED", "1000"))
    while (done := sum(told.kills.values())) < wanted:
        until_whole(zygote, start, material, seed, told, min(6, wanted - done))
        seed += 1
    show(told, start)
