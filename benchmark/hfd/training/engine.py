"""One training loop for every network of the suite: schedule, average of the weights, checkpoints, exact resume, log.

A training is a folder: `log.csv` (a line every few steps), `last.safetensors` (everything needed to go on: weights,
their average, optimiser state, step), `best.safetensors` (the averaged weights that did best on held-out pictures).
What is random in step n depends on the seed and n alone, so a training that was stopped goes on as if it had not been.
"""

import csv
import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmark.errors import BenchmarkError, UsageError

LARGEST_NORM = 1e3
"""A step whose gradient is longer is left out: clipped to a sensible length it would say nothing about the rest.

Seen in three places of 7000 steps of the first stage; the cause is not known.
"""


@dataclass(frozen=True)
class Schedule:
    """Learning rate: linear warm-up, constant, then a cosine down to a twentieth over the last `decay` steps.

    The constant part lets a training go on from its last state with more steps.
    """

    steps: int
    learning_rate: float
    warm_up: int = 300
    decay: int = 0

    def at(self, step: int) -> float:
        """The learning rate of `step`, counted from 0."""
        rate = self.learning_rate * min(1.0, (step + 1) / self.warm_up)
        left = self.steps - step
        if left < self.decay:
            rate *= 0.05 + 0.95 * 0.5 * (1 - math.cos(math.pi * left / self.decay))
        return rate


