"""python -m benchmark decoders: the decoders of one bitstream side by side."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def decoders(
    codec: Annotated[
        list[str] | None,
        typer.Option(
            help="Codec spec; may be repeated. Default: jpeg, mse, hific-small, hfd:decoder=flow, "
            "hfd:decoder=diffusion, hfd:decoder=one-step and a noise baseline, x̂ with noise.",
            metavar="SPEC",
        ),
    ] = None,
    dataset: Annotated[str, typer.Option(help="Data set or folder of images.", metavar="NAME|FOLDER")] = "kodak",
    quality: Annotated[
        list[str] | None, typer.Option(help="As for run. Default: each codec's own.", metavar="[CODEC=]Q,…")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Number of images, spread over the set; 0 takes all.")] = 0,
    decoder_seeds: Annotated[str, typer.Option(help="Seeds of stochastic decoders.", metavar="N,…")] = "0,1,2",
    metric: Annotated[
        list[str] | None, typer.Option(help="Metric; may be repeated. Default: psnr, lpips, fd-effnet, kd-effnet.")
    ] = None,
    bpp: Annotated[float, typer.Option(min=0.001, help="Rate at which quality is drawn over cost.")] = 0.2,
    sheet_quality: Annotated[
        list[float] | None, typer.Option(help="Quality of a sheet of crops; may be repeated. Default: 3.", metavar="Q")
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            "--picture",
            help="An image of the sheets; may be repeated. Default: four of the set.",
            metavar="NAME",
        ),
    ] = None,
    crop: Annotated[int, typer.Option(min=16, max=512, help="Side of a crop.")] = 192,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    workers: Annotated[int | None, typer.Option(help="Processes that share the cores.")] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Run folder; a comparison in it goes on.", metavar="FOLDER"),
    ] = Path("results/decoders"),
) -> None:
    """Compare decoders on the same bytes: table, curves, quality over cost, crops.

    With the default codecs all but jpeg send one payload and differ in the decoder alone.
    """
    from benchmark.cli.runs import finished_run, show_failures
    from benchmark.cli.terminal import terminal
    from benchmark.metrics import STUDY_METRICS
    from benchmark.reports.tables import print_summary
    from benchmark.running.run import Request
    from benchmark.studies.decoders import (
        CODECS,
        SHEET_QUALITIES,
        Sheets,
        check_codecs,
        check_images,
        write_comparison,
    )

    console = terminal(stderr=True, highlight=False, soft_wrap=True)
    check_images(image or (), dataset, limit)
    codecs = check_codecs(list(dict.fromkeys(codec or CODECS)), device)
    request = Request(
        codecs=list(codecs),
        only=True,
        dataset=dataset,
        qualities=quality or (),
        metrics=metric or STUDY_METRICS,
        limit=limit,
        decoder_seeds=decoder_seeds,
        device=device,
        output=output,
        keep_reconstructions=True,
        workers=workers,
        command=["python", "-m", "benchmark", *sys.argv[1:]],
    )
    with finished_run(request, console) as folder:
        made = write_comparison(folder, codecs, bpp, Sheets(sheet_quality or SHEET_QUALITIES, image or (), crop))
        print_summary(made.summary, terminal(highlight=False))
        for note in made.notes:
            console.print(f"note: {note}", markup=False)
        for path in made.written:
            typer.echo(path)
        show_failures(made.failures, folder, console)
        if made.failures:
            raise typer.Exit(3)
