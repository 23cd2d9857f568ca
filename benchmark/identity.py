"""What code and settings of the user's own are made of: the files whose change makes other numbers.

Files are read and hashed in full each time, however large: a checkpoint that was trained further in its place, with
size and time set back, is another one. What lies in more than `MOST_FILES` files is not read, and the record says so.
"""

import contextlib
import glob
import hashlib
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from benchmark.errors import BenchmarkError
from benchmark.files import expanded
from benchmark.redaction import redacted
from benchmark.sources import code_elsewhere, modules_beside, source_of

CHECKPOINTS = (".pth", ".pt", ".ckpt", ".safetensors", ".onnx", ".npz", ".h5", ".pkl", ".bin", ".tar", ".pth.tar")
"""Suffixes that code adds to the name of a checkpoint; TensorFlow's have several files, `NAME.index` among them."""

MOST_FILES = 1000
"""Of a folder, and of all that a pattern stands for."""

LARGEST_TEXT = 100_000
"""Bytes of a script or configuration file that is searched for names of other files."""
LONGEST_LINE = 2000
DEEPEST = 3
"""Files that name files that name files."""

NO_DATA = (".py", ".pyc", ".so", ".log", ".lock", ".tmp")
"""Suffixes of files that are modules, or what code leaves behind."""

NO_FILE = re.compile(r"[-+.\d]*|true|false|none", re.IGNORECASE)
"""Values of settings that name no file, whatever lies there."""
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)

