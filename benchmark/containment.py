"""What foreign code changes in the process stays with it: each piece of it finds what it left, others what was there.

A codec or metric may change the working folder, turn warnings into errors, let Pillow read truncated files, seed torch
or import a `utils.py` of its own, and mean it for itself. Without this, the next trial of another codec would have to
live with it. `benchmark.process_state` lists what is watched.
"""

import atexit
import contextlib
import ctypes
import errno
import fcntl
import functools
import operator
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from benchmark.guards import is_installed, no_exit, told
from benchmark.process_state import FOLDER, PARTS, UNKNOWN, Entries, Table, tables

PATIENCE = 60.0
"""Seconds that a thread waits for other foreign code to come out; then it goes in as it is."""

_GONE = object()
"""An entry of a table that was taken out."""


class Containment:
    """The state that one piece of foreign code lives in.

    folder: of its file; modules that it imports from there are its own, so that two codecs with a `model.py` each get
    the right one.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = None if folder is None else str(folder.resolve())
        self._values: dict[str, Any] = dict(_CALLERS.get()) if folder is None else {}
        self._entries: dict[str, dict[str, Any]] = {}

    def copy(self) -> "Containment":
        """Another one that begins where this one is: for one of several things that come from a file."""
        other = Containment()
        other._folder, other._values = self._folder, dict(self._values)
        other._entries = {name: dict(entries) for name, entries in self._entries.items()}
        return other

    @contextlib.contextmanager
    def inside(self, *, opening: bool = False) -> Iterator[None]:
        """Inside, the process is as this piece of code left it; afterwards as it found it.

        opening: the working folder is the caller's all the same, so that paths in a spec mean what they say. What is
        printed inside goes to standard error: standard output belongs to the command's result. Threads of one piece of
        code are inside together; those of another wait.
        """
        with _TURNS.turn(self) as first:
            if not first:
                yield
                return
            _keep_from_threads()
            before = {name: part.read() for name, part in PARTS.items()}
            watched = tables()
            were = {name: found.copy() for name, table in watched.items() if (found := table.get()) is not None}
            kept = {FOLDER: self._values.pop(FOLDER)} if opening and FOLDER in self._values else {}
            for name, value in self._values.items():
                PARTS[name].install(value)
            for name, entries in self._entries.items():
                if name in were and (found := watched[name].get()) is not None:
                    _put(found, entries)
            try:
                with _streams(), _no_end():
                    yield
            finally:
                self._entries = {
                    name: own for name, was in were.items() if (own := self._take_back(name, watched[name], was))
                }
                after = {name: part.read() for name, part in PARTS.items()}
                for name, value in after.items():
                    if before[name] is UNKNOWN and value is not UNKNOWN:
                        before[name] = PARTS[name].fresh(sys.modules.get(PARTS[name].module))
                changed = {
                    name: value for name, value in after.items() if value is not UNKNOWN and value != before[name]
                }
                self._values = kept | changed
                lost = [name for name, value in after.items() if value is UNKNOWN and before[name] is not UNKNOWN]
                for name in (*changed, *lost):  # a working folder that was removed, say
                    PARTS[name].install(before[name])

    def _take_back(self, name: str, table: Table, was: Mapping[str, Any]) -> dict[str, Any]:
        """Sets a table back to what it was, and returns the entries that were other ones."""
        entries = table.get()
        if entries is None:
            return {}
        now = entries.copy()
        if len(now) == len(was) and all(map(operator.is_, was.values(), now.values())):
            return {}
        changed = {
            key: now.get(key, _GONE)
            for key, value in was.items()
            if now.get(key, _GONE) is not value and table.holds(value)
        }
        added = {key: value for key, value in now.items() if key not in was}
        if name == "modules":
            changed |= {key: value for key, value in added.items() if self._is_beside(value)}
        else:
            changed |= {key: value for key, value in added.items() if table.added(key)}
        _put(entries, {key: was.get(key, _GONE) for key in changed})
        return changed

    def _is_beside(self, module: Any) -> bool:
        """Whether it is a module from the folder of the code, but not one of the suite or of an installed package."""
        if self._folder is None or str(getattr(module, "__name__", "")).startswith(("benchmark", "file_", "__main__")):
            return False
        try:
            places = [module.__file__] if getattr(module, "__file__", None) else list(getattr(module, "__path__", ()))
            return any(
                Path(place).resolve().is_relative_to(self._folder) and not is_installed(str(place)) for place in places
            )
        except Exception:  # what stands in `sys.modules` may be anything
            return False


_CALLERS: ContextVar[Mapping[str, Any]] = ContextVar("_CALLERS", default=MappingProxyType({}))
"""What the calling program had set, for the objects that it hands over."""

_LOCK = threading.Lock()
_DTYPES: list[str] = []
"""The callers' default dtype, once for each call that is under way: all threads share it, the last one sets it back."""


