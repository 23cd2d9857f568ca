"""Rate-distortion and rate-perception curves: a metric over bits per pixel, as PNG and SVG, fit for a paper.

Drawn on matplotlib's Figure objects: no pyplot, no window, no global state; the same summaries give the same bytes.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from benchmark.reports.anchors import PublishedCurve, choose_codecs, fitting_curves
from benchmark.reports.placement import inside, leader, place_labels, sampled
from benchmark.reports.styles import PUBLISHED_STYLES, Style, codec_styles
from matplotlib import style as matplotlib_style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.textpath import TextToPath
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from benchmark.analysis.comparable import one_dataset, one_protocol, run_labels
from benchmark.analysis.summary import HEADLINES, ORIGINALS, metric_facts
from benchmark.errors import BenchmarkError, NotComparable, UsageError
from benchmark.metrics import MetricInfo

_COLUMN = 3.4  # inches: one column of a two-column paper
_PAGE = 7.0  # inches: its whole width
_PANEL_HEIGHT = 2.3
_LABELLED_HEIGHT = 3.1  # with published curves, whose labels stand inside the panel
_LONE_HEIGHT = 4.2  # of a single panel of that kind
_FONT = "DejaVu Sans"  # comes with matplotlib, so the same everywhere
_TEXT, _CAPTION, _PRINT = 7.0, 6.0, 5.0  # points
_HANDLE = (3.2 + 0.6 + 1.4) * _TEXT / 72  # inches: a legend entry without its text, with the space to the next
_BESIDE = 10  # legend entries that fit into a panel's place
_KINDS = {
    "classical": "published: classical",
    "distortion": "published: learned for distortion",
    "perceptual": "published: learned for LPIPS too",
    "generative": "published: learned for realism",
}
_LABEL = 6.0  # points, of a published curve's label
_LABEL_COLOR, _LEADER_COLOR = "#505050", "#A0A0A0"
_BAR: Any = {"alpha": 0.3, "linewidth": 0.9}  # of an interval
_RESOLUTION = 300  # pixels an inch, of the PNG
_SETTINGS = {
    "font.family": "sans-serif",
    "font.sans-serif": [_FONT, "Verdana", "Helvetica", "Arial"],  # after the first: for readers of the SVG
    "font.size": _TEXT,
    "text.parse_math": False,  # a "$" in a codec spec is a "$"
    "svg.fonttype": "none",
    "svg.hashsalt": "curves",
    "axes.linewidth": 0.6,
    "axes.titlesize": _TEXT,
    "axes.labelsize": _TEXT,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.unicode_minus": True,
}

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Curve:
    """A codec's points for one metric, sorted by bits per pixel; all (n,), NaN where there is no value or interval."""

    codec: str
    bpp: Vector
    bpp_low: Vector
    bpp_high: Vector
    value: Vector
    low: Vector
    high: Vector


@dataclass(frozen=True)
class _Panel:
    """All that one panel says.

    published: curves of others' figures that fit. unfit: published codec -> why its figures of this metric do not.
    originals: what a metric without a reference says of the originals, on the scale of the panel; None for others.
    """

    metric: str
    facts: MetricInfo
    label: str
    protocol: str
    curves: tuple[_Curve, ...]
    missing: tuple[str, ...]
    images: tuple[int, int]
    patches: tuple[int, int] | None
    published: tuple[PublishedCurve, ...] = ()
    unfit: tuple[tuple[str, str], ...] = ()
    originals: float | None = None


def draw_curves(
    summaries: Sequence[pd.DataFrame], metrics: Sequence[str], output: Path, published: Sequence[str] | None = None
) -> list[Path]:
    """Draws each of `metrics` over bits per pixel, and all of them in one figure, into the folder `output`.

    summaries: frames as `benchmark.analysis.summary` makes them, of one data set. A codec that several of them hold
    with different numbers is drawn once for each, the later ones labelled "(run 2)" and so on. A similarity, whose
    scale is "decibel", is drawn as −10·log10(1 − x) dB. A dotted line is the value of the originals. published: names
    of published codecs, whose figures are drawn in the panels that they fit; an empty sequence for those usual for each
    metric, None for none. Measured curves alone set the limits. Returns the paths: METRIC.png, METRIC.svg for each
    metric, then curves.png, curves.svg. Raises NotComparable if data sets or protocols differ or published figures were
    asked for and fit no panel, UsageError on a metric that no summary holds, and BenchmarkError on one that has no
    value at all.
    """
    if not summaries or not metrics:
        raise UsageError("there is nothing to draw: name at least one run and one metric")
    dataset = one_dataset(summaries)
    frame = _joined(summaries)
    rate_protocol = one_protocol(frame, "bpp")
    panels = [_panel(frame, metric) for metric in dict.fromkeys(metrics)]
    if published is not None:
        panels = _with_published(panels, published, dataset, rate_protocol)
    codecs = list(dict.fromkeys(frame["codec"]))
    styles = codec_styles(codecs)

    output.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    with matplotlib_style.context(["default", _SETTINGS]):
        for panel in panels:
            figure = _figure([panel], codecs, styles, dataset, rate_protocol)
            written += _save(figure, output / _file_name(panel.metric))
        written += _save(_figure(panels, codecs, styles, dataset, rate_protocol), output / "curves")
    return written


