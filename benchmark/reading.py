"""Files that were written before, or by somebody else: what is not as it should be is refused in one line.

JSON is read strictly: a text is no number, a key stands once, there is no infinity and no NaN. Tables (CSV) too: each
line has a cell for each column, numbers are written with a point and without separators.
"""

import csv
import io
import json
import math
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from benchmark.compatibility import Format, check_version
from benchmark.errors import BenchmarkError, kind_and_message, visible

R = TypeVar("R", bound=BaseModel)

LARGEST = 1e100
"""The largest number that is taken: squares and sums of larger ones would leave the range of a float."""

LONGEST_MESSAGE = 300
"""Characters of what a library says of a file; it may quote all of it."""


def read_text(path: Path) -> str:
    """The text of a file in UTF-8. Raises BenchmarkError that names it; FileNotFoundError if it is not there."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(str(path)) from None
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise BenchmarkError(f"{shown(path)}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return decoded(data, shown(path))


def decoded(data: bytes, place: str) -> str:
    """UTF-8 as text. Raises BenchmarkError that names `place`, and says what it is where that can be seen."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        kind = "UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else f"no UTF-8 at byte {error.start}"
        raise BenchmarkError(f"{place}: cannot be read: the text is {kind}; it must be UTF-8") from None


def shown(path: Path) -> str:
    """A path in a message, on one line."""
    return visible(" ".join(str(path).split("\n")))


# JSON


class _TwiceError(ValueError):
    pass


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _TwiceError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands there twice")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _real(text: str) -> float:
    if not abs(value := float(text)) <= LARGEST:
        raise ValueError(f"{brief(text)} is beyond {LARGEST:g}")
    return value


def _whole(text: str) -> int:
    _real(text)
    return int(text)


def parse_json(text: str, place: str, finite: bool = True) -> Any:
    """What a JSON text holds. Raises BenchmarkError that names `place` on anything else, or a key twice.

    finite: whether numbers beyond `LARGEST` are refused, and NaN and Infinity, which JSON has not but Python writes.
    """
    if text.startswith("\ufeff"):
        raise BenchmarkError(f"{place}: begins with a byte order mark; save it as UTF-8 without one")
    try:
        if not finite:
            return json.loads(text, object_pairs_hook=_no_key_twice)
        return json.loads(
            text, object_pairs_hook=_no_key_twice, parse_constant=_no_number, parse_float=_real, parse_int=_whole
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BenchmarkError(f"{place}: no JSON: {error.msg} at {where}") from None
    except ValueError as error:
        raise BenchmarkError(f"{place}: no sound JSON: {brief(error)}") from None
    except RecursionError:
        raise BenchmarkError(f"{place}: no sound JSON: it is nested too deep") from None


READING = {"reading": True}
"""Context of validators that hold what a file says against itself: what is made here need not be asked again."""


def parse_record(kind: type[R], text: str, place: str, what: str, form: Format | None = None) -> R:
    """A record from its JSON. place, what: for messages, "FILE" and "a baseline". form: whose versions are held.

    Raises BenchmarkError, one line with the field where there is one.
    """
    content = parse_json(text, f"{place}: not {what}")
    if form is not None:
        check_version(place, form, content)
    try:
        return kind.model_validate_json(text, strict=True, context=READING)
    except ValidationError as error:
        raise BenchmarkError(f"{place}: not {what}: {first_problem(error)}") from None


def parse_line(kind: type[R], line: bytes) -> R:
    """A record from a line of JSON, fast. Raises ValueError, of which ValidationError is a kind."""
    record = kind.model_validate_json(line, strict=True)
    # Each key ends with `":`. Where there are as many as the record has, none stands there twice; texts may hold the
    # same signs, and others may write blanks, so then it is looked at.
    if line.count(b'":') != _keys(record) or b'" ' in line or b"\t" in line or b"\r" in line:
        json.loads(line, object_pairs_hook=_no_key_twice)
    return record


def _keys(record: BaseModel) -> int:
    found = record.model_fields_set
    tables = (getattr(record, name) for name in found)
    return len(found) + sum(len(table) for table in tables if isinstance(table, dict))


def problem(error: ValueError) -> str:
    """What is wrong, on one line: field and message of the first thing where `error` knows them."""
    return first_problem(error) if isinstance(error, ValidationError) else brief(error)


def first_problem(error: ValidationError) -> str:
    """Field and message of the first thing that is wrong, on one line."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "a field that this version does not know: of a newer version of the suite, or a mistake"
    where = ".".join(map(str, first["loc"]))
    return brief(f"{where}: {message}".removeprefix(": "))


def in_another_form(name: str, there: Collection[str]) -> str:
    """The end of a message that `name` is not there: that one of `there` looks the same, in another form of Unicode, as
    files get it on their way through macOS; "" if none does."""
    wanted = unicodedata.normalize("NFC", name)
    if name not in there and any(unicodedata.normalize("NFC", other) == wanted for other in there):
        return "; there is one that looks the same, in another form of Unicode (NFC, NFD): give both one name"
    return ""


def brief(message: object) -> str:
    """On one line, and not too long."""
    text = visible(" ".join(str(message).split()))
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…"


STUMBLES: tuple[type[Exception], ...] = (
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError, AssertionError,
    MemoryError, EOFError,
)  # fmt: skip
"""What Python raises over content that is not as it should be."""


@contextmanager
def sound(place: str, what: str, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Inside the `with`, what foreign content makes Python stumble over is a BenchmarkError: `place` is not `what`.

    also: errors of a library that reads it.
    """
    try:
        yield
    except (*STUMBLES, *also) as error:
        raise BenchmarkError(f"{place}: not {what}: {brief(kind_and_message(error))}") from error


LARGEST_SIZE = 4096
"""Of a number of channels, blocks or levels: larger ones are of no network, and would take the machine's memory."""


def check_sizes(least: int = 1, **sizes: Any) -> None:
    """Raises ValueError unless all are whole numbers from `least` to LARGEST_SIZE, or tuples of such: of a network that
    a file describes."""
    for name, size in sizes.items():
        parts = size if isinstance(size, tuple) else (size,)
        whole = all(isinstance(part, int) and not isinstance(part, bool) for part in parts)
        if not whole or not all(least <= part <= LARGEST_SIZE for part in parts):
            raise ValueError(f"{name}: {brief(repr(size))} is no size of a network")


def check_reals(**numbers: Any) -> None:
    """Raises ValueError unless all are numbers above 0 and finite, or tuples of such that ascend."""
    for name, number in numbers.items():
        parts = number if isinstance(number, tuple) and number else (number,)
        real = all(isinstance(part, int | float) and not isinstance(part, bool) and 0 < part < 1e9 for part in parts)
        if not real or any(one >= other for one, other in pairwise(parts)):
            raise ValueError(f"{name}: {brief(repr(number))}: numbers above 0 are needed, and several must ascend")


A_CACHE = "the index of a cache; remove the file, and it is made again"


# Tables


def read_table(path: Path, what: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Columns of a CSV file, and number of the line and cells of each row. what: "a summary", for messages.

    Raises BenchmarkError that names the line; FileNotFoundError if there is no file.
    """
    return parse_table(read_text(path), shown(path), what)


def parse_table(
    text: str, place: str, what: str, separator: str = ","
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The same of a text. A byte order mark, which spreadsheets write, is passed over."""
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=separator, strict=True)
    rows: list[tuple[int, list[str]]] = []
    columns: list[str] | None = None
    try:
        if "\0" in text:
            raise csv.Error("it holds a zero byte")
        for cells in lines:
            if columns is None:
                columns = cells
            elif cells:
                rows.append((lines.line_num, cells))
    except csv.Error as error:
        raise BenchmarkError(f"{place}, line {max(lines.line_num, 1)}: not {what}: {brief(error)}") from None
    if not columns:
        raise BenchmarkError(f"{place}: not {what}: the file is empty")
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise BenchmarkError(f"{place}: not {what}: the column {brief(repr(twice))} stands there twice")
    for number, cells in rows:
        if len(cells) != len(columns):
            raise BenchmarkError(f"{place}, line {number}: not {what}: {len(cells)} cells for {len(columns)} columns")
    return columns, rows


_REAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"\d{1,15}(\.0)?", re.ASCII)


