"""python -m benchmark explain: how the numbers of a run were made."""

from pathlib import Path
from typing import Annotated

import typer


def explain(
    run: Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN")],
    under: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure one codec of a run with kept reconstructions under this metric too, and show how far the "
            "number moves; may be repeated. resizes: FID with each package's resize.",
            metavar="METRIC|resizes",
        ),
    ] = None,
    codec: Annotated[str, typer.Option(help="With --under: the codec. Default: the run's first.")] = "",
    device: Annotated[str, typer.Option(help="With --under: cpu, cuda, …")] = "cpu",
) -> None:
    """State in plain words how each number of a run was made."""
    from benchmark.errors import UsageError, visible
    from benchmark.reports.explanation import explain as sections
    from benchmark.results import RunFolder

    if not under and (codec or device != "cpu"):
        raise UsageError("--codec and --device say how --under measures, which is not there")
    manifest, others = RunFolder.open(run).manifest, []
    if under:
        from benchmark.studies.protocol_spread import RESIZES, spread, spread_lines

        metrics = [name for asked in under for name in (RESIZES if asked == "resizes" else (asked,))]
        others = spread_lines(spread(run, list(dict.fromkeys(metrics)), codec, device))  # before a line is printed
    for number, (heading, sentences) in enumerate(sections(manifest)):
        typer.echo(f"{chr(10) if number else ''}{visible(heading)}")
        for sentence in sentences:
            typer.echo(f"  {visible(sentence)}")
    if others:
        typer.echo("\nUnder other protocols")
        for line in others:
            typer.echo(f"  {visible(line)}")
