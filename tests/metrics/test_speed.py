"""Seconds of each metric on one 768x512 pair; `--benchmark-compare` tells a change."""

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from benchmark.codecs import Image
from benchmark.metrics import ImageMetric, SetMetric, efficientnet, open_metric
from benchmark.metrics.distribution import frechet_distance, kernel_distance
from benchmark.metrics.extractors import extract, load_extractor

ROUNDS = 3


@pytest.mark.parametrize("name", ["psnr", "ms_ssim", "lpips"])
def test_compare(benchmark: BenchmarkFixture, name: str, photo: Image, degraded: Image) -> None:
    metric = open_metric(name)
    assert isinstance(metric, ImageMetric)
    prepared = metric.prepare(photo)
    value = benchmark.pedantic(metric.compare, (prepared, degraded), rounds=ROUNDS, warmup_rounds=1)
    assert value > 0


@pytest.mark.parametrize("name", ["ms_ssim", "lpips"])
def test_prepare(benchmark: BenchmarkFixture, name: str, photo: Image) -> None:
    metric = open_metric(name)
    assert isinstance(metric, ImageMetric)
    assert benchmark.pedantic(metric.prepare, (photo,), rounds=ROUNDS, warmup_rounds=1)


def test_features(benchmark: BenchmarkFixture, photo: Image) -> None:
    metric = open_metric("fd-effnet")
    assert isinstance(metric, SetMetric)
    metric.load()
    assert benchmark.pedantic(metric.features, (photo,), rounds=ROUNDS).shape == (39, 1280)


@pytest.mark.parametrize("by_onednn", [True, False])
def test_features_of_a_patch(
    by_onednn: bool, benchmark: BenchmarkFixture, photo: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one thread. --benchmark-timer=time.thread_time for the CPU's seconds."""
    monkeypatch.setattr(efficientnet, "is_there", lambda: by_onednn)
    extractor = load_extractor.__wrapped__("efficientnet-lite0", "cpu")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        rows = benchmark.pedantic(extract, (extractor, [photo[:128, :128]], "cpu"), rounds=20, warmup_rounds=2)
    finally:
        torch.set_num_threads(before)
    assert rows.shape == (1, 1280)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_distance(benchmark: BenchmarkFixture, distance: object) -> None:
    random = np.random.default_rng(0)
    sets = [[random.random((39, 1280), dtype=np.float32) for _ in range(24)] for _ in range(2)]
    assert benchmark.pedantic(distance, sets, rounds=ROUNDS) != 0
