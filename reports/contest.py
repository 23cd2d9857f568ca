"""The figure of a contest of decoders: quality over operations, over steps of sampling, and what realism trades."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.errors import BenchmarkError
from benchmark.metrics import metric_info
from benchmark.reports.plots.files import save_figure

COLORS = {"regression": "0.55", "gan": "#CC79A7", "flow": "#009E73", "diffusion": "#0072B2", "energy": "#D55E00"}
TITLES = {"none": "no perceptual network", "lpips": "LPIPS's maps in the loss"}
X_HAT = "x̂"
HELD_OUT = "held-out"
"""The images of checks along the way, on which choices are made."""


def draw_contest(table: Path, output: Path) -> Path:
    """Draws `table`, a contest.csv, into `output` and returns it: a row of panels for each group.

    Distances are over that of x̂, the geometric mean over qualities; PSNR is less x̂'s. Of the data named last. Raises
    BenchmarkError if the table has no finished member.
    """
    everything = pd.read_csv(table)
    rows = everything[everything["finished"] & (everything["data"] == everything["data"].iloc[-1])]
    groups = [group for group in TITLES if group in set(rows["group"])]
    metrics = [name for name in list(rows.columns)[list(rows.columns).index("seed") + 1 :] if name != "psnr"]
    sets = [name for name in metrics if metric_info(name).kind == "set"]
    if not groups or not metrics:
        raise BenchmarkError(f"{table} has no finished member of a contest, or no metric beside PSNR")
    over, single = (sets or metrics)[0], next((name for name in metrics if name not in sets), metrics[0])
    figure = Figure(figsize=(13, 3.3 * len(groups)), layout="constrained")
    for panels, group in zip(figure.subplots(len(groups), 4, squeeze=False), groups, strict=True):
        own = rows[rows["group"] == group]
        along = relative(everything[everything["group"] == group], over)
        _draw_best(panels[0], along[~along["finished"]], "tera")
        for metric, axes in ((over, panels[1]), (single, panels[2])):
            values = relative(own, metric)
            _draw_best(axes, values, "steps")
            axes.set_xscale("log", base=2)
            axes.set_xticks(sorted(set(values["steps"])), [f"{n:g}" for n in sorted(set(values["steps"]))])
            axes.set(xlabel="evaluations of the network", ylabel=f"{metric_info(metric).title} over x̂'s ↓, best dial")
        keys = ["member", "steps", "realism", "seed"]
        both = relative(own, over).merge(relative(own, "psnr"), on=keys, suffixes=("", "_psnr"))
        for member, found in both.groupby("member", sort=False):
            color = COLORS.get(str(member))
            panels[3].scatter(found["value_psnr"], found["value"], 9 + 5 * found["steps"], color=color, alpha=0.7)
        panels[0].set(xlabel="10¹² operations of training", ylabel=f"{metric_info(over).title} over x̂'s ↓, best steps")
        panels[0].set_title(f"{TITLES[group]}; held-out images", fontsize=9)
        panels[1].set_title(f"{rows['images'].iloc[-1]} images, {rows['data'].iloc[-1]}", fontsize=9)
        panels[3].set(xlabel="PSNR less x̂'s (dB)", ylabel=f"{metric_info(over).title} over x̂'s ↓")
        panels[3].set_title("larger: more evaluations", fontsize=9)
        for axes in panels:
            _finish(axes)
    handles, names = max(
        (panels.get_legend_handles_labels() for panels in figure.axes), key=lambda found: len(found[1])
    )
    figure.legend(handles, names, frameon=False, fontsize=8, loc="outside lower center", ncols=len(names))
    save_figure(figure, output, dpi=150)
    return output


def contest_table(table: Path, data: str | None = None) -> str:
    """A Markdown table of `table`, a contest.csv: each member with one evaluation of its network, and with the most.

    Its realism is the one at which the first distance between sets is least on the held-out images, where there are
    any. Distances are over x̂'s, the geometric mean over qualities; PSNR is less x̂'s. data: on which images; None for
    those named last. Raises BenchmarkError if no finished member was measured on them.
    """
    everything = pd.read_csv(table)
    named = data or str(everything["data"].iloc[-1])
    rows = everything[everything["finished"] & (everything["data"] == named)]
    metrics = [name for name in list(rows.columns)[list(rows.columns).index("seed") + 1 :] if rows[name].notna().any()]
    if not len(rows) or not metrics:
        raise BenchmarkError(f"{table} has no finished member of a contest on {named}")
    ruling = next((name for name in metrics if metric_info(name).kind == "set"), metrics[0])
    titles = [
        f"{metric_info(m).title} − x̂'s, dB ↑" if m == "psnr" else f"{metric_info(m).title} ÷ x̂'s ↓" for m in metrics
    ]
    lines = [["loss", "decoder", "evaluations", "realism", *titles], ["---"] * 2 + ["---:"] * (len(metrics) + 2)]
    for group in [group for group in TITLES if group in set(rows["group"])]:
        own = rows[rows["group"] == group]
        values = {metric: relative(own, metric) for metric in metrics}
        held_out = everything[
            everything["finished"] & (everything["data"] == HELD_OUT) & (everything["group"] == group)
        ]
        chosen_on = values[ruling] if held_out.empty else relative(held_out, ruling)
        for member, found in chosen_on.groupby("member", sort=False):
            for steps in sorted({found["steps"].min(), found["steps"].max()}):
                best = found[found["steps"] == steps].nsmallest(1, "value").iloc[0]
                cells = [_value_at(values[metric], member, steps, best["realism"]) for metric in metrics]
                realism = "–" if pd.isna(best["realism"]) else f"{best['realism']:g}"
                lines.append([TITLES[group], str(member), f"{steps:g}", realism, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _value_at(values: pd.DataFrame, member: object, steps: float, realism: float) -> str:
    same = values["realism"].isna() if pd.isna(realism) else values["realism"] == realism
    found = values.loc[(values["member"] == member) & (values["steps"] == steps) & same, "value"]
    return "–" if not len(found) else f"{found.mean():.2f}".replace("-0.00", "0.00")


def relative(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """`rows` of decoders with a `value`: `metric` over x̂'s, the geometric mean over qualities; PSNR less x̂'s, the mean.

    A row without a value, or of a quality at which x̂ has none above 0, is left out.
    """
    signed = metric == "psnr"
    of_x_hat = rows[rows["member"] == X_HAT].set_index(["data", "quality"])[metric]
    of_x_hat = of_x_hat[~of_x_hat.index.duplicated()]
    decoders = rows[rows["member"] != X_HAT].copy()
    base = pd.Series([of_x_hat.get((d, q), np.nan) for d, q in zip(decoders["data"], decoders["quality"], strict=True)])
    values = decoders[metric].reset_index(drop=True)
    decoders["value"] = (values - base if signed else np.log(values.clip(lower=1e-9) / base.where(base > 0))).to_numpy()
    keys = ["member", "step", "tera", "finished", "data", "steps", "realism", "seed"]
    groups = decoders.dropna(subset=["value"]).groupby(keys, sort=False, as_index=False, dropna=False)
    means: pd.DataFrame = groups[["value"]].mean()
    return means if signed else means.assign(value=np.exp(means["value"]))


def _draw_best(axes: Axes, values: pd.DataFrame, over: str) -> None:
    """The least value of each member over the column `over`."""
    for member, found in values.groupby("member", sort=False):
        best = found.groupby(over, as_index=False)["value"].min()
        axes.plot(best[over], best["value"], marker=".", color=COLORS.get(str(member)), label=member)


def _finish(axes: Axes) -> None:
    axes.axhline(1, color="0.7", linewidth=0.8, linestyle=":")
    axes.grid(color="0.92", linewidth=0.6)
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_fontsize(8)
    axes.yaxis.label.set_fontsize(8)
