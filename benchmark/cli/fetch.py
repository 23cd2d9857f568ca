"""python -m benchmark fetch: files that are not shipped."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def fetch(
    name: Annotated[
        Literal["kodak", "inception"],
        typer.Argument(help="kodak: the 24 Kodak images; inception: the network of FID and KID."),
    ],
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Take the files from here; nothing is downloaded.", metavar="FOLDER|FILE"),
    ] = None,
) -> None:
    """Download a data set or weights, verified by hash."""
    if name == "kodak":
        from datasets.kodak import fetch as fetch_it
    else:
        from benchmark.fetching import fetch_inception as fetch_it
    typer.echo(fetch_it(source))
