"""Starting processes for a codec to work in: their folders, their limits, and what became of each operation."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.audit.child import Job, Opened, Operation, Outcome, Trouble
from benchmark.errors import signal_name
from benchmark.fetching import cache_folder
from benchmark.strays import end_marked

CHILD = (sys.executable, "-m", "benchmark.audit.child")
SECONDS_TO_OPEN = 300.0
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
MOST_DEATHS = 25
"""A codec whose process has died so often is asked no more."""
MOST_HUNG, SECONDS_HUNG = 3, 60.0
"""Nor is one that has not answered so often, once that has cost so much time."""

MARK = "BENCHMARK_AUDIT"
"""Variable by which all that a codec has started is found, in whatever session and group it is by then."""


@dataclass(frozen=True)
class Surroundings:
    """What differs between the processes that a codec is put into.

    child: command that does a job. seconds: that an operation may take. memory: as in `Job`.
    """

    codec: str
    device: str = "cpu"
    threads: int = 1
    hash_seed: int = 0
    seconds: float = 300.0
    memory: int | None = None
    child: Sequence[str] = CHILD


@dataclass(frozen=True)
class Session:
    """What a codec did in one surrounding.

    outcomes: one an operation, in order. left_files: what lay in the fresh folders at the end. left_processes: whether
    a process that the codec had started was still there.
    """

    opened: Opened
    outcomes: Sequence[Outcome]
    left_files: Sequence[str] = ()
    left_processes: bool = False


def perform(
    surroundings: Surroundings, operations: Sequence[Operation], root: Path, outcomes: list[Outcome] | None = None
) -> Session:
    """Does `operations` in a fresh process, whose home, temporary and working folders are made in `root` and deleted.

    If the process dies or does not answer in time, the operation in hand is charged with it, and another process goes
    on with the next. Until the codec is open the working folder and HOME are the caller's, so that paths in the codec
    spec mean what they say. A codec that has not answered `MOST_HUNG` times is asked no more.

    outcomes: a list that they are added to, so that an interruption loses none of them.
    """
    outcomes = [] if outcomes is None else outcomes
    opened: Opened | None = None
    left_files: list[str] = []
    left_processes = False
    deaths = hung = 0
    while opened is None or len(outcomes) < len(operations):
        with _folders(root) as sandbox:
            try:
                lines, end = _run(surroundings, operations[len(outcomes) :], sandbox)
            except BaseException:
                outcomes += map(_outcome, _whole_lines(sandbox / "outcomes.jsonl")[1:])
                raise
            left_files += _files(sandbox, ("home", "temporary", "work"))
            left_processes |= end.left_processes
        if not lines:
            opened = opened or Opened(trouble=end.trouble)
            outcomes += [Outcome(trouble=end.trouble)] * (len(operations) - len(outcomes))
            break
        first = _opened(lines[0])
        opened = opened or first
        if first.trouble is not None:
            could_not = Trouble("opening", f"the codec cannot be opened: {first.trouble.message}")
            outcomes += [Outcome(trouble=could_not)] * (len(operations) - len(outcomes))
            break
        outcomes += map(_outcome, lines[1:])
        if len(outcomes) < len(operations):
            deaths += 1
            outcomes.append(Outcome(trouble=end.trouble))
            hung += end.trouble.kind == "hung"
            gone = None
            if hung >= MOST_HUNG and hung * surroundings.seconds >= SECONDS_HUNG:
                gone = Trouble("hung", f"not tried: {hung} times before there was no answer")
            elif deaths == MOST_DEATHS:
                gone = Trouble("died", f"not tried: the process has ended {deaths} times before")
            if gone is not None:
                outcomes += [Outcome(trouble=gone)] * (len(operations) - len(outcomes))
    return Session(opened, outcomes, left_files, left_processes)


@dataclass(frozen=True)
class _End:
    """How a process ended; `trouble` is what its unfinished operation is charged with."""

    trouble: Trouble
    left_processes: bool


def _run(surroundings: Surroundings, operations: Sequence[Operation], sandbox: Path) -> tuple[list[str], _End]:
    """The lines of outcomes of one process, and its end."""
    lifeline, held = os.pipe()
    job = Job(
        lifeline=lifeline,
        codec=surroundings.codec,
        device=surroundings.device,
        home=str(sandbox / "home"),
        work=str(sandbox / "work"),
        outcomes=str(sandbox / "outcomes.jsonl"),
        memory=surroundings.memory,
        operations=operations,
    )
    (sandbox / "job.json").write_text(json.dumps(asdict(job)), encoding="utf-8")
    outcomes = sandbox / "outcomes.jsonl"
    outcomes.touch()
    with (sandbox / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [*surroundings.child, str(sandbox / "job.json")],
            env=_environment(surroundings, sandbox),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            pass_fds=[lifeline],
        )
        os.close(lifeline)
        hung = False
        try:
            hung = not _wait(process, outcomes, surroundings.seconds)
        finally:
            left = _end_group(process)
            left |= end_marked(MARK, str(sandbox.parent), process.pid) and not hung
            os.close(held)
    lines = _whole_lines(outcomes)
    if hung:
        seconds = surroundings.seconds if lines else SECONDS_TO_OPEN
        return lines, _End(Trouble("hung", f"no answer within {seconds:g} s"), left)
    return lines, _End(Trouble("died", _death(process.returncode, sandbox / "errors")), left)


def _wait(process: "subprocess.Popen[bytes]", outcomes: Path, seconds: float) -> bool:
    """Whether the process ends by itself; False once it has written nothing for too long."""
    size = -1
    deadline = 0.0
    pause = 0.002
    while True:
        grown = outcomes.stat().st_size
        if grown != size:
            deadline = time.monotonic() + (seconds if grown else SECONDS_TO_OPEN)
            size = grown
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(pause)
            return True
        if time.monotonic() > deadline:
            return False
        pause = min(0.05, pause * 1.5)


def _end_group(process: "subprocess.Popen[bytes]") -> bool:
    """Ends the process and all that it started; whether it had ended and others were still there a second later."""
    left = process.poll() is not None and _outlives(process.pid, 1.0)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return left


def _outlives(group: int, seconds: float) -> bool:
    """Whether a process of `group` still runs after `seconds`: helpers of Python's own end soon after their parent."""
    end = time.monotonic() + seconds
    while _runs(group):
        if time.monotonic() > end:
            return True
        time.sleep(0.02)
    return False


