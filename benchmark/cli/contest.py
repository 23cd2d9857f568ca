"""python -m benchmark studies contest: which principle makes the best decoder of the same bits and operations?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from benchmark.errors import UsageError

if TYPE_CHECKING:
    from benchmark.training.precision import Precision


def contest(
    folders: Annotated[list[Path], typer.Argument(help="Folders of training images.", metavar="FOLDER...")],
    first_stage: Annotated[
        Path | None, typer.Option(help="Weights of the autoencoder. Default: the shipped.", metavar="FILE")
    ] = None,
    base: Annotated[
        str, typer.Option(help="What is decoded: autoencoder, jpeg, avif.", metavar="BASE")
    ] = "autoencoder",
    pairs: Annotated[
        Path | None,
        typer.Option(help="Where pairs (x, x̂) are looked for and kept. Default: the cache of all trainings."),
    ] = None,
    operations: Annotated[
        float, typer.Option(min=0, help="Of each member's training, in 10¹² floating-point operations.", metavar="TERA")
    ] = 250.0,
    members: Annotated[
        str, typer.Option(help="regression, gan, flow, diffusion, energy; default: all.", metavar="NAME,…")
    ] = "",
    perceptual: Annotated[
        str, typer.Option(help="Groups: none, lpips (its maps in the loss), both.", metavar="GROUP")
    ] = "both",
    unet: Annotated[str, typer.Option(help="Size of the U-Net: small, medium, large.", metavar="SIZE")] = "small",
    batch: Annotated[int, typer.Option(min=1, help="Crops per batch.")] = 16,
    crop: Annotated[int, typer.Option(min=32, help="Side of a crop.")] = 64,
    precision: Annotated[
        str, typer.Option(help="Of the U-Net: float32, bf16, or auto: bf16 if the processor is quick at it.")
    ] = "auto",
    passes: Annotated[int, typer.Option(min=1, help="Of the images, each coded at another quality.")] = 2,
    low: Annotated[float, typer.Option(min=0.1, help="Above 1 more pairs are of low rates.")] = 2.0,
    steps: Annotated[str, typer.Option(help="Evaluations with which each is sampled.", metavar="N,…")] = "1,2,4,8",
    checks: Annotated[int, typer.Option(min=1, help="Along the way.")] = 5,
    images: Annotated[int, typer.Option(min=2, help="Held-out images of a check.")] = 8,
    dataset: Annotated[
        str, typer.Option(help="Finished members are measured on it too. Default: none.", metavar="NAME|FOLDER")
    ] = "",
    limit: Annotated[int, typer.Option(min=0, help="That many of its images; 0 takes all.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Of the decoder, for finished members.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, crops and noise of the training.")] = 0,
    plan: Annotated[
        bool, typer.Option("--plan", help="Train nothing: print steps, operations, and a step's processor time.")
    ] = False,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: as torch chooses.")] = 0,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Its folder; a contest in it goes on.", metavar="FOLDER")
    ] = Path("trainings/contest"),
) -> None:
    """Train five objectives for the decoder's network with equal operations, and compare them."""
    from dataclasses import replace

    from rich.console import Console

    from benchmark.cli.recipes import use_threads
    from benchmark.fetching import cache_folder
    from benchmark.hfd.bases import open_classical
    from benchmark.hfd.unet import CONFIGS
    from benchmark.hfd.weights import FIRST_STAGE_FILE, SHIPPED
    from benchmark.studies.contest import TERA, Arena, Contest, choose, run
    from benchmark.studies.contestants import Judging

    use_threads(threads)
    if base != "autoencoder" and first_stage is not None:
        raise UsageError(f"--first-stage belongs to the autoencoder; --base {base} has none")
    if unet not in CONFIGS:
        raise UsageError(f"--unet is {', '.join(CONFIGS)}, not {unet!r}")
    if precision not in ("auto", "float32", "bf16"):
        raise UsageError(f"--precision is auto, float32 or bf16, not {precision!r}")
    chosen = choose([name for name in members.split(",") if name], perceptual)
    try:
        numbers = tuple(int(part) for part in steps.split(","))
    except ValueError:
        raise UsageError(f"--steps {steps!r}: whole numbers with commas between") from None
    held = Contest(
        operations=operations * TERA,
        unet=CONFIGS[unet],
        batch=batch,
        crop=crop,
        precision=cast("Precision", precision),
        passes=passes,
        low=low,
        checks=checks,
        judging=replace(Judging(), images=images, steps=numbers),
        seeds=seeds,
        dataset=dataset,
        limit=limit,
        seed=seed,
    )
    on: Any = first_stage or SHIPPED / FIRST_STAGE_FILE if base == "autoencoder" else open_classical(base)
    console, pairs = Console(), pairs or cache_folder() / "training"
    if plan:
        arena = Arena(held, on, folders, pairs, output, console)
        for group, member in chosen:
            typer.echo(arena.plan(group, member, timed=True).line())
        return
    for path in run(held, on, folders, pairs, output, chosen, console):
        typer.echo(path)
