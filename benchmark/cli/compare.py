"""python -m benchmark compare: the gate."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    base: Annotated[Path, typer.Argument(help="Run folder or baseline file: what must not get worse.", metavar="BASE")],
    new: Annotated[Path, typer.Argument(help="Run folder or baseline file: what is judged.", metavar="NEW")],
    strict: Annotated[bool, typer.Option("--strict", help="What is undecided fails as well.")] = False,
    gate: Annotated[
        Path | None,
        typer.Option(help="File with [tool.benchmark.gate]. Default: ./pyproject.toml.", metavar="FILE"),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show numbers that are the same, too.")] = False,
    markdown: Annotated[
        Path | None, typer.Option(help="Write Markdown for a pull-request comment.", metavar="FILE")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.", metavar="FILE")] = None,
    github_action_benchmark: Annotated[
        Path | None,
        typer.Option(help="Write smaller-is-better.json and bigger-is-better.json of NEW there.", metavar="FOLDER"),
    ] = None,
    bencher: Annotated[Path | None, typer.Option(help="Write Bencher's JSON of NEW.", metavar="FILE")] = None,
) -> None:
    """Tell whether NEW is worse than BASE, by paired tests over images and margins from pyproject.toml.

    Exit code 0: nothing is shown to be worse. 1: something is. 2: usage. 3: trials failed, in both
    runs too, values are missing, or nothing could be judged. 4: protocol, data set, codec or quality do not match.
    """
    from benchmark.analysis.baseline import read_numbers
    from benchmark.analysis.comparison import compare as compare_numbers
    from benchmark.analysis.margins import read_gate
    from benchmark.cli.terminal import terminal
    from benchmark.files import check_apart, check_different, write_file
    from benchmark.reports.comparison import markdown as as_markdown
    from benchmark.reports.comparison import print_comparison, verdict

    for written in filter(None, (markdown, junit, github_action_benchmark, bencher)):
        check_apart(written, base, new, *filter(None, [gate]))
    check_different(*filter(None, (markdown, junit, bencher)))
    settings = read_gate(gate)
    comparison = compare_numbers(read_numbers(base), read_numbers(new), settings)
    print_comparison(comparison, terminal(highlight=False), everything=everything)
    typer.echo(f"verdict: {verdict(comparison, strict)}")
    if markdown is not None:
        write_file(markdown, as_markdown(comparison, strict=strict), parents=True)
    if junit is not None:
        from benchmark.reports.exports.junit import junit_xml

        write_file(junit, junit_xml(comparison, strict=strict), parents=True)
    if github_action_benchmark is not None:
        from benchmark.reports.exports.continuous import write_github_action_benchmark

        write_github_action_benchmark(comparison.new, github_action_benchmark)
    if bencher is not None:
        from benchmark.reports.exports.continuous import write_bencher

        write_bencher(comparison.new, bencher)
    raise typer.Exit(comparison.exit_code(strict))
