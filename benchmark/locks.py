"""One writer at a time: a folder that a process holds for itself, wherever the others are."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from benchmark.errors import BenchmarkError

LOCK = ".lock"
"""Held by the system for as long as its process lives; its text says who has it, and counts for nothing."""

WRITER = ".writer"
"""In place of LOCK where the file system has no locks: there while somebody writes, and after a kill."""

_HELD = {errno.EWOULDBLOCK, errno.EACCES}
_NO_LOCKS = {errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL}


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Makes the folder `path` if need be and holds it for this process alone.

    Raises BenchmarkError if another process holds it, and says which, or if it cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        file = (path / LOCK).open("a+b")
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be written: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                raise BenchmarkError(f"{path}: another process is writing this run{_who(file)}") from None
            if error.errno not in _NO_LOCKS:
                raise BenchmarkError(f"{path / LOCK}: cannot be locked: {error.strerror}") from None
            with _written_down(path):
                yield
            return
        _say_who(file, _me())
        try:
            yield
        finally:
            _say_who(file, None)


def taken(file: IO[bytes]) -> bool:
    """Takes the open `file` for this process until it is closed. False if another process has it.

    True as well where the file system has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _HELD
    return True


def _me() -> dict[str, str | int]:
    return {
        "process": os.getpid(),
        "began": _began(os.getpid()) or "",
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _say_who(file: IO[bytes], who: dict[str, str | int] | None) -> None:
    with contextlib.suppress(OSError):  # a full disk: what it says counts for nothing
        file.truncate(0)
        if who is not None:
            file.write(json.dumps(who).encode() + b"\n")
            file.flush()


def _who(file: IO[bytes]) -> str:
    try:
        file.seek(0)
        who = json.loads(file.read())
        return f": process {int(who['process'])} on {who['host']} since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


@contextlib.contextmanager
def _written_down(path: Path) -> Iterator[None]:
    """Holds `path` by a file that only one process can make. One of a process of this machine that is dead is taken."""
    place = path / WRITER
    for _ in range(2):
        try:
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            break
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError), place.open("rb") as file:
                if not _is_over(file):
                    raise BenchmarkError(
                        f"{path}: another process is writing this run{_who(file)}; this file system has no locks, "
                        f"so if that process is over, remove {place}"
                    ) from None
                place.unlink()
        except OSError as error:
            raise BenchmarkError(f"{place}: cannot be written: {error.strerror}") from None
    else:
        raise BenchmarkError(f"{path}: another process is writing this run")
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123
            file.write(json.dumps(_me()).encode() + b"\n")
        yield
    finally:
        with contextlib.suppress(OSError):
            place.unlink()


def _is_over(file: IO[bytes]) -> bool:
    """Whether the process that made the file was one of this machine, and has ended."""
    try:
        who = json.loads(file.read())
        if who["host"] != socket.gethostname():
            return False
        process = int(who["process"])
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return (_began(process) or "") != who["began"]


def _began(process: int) -> str | None:
    """When a process began, which tells it from a later one of the same number; None if that is unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[19]}"
    except (OSError, IndexError):
        return None
