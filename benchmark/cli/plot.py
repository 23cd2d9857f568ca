"""python -m benchmark plot: curves of one run or several."""

from pathlib import Path
from typing import Annotated

import typer


def plot(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.", metavar="RUN...")],
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Metric to draw; may be repeated. Default: all that every run has.", metavar="NAME"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the plots. Default: plots in the first run.", metavar="FOLDER")
    ] = None,
) -> None:
    """Draw each metric over bits per pixel, as PNG and SVG."""
    from benchmark.running.run import draw_runs

    for path in draw_runs(runs, metric or (), output):
        typer.echo(path)
