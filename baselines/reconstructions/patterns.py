"""Patterns with {name} and {quality}, and the files that fit them."""

import glob
import math
import re
from pathlib import Path

from benchmark.errors import BenchmarkError, UsageError, printable
from benchmark.files import expanded
from benchmark.formats import SUFFIXES

Files = dict[float, dict[str, Path]]
"""Quality -> name of an image -> file."""

ONLY = 1.0
"""The quality of files whose pattern says none."""

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_DEEP = "**/"
_FIELDS = {"name": r"[^/]+", "quality": NUMBER}


def is_pattern(text: str) -> bool:
    """Whether it has a {name} or a {quality}."""
    return any(f"{{{field}}}" in text for field in _FIELDS)


def files_that_fit(pattern: str, what: str) -> Files:
    """The files whose path is `pattern` with a name in place of {name} and a number in place of {quality}.

    A name stays in its folder, and loses the suffix of an image that the pattern does not spell out. Without {name} in
    the pattern it is "". A `**/` stands for any folders, or none. what: names the pattern in messages.

    Raises UsageError on a pattern that cannot be read, that no file fits, or that two files fit with one name and one
    quality; BenchmarkError on a link that leads nowhere.
    """
    pattern = str(expanded(pattern))
    cut = _cut(pattern, what)
    expression = _expression(cut)
    wanted = "".join(
        "*" if place % 2 else _DEEP.join(map(glob.escape, part.split(_DEEP))) for place, part in enumerate(cut)
    )
    found: Files = {}
    for text in sorted(glob.iglob(wanted, recursive=True)):  # noqa: PTH207  # of texts, whose parts are looked at
        match = expression.fullmatch(text)
        path = Path(text)
        if match is None or path.is_dir():
            continue
        if not path.is_file():
            raise BenchmarkError(f"{printable(text)}: a link that leads nowhere; get the content, or remove the link")
        groups = match.groupdict()
        name, quality = printable(groups.get("name", "")), float(groups.get("quality", ONLY))
        if not math.isfinite(quality):
            raise UsageError(f"{what}: {printable(text)}: {groups['quality']} is too large a number for a quality")
        name = name_of(name) if pattern.endswith("{name}") else name
        other = found.setdefault(quality, {}).setdefault(name, path)
        if other != path and not (_DEEP in pattern and other.samefile(path)):  # links may lead in circles
            raise UsageError(f"{what}: {printable(str(other))} and {printable(text)} are of one image and one quality")
    if not found:
        raise UsageError(f"{what}: no file fits {pattern}{_nearest(pattern)}")
    return dict(sorted(found.items()))


def name_of(text: str) -> str:
    """The name of an image whose file is called `text`: without an image's suffix, as data sets name theirs."""
    return Path(text).stem if Path(text).suffix.lower() in SUFFIXES else text


def _cut(pattern: str, what: str) -> list[str]:
    """`pattern` in parts: what stands there, a field, what stands there, and so on."""
    cut = re.split(r"\{([^{}]*)\}", pattern)
    for field in cut[1::2]:
        if field not in _FIELDS:
            raise UsageError(f"{what}: {{{field}}} is no field; a pattern has {{name}} and {{quality}}")
    if any(not between for between in cut[2:-1:2]):
        raise UsageError(f"{what}: between {{{cut[1]}}} and {{{cut[3]}}} something must stand, to tell them apart")
    return cut


def _expression(cut: list[str]) -> re.Pattern[str]:
    seen: set[str] = set()
    text = ""
    for place, part in enumerate(cut):
        if place % 2 == 0:
            text += "(?:[^/]+/)*".join(map(re.escape, part.split(_DEEP)))
        else:
            text += f"(?P={part})" if part in seen else f"(?P<{part}>{_FIELDS[part]})"
            seen.add(part)
    return re.compile(text, re.DOTALL)


def _nearest(pattern: str) -> str:
    """What is there in place of what the pattern wants, for a message."""
    folder = Path(pattern.partition("{")[0] + "x").parent
    if not folder.is_dir():
        return f"; there is no folder {folder}"
    names = sorted(printable(path.name) for path in folder.iterdir() if not path.name.startswith("."))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"; {folder} holds {', '.join(names[:3]) or 'nothing'}{more}"
