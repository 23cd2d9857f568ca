"""Many starts of a command or a program, each in a process of its own, that import once: a copy of one that waits.

`Zygote.start` gives a process whose streams, folder and variables are what a test says, and which can be killed. Run as
a script, this file is the one that waits: it imports the modules that its arguments name, and forks for each line of
JSON that it reads, before it has any thread and before it has computed anything.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]

BEGINNING = dict(os.environ)
"""The environment before any test: the one who waits outlives the test that first asks for it."""

COMMANDS = (
    "pandas",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "benchmark.cli.main",
    "benchmark.cli.runs",
    "benchmark.reports.outcome",
    "benchmark.reports.page.report",
    "benchmark.reports.comparison",
    "benchmark.reports.exports.tables",
    "benchmark.reports.exports.junit",
    "benchmark.reports.history",
    "benchmark.analysis.history",
    "benchmark.running.run",
    "benchmark.running.remeasure",
    "benchmark.running.single",
    "benchmark.analysis.inputs",
    "benchmark.analysis.tabulation",
    "benchmark.baselines.classical",
    "benchmark.cli.terminal",
    "benchmark.datasets.archives",
    "benchmark.reports.page.study",
    "benchmark.reports.paper_tables",
    "rich.console",
)
"""What commands import."""

CODING = ("torch._dynamo", "compressai.zoo", "benchmark.training.loop")
"""What programs import that code with networks or train them; not `benchmark.hfd`, whose tables some change first."""

Stream = str | None
"""A file, opened for appending; or None for a descriptor that is closed."""


@dataclass
class Started:
    """A process; `wait` gives its exit code, negative for the signal that killed it."""

    zygote: "Zygote"
    pid: int

    def wait(self, timeout: float = 120) -> int:
        code = self.zygote.ask({"do": "wait", "pid": self.pid, "seconds": timeout})["code"]
        if code is None:
            self.kill()
            raise AssertionError(f"it did not end within {timeout:g} seconds")
        return int(code)

    def running(self) -> bool:
        return self.zygote.ask({"do": "wait", "pid": self.pid, "seconds": 0})["code"] is None

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kills the whole group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.signal(signal.SIGKILL)


class Zygote:
    def __init__(self, modules: Sequence[str] = COMMANDS) -> None:
        path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
        self.variables = BEGINNING | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=TESTS.parent,
            env=self.variables,
            text=True,
        )
        self.ask({"do": "nothing"})

    def ask(self, job: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def start(
        self,
        *arguments: str,
        folder: Path,
        out: Stream = "out",
        err: Stream = "err",
        into: Stream = os.devnull,
        encoding: str = "utf-8",
        variables: Mapping[str, str | None] | None = None,
        script: str | None = None,
    ) -> Started:
        """Starts the command line `arguments` in `folder`, or `script`, a Python program with these arguments.

        out, err: where its streams go, relative to `folder`. into: standard input. variables: of its environment; None
        takes one away. OMP_NUM_THREADS among them is the number of torch's threads too.
        """
        job = {
            "do": "start",
            "arguments": arguments,
            "folder": str(folder),
            "streams": [into, out, err],
            "encoding": encoding,
            "variables": dict(variables or {}),
            "script": script,
        }
        return Started(self, self.ask(job)["pid"])

    def run(self, *arguments: str, folder: Path, **more: Any) -> tuple[int, str, str]:
        """Exit code, standard output and error of a command from start to end, the two as files `out` and `err`."""
        for name in ("out", "err"):
            (folder / name).unlink(missing_ok=True)
        code = self.start(*arguments, folder=folder, **more).wait()
        out, err = (_text(folder / name) for name in ("out", "err"))
        return code, out, err

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@cache
def commands() -> Zygote:
    """That of commands, for all tests of this process."""
    zygote = Zygote()
    atexit.register(zygote.close)
    return zygote


class Process:
    """A process with pipes for its output, which is used as one of `subprocess.Popen` is."""

    def __init__(self, zygote: Zygote, *arguments: str, folder: Path, **more: Any) -> None:
        """See `Zygote.start`."""
        self.returncode: int | None = None
        with tempfile.TemporaryDirectory() as place:
            pipes = [Path(place) / name for name in ("out", "err")]
            ends = []
            for pipe in pipes:
                os.mkfifo(pipe)
                ends.append(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
            self._started = zygote.start(*arguments, folder=folder, out=str(pipes[0]), err=str(pipes[1]), **more)
        for end in ends:
            os.set_blocking(end, True)
        self.stdout, self.stderr = (os.fdopen(end, encoding="utf-8", errors="replace") for end in ends)
        self.pid = self._started.pid

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        if self.returncode is None:
            self.returncode = self._started.wait()
        return self.returncode

    def poll(self) -> int | None:
        if self.returncode is None and not self._started.running():
            self.returncode = self._started.wait()
        return self.returncode

    def communicate(self, timeout: float = 600) -> tuple[str, str]:
        """All that it still says, and waits for it."""
        said = ["", ""]

        def read(number: int, stream: Any) -> None:
            with stream:
                said[number] = stream.read()

        readers = [
            threading.Thread(target=read, args=each, daemon=True) for each in enumerate((self.stdout, self.stderr))
        ]
        for reader in readers:
            reader.start()
        end = time.monotonic() + timeout
        for reader in readers:
            reader.join(max(0.0, end - time.monotonic()))
            if reader.is_alive():
                self._started.kill()
                raise AssertionError(f"it did not end within {timeout:g} seconds")
        self.returncode = self._started.wait()
        return said[0], said[1]

    def send_signal(self, number: int) -> None:
        self._started.signal(number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextlib.contextmanager
def a_zygote(modules: Sequence[str] = COMMANDS) -> Iterator[Zygote]:
    zygote = Zygote(modules)
    try:
        yield zygote
    finally:
        zygote.close()


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "backslashreplace") if path.is_file() else ""


def _serve() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch, about the way in which CompressAI compiles functions
        for module in sys.argv[1:]:
            importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a copy touches none of it
    ended: dict[int, int] = {}
    commands, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    for number in (commands.fileno(), answers.fileno()):
        os.set_inheritable(number, False)
    for line in commands:
        job = json.loads(line)
        answer: dict[str, Any] = {}
        if job["do"] == "start":
            opened, opens = os.pipe()
            pid = os.fork()
            if not pid:
                for number in (commands.fileno(), answers.fileno(), opened):
                    os.close(number)
                _begin(job, opens)
                return
            os.close(opens)
            os.read(opened, 1)  # until its streams are there
            os.close(opened)
            answer = {"pid": pid}
        elif job["do"] == "wait":
            answer = {"code": _wait(job["pid"], job["seconds"], ended)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _wait(pid: int, seconds: float, ended: dict[int, int]) -> int | None:
    end = time.monotonic() + seconds
    while pid not in ended:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            ended[pid] = os.waitstatus_to_exitcode(status)
        elif time.monotonic() > end:
            return None
        else:
            time.sleep(0.002)
    return ended[pid]


def _begin(job: dict[str, Any], opens: int) -> None:
    """Makes this process what a shell would have made it, and starts the command. opens: closed once it is that."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts the tests behind it has it ignored
    os.chdir(job["folder"])
    for name, value in job["variables"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    threads = job["variables"].get("OMP_NUM_THREADS")
    if threads is not None and "torch" in sys.modules:  # which read it when it was loaded
        sys.modules["torch"].set_num_threads(int(threads))
    sys.stdin = sys.stdout = sys.stderr = None
    for number, name in enumerate(job["streams"]):
        os.close(number)
        if name is not None:
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
            opened = os.open(name, flags, 0o644)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
            errors = "backslashreplace" if number == 2 else "strict"
            mode = "r" if number == 0 else "w"
            stream = open(number, mode, encoding=job["encoding"], errors=errors, closefd=False)  # noqa: SIM115
            setattr(sys, ("stdin", "stdout", "stderr")[number], stream)
    os.close(opens)
    sys.argv = ["benchmark", *job["arguments"]]
    _run(job["script"])


def _run(script: str | None) -> None:
    """Ends the process as Python does, but for taking its modules apart, which takes seconds."""
    code: Any = 0
    try:
        if script is None:
            runpy.run_module("benchmark", run_name="__main__")
        else:
            exec(compile(script, "<script>", "exec"), {"__name__": "script"})
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except OSError:
                code = 120  # as Python says
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    _serve()
