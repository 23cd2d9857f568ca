"""The curves of trainings: loss over steps, what was checked on held-out images, and one training beside others."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmark.errors import BenchmarkError
from benchmark.reading import column_of, parse_json, parse_table, read_text, real_of, shown, whole_of
from benchmark.reports.plots.files import save_figure

SHOWN_CHECKS = 8
"""So many of a training's checks have a rate-distortion curve, evenly spaced; more could not be told apart."""


def draw_training(folder: Path, output: Path) -> Path:
    """Draws `folder`/log.csv and checks.csv into `output` (PNG or SVG) and returns it.

    Rate-distortion trainings show PSNR over bits per pixel at each check, others show each checked figure over steps.
    Raises BenchmarkError if the folder has no log.
    """
    log_file, check_file = folder / "log.csv", folder / "checks.csv"
    if not log_file.is_file():
        raise BenchmarkError(f"{folder} has no log.csv; it is not the folder of a training")
    log = read_training_table(log_file, ("step", "loss"))
    checks = read_training_table(check_file, ("step",)) if check_file.is_file() else pd.DataFrame()
    figure = Figure(figsize=(7, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(log["step"], log["loss"], color="0.75", linewidth=0.8)
    left.plot(log["step"], log["loss"].rolling(9, min_periods=1).median(), color="#0072B2", label="median of 9 lines")
    finite = log["loss"][np.isfinite(log["loss"])]
    if finite.empty:
        raise BenchmarkError(f"{shown(log_file)}: no loss in it is finite")
    lowest, high = finite.min(), finite.quantile(0.97)
    margin = 0.05 * (high - lowest) or 1.0
    beyond = int((log["loss"] > high + margin).sum())
    left.set(xlabel="step", ylabel="loss" + (f" ({beyond} lines lie above)" if beyond else ""))
    left.set_ylim(lowest - margin, high + margin)
    left.legend(frameon=False, fontsize=8)
    levels = sum(column.startswith("bpp_") for column in checks.columns)
    wanted = [name for level in range(1, levels + 1) for name in (f"bpp_{level}", f"psnr_{level}")]
    if lacking := [name for name in wanted if name not in checks]:
        raise BenchmarkError(f"{shown(check_file)}: not {_WHAT}: it has no column {lacking[0]}")
    places = {round(n * (len(checks) - 1) / (SHOWN_CHECKS - 1)) for n in range(SHOWN_CHECKS)}
    drawn = checks if checks.empty else checks.iloc[sorted(places)]
    for place, (_, row) in enumerate(drawn.iterrows()) if levels else ():
        shade = str(0.8 * (1 - (place + 1) / len(drawn)))
        bpp = [row[f"bpp_{level}"] for level in range(1, levels + 1)]
        psnr = [row[f"psnr_{level}"] for level in range(1, levels + 1)]
        right.plot(bpp, psnr, color=shade, marker=".", label=f"step {row['step']:.0f}")
    if levels:
        right.set(xlabel="bits per pixel (estimated)", ylabel="PSNR (dB), held-out images")
    else:
        for column in checks.columns:
            if column.startswith("lpips_"):
                if not (number := column.removeprefix("lpips_")).isdecimal():
                    raise BenchmarkError(f"{shown(check_file)}: not {_WHAT}: the column {column} names no steps")
                steps = int(number)
                label = "x̂" if steps == 0 else f"{steps} sampling step{'s' if steps > 1 else ''}"
                if steps and _decoder(folder) == "hific-small":
                    label = "the generator, in one pass"
                right.plot(checks["step"], checks[column], marker=".", label=label)
        right.set(xlabel="step", ylabel="LPIPS ↓, held-out images")
    if not checks.empty:
        right.legend(frameon=False, fontsize=6)
    save_figure(figure, output, dpi=200)
    return output


def _decoder(folder: Path) -> str | None:
    """The kind of decoder that was trained, if the folder's recipe says it."""
    recipe = folder / "recipe.json"
    found = parse_json(read_text(recipe), shown(recipe), finite=False) if recipe.is_file() else {}
    return found.get("decoder") if isinstance(found, dict) else None


def read_training_table(file: Path, needed: Sequence[str]) -> pd.DataFrame:
    """A table of a training: numbers, NaN where a cell is empty or the training had none.

    Raises BenchmarkError, with line and column, on anything else. A last line that a kill cut short is left out.
    """
    text = read_text(file)
    columns, rows = parse_table(text[: text.rfind("\n") + 1], shown(file), _WHAT)
    if lacking := [name for name in needed if name not in columns]:
        raise BenchmarkError(f"{shown(file)}: not {_WHAT}: it has no column {lacking[0]}")
    if not rows:
        raise BenchmarkError(f"{shown(file)}: not {_WHAT}: it has no row")
    readers = {name: whole_of if name == "step" else _figure for name in columns}
    return pd.DataFrame({name: column_of(columns, rows, name, readers[name], shown(file), _WHAT) for name in columns})


_WHAT = "a table of a training"


def _figure(text: str) -> float:
    return float(text) if text in ("nan", "inf", "-inf") else real_of(text, missing=True)


def draw_trainings(folders: list[Path], output: Path) -> Path:
    """Draws the checks' score of several trainings over steps and over seconds into `output` and returns it.

    The score is the one to be low on held-out images, each training's label its folder's name. Raises BenchmarkError
    if a folder has no checks.
    """
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for folder in folders:
        if not (folder / "checks.csv").is_file():
            raise BenchmarkError(f"{folder} has no checks.csv; it is not the folder of a training, or a very short one")
        checks = read_training_table(folder / "checks.csv", ("step", "seconds", "score"))
        left.plot(checks["step"], checks["score"], marker=".", label=folder.name)
        right.plot(checks["seconds"] / 60, checks["score"], marker=".")
    left.set(xlabel="step", ylabel="score ↓, held-out images")
    right.set(xlabel="minutes on its machine")
    for panel in (left, right):
        panel.grid(color="0.9", linewidth=0.6)
    left.legend(frameon=False, fontsize=7)
    save_figure(figure, output, dpi=200)
    return output
