"""python -m benchmark images: which images a number comes from."""

from pathlib import Path
from typing import Annotated

import typer


def images(
    run: Annotated[Path, typer.Argument(help="Run folder, or a baseline file.", metavar="RUN")],
    point: Annotated[str, typer.Option(help="Codec and quality to look at, such as hfd=3.", metavar="CODEC=Q")],
    against: Annotated[
        str | None, typer.Option(help="Show the difference to this point, such as mse=3.", metavar="CODEC=Q")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Metric; may be repeated. Default: all.", metavar="NAME")
    ] = None,
) -> None:
    """Show each image's value, its influence on a distance between sets, or its part of a difference.

    The difference of two points on the same images has a paired 95 % interval.
    """
    from benchmark.analysis.baseline import read_numbers
    from benchmark.cli.terminal import terminal
    from benchmark.errors import NotComparable
    from benchmark.reports.pictures import find_point, print_view, view_of

    numbers = read_numbers(run)
    chosen = find_point(numbers, point)
    other = None if against is None else find_point(numbers, against)
    console = terminal(highlight=False)
    shown, lacking = 0, []
    for name in metric or numbers.metrics:
        try:
            view = view_of(numbers, name, chosen, other)
        except NotComparable as error:
            if metric:
                raise
            lacking.append(error)
            continue
        if shown:
            console.print()
        print_view(view, console)
        shown += 1
    if not shown and lacking:
        raise lacking[0]
    for reason in lacking:
        typer.echo(f"note: {reason}", err=True)
