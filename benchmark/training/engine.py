"""One training loop for every network of the suite: schedule, average of the weights, checkpoints, exact resume, log.

A training is a folder: `log.csv` (a line every few steps), `checks.csv` (figures on held-out pictures),
`last.safetensors` (everything needed to go on: weights, their average, optimiser state, step, the figures since the
last line), `best.safetensors` (the averaged weights that did best on held-out pictures), `left-out/` (the evidence of
steps that were left out).

A step is made of parts, a batch each: as many as there are processes times the batches that each accumulates. What is
random in part p of step n depends on the seed, n and p alone. So a training that was stopped, or killed, goes on as if
it had not been, and two processes do what one does that accumulates two batches, up to the rounding of float sums.

A network can have an opponent, a second network that learns on the same batches with an optimiser of its own, one step
for one step: the discriminator of a GAN. It is part of every checkpoint.
"""

import csv
import json
import math
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rich.console import Console
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmark.errors import BenchmarkError, UsageError
from benchmark.training.muon import Muon
from benchmark.training.processes import Processes, open_processes

LARGEST_NORM = 1e3
"""A step whose gradient is longer is left out: clipped to a sensible length it would say nothing about the rest.

Seen in three places of 7000 steps of an early first stage, most likely where one crop woke a branch whose activations
had run away (see `transforms.NormalisedBlock`). The evidence is kept, see `replay`.
"""

KEPT_LEFT_OUT = 20
"""So many of the steps left out are kept as files."""

BATCHES_AHEAD = 2
"""On a GPU so many batches are made while it works."""

Batch = tuple[Tensor, ...]