class Task(Protocol):
    """What is trained: a network, its loss on a step's batch, and its check on held-out pictures."""

    @property
    def network(self) -> nn.Module:
        """The parameters that move are those with `requires_grad`."""
        ...

    def loss(self, step: int, generator: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss of one step, and figures for the log; a figure "loss" stands there in place of the whole."""
        ...

    def check(self) -> dict[str, float]:
        """Figures on held-out pictures with the averaged weights in place; "score" is the one to be low."""
        ...

    def describe(self) -> dict[str, Any]:
        """What must be equal for a training to go on: sizes, data."""
        ...


@dataclass
class Options:
    """How a training runs. ema_decay: of the averaged weights; clip: largest gradient norm."""

    output: Path
    seed: int = 0
    ema_decay: float = 0.9995
    clip: float = 2.0
    log_every: int = 50
    check_every: int = 1000
    checkpoint_seconds: float = 240.0


def train(
    task: Task,
    schedule: Schedule,
    options: Options,
    groups: Callable[[nn.Module], list[dict[str, Any]]],
    console: Console,
    start: Path | None = None,
) -> Path:
    """Trains to `schedule.steps` and returns the path of the averaged weights, `averaged.safetensors`.

    groups: parameter groups for Adam; "scale" multiplies a group's learning rate. start: weights of an earlier
    training to begin with. Goes on from `last.safetensors` if the folder has one. Ctrl-C ends it cleanly after the
    step in hand. Raises BenchmarkError when a gradient is not finite.
    """
    options.output.mkdir(parents=True, exist_ok=True)
    network = task.network
    names = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if start is not None:
        _begin_with(start, network, names, console)
    optimiser = torch.optim.AdamW(groups(network), lr=schedule.learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
    average = {name: p.detach().clone() for name, p in names.items()}
    last = options.output / "last.safetensors"
    step, best, seconds = 0, math.inf, 0.0
    if last.exists():
        step, best, seconds = _load_state(last, task, names, average, optimiser)
        console.print(f"goes on from step {step} of {schedule.steps}")
    recipe = {"schedule": asdict(schedule), "seed": options.seed, **task.describe()}
    (options.output / "recipe.json").write_text(json.dumps(recipe, indent=1) + "\n")
    begun, saved, figures = time.monotonic() - seconds, time.monotonic(), []
    first = step
    with _stop_cleanly() as stopped:
        while step < schedule.steps and not stopped():
            generator = np.random.default_rng([options.seed, step])
            torch.manual_seed(int(generator.integers(2**62)))
            rate = schedule.at(step)
            for group in optimiser.param_groups:
                group["lr"] = rate * group.get("scale", 1.0)
            optimiser.zero_grad(set_to_none=True)
            loss, values = task.loss(step, generator)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = float(nn.utils.clip_grad_norm_(names.values(), options.clip))
            if not math.isfinite(norm):
                raise BenchmarkError(f"the gradient of step {step} is not finite; {last} has the last good state")
            if norm > LARGEST_NORM:
                console.print(f"step {step}: gradient norm {norm:.3g}, left out")
                step += 1
                continue
            optimiser.step()
            decay = min(options.ema_decay, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(list(average.values()), list(names.values()), 1 - decay)
            step += 1
            figures.append({"loss": float(loss.detach()), "gradient_norm": norm, **values})
            seconds = time.monotonic() - begun
            if step % options.log_every == 0:
                row = {key: float(np.mean([f[key] for f in figures])) for key in figures[-1]}
                figures = []
                _append_row(
                    options.output / "log.csv", {"step": step, "seconds": round(seconds, 1), "rate": rate, **row}
                )
                left = (seconds / max(step, 1)) * (schedule.steps - step)
                if step % (10 * options.log_every) == 0 or step - first == options.log_every:
                    console.print(f"step {step}/{schedule.steps}  loss {row['loss']:.4f}  {left / 60:.0f} min left")
            if step % options.check_every == 0 or step == schedule.steps:
                checked = _check_averaged(task, names, average)
                _append_row(options.output / "checks.csv", {"step": step, "seconds": round(seconds, 1), **checked})
                console.print(f"step {step}: " + "  ".join(f"{k} {v:.4f}" for k, v in checked.items()))
                if checked["score"] < best:
                    best = checked["score"]
                    _save(options.output / "best.safetensors", average, recipe | {"step": step})
            if time.monotonic() - saved > options.checkpoint_seconds or step == schedule.steps:
                _save_state(last, task, names, average, optimiser, step, best, seconds)
                saved = time.monotonic()
    _save_state(last, task, names, average, optimiser, step, best, seconds)
    averaged = options.output / "averaged.safetensors"
    _save(averaged, average, recipe | {"step": step})
    return averaged


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


@contextmanager
def _weights_in_place(names: dict[str, nn.Parameter], values: dict[str, Tensor]) -> Iterator[None]:
    kept = {name: p.detach().clone() for name, p in names.items()}
    with torch.no_grad():
        for name, p in names.items():
            p.copy_(values[name])
    try:
        yield
    finally:
        with torch.no_grad():
            for name, p in names.items():
                p.copy_(kept[name])


def _check_averaged(task: Task, names: dict[str, nn.Parameter], average: dict[str, Tensor]) -> dict[str, float]:
    with _weights_in_place(names, average), torch.no_grad():
        task.network.eval()
        checked = task.check()
        task.network.train()
    return checked


def _append_row(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def _save(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """A safetensors file, complete or not there: written beside and moved into place."""
    temporary = path.with_suffix(".partial")
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(plain, temporary, metadata={"training": json.dumps(metadata)})
    temporary.replace(path)


def _save_state(
    path: Path,
    task: Task,
    names: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    step: int,
    best: float,
    seconds: float,
) -> None:
    tensors: dict[str, Tensor] = {}
    for name, p in names.items():
        tensors[f"weight/{name}"] = p
        tensors[f"average/{name}"] = average[name]
        for key, value in optimiser.state.get(p, {}).items():
            tensors[f"{key}/{name}"] = torch.as_tensor(value)
    score = None if math.isinf(best) else best
    _save(path, tensors, {"step": step, "best": score, "seconds": seconds, "task": task.describe()})


def _begin_with(path: Path, network: nn.Module, names: dict[str, nn.Parameter], console: Console) -> None:
    """Copies the weights in `path`, of a training or a weights file; a weights file's buffers are left out."""
    tensors, _ = read_training(path)
    buffers = network.state_dict().keys() - names.keys()
    tensors = {name: tensor for name, tensor in tensors.items() if name not in buffers}
    misfits = [name for name, p in names.items() if name in tensors and tensors[name].shape != p.shape]
    misfits += sorted(tensors.keys() - names.keys())
    if misfits:
        raise BenchmarkError(f"{path} is of another architecture: {misfits[0]} does not fit")
    if new := sorted(names.keys() - tensors.keys()):
        console.print(f"{path.name} has no {new[0]} ({len(new)} such): they begin untrained", markup=False)
    with torch.no_grad():
        for name in tensors:
            names[name].copy_(tensors[name])


def _load_state(
    path: Path,
    task: Task,
    names: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> tuple[int, float, float]:
    with safe_open(path, "pt") as file:
        metadata = json.loads(file.metadata()["training"])
        if metadata["task"] != json.loads(json.dumps(task.describe())):
            raise UsageError(f"{path.parent} holds a training of something else; choose another output")
        with torch.no_grad():
            for name, p in names.items():
                p.copy_(file.get_tensor(f"weight/{name}"))
                average[name].copy_(file.get_tensor(f"average/{name}"))
                if metadata["step"]:
                    state = {
                        key: file.get_tensor(f"{key}/{name}").to(p.device if key != "step" else "cpu")
                        for key in ("step", "exp_avg", "exp_avg_sq")
                    }
                    optimiser.state[p] = state
    best = math.inf if metadata["best"] is None else metadata["best"]
    return metadata["step"], best, metadata["seconds"]


def read_training(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and recipe of an `averaged.safetensors`, a `best.safetensors` or a weights file."""
    if not path.is_file():
        raise BenchmarkError(f"there is no training at {path}")
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        recipe: dict[str, Any] = json.loads(file.metadata()["training"])
    return tensors, recipe
