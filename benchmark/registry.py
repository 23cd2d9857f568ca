"""The three doors to codecs, metrics and data sets: a name, `./file.py:Name`, or an installed package's entry point.

A spec is a string that names a thing and its settings: `jpeg`, `jpeg:subsampling=4:4:4`, `./my_codec.py:MyCodec:n=3`.
Entries are "module:attribute" strings, imported on first use, which keeps `python -m benchmark list` free of torch; the
shape follows lm-evaluation-harness, `lm_eval/api/registry.py`. The attribute is a function or class whose annotated
parameters are the settings: `def jpeg(subsampling: Literal["4:2:0", "4:4:4"] = "4:2:0")`. Nothing else declares them.
"""

import contextlib
import difflib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import re
import sys
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union

from benchmark.errors import BenchmarkError, UsageError, kind_and_message, lacking, needs
from benchmark.files import expanded
from benchmark.guards import no_exit, told
from benchmark.identity import forget, hashes_of_modules, sha256_of
from benchmark.redaction import redacted
from benchmark.sources import modules_beside

_FILE = re.compile(r"""(?P<name>[^:]*\.py:[A-Za-z_]\w*)(?:@(?P<place>(?:"[^"]*"|[^":])*))?(?P<rest>:.*)?""", re.DOTALL)
_SETTING = re.compile(r'(?P<key>[A-Za-z_][\w-]*)=(?:"(?P<quoted>[^"]*)"|(?P<plain>[^",]*))(?:,|$)')
_LEADING = re.compile(r'(?:"(?P<quoted>[^"]*)"|(?P<plain>[^",]+))(?:,|$)')


@dataclass(frozen=True)
class Spec:
    """A parsed spec. text: what the user wrote. name: of a registry, or `path/to/file.py:Attribute`.

    place: what stands behind the "@" of a file: in which interpreter it runs, and for how long.
    """

    text: str
    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    place: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """`text` made safe for a path, and unique: other characters become "-", and a hash tells collisions apart."""
        safe = re.sub(r"[^A-Za-z0-9.=_]+", "-", self.text).strip("-.")
        if safe == self.text:
            return safe
        return f"{safe[:80]}-{hashlib.sha256(self.text.encode()).hexdigest()[:8]}"

    @property
    def file(self) -> Path | None:
        """The Python file that the spec names, absolute; None for a name of a registry."""
        return _file_of(self.name) if _FILE.fullmatch(self.name) else None


def parse_spec(
    text: str, kind: str = "codec", around: Collection[str] = (), leading: Mapping[str, str] | None = None
) -> Spec:
    """`name` or `name:key=value,key="value, with comma"`, behind a file's name `@python=COMMAND` in between.

    Raises UsageError that quotes the part not understood.

    kind: what the spec names, for messages. around: names that another spec follows unchanged. leading: name -> the
    setting whose value may stand first without its key.
    """
    if redacted(text) != text:
        raise UsageError(
            f"{kind} spec {redacted(text)!r}: a secret in it (shown as …) would be written into every run; "
            "leave it to the environment or to a file"
        )
    name, colon, rest = text.partition(":")
    in_file = _FILE.fullmatch(text)
    place: dict[str, str] = {}
    if in_file is not None:
        name = in_file["name"]
        _, colon, rest = (in_file["rest"] or "").partition(":")
        if in_file["place"] is not None:
            place = _place(in_file["place"], kind, text)
    elif name in around:
        return Spec(text, name, {"spec": rest})
    elif text.endswith(".py"):
        raise UsageError(f"{kind} spec {text!r}: which class or function of the file? write {text}:NAME")
    elif not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise UsageError(f"{kind} spec {text!r}: a spec is name or name:key=value,key=value")
    settings = _settings(rest, f"{kind} spec {text!r}", (leading or {}).get(name))
    if colon and not settings:
        raise UsageError(f"{kind} spec {text!r}: nothing follows the colon")
    return Spec(text, name, settings, place)


def _settings(text: str, what: str, first: str | None = None) -> dict[str, str]:
    """first: the setting whose value may stand first without its key."""
    settings: dict[str, str] = {}
    position = 0
    if first is not None and _SETTING.match(text) is None and (found := _LEADING.match(text)) is not None:
        settings[first] = found["plain"] if found["quoted"] is None else found["quoted"]
        position = found.end()
    while position < len(text):
        match = _SETTING.match(text, position)
        if match is None:
            raise UsageError(f"{what}: {text[position:]!r} is not key=value (quote values with a comma)")
        if match["key"] in settings:
            raise UsageError(f"{what}: {match['key']!r} is set twice")
        settings[match["key"]] = match["plain"] if match["quoted"] is None else match["quoted"]
        position = match.end()
    return settings


