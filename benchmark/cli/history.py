"""python -m benchmark history: numbers over commits."""

from pathlib import Path
from typing import Annotated

import typer

history = typer.Typer(
    help="Keep baselines over commits in one file, and show a metric over time.", no_args_is_help=True
)

File = Annotated[Path, typer.Option(help="The history, JSON lines.", metavar="FILE")]
DEFAULT = Path("history.jsonl")


@history.command()
def add(
    run: Annotated[Path, typer.Argument(help="Run folder, or a baseline file.", metavar="RUN")],
    file: File = DEFAULT,
    commit: Annotated[
        str | None, typer.Option(help="State of the code that was measured. Default: the run's commit.")
    ] = None,
) -> None:
    """Append the numbers of a run."""
    from benchmark.analysis.baseline import read_numbers
    from benchmark.analysis.history import add_entry
    from benchmark.files import check_apart

    check_apart(file, run)
    entry = add_entry(file, read_numbers(run), commit)
    typer.echo(f"{file}: added {entry.commit[:12]}, {entry.baseline.label}")


@history.command()
def show(
    metric: Annotated[
        str | None, typer.Option(help="Metric to show. Default: the first that was measured.", metavar="NAME")
    ] = None,
    codec: Annotated[
        list[str] | None, typer.Option(help="Only this codec; may be repeated. Default: all.", metavar="SPEC")
    ] = None,
    file: File = DEFAULT,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Plot, PNG or SVG. Default: METRIC.png beside the history.")
    ] = None,
) -> None:
    """Print and plot a metric over the commits, with intervals and the points where it changed."""
    from benchmark.analysis.history import read_entries, series_of
    from benchmark.cli.terminal import terminal
    from benchmark.errors import UsageError
    from benchmark.reports.history import draw_history, print_history

    if output is not None and output.suffix not in (".png", ".svg"):
        raise UsageError(f"--output {output}: a .png or .svg file")
    entries = read_entries(file)
    if metric is None:
        metric = next((name for name in entries[-1].baseline.metrics if name != "bpp"), "bpp")
    series = series_of(entries, metric, codec or ())
    print_history(entries, series, metric, terminal(highlight=False))
    typer.echo(draw_history(entries, series, metric, output or file.parent / f"history-{metric}.png"))
