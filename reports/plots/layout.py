"""Where things stand in a figure: title, legend, grid of panels, caption. Inside of `figure_style`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from benchmark.errors import UsageError
from benchmark.reports.plots.axes import RATE_LABEL, draw_panel, line_of, originals_line
from benchmark.reports.plots.caption import caption, small_print
from benchmark.reports.plots.options import PlotOptions
from benchmark.reports.plots.panels import Panel
from benchmark.reports.plots.published import KINDS, label_published
from benchmark.reports.plots.text import line_height, parameter, points, text_width, wrap
from benchmark.reports.styles import PUBLISHED_STYLES, Style

COLUMN = 3.4  # inches: one column of a two-column paper
PAGE = 7.0  # inches: its whole width
_PANEL_HEIGHT = 2.3
_LABELLED_HEIGHT = 3.1  # with published curves, whose labels stand inside the panel
_LONE_HEIGHT = 4.2  # of a single panel of that kind
_NARROWEST = 2.2  # of a panel beside others
_LOWEST = 0.8  # of a panel, with its ticks and words
_BESIDE = 10  # legend entries that fit into a panel's place
_DECORATION = (0.55, 0.6)  # of a panel, taken by ticks and words: across, upwards


@dataclass(frozen=True)
class Entry:
    """A line of the legend. math: whether a "$" begins mathematics in its label."""

    label: str
    line: Line2D
    math: bool = False


@dataclass(frozen=True)
class _Grid:
    columns: int
    lines: int
    width: float
    panel_height: float

    @property
    def panel_width(self) -> float:
        return self.width / self.columns


@dataclass(frozen=True)
class _Legend:
    """place: "above", "below", "beside" (in a free cell of the grid), "inside" or "none". height: inches above, below.

    labels: broken into lines where they are wider than the figure.
    """

    place: str
    columns: int
    height: float
    labels: tuple[str, ...]


def figure_of(
    panels: Sequence[Panel], styles: Mapping[str, Style], dataset: str, rate_protocol: str, options: PlotOptions
) -> Figure:
    """A figure of all `panels`. styles: of every codec in them. Raises UsageError if a height leaves them no room."""
    grid = _grid(panels, options)
    entries = legend_entries(panels, styles, options)
    legend = _legend(entries, grid, len(panels), options)
    text = points("font.size")
    words = _words(panels, dataset, rate_protocol, grid.width, text, options)
    caption_height = sum(line_height(size) for _, size, _ in words) + 0.08 if words else 0.0
    title_size = points("figure.titlesize")
    title_lines = wrap(options.title, grid.width - 0.1, title_size) if options.title else []
    title_height = len(title_lines) * line_height(title_size) + 0.04 if title_lines else 0.0
    above = title_height + (legend.height if legend.place == "above" else 0.0)
    below = caption_height + (legend.height if legend.place == "below" else 0.0)
    height = options.height or above + grid.lines * grid.panel_height + below
    if (height - above - below) / grid.lines < _LOWEST:
        raise UsageError(
            f"height {height:g}: the panels need {above + below + grid.lines * _LOWEST:.1f} inches at least"
        )

    figure = Figure(figsize=(grid.width, height))
    bottom, top = below / height, 1 - above / height
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.04, rect=(0.0, bottom, 1.0, top - bottom)))
    if title_lines:
        figure.text(
            0.5, 1 - 0.03 / height, "\n".join(title_lines), fontsize=title_size, ha="center", va="top", in_layout=False,
            parse_math=True,
        )  # fmt: skip
    if legend.place in ("above", "below", "beside"):
        places: dict[str, tuple[Any, tuple[float, float]]] = {
            "above": ("upper center", (0.5, 1 - title_height / height)),
            "below": ("lower center", (0.5, caption_height / height)),
            "beside": ("center", (1 - 0.5 / grid.columns, bottom + 0.5 * (top - bottom) / grid.lines)),
        }
        location, anchor = places[legend.place]
        drawn = figure.legend(
            handles=_handles(entries, legend.labels),
            loc=location,
            bbox_to_anchor=anchor,
            ncols=legend.columns,
            labelspacing=0.6 if legend.place == "beside" else None,
        )
        drawn.set_in_layout(False)
        _set_math(drawn, entries)
    all_axes = []
    for index, panel in enumerate(panels):
        axes = figure.add_subplot(grid.lines, grid.columns, index + 1)
        all_axes.append(axes)
        draw_panel(axes, panel, styles, options)
        axes.set_title(_heading(panel, grid.panel_width), loc="left")
        if index + grid.columns >= len(panels):
            axes.set_xlabel(RATE_LABEL)
        _fix_ticks(axes)
    if legend.place == "inside":
        legend_inside(all_axes[0], entries)
    y = caption_height - 0.02
    for line, size, color in words:
        y -= line_height(size)
        place = (0.05 / grid.width, y / height)
        figure.text(*place, line, fontsize=size, color=color, va="bottom", ha="left", in_layout=False)
    if any(panel.published for panel in panels):
        figure.draw_without_rendering()  # only now is it known where the axes are
        figure.set_layout_engine("none")
        for axes, panel in zip(all_axes, panels, strict=True):
            label_published(axes, panel)
    return figure


def _grid(panels: Sequence[Panel], options: PlotOptions) -> _Grid:
    count = len(panels)
    labelled = any(panel.published for panel in panels)
    columns = min(count, 2 if labelled or count in (2, 4) else 3)
    usual = PAGE if labelled or count > 1 else COLUMN
    width = options.width or usual
    columns = max(1, min(columns, int(width / _NARROWEST)))
    height = _PANEL_HEIGHT
    if labelled:
        height = _LONE_HEIGHT if count == 1 else _LABELLED_HEIGHT
    if options.width is not None:
        # A panel keeps its shape; one that stands below others in a single column has that of a lone one.
        usual = COLUMN if columns == 1 and not labelled else PAGE
        height *= width / usual
    if options.aspect is not None:
        height = options.aspect * width / columns
    return _Grid(columns, math.ceil(count / columns), width, height)


# Legend


def legend_entries(panels: Sequence[Panel], styles: Mapping[str, Style], options: PlotOptions) -> list[Entry]:
    """The codecs that are drawn, in the order of `styles`, then the originals and the kinds of published curves."""
    drawn = {curve.codec for panel in panels for curve in panel.curves}
    entries = [
        Entry(options.label(codec), line_of(codec, style), codec in options.labels)
        for codec, style in styles.items()
        if codec in drawn
    ]
    if any(panel.originals is not None for panel in panels):
        line = originals_line()
        entries.append(Entry(str(line.get_label()), line))
    # Published curves have their names beside them; the legend says only which lines are published.
    kinds = {curve.kind for panel in panels for curve in panel.published}
    entries += [Entry(KINDS[k], line_of(KINDS[k], PUBLISHED_STYLES[k])) for k in KINDS if k in kinds]
    return entries


def _legend(entries: Sequence[Entry], grid: _Grid, panels: int, options: PlotOptions) -> _Legend:
    size, room = points("legend.fontsize"), handle_width()
    widths = [text_width(entry.label, size, entry.math) for entry in entries]
    labels = tuple(
        entry.label if width <= grid.width - room else "\n".join(wrap(entry.label, grid.width - room, size))
        for entry, width in zip(entries, widths, strict=True)
    )
    widest = max(widths) + room
    place: str = options.legend
    if place == "auto":
        place = "above"
        # A cell of the grid that no panel needs takes the legend, if that fits; else it stands above the panels.
        if grid.lines * grid.columns > panels and widest < grid.panel_width and len(entries) <= _BESIDE:
            place = "beside"
        elif options.width is not None and panels == 1:
            across, upwards = grid.panel_width - _DECORATION[0], grid.panel_height - _DECORATION[1]
            if widest < 0.6 * across and len(entries) * line_height(size) < 0.5 * upwards:
                place = "inside"
    columns = 1 if place in ("beside", "inside", "none") else legend_columns(widths, grid.width)
    # Labels of several lines stand in a single column, since the widest of them sets the number of columns.
    wrapped = sum(label.count("\n") + 1 for label in labels)
    lines = wrapped if columns == 1 else math.ceil(len(entries) / columns)
    height = lines * line_height(size) + 0.06 if place in ("above", "below") else 0.0
    return _Legend(place, columns, height, labels)


def handle_width() -> float:
    """Inches: a legend entry without its text, with the space to the next."""
    names = ("handlelength", "handletextpad", "columnspacing")
    return float(sum(parameter(f"legend.{name}") for name in names)) * points("legend.fontsize") / 72


def legend_columns(widths: Sequence[float], width: float) -> int:
    """As many labels of the `widths` beside each other as fit into `width`, in rows as even as can be; in inches."""
    entry = max(widths) + handle_width()
    fit = max(1, min(len(widths), int((width - 0.1) / entry)))
    return math.ceil(len(widths) / math.ceil(len(widths) / fit))


def legend_inside(axes: Axes, entries: Sequence[Entry]) -> None:
    """A legend in that corner of the axes which covers the least."""
    drawn = axes.legend(handles=_handles(entries, [entry.label for entry in entries]), loc="best")
    drawn.set_zorder(6)
    _set_math(drawn, entries)


def _handles(entries: Sequence[Entry], labels: Sequence[str]) -> list[Line2D]:
    for entry, label in zip(entries, labels, strict=True):
        entry.line.set_label(label)
    return [entry.line for entry in entries]


def _set_math(legend: Legend, entries: Sequence[Entry]) -> None:
    for text, entry in zip(legend.get_texts(), entries, strict=True):
        if entry.math:
            text.set_parse_math(True)


# Words


def _heading(panel: Panel, width: float) -> str:
    name, direction = panel.heading
    size, room = points("axes.titlesize"), width - _DECORATION[0]
    line = f"{name}   {direction}"
    return line if text_width(line, size) <= room else "\n".join([*wrap(name, room, size), direction])


def _words(
    panels: Sequence[Panel], dataset: str, rate_protocol: str, width: float, text: float, options: PlotOptions
) -> list[tuple[str, float, str]]:
    """The caption's lines, their size and their colour; none where no caption is wanted."""
    if not options.caption:
        return []
    usual = matplotlib.rcParams["text.color"]
    dark, pale = ("#202020", "#555555") if usual == "black" else (usual, usual)
    large, small = text * 6 / 7, text * 5 / 7
    lines = [(line, large, dark) for line in wrap(caption(panels, dataset, options), width - 0.1, large)]
    return lines + [
        (line, small, pale)
        for paragraph in small_print(panels, rate_protocol, options)
        for line in wrap(paragraph, width - 0.1, small)
    ]


def _fix_ticks(axes: Axes) -> None:
    """Ticks are made when they are drawn, which may be outside of `figure_style`: they get its sizes now."""
    for axis in ("x", "y"):
        axes.tick_params(
            axis=axis,
            labelsize=parameter(f"{axis}tick.labelsize"),
            width=parameter(f"{axis}tick.major.width"),
            length=parameter(f"{axis}tick.major.size"),
        )
