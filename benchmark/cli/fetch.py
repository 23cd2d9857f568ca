"""python -m benchmark fetch: files that are not shipped."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.fetching import FETCHABLE


def fetch_names() -> str:
    """What can be fetched, a line each, as the help shows it."""
    width = max(map(len, FETCHABLE))
    lines = [f"{name:{width}}  {FETCHABLE.summary(name)}" for name in FETCHABLE]
    return "\n\n".join(lines)


def fetch(
    names: Annotated[list[str], typer.Argument(help="One or several of those below.", metavar="NAME…")],
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Take the files from here; nothing is downloaded.", metavar="FOLDER|FILE"),
    ] = None,
) -> None:
    """Download data sets or weights, each file verified by its hash.

    A download that broke off goes on where it was. Files lie in the folder that the environment variable
    BENCHMARK_CACHE names, ~/.cache/hfd-benchmark without it.
    """
    fetches = [FETCHABLE.load(name) for name in dict.fromkeys(names)]  # all names are checked before the first download
    for fetch_it in fetches:
        typer.echo(fetch_it(source))
