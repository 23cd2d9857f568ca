"""What is trained: a network with its batches, loss and check, and beside it perhaps a discriminator."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from benchmark.training.options import Schedule

Batch = tuple[Tensor, ...]


class Task(Protocol):
    """What is trained: a network, its batches, its loss, and its check on held-out images."""

    @property
    def network(self) -> nn.Module:
        """The parameters that are trained are those with `requires_grad`."""
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
        """Figures on held-out images with the averaged weights in place; "score" is the one to be low."""
        ...

    def describe(self) -> dict[str, Any]:
        """What must be equal for a training to go on: sizes, data."""
        ...


@dataclass(frozen=True)
class DiscriminatorTraining:
    """How the discriminator of a GAN learns beside the network: on the same batches, one step for one step, by Adam.

    loss: as `Task.loss`, called right after that for the same step and batch, with the same precision; its figures
    stand in the same line of the log, so their names must differ. schedule: of its learning rate.
    """

    network: nn.Module
    loss: Callable[..., tuple[Tensor, dict[str, float]]]
    schedule: Schedule
    betas: tuple[float, float] = (0.5, 0.99)
