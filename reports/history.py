"""A metric over the commits of a history, with its intervals and the points where it changed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.analysis.history import ALPHA, Entry, Series
from benchmark.reports.figure_style import figure_style
from benchmark.reports.plots.files import save_figure
from benchmark.reports.styles import codec_styles
from benchmark.results import quality_name


def draw_history(entries: Sequence[Entry], series: Sequence[Series], metric: str, output: Path) -> Path:
    """Draws a panel a codec into the file `output`, PNG or SVG, and returns it."""
    codecs = list(dict.fromkeys(one.codec for one in series))
    styles = codec_styles(codecs)
    with figure_style(font_size=8):
        figure = Figure(figsize=(7, 0.6 + 2.3 * len(codecs)), layout="constrained")
        FigureCanvasAgg(figure)
        for number, codec in enumerate(codecs, start=1):
            axes = figure.add_subplot(len(codecs), 1, number)
            own = [one for one in series if one.codec == codec]
            for one in own:
                _draw(axes, one, styles[codec].color)
            facts = next(e.baseline.facts(metric) for e in reversed(entries) if metric in e.baseline.metrics)
            unit = f" ({facts.unit})" if facts.unit else ""
            axes.set_title(f"{codec}: {facts.title}{unit}", loc="left", fontsize=8)
            axes.set_xlim(-0.4, len(entries) - 0.2)
            axes.xaxis.set_major_locator(FixedLocator(list(range(len(entries)))))
            axes.set_xticklabels([entry.commit[:8] for entry in entries] if number == len(codecs) else [])
            axes.tick_params(axis="x", rotation=45 if len(entries) > 8 else 0)
            axes.grid(False, axis="x")
        figure.supxlabel(
            f"95 % intervals over images; ringed: changed from the commit before (paired, {100 * ALPHA:g} % in all); "
            "squared: drifted from the first",
            fontsize=7,
        )
        save_figure(figure, output, dpi=200)
    return output


def _draw(axes: Axes, one: Series, color: str) -> None:
    finite = [point for point in one.points if np.isfinite(point.estimate.value)]
    if not finite:
        return
    for stretch in dict.fromkeys(point.stretch for point in finite):
        points = [point for point in finite if point.stretch == stretch]
        x = np.array([point.place for point in points])
        y = np.array([point.estimate.value for point in points])
        axes.plot(x, y, color=color, marker="o", markersize=3, linewidth=1)
        low, high = ([getattr(point.estimate, end) for point in points] for end in ("ci_low", "ci_high"))
        axes.vlines(x, low, high, color=color, alpha=0.3, linewidth=1)
        for marker, moved in (("o", [p for p in points if p.changed]), ("s", [p for p in points if p.drifted])):
            axes.plot(
                [point.place for point in moved],
                [point.estimate.value for point in moved],
                linestyle="",
                marker=marker,
                markersize=8,
                markerfacecolor="none",
                markeredgecolor="#D00000",
            )
    final = finite[-1]
    axes.annotate(
        f"q {quality_name(one.quality)}",
        (final.place, final.estimate.value),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=6.5,
    )


def print_history(entries: Sequence[Entry], series: Sequence[Series], metric: str, console: Console) -> None:
    """A line a codec, quality and commit: the value, its interval, the change and whether it is shown.

    The last columns are the change since the first commit of the stretch, and the images behind the value.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("codec", "quality", "commit", "added", metric, "95 % interval", "change", "since the first", "n"):
        table.add_column(header, justify="left" if header in ("codec", "commit", "added") else "right", overflow="fold")
    for one in series:
        for number, point in enumerate(one.points):
            entry = entries[point.place]
            estimate = point.estimate
            interval = "–" if np.isnan(estimate.ci_low) else f"{estimate.ci_low:.5g} to {estimate.ci_high:.5g}"
            fresh = number and point.stretch != one.points[number - 1].stretch
            change = "other protocol or data set" if fresh else ""
            if not np.isnan(point.change):
                change = f"{point.change:+.4g}"
            change = ", ".join(filter(None, [f"{change}{' changed' if point.changed else ''}".strip(), point.note]))
            since = "" if np.isnan(point.since) else f"{point.since:+.4g}{' drifted' if point.drifted else ''}"
            cells = (one.codec, quality_name(one.quality), entry.commit[:8], entry.added[:10])
            value = "–" if np.isnan(estimate.value) else f"{estimate.value:.5g}"
            row = (*cells, value, interval, change, since, str(point.n))
            table.add_row(*map(Text, row), style="bold" if point.changed or point.drifted else "")
    console.print(table)
