"""Plots of an ablation: each metric over the setting that was varied, all points at the same bytes."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from benchmark.reports.styles import METRIC_NAMES
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.analysis.comparable import one_dataset, one_protocol

COLORS = ("#D55E00", "#0072B2", "#009E73")
MARKERS = ("o", "s", "^")


def draw_study(name: str, question: str, table: pd.DataFrame, metrics: Sequence[str], output: Path) -> list[Path]:
    """Draws `table` (`ablation.table_of`) into `output`/NAME.png and .svg, a panel a metric; returns the paths.

    A dotted line is x̂, from which every variant starts; bars are 95 % intervals over images. The realism dial has a
    panel more: fd-effnet over PSNR, or without it the first other metric.
    """
    dataset = one_dataset([table])
    dial = name == "realism" and "psnr" in metrics and len(metrics) > 1
    figure = Figure(figsize=(3.1 * (len(metrics) + dial), 3.4), layout="constrained")
    panels = figure.subplots(1, len(metrics) + dial, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=False):
        rows = table[(table["metric"] == metric) & (table["aggregation"] == _headline(table, metric))]
        one_protocol(rows, metric)
        _draw(axes, rows)
        arrow = "↑" if bool(rows["higher_is_better"].iloc[0]) else "↓"
        axes.set(
            xlabel=name.removeprefix("trained-"), ylabel=f"{METRIC_NAMES.get(metric.partition('@')[0], metric)} {arrow}"
        )
        if name in ("steps", "shift", "trained-kappa", "trained-shift"):
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter("{x:g}")
    if dial:
        others = [metric for metric in metrics if metric != "psnr"]
        other = next((metric for metric in others if metric.startswith("fd-effnet")), others[0])
        _draw_dial(panels[-1], table, other)
    quality, images = table["quality"].dropna().iloc[0], int(table["n_images"].max())
    bpp = float(table.loc[table["metric"] == "bpp", "value"].iloc[0])
    figure.suptitle(f"{question}\n{dataset}, {images} pictures, quality {quality:g}, {bpp:.3f} bpp")
    figure.axes[0].legend(frameon=False, fontsize=7)
    output.mkdir(parents=True, exist_ok=True)
    paths = [output / f"{name}.{suffix}" for suffix in ("png", "svg")]
    for path in paths:
        figure.savefig(path, dpi=200)
    return paths


def _headline(table: pd.DataFrame, metric: str) -> str:
    """The first aggregation of a metric is the headline; others (PSNR of the mean error) are second columns."""
    return str(table.loc[table["metric"] == metric, "aggregation"].iloc[0])


def _looks(rows: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Colour and marker of each line, in their order in the table: the same in every panel."""
    lines = [str(line) for line in rows["line"].unique() if line != "x̂"]
    return {line: (color, marker) for line, color, marker in zip(lines, COLORS, MARKERS, strict=False)}


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


def _draw_dial(axes: Axes, table: pd.DataFrame, metric: str) -> None:
    def values(of: str) -> pd.DataFrame:
        rows = table[(table["metric"] == of) & (table["aggregation"] == _headline(table, of))]
        return rows.pivot_table(index=["line", "setting"], values="value", dropna=True)["value"].unstack(0)

    x, y = values("psnr"), values(metric)
    for line, (color, marker) in _looks(table).items():
        axes.plot(x[line], y[line], color=color, marker=marker, markersize=4, linewidth=1.2)
    axes.set(xlabel="PSNR (dB) ↑", ylabel=f"{METRIC_NAMES.get(metric.partition('@')[0], metric)} ↓")
    axes.grid(color="0.9", linewidth=0.6)
