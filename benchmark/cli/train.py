"""`train`: the networks that the suite ships, or larger ones, on folders of images.

The command of a training has as options the annotated fields of its recipe and the keywords of the function that makes
it. It is built when it is asked for, since both lie beside the networks, and those need torch.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from benchmark.cli.recipes import Threads, recipe_command, use_threads
from benchmark.hfd.decoders import KINDS

TRAININGS = {
    "autoencoder": ("benchmark.hfd.training.autoencoder:COMMAND", "The first stage: rate + λ·MSE at random qualities."),
    "synthesis": (
        "benchmark.hfd.training.synthesis:COMMAND",
        "The synthesis transform of a first stage alone, on latents of real streams: the bits stay as they are.",
    ),
    **{name: (f"benchmark.hfd.training.decoder:COMMANDS.{name}", kind.summary) for name, kind in KINDS.items()},
    "hific": (
        "benchmark.baselines.hific.training:COMMAND",
        "The paper's HiFiC at full size, with its rate controller.",
    ),
    "hific-small": (
        "benchmark.baselines.hific_small.training:COMMAND",
        "A generator with MSE, LPIPS and GAN on the bits of `mse`.",
    ),
}
"""Name of a training -> where its command is described, and the line of its help."""


class TrainGroup(TyperGroup):
    """The group `train`: the commands of TRAININGS, and those that deal with what they made."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names."""
        return [*TRAININGS, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command; that of a training is built now."""
        if cmd_name in TRAININGS:
            return recipe_command(cmd_name, *TRAININGS[cmd_name])
        return super().get_command(ctx, cmd_name)


train = typer.Typer(
    cls=TrainGroup,
    help="Train networks on folders of images; stopped and started again, a training goes on.",
    no_args_is_help=True,
)


@train.command()
def plot(
    trainings: Annotated[list[Path], typer.Argument(help="folders of trainings", show_default=False)],
    output: Annotated[Path | None, typer.Option(help="image file; default: curves.png in the first folder")] = None,
) -> None:
    """Draw the loss curve and the checks of a training, or the checks' score of several beside each other."""
    from benchmark.reports.training import draw_training, draw_trainings

    output = output or trainings[0] / "curves.png"
    print(draw_training(trainings[0], output) if len(trainings) == 1 else draw_trainings(trainings, output))


@train.command()
def export(
    trained: Annotated[
        Path,
        typer.Argument(help="averaged.safetensors, best.safetensors, or a decoder's weights file", show_default=False),
    ],
    output: Annotated[Path, typer.Argument(help="weights file to write", show_default=False)],
    sampling_steps: Annotated[
        int | None,
        typer.Option(min=1, help="of a decoder that samples in steps: default number of steps; 4 if none is given"),
    ] = None,
    first_stage: Annotated[
        Path | None, typer.Option(help="of a synthesis transform: weights that it began with; default: the shipped")
    ] = None,
    begun: Annotated[
        Path | None,
        typer.Option(help="of a decoder: weights that it began with, for weight interpolation", show_default=False),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="of a synthesis transform or a decoder: weight interpolation, the part of the new weights",
        ),
    ] = None,
    bits: Annotated[
        int, typer.Option(min=4, max=11, help="significant bits of each weight: fewer make a smaller file")
    ] = 11,
) -> None:
    """Write a weights file of a training that has not ended, or of its first and last weights, interpolated, or round
    a decoder's weights file to fewer bits."""
    from benchmark.files import check_apart
    from benchmark.hfd.training.export import export_trained
    from benchmark.training.checkpoint import read_training

    check_apart(output, *filter(None, (trained, first_stage, begun)))
    _, recipe = read_training(trained)
    if "hific" in recipe or "generator" in recipe:
        _export_baseline(trained, output, recipe, bits, sampling_steps, first_stage, begun, share)
    else:
        export_trained(trained, output, sampling_steps, first_stage, begun, share, bits)


def _export_baseline(trained: Path, output: Path, recipe: dict[str, object], bits: int, *others: object) -> None:
    from benchmark.baselines.hific.training import export_hific
    from benchmark.baselines.hific_small.training import export_generator
    from benchmark.errors import UsageError
    from benchmark.packed import HALF

    if any(other is not None for other in others):
        raise UsageError(f"{trained} is a training of HiFiC, whose export has none of these options but --bits")
    if "hific" in recipe:
        if bits != HALF:
            raise UsageError(f"--bits belongs to small networks; {trained} is one of HiFiC's size, in single precision")
        export_hific(trained, output, None)
    else:
        export_generator(trained, output, bits)


