"""Seconds of each metric on one 768x512 pair; `--benchmark-compare` tells a change."""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmark.codecs import Image
from benchmark.metrics import ImageMetric, SetMetric, open_metric
from benchmark.metrics.distribution import frechet_distance, kernel_distance

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


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_distance(benchmark: BenchmarkFixture, distance: object) -> None:
    random = np.random.default_rng(0)
    sets = [[random.random((39, 1280), dtype=np.float32) for _ in range(24)] for _ in range(2)]
    assert benchmark.pedantic(distance, sets, rounds=ROUNDS) != 0
