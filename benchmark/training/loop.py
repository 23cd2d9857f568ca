"""One training loop for every network of the suite: average of the weights, checkpoints, exact resume, log.

A training is a folder: `log.csv` (a row every few steps), `checks.csv` (figures on held-out images),
`last.safetensors` (everything needed to go on: weights, their average, optimiser state, step, the figures since the
last row), `best.safetensors` (the averaged weights that did best on held-out images), `left-out/` (the evidence of
steps that were left out). A training that was stopped, or killed, goes on as if it had not been.
"""

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from benchmark.errors import BenchmarkError
from benchmark.files import make_folder, write_file
from benchmark.training.checkpoint import (
    Learner,
    State,
    begin_with,
    learner_of,
    load_state,
    save_state,
    save_tensors,
    weights_in_place,
)
from benchmark.training.optimisers import open_optimiser, parameter_groups, set_learning_rate, trainable
from benchmark.training.options import Options, Schedule
from benchmark.training.parts import add_gradient, own_parts
from benchmark.training.processes import Processes, open_processes
from benchmark.training.replay import keep_left_out
from benchmark.training.tables import append_row, cut_table
from benchmark.training.task import Batch, DiscriminatorTraining, Task

LAST = "last.safetensors"
"""All that a training needs to go on."""


def train(
    task: Task,
    schedule: Schedule,
    options: Options,
    console: Console,
    start: Path | None = None,
    processes: Processes | None = None,
    discriminator: DiscriminatorTraining | None = None,
    groups: Callable[[nn.Module], list[dict[str, Any]]] = parameter_groups,
) -> Path:
    """Trains to `schedule.steps` and returns the path of the averaged weights, `averaged.safetensors`.

    start: weights of an earlier training to begin with. processes: None for this one alone; of several the first
    writes. discriminator: learns beside the network and stays in `last.safetensors`. groups: parameter groups of the
    optimiser. Goes on from `last.safetensors` if the folder has one, which every process must see. Ctrl-C ends it
    cleanly after the step in hand. Raises BenchmarkError when a gradient is not finite.
    """
    processes = processes or open_processes(options.precision)
    make_folder(options.output)
    network = task.network.to(processes.device)
    if start is not None:
        begin_with(start, network, console)
    generator = Learner(trainable(network), open_optimiser(options.optimiser, groups(network), schedule.learning_rate))
    opposite = None if discriminator is None else learner_of(discriminator, processes.device)
    learners = [generator, *([] if opposite is None else [opposite])]
    processes.copy_first_([t for learner in learners for t in learner.tensors()] + [*network.buffers()])
    average = {name: p.detach().clone() for name, p in generator.parameters.items()}
    parts = processes.count * options.accumulate
    # a training in one part does not say so: the description of trainings before there were others
    description = task.describe() | ({"parts": parts} if parts > 1 else {})
    last = options.output / LAST
    state = State()
    if last.exists():
        state = load_state(last, description, options, learners, average)
        if processes.first:
            console.print(f"goes on from step {state.step} of {schedule.steps}")
    recipe = {"schedule": asdict(schedule), "precision": options.precision, **options.fixed, **description}
    if processes.first:
        cut_table(options.output / "log.csv", state.step)
        cut_table(options.output / "checks.csv", state.step)
        write_file(options.output / "recipe.json", json.dumps(recipe, indent=1) + "\n")
    processes.wait()

    def save() -> None:
        if processes.first:
            save_state(last, description, options, learners, average, state)

    begun, saved, first = time.monotonic() - state.seconds, time.monotonic(), state.step
    batches = own_parts(task, options, processes, state.step, schedule.steps)
    with _stop_cleanly() as stopped, closing(batches):
        halt = False
        while state.step < schedule.steps and not halt:
            step, rate = state.step, schedule.at(state.step)
            set_learning_rate(generator.optimiser, rate)
            if discriminator is not None and opposite is not None:
                set_learning_rate(opposite.optimiser, discriminator.schedule.at(step))
            values, norm, halt = _gradient(task, step, batches, options, processes, learners, discriminator, stopped)
            if norm > options.largest_norm:
                state.left_out += 1
                if processes.first:
                    console.print(f"step {step}: gradient norm {norm:.3g}, left out")
                    evidence = recipe | {"step": step, "norm": norm, "figures": values}
                    keep_left_out(options.output / "left-out", step, network, evidence)
            else:
                for learner in learners:
                    learner.optimiser.step()
                decay = min(options.ema_decay, (1 + step) / (10 + step))
                with torch.no_grad():
                    torch._foreach_lerp_(list(average.values()), list(generator.parameters.values()), 1 - decay)
                loss = values.pop("whole")
                state.figures.append({"loss": loss, "gradient_norm": norm, **values})
            state.step = step = step + 1
            state.seconds = time.monotonic() - begun
            place = {"step": step, "seconds": round(state.seconds, 1)}
            if step % options.log_every == 0:
                if processes.first:
                    _log(options, state, place | {"rate": rate}, schedule.steps, step - first, console)
                state.figures.clear()
                state.left_out = 0
            if processes.first and (step % options.check_every == 0 or step == schedule.steps):
                checked = _check_averaged(task, generator.parameters, average)
                append_row(options.output / "checks.csv", place | checked)
                console.print(f"step {step}: " + "  ".join(f"{k} {v:.4f}" for k, v in checked.items()))
                if checked["score"] < state.best:
                    state.best = checked["score"]
                    save_tensors(options.output / "best.safetensors", average, recipe | {"step": step})
            if time.monotonic() - saved > options.checkpoint_seconds or step == schedule.steps:
                save()
                saved = time.monotonic()
    save()
    averaged = options.output / "averaged.safetensors"
    if processes.first:
        save_tensors(averaged, average, recipe | {"step": state.step})
    processes.wait()
    return averaged


