"""python -m benchmark ablate: what each setting of the score-based decoders does, at fixed bytes."""

import sys
from pathlib import Path
from typing import Annotated

import typer

QUICK_PICTURES = 8
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
    dataset: Annotated[str, typer.Option(help="Data set or folder of pictures.", metavar="NAME|FOLDER")] = "kodak",
    quality: Annotated[float, typer.Option(help="Quality of the first stage; 3 is 0.22 bpp on Kodak.")] = QUALITY,
    full: Annotated[bool, typer.Option("--full", help="All pictures, all values, three seeds.")] = False,
    metric: Annotated[
        list[str] | None, typer.Option(help="Metric; may be repeated. Default: psnr, lpips, fd-effnet, kd-effnet.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    workers: Annotated[int | None, typer.Option(help="Processes that share the cores.")] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Run folder; an ablation in it goes on.", metavar="FOLDER")
    ] = Path("results/ablation"),
) -> None:
    """Vary one setting of the decoders at a time, on the same bytes; a table and a plot for each study.

    Eight pictures, one seed and few values by default; --full does all.
    """
    import contextlib

    from rich.console import Console

    from benchmark.analysis.summary import write_summary
    from benchmark.cli.progress import track
    from benchmark.cli.run import tell
    from benchmark.reports.ablations import draw_study
    from benchmark.running.backends.processes import default_workers
    from benchmark.running.interruption import finishing_trials
    from benchmark.running.run import Request, failures, open_run
    from benchmark.studies.ablation import choose_studies, table_of, variants_of

    chosen = choose_studies(studies or (), weights or ())
    metrics = metric or ["psnr", "lpips", "fd-effnet", "kd-effnet"]
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    request = Request(
        codecs=variants_of(chosen, full),
        only=True,
        dataset=dataset,
        qualities=[f"{quality:g}"],
        metrics=metrics,
        limit=0 if full else QUICK_PICTURES,
        decoder_seeds="0,1,2" if full else "0",
        device=device,
        output=output,
        workers=default_workers() if workers is None else workers,
        command=["python", "-m", "benchmark", *sys.argv[1:]],
    )
    with open_run(request) as ready:
        for note in ready.notes:
            console.print(note, markup=False)
        with finishing_trials(tell) as stop, contextlib.closing(ready.execute(stop)) as trials:
            track(trials, len(ready.trials), console)
    summary = write_summary(ready.folder)
    for name, study in chosen.items():
        table = table_of(study, summary, full)
        path = output / "ablations" / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        table.to_csv(path, index=False)
        for each in (path, *draw_study(name, study.question, table, metrics, path.parent)):
            typer.echo(each)
    if failed := failures(ready.folder):
        for line in failed:
            console.print(f"failed: {line}", markup=False)
        raise typer.Exit(3)
