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
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders, baseline files or summaries (CSV).", metavar="RUN...")
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Metric to draw; may be repeated. Default: all that every run has.", metavar="NAME"),
    ] = None,
    codec: Annotated[
        list[str] | None,
        typer.Option(help="Codec to draw; may be repeated, in the order of the legend. Default: all.", metavar="CODEC"),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="A codec's name in the plot; may be repeated. A $ begins mathematics.", metavar="CODEC=TEXT"),
    ] = None,
    relative_to: Annotated[
        str | None,
        typer.Option(
            help="Draw the paired differences of all others from this codec, at equal rate. Needs run folders "
            "or baseline files.",
            metavar="CODEC",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the plots. Default: plots in the first run.", metavar="FOLDER"),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format", help="png, svg, pdf, pgf; with commas or repeated. Default: png,svg.", metavar="NAME,…"
        ),
    ] = None,
    published: Annotated[
        str | None,
        typer.Option(
            help="Draw published curves too, where data set, metric and protocol allow it: those named, "
            "all, or without a name those usual for the metric.",
            metavar="[NAME,…]",
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Over the figure. Default: none.", metavar="TEXT")] = None,
    width: Annotated[
        float | None,
        typer.Option(help="Inches: 3.3 for a column of a paper, 6.9 for two. Default: 3.4, or 7.", metavar="INCHES"),
    ] = None,
    height: Annotated[
        float | None, typer.Option(help="Inches, of the whole figure. Default: by the width.", metavar="INCHES")
    ] = None,
    font_size: Annotated[
        float | None, typer.Option(help="Size of the text. Default: the style's, or 7.", metavar="POINTS")
    ] = None,
    linear: Annotated[bool, typer.Option("--linear", help="A linear axis of rates, not a logarithmic one.")] = False,
    intervals: Annotated[
        str, typer.Option(help="95 % intervals over images as bars, bands, or none.", metavar="bars|bands|none")
    ] = "bars",
    xlim: Annotated[
        str | None, typer.Option(help="Ends of the axis of rates, in bits per pixel.", metavar="LOW:HIGH")
    ] = None,
    ylim: Annotated[
        list[str] | None,
        typer.Option(help="Ends of a metric's axis, in the unit drawn; may be repeated.", metavar="METRIC=LOW:HIGH"),
    ] = None,
    caption: Annotated[
        bool, typer.Option("--caption/--no-caption", help="Data set, number of images and protocols below.")
    ] = True,
    legend: Annotated[
        str, typer.Option(help="Where the legend stands.", metavar="auto|above|below|inside|none")
    ] = "auto",
    style: Annotated[
        str | None,
        typer.Option(help="A style of matplotlib's, by name or file; what it sets is kept.", metavar="STYLE"),
    ] = None,
) -> None:
    """Draw each metric over bits per pixel, and all of them in one figure."""
    from benchmark.analysis.inputs import read_inputs
    from benchmark.protocols import references_of
    from benchmark.reports.anchors import choose_codecs
    from benchmark.reports.arguments import one_of, parse_labels, parse_range, parse_ranges, split_commas
    from benchmark.reports.plots import PlotOptions, write_plots
    from benchmark.reports.plots.options import INTERVALS, LEGENDS

    inputs = read_inputs(runs, with_numbers=relative_to is not None)
    options = PlotOptions(
        codecs=codec or (),
        labels=parse_labels(label or (), inputs.codecs),
        title=title,
        width=width,
        height=height,
        font_size=font_size,
        formats=split_commas(formats or ("png,svg",)),
        x_axis="linear" if linear else "log",
        intervals=one_of("intervals", intervals, INTERVALS),
        xlim=None if xlim is None else parse_range(xlim),
        ylim=parse_ranges(ylim or ()),
        caption=caption,
        legend=one_of("legend", legend, LEGENDS),
        style=style,
        published=None if published is None else choose_codecs(published),
        references=None if published is None else references_of(inputs.protocols),
        relative_to=relative_to,
    )
    folder = output or inputs.folder / "plots"
    for path in write_plots(inputs.summaries, metric or inputs.drawable, folder, options, numbers=inputs.numbers):
        typer.echo(path)
