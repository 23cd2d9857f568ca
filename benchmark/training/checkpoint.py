"""The files of a training: its state, from which it goes on exactly, and weights that others begin with.

`last.safetensors` has the tensors weight/NAME, average/NAME, buffer/NAME and those of the optimisers, such as
exp_avg/NAME; names of a discriminator are led by `opponent.`. All else is JSON in the metadata "training".
"""

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import write_tensors
from benchmark.packed import unpacked
from benchmark.reading import brief, parse_json, shown, sound
from benchmark.training.optimisers import trainable
from benchmark.training.options import Options
from benchmark.training.task import DiscriminatorTraining

DISCRIMINATOR = "opponent."
"""Before the names of a discriminator's tensors."""


@dataclass
class State:
    """What changes from step to step beside weights and optimisers.

    figures: of each step since the last row of the log; left_out: how many were left out since then.
    """

    step: int = 0
    best: float = math.inf
    seconds: float = 0.0
    figures: list[dict[str, float]] = field(default_factory=list)
    left_out: int = 0


@dataclass(frozen=True)
class Learner:
    """Trainable parameters by name, the optimiser that moves them, and buffers that the forward pass changes."""

    parameters: dict[str, nn.Parameter]
    optimiser: torch.optim.Optimizer
    buffers: dict[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> list[Tensor]:
        """Parameters and buffers."""
        return [*self.parameters.values(), *self.buffers.values()]

    def gradients(self) -> list[Tensor]:
        """Of those parameters that have one."""
        return [p.grad for p in self.parameters.values() if p.grad is not None]


def learner_of(discriminator: DiscriminatorTraining, device: torch.device) -> Learner:
    """The discriminator on `device`; its buffers (u and v of spectral norm) are its state."""
    network = discriminator.network.to(device).train()
    parameters = {f"{DISCRIMINATOR}{name}": p for name, p in network.named_parameters()}
    rate = discriminator.schedule.learning_rate
    optimiser = torch.optim.Adam(parameters.values(), lr=rate, betas=discriminator.betas)
    return Learner(parameters, optimiser, {f"{DISCRIMINATOR}{name}": b for name, b in network.named_buffers()})


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """A safetensors file, complete or not there: written beside, on the disk, and moved into place."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_tensors(path, plain, {"training": json.dumps(metadata)})


def save_state(
    path: Path,
    description: dict[str, Any],
    options: Options,
    learners: list[Learner],
    average: dict[str, Tensor],
    state: State,
) -> None:
    """Writes all that a training needs to go on. description: of the task, which must be equal then."""
    tensors: dict[str, Tensor] = {f"average/{name}": value for name, value in average.items()}
    for learner in learners:
        tensors |= {f"buffer/{name}": buffer for name, buffer in learner.buffers.items()}
        for name, p in learner.parameters.items():
            tensors[f"weight/{name}"] = p
            for key, value in learner.optimiser.state.get(p, {}).items():
                tensors[f"{key}/{name}"] = torch.as_tensor(value)
    best = None if math.isinf(state.best) else state.best
    save_tensors(path, tensors, asdict(state) | {"best": best, "task": description, **options.fixed})


def load_state(
    path: Path,
    description: dict[str, Any],
    options: Options,
    learners: list[Learner],
    average: dict[str, Tensor],
) -> State:
    """Reads what `save_state` wrote into learners and average. Raises UsageError if it is of another training, and
    BenchmarkError if the file is damaged."""
    metadata = _metadata(path)
    with sound(shown(path), "the state of a training", (SafetensorError,)), safe_open(path, "pt") as file:
        check_finite(path, ((name, file.get_tensor(name)) for name in file.keys()))  # noqa: SIM118
        _refuse_other(path, metadata, description, options)
        states: dict[str, set[str]] = {}
        for key in file.keys():  # noqa: SIM118
            kind, _, name = key.partition("/")
            states.setdefault(name, set()).add(kind)
        for learner in learners:
            _load_learner(file, learner, states)
        with torch.no_grad():
            for name, value in average.items():
                copy_exactly(value, file, f"average/{name}")
        best = math.inf if metadata["best"] is None else number(metadata["best"])
        figures = [{key: number(value) for key, value in row.items()} for row in metadata.get("figures") or []]
        step, left_out = whole(metadata["step"]), whole(metadata.get("left_out", 0))
        return State(step, best, number(metadata["seconds"]), figures, left_out)


class Recipe(dict[str, Any]):
    """What a file of a training says of it; a field that is not there is a BenchmarkError that names the file."""

    def __init__(self, path: Path, content: Any) -> None:
        if not isinstance(content, dict):
            raise BenchmarkError(f"{shown(path)}: its recipe is no table")
        super().__init__(content)
        self.path = path

    def __missing__(self, key: str) -> Any:
        raise BenchmarkError(f"{shown(self.path)}: its recipe has no {key}")


def check_finite(path: Path, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Raises BenchmarkError if a tensor of the file `path` has numbers that are not finite."""
    for key, tensor in tensors:
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BenchmarkError(f"{shown(path)}: {brief(key)} has values that are not finite")


def copy_exactly(into: Tensor, file: Any, key: str) -> None:
    """A tensor of a file into one of its shape; copy_ alone would spread a smaller one. Raises ValueError."""
    tensor = file.get_tensor(key)
    if tensor.shape != into.shape:
        raise ValueError(f"{key} is {tuple(tensor.shape)}, not {tuple(into.shape)}")
    into.copy_(tensor)


def number(value: Any) -> float:
    """A number from JSON. Raises ValueError on anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no number")
    return value


def whole(value: Any) -> int:
    """A whole number of at least 0 from JSON. Raises ValueError on anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no whole number of at least 0")
    return value


def _metadata(path: Path) -> Recipe:
    """What stands under "training" in a safetensors file. Raises BenchmarkError if that is damaged or not there."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise BenchmarkError(f"{shown(path)} is not a sound safetensors file: {brief(error)}") from error
    if "training" not in metadata:
        raise BenchmarkError(f"{shown(path)} holds no training")
    return Recipe(path, parse_json(metadata["training"], shown(path), finite=False))


def _refuse_other(path: Path, metadata: dict[str, Any], description: dict[str, Any], options: Options) -> None:
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
    for key, value in options.fixed.items():
        if metadata.get(key, value) != value:
            raise UsageError(f"{path.parent} holds a training with {key} {metadata[key]}, not {value}")


def _load_learner(file: Any, learner: Learner, states: dict[str, set[str]]) -> None:
    """Weights, buffers and the state of the optimiser; states: what the file has of each name."""
    with torch.no_grad():
        for name, buffer in learner.buffers.items():
            copy_exactly(buffer, file, f"buffer/{name}")
        for name, p in learner.parameters.items():
            copy_exactly(p, file, f"weight/{name}")
    for name, p in learner.parameters.items():
        if own := states[name] - {"weight", "average"}:
            learner.optimiser.state[p] = {
                key: file.get_tensor(f"{key}/{name}").to(p.device if key != "step" else "cpu") for key in own
            }


# Weights for others


def read_training(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and recipe of an `averaged.safetensors`, a `best.safetensors`, a step left out, or a weights file."""
    if not path.is_file():
        raise BenchmarkError(f"there is no training at {path}")
    recipe = _metadata(path)
    with sound(shown(path), "a sound safetensors file", (SafetensorError,)), safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        tensors = unpacked(tensors, file.metadata() or {}, shown(path))
        check_finite(path, tensors.items())
    return tensors, recipe


def fitting_weights(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """The weights in `path`, of a training or a weights file, by their names in `network`.

    What is not trainable is left out. Raises BenchmarkError if they are of another architecture.
    """
    tensors, _ = read_training(path)
    names = trainable(network)
    buffers = network.state_dict().keys() - names.keys()
    tensors = {name: tensor for name, tensor in tensors.items() if name not in buffers}
    misfits = [name for name, p in names.items() if name in tensors and tensors[name].shape != p.shape]
    misfits += sorted(tensors.keys() - names.keys())
    if misfits:
        raise BenchmarkError(f"{path} is of another architecture: {misfits[0]} does not fit")
    return tensors


def begin_with(path: Path, network: nn.Module, console: Console) -> None:
    """Copies the weights in `path` into `network`; says which it lacks. Raises as `fitting_weights` does."""
    tensors, names = fitting_weights(path, network), trainable(network)
    if new := sorted(names.keys() - tensors.keys()):
        console.print(f"{path.name} has no {new[0]} ({len(new)} such): they begin untrained", markup=False)
    with torch.no_grad():
        for name in tensors:
            names[name].copy_(tensors[name])


def fill_averaged(network: nn.Module, averaged: dict[str, Tensor], path: Path) -> None:
    """Copies the averaged weights in `path` into `network`. Raises BenchmarkError on a misfit.

    What a weights file holds besides, which is not trained, is left out: the network computes it anew.
    """
    own = dict(network.named_parameters())
    averaged = {name: tensor for name, tensor in averaged.items() if name in own or name not in network.state_dict()}
    misfits = own.keys() ^ averaged.keys() or {n for n in own if own[n].shape != averaged[n].shape}
    if misfits:
        raise BenchmarkError(f"{path} is of another architecture: {sorted(misfits)[0]} does not fit")
    network.load_state_dict(averaged, strict=False)


@contextmanager
def weights_in_place(parameters: dict[str, nn.Parameter], values: dict[str, Tensor]) -> Iterator[None]:
    """Inside the `with` the parameters have `values`."""
    kept = {name: p.detach().clone() for name, p in parameters.items()}
    with torch.no_grad():
        for name, p in parameters.items():
            p.copy_(values[name])
    try:
        yield
    finally:
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(kept[name])
