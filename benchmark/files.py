"""Files that commands write: whole or not there, through links, never in the place of a device, by the user's umask."""

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Tensor

STANDARD_OUTPUT = "-"
"""As the name of an output: standard output. A file of that name has to be called `./-`."""

_DESCRIPTOR = re.compile(r"/dev/fd/(\d+)|/proc/(?:self|thread-self|\d+)/fd/(\d+)")
_NAMED = {STANDARD_OUTPUT: 1, "/dev/stdout": 1, "/dev/stderr": 2}

_CLOSED_FOLDER = {errno.EACCES, errno.EPERM, errno.EROFS}

_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
"""What file systems answer that cannot put a folder, or a file, on the disk at once."""


def expanded(path: str | Path) -> Path:
    """With the home folder for a leading ~ or ~user; as it is where no such user is known, so that it is a name."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


OF_A_RUN = (
    "run.json", "trials.jsonl", "summary.csv", "speed.csv", "leave-one-out.json",
    "features", "reconstructions", "tracebacks",
)  # fmt: skip
"""Files and folders of a run folder that nothing but the run itself writes."""


PAGE_MARK = ".hfd-benchmark-page"
"""A file that tells a page's folder, which its next version may replace."""

_RUN_MARKS = frozenset({"run.json", "trials.jsonl"})


def written_as(names: Collection[str]) -> str:
    """What a folder of files with these names is: "run" or "page" where the suite wrote it, else ""."""
    if PAGE_MARK in names:
        return "page"
    return "run" if _RUN_MARKS.issubset(names) else ""


def folder_written_as(folder: Path) -> str:
    """As `written_as`, of a folder here; "" if it cannot be looked at."""
    return written_as([name for name in (PAGE_MARK, *_RUN_MARKS) if os.path.lexists(folder / name)])


def check_apart(output: Path, *inputs: Path | str) -> None:
    """Raises UsageError if `output` is one of `inputs`, by whatever name, or lies in a run folder and is the run's own.

    inputs: files and run folders that a command reads. A link to one of them counts as it, a device does not.
    """
    target = Path(os.path.realpath(output))
    for place in target.parents:
        if (place / "run.json").is_file() and target.relative_to(place).parts[0] in OF_A_RUN:
            raise UsageError(f"{output}: is a file of the run in {place}; name another")
    for path in inputs:
        with contextlib.suppress(OSError):
            if target.is_file() and target.samefile(path):
                raise UsageError(f"{output}: is what is read; name another file")


def check_different(*outputs: Path) -> None:
    """Raises UsageError if two of the files that a command writes are one; devices take several."""
    seen: dict[Path, Path] = {}
    for output in outputs:
        target = Path(os.path.realpath(output))
        if is_standard_output(output) or (target.exists() and not target.is_file()):
            continue
        if target in seen:
            raise UsageError(f"{seen[target]}, {output}: one file for two outputs; name another")
        seen[target] = output


def write_file(path: Path, data: bytes | str | Iterable[bytes], *, parents: bool = False) -> None:
    """Writes `data`; the file is whole and on the disk when this returns, and what it was before if this raises.

    data: at once, text as UTF-8, or in pieces. parents: whether the file's folder is made. A link is followed, also one
    that leads nowhere yet. What is no file, such as a pipe or a terminal, is written to and stays what it is; "-",
    /dev/stdout and /dev/fd/N are what this process has open under these names. A file that may be written in a folder
    that may not is written in place.

    Raises UsageError on a folder or a disk, BenchmarkError, which names the file and the reason, on all else.
    """
    pieces = [data.encode()] if isinstance(data, str) else [data] if isinstance(data, bytes) else data
    try:
        if _is_stream(path):
            _write_stream(path, pieces)
            return
        if parents:
            make_folder(path.parent)
        target = _target(path)
        try:
            partial, descriptor = _partial_beside(target)
        except OSError as error:
            if error.errno not in _CLOSED_FOLDER or not target.is_file():
                raise
            _write_in_place(target, pieces)
            return
        with _removed_on_failure(partial, descriptor):
            with open(descriptor, "wb", closefd=False) as file:
                file.writelines(pieces)
            _take_place(partial, target)
    except OSError as error:
        raise cannot_write(path, error) from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file for a library that writes by name: it takes the place of `path` as `write_file` does when the `with` ends.

    Nothing is left of it where something is raised inside. Raises as `write_file` does, and passes on what is raised
    inside unless it is an OSError.
    """
    try:
        if _is_stream(path):
            with tempfile.TemporaryDirectory() as folder:
                yield (file := Path(folder) / "output")
                _write_stream(path, [file.read_bytes()])
            return
        make_folder(path.parent)
        target = _target(path)
        partial, descriptor = _partial_beside(target)
        mode = stat.S_IMODE(partial.stat().st_mode)
        with _removed_on_failure(partial, descriptor):
            yield partial
            partial.chmod(mode)  # a library may have made a file of its own
            _take_place(partial, target)
    except OSError as error:
        raise cannot_write(path, error) from None


def write_tensors(path: Path, tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str]) -> None:
    """Writes a safetensors file as `write_file` does, with its folder. tensors: contiguous, none twice."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with replacing(path) as file:
        try:
            save_file(dict(tensors), file, metadata=dict(metadata))
        except SafetensorError as error:
            raise BenchmarkError(f"{path}: cannot be written: {error}") from None