def _runs(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    for path in Path("/proc").glob("[0-9]*/stat"):  # killpg counts zombies, which nobody may ever collect
        with contextlib.suppress(OSError):
            state, _, of_group = path.read_text(errors="replace").rpartition(")")[2].split()[:3]
            if int(of_group) == group and state not in "ZX":
                return True
    return False


def _environment(surroundings: Surroundings, sandbox: Path) -> dict[str, str]:
    """The caller's, with other folders and thread counts. Caches of weights stay where they are."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    caches = {
        "BENCHMARK_CACHE": str(cache_folder().absolute()),
        "TORCH_HOME": os.environ.get("TORCH_HOME") or str(cache / "torch"),
        "HF_HOME": os.environ.get("HF_HOME") or str(cache / "huggingface"),
    }
    return {
        **os.environ,
        **caches,
        **dict.fromkeys(THREAD_VARIABLES, str(surroundings.threads)),
        MARK: str(sandbox.parent),
        "TMPDIR": str(sandbox / "temporary"),
        "PYTHONHASHSEED": str(surroundings.hash_seed),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@contextlib.contextmanager
def _folders(root: Path) -> Iterator[Path]:
    sandbox = Path(tempfile.mkdtemp(dir=root, prefix="process-"))
    try:
        for name in ("home", "temporary", "work"):
            (sandbox / name).mkdir()
        yield sandbox
    finally:
        shutil.rmtree(sandbox, ignore_errors=True)


def _files(sandbox: Path, folders: Sequence[str]) -> list[str]:
    return sorted(
        path.relative_to(sandbox).as_posix()
        for name in folders
        for path in (sandbox / name).rglob("*")
        if path.is_file()
    )


def _whole_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def _death(code: int, errors: Path) -> str:
    how = f"signal {-code} ({signal_name(-code)})" if code < 0 else f"exit code {code}"
    last = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    return f"the process ended: {how}" + (f": {last[0].strip()}" if last and code >= 0 else "")


def _opened(line: str) -> Opened:
    fields = json.loads(line)
    return Opened(**fields | {"trouble": _trouble(fields)})


def _outcome(line: str) -> Outcome:
    fields = json.loads(line)
    return Outcome(**fields | {"trouble": _trouble(fields)})


def _trouble(fields: dict[str, dict[str, str] | None]) -> Trouble | None:
    trouble = fields["trouble"]
    return None if trouble is None else Trouble(**trouble)  # type: ignore[arg-type]
