"""The size of text in a figure, and how it is broken into lines. Inside of `figure_style`, whose font it measures."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import matplotlib
from matplotlib import cbook
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from benchmark.errors import UsageError


def parameter(name: str) -> Any:
    """One of matplotlib's parameters, by a name that is put together: its type stubs know whole names only."""
    parameters: Any = matplotlib.rcParams
    return parameters[name]


def points(name: str) -> float:
    """A size among matplotlib's parameters, such as "legend.fontsize", in points: it may be a word."""
    return float(FontProperties(size=parameter(name)).get_size_in_points())


def line_height(size: float) -> float:
    """Inches that a line of text of `size` points takes."""
    return size * 1.35 / 72


def text_width(text: str, size: float, math: bool = False) -> float:
    """In inches, as matplotlib sets it; of the longest line. math: two "$" enclose mathematics.

    Raises UsageError on mathematics that matplotlib cannot set.
    """
    families = parameter("font.family")
    # What a generic family stands for belongs to the key: it is another font in another style.
    fonts = tuple(font for family in families for font in _fonts_of(family))
    return _width(text, size, tuple(families), fonts, math)


def _fonts_of(family: str) -> Sequence[str]:
    return parameter(f"font.{family}") if f"font.{family}" in matplotlib.rcParams else (family,)


@lru_cache(4096)
def _width(text: str, size: float, families: tuple[str, ...], _fonts: tuple[str, ...], math: bool) -> float:
    font = FontProperties(family=list(families), size=size)
    return max(_line_width(line, font, math and cbook.is_math_text(text)) for line in text.split("\n"))


def _line_width(line: str, font: FontProperties, math: bool) -> float:
    try:
        width, _height, _descent = TextToPath().get_text_width_height_descent(line, font, math)
    except ValueError as error:
        if parameter("text.usetex"):  # TeX knows more than matplotlib
            return _line_width(line, font, False)
        reason = str(error).strip().splitlines()[-1]
        raise UsageError(
            f"{line!r}: between two $ stands mathematics, which matplotlib cannot set: {reason}; "
            "a dollar sign is written \\$"
        ) from None
    return float(width) / 72


def wrap(text: str, width: float, size: float) -> list[str]:
    """`text` in lines of at most `width` inches, broken at spaces, and inside of words that are longer than a line.

    A line break in it stays one.
    """
    if "\n" in text:
        return [line for part in text.split("\n") for line in wrap(part, width, size)]
    lines: list[str] = []
    for word in text.split(" "):
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
            continue
        lines.append("")
        for character in word:
            if text_width(lines[-1] + character, size) > width:
                lines.append("")
            lines[-1] += character
    return lines
