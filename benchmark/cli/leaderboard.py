"""python -m benchmark leaderboard: who stands where, as a static page; and entries verified from their streams."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.groups import MakeGroup

if TYPE_CHECKING:
    from benchmark.analysis.baseline import Baseline
    from benchmark.analysis.leaderboard import Entry
    from benchmark.datasets import Dataset


leaderboard = typer.Typer(
    cls=MakeGroup,
    no_args_is_help=True,
    help="Rank codecs of runs or baseline files on a static page: `leaderboard RUN … -o FOLDER`; and verify entries.",
)


@leaderboard.command("make")
def make(
    entries: Annotated[list[Path], typer.Argument(help="Run folders or baseline files.", metavar="RUN|BASELINE…")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the page.", metavar="FOLDER")],
    at_bpp: Annotated[
        str | None,
        typer.Option(help="Rates in bits per pixel. Default: five that suit each data set.", metavar="B,…"),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Column; may be repeated. Default: all.", metavar="NAME")
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Leaderboard",
    costs: Annotated[
        Path | None,
        typer.Option(help="CSV with the columns codec and kmac_per_pixel, as `decoders` writes it.", metavar="CSV"),
    ] = None,
) -> None:
    """A table for each data set and rate: values with intervals, ranks with ties, the front of fidelity and realism.

    An entry whose images, counts or protocols do not fit the others of its data set is refused with exit code 4.
    """
    from benchmark.analysis.leaderboard import boards
    from benchmark.reports.arguments import parse_numbers
    from benchmark.reports.leaderboard import write_leaderboard

    found = boards([_entry(path) for path in entries], () if at_bpp is None else parse_numbers(at_bpp), metric or ())
    known = {} if costs is None else _of_codecs(_costs(costs), {name for board in found for name in board.codecs})
    typer.echo(write_leaderboard(found, output, title, known))


@leaderboard.command("verify")
def verify(
    entry: Annotated[Path, typer.Argument(help="A baseline file.", metavar="BASELINE")],
    streams: Annotated[
        Path,
        typer.Option("--streams", help="A run folder with kept streams, or its reconstructions/.", metavar="FOLDER"),
    ],
    dataset: Annotated[
        str | None, typer.Option(help="The entry's images, as for `run`. Default: the data set of its name.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The verified entry. Default: in its place.", metavar="FILE"),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …")] = "cpu",
) -> None:
    """Decode an entry's bitstreams with the codecs that it names, measure again, and write into it that it holds."""
    from benchmark.analysis.baseline import read_numbers, write_baseline
    from benchmark.errors import UsageError
    from benchmark.studies.verification import verify as verified

    if entry.is_dir():
        raise UsageError(
            f"{entry}: a run; its numbers become an entry with: python -m benchmark baseline {entry} -o FILE"
        )
    numbers = read_numbers(entry)
    found = verified(numbers, streams, _images(numbers, dataset), device)
    write_baseline(numbers.model_copy(update={"verified": found}), output or entry)
    typer.echo(
        f"verified: {found.streams} streams decoded again, largest difference {found.largest_difference:.2g} of a value"
    )


def _images(numbers: "Baseline", asked: str | None) -> "Dataset":
    """The entry's images: the data set that is asked for, or of its name, or as many of it as the entry has."""
    from benchmark.datasets import limit, open_dataset

    opened = open_dataset(asked or numbers.dataset.name.partition("[")[0])
    return opened if len(opened.pictures) <= len(numbers.images) else limit(opened, len(numbers.images))


def _entry(path: Path) -> "Entry":
    from benchmark.analysis.baseline import read_numbers
    from benchmark.analysis.leaderboard import Entry

    return Entry(path.resolve().name if path.is_dir() else path.stem, read_numbers(path))


def _of_codecs(costs: dict[str, float], codecs: set[str]) -> dict[str, float]:
    """The costs of `codecs`, however their settings are written."""
    from benchmark.codecs import without_defaults

    known = {without_defaults(name): cost for name, cost in costs.items()}
    return {name: known[plain] for name in codecs if (plain := without_defaults(name)) in known}


def _costs(path: Path) -> dict[str, float]:
    """Codec -> kMAC per pixel. Raises UsageError, which names the file, on other columns or numbers."""
    import csv
    import math

    from benchmark.errors import BenchmarkError, UsageError

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(row["codec"], float(row["kmac_per_pixel"])) for row in csv.DictReader(file)]
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (KeyError, ValueError, TypeError, UnicodeDecodeError, csv.Error):
        raise UsageError(f"{path}: columns codec and kmac_per_pixel, with a number in each, are needed") from None
    found: dict[str, float] = {}
    for codec, cost in rows:
        if not 0 <= cost < math.inf:
            raise UsageError(f"{path}: kmac_per_pixel of {codec} is {cost:g}, and a number from 0 on is needed")
        if found.setdefault(codec, cost) != cost:
            raise UsageError(f"{path}: {codec} is there twice, with {found[codec]:g} and {cost:g}")
    return found
