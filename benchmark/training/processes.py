"""Where a training runs: one process on the CPU or a GPU, or several that share each step, through `accelerate`.

`accelerate launch --multi_gpu --num_processes 4 -m benchmark train …` starts one for each GPU; so does torchrun, on
CPUs as well, where accelerate's launcher starts a single one. Gradients are averaged in one go after the backward pass:
for the largest network here they are 258 MB a step, and nothing in networks or losses has to know of it.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor

from benchmark.errors import UsageError, needs
from benchmark.training.precision import check_accelerate

LONGEST_WAIT = timedelta(hours=2)
"""For the first process, which alone decodes the images and checks on held-out ones."""


@dataclass(frozen=True)
class Processes:
    """This process among those of a training: its device, its number from 0, how many there are."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this one writes and prints."""
        return self.rank == 0

    @torch.no_grad()
    def mean_(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each float32 tensor by its mean over all processes, the same bits in each of them."""
        if self.count == 1:
            return
        from accelerate.utils import reduce

        flat = reduce(torch.cat([tensor.flatten() for tensor in tensors]), reduction="mean")
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    @torch.no_grad()
    def copy_first_(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor by that of the first process."""
        if self.count > 1:
            from accelerate.utils import broadcast

            for tensor in tensors:
                if tensor.numel():
                    tensor.copy_(broadcast(tensor.detach().clone()))

    def wait(self) -> None:
        """Returns when all processes have come here."""
        if self.count > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """The first process runs what is within while the others wait; then they run it, and find its files."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()


def open_processes(precision: str = "float32") -> Processes:
    """This process, with a GPU if there is one. precision: as a recipe has it.

    Raises UsageError if there are several processes and no `accelerate`, or if accelerate was set to another precision.
    """
    check_accelerate(precision)
    on_cpu = os.environ.get("ACCELERATE_USE_CPU", "false").lower() in ("1", "true", "yes", "on")
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes(torch.device("cuda" if torch.cuda.is_available() and not on_cpu else "cpu"))
    try:
        from accelerate import InitProcessGroupKwargs, PartialState
    except ImportError as error:
        raise UsageError(needs("a training in several processes", "accelerate")) from error
    options = InitProcessGroupKwargs(timeout=LONGEST_WAIT).to_kwargs()
    state = PartialState(cpu=on_cpu or not torch.cuda.is_available(), **options)
    return Processes(state.device, state.process_index, state.num_processes)
