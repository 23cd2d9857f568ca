"""DISTS: the package's own values over the same random trunk, since VGG16's weights are a download."""

import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from degradation import noisy
from safetensors.torch import load_file

import benchmark.fetching
from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, Undefined
from benchmark.metrics import references
from benchmark.metrics.dists import CHANNELS, WEIGHTS, Dists, make_dists


@pytest.fixture
def dists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dists:
    torch.save(references.stand_in_vgg16(), tmp_path / "vgg16.pth")
    monkeypatch.setattr(benchmark.fetching, "vgg16_weights", lambda: tmp_path / "vgg16.pth")
    return make_dists()


@pytest.mark.parametrize("size", [(64, 96), (16, 16), (37, 51)])
def test_equals_the_package_over_the_same_trunk(dists: Dists, photo: Image, size: tuple[int, int]) -> None:
    pytest.importorskip("DISTS_pytorch")
    original = photo[200 : 200 + size[0], 100 : 100 + size[1]]
    changed = noisy(original, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = references.REFERENCES["dists"].value(original, changed)
    assert 0 < expected < 1
    assert dists.compare(dists.prepare(original), changed) == pytest.approx(expected, abs=2e-6)


def test_identical_images_give_zero_and_more_noise_gives_more(dists: Dists, photo: Image) -> None:
    original = photo[:48, :64]
    prepared = dists.prepare(original)
    values = [dists.compare(prepared, noisy(original, deviation)) for deviation in (0, 4, 16, 64)]
    assert values[0] == pytest.approx(0, abs=2e-6)
    assert all(0 <= value <= 1 for value in values)
    assert values == sorted(values)


def test_alpha_and_beta_are_those_of_the_package_and_described_beside_them() -> None:
    description = (WEIGHTS.parent / "README.txt").read_text(encoding="utf-8")
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() in description
    own = load_file(WEIGHTS)
    assert {name: tuple(values.shape) for name, values in own.items()} == dict.fromkeys(
        ("alpha", "beta"), (sum(CHANNELS),)
    )
    assert float(own["alpha"].sum() + own["beta"].sum()) == pytest.approx(1, abs=1e-4)
    package = pytest.importorskip("DISTS_pytorch")
    theirs = torch.load(Path(package.__file__).parent / "weights.pt", map_location="cpu", weights_only=True)
    for name, values in own.items():
        assert torch.equal(values, theirs[name].detach().flatten())


def test_the_stand_in_is_the_same_at_each_call() -> None:
    first, second = references.stand_in_vgg16(), references.stand_in_vgg16()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_without_vgg16_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark.fetching, "vgg16_weights", lambda: None)
    with pytest.raises(BenchmarkError, match=r"^dists: .*python -m benchmark fetch vgg16.*--from FILE"):
        make_dists().load()


def test_small_images_have_no_value_and_another_size_is_an_error(dists: Dists, photo: Image) -> None:
    with pytest.raises(Undefined, match="16 pixels, this is 100x15"):
        dists.prepare(np.zeros((15, 100, 3), np.uint8))
    with pytest.raises(BenchmarkError, match="20x16"):
        dists.compare(dists.prepare(photo[:16, :16]), photo[:16, :20])
