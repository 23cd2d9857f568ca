"""python -m benchmark figures: every table and figure of the documents made again, from runs made by commands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer


def figures(
    names: Annotated[
        list[str] | None, typer.Argument(help="Targets. Default: all that are not up to date.", metavar="[NAME...]")
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="Make nothing; say what there is, its commands, and whether it is stale.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make nothing; print the commands that would be run.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Make nothing; end with exit code 1 if anything is not up to date.")
    ] = False,
    record: Annotated[
        bool,
        typer.Option(
            "--record", help="Make nothing; record that the files of the named targets were made by their commands now."
        ),
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Make also what is up to date.")] = False,
    runs: Annotated[Path, typer.Option(help="Where runs lie; one that was stopped goes on.", metavar="FOLDER")] = Path(
        "results/figures"
    ),
    use: Annotated[
        list[str] | None,
        typer.Option(help="Take this folder for that run; may be repeated.", metavar="RUN=FOLDER"),
    ] = None,
) -> None:
    """Make the tables and figures of README, site and cards again, and the runs that they come from.

    Works in a checkout. reports/figures.toml names the targets and their commands, reports/figures.lock.json what each
    was made from.
    """
    from benchmark.errors import UsageError
    from benchmark.studies.figures import Figures, as_line, execute, lines

    folders = {}
    for text in use or ():
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise UsageError(f"--use {text!r}: RUN=FOLDER is needed")
        folders[name] = Path(folder)
    if listed + dry_run + check + record > 1:
        raise UsageError("--list, --dry-run, --check and --record: one of them")
    found = Figures(Path(), runs, folders)
    if record:
        if not names:
            raise UsageError("--record: name the targets whose files were made by their commands")
        for target in found.chosen(names):
            found.adopt(target)
            typer.echo(f"{target.name}: recorded")
        return
    if listed:
        for line in lines(found.states(names or ())):
            typer.echo(line)
        return
    if check:
        stale = [state for state in found.states(names or ()) if state.stale and not state.target.always]
        for state in stale:
            typer.echo(f"{state.target.name}: {state.stale}")
        if stale:
            raise typer.Exit(1)
        return

    def said(words: Sequence[str]) -> None:
        typer.echo(f"  {as_line(words)}")
        execute(words)

    for target in found.chosen(names or ()):
        (state,) = found.states([target.name])  # what was made before may have changed what this one reads
        if not state.stale and not again:
            continue
        typer.echo(f"{target.name}: {state.stale or 'up to date, made again'}")
        if dry_run:
            for words in found.steps(target):
                typer.echo(f"  {as_line(words)}")
        else:
            for path in found.make(target, said):
                typer.echo(f"  {path}")
