"""The trials in worker processes on this machine; each record is handed on as soon as it is there."""

import contextlib
import ctypes
import faulthandler
import hashlib
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import traceback
import types
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any, cast

from benchmark.codecs import CODECS, Codec, CodecSpec
from benchmark.errors import BenchmarkError, kind_and_message
from benchmark.guards import crash_place, hear_interrupts
from benchmark.metrics import modules_of_metric
from benchmark.results import FAILED, RunFolder, Trial
from benchmark.running.interruption import Stop
from benchmark.running.measurement import Instruments
from benchmark.running.plan import PlannedTrial
from benchmark.running.schedule import Schedule
from benchmark.running.setup import THREAD_VARIABLES, Setup, device_of_worker, limit_threads, open_workbench

_CONTEXT = multiprocessing.get_context("forkserver")
"""A fork of this process would copy torch's thread pools in an unknown state."""

ASKS_FOR_STACK = signal.SIGUSR2
SECONDS_FOR_STACK = 5.0
"""A worker that can write its stack ends once it has; one that cannot is killed after these."""
SECONDS_TO_END = 5.0
"""Between the end of a worker's connection and its own."""

_SAFE_PATH = "PYTHONSAFEPATH"
_FIRST_IMPORTS = {_SAFE_PATH: "first imports"}
"""While the process starts that workers are forked from: a numpy.py in the working folder is no NumPy. Workers get the
import path of this process."""

_LONGEST_NAME = 255


class Processes:
    """The `Backend` of several workers, or of one whose codecs may crash it."""

    codec_device: str | None = None

    def __init__(self) -> None:
        self._setup: Setup | None = None

    @contextlib.contextmanager
    def prepared(self, setup: Setup, codecs: Iterable[CodecSpec]) -> Iterator[None]:
        """Begins, in a process beside this one, to import what workers need; each is then forked from there.

        So all of them together import it once, while this process opens its own codecs. That process computes nothing
        and starts no threads, so a fork of it is sound. What cannot be imported is reported by who opens it.
        """
        _CONTEXT.set_forkserver_preload(modules_of_workers(codecs, setup.metrics))
        with _inherited(setup.threads, setup.without_script):
            forkserver.ensure_running()
        yield

    def settle(self, setup: Setup, codecs: Mapping[str, Codec]) -> tuple[Setup, list[str]]:
        """See `Backend`."""
        self._setup = setup
        return setup, []

    def open(self, folder: RunFolder, codecs: Mapping[str, Codec], instruments: Instruments) -> None:
        """Nothing: each worker opens its own."""

    def execute(self, trials: Sequence[PlannedTrial], folder: RunFolder, stop: Stop) -> Generator[Trial, None, None]:
        """See `execute_in_processes`."""
        assert self._setup is not None
        return execute_in_processes(trials, self._setup, folder, stop)


def can_be_sent(codec: object) -> bool:
    """Whether another process can have `codec`: it can be pickled, and all its classes and functions imported there."""
    try:
        # What a notebook or a script defines is not there: a worker does not run it.
        return b"__main__" not in pickle.dumps(codec)
    except Exception:  # anyone's `__reduce__`
        return False


def modules_of_workers(codecs: Iterable[CodecSpec], metrics: Iterable[str]) -> list[str]:
    """What a worker that does trials of these codecs and metrics imports."""
    modules = ["benchmark.running.backends.processes"]
    modules += [CODECS.module(codec.name) for codec in codecs if codec.name in CODECS]
    for name in metrics:
        modules += modules_of_metric(name)
    return list(dict.fromkeys(modules))


