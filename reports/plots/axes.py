"""One panel on its axes: limits, ticks, lines and intervals."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from benchmark.reports.anchors import PublishedCurve
from benchmark.reports.figure_style import LINE
from benchmark.reports.placement import inside, sampled
from benchmark.reports.plots.options import Intervals, PlotOptions, Range
from benchmark.reports.plots.panels import Curve, Panel, Vector, shown
from benchmark.reports.styles import PUBLISHED_STYLES, Style

ORIGINALS = "originals"
RATE_LABEL = "Rate (bits per pixel)"
_LEVEL = "#606060"
_BAR: dict[str, Any] = {"alpha": 0.3, "linewidth": 0.9}  # of an interval
_BAND: dict[str, Any] = {"alpha": 0.16, "linewidth": 0.0}


def draw_panel(axes: Axes, panel: Panel, styles: Mapping[str, Style], options: PlotOptions) -> None:
    """Draws all but words: limits, published and measured curves, intervals, the lines of originals and of 0."""
    left, right, bottom, top = _limit(axes, panel, options)
    if panel.originals is not None:
        axes.add_line(originals_line([left, right], [panel.originals] * 2))
    if panel.relative_to is not None:
        axes.axhline(0, color=_LEVEL, linewidth=0.8, zorder=1.5)
    for published in panel.published:
        style = PUBLISHED_STYLES[published.kind]
        axes.add_line(line_of(published.label, style, published.bpp, shown(panel.scale, published.value)))
    for curve in panel.curves:
        _draw_intervals(axes, curve, styles[curve.codec].color, options.intervals, (left, right, bottom, top))
        axes.add_line(line_of(options.label(curve.codec), styles[curve.codec], curve.bpp, curve.value))


def _draw_intervals(
    axes: Axes, curve: Curve, color: str, kind: Intervals, ends: tuple[float, float, float, float]
) -> None:
    left, right, bottom, top = ends
    low, high = curve.low.clip(bottom, top), curve.high.clip(bottom, top)
    # Thin and pale, below the lines: the interval over images is wide, and much of it is common to the codecs.
    if kind == "bars":
        axes.vlines(curve.bpp, low, high, colors=color, **_BAR)
        bpp_low, bpp_high = curve.bpp_low.clip(left, right), curve.bpp_high.clip(left, right)
        if np.isfinite(bpp_low).any():
            axes.hlines(curve.value, bpp_low, bpp_high, colors=color, **_BAR)
    elif kind == "bands":
        axes.fill_between(curve.bpp, low, high, color=color, **_BAND)


def line_of(label: str, style: Style, x: npt.ArrayLike = (), y: npt.ArrayLike = ()) -> Line2D:
    """A line with markers that looks as `style` says; without points, for a legend."""
    line = Line2D(
        np.asarray(x, dtype=np.float64),
        np.asarray(y, dtype=np.float64),
        label=label,
        color=style.color,
        linewidth=style.width * matplotlib.rcParams["lines.linewidth"] / LINE,
        marker=style.marker,
        markersize=matplotlib.rcParams["lines.markersize"],
        markerfacecolor=style.color if style.filled else matplotlib.rcParams["axes.facecolor"],
        markeredgecolor=style.color,
        markeredgewidth=0.8,
        zorder=3 if style.marker else 2,
    )
    if style.dashes:
        line.set_linestyle((0, style.dashes))
    return line


def originals_line(x: npt.ArrayLike = (), y: npt.ArrayLike = ()) -> Line2D:
    """The thin dashed line of the originals' value; without points, for a legend."""
    line = Line2D(np.asarray(x), np.asarray(y), label=ORIGINALS, color=_LEVEL, linewidth=0.8, zorder=1.5)
    line.set_linestyle((0, (5.0, 3.0)))
    return line


# Limits and ticks


