"""What Griffe, which reads docstrings for mkdocstrings, is told of those of this suite: mkdocs.yml names this file.

They say what each argument is in a running text, "limit: so many images. output: a folder". The site shows a list.
"""

import re
from collections.abc import Iterable
from typing import Any

import griffe


class Lists(griffe.Extension):
    """Makes lists of what docstrings say of arguments and attributes."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Changes the docstrings of the package's functions and classes."""
        _walk(pkg)


def _walk(thing: Any) -> None:
    for member in thing.members.values():
        if member.is_alias:
            continue
        if member.is_function:
            _list(member, (parameter.name for parameter in member.parameters))
        elif member.is_class:
            _list(member, member.members)
        if member.is_module or member.is_class:
            _walk(member)


def _list(thing: Any, names: Iterable[str]) -> None:
    if thing.docstring is not None:
        thing.docstring.value = with_lists(thing.docstring.value, names)


def with_lists(text: str, names: Iterable[str]) -> str:
    """`text`, in which a sentence that begins with some of `names` and a colon is an item of a list.

    What follows the first item in its paragraph belongs to the list, but for what is raised.
    """
    known = sorted((re.escape(name.lstrip("*")) for name in names), key=len, reverse=True)
    if not known:
        return text
    one = f"(?:{'|'.join(known)})"
    item = re.compile(rf"(?:^|(?<=\.)\s+|(?<=\.\))\s+)({one}(?:(?:, | and ){one})*):\s+")
    parts = []
    for part in text.split("\n\n"):
        if part.lstrip().startswith(("|", "-", ">>>", "    ")) or not item.search(part):
            parts.append(part)
            continue
        part, _, raised = part.partition(" Raises ") if re.search(r"\. Raises [A-Z]", part) else (part, "", "")
        before, *pairs = item.split(part)
        if before.strip():
            parts.append(before.strip())
        rows = zip(pairs[::2], pairs[1::2], strict=True)
        parts.append("\n".join(f"- {_code(names)}: {' '.join(words.split())}" for names, words in rows))
        if raised:
            parts.append(f"Raises {raised}")
    return "\n\n".join(parts)


def _code(names: str) -> str:
    return re.sub(r"\w+", lambda match: match[0] if match[0] == "and" else f"`{match[0]}`", names)
