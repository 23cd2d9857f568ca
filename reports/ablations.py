"""Plots of an ablation: each metric over the setting that was varied, all points at the same bytes."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.analysis.comparable import one_dataset, one_protocol
from benchmark.analysis.summary import metric_facts
from benchmark.reports.plots.files import save_figure
from benchmark.results import rate_text

COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#303030")
MARKERS = ("o", "s", "^", "D", "v", "P")
"""Of the lines in turn: of Okabe & Ito (2008), as in `reports.styles`. Seven and six, so that 42 lines differ."""


def draw_study(name: str, question: str, table: pd.DataFrame, metrics: Sequence[str], output: Path) -> list[Path]:
    """Draws `table` into `output`/NAME.png and .svg, a panel per metric; returns the paths.

    table: rows of a summary with the columns `line` and `setting` in front. A dotted line is x̂, from which every
    variant starts; bars are 95 % intervals over images. The study of realism has one panel more, what it trades: the
    first distance between sets over the first metric of single images.
    """
    dataset = one_dataset([table])
    traded = _traded(table, metrics) if name == "realism" else None
    count = len(metrics) + (traded is not None)
    figure = Figure(figsize=(3.1 * count, 3.4), layout="constrained")
    panels = figure.subplots(1, count, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=False):
        rows = table[(table["metric"] == metric) & (table["aggregation"] == _headline(table, metric))]
        one_protocol(rows, metric)
        _draw(axes, rows)
        axes.set(xlabel=name.removeprefix("trained-"), ylabel=_label(table, metric))
        if name in ("steps", "shift", "trained-kappa", "trained-shift"):
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter("{x:g}")
    if traded is not None:
        _draw_trade(panels[-1], table, *traded)
    quality, images = table["quality"].dropna().iloc[0], int(table["n_images"].max())
    bpp = float(table.loc[table["metric"] == "bpp", "value"].iloc[0])
    figure.suptitle(f"{question}\n{dataset}, {images} images, quality {quality:g}, {rate_text(bpp)} bpp")
    handles, labels = figure.axes[0].get_legend_handles_labels()  # below the panels, where no line runs through it
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(len(labels), 2 * count), frameon=False, fontsize=7
    )
    paths = [output / f"{name}.{suffix}" for suffix in ("png", "svg")]
    for path in paths:
        save_figure(figure, path, dpi=200)
    return paths


def _headline(table: pd.DataFrame, metric: str) -> str:
    """The first aggregation of a metric is the headline; others (PSNR of the mean error) are second columns."""
    return str(table.loc[table["metric"] == metric, "aggregation"].iloc[0])


def _looks(rows: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Colour and marker of each line, in their order in the table: the same in every panel."""
    lines = [str(line) for line in rows["line"].unique() if line != "x̂"]
    return {line: (color, marker) for line, color, marker in zip(lines, cycle(COLORS), cycle(MARKERS), strict=False)}


def _draw(axes: Axes, rows: pd.DataFrame) -> None:
    start = rows[rows["line"] == "x̂"]
    if not start.empty:
        axes.axhline(float(start["value"].iloc[0]), color="0.4", linestyle=":", linewidth=1, label="x̂")
    others = rows[rows["line"] != "x̂"]
    looks = _looks(rows)
    for line, points in others.groupby("line", sort=False):
        color, marker = looks[str(line)]
        points = points.sort_values("setting")
        low, high = points["value"] - points["ci_low"], points["ci_high"] - points["value"]
        axes.errorbar(
            points["setting"],
            points["value"],
            yerr=[low, high],
            color=color,
            marker=marker,
            markersize=4,
            linewidth=1.2,
            elinewidth=0.5,
            label=str(line),
        )
    axes.grid(color="0.9", linewidth=0.6)


def _traded(table: pd.DataFrame, metrics: Sequence[str]) -> tuple[str, str] | None:
    """Of single images, and of sets or else the next one; None where there are not two."""
    of_images = [metric for metric in metrics if metric_facts(table, metric).kind == "image"]
    others = [metric for metric in metrics if metric not in of_images] + of_images[1:]
    return (of_images[0], others[0]) if of_images and others else None


def _draw_trade(axes: Axes, table: pd.DataFrame, over: str, metric: str) -> None:
    def values(of: str) -> pd.DataFrame:
        rows = table[(table["metric"] == of) & (table["aggregation"] == _headline(table, of))]
        return rows.pivot_table(index=["line", "setting"], values="value", dropna=True)["value"].unstack(0)

    x, y = values(over), values(metric)
    for line, (color, marker) in _looks(table).items():
        axes.plot(x[line], y[line], color=color, marker=marker, markersize=4, linewidth=1.2)
    axes.set(xlabel=_label(table, over), ylabel=_label(table, metric))
    axes.grid(color="0.9", linewidth=0.6)


def _label(table: pd.DataFrame, metric: str) -> str:
    """Name, unit and which way is better."""
    facts = metric_facts(table, metric)
    unit = f" ({facts.unit})" if facts.unit else ""
    return f"{facts.title}{unit} {'↑' if facts.higher_is_better else '↓'}"