def _gradient(
    task: Task,
    step: int,
    batches: Iterator[tuple[int, Batch]],
    options: Options,
    processes: Processes,
    learners: list[Learner],
    discriminator: DiscriminatorTraining | None,
    stopped: Callable[[], bool],
) -> tuple[dict[str, float], float, bool]:
    """Leaves in `learners` the gradient of a step, over its parts in all processes; the network's is clipped.

    Returns the step's figures, the norm of the network's gradient before it was clipped, and whether any process is to
    stop. Raises BenchmarkError on a gradient that is not finite.
    """
    generator, *opposite = learners
    for learner in learners:
        learner.optimiser.zero_grad(set_to_none=True)
    values: dict[str, float] = {}
    for _ in range(options.accumulate):
        for key, value in add_gradient(task, step, *next(batches), options, discriminator).items():
            values[key] = values.get(key, 0.0) + value / options.accumulate
    values, halt = _join(processes, learners, values, stopped())
    norm = float(nn.utils.clip_grad_norm_(generator.parameters.values(), options.clip))
    last_good = f"{options.output / LAST} has the last good state"
    if not math.isfinite(norm):
        raise BenchmarkError(f"the gradient of step {step} is not finite; {last_good}")
    for learner in opposite:
        values["discriminator_norm"] = float(nn.utils.get_total_norm(learner.gradients()))
        if not math.isfinite(values["discriminator_norm"]):
            raise BenchmarkError(f"the discriminator's gradient of step {step} is not finite; {last_good}")
    return values, norm, halt


def _log(options: Options, state: State, row: dict[str, float], steps: int, since_start: int, console: Console) -> None:
    """A line of log.csv, which begins with `row`; each tenth, and the first of this start, is told as well."""
    means = _means(state.figures)
    append_row(options.output / "log.csv", row | means | {"left_out": state.left_out})
    if state.step % (10 * options.log_every) == 0 or since_start == options.log_every:
        left = (state.seconds / state.step) * (steps - state.step)
        loss = f"loss {means['loss']:.4f}" if means else "all left out"
        console.print(f"step {state.step}/{steps}  {loss}  {left / 60:.0f} min left")


def _means(figures: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over the steps that have it."""
    keys = dict.fromkeys(key for one in figures for key in one)
    return {key: float(np.mean([one[key] for one in figures if key in one])) for key in keys}


def _join(
    processes: Processes, learners: list[Learner], values: dict[str, float], stopped: bool
) -> tuple[dict[str, float], bool]:
    """Averages gradients and figures over the processes; whether any of them is to stop."""
    if processes.count == 1:
        return values, stopped
    numbers = torch.tensor([float(stopped), *values.values()], device=processes.device)
    processes.mean_([*(gradient for learner in learners for gradient in learner.gradients()), numbers])
    halt, *means = numbers.tolist()
    return dict(zip(values, means, strict=True)), halt > 0


@contextmanager
def _stop_cleanly() -> Iterator[Callable[[], bool]]:
    """Yields a function that is true once SIGINT or SIGTERM came."""
    caught: list[int] = []
    previous = {s: signal.signal(s, lambda number, _: caught.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _check_averaged(task: Task, parameters: dict[str, nn.Parameter], average: dict[str, Tensor]) -> dict[str, float]:
    with weights_in_place(parameters, average), torch.no_grad():
        task.network.eval()
        checked = task.check()
        task.network.train()
    return checked
