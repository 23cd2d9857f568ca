"""Processes of this program in which foreign code may do what it likes: they may crash, hang or leave children behind.

Each is forked from a process beside this one that has imported what it needs and computes nothing.
"""

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any

from benchmark.errors import BenchmarkError, kind_and_message, signal_name
from benchmark.guards import crash_place, hear_interrupts
from benchmark.strays import MARK, end_marked, new_token

CONTEXT = multiprocessing.get_context("forkserver")
"""A fork of this process would copy torch's thread pools in an unknown state."""

ASKS_FOR_STACK = signal.SIGUSR2
SECONDS_FOR_STACK = 5.0
"""A process that can write its stack ends once it has; one that cannot is killed after these."""
SECONDS_TO_END = 5.0
"""Between the end of a process's connection and its own."""
LONGEST_WAIT = 3600.0
"""Seconds that are waited at a time: the system counts milliseconds, and 25 days of them are more than it can."""
MOST_LOSSES = 3
"""Processes that `Apart` starts anew; what has ended so many is not tried on what is left."""

_SAFE_PATH = "PYTHONSAFEPATH"
_FIRST_IMPORTS = {_SAFE_PATH: "first imports"}
"""While the process starts that others are forked from: a numpy.py in the working folder is no NumPy. They get the
import path of this process."""

Work = Callable[..., None]
"""What a child does, given its end of the connection and arguments; all of it can be pickled."""
Opened = Callable[..., Callable[[Any, Callable[[str], None]], Any]]

_STARTS = threading.Lock()
"""What children inherit is set in this process while one starts."""


