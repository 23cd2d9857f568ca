"""`train`: the networks that the suite ships, or larger ones, on a folder of pictures."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Decoder(StrEnum):
    """The score-based decoders."""

    flow = "flow"
    diffusion = "diffusion"
    one_step = "one-step"


class Model(StrEnum):
    """The sizes of first stages and of U-Nets."""

    small = "small"
    paper = "paper"


class ScoreUNet(StrEnum):
    """The sizes of U-Nets."""

    small = "small"
    medium = "medium"
    large = "large"
    paper = "paper"


class Optimiser(StrEnum):
    """What moves the weights."""

    muon = "muon"
    adam = "adam"


class Precision(StrEnum):
    """Of the networks while they are trained."""

    float32 = "float32"
    bf16 = "bf16"


train = typer.Typer(
    help="Train the networks of HFD on a folder of pictures; stopped and started again, a training goes on.",
    no_args_is_help=True,
)

Pictures = Annotated[Path, typer.Argument(help="folder of training pictures", show_default=False)]
Output = Annotated[Path, typer.Option(help="folder of the training: log, checks, checkpoints, weights")]
Seed = Annotated[int, typer.Option(min=0, help="of crops, qualities and noise")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0: as torch chooses")]
Start = Annotated[
    Path | None,
    typer.Option(
        "--from", help="begin with these weights: an earlier training's averaged.safetensors, or a weights file"
    ),
]


@train.command()
def autoencoder(
    pictures: Annotated[list[Path], typer.Argument(help="folders of training pictures", show_default=False)],
    output: Output = Path("trainings/first-stage"),
    model: Annotated[Model, typer.Option(help="the shipped network, or the full size")] = Model.small,
    steps: Annotated[int | None, typer.Option(min=1, help="steps in all; default 20000, paper 2000000")] = None,
    decay: Annotated[
        int | None,
        typer.Option(min=0, help="steps of the falling learning rate at the end; default 4000, paper 400000"),
    ] = None,
    entropy_steps: Annotated[
        int | None, typer.Option(min=0, help="first steps, with the DCT alone as transform; default 1500, paper 0")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="highest learning rate; default 0.0012, paper 0.0001")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="crops a batch, of each process; default 8")] = None,
    crop: Annotated[int | None, typer.Option(min=16, help="side of a crop; default 128, paper 256")] = None,
    precision: Annotated[Precision | None, typer.Option(help="default float32, paper bf16")] = None,
    accumulate: Annotated[int, typer.Option(min=1, help="batches of each process for one step")] = 1,
    optimiser: Annotated[Optimiser | None, typer.Option(help="default muon, paper adam")] = None,
    seed: Seed = 0,
    threads: Threads = 0,
    start: Start = None,
    levels_below: Annotated[
        int, typer.Option(min=0, help="levels that are added below the lowest of --from, as far apart in log λ")
    ] = 0,
) -> None:
    """The first stage: rate + λ·MSE at random qualities. Writes OUTPUT/first-stage.safetensors.

    On a GPU if there is one; on several with `accelerate launch --multi_gpu -m benchmark train autoencoder …`.
    """
    use_threads(threads)
    from rich.console import Console

    from benchmark.errors import UsageError
    from benchmark.fetching import cache_folder
    from benchmark.hfd.autoencoder import SMALL
    from benchmark.hfd.elic import PAPER
    from benchmark.hfd.training.autoencoder import PAPER_RECIPE, AutoencoderRecipe, config_of, train_autoencoder
    from benchmark.hfd.training.export import export_first_stage
    from benchmark.training.processes import open_processes

    said: dict[str, Any] = {
        "steps": steps,
        "decay": decay,
        "entropy_steps": entropy_steps,
        "learning_rate": learning_rate,
        "batch": batch,
        "crop": crop,
        "precision": precision.value if precision else None,
        "optimiser": optimiser.value if optimiser else None,
    }
    paper = model is Model.paper
    default = PAPER_RECIPE if paper else AutoencoderRecipe()
    recipe = replace(default, accumulate=accumulate, **{key: value for key, value in said.items() if value is not None})
    processes = open_processes(recipe.precision)
    console = Console(quiet=not processes.first)
    if levels_below and (paper or start is None):
        raise UsageError("--levels-below adds to trained weights of the small size: name them with --from")
    small = SMALL if paper or start is None else config_of(start).with_levels_below(levels_below)
    cache, config = cache_folder() / "training", PAPER if paper else small
    averaged = train_autoencoder(pictures, output, cache, recipe, console, seed, config, start, processes, levels_below)
    if processes.first:
        export_first_stage(averaged, output / "first-stage.safetensors")
    settings = "mse:model=paper,first_stage=FILE" if paper else "mse:first_stage=FILE"
    console.print(f"weights: {output / 'first-stage.safetensors'}; use them as {settings}", markup=False)


@train.command()
def synthesis(
    pictures: Pictures,
    output: Output = Path("trainings/synthesis"),
    first_stage: Annotated[
        Path | None, typer.Option(help="weights of the first stage to go on from; default: the shipped")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="steps in all")] = 4_000,
    decay: Annotated[int, typer.Option(min=0, help="steps of the falling learning rate at the end")] = 2_400,
    learning_rate: Annotated[float, typer.Option(min=0, help="highest learning rate")] = 6e-4,
    batch: Annotated[int, typer.Option(min=1, help="crops a batch, of each process")] = 6,
    crop: Annotated[int, typer.Option(min=16, help="side of a crop, a multiple of 16")] = 160,
    optimiser: Annotated[Optimiser, typer.Option(help="what moves the weights")] = Optimiser.muon,
    passes: Annotated[int, typer.Option(min=1, help="of the pictures, each coded at another quality")] = 3,
    low: Annotated[float, typer.Option(min=0.1, help="above 1 more of these are of low rates")] = 1.0,
    even: Annotated[float, typer.Option(min=0, max=1, help="how far the loss makes up for --low")] = 0.5,
    workers: Annotated[int, typer.Option(min=1, help="processes that code the pictures before the training")] = 1,
    check_every: Annotated[int, typer.Option(min=1, help="steps between checks on held-out pictures")] = 500,
    seed: Seed = 0,
    threads: Threads = 0,
) -> None:
    """The synthesis transform of a first stage alone, on latents of real streams: the bits stay as they are.

    Writes OUTPUT/first-stage.safetensors. Decoders that were trained on the first stage before belong to that one.
    """
    use_threads(threads)
    from rich.console import Console

    from benchmark.fetching import cache_folder
    from benchmark.hfd.codec import FIRST_STAGE_FILE
    from benchmark.hfd.training.export import export_synthesis
    from benchmark.hfd.training.synthesis import SynthesisRecipe, train_synthesis
    from benchmark.hfd.weights import SHIPPED
    from benchmark.training.processes import open_processes

    recipe = SynthesisRecipe(
        steps=steps,
        decay=decay,
        learning_rate=learning_rate,
        batch=batch,
        crop=crop,
        optimiser=optimiser.value,
        passes=passes,
        low=low,
        even=even,
        workers=workers,
        check_every=check_every,
    )
    first_stage = first_stage or SHIPPED / FIRST_STAGE_FILE
    processes = open_processes("float32")
    console = Console(quiet=not processes.first)
    averaged = train_synthesis(
        first_stage, pictures, output, cache_folder() / "training", recipe, console, seed, processes
    )
    weights = output / "first-stage.safetensors"
    if processes.first:
        export_synthesis(averaged, first_stage, weights)
    console.print(f"weights: {weights}; use them as mse:first_stage=FILE", markup=False)


@train.command()
def score(
    pictures: Pictures,
    output: Annotated[
        Path | None, typer.Option(help="folder of the training; default: trainings/DECODER[-BASE]")
    ] = None,
    decoder: Annotated[Decoder, typer.Option(help="which decoder")] = Decoder.flow,
    base: Annotated[str, typer.Option(help="what it decodes: autoencoder, jpeg, avif", metavar="BASE")] = "autoencoder",
    model: Annotated[Model, typer.Option(help="the shipped U-Net's size, or the full size")] = Model.small,
    unet: Annotated[ScoreUNet | None, typer.Option(help="the U-Net's size, if another than the model's")] = None,
    first_stage: Annotated[
        Path | None, typer.Option(help="weights of the autoencoder; default: the shipped, for paper none")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="steps in all; default 12000, paper 1000000")] = None,
    decay: Annotated[
        int | None,
        typer.Option(min=0, help="steps of the falling learning rate at the end; default 3000, paper 100000"),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="highest learning rate; default 0.0008, paper 0.0001")
    ] = None,
    optimiser: Annotated[Optimiser | None, typer.Option(help="default muon, paper adam")] = None,
    precision: Annotated[Precision, typer.Option(help="of the U-Net while it is trained")] = Precision.bf16,
    accumulate: Annotated[int, typer.Option(min=1, help="batches of each process for one step")] = 1,
    seed: Seed = 0,
    threads: Threads = 0,
    batch: Annotated[int, typer.Option(min=1, help="crops a batch, of each process")] = 16,
    crop: Annotated[
        int | None,
        typer.Option(
            min=8,
            help="side of a crop; a multiple of 8, from medium on 16; for one-step at least 32; default 64, paper 256",
        ),
    ] = None,
    chroma: Annotated[
        float, typer.Option(min=0, max=1.5, help="weight of each chroma axis in the loss; luma has the rest of 3")
    ] = 0.5,
    kappa: Annotated[float, typer.Option(min=0.01, help="flow: deviation of the start's noise over x̂'s error")] = 1.0,
    shift: Annotated[float, typer.Option(min=0.01, help="diffusion: of the schedule; below 1 is less noise")] = 1.0,
    enlarged: Annotated[
        list[int] | None,
        typer.Option(
            min=2, max=8, help="one-step: show windows to LPIPS at so many times the size besides; repeatable"
        ),
    ] = None,
    views: Annotated[
        bool, typer.Option("--views", help="one-step: show windows to LPIPS mirrored, dimmed, …, each time otherwise")
    ] = False,
    band_levels: Annotated[int, typer.Option(min=1, help="one-step: sizes of Haar bands that are scored")] = 3,
    spread_exponent: Annotated[
        float, typer.Option(min=0.01, help="one-step: of a uniform number, gives spreads; above 0.5 more small ones")
    ] = 0.5,
    passes: Annotated[int, typer.Option(min=1, help="of the pictures, each coded at another quality")] = 2,
    low: Annotated[float, typer.Option(min=0.1, help="above 1 more of these are of low rates")] = 1.0,
    varied: Annotated[
        bool, typer.Option("--varied", help="from the second pass on pictures are turned, stretched and toned")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="processes that code the pictures before the training")] = 1,
    check_every: Annotated[int, typer.Option(min=1, help="steps between checks on held-out pictures")] = 1000,
    sampling_steps: Annotated[
        int,
        typer.Option(min=1, help="flow, diffusion: number of sampling steps that the weights file takes as default"),
    ] = 4,
    start: Start = None,
) -> None:
    """A score-based decoder on a base's output. Writes OUTPUT/DECODER.safetensors.

    On a GPU if there is one; on several with `accelerate launch --multi_gpu -m benchmark train score …`.
    """
    use_threads(threads)
    from rich.console import Console

    from benchmark.errors import UsageError
    from benchmark.fetching import cache_folder
    from benchmark.hfd.bases import open_classical
    from benchmark.hfd.codec import FIRST_STAGE_FILE
    from benchmark.hfd.training.decoder import PAPER_SCORE_RECIPE, ScoreRecipe
    from benchmark.hfd.training.export import export_decoder
    from benchmark.hfd.training.score import train_score
    from benchmark.hfd.unet import LARGE, MEDIUM, PAPER, SMALL
    from benchmark.hfd.weights import SHIPPED, read_weights, take_architecture
    from benchmark.training.processes import open_processes

    said: dict[str, Any] = {
        "steps": steps,
        "decay": decay,
        "learning_rate": learning_rate,
        "optimiser": optimiser.value if optimiser else None,
        "crop": crop,
    }
    paper = model is Model.paper
    recipe = replace(
        PAPER_SCORE_RECIPE if paper else ScoreRecipe(),
        batch=batch,
        chroma=chroma,
        kappa=kappa,
        shift=shift,
        band_levels=band_levels,
        perceptual_scales=(1, *(enlarged or ())),
        passes=passes,
        low=low,
        varied=varied,
        spread_exponent=spread_exponent,
        perceptual_views=views,
        precision=precision.value,
        accumulate=accumulate,
        check_every=check_every,
        workers=workers,
        **{key: value for key, value in said.items() if value is not None},
    )
    processes = open_processes(recipe.precision)
    console = Console(quiet=not processes.first)
    classical = None if base == "autoencoder" else open_classical(base)
    if classical and first_stage:
        raise UsageError(f"--first-stage belongs to the autoencoder; --base {base} has none")
    if paper and not classical and first_stage is None:
        raise UsageError(
            "--model paper: no first stage of full size is shipped; make one with `python -m benchmark train "
            "autoencoder FOLDER --model paper`, then name it with --first-stage FILE"
        )
    output = output or Path("trainings") / (f"{decoder.value}-{classical.name}" if classical else decoder.value)
    averaged = train_score(
        decoder.value,
        classical or first_stage or SHIPPED / FIRST_STAGE_FILE,
        pictures,
        output,
        cache_folder() / "training",
        recipe,
        console,
        seed,
        {"small": SMALL, "medium": MEDIUM, "large": LARGE, "paper": PAPER}[(unet or model).value],
        start,
        processes,
    )
    weights = output / f"{decoder.value}.safetensors"
    if processes.first:
        export_decoder(averaged, weights, sampling_steps)
    settings = [f"base={base}"] if classical else []
    if first_stage is not None:
        _, configuration, _ = read_weights(first_stage, "first stage")
        full_size = take_architecture(first_stage, configuration, None) == "paper"
        settings = [*(["model=paper"] if full_size else []), f"first_stage={first_stage}"]
    spec = "hfd:" + ",".join([*settings, f"decoder={decoder.value}", f"weights={weights}"])
    console.print(f"weights: {weights}; use them as {spec}", markup=False)


@train.command()
def plot(
    trainings: Annotated[list[Path], typer.Argument(help="folders of trainings", show_default=False)],
    output: Annotated[Path | None, typer.Option(help="picture file; default: curves.png in the first folder")] = None,
) -> None:
    """Draws the loss curve and the checks of a training, or the checks' score of several beside each other."""
    from benchmark.reports.training import draw_training, draw_trainings

    output = output or trainings[0] / "curves.png"
    print(draw_training(trainings[0], output) if len(trainings) == 1 else draw_trainings(trainings, output))