@contextlib.contextmanager
def usual_torch() -> Iterator[None]:
    """Inside, torch's default dtype and device and its autocast are those of a new process, for the suite's networks.

    Objects that are opened inside run with those of the caller, who has them again afterwards.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    dtype, device, autocast = (PARTS[f"torch's {name}"] for name in ("dtype", "device", "autocast"))
    # torch names one device for all threads, and uses it in the one alone that has set it.
    elsewhere = torch.empty(0).device.type != "cpu"
    with _LOCK:
        _DTYPES.append(_DTYPES[0] if _DTYPES else dtype.read())
        theirs = {
            "torch's dtype": _DTYPES[0],
            "torch's device": device.read() if elsewhere else None,
            "torch's autocast": autocast.read(),
        }
        dtype.install("torch.float32")
    usual = {
        "torch's dtype": "torch.float32",
        "torch's device": None,
        "torch's autocast": tuple((False, kind) for _, kind in theirs["torch's autocast"]),
    }
    own = _CALLERS.set({name: value for name, value in theirs.items() if value != usual[name]})
    for part, name in ((device, "torch's device"), (autocast, "torch's autocast")):
        if theirs[name] != usual[name]:
            part.install(usual[name])
    try:
        yield
    finally:
        _CALLERS.reset(own)
        for part, name in ((device, "torch's device"), (autocast, "torch's autocast")):
            if theirs[name] != usual[name]:
                part.install(theirs[name])
        with _LOCK:
            first = _DTYPES.pop()
            if not _DTYPES:
                dtype.install(first)


_OF_FILES: dict[Path, Containment] = {}


def containment_of(file: Path | None) -> Containment:
    """Of a Python file: what its code changes when it is imported. What comes from the file gets a copy. None: a new
    one, for what comes from no file."""
    return Containment() if file is None else _OF_FILES.setdefault(file, Containment(file.parent))


@contextlib.contextmanager
def contained_anew(file: Path) -> Iterator[None]:
    """Inside, what comes from `file` gets a containment that knows nothing of earlier ones, and keeps it."""
    known = _OF_FILES.pop(file, None)
    try:
        yield
    finally:
        _OF_FILES.pop(file, None)
        if known is not None:
            _OF_FILES[file] = known


def _put(table: Entries, entries: Mapping[str, Any]) -> None:
    for key, value in entries.items():
        if value is not _GONE:
            table[key] = value
        else:
            with contextlib.suppress(KeyError, AttributeError):
                del table[key]


class _Turns:
    """Who is inside: one containment, with as many threads as it has. What a thread opens inside goes deeper."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._inside: Containment | None = None
        self._threads = 0
        self._own = threading.local()

    @contextlib.contextmanager
    def turn(self, containment: Containment) -> Iterator[bool]:
        """Yields whether the state is to be changed: False for who finds its own containment at work."""
        held: list[Containment] = self._own.__dict__.setdefault("held", [])
        if held:
            held.append(containment)
            try:
                yield held[-2] is not containment
            finally:
                held.pop()
            return
        with self._free:
            if not self._free.wait_for(lambda: self._inside in (None, containment), PATIENCE):
                waited = True
            else:
                waited = False
                self._inside, self._threads = containment, self._threads + 1
                first = self._threads == 1
        if waited:  # for a thread of the very code that is inside, perhaps, which waits for this one
            yield False
            return
        held.append(containment)
        try:
            yield first
        finally:
            held.pop()
            with self._free:
                if not first:
                    self._threads -= 1
                    self._free.notify_all()
                else:
                    self._free.wait_for(lambda: self._threads == 1)
                    self._inside, self._threads = None, 0
                    self._free.notify_all()

    def forget(self) -> None:
        """In a child that was forked from inside, where the other threads are gone."""
        self.__init__()  # type: ignore[misc]


