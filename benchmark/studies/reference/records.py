"""The files of a run folder and of what is made of one, field by field."""

import json
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel

from benchmark.analysis.baseline import Baseline
from benchmark.analysis.history import Entry
from benchmark.analysis.margins import Gate
from benchmark.analysis.summary import COLUMN_WORDS
from benchmark.compatibility import FILES as FORMATS
from benchmark.reports.speed import COLUMN_WORDS as SPEED_WORDS
from benchmark.results import FILES, Manifest, Trial
from benchmark.studies.reference.markdown import code, documentation, page, table, words

INTRODUCTION = """\
`python -m benchmark run` writes a folder. It has enough to draw any report or to gate again without a codec. A run that
was stopped goes on there. JSON has no infinity and no NaN; an unknown field is refused."""

VERSIONS = """\
A file has the number of its schema. An older one is read, a newer one is refused:
[Compatibility](../explanation/compatibility.md)."""

FILES_OF_RECORDS: Mapping[str, tuple[str, type[BaseModel]]] = {
    "run.json": ("The manifest.", Manifest),
    "trials.jsonl": ("A line is one trial.", Trial),
    "A baseline": (
        "`python -m benchmark baseline RUN -o FILE` writes it: the small committed form of a run.",
        Baseline,
    ),
    "A history": ("`python -m benchmark history add RUN` adds a line.", Entry),
    "The gate's settings": ("The table `[tool.benchmark.gate]` in `pyproject.toml`, for `compare`.", Gate),
}
"""Title -> what the file is, and its record."""


def run_folder_page() -> str:
    """The page."""
    parts = [
        INTRODUCTION,
        table(("file or folder", "what it holds"), ((code(name), words(text)) for name, text in FILES.items())),
        VERSIONS,
        table(
            ("file", "versions that are read", "written"),
            ((words(one.title), ", ".join(map(str, one.reads)), str(one.writes)) for one in FORMATS),
        ),
    ]
    described: set[type[BaseModel]] = set()
    for title, (text, record) in FILES_OF_RECORDS.items():
        parts += [f"## {title}", words(text)]
        for one in _records(record):
            if one not in described:
                parts.append(_section(one))
                described.add(one)
    for title, columns in (("summary.csv", COLUMN_WORDS), ("speed.csv", SPEED_WORDS)):
        rows = ((code(name), words(text)) for name, text in columns.items())
        parts += [f"## {title}", table(("column", "what it holds"), rows)]
    return page("The run folder and its files", *parts)


def _section(record: type[BaseModel]) -> str:
    rows = []
    for name, field in record.model_fields.items():
        default = "" if field.is_required() else _default(field.get_default(call_default_factory=True))
        rows.append((code(name), words(field.description or ""), type_in_words(field.annotation), default))
    text = " ".join(documentation(record))
    return "\n\n".join([f"### {record.__name__}", text, table(("field", "what it holds", "type", "default"), rows)])


def _default(value: object) -> str:
    """As JSON has it."""
    return code(json.dumps(value)) if value is None or isinstance(value, str | int | float) else "empty"


def _records(record: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """`record`, and those that its fields hold, each after the one that first does."""
    yield record
    for field in record.model_fields.values():
        for inner in _inside(field.annotation):
            yield from _records(inner)


def _inside(hint: Any) -> Iterator[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    for part in typing.get_args(hint):
        yield from _inside(part)


_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}


def type_in_words(hint: Any) -> str:
    """An annotation as JSON knows it, in Markdown: "list of number", a link to another record."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return type_in_words(arguments[0])
    if origin is Literal:
        return " or ".join(code(json.dumps(one)) for one in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(type_in_words, arguments))
    if origin in (list, tuple):
        inner = type_in_words(arguments[0])
        return f"list of ({inner})" if " or " in inner else f"list of {inner}"
    if origin is dict:
        return f"object, name to {type_in_words(arguments[1])}"
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return _PLAIN.get(hint, "any JSON value" if hint is Any else getattr(hint, "__name__", str(hint)).lower())
