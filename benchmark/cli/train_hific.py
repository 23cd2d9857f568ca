"""`train hific` and `train hific-small`: the baselines that a GAN teaches."""

import math
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.train import Optimiser, Pictures, Precision, Seed, Start, Threads, use_threads


def hific_small(
    pictures: Pictures,
    output: Annotated[Path, typer.Option(help="folder of the two trainings")] = Path("trainings/hific-small"),
    first_stage: Annotated[Path | None, typer.Option(help="weights of the autoencoder; default: the shipped")] = None,
    steps: Annotated[int, typer.Option(min=0, help="steps with MSE and LPIPS; 0: begin the GAN with --from")] = 2_000,
    gan_steps: Annotated[int, typer.Option(min=0, help="steps with the discriminator after those")] = 4_000,
    decay: Annotated[int, typer.Option(min=0, help="last of --steps, with falling learning rate")] = 600,
    gan_decay: Annotated[int, typer.Option(min=0, help="last of --gan-steps, with falling learning rate")] = 1_500,
    learning_rate: Annotated[float, typer.Option(min=0, help="highest, without the discriminator")] = 8e-4,
    gan_learning_rate: Annotated[float, typer.Option(min=0, help="highest, of generator and discriminator")] = 3e-4,
    distortion: Annotated[float, typer.Option(min=0, help="weight of the squared error on 0..255")] = 0.75 * 0.1 / 32,
    perceptual: Annotated[float, typer.Option(min=0, help="weight of LPIPS")] = 1.0,
    adversarial: Annotated[float, typer.Option(min=0, help="weight of the generator's GAN loss")] = 0.15,
    batch: Annotated[int, typer.Option(min=1, help="crops a batch, of each process")] = 8,
    crop: Annotated[int, typer.Option(min=64, max=128, help="side of a crop, a multiple of 16")] = 96,
    precision: Annotated[Precision, typer.Option(help="of the networks")] = Precision.bf16,
    optimiser: Annotated[
        Optimiser, typer.Option(help="of the generator; Adam moves the discriminator")
    ] = Optimiser.muon,
    seed: Seed = 0,
    threads: Threads = 0,
    start: Start = None,
) -> None:
    """A generator with MSE, LPIPS and GAN on the bits of `mse`. Writes OUTPUT/hific-small.safetensors."""
    use_threads(threads)
    from rich.console import Console

    from benchmark.baselines.hific_small.training import HificSmallRecipe, export_generator, train_hific_small
    from benchmark.fetching import cache_folder
    from benchmark.hfd.codec import FIRST_STAGE_FILE
    from benchmark.hfd.weights import SHIPPED
    from benchmark.training.processes import open_processes

    recipe = HificSmallRecipe(
        steps=steps,
        gan_steps=gan_steps,
        decay=decay,
        gan_decay=gan_decay,
        learning_rate=learning_rate,
        gan_learning_rate=gan_learning_rate,
        distortion=distortion,
        perceptual=perceptual,
        adversarial=adversarial,
        batch=batch,
        crop=crop,
        precision=precision.value,
        optimiser=optimiser.value,
    )
    processes = open_processes(recipe.precision)
    console = Console(quiet=not processes.first)
    averaged = train_hific_small(
        first_stage or SHIPPED / FIRST_STAGE_FILE,
        pictures,
        output,
        cache_folder() / "training",
        recipe,
        console,
        seed,
        start=start,
        processes=processes,
    )
    weights = output / "hific-small.safetensors"
    if processes.first:
        export_generator(averaged, weights)
    console.print(f"weights: {weights}; use them as hific-small:weights=FILE", markup=False)


def hific(
    pictures: Pictures,
    output: Annotated[Path, typer.Option(help="folder of the two trainings")] = Path("trainings/hific"),
    target: Annotated[
        str, typer.Option(help="bits per pixel to keep to: low (0.14), med (0.30), high (0.45), or a number")
    ] = "low",
    steps: Annotated[
        int, typer.Option(min=0, help="steps with MSE and LPIPS; 0: begin the GAN with --from")
    ] = 1_000_000,
    gan_steps: Annotated[int, typer.Option(min=0, help="steps with the discriminator after those")] = 1_000_000,
    learning_rate: Annotated[
        float, typer.Option(min=0, help="of Adam; a tenth in the second half of each part")
    ] = 1e-4,
    batch: Annotated[int, typer.Option(min=1, help="crops a batch, of each process")] = 8,
    crop: Annotated[int, typer.Option(min=128, help="side of a crop, a multiple of 64")] = 256,
    accumulate: Annotated[int, typer.Option(min=1, help="batches of each process for one step")] = 1,
    precision: Annotated[Precision, typer.Option(help="of encoder, generator, discriminator")] = Precision.float32,
    width: Annotated[float, typer.Option(min=0.01, max=1, help="of all channels; 1 is the paper's model")] = 1.0,
    seed: Seed = 0,
    threads: Threads = 0,
    start: Start = None,
) -> None:
    """The paper's HiFiC at full size, with its rate controller. Writes OUTPUT/hific.safetensors.

    On a GPU if there is one; on several with `accelerate launch --multi_gpu -m benchmark train hific …`.
    """
    use_threads(threads)
    from rich.console import Console

    from benchmark.baselines.hific.model import HificConfig
    from benchmark.baselines.hific.training import TARGETS, HificRecipe, export_hific, scaled, train_hific
    from benchmark.errors import UsageError
    from benchmark.fetching import cache_folder
    from benchmark.training.processes import open_processes

    try:
        rate = TARGETS[target] if target in TARGETS else float(target)
    except ValueError:
        rate = math.nan
    if not 0 < rate < 24:
        raise UsageError(f"--target is {', '.join(TARGETS)} or bits per pixel, not {target!r}")
    recipe = HificRecipe(steps, gan_steps, rate, learning_rate, batch, crop, precision.value, accumulate)
    processes = open_processes(recipe.precision)
    console = Console(quiet=not processes.first)
    averaged = train_hific(
        pictures,
        output,
        cache_folder() / "training",
        recipe,
        console,
        seed,
        scaled(HificConfig(), width),
        start,
        processes,
    )
    weights = output / "hific.safetensors"
    if processes.first:
        export_hific(averaged, weights, target if target in TARGETS else None)
    variant = "" if target in TARGETS else ",variant=low (or med, high: where its quality shall stand)"
    console.print(f"weights: {weights}; use them as hific:weights=FILE{variant}", markup=False)