PLACE = ("python", "timeout")
"""What may stand behind the "@" of a codec's file: the command of an interpreter, and seconds that a call may take."""


def _place(text: str, kind: str, spec: str) -> dict[str, str]:
    """The settings behind "@". Raises UsageError."""
    what = f"{kind} spec {spec!r}"
    place = _settings(text, f"{what}: behind @")
    if kind != "codec":
        raise UsageError(f"{what}: @python is for codecs; a {kind} runs in this interpreter")
    if unknown := [key for key in place if key not in PLACE]:
        raise UsageError(f"{what}: behind @ there is no {unknown[0]!r}; there are {', '.join(PLACE)}")
    if not place.get("python"):
        raise UsageError(f"{what}: behind @ stands python=COMMAND, an interpreter's path or what starts it")
    return place


class Registry:
    """A typed table of lazy entries.

    kind: what the entries are, for messages ("codec", "data set", "metric"). entry_points: the group in which installed
    packages offer more of them, entered by `with_installed`. installed: the names of those.
    """

    def __init__(self, kind: str, entry_points: str | None = None) -> None:
        self.kind = kind
        self.entry_points = entry_points
        self.installed: set[str] = set()
        self._entries: dict[str, tuple[str, str]] = {}
        self._needs: dict[str, str] = {}

    def add(self, name: str, target: str, summary: str, needs: str | None = None) -> None:
        """Enters `name`, whose value is the attribute that `target` ("module:attribute") names.

        needs: a package that it does not work without and that an extra brings, one of `benchmark.errors.EXTRAS`.
        Raises ValueError if another target has that name already.
        """
        known = self._entries.get(name)
        if known is not None and known[0] != target:
            raise ValueError(f"two {self.kind}s are named {name!r}: {known[0]} and {target}")
        self._entries[name] = (target, summary)
        if needs is not None:
            self._needs[name] = needs

    def with_installed(self) -> typing.Self:
        """Enters what packages offer. Raises BenchmarkError if a package takes the name of another entry."""
        for point in importlib.metadata.entry_points(group=self.entry_points or ""):
            package = point.dist.name if point.dist is not None else "an installed package"
            try:
                self.add(point.name, point.value, f"from the package {package}")
                self.installed.add(point.name)
            except ValueError as error:
                raise BenchmarkError(
                    f"the package {package}: {error}; uninstall it or rename its {self.kind}"
                ) from None
        return self

    def load(self, name: str) -> Any:
        """The thing itself: of the table, imported, or of a file, "path.py:Attribute", which is executed.

        Raises UsageError with the nearest names if there is none, BenchmarkError if the file or the module cannot be
        run.
        """
        if _FILE.fullmatch(name):
            return _from_file(name, self.kind)
        if name not in self._entries:
            near = difflib.get_close_matches(name, self._entries, n=3)
            hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(self._entries)}"
            raise UsageError(f"no {self.kind} is named {name!r}; {hint}")
        module, _, attribute = self._entries[name][0].partition(":")
        try:
            return getattr(no_exit(importlib.import_module, module), attribute)
        except Exception as error:
            if not isinstance(error, ImportError | AttributeError) and name not in self.installed:
                raise  # a mistake of the suite's own
            package = lacking(error) if isinstance(error, ImportError) else None
            if package is not None:
                raise BenchmarkError(needs(name, package)) from None
            raise BenchmarkError(f"{self.kind} {name}: cannot be imported: {kind_and_message(error)}") from error

    def make(self, spec: Spec, given: Mapping[str, Any]) -> Any:
        """What the function or class that `spec` names returns for its settings.

        Settings are converted to what the parameters are annotated with. given: arguments of ours, such as `device`,
        for those parameters that it has; no setting. Raises UsageError on a setting that it does not take, or not with
        that value, and BenchmarkError if it fails.
        """
        make = self.load(spec.name)
        if not callable(make):
            what = (
                repr(make)
                if isinstance(make, str | int | float | None)
                else f"an object of class {type(make).__name__}"
            )
            raise UsageError(f"{self.kind} {spec.name}: {what} is neither a class nor a function that makes one")
        arguments = typed_settings(make, spec.settings, given, self.kind, spec.name)
        try:
            return no_exit(partial(make, **arguments))
        except BenchmarkError:
            raise
        except Exception as error:
            raise BenchmarkError(f"{self.kind} {spec.text}: cannot be opened: {told(error)}") from error

    def shipped(self) -> list[str]:
        """The names of what this package brings, in order; imports nothing."""
        return [name for name in self if self.module(name).startswith("benchmark.")]

    def module(self, name: str) -> str:
        """Where the thing called `name` is; imports nothing."""
        return self._entries[name][0].partition(":")[0]

    def target(self, name: str) -> str:
        """The "module:attribute" of the thing called `name`; imports nothing."""
        return self._entries[name][0]

    def summary(self, name: str) -> str:
        """The line that `list` prints for `name`; imports nothing."""
        return self._entries[name][1]

    def lacks(self, name: str) -> str | None:
        """The package that `name` needs and that is not installed; None if it has all. Imports nothing."""
        package = self._needs.get(name)
        return package if package is not None and importlib.util.find_spec(package) is None else None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)