def execute_in_processes(
    trials: Sequence[PlannedTrial], setup: Setup, folder: RunFolder, stop: Stop
) -> Generator[Trial, None, None]:
    """The records of `trials`, as they end, from `setup.workers` processes.

    A worker gets its next trial when the consumer has taken its last record, so no more than one trial a worker is
    ever unwritten. Once `stop` is asked, the trials in hand end and none begins. A worker that dies leaves a record
    with an error, and another takes its place; so does one whose trial takes longer than `setup.time_limit`. Raises
    what a worker raises: BenchmarkError, such as UsageError on a quality out of range. What codecs have started in a
    worker ends with it.
    """
    schedule = Schedule(trials)

    def next_trial(worker: int) -> PlannedTrial | None:
        return None if stop.asked else schedule.next(worker)

    workers: dict[Connection, _Worker] = {}
    try:
        for number in range(setup.workers):
            planned = next_trial(number)
            if planned is not None:
                worker = _start(number, setup, planned)
                workers[worker.connection] = worker
        while workers:
            ready = cast(list[Connection], wait(list(workers), _patience(workers.values())))
            late = [one for one, worker in workers.items() if one not in ready and worker.is_late()]
            for connection in (*ready, *late):
                worker = workers[connection]
                if connection in late:
                    worker.interrupt()
                    message: Any = _Death(f"no end after {setup.time_limit:g} seconds; it was killed")
                else:
                    message = _received(worker)
                match message:
                    case BenchmarkError():
                        raise message
                    case str():
                        raise RuntimeError(f"in a worker process:\n{message}")
                    case _Ready() if stop.asked:
                        del workers[connection]
                        worker.end()
                        continue
                    case _Ready():
                        worker.ready = True
                        worker.begin(worker.planned)
                        continue
                    case _Death() if not worker.ready:
                        cause = message.cause + _crash(worker, folder)
                        raise BenchmarkError(f"a worker process ended while it was loading codecs: {cause}")
                    case _Death():
                        del workers[connection]
                        cause = message.cause + _crash(worker, folder)
                        worker.end()
                        broken = _with_metric_at_work(worker, cause)
                        if broken is None:
                            yield _lost(worker.planned, cause)
                        again = broken is not None and not stop.asked
                        planned = worker.planned if again else next_trial(worker.number)
                        if planned is not None:
                            worker = _start(worker.number, setup, planned, broken if again else None)
                            workers[worker.connection] = worker
                        continue
                    case _:
                        yield message
                planned = next_trial(worker.number)
                if planned is None:
                    del workers[connection]
                    worker.end()
                else:
                    worker.begin(planned)
    finally:
        for worker in workers.values():
            worker.process.kill()
        for worker in workers.values():
            worker.end()


@dataclass(frozen=True)
class _Ready:
    """A worker has opened its codecs and metrics."""


@dataclass(frozen=True)
class _Death:
    cause: str


@dataclass
class _Worker:
    """lifeline: this process's end of a pipe; when it is closed, by whatever way this process ends, the worker and all
    that it has started are killed. crash: a file into which the worker's stack is written if it crashes. at: memory
    that holds the name of the metric that is at work. limit: seconds that a trial may take, until `deadline`. broken:
    metrics that ended earlier workers at `planned`, with the reason that is recorded in each one's place."""

    number: int
    process: BaseProcess
    connection: Connection
    lifeline: Connection
    crash: IO[bytes]
    at: Any
    planned: PlannedTrial
    limit: float | None = None
    ready: bool = False
    deadline: float | None = None
    broken: Mapping[str, str] = field(default_factory=dict)

    def begin(self, planned: PlannedTrial) -> None:
        """Sends it a trial, whose time runs from now."""
        if planned is not self.planned:
            self.planned, self.broken = planned, {}
        self.deadline = None if self.limit is None else time.monotonic() + self.limit
        with contextlib.suppress(OSError):  # a worker that has died by now says so at the next recv
            self.connection.send((planned, self.broken))

    def is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def interrupt(self) -> None:
        """Ends it; its stack, which it writes before, tells where it was."""
        if self.process.pid is not None:
            os.kill(self.process.pid, ASKS_FOR_STACK)
            self.process.join(SECONDS_FOR_STACK)
        self.process.kill()

    def end(self) -> None:
        """Waits for it, and takes what it has started with it."""
        self.connection.close()
        self.process.join()
        self.lifeline.close()
        self.crash.close()
        if self.process.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


def _start(number: int, setup: Setup, planned: PlannedTrial, broken: Mapping[str, str] | None = None) -> _Worker:
    ours, theirs = _CONTEXT.Pipe()
    their_lifeline, lifeline = _CONTEXT.Pipe(duplex=False)
    crash = tempfile.NamedTemporaryFile(prefix="benchmark-crash-")  # noqa: SIM115  # `_Worker.end` closes it
    own = replace(setup, device=device_of_worker(number, setup.device))
    at = _CONTEXT.RawArray(ctypes.c_char, _LONGEST_NAME + 1)  # memory, since a descriptor may be closed by anybody
    arguments = (theirs, their_lifeline, crash.name, at, own)
    process = _CONTEXT.Process(target=_work, args=arguments, name=f"worker-{number}", daemon=True)
    with _inherited(setup.threads, setup.without_script):
        process.start()
    theirs.close()
    their_lifeline.close()
    return _Worker(number, process, ours, lifeline, crash, at, planned, setup.time_limit, broken=broken or {})


def _patience(workers: Iterable[_Worker]) -> float | None:
    """Seconds until the first of them is late; None where none ever is."""
    deadlines = [worker.deadline for worker in workers if worker.deadline is not None]
    return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None