@train.command()
def export(
    trained: Annotated[Path, typer.Argument(help="averaged.safetensors or best.safetensors", show_default=False)],
    output: Annotated[Path, typer.Argument(help="weights file to write", show_default=False)],
    sampling_steps: Annotated[int, typer.Option(min=1, help="default number of steps of a flow or a diffusion")] = 4,
    first_stage: Annotated[
        Path | None, typer.Option(help="of a synthesis transform: weights that it began with; default: the shipped")
    ] = None,
    begun: Annotated[
        Path | None, typer.Option(help="of a decoder: weights that it began with, for --share", show_default=False)
    ] = None,
    share: Annotated[
        float, typer.Option(min=0, max=1, help="of a synthesis transform or a decoder: of its new weights")
    ] = 1.0,
) -> None:
    """Writes the weights file of a training that has not reached its end, or one between it and its beginning."""
    from benchmark.errors import UsageError
    from benchmark.hfd.codec import FIRST_STAGE_FILE
    from benchmark.hfd.training.export import export_decoder, export_first_stage, export_synthesis
    from benchmark.hfd.weights import SHIPPED
    from benchmark.training.engine import read_training

    _, recipe = read_training(trained)
    if begun is not None and "decoder" not in recipe:
        raise UsageError(f"--begun belongs to a decoder; {trained} is none")
    if share < 1 and "synthesis_of" not in recipe and begun is None:
        what = (
            "--begun FILE, the weights that it began with"
            if "decoder" in recipe
            else "a synthesis transform or decoder"
        )
        raise UsageError(f"--share needs {what}")
    if "synthesis_of" in recipe:
        export_synthesis(trained, first_stage or SHIPPED / FIRST_STAGE_FILE, output, share)
    elif "autoencoder" in recipe:
        export_first_stage(trained, output)
    elif "generator" in recipe:
        from benchmark.baselines.hific_small.training import export_generator

        export_generator(trained, output)
    elif "hific" in recipe:
        from benchmark.baselines.hific.training import export_hific

        export_hific(trained, output, None)
    else:
        export_decoder(trained, output, sampling_steps, begun, share)


