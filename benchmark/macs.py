"""How much networks compute: multiply-accumulates of convolutions and matrix products, counted while they run."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_macs(run: Callable[[], Any], within: Iterable[nn.Module] | None = None) -> int:
    """Multiply-accumulates (MAC) while `run` runs, without gradients: of its whole batch.

    within: only what these modules or modules in them compute, each once; None counts everything, also what functions
    compute. Two floating-point operations are one MAC. Additions of biases, norms and activations count nothing, as is
    usual. What runs in other processes or outside of torch is not seen.
    """
    total = depth = 0
    before = 0
    with torch.no_grad(), FlopCounterMode(display=False) as counter:

        def enter(module: nn.Module, inputs: object) -> None:
            nonlocal depth, before
            if depth == 0:
                before = counter.get_total_flops()
            depth += 1

        def leave(module: nn.Module, inputs: object, output: object) -> None:
            nonlocal depth, total
            depth -= 1
            if depth == 0:
                total += counter.get_total_flops() - before

        watched = {inner for module in within or () for inner in module.modules()}
        handles = [module.register_forward_pre_hook(enter) for module in watched]
        handles += [module.register_forward_hook(leave, always_call=True) for module in watched]
        try:
            run()
        finally:
            for handle in handles:
                handle.remove()
        if within is None:
            total = counter.get_total_flops()
    return total // 2
