"""Around calls of anyone's code: what it raises is an error like others, told in one line with its place."""

import functools
import importlib.util
import os
import re
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark.errors import kind_and_message

_CRASH_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)')


def no_exit(function: Callable[..., Any], *arguments: Any) -> Any:
    """What `function` returns. An attempt to end the process, by `sys.exit` say, is raised as RuntimeError."""
    try:
        return function(*arguments)
    except (Exception, KeyboardInterrupt):
        raise
    except SystemExit as error:
        code = "" if error.code is None else repr(error.code)
        raise RuntimeError(f"it calls sys.exit({code})").with_traceback(error.__traceback__) from error
    except BaseException as error:
        raise RuntimeError(f"it raises {kind_and_message(error)}").with_traceback(error.__traceback__) from error


def in_place(function: Callable[..., Any], *arguments: Any) -> Any:
    """As `no_exit`; the working folder is afterwards what it was, so that relative paths mean the same as before."""
    before = os.getcwd()  # noqa: PTH109
    try:
        return no_exit(function, *arguments)
    finally:
        if os.getcwd() != before:  # noqa: PTH109
            os.chdir(before)


def told(error: BaseException) -> str:
    """Type and message, and the last place in the user's own code: "ValueError: no (my_codec.py:41 in decode)"."""
    place = own_place(error)
    return kind_and_message(error) + (f" ({place})" if place else "")


def own_place(error: BaseException) -> str:
    """ "my_codec.py:41 in decode": the last frame that is neither the suite's nor of an installed package; or ""."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not _is_installed(frame.filename):
            return f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}"
    return ""


def crash_place(report: str) -> str:
    """As `own_place`, of the stacks of a process that `faulthandler` writes when it crashes."""
    _, _, thread = report.partition("Current thread")
    for line in thread.splitlines()[1:]:
        frame = _CRASH_FRAME.fullmatch(line)
        if frame is None:
            break
        if not _is_installed(frame["file"]):
            return f"{Path(frame['file']).name}:{frame['line']} in {frame['name']}"
    return ""


@functools.cache
def _is_installed(filename: str) -> bool:
    if filename.startswith("<frozen"):
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