# From summaries to what a panel holds


def _joined(summaries: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The headline rows of all summaries; codecs that would meet under one label are told apart by their run."""
    shown = [summary[summary["aggregation"].isin((*HEADLINES, ORIGINALS))] for summary in summaries]
    headlines = [summary[summary["aggregation"].isin(HEADLINES)] for summary in summaries]
    parts = []
    for frame, labels in zip(shown, run_labels(headlines), strict=True):
        part = frame[frame["codec"].isin(labels)]
        parts.append(part.assign(codec=part["codec"].map(labels)))
    return pd.concat(parts, ignore_index=True)


def _panel(frame: pd.DataFrame, metric: str) -> _Panel:
    rows = frame[frame["metric"] == metric]
    if metric == "bpp" or rows.empty:
        there = ", ".join(name for name in dict.fromkeys(frame["metric"]) if name != "bpp") or "none"
        raise UsageError(f"no curve of {metric!r} can be drawn; the metrics of the summary: {there}")
    protocol = one_protocol(frame, metric)
    facts = metric_facts(frame, metric)
    originals = rows[(rows["aggregation"] == ORIGINALS) & rows["value"].notna()]
    rows = rows[rows["aggregation"] != ORIGINALS]
    valued = rows[rows["value"].notna()]
    rates = frame[frame["metric"] == "bpp"].set_index(["codec", "quality"])

    curves, missing = [], []
    for codec in dict.fromkeys(frame["codec"]):
        curve = _curve(codec, facts, rows[rows["codec"] == codec], rates)
        if np.isfinite(curve.value).any():
            curves.append(curve)
        else:
            missing.append(codec)

    if not curves:
        raise BenchmarkError(f"{metric}: no codec has a value that can be drawn")
    images = _range(valued["n_images"])
    patches = _range(valued["n_patches"]) if valued["n_patches"].notna().any() else None
    direction = "↑ higher is better" if bool(rows["higher_is_better"].iloc[0]) else "↓ lower is better"
    shown = f"{facts.title} ({facts.shown_unit})" if facts.shown_unit else facts.title
    line = None
    if len(originals):  # over the most images, where not all points are over the same
        line = float(_shown(facts, [originals.sort_values("n_images", kind="stable")["value"].iloc[-1]])[0])
    return _Panel(
        metric,
        facts,
        f"{shown}   {direction}",
        protocol,
        tuple(curves),
        tuple(missing),
        images,
        patches,
        originals=line if line is not None and math.isfinite(line) else None,
    )


def _with_published(panels: Sequence[_Panel], codecs: Sequence[str], dataset: str, rate_protocol: str) -> list[_Panel]:
    """The panels with the published curves that fit. Raises NotComparable if none fits, or not one that was named."""
    filled = []
    for panel in panels:
        curves, reasons = fitting_curves(codecs, dataset, panel.images, panel.metric, panel.protocol, rate_protocol)
        filled.append(replace(panel, published=tuple(curves), unfit=tuple(reasons.items())))
    drawn = {curve.codec for panel in filled for curve in panel.published}
    lost = [codec for codec in codecs if codec not in drawn]
    # Who names all takes what there is.
    if not drawn or (lost and set(codecs) != set(choose_codecs("all"))):
        refused = [
            f"{codec}, {panel.facts.title}: {reason}"
            for panel in filled
            for codec, reason in panel.unfit
            if codec not in drawn and codec in (lost or [codec])
        ]
        names = ", ".join(panel.facts.title for panel in filled)
        which = f"published figures of {', '.join(lost)}" if 0 < len(lost) < 4 else "published figures"
        why = "; ".join(refused[:3]) or f"there are none of {names} on {dataset.rpartition(' ')[0]}"
        raise NotComparable(f"no {which} can be drawn beside this run: {why}")
    return filled


def _range(counts: "pd.Series[int]") -> tuple[int, int]:
    known = counts.dropna()
    return (int(known.min()), int(known.max())) if len(known) else (0, 0)


def _curve(codec: str, facts: MetricInfo, rows: pd.DataFrame, rates: pd.DataFrame) -> _Curve:
    def column(table: pd.DataFrame, name: str) -> Vector:
        return table[name].to_numpy(dtype=np.float64, copy=True)

    own_rates = rates.reindex([(codec, quality) for quality in rows["quality"]])
    order = np.argsort(column(own_rates, "value"), kind="stable")
    value, low, high = (column(rows, name) for name in ("value", "ci_low", "ci_high"))
    if facts.scale == "decibel":
        value, low, high = _decibel(value), _decibel(low), _decibel(high)
        value[np.isinf(value)] = np.nan  # no place on the scale; the end of an interval goes to the edge
    value[~(column(own_rates, "value") > 0)] = np.nan  # no bits have no place on a logarithmic axis
    return _Curve(
        codec,
        column(own_rates, "value")[order],
        column(own_rates, "ci_low")[order],
        column(own_rates, "ci_high")[order],
        value[order],
        low[order],
        high[order],
    )


def _decibel(similarity: Vector) -> Vector:
    """−10·log10(1 − x), which spreads out the values just under 1; infinite at 1 and beyond."""
    with np.errstate(divide="ignore"):
        decibel: Vector = -10 * np.log10(np.maximum(1 - similarity, 0))
    return decibel


# Drawing


def _figure(
    panels: Sequence[_Panel], codecs: Sequence[str], styles: dict[str, Style], dataset: str, rate_protocol: str
) -> Figure:
    labelled = any(panel.published for panel in panels)
    columns = min(len(panels), 2 if labelled or len(panels) in (2, 4) else 3)
    lines = math.ceil(len(panels) / columns)
    width = _PAGE if labelled or len(panels) > 1 else _COLUMN
    panel_height = _PANEL_HEIGHT
    if labelled:
        panel_height = _LONE_HEIGHT if len(panels) == 1 else _LABELLED_HEIGHT

    drawn = {curve.codec for panel in panels for curve in panel.curves}
    codecs = [codec for codec in codecs if codec in drawn]
    # Published curves have their names beside them; the legend says only which lines are published.
    kinds = dict.fromkeys(curve.kind for panel in panels for curve in panel.published)
    styles = styles | {_KINDS[kind]: PUBLISHED_STYLES[kind] for kind in _KINDS if kind in kinds}
    codecs += [_KINDS[kind] for kind in _KINDS if kind in kinds]
    # A cell of the grid that no panel needs takes the legend, if that fits; else it stands above the panels.
    widest = max(_text_width(codec, _TEXT) for codec in codecs) + _HANDLE
    beside = lines * columns > len(panels) and widest < width / columns and len(codecs) <= _BESIDE
    entries = 1 if beside else _legend_columns(codecs, width)
    labels = {codec: "\n".join(_wrap(codec, width - _HANDLE, _TEXT)) for codec in codecs}
    # Labels of several lines stand in a single column, since the widest of them sets the number of columns.
    label_lines = sum(label.count("\n") + 1 for label in labels.values())
    legend_lines = label_lines if entries == 1 else math.ceil(len(codecs) / entries)
    legend_height = 0.0 if beside else legend_lines * _inches(_TEXT) + 0.06
    caption_lines = _wrap(_caption(panels, dataset), width - 0.1, _CAPTION)
    print_lines = _wrap(_small_print(panels, rate_protocol), width - 0.1, _PRINT)
    notes = [line for note in _published_notes(panels) for line in _wrap(note, width - 0.1, _PRINT)]
    print_lines += notes
    caption_height = len(caption_lines) * _inches(_CAPTION) + len(print_lines) * _inches(_PRINT) + 0.08
    height = legend_height + lines * panel_height + caption_height

    figure = Figure(figsize=(width, height))
    bottom, top = caption_height / height, 1 - legend_height / height
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.04, rect=(0.0, bottom, 1.0, top - bottom)))
    figure.legend(
        handles=[_handle(labels[codec], styles[codec]) for codec in codecs],
        loc="center" if beside else "upper center",
        bbox_to_anchor=(1 - 0.5 / columns, bottom + 0.5 * (top - bottom) / lines) if beside else (0.5, 1.0),
        ncols=entries,
        frameon=False,
        fontsize=_TEXT,
        handlelength=3.2,
        handletextpad=0.6,
        columnspacing=1.4,
        labelspacing=0.6 if beside else 0.25,
        borderaxespad=0.3,
        borderpad=0.1,
    ).set_in_layout(False)
    all_axes = []
    for index, panel in enumerate(panels):
        axes = figure.add_subplot(lines, columns, index + 1)
        all_axes.append(axes)
        _draw(axes, panel, styles)
        if index + columns >= len(panels):
            axes.set_xlabel("Rate (bits per pixel)")

    y = caption_height - 0.02
    styled = [(line, _CAPTION, "#202020") for line in caption_lines] + [
        (line, _PRINT, "#555555") for line in print_lines
    ]
    for text, size, color in styled:
        y -= _inches(size)
        figure.text(0.05 / width, y / height, text, fontsize=size, color=color, va="bottom", ha="left", in_layout=False)
    if labelled:
        figure.draw_without_rendering()  # only now is it known where the axes are
        figure.set_layout_engine("none")
        for axes, panel in zip(all_axes, panels, strict=True):
            _label_published(axes, panel)
    return figure


def _draw(axes: Axes, panel: _Panel, styles: dict[str, Style]) -> None:
    left, right, bottom, top = _limit(axes, panel)
    for published in panel.published:
        style = PUBLISHED_STYLES[published.kind]
        axes.add_line(_handle(published.label, style, published.bpp, _shown(panel.facts, published.value)))
    if panel.originals is not None:
        axes.axhline(panel.originals, color=_LABEL_COLOR, linestyle=(0, (1.2, 1.4)), linewidth=0.9, zorder=1)
        axes.annotate(
            "originals",
            (1.0, panel.originals),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 2),
            textcoords="offset points",
            fontsize=_LABEL,
            color=_LABEL_COLOR,
            ha="right",
        )
    for curve in panel.curves:
        color = styles[curve.codec].color
        # Thin and pale, below the lines: the interval over images is wide, and much of it is common to the codecs.
        axes.vlines(curve.bpp, curve.low.clip(bottom, top), curve.high.clip(bottom, top), **_BAR, color=color)
        axes.hlines(curve.value, curve.bpp_low.clip(left, right), curve.bpp_high.clip(left, right), **_BAR, color=color)
        axes.add_line(_handle(curve.codec, styles[curve.codec], curve.bpp, curve.value))
    axes.set_title(panel.label, loc="left", pad=3.0)
    axes.grid(True, color="#DDDDDD", linewidth=0.4)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _label_published(axes: Axes, panel: _Panel) -> None:
    """Writes the name of each published curve beside it, where no line and no other name is if that can be."""
    points_per_pixel = 72 / axes.figure.dpi

    def points(x: npt.ArrayLike, y: npt.ArrayLike) -> Vector:
        pairs = np.column_stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)])
        placed: Vector = axes.transData.transform(pairs[np.isfinite(pairs).all(axis=1)]) * points_per_pixel
        return placed

    lines = [points(curve.bpp, _shown(panel.facts, curve.value)) for curve in panel.published]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    others = [points(curve.bpp, curve.value) for curve in panel.curves]
    for curve in panel.curves:
        for bpp, bpp_low, bpp_high, value, low, high in zip(
            curve.bpp, curve.bpp_low, curve.bpp_high, curve.value, curve.low, curve.high, strict=True
        ):
            others.append(points([bpp, bpp], np.clip([low, high], bottom, top)))
            others.append(points(np.clip([bpp_low, bpp_high], left, right), [value, value]))
    frame = axes.get_window_extent()
    x0, y0, x1, y1 = (float(edge) * points_per_pixel for edge in frame.extents)
    sizes = [(_text_width(curve.label, _LABEL) * 72 + 2, _LABEL) for curve in panel.published]
    for named, place in zip(panel.published, place_labels(lines, sizes, others, (x0, y0, x1, y1)), strict=True):
        if place is None:
            continue

        def fraction(x: float, y: float) -> tuple[float, float]:
            return (x - x0) / (x1 - x0), (y - y0) / (y1 - y0)

        box = place.box
        axes.text(
            *fraction((box[0] + box[2]) / 2, (box[1] + box[3]) / 2),
            named.label,
            transform=axes.transAxes,
            fontsize=_LABEL,
            color=_LABEL_COLOR,
            ha="center",
            va="center_baseline",
            zorder=5,
            bbox=None if place.clear else {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.85},
        )
        (from_x, from_y), (to_x, to_y) = fraction(*place.anchor), fraction(*leader(place))
        axes.add_artist(
            Line2D(
                [from_x, to_x],
                [from_y, to_y],
                transform=axes.transAxes,
                color=_LEADER_COLOR,
                linewidth=0.5,
                marker="o",
                markevery=[0],
                markersize=1.8,
                markerfacecolor=_LABEL_COLOR,
                markeredgewidth=0,
            )
        )


def _shown(facts: MetricInfo, values: Sequence[float]) -> Vector:
    """Values on the scale of the panel."""
    array = np.asarray(values, dtype=np.float64)
    return _decibel(array) if facts.scale == "decibel" else array


def _handle(label: str, style: Style, x: npt.ArrayLike = (), y: npt.ArrayLike = ()) -> Line2D:
    line = Line2D(
        np.asarray(x, dtype=np.float64),
        np.asarray(y, dtype=np.float64),
        label=label,
        color=style.color,
        linewidth=style.width,
        marker=style.marker,
        markersize=4.0,
        markerfacecolor=style.color if style.filled else "white",
        markeredgecolor=style.color,
        markeredgewidth=0.8,
        zorder=3 if style.marker else 2,
    )
    if style.dashes:
        line.set_linestyle((0, style.dashes))
    return line


def _limit(axes: Axes, panel: _Panel) -> tuple[float, float, float, float]:
    """Sets and returns limits that show every point, and of the intervals as much as does not dwarf the points."""
    low, high = _rate_limits(panel.curves)
    axes.set_xscale("log", nonpositive="clip")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(_rate_ticks(low, high)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())

    bottom, top = _panel_heights(panel)
    axes.set_ylim(bottom, top)
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    return low, high, bottom, top


def _beyond(panel: _Panel) -> list[PublishedCurve]:
    """The published curves of which nothing is seen, since the measured ones set the limits."""
    left, right = _rate_limits(panel.curves)
    bottom, top = _panel_heights(panel)
    hidden = []
    for curve in panel.published:
        line = sampled(np.column_stack([np.log(curve.bpp), _shown(panel.facts, curve.value)]), 0.01)
        if not inside(line, (math.log(left), bottom, math.log(right), top)).any():
            hidden.append(curve)
    return hidden


def _panel_heights(panel: _Panel) -> tuple[float, float]:
    line = [] if panel.originals is None else [panel.originals]
    values = np.concatenate([*(curve.value for curve in panel.curves), line])
    ends = np.concatenate([end for curve in panel.curves for end in (curve.low, curve.high)])
    return _vertical_limits(values[np.isfinite(values)], ends[np.isfinite(ends)])


def _rate_limits(curves: Sequence[_Curve]) -> tuple[float, float]:
    bpp, lows, highs = (
        np.concatenate([getattr(curve, name)[np.isfinite(curve.value)] for curve in curves])
        for name in ("bpp", "bpp_low", "bpp_high")
    )
    low = max(float(np.nanmin(np.append(lows, bpp))), float(np.nanmin(bpp)) / 1.4) / 1.1
    high = min(float(np.nanmax(np.append(highs, bpp))), float(np.nanmax(bpp)) * 1.4) * 1.1
    # Less than a factor of four would make much of little.
    widen = max(1.0, math.sqrt(4 * low / high))
    return low / widen, high * widen


def _vertical_limits(values: Vector, ends: Vector) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    span = high - low
    # Points at one height have no span of their own: then the intervals give it, or the value itself does.
    if span == 0:
        reach = float(np.abs(ends - low).max(initial=0.0)) or abs(low) * 0.1 or 1.0
        return low - 1.15 * reach, high + 1.15 * reach
    bottom = max(float(ends.min(initial=low)), low - 0.6 * span)
    top = min(float(ends.max(initial=high)), high + 0.6 * span)
    margin = 0.05 * (top - bottom)
    return bottom - margin, top + margin


def _rate_ticks(low: float, high: float) -> list[float]:
    """Round numbers between `low` and `high`, at least three where a decade has so many: 0.1, 0.2, 0.5, 1 and so on."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for digits in ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)):
        ticks = [digit * 10.0**decade for decade in decades for digit in digits]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            return ticks
    return ticks if len(ticks) == 2 else [float(tick) for tick in MaxNLocator(4).tick_values(low, high)]


# Words


def _caption(panels: Sequence[_Panel], dataset: str) -> str:
    counts = f"n = {_span([panel.images for panel in panels], 'image')}"
    patched = [panel.patches for panel in panels if panel.patches is not None]
    if patched:
        counts += f" ({_span(patched, 'patch', 'patches')})"
    parts = [dataset, counts]
    if any(np.isfinite(curve.low).any() for panel in panels for curve in panel.curves):
        parts.append("95 % intervals over images")
    parts += [f"no {panel.facts.title} for {', '.join(panel.missing)}" for panel in panels if panel.missing]
    unequal = [panel for panel in panels if panel.images[0] != panel.images[1]]
    if unequal:
        parts.append(f"not all points are over the same images in {', '.join(p.facts.title for p in unequal)}")
    if any(panel.patches is not None for panel in unequal):
        parts.append("distances of sets at different n are not comparable")
    return " · ".join(parts)


def _span(ranges: Sequence[tuple[int, int]], one: str, many: str = "") -> str:
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    number = str(low) if low == high else f"{low}–{high}"
    return f"{number} {one if high == 1 else many or one + 's'}"


def _small_print(panels: Sequence[_Panel], rate_protocol: str) -> str:
    return "Protocols: " + " · ".join(dict.fromkeys([*(panel.protocol for panel in panels), rate_protocol]))


def _published_notes(panels: Sequence[_Panel]) -> list[str]:
    """Where the published curves come from, what their protocols leave open, and what was not drawn and why."""
    shown = [panel for panel in panels if panel.published]
    if not shown:
        return []
    sources: dict[tuple[str, str], list[str]] = {}
    metrics: dict[tuple[str, str], list[str]] = {}
    for panel in shown:
        for curve in panel.published:
            key = curve.reference, curve.remark
            sources[key] = list(dict.fromkeys([*sources.get(key, []), curve.label]))
            metrics[key] = list(dict.fromkeys([*metrics.get(key, []), panel.facts.title]))
    parts = []
    for (reference, remark), labels in sources.items():
        # One source can leave more open in one metric than in another.
        several = len([other for other in sources if other[0] == reference and set(sources[other]) & set(labels)]) > 1
        where = f" in {' and '.join(metrics[reference, remark])}" if several else ""
        parts.append(f"{', '.join(labels)}{where}: {reference}" + (f" ({remark})" if remark else ""))
    notes = [f"Published, as their sources give them, without intervals: {' · '.join(parts)}"]
    left_out = [f"{codec} in {panel.facts.title}, {reason}" for panel in panels for codec, reason in panel.unfit]
    left_out += [f"nothing in {panel.facts.title}" for panel in panels if not panel.published]
    beyond = [f"{curve.label} in {panel.facts.title}" for panel in panels for curve in _beyond(panel)]
    if left_out:
        notes.append(f"Published figures that do not fit: {'; '.join(left_out)}")
    if beyond:
        notes.append(f"Published, but outside the axes: {', '.join(beyond)}")
    return notes


def _inches(points: float) -> float:
    """The height of a line of text of this size."""
    return points * 1.35 / 72


def _text_width(text: str, points: float) -> float:
    """In inches, as matplotlib sets it."""
    width, _, _ = TextToPath().get_text_width_height_descent(text, FontProperties(family=_FONT, size=points), False)
    return float(width) / 72


def _wrap(text: str, width: float, points: float) -> list[str]:
    """`text` in lines of at most `width` inches, broken at spaces, and inside of words that are longer than a line."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and _text_width(f"{lines[-1]} {word}", points) <= width:
            lines[-1] += f" {word}"
            continue
        lines.append("")
        for character in word:
            if _text_width(lines[-1] + character, points) > width:
                lines.append("")
            lines[-1] += character
    return lines


def _legend_columns(codecs: Sequence[str], width: float) -> int:
    """As many entries beside each other as fit, in rows as even as can be."""
    entry = max(_text_width(codec, _TEXT) for codec in codecs) + _HANDLE
    fit = max(1, min(len(codecs), int((width - 0.1) / entry)))
    return math.ceil(len(codecs) / math.ceil(len(codecs) / fit))


# Files


def _file_name(metric: str) -> str:
    return re.sub(r"[^A-Za-z0-9._@=-]+", "-", metric)


def _save(figure: Figure, stem: Path) -> list[Path]:
    png, svg = stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".svg")
    FigureCanvasAgg(figure)
    figure.savefig(png, dpi=_RESOLUTION, metadata={"Software": None})
    FigureCanvasSVG(figure)
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]
