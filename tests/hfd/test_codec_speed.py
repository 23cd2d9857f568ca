"""Seconds to encode and decode a picture of 768×512 with the shipped weights, on one thread."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

from benchmark.codecs import open_codec


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.asarray(Image.open(Path(__file__).parents[2] / "datasets" / "photos" / "ukui-bridgecity.png"))


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
