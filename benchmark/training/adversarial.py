"""A training in two parts, as GANs of codecs are trained: first what is similar, then the discriminator besides."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from benchmark.errors import UsageError
from benchmark.training.checkpoint import read_training
from benchmark.training.loop import train
from benchmark.training.options import Options, Schedule
from benchmark.training.processes import Processes
from benchmark.training.task import DiscriminatorTraining, Task


def train_then_gan(
    task: Task,
    schedules: tuple[Schedule, Schedule],
    open_discriminator: Callable[[Schedule], DiscriminatorTraining],
    options: Options,
    console: Console,
    start: Path | None,
    processes: Processes,
) -> Path:
    """Trains `task` by itself in OUTPUT/1-similar, then with a discriminator in OUTPUT/2-gan; the averaged weights.

    The second part begins with the averaged weights of the first. schedules: of either part; one without steps is
    skipped. open_discriminator: called between them with the second schedule; it tells the task of the discriminator.
    options: of both parts, with the folder for the two. start: earlier weights, of the first part that has steps.
    Returns after the first part if it was stopped. Raises UsageError if the GAN has nothing to begin with.
    """
    similar, adversarial = schedules
    if similar.steps:
        first = replace(options, output=options.output / "1-similar")
        start = train(task, similar, first, console, start, processes)
        if not adversarial.steps or read_training(start)[1]["step"] < similar.steps:
            return start
    if start is None:
        raise UsageError(
            "a GAN begins with weights that MSE and LPIPS have trained: name them with --from, or give --steps"
        )
    torch.manual_seed(options.seed)
    discriminator = open_discriminator(adversarial)
    second = replace(options, output=options.output / "2-gan")
    return train(task, adversarial, second, console, start, processes, discriminator)
