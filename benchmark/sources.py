"""What a Python file says without being run: what it imports, and which files it names."""

import ast
import importlib.machinery
import importlib.metadata
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from benchmark.files import expanded
from benchmark.guards import is_installed

SUFFIXES = (".py", *importlib.machinery.EXTENSION_SUFFIXES, ".pyc")
"""Of modules, in the order in which one is looked for."""

LONGEST = 300
"""Characters of a text that may be a file's name."""


@dataclass(frozen=True)
class Source:
    """What one file says.

    imports: (dots of a relative import, name), of all places, those in functions and by `import_module` too. folders:
    that it may add to the import path, as it writes them. texts: that may be names of files which it reads; "*" stands
    for what is not known, in f"q{quality}.pth" say, and "$NAME" for a variable. variables: of the environment, that it
    reads by their names. programs: that it starts by their names.
    """

    imports: tuple[tuple[int, str], ...] = ()
    folders: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()


def source_of(file: Path) -> Source:
    """Of a file in Python; of what is none, or cannot be read, nothing."""
    if file.suffix not in (".py", ""):
        return Source()
    try:
        return _source(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):  # of a module that may never be imported
        return Source()


@lru_cache(maxsize=1024)
def _source(content: bytes) -> Source:
    imports: dict[tuple[int, str], None] = {}
    folders: dict[str, None] = {}
    texts: dict[str, None] = {}
    variables: dict[str, None] = {}
    programs: dict[str, None] = {}
    written: set[str] = set()
    for node in ast.walk(ast.parse(content)):
        match node:
            case ast.Import(names=names):
                imports |= dict.fromkeys((0, name.name) for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = f"{module}." if module else ""
                imports |= dict.fromkeys((level, f"{base}{name.name}".removesuffix(".*")) for name in names)
                if module:
                    imports[level, module] = None
            case ast.Call(func=function, args=arguments):
                name = _last_name(function)
                literal = [
                    one.value for one in arguments if isinstance(one, ast.Constant) and isinstance(one.value, str)
                ]
                if name in ("import_module", "__import__") and literal:
                    stripped = literal[0].lstrip(".")
                    imports[len(literal[0]) - len(stripped), stripped] = None
                elif name == "getenv" or (
                    name == "get" and _last_name(getattr(function, "value", function)) == "environ"
                ):
                    variables |= dict.fromkeys(literal[:1])
                elif name in ("insert", "append", "extend", "addsitedir") and "path" in ast.unparse(function):
                    folders |= dict.fromkeys(_texts_in(node))
                elif _writes(name, literal):
                    written |= set(_texts_in(node))
                elif name in _JOINING and arguments:
                    texts["/".join(_parts(node))] = None
                elif name in _LISTING:
                    where = arguments[0] if arguments and name not in _METHODS else getattr(function, "value", None)
                    if where is not None and (folder := "/".join(_parts(where))):
                        texts[f"{folder}/{_LISTING[name]}{'/'.join(literal) if name in _METHODS else ''}"] = None
                    elif name == "rglob":
                        texts |= {f"**/{text}": None for text in literal}
                elif name == "get_data" and len(literal) == 2:
                    texts[f"{literal[0].replace('.', '/')}/{literal[1]}"] = None
                elif name in _STARTING and arguments:
                    programs |= dict.fromkeys(_program(arguments[0]))
            case ast.Subscript(value=mapping, slice=ast.Constant(value=str() as key), ctx=ast.Load()):
                if _last_name(mapping) == "environ":
                    variables[key] = None
            case ast.BinOp(op=ast.Div()):
                texts["/".join(_parts(node))] = None
            case ast.BinOp(op=ast.Add()):
                if (text := _sum(node)) is not None:
                    texts[text] = None
            case ast.Constant() | ast.JoinedStr():
                if (text := _text(node)) is not None:
                    texts[text] = None
    named = tuple(text for text in texts if text not in written and _may_be_a_file(text))
    return Source(tuple(imports), tuple(folders), named, tuple(variables), tuple(programs))


_JOINING = ("join", "joinpath", "Path", "PurePath")
_LISTING = {"listdir": "*", "scandir": "*", "iterdir": "*", "walk": "**/*", "glob": "", "rglob": "**/"}
"""Functions that find files in a folder -> the pattern that this is."""
_METHODS = ("iterdir", "glob", "rglob")
"""Those of a path, which get a pattern."""
_STARTING = ("run", "Popen", "call", "check_call", "check_output", "system", "popen", "which", "create_subprocess_exec")


_OF_THE_MACHINE = frozenset(
    (
        *("HOME", "PATH", "TMPDIR", "USER", "PYTHONPATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS"),
        *("CUDA_VISIBLE_DEVICES", "LOCAL_RANK", "RANK"),
    )
)


def variables_read(file: Path) -> tuple[str, ...]:
    """The environment variables that a file, or a module beside it that it imports, reads by their names; but for those
    that say where something is, or how many threads there are."""
    found = {name for one in (file, *modules_beside(file).values()) for name in source_of(one).variables}
    return tuple(sorted(found - _OF_THE_MACHINE))


def _writes(name: str, texts: list[str]) -> bool:
    """Whether a call of that function writes the files that it names: what it makes is no part of the code."""
    if name == "open":
        return any(set(text) <= set("rwaxbt+U") and set(text) & set("wax") for text in texts)
    return any(word in name.lower() for word in ("save", "write", "dump", "filehandler", "mkdir", "touch", "unlink"))


def _last_name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _text(node: ast.AST) -> str | None:
    """A text that is written there; "*" for what an f-string fills in."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=values):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in values)
    return None


def _texts_in(node: ast.AST) -> Iterator[str]:
    yield from (text for one in ast.walk(node) if (text := _text(one)) is not None)


def _parts(node: ast.AST) -> Iterator[str]:
    """The parts of a path that are written there, of one that is joined or divided together."""
    match node:
        case ast.BinOp(op=ast.Div(), left=left, right=right):
            yield from _parts(left)
            yield from _parts(right)
        case ast.Call(func=function, args=arguments) if _last_name(function) in _JOINING:
            if _last_name(function) == "joinpath" and isinstance(function, ast.Attribute):
                yield from _parts(function.value)
            for one in arguments:
                yield from _parts(one)
        case ast.Call(func=function, args=[ast.Constant(value=str() as package), *_]) if (
            _last_name(function) == "files"
        ):
            yield package.replace(".", "/")  # `importlib.resources.files`
        case _:
            variable = _variable(node)
            if variable is not None:
                yield f"${variable}"
            elif (text := _text(node)) is not None:
                yield text


def _variable(node: ast.AST) -> str | None:
    """The environment variable that is read there."""
    match node:
        case ast.Subscript(value=mapping, slice=ast.Constant(value=str() as name)) if _last_name(mapping) == "environ":
            return name
        case ast.Call(func=function, args=[ast.Constant(value=str() as name), *_]):
            owner = _last_name(getattr(function, "value", function))
            if _last_name(function) == "getenv" or (_last_name(function) == "get" and owner == "environ"):
                return name
    return None


def _sum(node: ast.AST) -> str | None:
    """A text that is added of others, all of them written there."""
    match node:
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            one, other = _sum(left), _sum(right)
            return None if one is None or other is None else one + other
        case ast.Attribute(attr="sep"):
            return "/"
        case _:
            variable = _variable(node)
            return f"${variable}" if variable is not None else _text(node)


def _program(node: ast.AST) -> Iterator[str]:
    """The program of a command line that is a list of words or one text."""
    if isinstance(node, ast.List | ast.Tuple):
        node = node.elts[0] if node.elts else node
    text = _text(node)
    if text is not None and (words := text.split()):
        yield words[0]


def _may_be_a_file(text: str) -> bool:
    literal = text.replace("*", "")
    return len(literal) > 2 and len(text) < LONGEST and text.isprintable() and ("." in literal or "/" in literal)


def modules_beside(file: Path) -> dict[str, Path]:
    """Path relative to the folder of `file` -> path, of each module that it imports from there, directly or not.

    So are those of folders that it adds to the import path by name; namespace packages and compiled modules are found
    too. The file itself is not among them, nor is what is installed.
    """
    found: dict[Path, None] = {}
    waiting = [file]
    seen = {file}
    roots = [file.parent]
    listed: dict[Path, frozenset[str] | None] = {}
    while waiting:
        current = waiting.pop()
        source = source_of(current)
        for text in source.folders:
            try:
                folder = Path(os.path.normpath(file.parent / expanded(text)))
                if text and folder.is_dir() and folder not in roots and not is_installed(str(folder)):
                    roots.append(folder)
            except (OSError, ValueError, RuntimeError):
                continue
        for dots, name in source.imports:
            bases = [current.parents[min(dots, len(current.parents)) - 1]] if dots else roots
            bases = [base for base in bases if _may_have(base, name, listed)]
            for path in _resolved(bases, name):
                if path not in seen:
                    seen.add(path)
                    found[path] = None
                    waiting.append(path)
    return dict(sorted((_relative(path, file.parent), path) for path in found))


def _may_have(folder: Path, name: str, listed: dict[Path, frozenset[str] | None]) -> bool:
    """False if no entry of `folder` can be of the module `name`: most are not, and looking for each costs more.

    listed: entries of the folders that were asked about; None for one that cannot be listed.
    """
    first = next((step for step in name.split(".") if step), "")
    if folder not in listed:
        try:
            listed[folder] = frozenset(os.listdir(folder))  # noqa: PTH208  # names alone are wanted
        except OSError:
            listed[folder] = None
    entries = listed[folder]
    return not first or entries is None or any(first + end in entries for end in ("", *SUFFIXES))


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _resolved(bases: list[Path], name: str) -> Iterator[Path]:
    """The files of the module `name` and of the packages that it lies in, from the first folder that has it."""
    steps = [step for step in name.split(".") if step]
    if steps[:1] == ["benchmark"]:
        return
    if not steps:
        yield from (base / "__init__.py" for base in bases if (base / "__init__.py").is_file())
    for base in bases:
        place, there = base, False
        for step in steps:
            module = next((found for suffix in SUFFIXES if (found := place / f"{step}{suffix}").is_file()), None)
            place = place / step
            package = place / "__init__.py"
            if package.is_file():
                there = True
                if not is_installed(str(package)):
                    yield package
            elif module is not None:
                there = True
                if not is_installed(str(module)):
                    yield module
                break
            elif not place.is_dir():
                break
        if there:
            return


def code_elsewhere(files: list[Path], beside: Iterable[str]) -> dict[str, list[Path]]:
    """Package or module -> its files, of those that `files` import from where nothing is installed: a folder on the
    import path, or an installation that can be edited, whose version stays when its code changes.

    beside: paths of modules beside the first of `files`, as `modules_beside` names them.
    """
    known = {Path(name).parts[0].partition(".")[0] for name in beside}
    names = {name.partition(".")[0] for file in files for dots, name in source_of(file).imports if not dots}
    found: dict[str, list[Path]] = {}
    for name in sorted(names - sys.stdlib_module_names - {"benchmark", ""} - known):
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):  # of a module that may never be imported
            continue
        places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec is not None else []
        single = [Path(spec.origin)] if spec is not None and spec.origin and not places else []
        code = [path for path in single if path.is_file()]
        for place in places:
            code += sorted(path for suffix in SUFFIXES[:-1] for path in place.rglob(f"*{suffix}"))
        code = [path for path in code if not is_installed(str(path))]
        if code:
            found[name] = code
    return found


def packages_imported(files: list[Path]) -> dict[str, str]:
    """Distribution -> version, of the installed packages that `files` import."""
    names = {name.partition(".")[0] for file in files for dots, name in source_of(file).imports if not dots}
    found: dict[str, str] = {}
    for name in names - sys.stdlib_module_names - {"benchmark"}:
        for distribution in distributions_of(name):
            found[distribution] = importlib.metadata.version(distribution)
    return dict(sorted(found.items()))


@cache
def distributions_of(name: str) -> list[str]:
    """What `importlib.metadata.packages_distributions` says of the module or package `name`.

    That parses all that is said of every file of every package, which takes longer than to start Python and to import
    NumPy; here only those of the distributions in whose lists a line begins with the name.
    """
    there = []
    begins = [f"\n{quote}{name}{end}" for quote in ("", '"') for end in "/.,"]
    for distribution, declared, listed in _lists_of_files():
        if name in declared or (
            not declared and any(line in listed for line in begins) and name in _inferred(distribution)
        ):
            there.append(distribution.metadata["Name"])
    return there


@cache
def _lists_of_files() -> list[tuple[importlib.metadata.Distribution, list[str], str]]:
    """Each distribution, the names that it declares, and the text with its files if it declares none."""
    found = []
    for distribution in importlib.metadata.distributions():
        declared = (distribution.read_text("top_level.txt") or "").split()
        listed = "" if declared else distribution.read_text("RECORD")
        if listed is None:  # of an older kind
            listed = "\n".join(map(str, distribution.files or ()))
        found.append((distribution, declared, "\n" + listed))
    return found


def _inferred(distribution: importlib.metadata.Distribution) -> set[str]:
    """The topmost names of its files, as Python's own function infers them; from 3.12 on not of Python files alone."""
    files = [file for file in distribution.files or () if file.suffix == ".py" or sys.version_info >= (3, 12)]
    return {file.parts[0] if len(file.parts) > 1 else inspect.getmodulename(file.name) or file.name for file in files}
