"""Around calls of anyone's code: what it raises is an error like others, told in one line with its place."""

import contextlib
import functools
import importlib.util
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn

from benchmark.errors import kind_and_message, visible

_CRASH_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)')


_meant: ContextVar[Callable[[], bool] | None] = ContextVar("meant", default=None)
_meant_elsewhere: Callable[[], bool] = lambda: True  # noqa: E731


def hear_interrupts(meant: Callable[[], bool]) -> None:
    """From now on `meant` says, where nobody else does, whether a KeyboardInterrupt is the user's."""
    global _meant_elsewhere
    _meant_elsewhere = meant


@contextlib.contextmanager
def interrupts(meant: Callable[[], bool]) -> Iterator[None]:
    """Inside, `meant` says whether a KeyboardInterrupt that comes out of foreign code is the user's."""
    token = _meant.set(meant)
    try:
        yield
    finally:
        _meant.reset(token)


def no_exit(function: Callable[..., Any], *arguments: Any) -> Any:
    """What `function` returns. An attempt to end the process, by `sys.exit` say, is raised as RuntimeError.

    So is a KeyboardInterrupt of its own; the user's is passed on.
    A process that `function` forks and that comes back from it ends here: it would go on with the suite's own work.
    """
    process = os.getpid()
    try:
        try:
            return function(*arguments)
        finally:
            if os.getpid() != process:
                _end_child()
    except Exception:
        raise
    except KeyboardInterrupt as error:
        if type(error).__module__.startswith("benchmark.") or (_meant.get() or _meant_elsewhere)():
            raise
        words = "it raises KeyboardInterrupt, which nobody asked for"
        raise RuntimeError(words).with_traceback(error.__traceback__) from error
    except SystemExit as error:
        code = "" if error.code is None else repr(error.code)
        raise RuntimeError(f"it calls sys.exit({code})").with_traceback(error.__traceback__) from error
    except BaseException as error:
        raise RuntimeError(f"it raises {kind_and_message(error)}").with_traceback(error.__traceback__) from error


def _end_child() -> NoReturn:
    """Ends a forked process as Python would: with the exit code of what is being raised, if anything is."""
    error = sys.exc_info()[1]
    code = 0 if error is None else 1
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        traceback.print_exception(error)
    with contextlib.suppress(Exception):
        sys.stderr.flush()
    os._exit(code & 0xFF)


def told(error: BaseException) -> str:
    """Type and message, and the last place in the user's own code: "ValueError: no (my_codec.py:41 in decode)"."""
    place = own_place(error)
    return kind_and_message(error) + (f" ({place})" if place else "")


def own_place(error: BaseException) -> str:
    """ "my_codec.py:41 in decode": the last frame that is neither the suite's nor of an installed package; or ""."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not is_installed(frame.filename):
            return visible(f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}")
    return ""


def crash_place(report: str) -> str:
    """As `own_place`, of the stacks of a process that `faulthandler` writes when it crashes."""
    _, _, thread = report.partition("Current thread")
    for line in thread.splitlines()[1:]:
        frame = _CRASH_FRAME.fullmatch(line)
        if frame is None:
            break
        if not is_installed(frame["file"]):
            return f"{Path(frame['file']).name}:{frame['line']} in {frame['name']}"
    return ""


@functools.cache
def is_installed(filename: str) -> bool:
    """Whether a file is of Python, of an installed package or of the suite, as opposed to the user's own."""
    if filename.startswith(("<frozen", "<string>")):
        return True
    path = Path(filename)
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    return any(path.is_relative_to(folder) for folder in _installed_folders())


@functools.cache
def _installed_folders() -> tuple[str, ...]:
    folders = [str(Path(__file__).parent), sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    for room in ("baselines", "datasets", "reports"):
        found = importlib.util.find_spec(f"benchmark.{room}")
        folders += found.submodule_search_locations or [] if found is not None else []
    return tuple(dict.fromkeys(folders))
