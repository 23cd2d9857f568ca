"""python -m benchmark export and import: results to and from other tools."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Format = Literal["compressai", "benchmark-xl", "codec-compare", "csv", "parquet"]


def export_run(
    run: Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN")],
    form: Annotated[Format, typer.Option("--format", help="Format of the other tool.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File, or folder for compressai and codec-compare. Default: RUN/export/FORMAT."
        ),
    ] = None,
) -> None:
    """Write a run in the format of another tool. What its numbers leave out is said on standard error."""
    from benchmark.analysis.groups import StoredGroups
    from benchmark.analysis.summary import coverage_notes
    from benchmark.files import check_apart, is_standard_output
    from benchmark.reports.exports.tables import FOLDERS, export
    from benchmark.results import RunFolder

    place = run / "export" / form if form in FOLDERS else run / "export" / f"{form}.{_suffix(form)}"
    folder = RunFolder.open(run)
    check_apart(output or place, run)
    for path in export(folder, form, output or place):
        typer.echo(path, err=is_standard_output(path))
    for note in coverage_notes(folder.manifest, StoredGroups(folder)):
        typer.echo(note, err=True)


def import_results(
    file: Annotated[Path, typer.Argument(help="CompressAI's JSON, or a CSV of published points.", metavar="FILE")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Summary to write; `plot` takes it like a run.", metavar="FILE.csv")
    ],
    like: Annotated[
        Path | None,
        typer.Option(help="You state that it was measured on this run's images, as this run was.", metavar="RUN"),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="You state the protocol of a metric; may be repeated.", metavar="METRIC=PROTOCOL"),
    ] = None,
) -> None:
    """Make results from elsewhere a summary, for plots beside a run; its protocol stays with it."""
    from benchmark.analysis.summary import read_summary
    from benchmark.errors import UsageError
    from benchmark.files import check_apart, is_standard_output, write_file
    from benchmark.reports.imports import import_summary

    stated = {}
    for text in protocol or ():
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise UsageError(f"--protocol {text}: METRIC=PROTOCOL is expected")
        stated[name] = value
    check_apart(output, file)
    frame = import_summary(file, None if like is None else read_summary(like), stated)
    write_file(output, frame.to_csv(index=False, lineterminator="\n"), parents=True)
    said = f"{output}: {len(frame)} values of {', '.join(dict.fromkeys(frame['codec']))}"
    typer.echo(said, err=is_standard_output(output))


def _suffix(form: str) -> str:
    return "parquet" if form == "parquet" else "csv"
