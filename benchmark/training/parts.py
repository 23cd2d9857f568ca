"""What a step is made of: parts, each a batch and the seed of its noise, and their gradients.

A step has as many parts as there are processes times the batches that each accumulates. What is random in part p of
step n depends on the seed, n and p alone. So two processes do what one does that accumulates two batches, up to the
rounding of float sums.
"""

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from benchmark.training.options import Options
from benchmark.training.processes import Processes
from benchmark.training.task import Batch, DiscriminatorTraining, Task

BATCHES_AHEAD = 2
"""On a GPU so many batches are made while it works."""


def make_part(task: Task, seed: int, step: int, part: int) -> tuple[int, Batch]:
    """Seed of the noise, and batch, of one part of a step."""
    generator = np.random.default_rng([seed, step, part])  # for part 0 the same as [seed, step]
    return int(generator.integers(2**62)), task.batch(generator)


def own_parts(
    task: Task, options: Options, processes: Processes, first: int, steps: int
) -> Generator[tuple[int, Batch], None, None]:
    """This process's parts, step after step, on its device: on a GPU made ahead by a thread."""

    def make(step: int, part: int) -> tuple[int, Batch]:
        return make_part(task, options.seed, step, part)

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
                yield to_device(*coming.popleft().result(), processes.device)
        while coming:
            yield to_device(*coming.popleft().result(), processes.device)


def to_device(noise: int, batch: Batch, device: torch.device) -> tuple[int, Batch]:
    """A part with its batch on `device`."""
    return noise, tuple(tensor.to(device) for tensor in batch)


def add_gradient(
    task: Task,
    step: int,
    noise: int,
    batch: Batch,
    options: Options,
    discriminator: DiscriminatorTraining | None = None,
) -> dict[str, float]:
    """Adds the gradient of one part and returns its figures, the loss that was differentiated as "whole"."""
    torch.manual_seed(noise)
    figures: dict[str, float] = {}
    for compute in (task.loss, *([] if discriminator is None else [discriminator.loss])):
        with torch.autocast(batch[0].device.type, torch.bfloat16, enabled=options.precision == "bf16"):
            loss, values = compute(step, *batch)
        (loss / options.accumulate).backward()  # type: ignore[no-untyped-call]
        figures = {"whole": float(loss.detach()), **values} if not figures else figures | values
    return figures