def typed_settings(
    make: Callable[..., Any], settings: Mapping[str, str], given: Mapping[str, Any], kind: str, name: str
) -> dict[str, Any]:
    """Arguments for `make`: `settings` converted by its annotations, and those of `given` that it has parameters for.

    A parameter without annotation, or with one that pydantic does not know, gets the text. kind, name: of what is
    made, for messages. Raises UsageError.
    """
    what = f"{kind} {name}"
    parameters = inspect.signature(make).parameters.values()
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    any_name = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for key in settings:
        if key in given:
            raise UsageError(f"{what}: {key!r} is no setting; say --{key} {settings[key]}")
        if key not in named and not any_name:
            there = ", ".join(sorted(named - given.keys())) or "none"
            raise UsageError(f"{what} has no setting {key!r}; its settings: {there}")
    missing = [p.name for p in parameters if p.name in named - settings.keys() - given.keys() and p.default is p.empty]
    if missing:
        raise UsageError(f"{what} needs the setting {missing[0]}: {name}:{missing[0]}=…")
    hints = _hints(make)
    converted = {key: _converted(value, hints.get(key, str), f"{what}: {key}") for key, value in settings.items()}
    return {key: value for key, value in given.items() if key in named} | converted


class Setting(NamedTuple):
    """One setting of a codec, metric or data set, in words.

    values: what it may be, such as "4:2:0, 4:2:2 or 4:4:4" or "a whole number from 1 to 100". default: as a user would
    write it, "" if there is none. description: the `description` of its annotation.
    """

    name: str
    values: str
    default: str
    description: str


def settings_of(make: Callable[..., Any], given: Collection[str] = ("device",)) -> list[Setting]:
    """The settings of a factory, in the order of its parameters, from the annotations that `typed_settings` obeys.

    A factory that hands settings on to others names these in its attribute `further`: a function without arguments
    that returns condition -> factory, such as {"decoder=flow": FlowSettings}. Their descriptions begin with it.
    given: parameters that are no settings.
    """
    found = []
    hints = _hints(make)
    for name, parameter in inspect.signature(make).parameters.items():
        if name in given or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        hint, known = hints.get(name, str), parameter.default not in (parameter.empty, None, ())
        values = allowed(hint) or "text"
        found.append(Setting(name, values, str(parameter.default) if known else "", described(hint)))
    for condition, other in getattr(make, "further", dict)().items():
        for setting in settings_of(other, given):
            found.append(setting._replace(description=f"{condition}: {setting.description}"))
    return found


def defaults_of(make: Callable[..., Any]) -> dict[str, str]:
    """The factory's own settings that have a default, as a user would write it.

    A factory whose default depends on other settings names it in its attribute `unsaid`: a function without arguments
    that returns setting -> value.
    """
    parameters = inspect.signature(make).parameters.values()
    known = {p.name: str(p.default) for p in parameters if p.default not in (p.empty, None, ())}
    return known | getattr(make, "unsaid", dict)()


def allowed(hint: Any) -> str:
    """What values an annotation takes, in words; "" if that cannot be said in a few."""
    hint, bounds = limits(hint)
    if typing.get_origin(hint) is Literal:
        *others, last = map(str, typing.get_args(hint))
        return f"{', '.join(others)} or {last}" if others else last
    if hint in (int, float):
        noun = "a whole number" if hint is int else "a number"
        low, high = (
            next((bounds[key] for key in keys if key in bounds), None) for keys in (("ge", "gt"), ("le", "lt"))
        )
        below = "above" if "gt" in bounds else "from"
        if low is None and high is None:
            return noun
        if high is None:
            return f"{noun} {below} {low:g}{'' if below == 'above' else ' on'}"
        if low is None:
            return f"{noun} up to {high:g}"
        return f"{noun} {below} {low:g} to {high:g}"
    return {bool: "true or false", Path: "a file"}.get(hint, "")