def write_array(path: Path, array: "ndarray[Any, Any]") -> None:
    """Writes a .npy file as `write_file` does, with its folder."""
    import numpy as np

    with replacing(path) as file, file.open("wb") as stream:
        # Into a file NumPy writes by C, which has no reason for what it could not write.
        np.save(SimpleNamespace(write=stream.write), array, allow_pickle=False)


def put_whole(beside: Path, path: Path, data: bytes | Iterable[bytes]) -> None:
    """Puts a regular file in its place, whole and on the disk; until then it lies in the folder `beside`.

    Both are on one file system. Raises OSError, and leaves nothing then.
    """
    partial, descriptor = new_file(beside)
    with _removed_on_failure(partial, descriptor):
        with open(descriptor, "wb", closefd=False) as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            _sync(descriptor)
        partial.replace(path)
    sync_folder(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """Adds `line` and a line break to a file, which is made if need be; all of it is on the disk, or nothing if this
    raises. Raises BenchmarkError, UsageError on a folder."""
    try:
        if path.is_dir():
            raise UsageError(f"{path}: is a folder; name a file")
        make_folder(path.parent)
        with path.open("ab", buffering=0) as file:
            end = os.fstat(file.fileno())
            if stat.S_ISREG(end.st_mode) and end.st_size and _last_byte(path) != b"\n":
                line = b"\n" + line
            append_whole(file.fileno(), line + b"\n")
    except OSError as error:
        raise cannot_write(path, error) from None


def append_whole(descriptor: int, line: bytes) -> None:
    """Appends `line` to an open file and syncs; whatever goes wrong, the file has all of it or nothing."""
    found = os.fstat(descriptor)
    try:
        _write_all(descriptor, line)
        _sync(descriptor)
    except BaseException:
        if stat.S_ISREG(found.st_mode):
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, found.st_size)
        raise


def make_folder(path: Path) -> Path:
    """Makes a folder for output, with those above it, and returns it.

    Raises UsageError if it is something else or a link that leads nowhere, BenchmarkError if it cannot be made.
    """
    try:
        if (other := in_place_of_folder(path)) is not None:
            raise UsageError(f"{path}: {other}, not a folder")
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be made: {error.strerror or error}") from None
    return path


def in_place_of_folder(path: Path) -> str | None:
    """What stands where a folder is wanted: "a file", say; None if it is one, or if nothing is there."""
    if path.is_dir() or not os.path.lexists(path):
        return None
    if not path.exists():
        return "a link that leads nowhere"
    return "a file" if path.is_file() else "a device or a pipe"


def is_standard_output(path: Path) -> bool:
    """Whether `path` names this process's standard output, where no other text must come then."""
    return _descriptor(path) == 1


def is_stream(path: Path) -> bool:
    """Whether `path` is written to as it is: "-", a pipe, a terminal; its name says nothing about what it takes."""
    try:
        return _is_stream(path)
    except OSError:
        return False


