"""python -m benchmark bd: Bjontegaard rate differences."""

from pathlib import Path
from typing import Annotated

import typer


def bd(
    run: Annotated[Path, typer.Argument(help="Run folder, or a baseline file.", metavar="RUN")],
    anchor: Annotated[str, typer.Option(help="Codec spec that the others are held against.", metavar="SPEC")] = "jpeg",
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Metric whose values are equal; may be repeated. Default: all.", metavar="NAME"),
    ] = None,
    images: Annotated[
        bool, typer.Option("--images", "--pictures", help="Name the images that each difference comes from.")
    ] = False,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of the bootstrap over images.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
) -> None:
    """How many per cent more or fewer bits each codec needs than the anchor, with 95 % intervals over images.

    Where a number is not defined, a line says why; if none is, the exit code is 3.
    """
    from benchmark.analysis.baseline import read_numbers
    from benchmark.analysis.rate_differences import rate_differences
    from benchmark.cli.terminal import terminal
    from benchmark.reports.rates import print_rates

    numbers = read_numbers(run)
    rows = rate_differences(numbers, anchor, metric or (), resamples=resamples, seed=seed)
    print_rates(rows, numbers.label, terminal(highlight=False), pictures=images)
    if not any(row.difference.defined for row in rows):
        raise typer.Exit(3)
