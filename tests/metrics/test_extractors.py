import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from degradation import noisy

import benchmark.fetching
from benchmark.codecs import Image
from benchmark.errors import BenchmarkError
from benchmark.metrics import SetMetric, efficientnet, open_metric
from benchmark.metrics.extractors import (
    EFFICIENTNET_SIDE,
    Extractor,
    extract,
    fold_batch_norms,
    load_efficientnet_lite0,
    load_extractor,
    pooled_features,
)
from benchmark.metrics.patches import cut


@pytest.fixture
def no_extractor_kept() -> Iterator[None]:
    load_extractor.cache_clear()
    yield
    load_extractor.cache_clear()


@pytest.fixture(scope="module")
def patches() -> list[Image]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (128, 128, 3), dtype=np.uint8) // np.uint8(1 + k) for k in range(4)]


def test_efficientnet_knows_a_polar_bear(photos: dict[str, Image]) -> None:
    bear = torch.from_numpy(photos["gcompris-polar-bear"][:, 128:640].copy()).permute(2, 0, 1)[None]
    network = load_efficientnet_lite0()
    assert int(network._fc(pooled_features(network, bear).float()).argmax()) == 296  # ImageNet: ice bear


def test_folding_keeps_the_function(patches: list[Image]) -> None:
    stack = torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2)
    expected = pooled_features(load_efficientnet_lite0(), stack).numpy()
    found = extract(load_extractor("efficientnet-lite0", "cpu"), patches, "cpu")
    assert found.shape == (4, 1280)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.fixture(scope="module")
def looks(photo: Image) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """What patches look like, (n, 3, H, W), and their features by the package's network in float64.

    Noise, photographs, larger and smaller than the network's input, several at once.
    """
    random = np.random.default_rng(1)
    images = {
        "a photograph, 128": np.stack([photo[:128, :128], photo[100:228, 300:428]]),
        "a photograph, 256": photo[None, :256, :256],
        "low and wide": photo[None, :40, :600],
        "noise, 64": random.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8),
    }
    exact = load_efficientnet_lite0().double()

    def features(x: torch.Tensor) -> torch.Tensor:
        size = (EFFICIENTNET_SIDE, EFFICIENTNET_SIDE)
        resized = torch.nn.functional.interpolate((x.double() - 127) / 128, size=size, mode="bilinear", antialias=True)
        found: torch.Tensor = exact.extract_features(resized).mean((2, 3))
        return found

    tensors = {name: torch.from_numpy(stack.copy()).permute(0, 3, 1, 2) for name, stack in images.items()}
    with torch.inference_mode():
        return {name: (x, features(x)) for name, x in tensors.items()}


