"""What moves the weights: Muon or Adam, and which weights there are to move."""

from typing import Any

import torch
from torch import nn

from benchmark.errors import UsageError
from benchmark.training.muon import Muon

ADAM, MUON = "adam", "muon"
OPTIMISERS = (MUON, ADAM)
"""What learns faster here stands in `reports/trainings/HISTORY.md`."""


def open_optimiser(name: str, groups: list[dict[str, Any]], learning_rate: float) -> torch.optim.Optimizer:
    """The optimiser called `name` for parameter groups; "scale" multiplies a group's learning rate. UsageError."""
    if name == MUON:
        return Muon(groups, lr=learning_rate)
    if name == ADAM:
        return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
    raise UsageError(f"there is no optimiser {name!r}; there are {', '.join(OPTIMISERS)}")


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Gives each group `rate` times its "scale", 1 where it has none."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)


def trainable(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters with `requires_grad`, by name."""
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """One group: all trainable weights alike."""
    return [{"params": list(trainable(network).values()), "scale": 1.0}]
