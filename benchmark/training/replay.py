"""Steps that were left out: their evidence is kept, and each can be computed once more."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmark.errors import BenchmarkError
from benchmark.training.checkpoint import read_training, save_tensors
from benchmark.training.options import Options
from benchmark.training.parts import add_gradient, make_part, to_device
from benchmark.training.task import Batch, Task

KEPT_LEFT_OUT = 20
"""So many of the steps left out are kept as files."""


def keep_left_out(folder: Path, step: int, network: nn.Module, evidence: dict[str, Any]) -> None:
    """The weights before a step that was left out, with all that `replay` needs; at most KEPT_LEFT_OUT of them."""
    folder.mkdir(exist_ok=True)
    path = folder / f"step-{step}.safetensors"
    if path.exists() or len(list(folder.glob("step-*.safetensors"))) < KEPT_LEFT_OUT:
        save_tensors(path, dict(network.named_parameters()), evidence)


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
        raise BenchmarkError(f"{path} is no step of this training: network, images or sizes are others")
    network = task.network.train()
    names = dict(network.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            names[name].copy_(tensor)
    options = Options(path.parent, precision=evidence["precision"])
    device = next(network.parameters()).device
    for part in range(evidence.get("parts", 1)):
        network.zero_grad(set_to_none=True)
        noise, batch = make_part(task, evidence["seed"], evidence["step"], part)
        noise, batch = to_device(noise, batch, device)
        figures = add_gradient(task, evidence["step"], noise, batch, options)
        norms = {name: float(p.grad.norm()) for name, p in names.items() if p.grad is not None}
        ordered = dict(sorted(norms.items(), key=lambda item: -item[1]))
        yield ReplayedPart(noise, batch, figures, math.hypot(*norms.values()), ordered)
