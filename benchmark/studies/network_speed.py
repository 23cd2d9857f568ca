"""How fast the U-Net runs beside its bare convolutions, and where the rest of the time goes.

`python -m benchmark studies network-speed` prints a line per way to run it; then, for the decoders' way, its rate over
that of its convolutions alone and the shares of torch's operators. One thread, processor time, the ways in turn, the
least of the rounds.
"""

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmark.errors import UsageError
from benchmark.hfd import inference
from benchmark.hfd.decoders import KINDS
from benchmark.hfd.deterministic import on_one_thread
from benchmark.hfd.inference import StepNetwork
from benchmark.hfd.score import load_score_network
from benchmark.hfd.unet import UNet
from benchmark.hfd.weights import SHIPPED
from benchmark.macs import count_macs

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]
"""z and x̂ (1, 3, H, W), t and quality (1,), as `UNet.forward` has them."""


def inputs(height: int, width: int) -> Inputs:
    """Random ones."""
    generator = torch.Generator().manual_seed(0)
    z, x_hat = torch.randn(2, 1, 3, height, width, generator=generator)
    return z, x_hat, torch.tensor([0.3]), torch.tensor([0.4])


def least_seconds(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Processor time of each, the least of `rounds`, all in turn, so that a busy machine disturbs all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):  # the first one warms up
        for name, way in ways.items():
            start = time.process_time()
            way()
            seconds[name].append(time.process_time() - start)
    return {name: min(values[1:]) for name, values in seconds.items()}


def convolutions_alone(
    unet: UNet, given: Inputs, dtype: torch.dtype, layout: torch.memory_format
) -> Callable[[], None]:
    """The convolutions of `unet.forward`, one after the other, each on an input of the shape that it has there."""
    found: list[tuple[nn.Module, Tensor]] = []
    hooks = [
        module.register_forward_pre_hook(lambda module, given: found.append((module, given[0])))
        for module in unet.modules()
        if isinstance(module, nn.Conv2d)
    ]
    unet(*given)
    for hook in hooks:
        hook.remove()
    layers = [
        (copy.deepcopy(module).to(dtype).to(memory_format=layout), x.to(dtype).contiguous(memory_format=layout))  # type: ignore[call-overload]
        for module, x in found
    ]

    def run() -> None:
        for layer, x in layers:
            layer(x)

    return run


def multiplications(unet: UNet, given: Inputs) -> int:
    """Of the convolutions of one evaluation."""
    return count_macs(lambda: unet(*given), [module for module in unet.modules() if isinstance(module, nn.Conv2d)])


def ways_to_run(unet: UNet, given: Inputs) -> dict[str, Callable[[], object]]:
    """Name -> one evaluation of the network, or of its convolutions alone."""
    z, x_hat, t, quality = given
    plain, last = torch.contiguous_format, torch.channels_last
    step, step_bfloat16 = StepNetwork(unet, t, quality), StepNetwork(unet, t, quality, "bfloat16")

    def autocast() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            out: Tensor = unet(*given)
        return out

    def in_one_strip() -> Tensor:
        with patch.object(inference, "STRIP_BYTES", 2**62):
            return step(z, x_hat)

    return {
        "convolutions alone": convolutions_alone(unet, given, torch.float32, plain),
        "convolutions alone, channels last": convolutions_alone(unet, given, torch.float32, last),
        "convolutions alone, channels last, bfloat16": convolutions_alone(unet, given, torch.bfloat16, last),
        "as it is trained": lambda: unet(*given),
        "as it is trained, bfloat16 autocast": autocast,
        "FiLM folded, channels last, in one strip": in_one_strip,
        "FiLM folded, channels last, in strips": lambda: step(z, x_hat),
        "FiLM folded, channels last, in strips, bfloat16": lambda: step_bfloat16(z, x_hat),
        "folding, once a step": lambda: StepNetwork(unet, t, quality),
    }


def shares(run: Callable[[], object]) -> list[tuple[str, float]]:
    """Share of each of torch's operators in the time of `run`, the largest first."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        run()
    times = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    total = sum(times.values())
    return sorted(((name, value / total) for name, value in times.items()), key=lambda pair: -pair[1])


@dataclass(frozen=True)
class NetworkSpeed:
    """seconds: of each way to run the network. operations: multiply-accumulates of its convolutions.

    operators: way -> operators of torch with their shares of its time, the largest first.
    """

    seconds: Mapping[str, float]
    operations: int
    operators: Mapping[str, Sequence[tuple[str, float]]]


@torch.inference_mode()
@on_one_thread()
def measure(height: int = 512, width: int = 768, rounds: int = 5) -> NetworkSpeed:
    """Of the flow's network for an image of height×width. Raises UsageError on other than positive multiples of 8."""
    if height % 8 or width % 8 or min(height, width, rounds) < 1:
        raise UsageError("--height and --width must be positive multiples of 8, and --rounds positive")
    unet = load_score_network(SHIPPED / KINDS["flow"].shipped_file(), "flow")[0].unet
    given = inputs(height, width)
    ways, operations = ways_to_run(unet, given), multiplications(unet, given)
    seconds = least_seconds(ways, rounds)
    return NetworkSpeed(seconds, operations, {name: shares(ways[name])[:10] for _, name in _COMPARED})


def lines(speed: NetworkSpeed) -> Iterator[str]:
    """A table of the ways, then for two of them the rate over their convolutions' and the operators."""
    yield f"{'':50}       ms  GMAC/s"
    for name, value in speed.seconds.items():
        rate = "" if name.startswith("folding") else f"{speed.operations / value / 1e9:8.1f}"
        yield f"{name:50} {1e3 * value:8.1f}{rate}"
    for alone, name in _COMPARED:
        yield f"\n{name}: {speed.seconds[alone] / speed.seconds[name]:.2f} of the rate of its convolutions"
        for operator, share in speed.operators[name]:
            yield f"  {operator:48} {100 * share:7.1f} %"


_COMPARED = [
    (f"convolutions alone, channels last{precision}", f"FiLM folded, channels last, in strips{precision}")
    for precision in ("", ", bfloat16")
]