@dataclass
class Child:
    """lifeline: this process's end of a pipe; when it is closed, by whatever way this process ends, the child and all
    that it has started are killed. crash: a file into which the child's stack is written if it crashes. token: by which
    that is found, see `strays`."""

    process: BaseProcess
    connection: Connection
    lifeline: Connection
    crash: IO[bytes]
    token: str

    def interrupt(self) -> None:
        """Ends it; its stack, which it writes before, tells where it was."""
        if self.process.pid is not None:
            os.kill(self.process.pid, ASKS_FOR_STACK)
            self.process.join(SECONDS_FOR_STACK)
        self.process.kill()

    def stack(self) -> str:
        """As it was written; "" if none was."""
        self.crash.seek(0)
        return self.crash.read().decode(errors="replace")

    def received(self) -> Any:
        """What it says. `Death` where it says nothing any more."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return Death(self._cause())
        except Exception as error:  # half a message, or words that foreign code there has put between
            self.process.kill()
            return Death(f"what came from it is no record: {kind_and_message(error)}")

    def _cause(self) -> str:
        """How it ended. One that closed its connection and goes on is ended: another program, or all descriptors
        closed."""
        self.process.join(SECONDS_TO_END)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
            return "it closed its connection to the run and went on; it was killed"
        code = self.process.exitcode or 0
        if code >= 0:
            return f"exit code {code}"
        name = signal_name(-code)
        return f"signal {-code} ({name})" + (", perhaps for want of memory" if -code == signal.SIGKILL else "")

    def end(self) -> None:
        """Waits for it, and takes what it has started with it."""
        self.connection.close()
        self.process.join()
        self.lifeline.close()
        self.crash.close()
        if self.process.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        end_marked(MARK, self.token)


class Ended(BenchmarkError):
    """Foreign code has ended the process that it was called in, or would not end itself."""


@dataclass(frozen=True)
class Death:
    """The end of a child, and how it came."""

    cause: str


def import_ahead(modules: Sequence[str], variables: Mapping[str, str], without_script: bool) -> None:
    """Begins, in a process beside this one, to import what children need, which are then forked from there.

    That process computes nothing and starts no threads, so a fork of it is sound.
    """
    CONTEXT.set_forkserver_preload(list(modules))
    with _STARTS, _inherited(variables, without_script):
        forkserver.ensure_running()


def start(
    work: Work, arguments: Sequence[Any], name: str, variables: Mapping[str, str], without_script: bool = False
) -> Child:
    """A child that does `work`. variables: of its environment. without_script: as `_inherited` has it.

    What `work` raises is its last message: a BenchmarkError, or the text of a traceback.
    """
    ours, theirs = CONTEXT.Pipe()
    their_lifeline, lifeline = CONTEXT.Pipe(duplex=False)
    crash = tempfile.NamedTemporaryFile(prefix="benchmark-crash-")  # noqa: SIM115  # `Child.end` closes it
    token = new_token()
    process = CONTEXT.Process(
        target=_live,
        args=(work, {**os.environ, **variables, MARK: token}, theirs, their_lifeline, crash.name, *arguments),
        name=name,
        daemon=True,
    )
    with _STARTS, _inherited(variables, without_script):
        process.start()
    theirs.close()
    their_lifeline.close()
    return Child(process, ours, lifeline, crash, token)


@contextlib.contextmanager
def _inherited(variables: Mapping[str, str], without_script: bool) -> Iterator[None]:
    """What a process inherits that is started inside: variables, and deafness to Ctrl-C, which this one hears.

    Libraries read their thread count when they are loaded, so it must be there from the first moment. The user's script
    is not there `without_script`: it would be run again from its top, with the call of the suite in it unless that is
    guarded, and nothing of it is sent.
    """
    wanted = {**variables, **({} if _SAFE_PATH in os.environ else _FIRST_IMPORTS)}
    before = {name: os.environ.get(name) for name in wanted}
    script = sys.modules["__main__"]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(wanted)
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


def _live(
    work: Work,
    environment: Mapping[str, str],
    connection: Connection,
    lifeline: Connection,
    crash: str,
    *arguments: Any,
) -> None:
    hear_interrupts(lambda: False)  # Ctrl-C does not come here
    for variable in os.environ.keys() - environment.keys():
        del os.environ[variable]
    os.environ.update(environment)  # as it is by now where this process was asked for
    os.setsid()  # so that what foreign code starts here can be ended with it
    multiprocessing.current_process().daemon = False  # a daemon may start no processes; for the run it remains one
    for one in (connection, lifeline):  # another program in this process's place must not hold them open
        os.set_inheritable(one.fileno(), False)
    threading.Thread(target=_end_with, args=(lifeline, environment[MARK]), name="lifeline", daemon=True).start()
    stack = open(crash, "wb")  # noqa: PTH123, SIM115  # for as long as this process is there
    faulthandler.enable(stack)
    signal.signal(ASKS_FOR_STACK, signal.SIG_DFL)
    faulthandler.register(ASKS_FOR_STACK, stack, chain=True)  # the stack whole, then the default: the end
    os.dup2(2, 1)  # standard output belongs to the command's result
    with contextlib.suppress(OSError):  # where memory is short, this process goes first, not the one that writes
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    try:
        work(connection, *arguments)
        os._exit(0)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the other end is gone, in whatever way; taking torch apart would only keep it waiting
    except BenchmarkError as error:
        message: BenchmarkError | str = error
    except Exception:
        message = traceback.format_exc()
    with contextlib.suppress(OSError):
        connection.send(message)
    os._exit(0)


def _end_with(lifeline: Connection, token: str) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
    with contextlib.suppress(Exception):  # whatever foreign code has made of this process
        end_marked(MARK, token)
    os.killpg(0, signal.SIGKILL)


class Apart:
    """A function of foreign code that is called in a child, one call after another.

    opened: what makes the function, in the child, given `arguments`; all of them can be pickled. The function gets what
    it is called with, and another that it may call with a few words on what it does next, whose time begins anew.
    limit: seconds that a call may take, None for no limit.
    """

    def __init__(self, opened: Opened, arguments: Sequence[Any], limit: float | None = None) -> None:
        self._opened, self._arguments, self._limit = opened, arguments, limit
        self._child: Child | None = None
        self._losses = 0
        self._refusal: BenchmarkError | None = None

    def __enter__(self) -> "Apart":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, argument: Any) -> Any:
        """What the function returns. Raises the BenchmarkError that it raises, or that opening it does, and Ended if
        the child ends, or takes too long."""
        if self._refusal is not None:
            raise self._refusal
        if self._child is None:
            self._child = start(_answer, (self._opened, *self._arguments), "apart", {}, without_script=True)
            try:
                self._said("the process ended while it was opened", None)  # that it is ready
            except BenchmarkError as error:
                self._refusal = error
                raise
        with contextlib.suppress(OSError):  # one that has died by now says so at the next `recv`
            self._child.connection.send((argument,))
        return self._said("the process ended in it", self._limit)

    def stop(self) -> None:
        """From another thread: a call that goes on ends with Ended, and so does every one after it."""
        self._refusal = Ended("it was stopped")
        if (child := self._child) is not None:
            child.process.kill()

    def _said(self, lost: str, limit: float | None) -> Any:
        assert self._child is not None
        message: Any = _Goes("")
        at = ""
        while isinstance(message, _Goes):
            at = message.words and f"{message.words}: "
            if limit is not None and not _speaks(self._child.connection, limit):
                self._child.interrupt()
                message = Death(f"no end after {limit:g} seconds; it was killed")
            else:
                message = self._child.received()
        match message:
            case _Answer():
                return message.value
            case Death():
                place = crash_place(self._child.stack())
                self._losses += 1
                told = f"{at}{lost}: {message.cause}" + (f" ({place})" if place else "")
                self._end()
                if self._losses == MOST_LOSSES:
                    self._refusal = Ended(f"not tried any more: {told}")
                raise Ended(told)
            case _Raised():
                raise message.error
            case BenchmarkError():
                self._end()
                raise message
            case _:
                self._end()
                raise RuntimeError(f"in a process of its own:\n{message}")

    def _end(self) -> None:
        if self._child is not None:
            self._child.process.kill()
            self._child.end()
            self._child = None


def _speaks(connection: Connection, seconds: float) -> bool:
    """Whether something comes within the time, however long that is."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > LONGEST_WAIT:
        if connection.poll(LONGEST_WAIT):
            return True
    return connection.poll(max(0.0, left))


@dataclass(frozen=True)
class _Answer:
    value: Any


@dataclass(frozen=True)
class _Goes:
    """The time of the call begins anew."""

    words: str


@dataclass(frozen=True)
class _Raised:
    error: BenchmarkError


def _answer(connection: Connection, opened: Opened, *arguments: Any) -> None:
    function = opened(*arguments)
    connection.send(_Answer(None))

    def goes(words: str) -> None:
        connection.send(_Goes(words))

    while True:
        (argument,) = connection.recv()
        try:
            connection.send(_Answer(function(argument, goes)))
        except BenchmarkError as error:
            connection.send(_Raised(error))
