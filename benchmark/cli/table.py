"""python -m benchmark table: numbers for a paper."""

from pathlib import Path
from typing import Annotated

import typer


def table(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders, baseline files or summaries (CSV).", metavar="RUN...")
    ],
    form: Annotated[
        str, typer.Option("--format", help="How it is written.", metavar="latex|markdown|csv|html")
    ] = "markdown",
    at_bpp: Annotated[
        str | None,
        typer.Option(
            help="Bits per pixel, between a codec's measured ones interpolated in log rate. "
            "Default: the qualities that were measured, not ranked.",
            metavar="B,…",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Column; may be repeated. Default: all that every run has.", metavar="NAME"),
    ] = None,
    codec: Annotated[
        list[str] | None,
        typer.Option(help="Codec; may be repeated, in the order of the lines. Default: all.", metavar="CODEC"),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="A codec's name in the table; may be repeated.", metavar="CODEC=TEXT"),
    ] = None,
    plus_minus: Annotated[
        bool, typer.Option("--plus-minus", help="Half the width of the 95 % interval beside each value.")
    ] = False,
    bold_ties: Annotated[
        bool,
        typer.Option(
            "--bold-ties",
            help="Bold is every value that paired 95 % intervals do not tell from the best; with --at-bpp, and "
            "run folders or baseline files.",
        ),
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File. Default: standard output.", metavar="FILE")
    ] = None,
) -> None:
    """Write rates × codecs × metrics, the best value of each rate in bold and the second underlined."""
    from benchmark.analysis.inputs import read_inputs
    from benchmark.analysis.tabulation import tabulate
    from benchmark.files import check_apart, write_file
    from benchmark.reports.arguments import parse_labels, parse_numbers
    from benchmark.reports.paper_tables import write_table

    # A summary alone (CSV) has no values of single images: a note of the table says what its intervals lack.
    whole = all(path.is_dir() or path.suffix != ".csv" for path in runs)
    inputs = read_inputs(runs, with_numbers=bold_ties or (plus_minus and at_bpp is not None and whole))
    found = tabulate(
        inputs.summaries,
        metric or inputs.metrics,
        codecs=codec or (),
        rates=() if at_bpp is None else parse_numbers(at_bpp),
        numbers=inputs.numbers,
    )
    labels = parse_labels(label or (), inputs.codecs)
    text = write_table(found, form, labels=labels, plus_minus=plus_minus, bold_ties=bold_ties)
    if output is None:
        typer.echo(text, nl=False)
    else:
        check_apart(output, *runs)
        write_file(output, text, parents=True)
