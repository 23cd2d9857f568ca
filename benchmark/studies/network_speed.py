"""How fast the U-Net runs beside its bare convolutions, and where the rest of the time goes.

`python -m benchmark.studies.network_speed [--height 512] [--width 768] [--rounds 5]` prints a line for each way to run
it; then, for the decoders' way, its rate over that of its convolutions alone and the shares of torch's operators.
One thread, processor time, the ways in turn, the least of the rounds.
"""

import argparse
import copy
import time
from collections.abc import Callable, Mapping
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmark.hfd import inference
from benchmark.hfd.codec import DECODER_FILES
from benchmark.hfd.deterministic import on_one_thread
from benchmark.hfd.inference import StepNetwork
from benchmark.hfd.score import load_score_network
from benchmark.hfd.unet import UNet
from benchmark.hfd.weights import SHIPPED

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
    total = 0

    def count(module: nn.Module, _: object, out: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += module.weight.numel() * out.shape[-2] * out.shape[-1]

    hooks = [m.register_forward_hook(count) for m in unet.modules() if isinstance(m, nn.Conv2d)]
    unet(*given)
    for hook in hooks:
        hook.remove()
    return total


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


@torch.inference_mode()
@on_one_thread()
def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.network_speed", description=__doc__)
    parser.add_argument("--height", type=int, default=512, help="a multiple of 8")
    parser.add_argument("--width", type=int, default=768, help="a multiple of 8")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.height % 8 or arguments.width % 8 or min(arguments.height, arguments.width, arguments.rounds) < 1:
        parser.error("height and width must be multiples of 8, and all three numbers positive")
    unet = load_score_network(SHIPPED / DECODER_FILES["flow"], "flow")[0].unet
    given = inputs(arguments.height, arguments.width)
    ways, operations = ways_to_run(unet, given), multiplications(unet, given)
    print(f"{'':50}       ms  GMAC/s")
    seconds = least_seconds(ways, arguments.rounds)
    for name, value in seconds.items():
        rate = "" if name.startswith("folding") else f"{operations / value / 1e9:8.1f}"
        print(f"{name:50} {1e3 * value:8.1f}{rate}")
    for precision in ("", ", bfloat16"):
        alone, name = (
            f"convolutions alone, channels last{precision}",
            f"FiLM folded, channels last, in strips{precision}",
        )
        print(f"\n{name}: {seconds[alone] / seconds[name]:.2f} of the rate of its convolutions")
        for operator, share in shares(ways[name])[:10]:
            print(f"  {operator:48} {100 * share:7.1f} %")


if __name__ == "__main__":
    main()
