"""python -m benchmark study: a comparison by people, and the scores from their votes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.groups import MakeGroup

if TYPE_CHECKING:
    from benchmark.addresses import Location


study = typer.Typer(
    cls=MakeGroup,
    help="Let people say which of two images looks more like the original: `study RUN` makes a page for that.",
    no_args_is_help=True,
)


@study.command()
def make(
    run: Annotated[Path, typer.Argument(help="Run folder, made with --keep-reconstructions.", metavar="RUN")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the page.", metavar="FOLDER")],
    bpp: Annotated[
        str | None,
        typer.Option(help="Bits per pixel to compare at. Default: three that all codecs reach.", metavar="B,…"),
    ] = None,
    within: Annotated[float, typer.Option(help="Per cent by which the bits of a pair may differ.")] = 15.0,
    trials: Annotated[int, typer.Option(help="Comparisons that each person gets.")] = 60,
    checks: Annotated[int, typer.Option(help="Attention checks that each person gets.")] = 5,
    dataset: Annotated[
        str | None,
        typer.Option(help="Where the originals are, if not where the run found them.", metavar="NAME|FOLDER"),
    ] = None,
) -> None:
    """Write a page for a pairwise comparison by people, at equal bits; each saves a file of votes."""
    from benchmark.cli.progress import shown
    from benchmark.cli.terminal import terminal
    from benchmark.errors import UsageError
    from benchmark.reports.page.study import write_study

    try:
        rates = [float(part) for part in bpp.split(",")] if bpp else []
    except ValueError:
        rates = [0.0]
    if any(not 0 < rate < 100 for rate in rates):
        raise UsageError(f"--bpp {bpp}: bits per pixel with commas between, such as 0.1,0.2")
    elsewhere: dict[str, Location] = {}
    if dataset is not None:
        from benchmark.datasets import open_dataset

        elsewhere = {picture.sha256: picture.path for picture in open_dataset(dataset).pictures}
    console = terminal(stderr=True, highlight=False, soft_wrap=True)
    made = write_study(
        run,
        output,
        rates=rates,
        within=within / 100,
        trials=trials,
        checks=checks,
        elsewhere=elsewhere,
        track=shown(console),
    )
    rates_said = ", ".join(f"{rate:g}" for rate in made.rates)
    console.print(f"{made.questions} pairs near {rates_said} bpp; {made.left_out} left out, whose bits differ more")
    typer.echo(output / "index.html")


@study.command()
def tally(
    files: Annotated[list[Path], typer.Argument(help="Files that the page saved.", metavar="FILE...")],
    missed: Annotated[int, typer.Option(help="Attention checks that a person may fail and still count.")] = 1,
) -> None:
    """Turn votes into Elo points by the model of Bradley and Terry, with 95 % intervals, beside the metrics."""
    from benchmark.cli.terminal import terminal
    from benchmark.reports.page.tally import print_result
    from benchmark.reports.page.tally import tally as tally_files

    print_result(tally_files(files, missed), terminal(highlight=False))
