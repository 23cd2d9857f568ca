"""python -m benchmark baseline: the small form of a run, to be committed."""

from pathlib import Path
from typing import Annotated

import typer


def baseline(
    run: Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write, such as baseline.json.", metavar="FILE")
    ],
    codec: Annotated[
        list[str] | None, typer.Option(help="Keep this codec; may be repeated. Default: all.", metavar="SPEC")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Keep this metric; may be repeated. Default: all.", metavar="NAME")
    ] = None,
) -> None:
    """Write what `compare` needs of a run: values of each image, and of metrics of sets those without each."""
    from benchmark.analysis.baseline import chosen, read_numbers, write_baseline
    from benchmark.files import check_apart, is_standard_output

    numbers = chosen(read_numbers(run), codec or (), metric or ())
    check_apart(output, run)
    size = write_baseline(numbers, output)
    said = f"{output}: {size / 1000:.1f} kB, {len(numbers.points)} points, {len(numbers.images)} images"
    typer.echo(said, err=is_standard_output(output))
