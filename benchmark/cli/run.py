"""python -m benchmark run: the main job."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.results import RunFolder


def run(
    codec: Annotated[
        list[str] | None,
        typer.Option(help="Codec spec, such as hfd:decoder=flow; may be repeated. Default: hfd.", metavar="SPEC"),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Another name for a codec, in tables, plots, page and gate; may be repeated. Of a single --codec, the "
            "name alone.",
            metavar="[SPEC=]LABEL",
        ),
    ] = None,
    only: Annotated[bool, typer.Option("--only", help="No mse, hific-small and jpeg beside a single codec.")] = False,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Name of a data set; a folder or list of images, here or at an address; ./file.py:function. Behind "
            "it, @crop256 and the like prepare the images: see `list datasets`. Default: photos.",
            metavar="NAME|FOLDER|ADDRESS|FILE:FUNCTION",
        ),
    ] = None,
    quality: Annotated[
        list[str] | None,
        typer.Option(
            help="1,2 for all codecs, or hfd=1,3, by label, spec or name; may be repeated. Default: the codec's own; "
            "four of them with neither --dataset nor --limit.",
            metavar="[CODEC=]Q,…",
        ),
    ] = None,
    bpp: Annotated[
        str | None,
        typer.Option(help="Search each codec's qualities that come closest to these bits per pixel.", metavar="B,…"),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(help="Search the qualities that come closest to the bits of this codec.", metavar="SPEC"),
    ] = None,
    per: Annotated[
        str, typer.Option(help="With --bpp or --match: one quality per set, or per image.", metavar="set|image")
    ] = "set",
    protocol: Annotated[
        str | None,
        typer.Option(
            help="A paper's set-up: its data set, preparation, patches and metrics; see `list protocols`. --dataset "
            "chooses among its data sets, --metric adds metrics.",
            metavar="NAME",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Metric, such as lpips, fd-effnet@whole or ./file.py:Name; may be repeated.", metavar="NAME"),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            help="Number of images, spread evenly over the set's order, not the first ones; 0 takes all. Default: 8 "
            "of photos, all of others."
        ),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(
            help="Number of images to draw at random; the same seed draws the same images.", metavar="N[:SEED]"
        ),
    ] = None,
    decoder_seeds: Annotated[str, typer.Option(help="Seeds of stochastic decoders.", metavar="N,…")] = "0",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …")] = "cpu",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Run folder; a run in it goes on. Default: results/DATE-TIME.", metavar="FOLDER"
        ),
    ] = None,
    keep_reconstructions: Annotated[
        bool, typer.Option("--keep-reconstructions", help="Keep decoded images and bitstreams.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that share the cores. Default: one a core, four at most; 1 with --timing; on a cluster, as "
            "many as it has room for."
        ),
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            help="local; ray for a cluster on this machine, or the one at $RAY_ADDRESS; or ray://HOST:PORT.",
            metavar="local|ray|ray://…",
        ),
    ] = "local",
    reserve: Annotated[
        str | None,
        typer.Option(
            help="With ray: what each worker holds. Default: 1 CPU, and with --device cuda 1 GPU.",
            metavar="cpus=N,gpus=N",
        ),
    ] = None,
    timing: Annotated[
        int,
        typer.Option(
            help="Measure seconds over N calls of each encode and decode, with nothing else running; at least 3. "
            "Default: none.",
            metavar="N",
        ),
    ] = 0,
    time_limit: Annotated[
        float | None,
        typer.Option(
            help="Longest time of a trial: encode, decode, metrics; a codec's first trial decodes twice. A longer one "
            "counts as failed, and the run goes on. So long may a distance of your own take, too. Default: no limit.",
            metavar="SECONDS",
        ),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Raise what a codec or metric raises, with its traceback, in this process.")
    ] = False,
) -> None:
    """Code images to bytes, decode these, measure, and draw rate-distortion and rate-perception curves.

    Started again with the same arguments and --output, a run goes on where it was. Codecs and decoder seeds may be
    added to it then.
    """
    from benchmark.cli.runs import finished_run
    from benchmark.cli.terminal import terminal
    from benchmark.running.run import Request

    console = terminal(stderr=True, highlight=False, soft_wrap=True)
    request = Request(
        codecs=codec or (),
        labels=label or (),
        debug=debug,
        only=only,
        dataset=dataset,
        qualities=quality or (),
        bpp=bpp,
        match=match,
        per=per,
        metrics=metric or (),
        limit=limit,
        sample=sample,
        decoder_seeds=decoder_seeds,
        device=device,
        output=output,
        keep_reconstructions=keep_reconstructions,
        workers=workers,
        executor=executor,
        reserve=reserve,
        timing=timing,
        protocol=protocol,
        time_limit=time_limit,
        command=["python", "-m", "benchmark", *sys.argv[1:]],
    )
    with finished_run(request, console, draw=True) as folder:
        report(folder, console, time_limit)


def report(folder: "RunFolder", console: "Console", time_limit: float | None = None) -> None:
    """Table on standard output; notes, failures and where everything is on standard error. time_limit: as `sum_up` has
    it."""
    from benchmark.cli.runs import show_failures
    from benchmark.cli.terminal import terminal
    from benchmark.reports.outcome import sum_up
    from benchmark.reports.so_far import so_far_path
    from benchmark.reports.tables import print_summary

    outcome = sum_up(folder, time_limit=time_limit)
    so_far_path(folder).unlink(missing_ok=True)  # the figures of all images are there
    print_summary(outcome.summary, terminal(highlight=False))
    for note in outcome.notes:
        console.print(f"note: {note}", markup=False)
    failed = outcome.failures
    show_failures(failed, folder, console)
    if folder.manifest.timing:
        from benchmark.reports.speed import write_speeds

        path, lines = write_speeds(folder)
        for line in lines:
            console.print(line, markup=False)
        console.print(f"speed    {path}", markup=False)
    console.print(f"run      {folder.path}", markup=False)
    console.print(f"summary  {folder.summary_path}", markup=False)
    for path in outcome.plots:
        console.print(f"plot     {path}", markup=False)
    if failed:
        raise typer.Exit(3)
