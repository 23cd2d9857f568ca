"""`train`: the networks that the suite ships, or larger ones, on a folder of pictures."""

from pathlib import Path
from typing import Annotated

import typer

train = typer.Typer(
    help="Train the networks of HFD on a folder of pictures; stopped and started again, a training goes on.",
    no_args_is_help=True,
)

Pictures = Annotated[Path, typer.Argument(help="folder of training pictures", show_default=False)]
Output = Annotated[Path, typer.Option(help="folder of the training: log, checks, checkpoints, weights")]
Steps = Annotated[int, typer.Option(min=1, help="steps in all")]
Decay = Annotated[int, typer.Option(min=0, help="steps of the falling learning rate at the end")]
Rate = Annotated[float, typer.Option(min=0, help="highest learning rate")]
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
    pictures: Pictures,
    output: Output = Path("trainings/first-stage"),
    steps: Steps = 20_000,
    decay: Decay = 4_000,
    entropy_steps: Annotated[int, typer.Option(min=0, help="first steps, with the DCT alone as transform")] = 1_500,
    learning_rate: Rate = 8e-4,
    seed: Seed = 0,
    threads: Threads = 0,
    start: Start = None,
) -> None:
    """The first stage: rate + λ·MSE at random qualities. Writes OUTPUT/first-stage.safetensors."""
    _use_threads(threads)
    from rich.console import Console

    from benchmark.fetching import cache_folder
    from benchmark.hfd.training.autoencoder import AutoencoderRecipe, train_autoencoder
    from benchmark.hfd.training.export import export_first_stage

    recipe = AutoencoderRecipe(steps=steps, entropy_steps=entropy_steps, decay=decay, learning_rate=learning_rate)
    console = Console()
    averaged = train_autoencoder(pictures, output, cache_folder() / "training", recipe, console, seed, start=start)
    export_first_stage(averaged, output / "first-stage.safetensors")
    console.print(f"weights: {output / 'first-stage.safetensors'}; use them as mse:first_stage=FILE", markup=False)


@train.command()
def score(
    pictures: Pictures,
    output: Output = Path("trainings/flow"),
    first_stage: Annotated[Path | None, typer.Option(help="weights of the first stage; default: the shipped")] = None,
    steps: Steps = 12_000,
    decay: Decay = 3_000,
    learning_rate: Rate = 8e-4,
    seed: Seed = 0,
    threads: Threads = 0,
    sampling_steps: Annotated[int, typer.Option(min=1, help="the decoder's default number of steps")] = 4,
    start: Start = None,
) -> None:
    """The rectified-flow decoder on the first stage's output. Writes OUTPUT/flow.safetensors."""
    _use_threads(threads)
    from rich.console import Console

    from benchmark.fetching import cache_folder
    from benchmark.hfd.codec import FIRST_STAGE_FILE
    from benchmark.hfd.training.export import export_flow
    from benchmark.hfd.training.score import ScoreRecipe, train_flow
    from benchmark.hfd.weights import SHIPPED

    console = Console()
    averaged = train_flow(
        first_stage or SHIPPED / FIRST_STAGE_FILE,
        pictures,
        output,
        cache_folder() / "training",
        ScoreRecipe(steps=steps, decay=decay, learning_rate=learning_rate),
        console,
        seed,
        start=start,
    )
    export_flow(averaged, output / "flow.safetensors", sampling_steps)
    console.print(f"weights: {output / 'flow.safetensors'}; use them as hfd:weights=FILE", markup=False)


@train.command()
def plot(
    training: Annotated[Path, typer.Argument(help="folder of a training", show_default=False)],
    output: Annotated[Path | None, typer.Option(help="picture file; default: TRAINING/curves.png")] = None,
) -> None:
    """Draws the loss curve and the checks of a training."""
    from reports.training import draw_training

    print(draw_training(training, output or training / "curves.png"))


@train.command()
def export(
    trained: Annotated[Path, typer.Argument(help="averaged.safetensors or best.safetensors", show_default=False)],
    output: Annotated[Path, typer.Argument(help="weights file to write", show_default=False)],
    sampling_steps: Annotated[int, typer.Option(min=1, help="a decoder's default number of steps")] = 4,
) -> None:
    """Writes the weights file of a training that has not reached its end."""
    from benchmark.hfd.training.engine import read_training
    from benchmark.hfd.training.export import export_first_stage, export_flow

    _, recipe = read_training(trained)
    if "autoencoder" in recipe:
        export_first_stage(trained, output)
    else:
        export_flow(trained, output, sampling_steps)


def _use_threads(threads: int) -> None:
    if threads:
        import torch

        torch.set_num_threads(threads)
