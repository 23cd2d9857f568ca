"""Seconds to encode and decode an image with the shipped weights, on one thread, and against others.

The ratios compare processor time within one process, the smallest of several runs, so that a busy machine does not
decide; their limits are generous. `pytest -m 'not slow' --benchmark-only` reports the measured values.
The image has 768×512 pixels there, and a quarter of them otherwise.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import pytest
import torch
from compressai.zoo import bmshj2018_hyperprior
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

from benchmark.codecs import open_codec
from benchmark.datasets.shipped import FOLDER
from benchmark.hfd.codec import mse
from benchmark.hfd.deterministic import on_one_thread
from benchmark.hfd.exact import ExactSequential
from benchmark.hfd.score import picture_to_tensor

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def photo(request: pytest.FixtureRequest) -> np.ndarray:
    whole = np.asarray(Image.open(FOLDER / "ukui-bridgecity.png"))
    return whole if request.config.getoption("benchmark_only") else whole[:256, :384]


@pytest.mark.parametrize("name", ["mse", "hfd"])
def test_encode(benchmark: BenchmarkFixture, photo: np.ndarray, name: str) -> None:
    codec = open_codec(name)
    data = benchmark.pedantic(codec.encode, (photo, 3), rounds=2, warmup_rounds=1)
    assert 500 < len(data) < photo.size // 8


@pytest.mark.parametrize("name", ["mse", "hfd"])
def test_decode(benchmark: BenchmarkFixture, photo: np.ndarray, name: str) -> None:
    codec = open_codec(name)
    data = codec.encode(photo, 3)
    decoded = benchmark.pedantic(codec.decode, (data,), rounds=2, warmup_rounds=1)
    assert np.mean((decoded.astype(float) - photo) ** 2) < 400


def least_seconds(function: Callable[[], object], rounds: int = 3) -> float:
    """Processor time of this process, the smallest of several runs; one more to warm up."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return min(seconds[1:])


@contextmanager
def convolutions(modules: nn.Module) -> Iterator[dict[int, tuple[nn.Module, torch.Tensor]]]:
    """Every convolution within, with the input that it had."""
    found: dict[int, tuple[nn.Module, torch.Tensor]] = {}

    def keep(module: nn.Module, inputs: tuple[torch.Tensor, ...], _: object) -> None:
        found[id(module)] = (module, inputs[0].detach().clone())

    hooks = [
        module.register_forward_hook(keep)
        for module in modules.modules()
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


@torch.inference_mode()
@on_one_thread()
def seconds_of_convolutions(modules: nn.Module, run: Callable[[], object]) -> float:
    """The convolutions that `run` goes through, timed one by one with the inputs that they have there."""
    with convolutions(modules) as found:
        run()
    return sum(least_seconds(lambda module=module, x=x: module(x)) for module, x in found.values())


def exact_seconds(run: Callable[[], object]) -> float:
    """Of the exact networks within `run`."""
    plain, spent = ExactSequential.__call__, 0.0

    def timed(network: ExactSequential, x: torch.Tensor) -> torch.Tensor:
        nonlocal spent
        start = time.process_time()
        result = plain(network, x)
        spent += time.process_time() - start
        return result

    totals = []
    with patch.object(ExactSequential, "__call__", timed):
        for _ in range(4):
            spent = 0.0
            run()
            totals.append(spent)
    return min(totals[1:])


@pytest.mark.alone
def test_coding_takes_little_longer_than_its_networks(benchmark: BenchmarkFixture, photo: np.ndarray) -> None:
    """Analysis, hyper-analysis and the exact networks to encode; the exact networks and synthesis to decode."""
    codec = mse("cpu")
    model = codec.first_stage.model
    data = codec.encode(photo, 3)
    exact = exact_seconds(lambda: codec.decode(data))
    encoding = seconds_of_convolutions(model, lambda: codec.first_stage.analyse(picture_to_tensor(photo), 64)) + exact
    decoding = seconds_of_convolutions(model, lambda: codec.decode(data)) + exact
    encode = least_seconds(lambda: codec.encode(photo, 3))
    decode = least_seconds(lambda: codec.decode(data))
    benchmark.extra_info.update(encode_ratio=encode / encoding, decode_ratio=decode / decoding)
    benchmark.pedantic(codec.decode, (data,), rounds=1)
    assert encode / encoding < 2
    assert decode / decoding < 2


def macs_per_pixel(modules: nn.Module, run: Callable[[], object], pixels: int) -> float:
    with convolutions(modules) as found:
        run()
    total = 0
    for module, x in found.values():
        assert isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))
        area = x.shape[-2:].numel()
        if isinstance(module, nn.Conv2d):
            area //= module.stride[0] * module.stride[1]
        total += module.weight.numel() * area
    return total / pixels


@pytest.mark.alone
def test_against_a_published_codec_at_equal_operations(benchmark: BenchmarkFixture, photo: np.ndarray) -> None:
    """CompressAI's scale hyperprior with random weights: seconds per multiplication, both ways together."""
    codec = mse("cpu")
    x = picture_to_tensor(photo) + 0.5
    torch.manual_seed(0)
    other = bmshj2018_hyperprior(4, pretrained=False).eval()
    other.update()

    def there_and_back() -> None:
        packed = other.compress(x)
        other.decompress(packed["strings"], packed["shape"])

    with torch.inference_mode(), on_one_thread():
        theirs = least_seconds(there_and_back, 1) / macs_per_pixel(other, lambda: other(x), x[0, 0].numel())
        level = torch.tensor([3.0])
        operations = macs_per_pixel(
            codec.first_stage.model, lambda: codec.first_stage.model(x - 0.5, level), x[0, 0].numel()
        )
    ours = least_seconds(lambda: codec.decode(codec.encode(photo, 3)), 3) / operations
    benchmark.extra_info.update(seconds_per_operation_against_hyperprior=ours / theirs)
    benchmark.pedantic(codec.encode, (photo, 3), rounds=1)
    assert ours / theirs < 1.5
