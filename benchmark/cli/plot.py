"""python -m benchmark plot: curves of one run or several, and published ones beside them."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand


class PlotCommand(TyperCommand):
    """Lets --published stand alone: typer has no options whose value may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _with_values(args))


def _with_values(arguments: list[str]) -> list[str]:
    """`arguments` with "--published=" for a --published that is the last, or before an option or a run."""
    written = []
    for argument, following in pairwise([*arguments, "-"]):
        alone = argument == "--published" and (following.startswith("-") or Path(following).exists())
        written.append("--published=" if alone else argument)
    return written


def plot(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.", metavar="RUN...")],
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Metric to draw; may be repeated. Default: all that every run has.", metavar="NAME"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the plots. Default: plots in the first run.", metavar="FOLDER")
    ] = None,
    published: Annotated[
        str | None,
        typer.Option(
            help="Draw published curves too, where data set, metric and protocol allow it: those named, "
            "all, or without a name those usual for the metric.",
            metavar="[NAME,…]",
        ),
    ] = None,
) -> None:
    """Draw each metric over bits per pixel, as PNG and SVG."""
    from benchmark.running.run import draw_runs

    for path in draw_runs(runs, metric or (), output, published):
        typer.echo(path)
