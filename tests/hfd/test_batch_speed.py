"""Whether images of one size are faster in a batch on this CPU, network by network: `-m slow -s` prints it."""

import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from benchmark.codecs import open_codec
from benchmark.hfd.codec import HfdCodec

pytestmark = pytest.mark.slow
BATCH = 4
SIDE = 256
"""As MS-COCO is prepared."""


def networks() -> dict[str, Callable[[int], Callable[[], Tensor]]]:
    """Name -> a function of the batch size that makes the network's call."""
    from compressai.models import MeanScaleHyperprior

    codec = open_codec("hfd:decoder=diffusion")
    assert isinstance(codec, HfdCodec)
    unet, stage = codec.decoder.network.unet, codec.base.first_stage  # type: ignore[union-attr]
    hyperprior = MeanScaleHyperprior(128, 192).eval()
    height = SIDE // 16

    def hfd(n: int) -> Callable[[], Tensor]:
        z, ones = torch.randn(n, 3, SIDE, SIDE), torch.full((n,), 0.5)
        return lambda: unet(z, z, ones, ones)

    def zoo(n: int) -> Callable[[], Tensor]:
        y = torch.randn(n, 192, height, height)
        return lambda: hyperprior.g_s(y)

    def mse(n: int) -> Callable[[], Tensor]:
        x, quality = torch.rand(n, 3, SIDE, SIDE) - 0.5, torch.full((n,), 0.5)
        return lambda: stage.model(x, quality)[0]  # type: ignore[union-attr, operator]

    return {"hfd, a step of the U-Net": hfd, "mse, both transforms": mse, "mbt2018-mean, synthesis": zoo}


def seconds_a_picture(call: Callable[[], Tensor], batch: int) -> float:
    """Of CPU time, the least of five calls."""
    found = []
    for _ in range(6):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found[1:]) / batch


def test_a_batch_on_this_cpu_gains_little() -> None:
    """Where it gained a quarter, codecs should offer it: this is why images go through one by one."""
    torch.manual_seed(0)
    with torch.inference_mode():
        for name, make in networks().items():
            one, many = seconds_a_picture(make(1), 1), seconds_a_picture(make(BATCH), BATCH)
            print(f"\n{name}: {1000 * one:.0f} ms an image alone, {1000 * many:.0f} ms in a batch of {BATCH}")
            assert one < 1.25 * many