def _received(worker: _Worker) -> Any:
    """What the worker says: that it is ready, a record, an error; or that it is dead."""
    try:
        return worker.connection.recv()
    except (EOFError, OSError):
        return _Death(_cause(worker.process))
    except Exception as error:  # half a message, or words that code in the worker has put between
        worker.process.kill()
        return _Death(f"what came from it is no record: {kind_and_message(error)}")


@contextlib.contextmanager
def _inherited(threads: int, without_script: bool) -> Iterator[None]:
    """What a process inherits that is started inside: its thread count, and deafness to Ctrl-C, which this one hears.

    Libraries read their thread count when they are loaded, so it must be there from the first moment. The user's script
    is not there `without_script`: it would be run again from its top, with the call of the suite in it unless that is
    guarded, and nothing of it is sent.
    """
    variables = {
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        **({} if _SAFE_PATH in os.environ else _FIRST_IMPORTS),
    }
    before = {name: os.environ.get(name) for name in variables}
    script = sys.modules["__main__"]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(variables)
    if without_script:
        sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _work(connection: Connection, lifeline: Connection, crash: str, at: Any, setup: Setup) -> None:
    """A worker's life: open, then one record for each trial, until the other end is closed."""
    hear_interrupts(lambda: False)  # Ctrl-C does not come here
    if os.environ.get(_SAFE_PATH) == _FIRST_IMPORTS[_SAFE_PATH]:  # not for programs that are started from here
        del os.environ[_SAFE_PATH]
    os.setsid()  # so that what a codec starts here can be ended with it
    multiprocessing.current_process().daemon = False  # a daemon may start no processes; for the run it remains one
    for one in (connection, lifeline):  # another program in this process's place must not hold them open
        os.set_inheritable(one.fileno(), False)
    threading.Thread(target=_end_with, args=(lifeline,), name="lifeline", daemon=True).start()
    stack = open(crash, "wb")  # noqa: PTH123, SIM115  # for as long as this process is there
    faulthandler.enable(stack)
    signal.signal(ASKS_FOR_STACK, signal.SIG_DFL)
    faulthandler.register(ASKS_FOR_STACK, stack, chain=True)  # the stack whole, then the default: the end
    os.dup2(2, 1)  # standard output belongs to the run's table
    with contextlib.suppress(OSError):  # where memory is short, this process goes first, not the one that writes
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    limit_threads(setup.threads)
    try:
        workbench = open_workbench(setup, RunFolder.open(setup.run))
        workbench.instruments = replace(workbench.instruments, begin=lambda name: setattr(at, "value", name.encode()))
        connection.send(_Ready())
        while True:
            connection.send(workbench.measure(*connection.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the run has ended, in whatever way; taking torch apart would only keep it waiting
    except BenchmarkError as error:
        message: BenchmarkError | str = error
    except Exception:
        message = traceback.format_exc()
    with contextlib.suppress(OSError):
        connection.send(message)
    os._exit(0)


def _end_with(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os.killpg(0, signal.SIGKILL)


def _cause(process: BaseProcess) -> str:
    """How it ended. What has closed its connection and goes on is ended: another program, or all descriptors closed."""
    process.join(SECONDS_TO_END)
    if process.is_alive():
        process.kill()
        process.join()
        return "it closed its connection to the run and went on; it was killed"
    code = process.exitcode or 0
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
    return f"signal {-code} ({name})" + (", perhaps for want of memory" if -code == signal.SIGKILL else "")


def _with_metric_at_work(worker: _Worker, cause: str) -> dict[str, str] | None:
    """The broken metrics of the worker's trial with that in which it ended; None if it was in none that is known."""
    name = worker.at.value.decode()
    if not name or name in worker.broken:
        return None
    return {**worker.broken, name: f"{FAILED}the worker process ended in it: {cause}"}


def _crash(worker: _Worker, folder: RunFolder) -> str:
    """Where in the user's code the worker crashed, and the file of the run that has its whole stack; "" if unknown."""
    worker.crash.seek(0)
    stack = worker.crash.read()
    if not stack:
        return ""
    path = folder.traceback_path(f"{hashlib.sha256(stack).hexdigest()[:8]}.txt")
    folder.write_bytes(path, stack)
    place = crash_place(stack.decode(errors="replace"))
    return (f" ({place})" if place else "") + f"; {path.relative_to(folder.path).as_posix()}"


def _lost(planned: PlannedTrial, cause: str) -> Trial:
    return Trial(
        codec=planned.codec,
        quality=planned.quality,
        decoder_seed=planned.decoder_seed,
        image=planned.image,
        error=f"the worker process ended during this trial: {cause}",
    )
