"""The curves of trainings: loss over steps, what was checked on held-out pictures, and one training beside others."""

import json
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from benchmark.errors import BenchmarkError

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
    log = pd.read_csv(log_file)
    checks = pd.read_csv(check_file) if check_file.is_file() else pd.DataFrame()
    figure = Figure(figsize=(7, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(log["step"], log["loss"], color="0.75", linewidth=0.8)
    left.plot(log["step"], log["loss"].rolling(9, min_periods=1).median(), color="#0072B2", label="median of 9 lines")
    lowest, high = log["loss"].min(), log["loss"].quantile(0.97)
    margin = 0.05 * (high - lowest) or 1.0
    beyond = int((log["loss"] > high + margin).sum())
    left.set(xlabel="step", ylabel="loss" + (f" ({beyond} lines lie above)" if beyond else ""))
    left.set_ylim(lowest - margin, high + margin)
    left.legend(frameon=False, fontsize=8)
    levels = sum(column.startswith("bpp_") for column in checks.columns)
    places = {round(n * (len(checks) - 1) / (SHOWN_CHECKS - 1)) for n in range(SHOWN_CHECKS)}
    shown = checks if checks.empty else checks.iloc[sorted(places)]
    for place, (_, row) in enumerate(shown.iterrows()) if levels else ():
        shade = str(0.8 * (1 - (place + 1) / len(shown)))
        bpp = [row[f"bpp_{level}"] for level in range(1, levels + 1)]
        psnr = [row[f"psnr_{level}"] for level in range(1, levels + 1)]
        right.plot(bpp, psnr, color=shade, marker=".", label=f"step {row['step']:.0f}")
    if levels:
        right.set(xlabel="bits per pixel (estimated)", ylabel="PSNR (dB), held-out pictures")
    else:
        for column in checks.columns:
            if column.startswith("lpips_"):
                steps = int(column.removeprefix("lpips_"))
                label = "x̂" if steps == 0 else f"{steps} sampling step{'s' if steps > 1 else ''}"
                if steps and _decoder(folder) == "hific-small":
                    label = "the generator, in one pass"
                right.plot(checks["step"], checks[column], marker=".", label=label)
        right.set(xlabel="step", ylabel="LPIPS ↓, held-out pictures")
    if not checks.empty:
        right.legend(frameon=False, fontsize=6)
    figure.savefig(output, dpi=200)
    return output


def _decoder(folder: Path) -> str | None:
    """The kind of decoder that was trained, if the folder's recipe says it."""
    recipe = folder / "recipe.json"
    kind: str | None = json.loads(recipe.read_text()).get("decoder") if recipe.is_file() else None
    return kind


def draw_trainings(folders: list[Path], output: Path) -> Path:
    """Draws the checks' score of several trainings over steps and over seconds into `output` and returns it.

    The score is the one to be low on held-out pictures, each training's label its folder's name. Raises BenchmarkError
    if a folder has no checks.
    """
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for folder in folders:
        if not (folder / "checks.csv").is_file():
            raise BenchmarkError(f"{folder} has no checks.csv; it is not the folder of a training, or a very short one")
        checks = pd.read_csv(folder / "checks.csv")
        left.plot(checks["step"], checks["score"], marker=".", label=folder.name)
        right.plot(checks["seconds"] / 60, checks["score"], marker=".")
    left.set(xlabel="step", ylabel="score ↓, held-out pictures")
    right.set(xlabel="minutes on its machine")
    for panel in (left, right):
        panel.grid(color="0.9", linewidth=0.6)
    left.legend(frameon=False, fontsize=7)
    figure.savefig(output, dpi=200)
    return output
