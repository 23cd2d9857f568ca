"""What code and settings of the user's own are made of: the files whose change makes other numbers."""

import contextlib
import glob
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

from benchmark.errors import BenchmarkError


def sha256_of(path: Path) -> str:
    """Of the file's bytes. Raises BenchmarkError if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read: {error.strerror or error}") from None


def files_named(text: str) -> list[Path]:
    """The files that a setting names: itself, or those that a pattern with {q} stands for; none if it names none."""
    if not text.replace("{q}", "").strip("./"):
        return []
    try:
        path = Path(text).expanduser()
        if "{q}" in text:
            found = glob.glob(glob.escape(str(path)).replace("{q}", "*"))  # noqa: PTH207  # Path's has no root
            return sorted(Path(name) for name in found if _is_file(name))
        return [path] if _is_file(path) else []
    except (OSError, ValueError, RuntimeError):  # no path at all: too long, a null character, no such user
        return []


def _is_file(path: str | Path) -> bool:
    return Path(path).is_file()


def anchored(text: str) -> str:
    """`text` as an absolute path if it is one of a file or folder that is there, else as it is.

    For code that is about to change its working folder. A word without "/" and "." is no path: "small" stays "small",
    whatever is called so here.
    """
    if "/" not in text and not Path(text).suffix:
        return text
    try:
        path = Path(text).expanduser()
        return str(path.absolute()) if files_named(text) or path.is_dir() else text
    except (OSError, ValueError, RuntimeError):  # as in `files_named`
        return text


def hashes_of_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """File -> SHA-256, of each that a setting names, written as there."""
    return {str(path): sha256_of(path) for text in settings.values() for path in files_named(text)}


def modules_beside(file: Path) -> dict[str, Path]:
    """Path relative to the folder of `file` -> path, of each module that it imports from there, directly or not.

    Imports are found in the compiled code, those inside functions too; the file itself is not among them.
    """
    import modulefinder

    finder = modulefinder.ModuleFinder([str(file.parent)], excludes=["benchmark"])
    with contextlib.suppress(SyntaxError, OSError, ValueError):  # of a module that may never be imported
        finder.run_script(str(file))
    found = {}
    for name, module in finder.modules.items():
        path = Path(getattr(module, "__file__", None) or "")
        if name != "__main__" and path.suffix == ".py":
            found[path.relative_to(file.parent).as_posix()] = path
    return dict(sorted(found.items()))


def hashes_of_modules(file: Path) -> dict[str, str]:
    """Module beside `file` -> SHA-256."""
    return {name: sha256_of(path) for name, path in modules_beside(file).items()}


def forget(files: Iterable[Path]) -> dict[str, ModuleType]:
    """Takes the modules of `files` from those that are imported, and returns them by name."""
    paths = {str(path.resolve()) for path in files}
    known = {
        name: module
        for name, module in list(sys.modules.items())
        if (origin := getattr(module, "__file__", None)) is not None and str(Path(origin).resolve()) in paths
    }
    for name in known:
        del sys.modules[name]
    return known


@contextlib.contextmanager
def forgotten(file: Path) -> Iterator[None]:
    """Inside, `file` and the modules beside it are as if they had never been imported; afterwards they are back."""
    known = forget([file, *modules_beside(file).values()])
    try:
        yield
    finally:
        sys.modules.update(known)
