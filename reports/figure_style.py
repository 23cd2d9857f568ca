"""How every figure of the suite looks beyond its lines: one set of matplotlib's parameters, below what a user asks for.

Figures are matplotlib's own objects: no pyplot, no window, no global state that stays.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import style as matplotlib_style

from benchmark.errors import UsageError

TEXT = 7.0
"""Points."""

LINE = 1.2
"""Points: the width of a line that was measured."""

CURRENT = "current"
"""As a style: matplotlib's parameters as they are now, such as `matplotlib.rcParams` of a notebook."""

StyleChoice = str | Path | Mapping[str, Any] | None
"""A name that matplotlib knows, a file, parameters, CURRENT, or None for the suite's own looks alone."""

_HOUSE: dict[str, Any] = {
    "font.family": "sans-serif",
    # The first comes with matplotlib, so it is the same everywhere; the others are for readers of the SVG.
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial"],
    "text.parse_math": False,  # a "$" in a codec spec is a "$"
    "svg.fonttype": "none",
    "svg.hashsalt": "curves",
    "pdf.fonttype": 42,  # many publishers refuse Type 3
    "savefig.dpi": 300,
    "lines.linewidth": LINE,
    "lines.markersize": 4.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlepad": 3.0,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "legend.handletextpad": 0.6,
    "legend.columnspacing": 1.4,
    "legend.labelspacing": 0.25,
    "legend.borderaxespad": 0.3,
    "legend.borderpad": 0.1,
}


def figure_style(font_size: float | None = None, style: StyleChoice = None) -> AbstractContextManager[None]:
    """A context in which figures are made and saved; matplotlib's parameters are afterwards as they were.

    font_size: of text, in points, whatever the style says; None for the style's, or TEXT. style: what it sets goes
    before the suite's own looks; with CURRENT those are left out altogether. Raises UsageError on a style that
    matplotlib does not know.
    """
    if style == CURRENT:
        return matplotlib_style.context([{} if font_size is None else _sizes(font_size)])
    own = _parameters(style)
    size = own.get("font.size", TEXT) if font_size is None else font_size
    last = {} if font_size is None else _sizes(font_size)
    return matplotlib_style.context(["default", _HOUSE | _sizes(float(size)), own, last])


def _sizes(text: float) -> dict[str, Any]:
    small = text * 6.5 / 7
    names = ("font.size", "axes.titlesize", "axes.labelsize", "legend.fontsize")
    return dict.fromkeys(names, text) | {"xtick.labelsize": small, "ytick.labelsize": small}


def _plain(parameters: Any) -> dict[str, Any]:
    return dict(parameters)


def _parameters(style: StyleChoice) -> dict[str, Any]:
    if style is None:
        return {}
    if isinstance(style, str) and style in matplotlib_style.library:
        return _plain(matplotlib_style.library[style])
    if isinstance(style, str) and style == "default":
        return _plain(matplotlib.rcParamsDefault)
    if isinstance(style, Mapping):
        try:
            return _plain(matplotlib.RcParams(style))
        except (KeyError, ValueError) as error:
            raise UsageError(f"the style is none of matplotlib's: {' '.join(str(error).split())}") from None
    if not isinstance(style, str | Path):
        raise UsageError(f"style: a name, a file or parameters are needed, not {style!r}")
    if not Path(style).is_file():
        known = ", ".join(name for name in matplotlib_style.available if not name.startswith("_"))
        raise UsageError(f"the style {str(style)!r} is neither a file nor one that matplotlib knows: {known}")
    try:
        return _plain(matplotlib.rc_params_from_file(style, use_default_template=False))
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{style}: cannot be read as a matplotlib style: {' '.join(str(error).split())}") from None
