"""python -m benchmark report: a page of runs, with the images behind the numbers."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from benchmark.addresses import Location


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Run folders. Two are judged as compare does, the first as the base.", metavar="RUN..."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder of the page, or one file with everything in it.", metavar="FOLDER|FILE.html"
        ),
    ],
    dataset: Annotated[
        str | None,
        typer.Option(help="Where the originals are, if not where the runs found them.", metavar="NAME|FOLDER"),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            "--images",
            "--pictures",
            help="Show the images of that many originals; numbers are of all. Default: all, up to 1000.",
        ),
    ] = None,
    maps: Annotated[
        bool,
        typer.Option(
            "--maps/--no-maps",
            help="Heat maps of LPIPS, and of FLIP if it was measured; LPIPS's take a fifth of a second each.",
        ),
    ] = True,
    max_mb: Annotated[
        float | None,
        typer.Option("--max-mb", min=0.1, help="Show the first images that fit into so many megabytes. Default: all."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that make heat maps. Default: one for each core.")
    ] = None,
    gate: Annotated[
        Path | None,
        typer.Option(help="File with [tool.benchmark.gate]. Default: ./pyproject.toml.", metavar="FILE"),
    ] = None,
) -> None:
    """Write a static page: curves, the images behind each point, tables, a verdict of two runs, how all was made.

    Open FOLDER/index.html in a browser, or put the folder on a web server. The images need runs that were made with
    --keep-reconstructions.
    """
    from benchmark.analysis.margins import read_gate
    from benchmark.cli.progress import shown
    from benchmark.cli.terminal import terminal
    from benchmark.errors import UsageError
    from benchmark.reports.page.report import write_report

    if gate is not None and len(runs) != 2:
        raise UsageError(f"--gate {gate}: two runs are judged, and there {'is one' if len(runs) == 1 else 'are more'}")
    console = terminal(stderr=True, highlight=False, soft_wrap=True)
    elsewhere: dict[str, Location] = {}
    if dataset is not None:
        from benchmark.datasets import open_dataset

        elsewhere = {picture.sha256: picture.path for picture in open_dataset(dataset).pictures}

    lacking = write_report(
        runs,
        output,
        gate=read_gate(gate),
        elsewhere=elsewhere,
        shown=images,
        maps=maps,
        max_mb=max_mb,
        workers=workers or len(os.sched_getaffinity(0)),
        track=shown(console),
    )
    for line in lacking:
        console.print(f"note: {line}", markup=False)
    typer.echo(output if output.is_file() else output / "index.html")
