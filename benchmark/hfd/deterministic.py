"""The same floats for any number of threads.

On the CPU, oneDNN splits the sums of 1×1 and transposed convolutions differently when the number of threads changes,
which moves results by 1e-6 and so flips a pixel here and there. Those layers, a few percent of the work, run on one
thread; the other convolutions are split over outputs only and need no care. `tests/hfd/test_deterministic.py` holds
this against the installed library.
"""

from typing import Any, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def _splits_sums(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.kernel_size == (1, 1)
    return isinstance(layer, (nn.ConvTranspose2d, nn.Linear))


def independent_of_threads(network: Network) -> Network:
    """`network`, changed in place so that its results on the CPU do not depend on `torch.get_num_threads()`."""
    for layer in network.modules():
        if _splits_sums(layer):
            threads: list[int] = []

            def enter(_: nn.Module, __: Any, threads: list[int] = threads) -> None:
                threads.append(torch.get_num_threads())
                torch.set_num_threads(1)

            def leave(_: nn.Module, __: Any, ___: Any, threads: list[int] = threads) -> None:
                torch.set_num_threads(threads.pop())

            layer.register_forward_pre_hook(enter)
            layer.register_forward_hook(leave)
    return network