def limits(hint: Any) -> tuple[Any, dict[str, Any]]:
    """An annotation without `Annotated` and `None`, and the bounds that it had."""
    bounds: dict[str, Any] = {}
    while True:
        if typing.get_origin(hint) is typing.Annotated:
            for field_info in hint.__metadata__:
                for part in getattr(field_info, "metadata", [field_info]):
                    bounds |= {key: getattr(part, key) for key in ("ge", "gt", "le", "lt") if hasattr(part, key)}
            hint = hint.__origin__
        elif typing.get_origin(hint) in (Union, UnionType):
            parts = [part for part in typing.get_args(hint) if part is not NoneType]
            if len(parts) != 1:
                return hint, bounds
            hint = parts[0]
        else:
            return hint, bounds


def described(hint: Any) -> str:
    """The `description` in an annotation, "" without one."""
    if typing.get_origin(hint) is typing.Annotated:
        for part in hint.__metadata__:
            if text := getattr(part, "description", None):
                return str(text)
    return next((text for part in typing.get_args(hint) if (text := described(part))), "")


def _hints(make: Callable[..., Any]) -> dict[str, Any]:
    """Parameter -> type. Annotations of somebody else's file may name what is not there; the others count."""
    function: Any = make.__init__ if isinstance(make, type) else make  # type: ignore[misc]
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # whatever an annotation raises
        written = dict(getattr(function, "__annotations__", {}))
    found: dict[str, Any] = {}
    for name, annotation in written.items():
        alone = type("Alone", (), {"__annotations__": {name: annotation}})
        with contextlib.suppress(Exception):  # likewise
            found |= typing.get_type_hints(alone, getattr(function, "__globals__", {}), include_extras=True)
    return found


def _converted(text: str, hint: Any, what: str) -> Any:
    """`text` as `hint` wants it. Raises UsageError that starts with `what`."""
    if hint in (str, Any):
        return text
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

    try:
        adapter = TypeAdapter(hint)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return text
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        if words := allowed(hint):
            raise UsageError(f"{what} is {words}, not {text!r}") from None
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        meant = f" ({words})" if (words := described(hint)) else ""
        raise UsageError(f"{what}={text!r}: {reason[:1].lower()}{reason[1:]}{meant}") from None


def _file_of(name: str) -> Path:
    return expanded(name.rpartition(":")[0]).absolute()


_IMPORTED: dict[Path, str] = {}
"""Modules beside files that were executed -> SHA-256 at that time."""


def _forget_changed(file: Path) -> None:
    """Modules beside `file` that have changed since they were imported are imported anew.

    So are those whose name somebody else's module from another folder has taken.
    """
    for relative, path in modules_beside(file).items():
        sha256 = sha256_of(path)
        name = relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        origin = getattr(sys.modules.get(name), "__file__", None)
        if origin is not None and Path(origin).resolve() != path.resolve() and name not in sys.stdlib_module_names:
            del sys.modules[name]
        if _IMPORTED.get(path, sha256) != sha256:
            forget([path])
        _IMPORTED[path] = sha256


def _from_file(name: str, kind: str) -> Any:
    """The attribute of a Python file that "path.py:Attribute" names. The file is executed once for each content.

    What lies beside the file can be imported from it, as if it were run as a script; a notebook that edits the file or
    a module beside it gets the new ones. Raises UsageError if there is no such file or attribute, BenchmarkError if it
    cannot be run.
    """
    path, attribute = _file_of(name), name.rpartition(":")[2]
    if not path.is_file():
        raise UsageError(f"{kind} {name}: there is no file {path}")
    made_of = f"{sha256_of(path)} {sorted(hashes_of_modules(path).items())}"
    module_name = f"file_{hashlib.sha256(os.fsencode(path.resolve()) + made_of.encode()).hexdigest()[:16]}"
    module = sys.modules.get(module_name)
    if module is None:
        found = importlib.util.spec_from_file_location(module_name, path)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        sys.modules[module_name] = module  # dataclasses and pickle look their module up
        folder = str(path.parent)
        sys.path.insert(0, folder)
        _forget_changed(path)
        caches, sys.dont_write_bytecode = (
            sys.dont_write_bytecode,
            True,
        )  # of a module that changes within a second, stale
        try:
            no_exit(found.loader.exec_module, module)
        except Exception as error:
            del sys.modules[module_name]
            raise BenchmarkError(f"{kind} {name}: the file cannot be run: {told(error)}") from error
        finally:
            sys.dont_write_bytecode = caches
            sys.path.remove(folder)
            if folder not in sys.path:
                sys.path.append(folder)  # for what is imported later; behind ours, so that it hides none of it
    if not hasattr(module, attribute):
        raise UsageError(f"{kind} {name}: {path} has no {attribute}")
    return getattr(module, attribute)