_TURNS = _Turns()
os.register_at_fork(after_in_child=_TURNS.forget)


_NOBODY = Containment()


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Inside, no foreign code is at work in another thread, and none begins; what is changed in the process stays.

    For who changes it beside the thread that opens codecs and metrics.
    """
    with _TURNS.turn(_NOBODY):
        yield


# The end of the process


_LEAVE, _AT_EXIT = os._exit, atexit.register
_kept = 0
"""The process in which `_keep_from_threads` was called."""


@contextlib.contextmanager
def _no_end() -> Iterator[None]:
    """Inside, `os._exit` is an error like others, for this process; a forked child ends by it as it should.

    What foreign code wants done at the end of Python is done likewise, and says one line if it fails.
    """
    process = os.getpid()

    def refuse(status: int) -> None:
        if os.getpid() != process:
            _LEAVE(status)
        raise RuntimeError(f"it calls os._exit({status!r})")

    def register(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Callable[..., Any]:
        _AT_EXIT(_at_the_end, refuse, functools.partial(function, *arguments, **named))
        return function

    before = os._exit, atexit.register
    os._exit, atexit.register = refuse, register  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit, atexit.register = before


def _keep_from_threads() -> None:
    """From now on the main thread alone ends this process by `os._exit`: another may be of foreign code."""
    global _kept
    if _kept == (process := os.getpid()):
        return
    main, leave = threading.main_thread(), os._exit

    def refuse(status: int) -> None:
        if os.getpid() == process and threading.current_thread() is not main:
            raise RuntimeError(f"a thread calls os._exit({status!r})")
        leave(status)

    os._exit, _kept = refuse, process  # type: ignore[assignment]


def _at_the_end(refuse: Callable[[int], None], function: Callable[[], Any]) -> None:
    os._exit = refuse  # type: ignore[assignment]
    try:
        no_exit(function)
    except Exception as error:  # anyone's function
        with contextlib.suppress(OSError, ValueError, AttributeError):
            print(f"at the end of Python: {told(error)}", file=sys.stderr)
    finally:
        os._exit = _LEAVE


# Standard streams


class _Stream:
    """Another stream, which code that has this one cannot close."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close(self) -> None:
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """Inside, standard output is standard error, for Python and for programs; afterwards all three are what they were.

    Code that closes or replaces them, or closes their descriptors, does so for itself.
    """
    before = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
    output, errors = _file_of(1), _file_of(2)
    with contextlib.ExitStack() as undone:
        if output is not None and errors is not None and output != errors:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                before["stdout"].flush()
            undone.callback(_put_back, 1, _copy(1))
            os.dup2(2, 1)
            undone.callback(_flush_c)
        for number in (0, 1, 2):
            if _file_of(number) is not None:
                undone.callback(_put_back, number, _copy(number))
        if before["stderr"] is not None:
            sys.stderr = sys.stdout = _Stream(before["stderr"])  # type: ignore[assignment]
        try:
            yield
        finally:
            for name, stream in before.items():
                setattr(sys, name, stream)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(before[name], "closed", False) and _file_of(number) is not None:
            setattr(sys, name, open(number, mode, errors="backslashreplace", closefd=False))  # noqa: SIM115


def _file_of(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _copy(descriptor: int) -> int:
    """Above those that code counts on; below, where the system allows fewer (`ulimit -n`)."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 64)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def _put_back(descriptor: int, copy: int) -> None:
    with contextlib.suppress(OSError):  # code that closes all descriptors has closed the copy, too
        if _file_of(descriptor) != _file_of(copy):
            os.dup2(copy, descriptor)
        os.close(copy)


def _flush_c() -> None:
    """What libraries in C have printed, and would else write once their standard output is the command's again."""
    with contextlib.suppress(Exception):
        ctypes.CDLL(None).fflush(None)