ADAM, MUON = "adam", "muon"
OPTIMISERS = (MUON, ADAM)
"""What learns faster here stands in `weights/first-stage-small/tried.md`."""


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
    """What is trained: a network, its batches, its loss, and its check on held-out pictures."""

    @property
    def network(self) -> nn.Module:
        """The parameters that move are those with `requires_grad`."""
        ...

    def batch(self, generator: np.random.Generator) -> Batch:
        """The tensors of one batch, on the CPU; all that is random in them comes from `generator`."""
        ...

    def loss(self, step: int, *batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch on the network's device, and figures for the log.

        A figure "loss" stands there in place of the whole. Noise comes from torch's own generator.
        """
        ...

    def check(self) -> dict[str, float]:
        """Figures on held-out pictures with the averaged weights in place; "score" is the one to be low."""
        ...

    def describe(self) -> dict[str, Any]:
        """What must be equal for a training to go on: sizes, data."""
        ...


@dataclass(frozen=True)
class Opponent:
    """A second network that learns beside the first: the discriminator of a GAN. Adam moves it.

    loss: as `Task.loss`, called right after that for the same step and batch, with the same precision; its figures
    stand in the same line of the log, so their names must differ. schedule: of its learning rate.
    """

    network: nn.Module
    loss: Callable[..., tuple[Tensor, dict[str, float]]]
    schedule: Schedule
    betas: tuple[float, float] = (0.5, 0.99)


@dataclass
class Options:
    """How a training runs.

    ema_decay: of the averaged weights; clip: gradients are shortened to this norm; largest_norm: longer ones are left
    out; precision: "float32", or "bf16" for autocast; accumulate: batches that each process adds up for one step;
    optimiser: "muon" or "adam".
    """

    output: Path
    seed: int = 0
    ema_decay: float = 0.9995
    clip: float = 2.0
    log_every: int = 50
    check_every: int = 1000
    checkpoint_seconds: float = 240.0
    precision: str = "float32"
    accumulate: int = 1
    largest_norm: float = LARGEST_NORM
    optimiser: str = MUON


@dataclass
class _State:
    """What changes from step to step beside weights and optimiser.

    figures: of each step since the last line of the log; left_out: how many were left out since then.
    """

    step: int = 0
    best: float = math.inf
    seconds: float = 0.0
    figures: list[dict[str, float]] | None = None
    left_out: int = 0


def train(
    task: Task,
    schedule: Schedule,
    options: Options,
    groups: Callable[[nn.Module], list[dict[str, Any]]],
    console: Console,
    start: Path | None = None,
    processes: Processes | None = None,
    opponent: Opponent | None = None,
) -> Path:
    """Trains to `schedule.steps` and returns the path of the averaged weights, `averaged.safetensors`.

    groups: parameter groups of the optimiser; "scale" multiplies a group's learning rate. start: weights of an earlier
    training to begin with. processes: None for this one alone; of several the first writes. opponent: learns beside the
    network and stays in `last.safetensors`. Goes on from
    `last.safetensors` if the folder has one, which every process must see. Ctrl-C ends it cleanly after the step in
    hand. Raises BenchmarkError when a gradient is not finite.
    """
    processes = processes or open_processes(options.precision)
    options.output.mkdir(parents=True, exist_ok=True)
    network = task.network.to(processes.device)
    names = _moving(network)
    if start is not None:
        _begin_with(start, network, console)
    optimiser = _open_optimiser(options.optimiser, groups(network), schedule.learning_rate)
    rival = None if opponent is None else _open_rival(opponent, processes.device)
    players = [_Player(names, optimiser), *([] if rival is None else [rival])]
    processes.copy_first_([t for player in players for t in player.tensors()] + [*network.buffers()])
    average = {name: p.detach().clone() for name, p in names.items()}
    parts = processes.count * options.accumulate
    # a training in one part is described as it was before there were others, so that it can go on
    description = task.describe() | ({"parts": parts} if parts > 1 else {})
    last = options.output / "last.safetensors"
    state = _State()
    if last.exists():
        state = _load_state(last, description, options, players, average)
        if processes.first:
            console.print(f"goes on from step {state.step} of {schedule.steps}")
    recipe = {"schedule": asdict(schedule), "precision": options.precision, **_kept(options), **description}
    if processes.first:
        _cut_table(options.output / "log.csv", state.step)
        _cut_table(options.output / "checks.csv", state.step)
        (options.output / "recipe.json").write_text(json.dumps(recipe, indent=1) + "\n")
    processes.wait()

    def save() -> None:
        if processes.first:
            _save_state(last, description, options, players, average, state)

    begun, saved, first = time.monotonic() - state.seconds, time.monotonic(), state.step
    figures = state.figures = state.figures or []
    batches = _batches(task, options, processes, state.step, schedule.steps)
    with _stop_cleanly() as stopped, closing(batches):
        halt = False
        while state.step < schedule.steps and not halt:
            step, rate = state.step, schedule.at(state.step)
            for group in optimiser.param_groups:
                group["lr"] = rate * group.get("scale", 1.0)
            optimiser.zero_grad(set_to_none=True)
            if opponent is not None and rival is not None:
                for group in rival.optimiser.param_groups:
                    group["lr"] = opponent.schedule.at(step)
                rival.optimiser.zero_grad(set_to_none=True)
            values: dict[str, float] = {}
            for _ in range(options.accumulate):
                for key, value in _backward(task, step, *next(batches), options, opponent).items():
                    values[key] = values.get(key, 0.0) + value / options.accumulate
            values, halt = _join(processes, players, values, stopped())
            norm = float(nn.utils.clip_grad_norm_(names.values(), options.clip))
            if not math.isfinite(norm):
                raise BenchmarkError(f"the gradient of step {step} is not finite; {last} has the last good state")
            if rival is not None:
                values["opponent_norm"] = float(nn.utils.get_total_norm(rival.gradients()))
                if not math.isfinite(values["opponent_norm"]):
                    raise BenchmarkError(
                        f"the opponent's gradient of step {step} is not finite; {last} has the last good state"
                    )
            if norm > options.largest_norm:
                state.left_out += 1
                if processes.first:
                    console.print(f"step {step}: gradient norm {norm:.3g}, left out")
                    evidence = recipe | {"step": step, "norm": norm, "figures": values}
                    _keep_left_out(options.output / "left-out", step, network, evidence)
            else:
                for player in players:
                    player.optimiser.step()
                decay = min(options.ema_decay, (1 + step) / (10 + step))
                with torch.no_grad():
                    torch._foreach_lerp_(list(average.values()), list(names.values()), 1 - decay)
                loss = values.pop("whole")
                figures.append({"loss": loss, "gradient_norm": norm, **values})
            state.step = step = step + 1
            state.seconds = time.monotonic() - begun
            if step % options.log_every == 0:
                row = {key: float(np.mean([f[key] for f in figures])) for key in figures[-1]} if figures else {}
                place = {"step": step, "seconds": round(state.seconds, 1), "rate": rate}
                if processes.first:
                    _append_row(options.output / "log.csv", place | row | {"left_out": state.left_out})
                figures.clear()
                state.left_out = 0
                left = (state.seconds / step) * (schedule.steps - step)
                if processes.first and (step % (10 * options.log_every) == 0 or step - first == options.log_every):
                    loss_now = f"loss {row['loss']:.4f}" if row else "all left out"
                    console.print(f"step {step}/{schedule.steps}  {loss_now}  {left / 60:.0f} min left")
            if processes.first and (step % options.check_every == 0 or step == schedule.steps):
                checked = _check_averaged(task, names, average)
                place = {"step": step, "seconds": round(state.seconds, 1)}
                _append_row(options.output / "checks.csv", place | checked)
                console.print(f"step {step}: " + "  ".join(f"{k} {v:.4f}" for k, v in checked.items()))
                if checked["score"] < state.best:
                    state.best = checked["score"]
                    _save(options.output / "best.safetensors", average, recipe | {"step": step})
            if time.monotonic() - saved > options.checkpoint_seconds or step == schedule.steps:
                save()
                saved = time.monotonic()
    save()
    averaged = options.output / "averaged.safetensors"
    if processes.first:
        _save(averaged, average, recipe | {"step": state.step})
    processes.wait()
    return averaged


def _open_optimiser(name: str, groups: list[dict[str, Any]], learning_rate: float) -> torch.optim.Optimizer:
    if name == MUON:
        return Muon(groups, lr=learning_rate)
    if name == ADAM:
        return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
    raise UsageError(f"there is no optimiser {name!r}; there are {', '.join(OPTIMISERS)}")


@dataclass(frozen=True)
class _Player:
    """Parameters by name, the optimiser that moves them, and buffers that the forward pass changes."""

    names: dict[str, nn.Parameter]
    optimiser: torch.optim.Optimizer
    buffers: dict[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> list[Tensor]:
        """Parameters and buffers."""
        return [*self.names.values(), *self.buffers.values()]

    def gradients(self) -> list[Tensor]:
        """Of those parameters that have one."""
        return [p.grad for p in self.names.values() if p.grad is not None]


def _open_rival(opponent: Opponent, device: torch.device) -> _Player:
    """The opponent on `device`, its names led by "opponent."; its buffers (u and v of spectral norm) are its state."""
    network = opponent.network.to(device).train()
    names = {f"opponent.{name}": p for name, p in network.named_parameters()}
    optimiser = torch.optim.Adam(names.values(), lr=opponent.schedule.learning_rate, betas=opponent.betas)
    return _Player(names, optimiser, {f"opponent.{name}": buffer for name, buffer in network.named_buffers()})


def _kept(options: Options) -> dict[str, Any]:
    """What must be equal for a training to go on, beside the task."""
    return {"seed": options.seed, "optimiser": options.optimiser}


def _make_batch(task: Task, seed: int, step: int, part: int) -> tuple[int, Batch]:
    """Seed of the noise, and batch, of one part of a step."""
    generator = np.random.default_rng([seed, step, part])  # for part 0 the same as [seed, step]
    return int(generator.integers(2**62)), task.batch(generator)


def _batches(
    task: Task, options: Options, processes: Processes, first: int, steps: int
) -> Generator[tuple[int, Batch], None, None]:
    """This process's parts, step after step, on its device: on a GPU made ahead by a thread."""

    def make(step: int, part: int) -> tuple[int, Batch]:
        return _make_batch(task, options.seed, step, part)

    own = range(processes.rank * options.accumulate, (processes.rank + 1) * options.accumulate)
    places = ((step, part) for step in range(first, steps) for part in own)
    if processes.device.type == "cpu":
        for place in places:
            yield make(*place)
        return
    with ThreadPoolExecutor(1) as pool:
        coming: deque[Future[tuple[int, Batch]]] = deque()
        for place in places:
            coming.append(pool.submit(make, *place))
            if len(coming) > BATCHES_AHEAD:
                yield _to_device(*coming.popleft().result(), processes.device)
        while coming:
            yield _to_device(*coming.popleft().result(), processes.device)


def _to_device(noise: int, batch: Batch, device: torch.device) -> tuple[int, Batch]:
    return noise, tuple(tensor.to(device) for tensor in batch)


def _backward(
    task: Task, step: int, noise: int, batch: Batch, options: Options, opponent: Opponent | None = None
) -> dict[str, float]:
    """Adds the gradient of one batch and returns its figures, the loss that was differentiated as "whole"."""
    torch.manual_seed(noise)
    figures: dict[str, float] = {}
    for compute in (task.loss, *([] if opponent is None else [opponent.loss])):
        with torch.autocast(batch[0].device.type, torch.bfloat16, enabled=options.precision == "bf16"):
            loss, values = compute(step, *batch)
        (loss / options.accumulate).backward()  # type: ignore[no-untyped-call]
        figures = {"whole": float(loss.detach()), **values} if not figures else figures | values
    return figures


def _join(
    processes: Processes, players: list[_Player], values: dict[str, float], stopped: bool
) -> tuple[dict[str, float], bool]:
    """Averages gradients and figures over the processes; whether any of them is to stop."""
    if processes.count == 1:
        return values, stopped
    numbers = torch.tensor([float(stopped), *values.values()], device=processes.device)
    processes.mean_([*(gradient for player in players for gradient in player.gradients()), numbers])
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
    """A line more; columns that the table has not had so far stay empty in its earlier lines."""
    columns: list[str] = []
    if path.exists():
        with path.open(newline="") as file:
            columns = next(csv.reader(file), [])
    if new := [key for key in row if key not in columns]:
        _write_table(path, columns + new, _read_table(path))
        columns += new
    with path.open("a", newline="") as file:
        csv.DictWriter(file, columns).writerow(row)


def _read_table(path: Path) -> list[dict[str, str]]:
    """The lines of a table, without one that was cut short."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if None not in row and None not in row.values()]


def _write_table(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    temporary = path.with_suffix(".partial")
    with temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(path)


def _cut_table(path: Path, step: int) -> None:
    """Removes the lines after `step`: a training that was killed goes on from a state older than they are."""
    if not path.exists():
        return
    rows = [row for row in _read_table(path) if row["step"].isdigit() and int(row["step"]) <= step]
    if rows:
        _write_table(path, list(rows[0]), rows)
    else:
        path.unlink()


def _save(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """A safetensors file, complete or not there: written beside, on the disk, and moved into place."""
    temporary = path.with_suffix(".partial")
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(plain, temporary, metadata={"training": json.dumps(metadata)})
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def _save_state(
    path: Path,
    description: dict[str, Any],
    options: Options,
    players: list[_Player],
    average: dict[str, Tensor],
    state: _State,
) -> None:
    tensors: dict[str, Tensor] = {f"average/{name}": value for name, value in average.items()}
    for player in players:
        tensors |= {f"buffer/{name}": buffer for name, buffer in player.buffers.items()}
        for name, p in player.names.items():
            tensors[f"weight/{name}"] = p
            for key, value in player.optimiser.state.get(p, {}).items():
                tensors[f"{key}/{name}"] = torch.as_tensor(value)
    best = None if math.isinf(state.best) else state.best
    _save(path, tensors, asdict(state) | {"best": best, "task": description, **_kept(options)})


def _keep_left_out(folder: Path, step: int, network: nn.Module, evidence: dict[str, Any]) -> None:
    """The weights before a step that was left out, with all that `replay` needs; at most KEPT_LEFT_OUT of them."""
    folder.mkdir(exist_ok=True)
    path = folder / f"step-{step}.safetensors"
    if path.exists() or len(list(folder.glob("step-*.safetensors"))) < KEPT_LEFT_OUT:
        _save(path, dict(network.named_parameters()), evidence)


@dataclass(frozen=True)
class ReplayedPart:
    """One part of a step: its batch, its figures (the loss that was differentiated is "whole"), its gradient's norm.

    noise: seed of torch's generator; norms: of the gradient of each parameter, largest first.
    """

    noise: int
    batch: Batch
    figures: dict[str, float]
    norm: float
    norms: dict[str, float]


def replay(task: Task, path: Path) -> Iterator[ReplayedPart]:
    """Computes a step that was left out once more, part by part, from its file in `left-out/`; nothing is trained.

    The same batches and the same noise: on the same kind of machine the same figures. Raises BenchmarkError if the
    task's network, data or sizes are others.
    """
    tensors, evidence = read_training(path)
    described = json.loads(json.dumps(task.describe()))
    if "norm" not in evidence or any(evidence.get(key) != value for key, value in described.items()):
        raise BenchmarkError(f"{path} is no step of this training: network, pictures or sizes are others")
    network = task.network.train()
    names = dict(network.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            names[name].copy_(tensor)
    options = Options(path.parent, precision=evidence["precision"])
    device = next(network.parameters()).device
    for part in range(evidence.get("parts", 1)):
        network.zero_grad(set_to_none=True)
        noise, batch = _make_batch(task, evidence["seed"], evidence["step"], part)
        noise, batch = _to_device(noise, batch, device)
        figures = _backward(task, evidence["step"], noise, batch, options)
        norms = {name: float(p.grad.norm()) for name, p in names.items() if p.grad is not None}
        ordered = dict(sorted(norms.items(), key=lambda item: -item[1]))
        yield ReplayedPart(noise, batch, figures, math.hypot(*norms.values()), ordered)


def _moving(network: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def fitting_weights(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """The weights in `path`, of a training or a weights file, by their names in `network`.

    What does not move in trainings is left out. Raises BenchmarkError if they are of another architecture.
    """
    tensors, _ = read_training(path)
    names = _moving(network)
    buffers = network.state_dict().keys() - names.keys()
    tensors = {name: tensor for name, tensor in tensors.items() if name not in buffers}
    misfits = [name for name, p in names.items() if name in tensors and tensors[name].shape != p.shape]
    misfits += sorted(tensors.keys() - names.keys())
    if misfits:
        raise BenchmarkError(f"{path} is of another architecture: {misfits[0]} does not fit")
    return tensors


def _begin_with(path: Path, network: nn.Module, console: Console) -> None:
    tensors, names = fitting_weights(path, network), _moving(network)
    if new := sorted(names.keys() - tensors.keys()):
        console.print(f"{path.name} has no {new[0]} ({len(new)} such): they begin untrained", markup=False)
    with torch.no_grad():
        for name in tensors:
            names[name].copy_(tensors[name])


def _load_state(
    path: Path,
    description: dict[str, Any],
    options: Options,
    players: list[_Player],
    average: dict[str, Tensor],
) -> _State:
    with safe_open(path, "pt") as file:
        metadata = json.loads(file.metadata()["training"])
        kept, asked = metadata["task"], json.loads(json.dumps(description))
        if kept | {"parts": 0} != asked | {"parts": 0}:
            missing = object()
            differing = [key for key in (kept | asked) if kept.get(key, missing) != asked.get(key, missing)]
            names = ", ".join(key for key in differing if key != "parts")
            raise UsageError(f"{path.parent} holds a training of something else ({names}); choose another output")
        if kept.get("parts", 1) != asked.get("parts", 1):
            raise UsageError(
                f"{path.parent} holds a training whose steps have {kept.get('parts', 1)} batches, here they have "
                f"{asked.get('parts', 1)}: processes times --accumulate must stay the same"
            )
        for key, value in _kept(options).items():
            if metadata.get(key, value) != value:
                raise UsageError(f"{path.parent} holds a training with {key} {metadata[key]}, not {value}")
        keys = list(file.keys())
        states: dict[str, set[str]] = {}
        for key in keys:
            kind, _, name = key.partition("/")
            states.setdefault(name, set()).add(kind)
        for player in players:
            _load_player(file, player, states)
        with torch.no_grad():
            for name, value in average.items():
                value.copy_(file.get_tensor(f"average/{name}"))
    best = math.inf if metadata["best"] is None else metadata["best"]
    figures, left_out = metadata.get("figures"), metadata.get("left_out", 0)
    return _State(metadata["step"], best, metadata["seconds"], figures, left_out)


def _load_player(file: Any, player: _Player, states: dict[str, set[str]]) -> None:
    """Weights, buffers and the state of the optimiser; states: what the file has of each name."""
    with torch.no_grad():
        for name, buffer in player.buffers.items():
            buffer.copy_(file.get_tensor(f"buffer/{name}"))
        for name, p in player.names.items():
            p.copy_(file.get_tensor(f"weight/{name}"))
    for name, p in player.names.items():
        if own := states[name] - {"weight", "average"}:
            player.optimiser.state[p] = {
                key: file.get_tensor(f"{key}/{name}").to(p.device if key != "step" else "cpu") for key in own
            }


def read_training(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and recipe of an `averaged.safetensors`, a `best.safetensors`, a step left out, or a weights file."""
    if not path.is_file():
        raise BenchmarkError(f"there is no training at {path}")
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise BenchmarkError(f"{path} is not a sound safetensors file: {error}") from error
    if "training" not in metadata:
        raise BenchmarkError(f"{path} holds no training")
    recipe: dict[str, Any] = json.loads(metadata["training"])
    return tensors, recipe
