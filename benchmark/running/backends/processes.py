"""The trials in worker processes on this machine; each record is handed on as soon as it is there."""

import contextlib
import ctypes
import hashlib
import pickle
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from benchmark.children import CONTEXT, LONGEST_WAIT, Child, Death, import_ahead, start
from benchmark.codecs import CODECS, Codec, CodecSpec
from benchmark.errors import BenchmarkError
from benchmark.guards import crash_place
from benchmark.metrics import modules_of_metric
from benchmark.results import FAILED, RunFolder, Trial
from benchmark.running.interruption import Stop
from benchmark.running.measurement import Instruments
from benchmark.running.plan import PlannedTrial
from benchmark.running.schedule import Schedule
from benchmark.running.setup import THREAD_VARIABLES, Setup, device_of_worker, limit_threads, open_workbench

_LONGEST_NAME = 255


class Processes:
    """The `Backend` of several workers, or of one whose codecs may crash it."""

    codec_device: str | None = None

    def __init__(self) -> None:
        self._setup: Setup | None = None

    @contextlib.contextmanager
    def prepared(self, setup: Setup, codecs: Iterable[CodecSpec]) -> Iterator[None]:
        """Begins, in a process beside this one, to import what workers need; each is then forked from there.

        So all of them together import it once, while this process opens its own codecs. What cannot be imported is
        reported by who opens it.
        """
        modules = modules_of_workers(codecs, setup.metrics)
        import_ahead(modules, _thread_variables(setup.threads), setup.without_script)
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
        for number in range(min(setup.workers, len(trials))):
            planned = next_trial(number)
            if planned is not None:
                worker = _start(number, setup, planned)
                workers[worker.child.connection] = worker
        while workers:
            ready = cast(list[Connection], wait(list(workers), _patience(workers.values())))
            late = [one for one, worker in workers.items() if one not in ready and worker.is_late()]
            for connection in (*ready, *late):
                worker = workers[connection]
                if connection in late:
                    worker.child.interrupt()
                    message: Any = Death(f"no end after {setup.time_limit:g} seconds; it was killed")
                else:
                    message = worker.child.received()
                match message:
                    case BenchmarkError():
                        raise message
                    case str():
                        raise RuntimeError(f"in a worker process:\n{message}")
                    case _Ready() if stop.asked:
                        del workers[connection]
                        worker.child.end()
                        continue
                    case _Ready():
                        worker.ready = True
                        worker.begin(worker.planned)
                        continue
                    case Death() if not worker.ready:
                        cause = message.cause + _crash(worker, folder)
                        raise BenchmarkError(f"a worker process ended while it was loading codecs: {cause}")
                    case Death():
                        del workers[connection]
                        cause = message.cause + _crash(worker, folder)
                        worker.child.end()
                        broken = _with_metric_at_work(worker, cause)
                        if broken is None:
                            yield _lost(worker.planned, cause)
                        again = broken is not None and not stop.asked
                        planned = worker.planned if again else next_trial(worker.number)
                        if planned is not None:
                            worker = _start(worker.number, setup, planned, broken if again else None)
                            workers[worker.child.connection] = worker
                        continue
                    case _:
                        yield message
                planned = next_trial(worker.number)
                if planned is None:
                    del workers[connection]
                    worker.child.end()
                else:
                    worker.begin(planned)
    finally:
        for worker in workers.values():
            worker.child.process.kill()
        for worker in workers.values():
            worker.child.end()


@dataclass(frozen=True)
class _Ready:
    """A worker has opened its codecs and metrics."""


@dataclass
class _Worker:
    """at: memory that holds the name of the metric that is at work. limit: seconds that a trial may take, until
    `deadline`. broken: metrics that ended earlier workers at `planned`, with the reason that is recorded in each one's
    place."""

    number: int
    child: Child
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
            self.child.connection.send((planned, self.broken))

    def is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline


def _start(number: int, setup: Setup, planned: PlannedTrial, broken: Mapping[str, str] | None = None) -> _Worker:
    own = replace(setup, device=device_of_worker(number, setup.device))
    at = CONTEXT.RawArray(ctypes.c_char, _LONGEST_NAME + 1)  # memory, since a descriptor may be closed by anybody
    variables = _thread_variables(setup.threads)
    child = start(_work, (at, own), f"worker-{number}", variables, setup.without_script)
    return _Worker(number, child, at, planned, setup.time_limit, broken=broken or {})


def _thread_variables(threads: int) -> dict[str, str]:
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def _patience(workers: Iterable[_Worker]) -> float | None:
    """Seconds until the first of them is late, or LONGEST_WAIT; None where none ever is."""
    deadlines = [worker.deadline for worker in workers if worker.deadline is not None]
    return min(max(0.0, min(deadlines) - time.monotonic()), LONGEST_WAIT) if deadlines else None


def _work(connection: Connection, at: Any, setup: Setup) -> None:
    """A worker's life: open, then one record for each trial, until the other end is closed."""
    limit_threads(setup.threads)
    workbench = open_workbench(setup, RunFolder.open(setup.run))
    workbench.instruments = replace(workbench.instruments, begin=lambda name: setattr(at, "value", name.encode()))
    connection.send(_Ready())
    while True:
        connection.send(workbench.measure(*connection.recv()))


def _with_metric_at_work(worker: _Worker, cause: str) -> dict[str, str] | None:
    """The broken metrics of the worker's trial with that in which it ended; None if it was in none that is known."""
    name = worker.at.value.decode()
    if not name or name in worker.broken:
        return None
    return {**worker.broken, name: f"{FAILED}the worker process ended in it: {cause}"}


def _crash(worker: _Worker, folder: RunFolder) -> str:
    """Where in the user's code the worker crashed, and the file of the run that has its whole stack; "" if unknown."""
    stack = worker.child.stack()
    if not stack:
        return ""
    content = stack.encode(errors="replace")
    path = folder.traceback_path(f"{hashlib.sha256(content).hexdigest()[:8]}.txt")
    folder.write_bytes(path, content)
    place = crash_place(stack)
    return (f" ({place})" if place else "") + f"; {path.relative_to(folder.path).as_posix()}"


def _lost(planned: PlannedTrial, cause: str) -> Trial:
    return Trial(
        codec=planned.codec,
        quality=planned.quality,
        decoder_seed=planned.decoder_seed,
        image=planned.image,
        error=f"the worker process ended during this trial: {cause}",
    )