@pytest.mark.usefixtures("no_extractor_kept")
@pytest.mark.parametrize("by_onednn", [True, False])
def test_the_cpu_s_network_is_the_package_s(
    by_onednn: bool, looks: dict[str, tuple[torch.Tensor, torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the convolutions that this processor has, and by those of every other."""
    if by_onednn and not efficientnet.is_there():
        pytest.skip("this PyTorch has no such operators")
    monkeypatch.setattr(efficientnet, "is_there", lambda: by_onednn)
    extractor = load_extractor("efficientnet-lite0", "cpu")
    with torch.inference_mode():
        apart = {
            name: float((extractor(x) - wanted).abs().max() / wanted.abs().max()) for name, (x, wanted) in looks.items()
        }
    assert max(apart.values()) < 1e-5, apart


def test_a_layer_without_a_mirrored_twin_is_refused() -> None:
    if not efficientnet.is_there():
        pytest.skip("this PyTorch has no such operators")
    network = fold_batch_norms(load_efficientnet_lite0())
    network._conv_stem.static_padding = torch.nn.ZeroPad2d((2, 0, 2, 0))
    with pytest.raises(ValueError, match="pads 2 and 0 at 224"):
        efficientnet.mirrored(network, EFFICIENTNET_SIDE)


@pytest.mark.skipif(not efficientnet.is_there(), reason="this PyTorch has no such operators")
def test_onednn_takes_less_time(photo: Image) -> None:
    """Seconds of this thread's CPU, alternating; measured were two thirds, and the limit is far from that."""
    network = fold_batch_norms(load_efficientnet_lite0()).to(memory_format=torch.channels_last)
    fast = load_extractor("efficientnet-lite0", "cpu")
    patches = [photo[:128, :128], photo[128:256, :128]]
    before = torch.get_num_threads()

    def plain(x: torch.Tensor) -> torch.Tensor:
        return pooled_features(network, x.contiguous(memory_format=torch.channels_last))

    def seconds(extractor: Extractor) -> float:
        start = time.thread_time()
        extract(extractor, patches, "cpu")
        return time.thread_time() - start

    try:
        torch.set_num_threads(1)
        pairs = [(seconds(fast), seconds(plain)) for _ in range(8)]
    finally:
        torch.set_num_threads(before)
    assert min(one for one, _ in pairs) < 0.9 * min(other for _, other in pairs)


def test_neither_company_nor_order_moves_a_patch(patches: list[Image]) -> None:
    extractor = load_extractor("efficientnet-lite0", "cpu")
    together = extract(extractor, patches, "cpu")
    assert np.array_equal(together, np.concatenate([extract(extractor, [patch], "cpu") for patch in patches]))
    assert np.array_equal(together[::-1], extract(extractor, patches[::-1], "cpu"))


def test_threads_do_not_move_a_distance(photos: dict[str, Image]) -> None:
    """Features move by about 1e-6 of the largest with the number of threads; what is reported must not."""
    metrics = [cast(SetMetric, open_metric(f"{name}@patch256-hific")) for name in ("fd-effnet", "kd-effnet")]
    originals = [photo[128:384, 256:512] for photo in list(photos.values())[:2]]
    reconstructions = [noisy(image, 8, seed) for seed, image in enumerate(originals)]
    before = torch.get_num_threads()
    sets = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            sets.append([[metrics[0].features(image) for image in side] for side in (originals, reconstructions)])
    finally:
        torch.set_num_threads(before)
    one, two = np.concatenate(sets[0][0]), np.concatenate(sets[1][0])
    assert np.abs(one - two).max() < 5e-6 * np.abs(one).max()
    frechet, kernel = ([metric.distance(*pair) for pair in sets] for metric in metrics)
    assert frechet[0] == pytest.approx(frechet[1], rel=1e-6)
    assert kernel[0] == pytest.approx(kernel[1], abs=1e-6)  # often near 0, where a relative tolerance says nothing


def test_features_of_a_picture_are_those_of_its_patches(photo: Image) -> None:
    metric = open_metric("fd-effnet@patch256-hific")
    assert isinstance(metric, SetMetric)
    crops = cut("patch256-hific", photo)
    expected = extract(load_extractor("efficientnet-lite0", "cpu"), [crop.copy() for crop in crops], "cpu")
    assert np.array_equal(metric.features(photo), expected)
    assert metric.features(photo[:200]).shape == (0, 1280)


@pytest.mark.usefixtures("no_extractor_kept")
@pytest.mark.parametrize("name", ["fid", "kid"])
def test_without_weights_inception_says_how_to_get_them(
    name: str, photo: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark.fetching, "inception_weights", lambda: None)
    metric = open_metric(name)
    assert isinstance(metric, SetMetric)
    for use in (metric.load, lambda: metric.features(photo)):
        with pytest.raises(BenchmarkError, match=r"python -m benchmark fetch inception.*--from FILE"):
            use()
    # Stored features need no network.
    stored = [np.random.default_rng(k).random((3, 2048), dtype=np.float32) for k in range(2)]
    assert metric.distance(stored, stored[::-1]) == pytest.approx(metric.distance(stored[::-1], stored))


@pytest.mark.usefixtures("no_extractor_kept")
def test_inception_is_torch_fidelity_s(photo: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    # Random weights in place of the 91 MB: what is held against torch-fidelity is everything around them.
    weights = tmp_path / "weights.pth"
    torch.save({}, weights)
    monkeypatch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
    monkeypatch.setattr(benchmark.fetching, "inception_weights", lambda: weights)
    torch.manual_seed(3)
    metric = open_metric("fid")
    assert isinstance(metric, SetMetric)
    found = metric.features(photo[:256, :512])
    torch.manual_seed(3)
    oracle = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(weights))
    crops = [photo[:256, :256], photo[:256, 256:512]]
    with torch.no_grad():
        expected = oracle(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2))[0].numpy()
    assert found.shape == (2, 2048)
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()