@train.command("replay")
def replay_step(
    step: Annotated[Path, typer.Argument(help="a file of TRAINING/left-out", show_default=False)],
    pictures: Annotated[Path, typer.Option(help="the training's folder of pictures")],
    threads: Threads = 0,
) -> None:
    """Computes a step that a training of the first stage left out once more, and shows each crop and gradient."""
    use_threads(threads)
    import torch

    from benchmark.fetching import cache_folder
    from benchmark.hfd.training.autoencoder import replay_autoencoder

    task, number, parts = replay_autoencoder(step, pictures, cache_folder() / "training")
    for place, part in enumerate(parts):
        figures = "  ".join(f"{key} {value:.6g}" for key, value in part.figures.items() if key != "whole")
        typer.echo(f"step {number}, batch {place + 1} of {len(parts)}: gradient norm {part.norm:.6g}  {figures}")
        torch.manual_seed(part.noise)
        for n, crop in enumerate(task.each_crop(number, *part.batch)):
            typer.echo(f"  crop {n}: " + "  ".join(f"{key} {value:.6g}" for key, value in crop.items()))
        for name, norm in list(part.norms.items())[:5]:
            typer.echo(f"  gradient {norm:.6g} at {name}")


def use_threads(threads: int) -> None:
    """Sets torch's CPU threads; 0 leaves them."""
    if threads:
        import torch

        torch.set_num_threads(threads)
