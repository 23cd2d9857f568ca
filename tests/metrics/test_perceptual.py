import hashlib

import numpy as np
import pytest
import torch
from degradation import noisy
from safetensors.torch import load_file

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, Undefined
from benchmark.metrics.perceptual import TRUNK, Lpips, load_network, make_lpips


@pytest.fixture(scope="module")
def lpips() -> Lpips:
    return make_lpips(None, "cpu")


def scaled(image: Image) -> torch.Tensor:
    return 2 * (torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255) - 1


@pytest.mark.parametrize("size", [(512, 768), (31, 31), (97, 301)])
@pytest.mark.parametrize("deviation", [1, 30])
def test_equals_the_package_s_own_forward(lpips: Lpips, photo: Image, size: tuple[int, int], deviation: float) -> None:
    original = photo[: size[0], : size[1]]
    reconstruction = noisy(original, deviation)
    with torch.no_grad():
        expected = float(load_network()(scaled(original), scaled(reconstruction)))
    assert expected > 0
    assert lpips.compare(lpips.prepare(original), reconstruction) == pytest.approx(expected, abs=1e-6)


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
