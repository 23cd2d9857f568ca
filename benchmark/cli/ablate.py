"""python -m benchmark ablate: what each setting of the score-based decoders does, at fixed bytes."""

import sys
from pathlib import Path
from typing import Annotated

import typer

QUICK_IMAGES = 8
QUALITY = 3.0
"""0.22 bpp on Kodak."""


def ablate(
    studies: Annotated[
        list[str] | None, typer.Argument(help="steps, noise, shift, realism; default: all.", metavar="[STUDY...]")
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(help="Weights of a decoder trained with another kappa or shift; may be repeated.", metavar="FILE"),
    ] = None,
    dataset: Annotated[str, typer.Option(help="Data set or folder of images.", metavar="NAME|FOLDER")] = "kodak",
    quality: Annotated[float, typer.Option(help="Quality of the first stage; 3 is 0.22 bpp on Kodak.")] = QUALITY,
    full: Annotated[bool, typer.Option("--full", help="All images, all values, three seeds.")] = False,
    metric: Annotated[
        list[str] | None, typer.Option(help="Metric; may be repeated. Default: psnr, lpips, fd-effnet, kd-effnet.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    workers: Annotated[int | None, typer.Option(help="Processes that share the cores.")] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Run folder; an ablation in it goes on.", metavar="FOLDER"),
    ] = Path("results/ablation"),
) -> None:
    """Vary one setting of the decoders at a time, on the same bytes; a table and a plot per study.

    Eight images, one seed and few values by default; --full does all.
    """
    from benchmark.cli.runs import finished_run, show_failures
    from benchmark.cli.terminal import terminal
    from benchmark.metrics import STUDY_METRICS
    from benchmark.running.run import Request
    from benchmark.studies.ablation import choose_studies, variants_of, write_studies

    chosen = choose_studies(studies or (), weights or ())
    console = terminal(stderr=True, highlight=False, soft_wrap=True)
    request = Request(
        codecs=variants_of(chosen, full),
        only=True,
        dataset=dataset,
        qualities=[f"{quality:g}"],
        metrics=metric or STUDY_METRICS,
        limit=0 if full else QUICK_IMAGES,
        decoder_seeds="0,1,2" if full else "0",
        device=device,
        output=output,
        workers=workers,
        command=["python", "-m", "benchmark", *sys.argv[1:]],
    )
    with finished_run(request, console) as folder:
        written, failed = write_studies(folder, chosen, full)
        for path in written:
            typer.echo(path)
        show_failures(failed, folder, console)
        if failed:
            raise typer.Exit(3)
