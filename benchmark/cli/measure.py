"""python -m benchmark measure: a metric more for a run that kept its reconstructions."""

from pathlib import Path
from typing import Annotated

import typer


def measure(
    run: Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN")],
    metric: Annotated[list[str], typer.Option(help="Metric to add; may be repeated.", metavar="NAME")],
    dataset: Annotated[
        str | None,
        typer.Option(help="Where the originals are, if not where they were.", metavar="NAME|FOLDER"),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    time_limit: Annotated[
        float | None,
        typer.Option(
            help="Longest time of a metric of your own, of an image or for a distance of sets. Default: no limit.",
            metavar="SECONDS",
        ),
    ] = None,
) -> None:
    """Add a metric to a run that kept its reconstructions, without encoding again."""
    from benchmark.cli.progress import track
    from benchmark.cli.run import report
    from benchmark.cli.terminal import terminal
    from benchmark.running.remeasure import open_measuring

    console = terminal(stderr=True, highlight=False, soft_wrap=True)
    with open_measuring(run, metric, dataset, device, time_limit) as measuring:
        for note in measuring.notes:
            console.print(note, markup=False)
        track(measuring.execute(), len(measuring.trials), console)
        report(measuring.folder, console, time_limit)
