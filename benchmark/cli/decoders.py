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
            "hfd:decoder=diffusion, hfd:decoder=one-step and a control, x̂ with noise.",
            metavar="SPEC",
        ),
    ] = None,
    dataset: Annotated[str, typer.Option(help="Data set or folder of pictures.", metavar="NAME|FOLDER")] = "kodak",
    quality: Annotated[
        list[str] | None, typer.Option(help="As for run. Default: each codec's own.", metavar="[CODEC=]Q,…")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="That many pictures, spread over the set; 0 takes all.")] = 0,
    decoder_seeds: Annotated[str, typer.Option(help="Seeds of stochastic decoders.", metavar="N,…")] = "0,1,2",
    metric: Annotated[
        list[str] | None, typer.Option(help="Metric; may be repeated. Default: psnr, lpips, fd-effnet, kd-effnet.")
    ] = None,
    bpp: Annotated[float, typer.Option(min=0.001, help="Rate at which quality is drawn over cost.")] = 0.2,
    sheet_quality: Annotated[
        list[float] | None, typer.Option(help="Quality of a sheet of crops; may be repeated. Default: 3.", metavar="Q")
    ] = None,
    picture: Annotated[
        list[str] | None, typer.Option(help="A picture of the sheets; may be repeated. Default: four of the set.")
    ] = None,
    crop: Annotated[int, typer.Option(min=16, max=512, help="Side of a crop.")] = 192,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    workers: Annotated[int | None, typer.Option(help="Processes that share the cores.")] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Run folder; a comparison in it goes on.", metavar="FOLDER")
    ] = Path("results/decoders"),
) -> None:
    """Compare decoders on the same bytes: table, curves, quality over cost, crops.

    With the default codecs all but jpeg send one payload and differ in the decoder alone.
    """
    import contextlib

    from rich.console import Console

    from benchmark.analysis.summary import write_summary
    from benchmark.cli.progress import track
    from benchmark.cli.run import tell
    from benchmark.errors import UsageError
    from benchmark.reports.curves import draw_curves
    from benchmark.reports.decoders import draw_costs, draw_sheet
    from benchmark.reports.tables import print_summary, write_markdown
    from benchmark.running.backends.processes import default_workers
    from benchmark.running.interruption import finishing_trials
    from benchmark.running.run import Request, failures, open_run
    from benchmark.studies.decoders import (
        CODECS,
        METRICS,
        at_rate,
        check_codecs,
        cost_of,
        notes_on,
        same_bytes,
        sheet_rows,
        write_costs,
    )

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    specs = list(dict.fromkeys(codec or CODECS))
    metrics = list(dict.fromkeys(metric or METRICS))
    codecs = check_codecs(specs, device)
    request = Request(
        codecs=specs,
        only=True,
        dataset=dataset,
        qualities=quality or (),
        metrics=metrics,
        limit=limit,
        decoder_seeds=decoder_seeds,
        device=device,
        output=output,
        keep_reconstructions=True,
        workers=default_workers() if workers is None else workers,
        command=["python", "-m", "benchmark", *sys.argv[1:]],
    )
    with open_run(request) as ready:
        for note in ready.notes:
            console.print(note, markup=False)
        with finishing_trials(tell) as stop, contextlib.closing(ready.execute(stop)) as trials:
            track(trials, len(ready.trials), console)
    folder = ready.folder
    summary = write_summary(folder)
    print_summary(summary, Console(highlight=False))
    notes = notes_on(codecs)
    group = sorted(same_bytes(folder.trials()), key=specs.index)
    if len(group) > 1:
        notes.append(f"{', '.join(group)}: the same number of bytes at every picture and quality")
    for note in notes:
        console.print(f"note: {note}", markup=False)
    table = output / "decoders.md"
    write_markdown(summary, table)
    with table.open("a", encoding="utf-8") as file:
        file.writelines(f"{note}  \n" for note in notes)
    written = [folder.summary_path, table, *draw_curves([summary], metrics, output / "plots")]

    costs = {spec: cost_of(each, ready.folder.manifest.codecs[spec].qualities[0]) for spec, each in codecs.items()}
    found = {name: [at for spec in specs if (at := at_rate(summary, spec, name, bpp))] for name in metrics}
    written.append(write_costs(found, costs, output / "costs.csv"))
    label = f"{summary['dataset'].iloc[0]}, {len(folder.manifest.dataset.pictures)} pictures"
    for name in metrics:
        written += draw_costs(found[name], costs, name, bpp, label, output / "plots" / f"{name}-over-cost")

    names = [record.name for record in folder.manifest.dataset.pictures]
    if unknown := [name for name in picture or () if name not in names]:
        raise UsageError(
            f"--picture {unknown[0]}: the data set has no such picture; there are {', '.join(names[:4])} …"
        )
    shown = picture or [names[(2 * n + 1) * len(names) // 8] for n in range(4)] if len(names) >= 4 else names
    others = {spec: each for spec, each in codecs.items() if spec not in group}
    for wanted in sheet_quality or [3.0]:
        if wanted in folder.manifest.codecs[group[0]].qualities:
            rows = sheet_rows(folder, group, others, wanted, shown, crop)
            title = f"{label}; crops at the same bytes, quality {wanted:g} of {group[0]}"
            written += draw_sheet(rows, title, output / "plots" / f"sheet-{wanted:g}")
        else:
            console.print(f"note: no sheet at quality {wanted:g}: {group[0]} was not run at it", markup=False)
    for path in written:
        typer.echo(path)
    if failed := failures(folder):
        for line in failed:
            console.print(f"failed: {line}", markup=False)
        raise typer.Exit(3)