@train.command("plan")
def run_plan(
    plan: Annotated[
        Path, typer.Argument(help="a plan, TOML, or an archive that --pack wrote", metavar="PLAN", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder of all trainings")] = Path("trainings/plan"),
    before: Annotated[
        Path | None, typer.Option(help="an output of earlier, from which trainings go on", show_default=False)
    ] = None,
    images: Annotated[
        list[Path] | None, typer.Option(help="folder of images in place of the plan's; repeatable", show_default=False)
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="of all trainings, in place of the plan's", show_default=False)
    ] = None,
    pack: Annotated[
        Path | None,
        typer.Option(help="write plan, images and files into this archive, and train nothing", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the commands, and train nothing")] = False,
) -> None:
    """Runs several trainings, each for its share of some minutes; the same plan goes on with them later.

    Every command is read before the first one runs. OUTPUT/NAME is written as each goes, and OUTPUT/plan.csv says how
    each ended. The exit code is 3 if one failed.
    """
    import tarfile
    from contextlib import ExitStack
    from shlex import join

    from benchmark.errors import UsageError
    from benchmark.training import plan as plans

    with ExitStack() as stack:
        if plan.is_file() and tarfile.is_tarfile(plan):
            if pack is not None:
                raise UsageError(f"{plan} is an archive already")
            plan = plans.unpack(plan, Path(stack.enter_context(_beside(output))))
        read = plans.read_plan(plan, images or ())
        if minutes is not None:
            read = read.model_copy(update={"minutes": minutes})
        commands = [plans.words(read, training, output) for training in read.training]
        for command in commands:
            _check_command(command)
        if pack is not None:
            plans.pack(read, pack)
            typer.echo(pack)
        elif dry_run:
            for command in commands:
                typer.echo(join(["python", "-m", "benchmark", "train", *command]))
        else:
            failed = False
            for ended in plans.run(read, output, before):
                typer.echo(f"{ended.name}: {ended.how} after {ended.seconds:.0f} s")
                failed |= ended.failed
            if failed:
                raise typer.Exit(3)


def _beside(output: Path) -> Any:
    """A folder for the time of a `with`, on the disk of `output`."""
    from tempfile import TemporaryDirectory

    from benchmark.files import make_folder

    make_folder(output.parent)
    return TemporaryDirectory(dir=output.parent, prefix=".plan-")


def _check_command(command: list[str]) -> None:
    """Raises UsageError if `train COMMAND…` would be refused for its name or its options."""
    from benchmark.errors import UsageError

    name, *arguments = command
    if name not in TRAININGS:
        raise UsageError(f"there is no training {name!r}; there are {', '.join(TRAININGS)}")
    try:
        recipe_command(name, *TRAININGS[name]).make_context(f"train {name}", arguments)
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's, of which Typer has a copy without a public name
            raise
        raise UsageError(f"train {name}: {error.format_message()}") from None


@train.command("replay")
def replay_step(
    step: Annotated[Path, typer.Argument(help="a file of TRAINING/left-out", show_default=False)],
    images: Annotated[
        list[Path], typer.Option("--images", "--pictures", help="the training's folder of images; repeatable")
    ],
    threads: Threads = 0,
) -> None:
    """Compute once more a step that a training of the first stage left out, and show each crop and gradient."""
    use_threads(threads)
    import torch

    from benchmark.fetching import cache_folder
    from benchmark.hfd.training.autoencoder import replay_autoencoder

    task, number, parts = replay_autoencoder(step, images, cache_folder() / "training")
    for place, part in enumerate(parts):
        figures = "  ".join(f"{key} {value:.6g}" for key, value in part.figures.items() if key != "whole")
        typer.echo(f"step {number}, batch {place + 1} of {len(parts)}: gradient norm {part.norm:.6g}  {figures}")
        torch.manual_seed(part.noise)
        for n, crop in enumerate(task.each_crop(number, *part.batch)):
            typer.echo(f"  crop {n}: " + "  ".join(f"{key} {value:.6g}" for key, value in crop.items()))
        for name, norm in list(part.norms.items())[:5]:
            typer.echo(f"  gradient {norm:.6g} at {name}")
