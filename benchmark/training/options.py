"""How a training runs: schedule of the learning rate, and options."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.training.optimisers import MUON

LARGEST_NORM = 1e3
"""A step whose gradient is longer is left out: clipped to a sensible length it would say nothing about the rest.

Seen in three places of 7000 steps of an early first stage, most likely where one crop woke a branch whose activations
had run away (see `transforms.NormalisedBlock`). The evidence is kept, see `replay`.
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

    @property
    def fixed(self) -> dict[str, Any]:
        """What must be equal for a training to go on, beside the task."""
        return {"seed": self.seed, "optimiser": self.optimiser}
