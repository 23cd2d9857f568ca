import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from degradation import noisy
from safetensors.torch import load_file

import benchmark.fetching
from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, Undefined
from benchmark.metrics.perceptual import TRUNK, Lpips, load_network, make_lpips, make_lpips_vgg
from benchmark.metrics.references import package_of_lpips, stand_in_vgg16


@pytest.fixture(scope="module")
def lpips() -> Lpips:
    return make_lpips()


def scaled(image: Image) -> torch.Tensor:
    return 2 * (torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255) - 1


@pytest.mark.parametrize(
    ("size", "deviation"),
    [
        ((512, 768), 1),
        pytest.param((512, 768), 30, marks=pytest.mark.slow),
        ((31, 31), 1),
        ((31, 31), 30),
        ((97, 301), 1),
        ((97, 301), 30),
    ],
)
def test_equals_the_package_s_own_forward(lpips: Lpips, photo: Image, size: tuple[int, int], deviation: float) -> None:
    original = photo[: size[0], : size[1]]
    reconstruction = noisy(original, deviation)
    with torch.no_grad():
        expected = float(package_of_lpips()(scaled(original), scaled(reconstruction)))
    assert expected > 0
    assert lpips.compare(lpips.prepare(original), reconstruction) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_the_network_is_the_package_s_to_the_last_bit(
    net: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values, gradients of a loss and normalised maps; nothing of it learns."""
    torch.save(stand_in_vgg16(), tmp_path / "vgg16.pth")
    monkeypatch.setattr(benchmark.fetching, "vgg16_weights", lambda: tmp_path / "vgg16.pth")
    ours, theirs = load_network(net=net), package_of_lpips(net)
    x, y = 2 * torch.rand(2, 2, 3, 35, 67, generator=torch.Generator().manual_seed(0)) - 1
    found = []
    for network in (ours, theirs):
        changed = y.clone().requires_grad_()
        value = network(x, changed)
        value.sum().backward()
        found.append((value, changed.grad, *network.net(network.scaling_layer(x))))
        assert not any(parameter.requires_grad for parameter in network.parameters())
        assert not network.training
    assert found[0][0].shape == (2, 1, 1, 1)
    assert float(found[0][0].detach().min()) > 0
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_without_the_package_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(ModuleNotFoundError, match="lpips"):
        load_network()


def test_identical_pictures_give_zero_and_more_noise_gives_more(lpips: Lpips, photo: Image) -> None:
    prepared = lpips.prepare(photo)
    values = [lpips.compare(prepared, noisy(photo, deviation)) for deviation in (0, 4, 16, 64)]
    assert values[0] == 0
    assert values == sorted(values)


def test_the_trunk_is_the_one_described_beside_it() -> None:
    description = (TRUNK.parent / "README.txt").read_text()
    assert hashlib.sha256(TRUNK.read_bytes()).hexdigest() in description
    described, trunk = load_file(TRUNK), load_network().net
    layers = {0: trunk.slice1, 3: trunk.slice2, 6: trunk.slice3, 8: trunk.slice4, 10: trunk.slice5}
    assert len(described) == 2 * len(layers)
    for number, part in layers.items():
        convolution = part.get_submodule(str(number))
        assert torch.equal(convolution.weight, described[f"features.{number}.weight"])
        assert torch.equal(convolution.bias, described[f"features.{number}.bias"])


def test_loading_leaves_the_random_numbers_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load_network()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("shape", [(30, 100, 3), (100, 30, 3)])
def test_small_pictures_have_no_value(lpips: Lpips, shape: tuple[int, int, int]) -> None:
    with pytest.raises(Undefined, match="31 pixels"):
        lpips.prepare(np.zeros(shape, np.uint8))


def test_another_size_is_an_error(lpips: Lpips, photo: Image) -> None:
    with pytest.raises(BenchmarkError, match="100x100"):
        lpips.compare(lpips.prepare(photo), photo[:100, :100])


VGG16 = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256)} | {
    17: (256, 512),
    **dict.fromkeys((19, 21, 24, 26, 28), (512, 512)),
}
"""Place in torchvision's `features` -> channels in and out of each 3×3 convolution; Simonyan & Zisserman, column D."""


def test_over_vgg16_it_is_the_package_s_own_with_the_fetched_trunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: Image
) -> None:
    torch.manual_seed(0)
    weights = {f"features.{n}.weight": torch.randn(o, i, 3, 3) * (2 / 9 / i) ** 0.5 for n, (i, o) in VGG16.items()}
    weights |= {f"features.{n}.bias": torch.randn(o) * 0.1 for n, (_, o) in VGG16.items()}
    torch.save(weights | {"classifier.0.weight": torch.zeros(1)}, tmp_path / "vgg16.pth")
    monkeypatch.setattr(benchmark.fetching, "vgg16_weights", lambda: tmp_path / "vgg16.pth")
    metric = make_lpips_vgg()
    trunk = metric.network.net
    for number in VGG16:
        part = next(part for part in trunk.children() if str(number) in dict(part.named_children()))
        assert torch.equal(part.get_submodule(str(number)).weight, weights[f"features.{number}.weight"])
    original = photo[:16, :35]
    with torch.no_grad():
        expected = float(metric.network(scaled(original), scaled(noisy(original, 20))))
    assert metric.compare(metric.prepare(original), noisy(original, 20)) == pytest.approx(expected, rel=1e-5)
    assert expected > 0
    assert metric.compare(metric.prepare(original), original) == 0
    assert (metric.protocol, metric.info.name) == ("lpips-vgg/v0.1/vgg", "lpips-vgg")
    with pytest.raises(Undefined, match="16 pixels"):
        metric.prepare(photo[:15, :35])


def test_without_vgg16_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark.fetching, "vgg16_weights", lambda: None)
    with pytest.raises(BenchmarkError, match=r"python -m benchmark fetch vgg16.*--from FILE"):
        make_lpips_vgg().load()
