"""Which files, programs and connections Python sees while a codec is at work.

Python's audit events (PEP 578) tell of what goes through the interpreter. A library in C that opens a file by itself,
and a program that the codec starts, are not seen: against these help the folders and the processes, which are fresh.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.guards import is_installed
from benchmark.identity import NO_DATA

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SYSTEM = ("/proc/", "/sys/", "/dev/", "/run/", "/etc/", "/usr/", "/lib", "/bin/", "/sbin/")
_PROGRAMS = frozenset({"subprocess.Popen", "os.posix_spawn", "os.exec", "os.system", "os.spawn"})
_LISTING = frozenset({"os.listdir", "os.scandir"})
_SECOND_IS_NEW = frozenset({"os.rename", "os.link", "os.symlink"})


@dataclass(eq=False)
class Seen:
    """What was seen during one call: absolute paths, programs, addresses; each once, in order.

    read: path -> when its inode last changed (st_ctime, seconds), null if it is not there. wrote: opened for writing,
    made or renamed to. created: those of `wrote` that were not there before. listed: folders whose names were read.
    """

    read: dict[str, float | None] = field(default_factory=dict)
    wrote: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    programs: list[str] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)


_watchers: list[Seen] = []
_installed = False


@contextlib.contextmanager
def watched() -> Iterator[Seen]:
    """Fills the yielded record until the `with` ends. All threads of the process are seen."""
    global _installed
    if not _installed:
        sys.addaudithook(_hook)  # cannot be taken back, so it is silent outside
        _installed = True
    seen = Seen()
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)


def is_watching() -> bool:
    """Whether somebody wants to know what is seen."""
    return bool(_watchers)


def tell(seen: Mapping[str, Any]) -> None:
    """What was seen in another process, the fields of a `Seen`, as if it had happened here."""
    for watcher in _watchers:
        for name, changed in dict(seen.get("read", {})).items():
            watcher.read.setdefault(str(name), None if changed is None else float(changed))
        for kind in ("wrote", "created", "programs", "connections"):
            for name in seen.get(kind, ()):
                _note(getattr(watcher, kind), str(name))


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for seen in _watchers:
        _note_event(seen, event, arguments)


def _note_event(seen: Seen, event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        path, _, flags = arguments
        _note_file(seen, path, bool(flags & _WRITING))
    elif event == "os.mkdir":
        _note_file(seen, arguments[0], True)
    elif event in _LISTING:
        folder = "." if arguments[0] is None else arguments[0]
        if isinstance(folder, str | bytes | os.PathLike):
            _note(seen.listed, os.path.abspath(_text(folder)))  # noqa: PTH100  # as in `_note_file`
    elif event in _SECOND_IS_NEW:
        _note_file(seen, arguments[1], True)
    elif event == "sqlite3.connect":
        _note_file(seen, arguments[0], True)
    elif event in _PROGRAMS:
        _note(seen.programs, _program(arguments))
    elif event in ("socket.connect", "socket.sendto"):
        _note(seen.connections, str(arguments[1]))


def _note_file(seen: Seen, path: Any, writing: bool) -> None:
    if not isinstance(path, str | bytes | os.PathLike):  # an open descriptor, not a name
        return
    name = os.path.abspath(_text(path))  # noqa: PTH100  # pathlib would resolve links, and is slower
    if not writing:
        if name not in seen.read:
            seen.read[name] = _changed(name)
    elif name not in seen.wrote:
        seen.wrote.append(name)
        if not os.path.lexists(name):
            seen.created.append(name)


def _changed(name: str) -> float | None:
    try:
        return os.stat(name).st_ctime  # noqa: PTH116  # unlike st_mtime, nobody can set it back
    except OSError:
        return None


def _note(names: list[str], name: str) -> None:
    if name not in names:
        names.append(name)


def _program(arguments: tuple[Any, ...]) -> str:
    """Of (executable, arguments, ...), where the executable may be None, or of (command,)."""
    first = next(part for part in arguments if part is not None)
    return _text(first[0] if isinstance(first, list | tuple) and first else first)


def _text(name: Any) -> str:
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else str(name)


def inputs(read: Mapping[str, float | None], since: float, folder: Path | None = None) -> list[Path]:
    """Of the files that were `read`, those that code of the user's own is made of: there before `since`, no part of the
    system, of Python or of an installed package other than the one in `folder`, and no module.
    """
    found = []
    for name, changed in read.items():
        path = Path(name)
        own = folder is not None and path.is_relative_to(folder)
        if changed is None or changed >= since or path.suffix in NO_DATA or (is_installed(name) and not own):
            continue
        if not name.startswith(SYSTEM) and path.is_file():
            found.append(path)
    return found
