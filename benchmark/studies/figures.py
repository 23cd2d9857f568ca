"""The tables and figures of the documents: which commands make each, of which weights each is, and what is stale.

`reports/figures.toml` names every run, with the command that makes it, and every target: files of the checkout, the
commands that make them, and what they need. `reports/figures.lock.json` records, for each target that was made, what it
was made from: the words of the commands, the identity of the weights, hashes of the files read and of those written. A
target is up to date as long as all of these hold, so that no table stays that belongs to weights of another training.
"""

import hashlib
import io
import json
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from PIL import Image as Pillow
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import write_file
from benchmark.hfd.weights import kind_of, read_weights
from benchmark.results import RunFolder
from benchmark.studies.documents import fill

DECLARED = Path("reports/figures.toml")
LOCK = Path("reports/figures.lock.json")
RUNS = Path("results/figures")
"""Where runs lie, below the checkout, unless a user says otherwise."""
WEBP_QUALITY = 90
"""Of a PNG that is kept as a WebP."""

Execute = Callable[[Sequence[str]], None]
"""Runs `python -m benchmark` with these words. Raises BenchmarkError if it fails."""


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Run(_Declared):
    """A run folder. command: words after `python -m benchmark`, {folder} in them. weights: names of what it decodes
    with."""

    command: str
    weights: tuple[str, ...] = ()


class Target(_Declared):
    """Files of the checkout and the commands that make them.

    In commands, `{NAME}` is the folder of the run of that name, and {work} a folder for what lies in between.
    writes: files that the commands write themselves. copies: file -> where the commands leave it; a PNG can become a
    WebP. documents: Markdown files whose tables are filled in; these are compared, not recorded. reads: files of the
    checkout that the commands read. weights: besides those of the runs. always: made each time, from code alone.
    """

    name: str
    what: str
    commands: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    copies: dict[str, str] = Field(default_factory=dict)
    documents: tuple[str, ...] = ()
    always: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files that are this target's own."""
        return (*self.writes, *self.copies)


class Declaration(_Declared):
    """weights: name -> file. runs: by name. targets: in the order in which they are made."""

    weights: dict[str, str] = Field(default_factory=dict)
    run: dict[str, Run] = Field(default_factory=dict)
    target: tuple[Target, ...] = ()


class Made(BaseModel):
    """What a target was made from, and with what outcome: hashes, and identities of weights."""

    model_config = ConfigDict(extra="forbid")

    commands: Annotated[list[str], Field(description="of its runs, then its own")]
    weights: dict[str, str]
    reads: dict[str, str]
    outputs: dict[str, str]


@dataclass(frozen=True)
class State:
    """A target, the commands that make it, of its runs first, and why it must be made; "" if it is up to date."""

    target: Target
    commands: tuple[str, ...]
    stale: str


