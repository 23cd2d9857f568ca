"""A training of a tiny first stage, in this process or as a program of its own: for what happens between processes.

python tiny_training.py FOLDER OUTPUT [KILLED_AT]: trains; with KILLED_AT the process kills itself in that step, after
the last state that it wrote, which is that of step 3.
"""

import os
import signal
import sys
from pathlib import Path

import torch
from rich.console import Console
from safetensors.torch import save_file
from torch import Tensor

from benchmark.hfd.autoencoder import AutoencoderConfig
from benchmark.hfd.deterministic import on_one_thread
from benchmark.hfd.elic import ElicConfig
from benchmark.hfd.training.autoencoder import AutoencoderRecipe, AutoencoderTask, parameter_groups
from benchmark.training.loop import train
from benchmark.training.options import Options, Schedule
from benchmark.training.processes import open_processes

TINY = AutoencoderConfig(
    luma=40, chroma=10, widths=(8, 8, 8), hyper_channels=4, features=8, hidden=8, levels=3, slice_ends=(0.1, 1.01)
)
TINY_ELIC = ElicConfig(channels=8, groups=(2, 4), levels=3)
RECIPE = AutoencoderRecipe(steps=8, entropy_steps=2, decay=2, batch=2, crop=64)


class KilledTask(AutoencoderTask):
    """Kills its process in a step; `state_at` is the last step whose state is written."""

    options: Options
    killed_at: int
    state_at: int = 3

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The loss, or the end."""
        if step == self.killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.options.checkpoint_seconds = 0 if step < self.state_at else 1e9
        return super().loss(step, *batch)


def options_for(output: Path, accumulate: int = 1) -> Options:
    """Many lines and checks."""
    return Options(output, seed=5, log_every=2, check_every=4, checkpoint_seconds=1e9, accumulate=accumulate)


@on_one_thread()  # the number of threads changes the rounding of sums
def train_tiny(pictures: Path, output: Path, killed_at: int | None = None, accumulate: int = 1) -> AutoencoderTask:
    """Trains and returns the task, with the last weights."""
    processes = open_processes()
    options = options_for(output, accumulate)
    with processes.first_alone():
        torch.manual_seed(0)
        if killed_at is None:
            task = AutoencoderTask(pictures, output.parent / "cache", TINY, RECIPE)
        else:
            task = KilledTask(pictures, output.parent / "cache", TINY, RECIPE)
            task.options, task.killed_at = options, killed_at
    schedule = Schedule(RECIPE.steps, RECIPE.learning_rate, decay=RECIPE.decay)
    train(task, schedule, options, Console(quiet=True), processes=processes, groups=parameter_groups)
    return task


if __name__ == "__main__":
    torch.set_num_threads(1)
    trained = train_tiny(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
    rank = os.environ.get("RANK", "0")
    save_file(dict(trained.network.named_parameters()), Path(sys.argv[2]) / f"rank-{rank}.safetensors")