def real_of(text: str, missing: bool = False) -> float:
    """A finite number from a cell; NaN for an empty cell where it may be `missing`. Raises ValueError."""
    if not text and missing:
        return math.nan
    if _REAL.fullmatch(text) is None or math.isinf(float(text)):
        raise ValueError(f"{brief(repr(text))} is no finite number" + ("" if text else "; the cell is empty"))
    return _real(text)


def whole_of(text: str, missing: bool = False) -> int | None:
    """A whole number of at least 0 from a cell; None for an empty cell where it may be `missing`. Raises ValueError."""
    if not text and missing:
        return None
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(f"{brief(repr(text))} is no whole number of at least 0")
    return int(float(text))


def truth_of(text: str) -> bool:
    """True or False from a cell. Raises ValueError on anything else."""
    if text not in ("True", "False"):
        raise ValueError(f"{brief(repr(text))} is neither True nor False")
    return text == "True"


def one_of(text: str, choices: Sequence[str]) -> str:
    """The text of a cell that may be one of `choices` alone. Raises ValueError on anything else."""
    if text not in choices:
        raise ValueError(f"{brief(repr(text))} is none of {', '.join(choices)}")
    return text


def text_of(text: str) -> str:
    """A text that is not empty and holds no control characters, from a cell. Raises ValueError on any other."""
    if not text or any(ord(sign) < 32 for sign in text):
        raise ValueError(f"{brief(repr(text))} is no text on one line")
    return text


def column_of(
    columns: Sequence[str],
    rows: Sequence[tuple[int, Sequence[str]]],
    name: str,
    convert: Any,
    place: str,
    what: str,
) -> list[Any]:
    """The cells of the column `name`, converted. Raises BenchmarkError that names line and column."""
    index = columns.index(name)
    values = []
    for number, cells in rows:
        try:
            values.append(convert(cells[index]))
        except ValueError as error:
            raise BenchmarkError(f"{place}, line {number}: not {what}: {name}: {error}") from None
    return values
