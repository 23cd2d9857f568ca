"""Any program, called as a user wrote it: a line of words, a folder of its own, a time limit, its last words kept.

The line is split into words as a shell would, but no shell runs it: pipes, redirections and variables are not there.
"""

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Literal

from benchmark.errors import BenchmarkError, UsageError, signal_name
from benchmark.files import expanded
from benchmark.identity import (
    anchored,
    digest_of,
    files_mentioned,
    files_of_setting,
    hashes_of,
    is_program_name,
    sha256_of,
    words_of,
)
from benchmark.pixels import Image
from benchmark.strays import marked_environment

Pictures = Literal["png", "ppm", "bmp"]
"""Formats in which programs are given images."""
SHOWN = 300
"""Characters of a program's last words that an error repeats."""


def split(text: str, marks: Iterable[str]) -> tuple[str, ...]:
    """The words of a command line, as a shell has them. ValueError unless all `marks` are among its arguments."""
    words = tuple(shlex.split(text))
    if lacking := [mark for mark in marks if not any(mark in word for word in words[1:])]:
        raise ValueError(f"it lacks {' and '.join(lacking)}")
    return words


def settled(words: Sequence[str]) -> tuple[str, ...]:
    """The line as it can be run in any working folder: words that name files of this one have their absolute paths."""
    return (_absolute(words[0]), *map(_anchored, words[1:]))


def program_sha256(program: str, what: str) -> str:
    """Of the executable. what: whose it is, for messages. Raises UsageError if there is none."""
    found = shutil.which(_absolute(program))
    if found is None:
        raise UsageError(f"{what}: there is no program {program}; install it, or give its path")
    with open(found, "rb") as stream:  # noqa: PTH123
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_of(words: Sequence[str]) -> dict[str, str]:
    """Path -> SHA-256, of the files that a line names: scripts, weights, configurations, programs behind `env` and in
    `sh -c "…"`, and those that these name in turn; `module NAME` for `python -m NAME`.

    The program itself, the first word, is not among them, but what it names if it is a script.
    """
    found: dict[str, Path] = {}
    program = shutil.which(words[0])
    named = list(files_mentioned(Path(program))) if program is not None else []
    for word in words[1:]:
        named += _files_of_word(word)
    for path in named:
        found.setdefault(str(path), path)
    return hashes_of(found) | _modules_run(words)


class Unchanged:
    """The program of a line as `settled` has it, and the files that its words name, as they are when this is made.

    For who calls the line again and again and means one thing by it. What changes in the first call is written by the
    program itself, a log say, and not asked about any more.
    """

    def __init__(self, words: Sequence[str]) -> None:
        program = shutil.which(words[0])
        values = [part for word in words[1:] for part in (word, word.partition("=")[2]) if part.startswith("/")]
        paths = [Path(part) for part in ([program] if program else []) + values]
        self._known = {path: (_state(path), sha256_of(path)) for path in paths if _state(path) is not None}
        self._called = False

    def check(self) -> None:
        """Raises BenchmarkError if one of them has another content by now."""
        for path, (state, sha256) in list(self._known.items()):
            now = _state(path)
            if self._called and now != state:
                if now is None or sha256_of(path) != sha256:
                    raise BenchmarkError(f"{path}: has changed since it was first called")
                self._known[path] = now, sha256

    def called(self) -> None:
        """Is told of the end of each call."""
        if not self._called:
            self._known = {path: known for path, known in self._known.items() if _state(path) == known[0]}
            self._called = True


