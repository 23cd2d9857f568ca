"""python -m benchmark explain: how the numbers of a run were made."""

from pathlib import Path
from typing import Annotated

import typer


def explain(run: Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN")]) -> None:
    """State in plain words how each number of a run was made."""
    from benchmark.reports.explanation import explain as sections
    from benchmark.results import RunFolder

    for number, (heading, sentences) in enumerate(sections(RunFolder.open(run).manifest)):
        typer.echo(f"{chr(10) if number else ''}{heading}")
        for sentence in sentences:
            typer.echo(f"  {sentence}")