def cannot_write(path: Path, error: OSError) -> BenchmarkError:
    """The line for an error that came up while `path` was written."""
    return BenchmarkError(f"{path}: cannot be written: {error.strerror or error}")


def sync_folder(path: Path) -> None:
    """Puts the names in a folder on the disk, so that a new file outlives a power cut, where that can be."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # a folder that may be written and not read
        return
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def new_file(folder: Path) -> tuple[Path, int]:
    """A new, empty file in `folder` and its descriptor, open for writing; its mode is what the user's umask leaves."""
    while True:
        path = folder / f".partial-{secrets.token_hex(6)}"
        with contextlib.suppress(FileExistsError):
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a disk that is nearly full takes a part
        rest = rest[os.write(descriptor, rest) :]


def _is_stream(path: Path) -> bool:
    if _descriptor(path) is not None:
        return True
    if not path.exists() or path.is_file() or path.is_dir():
        return False
    if path.is_block_device():
        raise UsageError(f"{path}: is a disk, not a file")
    if path.is_socket():
        raise UsageError(f"{path}: is a socket, not a file")
    return True


def _descriptor(path: Path) -> int | None:
    """The number of the open file of this process that `path`, or a link that it is, names; None if it names none."""
    name = str(path)
    for _ in range(40):
        if name in _NAMED:
            return _NAMED[name]
        if found := _DESCRIPTOR.fullmatch(name):
            process = name.split("/")[2] if name.startswith("/proc") else "self"
            own = process in ("self", "thread-self", str(os.getpid()))
            return int(found[1] or found[2]) if own else None
        try:
            name = os.path.normpath(os.path.join(os.path.dirname(name), os.readlink(name)))  # noqa: PTH115,PTH118,PTH120
        except OSError:
            return None
    return None


def _write_stream(path: Path, pieces: Iterable[bytes]) -> None:
    descriptor = _descriptor(path)
    if descriptor is None:
        with path.open("wb", buffering=0) as device:
            for piece in pieces:
                _write_all(device.fileno(), piece)
        return
    for stream in (sys.stdout, sys.stderr):  # what was said before comes before
        if stream is not None:
            stream.flush()
    with contextlib.suppress(BrokenPipeError):  # whoever stops reading has what they want
        for piece in pieces:
            _write_all(descriptor, piece)


def _target(path: Path) -> Path:
    """The file behind links, whether it is there or not. Raises UsageError if it is a folder, OSError on a loop."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise UsageError(f"{path}: is a folder; name a file")
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if target.exists():
        os.close(os.open(target, os.O_WRONLY | os.O_CLOEXEC))  # whoever may not write it may not replace it
    return target


def _partial_beside(target: Path) -> tuple[Path, int]:
    """An empty file beside `target` and its descriptor, with the mode of `target` if that is there.

    Its name is that of `target`, so that what a kill leaves of it is taken by the next who writes `target`; who writes
    holds its lock, so that nobody takes it from under him, and another name is found.
    """
    partial, descriptor = _own_partial(target) or new_file(target.parent)
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
    return partial, descriptor


def _own_partial(target: Path) -> tuple[Path, int] | None:
    path = target.with_name(f".{target.name}.partial")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError:  # a long name, a link, somebody else's; whether a file can be made at all, another name shows
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            os.ftruncate(descriptor, 0)
            return path, descriptor
    except OSError:  # somebody writes it, has just moved it into place, or there are no locks
        pass
    os.close(descriptor)
    return None


@contextlib.contextmanager
def _removed_on_failure(partial: Path, descriptor: int) -> Iterator[None]:
    """Closes `descriptor` in any case, at the end: until then nobody else takes the file."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _take_place(partial: Path, target: Path) -> None:
    with partial.open("rb") as file:
        _sync(file.fileno())
    try:
        partial.replace(target)
    except OSError as error:
        if error.errno != errno.EBUSY:  # a file that is mounted into a container
            raise
        _write_in_place(target, [partial.read_bytes()])
        partial.unlink()
    sync_folder(target.parent)


def _write_in_place(target: Path, pieces: Iterable[bytes]) -> None:
    with target.open("wb") as file:
        file.writelines(pieces)
        file.flush()
        _sync(file.fileno())


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)
