"""Processes that foreign code and programs leave behind, wherever they have gone: they are found by a variable.

What stays in the session of who started it is ended with that. A daemon has a session of its own; it has inherited the
environment all the same.
"""

import atexit
import contextlib
import os
import secrets
import signal
from collections.abc import Mapping
from functools import cache
from pathlib import Path

MARK = "BENCHMARK_STARTED_BY"
"""Variable whose value tells which part of a run a process belongs to."""


def new_token() -> str:
    """A value of a mark that nothing else has."""
    return secrets.token_hex(8)


def end_marked(name: str, value: str, group: int = 0) -> bool:
    """Ends all processes with the variable `name` of this value; whether there were any outside of `group`.

    This process itself goes on.
    """
    mark = f"{name}={value}".encode()
    found = False
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if mark in path.read_bytes().split(b"\0") and (number := int(path.parent.name)) != os.getpid():
                found |= os.getpgid(number) != group
                os.kill(number, signal.SIGKILL)
    return found


def marked_environment() -> Mapping[str, str]:
    """This process's, for a program that it starts: what that leaves is ended with this process, or with the worker
    that this process is."""
    return os.environ if MARK in os.environ else {**os.environ, MARK: _own_token(os.getpid())}


@cache
def _own_token(process: int) -> str:
    token = new_token()
    atexit.register(_sweep, process, token)
    return token


def _sweep(process: int, token: str) -> None:
    if os.getpid() == process:
        end_marked(MARK, token)