def _limit(axes: Axes, panel: Panel, options: PlotOptions) -> tuple[float, float, float, float]:
    """Sets and returns limits that show every point, and of the intervals as much as does not dwarf the points."""
    log = options.x_axis == "log"
    low, high = options.xlim or (rate_limits if log else linear_rate_limits)(panel.curves)
    if log:
        axes.set_xscale("log", nonpositive="clip")
        axes.set_xlim(low, high)
        axes.xaxis.set_major_locator(FixedLocator(rate_ticks(low, high)))
    else:
        axes.set_xscale("linear")
        axes.set_xlim(low, high)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())

    bottom, top = options.ylim.get(panel.metric) or panel_heights(panel)
    axes.set_ylim(bottom, top)
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    return low, high, bottom, top


def unseen(panel: Panel, options: PlotOptions) -> list[PublishedCurve]:
    """The published curves of which nothing is seen, since the measured ones set the limits."""
    log = options.x_axis == "log"
    left, right = options.xlim or (rate_limits if log else linear_rate_limits)(panel.curves)
    left = max(left, 1e-9)
    bottom, top = options.ylim.get(panel.metric) or panel_heights(panel)
    hidden = []
    for curve in panel.published:
        line = sampled(np.column_stack([np.log(curve.bpp), shown(panel.scale, curve.value)]), 0.01)
        if not inside(line, (math.log(left), bottom, math.log(right), top)).any():
            hidden.append(curve)
    return hidden


def panel_heights(panel: Panel) -> Range:
    """The ends of the vertical axis that fit the panel's curves."""
    levels = [panel.originals] if panel.originals is not None else []
    levels += [0.0] if panel.relative_to is not None else []
    values = np.concatenate([*(curve.value for curve in panel.curves), np.array(levels, dtype=np.float64)])
    ends = np.concatenate([end for curve in panel.curves for end in (curve.low, curve.high)])
    return vertical_limits(values[np.isfinite(values)], ends[np.isfinite(ends)])


def _rates(curves: Sequence[Curve]) -> tuple[Vector, Vector, Vector]:
    """Of all points with a value: bits per pixel, and the ends of their intervals."""
    bpp, lows, highs = (
        np.concatenate([getattr(curve, name)[np.isfinite(curve.value)] for curve in curves])
        for name in ("bpp", "bpp_low", "bpp_high")
    )
    return bpp, lows, highs


def rate_limits(curves: Sequence[Curve]) -> Range:
    """The ends of the logarithmic axis of rates."""
    bpp, lows, highs = _rates(curves)
    low = max(float(np.nanmin(np.append(lows, bpp))), float(np.nanmin(bpp)) / 1.4) / 1.1
    high = min(float(np.nanmax(np.append(highs, bpp))), float(np.nanmax(bpp)) * 1.4) * 1.1
    # Less than a factor of four would make much of little.
    widen = max(1.0, math.sqrt(4 * low / high))
    return low / widen, high * widen


def linear_rate_limits(curves: Sequence[Curve]) -> Range:
    """The ends of the linear axis of rates: from 0 unless the points lie together far from it."""
    bpp, _, highs = _rates(curves)
    low, high = float(np.nanmin(bpp)), float(np.nanmax(bpp))
    reach = min(float(np.nanmax(np.append(highs, bpp))), high + 0.15 * (high - low))
    if low < 0.5 * high:
        return 0.0, reach + 0.03 * high
    margin = 0.05 * (high - low) or 0.5 * high
    return low - margin, reach + margin


def vertical_limits(values: Vector, ends: Vector) -> Range:
    """Ends of an axis with room for all `values`, and for the `ends` of intervals as far as they do not dwarf them."""
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


def rate_ticks(low: float, high: float) -> list[float]:
    """Round numbers between `low` and `high`, at least three where a decade has so many: 0.1, 0.2, 0.5, 1 and so on."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for digits in ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)):
        ticks = [digit * 10.0**decade for decade in decades for digit in digits]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            return ticks
    return ticks if len(ticks) == 2 else [float(tick) for tick in MaxNLocator(4).tick_values(low, high)]
