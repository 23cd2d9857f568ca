"""Recipes: how other people's codecs are installed in an environment of their own and run by this suite.

A folder each, with `recipe.toml`, which `Recipe` describes, and with `codec.py`, a class of ours that calls the peer's
code and that runs in that environment with nothing of the suite but NumPy. A peer whose programs encode and decode
apart needs no class: its recipe has a spec of `command`.
"""

import shlex
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, ValidationError, model_validator

from benchmark.errors import BenchmarkError, UsageError

FOLDER = Path(__file__).parent
Text = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    """A table of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Place(Part):
    """A setting of the class that names a file or folder which has to be there. It may have {q} for the quality.

    has: a file in the folder that shows that it is the right one. words: values that name no file, such as "random".
    """

    kind: Literal["file", "folder"]
    text: Text
    how: Text
    has: str = ""
    words: tuple[str, ...] = ()
    required: bool = True


class Run(Part):
    """What was run here: when, with which versions, and what came of it."""

    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    weights: Literal["random", "trained"]
    versions: Text
    result: Text


class Recipe(Part):
    """A codec of somebody else's.

    name: of its folder. commit: of the repository that the class was written for, and run with where `run` says so.
    bits: real, if they are those of a stream that is decoded alone; estimated, if an entropy model states them;
    nominal, if they follow from the size of the latents and no stream is written. program: the class in codec.py, or a
    spec of `command` with {python} and {repository}. packages: name of import -> what pip installs. stochastic: the
    decoder draws random numbers.
    """

    name: Text
    title: Text
    paper: HttpUrl
    repository: HttpUrl
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    licence: Text
    weights_licence: Text
    bits: Literal["real", "estimated", "nominal"]
    bits_note: Text
    program: Text
    quality: Text
    stochastic: bool = False
    python: Text
    packages: Annotated[Mapping[str, str], Field(min_length=1)]
    notes: tuple[Text, ...] = ()
    places: Mapping[str, Place] = {}
    run: Run | None = None
    not_run: str = ""

    @model_validator(mode="after")
    def _says_whether_it_was_run(self) -> "Recipe":
        if (self.run is None) == (not self.not_run):
            raise ValueError('a recipe has either [run] or not_run = "why"')
        return self

    @property
    def is_command(self) -> bool:
        """Whether the peer's own programs are called, without a class of ours."""
        return self.program.startswith("command:")

    @property
    def file(self) -> Path:
        """The file of the class."""
        return FOLDER / self.name / "codec.py"

    @property
    def status(self) -> str:
        """In a few words."""
        return f"run, {self.run.weights} weights" if self.run is not None else "not run"

    def spec(self, python: str, settings: Mapping[str, str]) -> str:
        """The codec's spec in the interpreter `python`. Settings follow in the order in which they were given."""
        if self.is_command:
            text = self.program
            for word, value in {"python": python, **settings}.items():
                text = text.replace("{" + word + "}", value)
            return text
        behind = ",".join(f"{key}={_quoted(value)}" for key, value in settings.items())
        return f"{self.file}:{self.program}@python={_quoted(python)}" + (f":{behind}" if behind else "")


def _quoted(text: str) -> str:
    return f'"{text}"' if any(character in text for character in ',:"') else text


def environment(one: Recipe) -> tuple[str, str]:
    """Commands that make its environment, and install what it needs there."""
    packages = " ".join(shlex.quote(what) for what in one.packages.values())
    return f"python -m venv envs/{one.name}", f"envs/{one.name}/bin/pip install numpy {packages}"


def names() -> list[str]:
    """Those of all recipes, in alphabetical order."""
    return sorted(path.parent.name for path in FOLDER.glob("*/recipe.toml"))


@cache
def recipe(name: str) -> Recipe:
    """The recipe of that name. Raises UsageError if there is none, BenchmarkError if its declaration is not valid."""
    if name not in names():
        raise UsageError(f"no recipe is named {name!r}; there are {', '.join(names())}")
    return read(FOLDER / name / "recipe.toml")


def read(path: Path) -> Recipe:
    """The recipe that a file declares; its name is that of the folder. Raises BenchmarkError in one line."""
    try:
        return Recipe.model_validate({"name": path.parent.name, **tomllib.loads(path.read_text(encoding="utf-8"))})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BenchmarkError(f"{path}: {where + ': ' if where else ''}{first['msg']}") from None
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"{path}: {error}") from None
