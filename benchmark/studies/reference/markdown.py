"""Markdown that GitHub and the site read alike."""

import html
import inspect
import re
from collections.abc import Iterable, Sequence


def code(text: str) -> str:
    """`text` as code, in a table too, where a bar would end the cell."""
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>" if "|" in text or "`" in text else f"`{text}`"


def words(text: str) -> str:
    """`text` in one line, nothing in it read as HTML, emphasis or the end of a cell, except between backticks."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(code(part[1:-1]) if part.startswith("`") else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    return re.sub(r"([*\[\]])", r"\\\1", html.escape(text, quote=False)).replace("|", "&#124;")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def block(text: str, language: str = "text") -> str:
    """`text` as lines of code."""
    return f"```{language}\n{text}\n```"


def documentation(thing: object) -> list[str]:
    """The paragraphs of a docstring, each as `words`, without what it says about the errors of Python."""
    text = re.sub(r"\s*\bRaises [A-Z].*?\.(?=\s|$)", "", inspect.getdoc(thing) or "", flags=re.DOTALL)
    return [words(part) for part in text.split("\n\n") if part.strip()]


def page(title: str, *parts: str) -> str:
    """A page of parts with an empty line between; who changes it by hand is told where it comes from."""
    made = "<!-- made by `python -m benchmark studies reference`: change the code that it comes from -->"
    return "\n\n".join([f"# {title}", *(part.strip("\n") for part in parts if part), made]) + "\n"