def read_declaration(root: Path) -> Declaration:
    """What `root`/reports/figures.toml says. Raises UsageError where there is none, BenchmarkError if it is unsound."""
    path = root / DECLARED
    if not path.is_file():
        raise UsageError(f"there is no {DECLARED} here; `figures` works in a checkout of the suite")
    try:
        declared = Declaration.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{DECLARED}: is no TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise BenchmarkError(f"{DECLARED}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    _check(declared)
    return declared


def _check(declared: Declaration) -> None:
    """Each name is declared once, and before it is used."""
    owners: dict[str, str] = {}
    every = {file: target.name for target in declared.target for file in target.outputs}
    names: set[str] = set()
    for target in declared.target:
        if target.name in names:
            raise BenchmarkError(f"{DECLARED}: two targets are called {target.name}")
        names.add(target.name)
        for file in target.outputs:
            if file in owners:
                raise BenchmarkError(f"{DECLARED}: {file} is made by {owners[file]} and by {target.name}")
            owners[file] = target.name
        for file in target.reads:
            if file in every and file not in owners:
                raise BenchmarkError(f"{DECLARED}: {target.name} reads {file}, which {every[file]} makes after it")
        if unknown := [name for name in target.runs if name not in declared.run]:
            raise BenchmarkError(f"{DECLARED}: {target.name} needs the run {unknown[0]}, which is not declared")
    for name, weights in [(t.name, t.weights) for t in declared.target] + [
        (n, r.weights) for n, r in declared.run.items()
    ]:
        if unknown := [one for one in weights if one not in declared.weights]:
            raise BenchmarkError(f"{DECLARED}: {name} needs the weights {unknown[0]}, which are not declared")


class Figures:
    """The declared targets of the checkout `root`, and what was made of them."""

    def __init__(self, root: Path, runs: Path = RUNS, folders: Mapping[str, Path] | None = None) -> None:
        """runs: where runs lie. folders: name of a run -> its folder, if that is another.

        Raises UsageError, BenchmarkError as `read_declaration` does, and on a run that is not declared.
        """
        self.root = root
        self.declared = read_declaration(root)
        self.runs = runs
        self.folders = dict(folders or {})
        if unknown := [name for name in self.folders if name not in self.declared.run]:
            raise UsageError(f"no run is called {unknown[0]!r}; there are {', '.join(self.declared.run)}")
        self.made = self._read_lock()
        self._identities: dict[str, str] = {}

    def _read_lock(self) -> dict[str, Made]:
        path = self.root / LOCK
        if not path.exists():
            return {}
        try:
            return {name: Made.model_validate(entry) for name, entry in json.loads(path.read_bytes()).items()}
        except (ValueError, AttributeError):
            raise BenchmarkError(f"{LOCK}: cannot be read; take it from git") from None

    def chosen(self, names: Sequence[str]) -> list[Target]:
        """The targets called `names`, in the declared order; all without names. Raises UsageError on another name."""
        known = [target.name for target in self.declared.target]
        if unknown := [name for name in names if name not in known]:
            raise UsageError(f"no target is called {unknown[0]!r}; there are {', '.join(known)}")
        return [target for target in self.declared.target if not names or target.name in names]

    def states(self, names: Sequence[str] = ()) -> list[State]:
        """Of the targets called `names`, all without names."""
        return [State(target, self._commands(target), self._stale(target)) for target in self.chosen(names)]

    # Identities

    def identity_of(self, weights: str) -> str:
        """Of the weights with that name: over tensors and configuration, 64 hex digits; "" where there is no file."""
        if weights not in self._identities:
            path = self.root / self.declared.weights[weights]
            self._identities[weights] = read_weights(path, kind_of(path))[2] if path.is_file() else ""
        return self._identities[weights]

    @cached_property
    def shipped(self) -> dict[str, str]:
        """Identity -> name, of all declared weights."""
        return {self.identity_of(name): name for name in self.declared.weights}

    def weights_of(self, target: Target) -> dict[str, str]:
        """Name -> identity, of its own and its runs' weights."""
        names = {*target.weights, *(name for run in target.runs for name in self.declared.run[run].weights)}
        return {name: self.identity_of(name) for name in sorted(names)}

    def _commands(self, target: Target) -> tuple[str, ...]:
        """As declared, of its runs first."""
        own = [f"studies documents {' '.join(target.documents)}"] if target.documents else []
        runs = [self.declared.run[name].command.replace("{folder}", f"{{{name}}}") for name in target.runs]
        return tuple(" ".join(command.split()) for command in (*runs, *target.commands, *own))

    def record(self, target: Target) -> Made:
        """What the files of `target` are made from, as everything is now."""
        return Made(
            commands=list(self._commands(target)),
            weights=self.weights_of(target),
            reads={name: _hash(self.root / name) for name in sorted(target.reads)},
            outputs={name: _hash(self.root / name) for name in sorted(target.outputs)},
        )

    def _stale(self, target: Target) -> str:
        """Why it must be made, "" if it need not."""
        if target.always:
            return "made from code each time"
        if missing := [name for name in target.reads if not (self.root / name).is_file()]:
            return f"{missing[0]} is not there"
        for name in target.documents:
            text = (self.root / name).read_text(encoding="utf-8")
            try:
                filled = fill(text, self.root)
            except BenchmarkError as error:  # a table that the numbers do not give, until what they are of is made
                return f"{name} cannot be filled: {error}"
            if filled != text:
                return f"a table of {name} is another than the numbers say"
        if target.documents:
            return ""
        if missing := [name for name in target.outputs if not (self.root / name).is_file()]:
            return f"{missing[0]} is not there"
        before, now = self.made.get(target.name), self.record(target)
        if before is None:
            return "there is no record of what it was made from"
        if before.commands != now.commands:
            return "its commands have changed"
        for what, old, new in (
            ("the weights", before.weights, now.weights),
            ("", before.reads, now.reads),
            ("", before.outputs, now.outputs),
        ):
            if changed := [name for name in {**old, **new} if old.get(name) != new.get(name)]:
                return f"{what} {changed[0]} changed after it was made".strip()
        return ""

    # Making

    def folder_of(self, run: str) -> Path:
        """Where the run called `run` lies: another folder for other weights or another command."""
        if run in self.folders:
            return self.folders[run]
        declared = self.declared.run[run]
        identity = "\n".join([declared.command, *(self.identity_of(name) for name in declared.weights)])
        return self.runs / f"{run}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"

    def steps(self, target: Target) -> list[tuple[str, ...]]:
        """The words of each command, after `python -m benchmark`, with folders in their places."""
        places = {f"{{{name}}}": str(self.folder_of(name)) for name in target.runs}
        places["{work}"] = str(self.runs / "work" / target.name)
        return [
            tuple(_placed(word, places) for word in shlex.split(command, posix=True))
            for command in self._commands(target)
        ]

    def make(self, target: Target, execute: Execute) -> list[Path]:
        """Runs the commands of `target`, takes over what they leave, and records what it was made from.

        Commands of runs go on where they stopped, so a target that was interrupted is made by calling this again.
        Returns its files. Raises BenchmarkError if a command fails, leaves a file out, or decodes with weights that
        are not declared.
        """
        steps = self.steps(target)
        for name, words in zip(target.runs, steps, strict=False):
            execute(words)
            self._check_run(name)
        for words in steps[len(target.runs) :]:
            execute(words)
        places = {f"{{{name}}}": str(self.folder_of(name)) for name in target.runs}
        places["{work}"] = str(self.runs / "work" / target.name)
        for output, source in target.copies.items():
            _take(Path(_placed(source, places)), self.root / output)
        if missing := [name for name in target.writes if not (self.root / name).is_file()]:
            raise BenchmarkError(f"{target.name}: its commands have not written {missing[0]}")
        if not target.always and not target.documents:
            self.made[target.name] = self.record(target)
            self.write_lock()
        return [Path(name) for name in (*target.outputs, *target.documents)]

    def adopt(self, target: Target) -> None:
        """Records that the files which are there were made by the commands of `target`, which are not run.

        Raises BenchmarkError if a file is not there.
        """
        if missing := [name for name in target.outputs if not (self.root / name).is_file()]:
            raise BenchmarkError(f"{target.name}: {missing[0]} is not there")
        if target.outputs and not target.always:
            self.made[target.name] = self.record(target)
            self.write_lock()

    def write_lock(self) -> None:
        """Writes the record of all targets that are declared, in their order."""
        entries = {
            target.name: self.made[target.name].model_dump()
            for target in self.declared.target
            if target.name in self.made
        }
        write_file(self.root / LOCK, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")

    def _check_run(self, name: str) -> None:
        """The run decodes with the weights that are declared of it, no others of those that are shipped."""
        manifest = RunFolder.open(self.folder_of(name)).manifest
        found = {
            self.shipped[text]
            for codec in manifest.codecs.values()
            for text in _texts(codec.model_dump())
            if text in self.shipped
        }
        declared = set(self.declared.run[name].weights)
        if found != declared:
            which = ", ".join(sorted(found ^ declared))
            verb = "does not decode with" if declared - found else "decodes with"
            raise BenchmarkError(f"the run {name} {verb} the weights {which}; {DECLARED} says otherwise")


def execute(words: Sequence[str]) -> None:
    """Runs a command of the suite in a process of its own. Raises BenchmarkError with its exit code if it fails."""
    code = subprocess.call([sys.executable, "-m", "benchmark", *words])
    if code:
        raise BenchmarkError(f"exit code {code} of: {as_line(words)}")


def as_line(words: Sequence[str]) -> str:
    """A command as one types it."""
    return f"python -m benchmark {shlex.join(words)}"


def lines(states: Sequence[State]) -> Iterator[str]:
    """Name, state, what it is, files and commands of each target."""
    for state in states:
        yield f"{state.target.name}: {state.stale or 'up to date'}"
        yield f"  {state.target.what}"
        for file in (*state.target.outputs, *state.target.documents):
            yield f"  -> {file}"
        for command in state.commands:
            yield f"  $ python -m benchmark {command}"


def _placed(text: str, places: Mapping[str, str]) -> str:
    for mark, folder in places.items():
        text = text.replace(mark, folder)
    return text


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _take(source: Path, output: Path) -> None:
    """Copies a file; a PNG that is to be a WebP is coded anew."""
    if not source.is_file():
        raise BenchmarkError(f"{source}: no command has written it")
    content = source.read_bytes()
    if source.suffix == ".png" and output.suffix == ".webp":
        stream = io.BytesIO()
        with Pillow.open(io.BytesIO(content)) as image:
            image.convert("RGB").save(stream, "WEBP", quality=WEBP_QUALITY, method=6)
        content = stream.getvalue()
    write_file(output, content, parents=True)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
