"""The whole way from images to FD and KD against torch-fidelity's, with our extractor registered there."""

import numpy as np
import pytest
import torch
from degradation import noisy
from torch_fidelity import calculate_metrics, register_feature_extractor

from benchmark.codecs import Image
from benchmark.metrics import SetMetric, open_metric
from benchmark.metrics.patches import cut
from benchmark.studies.peer_packages import EfficientNetLite0

FEATURES = 24
"""The first few: with more than there are patches, torch-fidelity's eigenvalues are noise."""


class FirstFeatures(EfficientNetLite0):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (super().forward(x)[0][:, :FEATURES],)


class Crops(torch.utils.data.Dataset[torch.Tensor]):
    def __init__(self, images: list[Image]) -> None:
        self.crops = [crop.transpose(2, 0, 1).copy() for image in images for crop in cut("patch256-hific", image)]

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.crops[index])


def test_equals_torch_fidelity_with_our_extractor(photos: dict[str, Image]) -> None:
    register_feature_extractor("efficientnet-lite0-test", FirstFeatures)
    originals = list(photos.values())
    reconstructions = [noisy(image, 12, seed) for seed, image in enumerate(originals)]
    expected = calculate_metrics(
        input1=Crops(originals),
        input2=Crops(reconstructions),
        feature_extractor="efficientnet-lite0-test",
        fid=True,
        kid=True,
        kid_subsets=1,
        kid_subset_size=32,
        batch_size=7,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    frechet, kernel = open_metric("fd-effnet@patch256-hific"), open_metric("kd-effnet@patch256-hific")
    assert isinstance(frechet, SetMetric)
    assert isinstance(kernel, SetMetric)
    x, y = ([frechet.features(image)[:, :FEATURES] for image in side] for side in (originals, reconstructions))
    assert sum(map(len, x)) == 32
    assert frechet.distance(x, y) == pytest.approx(expected["frechet_inception_distance"], rel=1e-5)
    # so few features are rounded to float32 in the same direction now and then; of all 1280 it is a tenth of that
    assert kernel.distance(x, y) == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-5, abs=5e-7)


def test_the_metric_hands_its_features_to_its_statistic() -> None:
    sets = [[np.random.default_rng(seed + k).random((4, 9)) for k in range(3)] for seed in (0, 10)]
    values = {}
    for name in ("fd-effnet", "kd-effnet", "kd-effnet-paired"):
        metric = open_metric(name)
        assert isinstance(metric, SetMetric)
        values[name] = metric.distance(*sets)
        assert metric.leave_one_out(*sets)[1] == pytest.approx(metric.distance(*(s[:1] + s[2:] for s in sets)))
    assert len(set(values.values())) == 3