def _state(path: Path) -> tuple[int, int, int] | None:
    """Of a file, what moves when it is written or replaced; None if it is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _files_of_word(word: str) -> Iterator[Path]:
    yield from files_of_setting(word).values()
    for part in words_of(word):
        program = shutil.which(part) if is_program_name(part) else None
        if program is not None:
            yield Path(program)
            yield from files_mentioned(Path(program))


def _modules_run(words: Sequence[str]) -> dict[str, str]:
    """`module NAME` -> SHA-256 of the code of its package, for `python -m NAME` anywhere in a line."""
    flat = list(words)
    for word in words:
        with contextlib.suppress(ValueError):
            flat += shlex.split(word) if " " in word else []
    found = {}
    for program, option, name in zip(flat, flat[1:], flat[2:], strict=False):
        is_module = option == "-m" and Path(program).name.startswith(("python", "pypy"))
        if is_module and re.fullmatch(r"[\w.]+", name) and (code := _code_of_module(program, name)):
            found[f"module {name}"] = code
    return found


_WHERE = (
    "import importlib.util as u, sys; s = u.find_spec(sys.argv[1]); "
    "print(s.origin or '', *(s.submodule_search_locations or ()), sep='\\n')"
)


@cache
def _code_of_module(python: str, name: str) -> str:
    """SHA-256 of the code of the package of the module `name`, as that interpreter finds it; "" where it finds none."""
    try:
        line = [python, "-c", _WHERE, name.partition(".")[0]]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True, cwd="/")
    except (OSError, subprocess.SubprocessError):
        return ""
    origin, *folders = done.stdout.split("\n")[:-1] or [""]
    paths = [Path(origin)] if origin else []
    paths += [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    files = {str(index): path for index, path in enumerate(paths) if path.is_file()}
    return digest_of(hashes_of(files))


def image_file(image: Image, picture: str) -> bytes:
    """`image` as a file of one of `Pictures`."""
    from PIL import Image as Pillow  # not for lists of codecs, which are quick

    stream = BytesIO()
    Pillow.fromarray(image).save(stream, {"png": "PNG", "ppm": "PPM", "bmp": "BMP"}[picture])
    return stream.getvalue()


def call(words: Sequence[str], values: Mapping[str, str], folder: Path, seconds: float, said: IO[bytes]) -> str:
    """Runs the line in `folder`, `{name}` in its words replaced by `values`; returns what it printed last, for errors.

    said: gets its standard output and error. What the program started is ended with it. Raises BenchmarkError, with its
    last words, if it cannot be started, takes longer or fails.
    """
    _call(words, values, folder, seconds, said, subprocess.STDOUT)
    return last_words(said)


def call_for_output(words: Sequence[str], values: Mapping[str, str], folder: Path, seconds: float) -> tuple[str, str]:
    """As `call`; returns what the program printed to its standard output, and its last words on standard error."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as said:
        _call(words, values, folder, seconds, output, said)
        output.seek(0)
        return output.read().decode(errors="replace"), last_words(said)


def _call(
    words: Sequence[str],
    values: Mapping[str, str],
    folder: Path,
    seconds: float,
    output: IO[bytes],
    errors: IO[bytes] | int,
) -> None:
    names = "|".join(map(re.escape, values))
    line = [re.sub(rf"\{{({names})\}}", lambda match: values[match[1]], word) for word in words]
    said = output if isinstance(errors, int) else errors
    try:
        process = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            cwd=folder,
            env=marked_environment(),
            start_new_session=True,  # so that what the program starts can be ended with it
        )
    except OSError as error:
        raise BenchmarkError(f"{words[0]}: cannot be started: {error.strerror or error}") from error
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{words[0]}: no end after {seconds:g} seconds; it was killed") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if code:
        cause = f"signal {signal_name(-code, str(-code))}" if code < 0 else f"exit code {code}"
        raise BenchmarkError(f"{words[0]}: {cause}{last_words(said) or last_words(output)}")


def _absolute(program: str) -> str:
    """A program that is named by a path stays what it is when the working folder changes; others are on the PATH."""
    return str(expanded(program).absolute()) if "/" in program else program


def _anchored(word: str) -> str:
    """A word that is a file or folder of the working folder, or `--option=` and one, with its absolute path."""
    option, equals, value = word.partition("=")
    return f"{option}={anchored(value)}" if equals else anchored(word)


def last_words(said: Any) -> str:
    """The end of what was printed, after ": "; "" if nothing was."""
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - 4 * SHOWN))
    text = " ".join(said.read().decode(errors="replace").split())
    return f": {text[-SHOWN:]}" if text else ""