NUMERIC_VARIABLES = (
    *("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
    *(
        "TORCH_CUDNN_V8_API_DISABLED",
        "ATEN_CPU_CAPABILITY",
        "MKL_CBWR",
        "MKL_ENABLE_INSTRUCTIONS",
        "MKL_DEBUG_CPU_TYPE",
    ),
    *("MKL_DYNAMIC", "OMP_DYNAMIC", "OMP_SCHEDULE", "KMP_DETERMINISTIC_REDUCTION", "OPENBLAS_CORETYPE"),
    *("DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE"),
    *("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS"),
    *("XLA_FLAGS", "JSIMD_FORCENONE", "JSIMD_FORCEAVX2", "JSIMD_FORCESSE2"),
)
"""Environment variables that choose the arithmetic of libraries which codecs and metrics compute with."""

_COMMON = frozenset(
    re.findall(
        r"\S+",
        "[ alias awk basename bash break cat cd chmod continue cp cut dash date dd dirname do done echo elif else env "
        "esac eval exec exit export expr fi find for function getopts grep head if in install ln local ls mkdir mktemp "
        "mv nice printf pwd read readlink realpath return rm rmdir sed set sh shift sleep sort source tail tee test "
        "then time timeout touch tr trap true false umask uniq unset until wait wc while xargs zsh",
    )
)
"""Words of scripts that are no program whose version makes other streams."""


# Hashes


def sha256_of(path: Path) -> str:
    """Of the file's bytes. Raises BenchmarkError if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read: {error.strerror or error}") from None


def hashes_of(files: Mapping[str, Path]) -> dict[str, str]:
    """Name -> SHA-256; of more than `MOST_FILES`, that they were not read."""
    if len(files) > MOST_FILES:
        return {"files": f"not read: more than {MOST_FILES}"}
    return {name: sha256_of(path) for name, path in files.items()}


def digest_of(hashes: Mapping[str, str]) -> str:
    """One SHA-256 of many; "" of none."""
    listing = "\n".join(f"{sha256} {name}" for name, sha256 in hashes.items())
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest() if hashes else ""


def hashes_of_settings(settings: Mapping[str, str], folders: Sequence[Path] = ()) -> dict[str, str]:
    """Setting, and behind it the file where it is not named by all of the setting -> SHA-256.

    So the record is the same wherever the files lie. folders: see `files_of_setting`. Raises BenchmarkError if a file
    cannot be read.
    """
    found: dict[str, str] = {}
    for key, text in settings.items():
        hashes = hashes_of(files_of_setting(text, folders))
        found |= {f"{key} {name}".rstrip(): sha256 for name, sha256 in hashes.items()}
    return found


def hashes_of_modules(file: Path) -> dict[str, str]:
    """Module beside `file` -> SHA-256."""
    return {name: sha256_of(path) for name, path in modules_beside(file).items()}


def hashes_of_code(file: Path, modules: Mapping[str, Path]) -> dict[str, str]:
    """Module -> SHA-256: of `modules`, those beside `file`; of code that is named by a path; and, as "package NAME", of
    what is imported from elsewhere than the installed packages."""
    hashes = hashes_of(modules) | hashes_of(code_named(file))
    for name, paths in code_elsewhere([file, *modules.values()], modules).items():
        folder = paths[0].parent
        hashes[f"package {name}"] = digest_of(hashes_of({os.path.relpath(path, folder): path for path in paths}))
    return hashes


def hashes_of_programs(file: Path) -> dict[str, str]:
    """Program -> SHA-256, of those that the code of `file` and of modules beside it starts by their names."""
    sources = (file, *modules_beside(file).values())
    names = dict.fromkeys(name for source in sources for name in source_of(source).programs)
    found = {name: shutil.which(name) for name in names if is_program_name(name)}
    return {name: sha256_of(Path(path)) for name, path in found.items() if path is not None}


# Files that a text names


def files_named(text: str, folder: Path | None = None) -> list[Path]:
    """The files that one word names: itself, those in it if it is a folder, those that a pattern stands for, or the
    checkpoints that are called so but for their suffix; none if it names none.

    "{q}", "%03d" and the like are patterns, too. folder: where relative paths begin; None for the working folder.
    """
    if not re.sub(r"\{[^{}]*\}", "", text).strip("./") or NO_FILE.fullmatch(text):
        return []
    try:
        path = expanded(os.path.expandvars(text.removeprefix("file://")) if not Path(text).exists() else text)
        path = path if folder is None else folder / path
        if _is_file(path):
            return [path]
        if path.is_dir():
            return _files_in(path) if path.resolve() not in {*_TOO_LARGE, Path.home()} else []
        pattern = re.sub(r"\{[^{}]*\}|%\d*[dsgf]", "*", str(path))
        if any(mark in pattern for mark in "*?["):
            if "*" in pattern and pattern != str(path):  # what else is in it means itself
                pattern = glob.escape(re.sub(r"\{[^{}]*\}|%\d*[dsgf]", "\0", str(path))).replace("\0", "*")
            if not pattern.replace("*", "").strip("./"):
                return []
            return sorted(Path(name) for name in glob.iglob(pattern, recursive=True) if _is_file(name))  # noqa: PTH207
        found = [path.with_name(path.name + suffix) for suffix in CHECKPOINTS]
        if _is_file(index := path.with_name(path.name + ".index")):
            found += [index, *path.parent.glob(f"{glob.escape(path.name)}.data-*")]
        return sorted(one for one in found if _is_file(one))
    except (OSError, ValueError, RuntimeError):  # no path at all: too long, a null character, no such user
        return []


_TOO_LARGE = frozenset(Path(name) for name in ("/", "/home", "/usr", "/tmp", "/var", "/etc", "/opt", "/dev", "/proc"))
"""Folders that are not meant as a codec's own."""


def _files_in(folder: Path) -> list[Path]:
    """Links to folders are followed, each folder once."""
    found: list[Path] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders[:] = []
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if name != "__pycache__" and not name.startswith("."))
        found += [path for name in sorted(names) if _is_file(path := Path(place) / name)]
        if len(found) > MOST_FILES:
            break
    return found


def _is_file(path: str | Path) -> bool:
    return Path(path).is_file()


def words_of(text: str) -> list[str]:
    """The words of a setting that may name files: all of it, its words as a shell splits them, parts of lists, what
    stands behind "=" and "@"."""
    try:
        split = shlex.split(text)
    except ValueError:
        split = text.split()
    words = [text, *split]
    for word in split:
        if " " in word and word != text:  # sh -c "…"
            words += words_of(word)
        words += re.split(r"[,;|+]|:(?!//)", word)
        words += [part for mark in "=@" if (part := word.partition(mark)[2])]
    return list(dict.fromkeys(word for word in words if word))


