"""python -m benchmark audit: what makes a codec's numbers wrong."""

import signal
from pathlib import Path
from typing import Annotated

import typer


def audit(
    codec: Annotated[str, typer.Argument(help="Codec spec.", metavar="CODEC")],
    dataset: Annotated[
        str, typer.Option(help="Name of a data set, or a folder of images.", metavar="NAME|FOLDER")
    ] = "photos",
    limit: Annotated[int, typer.Option(help="Number of images of it; 0 takes all.")] = 2,
    quality: Annotated[
        list[str] | None, typer.Option(help="1,2; may be repeated. Default: the codec's own.", metavar="Q,…")
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(help="Codec's device; repeated, those to decode across. Default: cpu, and what torch finds."),
    ] = None,
    damages: Annotated[int, typer.Option(help="Random damages to a stream, beside cuts and header; 0 for none.")] = 60,
    seconds: Annotated[float, typer.Option(help="Seconds that one encode or decode may take.")] = 300.0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder for report and JSON. Default: results/audit-CODEC.", metavar="FOLDER"
        ),
    ] = None,
) -> None:
    """Find what makes a codec's numbers wrong: side files, ignored qualities, bits that are not there, and more.

    Ends with exit code 1 if a check failed. Stopped by Ctrl-C or SIGTERM, it leaves a report of what it knows.
    """
    from benchmark.audit.audit import RECORD, REPORT, Request, Terminated
    from benchmark.audit.audit import audit as do_audit
    from benchmark.audit.report import as_text
    from benchmark.cli.terminal import terminal

    console = terminal(stderr=True, highlight=False, soft_wrap=True)
    request = Request(
        codec,
        dataset=dataset,
        limit=limit,
        qualities=quality or (),
        devices=device or (),
        damages=damages,
        seconds=seconds,
        output=output,
    )
    try:
        report, folder = do_audit(request, lambda line: console.print(line, markup=False))
    except Terminated:
        raise typer.Exit(128 + signal.SIGTERM) from None
    typer.echo(as_text(report), nl=False)
    console.print(f"report   {folder / REPORT}", markup=False)
    console.print(f"JSON     {folder / RECORD}", markup=False)
    if report.failed:
        raise typer.Exit(1)