def files_of_setting(text: str, folders: Sequence[Path] = ()) -> dict[str, Path]:
    """Name -> path, of each file that a setting names, and of those that these name if they are small texts.

    The name is "" for a file that all of the setting names, else as it is written there. Relative paths begin in the
    working folder, or in the first of `folders` that has it.
    """
    found: dict[str, Path] = {}
    for word in words_of(text):
        for folder in (None, *folders):
            if paths := files_named(word, folder):
                break
        known = set(found.values())
        for path in paths:
            if path not in known:
                plain = not re.search(r"[*?\[{%]", text) and not expanded(text).is_dir()
                alone = word == text and len(paths) == 1 and plain
                found["" if alone else _short(path, word)] = path
    for path in list(found.values()):
        for other in files_mentioned(path):
            found.setdefault(name_from(other, Path.cwd()), other)
    return dict(sorted(found.items()))


def _short(path: Path, word: str) -> str:
    """`path` from the last folder on that `word` names without a mark of a pattern."""
    if str(path) == word:
        return word
    fixed = re.split(r"[*?\[{%]", word, maxsplit=1)[0]
    base = expanded(fixed)
    base = base if base.is_dir() else base.parent
    try:
        return path.absolute().relative_to(base.absolute()).as_posix()
    except ValueError:
        return path.name


def files_mentioned(file: Path, depth: int = DEEPEST) -> list[Path]:
    """The files that a script or configuration file names, and those that they name in turn; programs of a script too.

    Relative paths begin in its folder, or in the working folder. A file that is no small text names none; of code in
    Python, these are the modules beside it.
    """
    found: dict[Path, None] = {}

    def look(current: Path, left: int) -> None:
        text = _text_of(current)
        if text is None:
            return
        python = current.suffix == ".py" or re.match(r"#!.*python", text) is not None
        others = [*modules_beside(current).values(), *_files_of_code(current).values()] if python else []
        script = text.startswith("#!") or current.suffix in (".sh", ".bash")
        others += [Path(program) for word in _shebang(text) if (program := shutil.which(word))]
        for line in text.splitlines() if not python else ():
            line = line.partition("#")[0].strip() if len(line) < LONGEST_LINE else ""
            for word in (*words_of(line), *re.findall(r"[^\s\"'{}\[\](),;]+", line)):
                if script and is_program_name(word):
                    others += [Path(program) for program in [shutil.which(word)] if program]
                elif ("/" in word or "." in word) and not word.startswith(("/dev/", "/proc/")):
                    here = [path for folder in (current.parent, None) for path in files_named(word, folder)]
                    others += here if len(here) <= MOST_FILES else []
        for other in others:
            if other != file and other not in found:
                found[other] = None
                if left > 1:
                    look(other, left - 1)

    look(file, depth)
    return list(found)


def is_program_name(word: str) -> bool:
    """Whether a word may be a program on the PATH, other than those that move no stream."""
    return re.fullmatch(r"[\w.+-]*[A-Za-z][\w.+-]*", word) is not None and word[0] != "-" and word not in _COMMON


def _text_of(file: Path) -> str | None:
    try:
        if file.stat().st_size > LARGEST_TEXT:
            return None
        content = file.read_bytes()
        return None if b"\0" in content else content.decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _shebang(text: str) -> list[str]:
    """The programs of a script's first line: "/usr/bin/env python3" has two."""
    if not text.startswith("#!"):
        return []
    return [word for word in text.partition("\n")[0][2:].split() if not word.startswith("-")]


def anchored(text: str) -> str:
    """`text` as an absolute path if it is one of a file or folder that is there, else as it is; lists of them too.

    For code that is about to change its working folder. A word without "/" and "." is no path: "small" stays "small",
    whatever is called so here.
    """
    alone = _anchored(text)
    if alone != text:
        return alone
    for mark in (",", ";", " "):
        parts = text.split(mark)
        if len(parts) > 1 and all(part and files_named(part) for part in parts):
            return mark.join(map(_anchored, parts))
    return text


def _anchored(text: str) -> str:
    if "/" not in text and not Path(text).suffix:
        return text
    try:
        path = expanded(text)
        if ("$" in text or "://" in text) and not path.exists():  # it is absolute, once it means anything
            return text
        return str(path.absolute()) if files_named(text) or path.is_dir() else text
    except (OSError, ValueError, RuntimeError):  # as in `files_named`
        return text


def data_of_code(file: Path) -> dict[str, Path]:
    """Name relative to the folder of `file` -> path, of each file other than a module that its code, or that of a
    module beside it, writes a name of; looked for there and in the working folder."""
    return {name: path for name, path in _files_of_code(file).items() if path.suffix not in NO_DATA}


def code_named(file: Path) -> dict[str, Path]:
    """The same of modules and libraries that are named as files, to be run or loaded from there, and what they import
    from beside them."""
    known = {file.resolve(), *(path.resolve() for path in modules_beside(file).values())}
    found: dict[str, Path] = {}
    for path in _files_of_code(file).values():
        if path.suffix in (".py", ".so"):
            for one in (path, *modules_beside(path).values()):
                if one.resolve() not in known:
                    found[name_from(one, file.parent)] = one
    return found


def _files_of_code(file: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for source in (file, *modules_beside(file).values()):
        for text in source_of(source).texts:
            if re.fullmatch(r"\.\w{1,15}(\.\w{1,15})?", text):  # a suffix, perhaps of a file called as the code is
                text = source.stem + text
            for folder in dict.fromkeys((source.parent, file.parent, None)):
                paths = files_named(text, folder)
                if paths and len(paths) <= MOST_FILES and not (folder or Path()).joinpath(text).is_dir():
                    found |= {name_from(path, file.parent): path for path in paths}
                    break
    return found


def name_from(path: Path, folder: Path) -> str:
    """`path` relative to `folder` if it lies there, else below "~" or absolute."""
    path = path.absolute()
    for base, mark in ((folder.absolute(), ""), (Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_relative_to(base):
            return mark + path.relative_to(base).as_posix()
    return str(path)


# The environment


def variables(names: Iterable[str], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Name -> value, of the environment variables among `names` that are set. Of a secret, the hash of its value.

    environment: this process's, or another's.
    """
    found = {}
    for name in names:
        value = environment.get(name)
        if value is not None:
            secret = SECRET.search(name) is not None or redacted(value) != value
            found[name] = f"sha256:{hashlib.sha256(os.fsencode(value)).hexdigest()[:16]}" if secret else value
    return found


def files_of_variables(names: Iterable[str]) -> dict[str, str]:
    """Variable, and file -> SHA-256, of the files that their values name."""
    return hashes_of_settings({name: value for name in names if (value := os.environ.get(name))})


# What is not known


def unknown_parts(description: Mapping[str, object]) -> list[str]:
    """What may change a codec's streams and is not in this description of it; nothing for codecs of the suite."""
    if "programs" in description:
        return [
            "libraries that the programs load, and modules of installed packages",
            "files that they find by themselves, and environment variables (environment=NAME,… records some)",
        ]
    outside = "what it fetches from a network, programs that it starts and does not name, and shared libraries"
    if "object" in description:
        return ["settings of the object that are no weights and that its describe() does not tell", outside]
    if "file_sha256" in description or "package" in description:
        return [
            "files that it opens only while it codes, unless a setting or its code names them",
            "environment variables that it does not name (environment = ('NAME', …) records some)",
            outside,
        ]
    return []


# Modules that are imported


def forget(files: Iterable[Path]) -> dict[str, ModuleType]:
    """Takes the modules of `files` from those that are imported, and returns them by name."""
    paths = {path.resolve() for path in files}
    names = {path.name for path in paths}
    known = {
        name: module
        for name, module in list(sys.modules.items())
        if (origin := getattr(module, "__file__", None)) is not None
        and os.path.basename(origin) in names  # noqa: PTH119  # of thousands, and `Path` takes its time
        and Path(origin).resolve() in paths
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
