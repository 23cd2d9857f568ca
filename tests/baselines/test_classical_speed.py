"""Time of the classical codecs on one photograph of 768x512; `--benchmark-only` shows these alone."""

import numpy as np
import pytest
from PIL import Image as Pillow
from pytest_benchmark.fixture import BenchmarkFixture

from benchmark.codecs import Image, open_codec
from benchmark.datasets import open_dataset

CASES = [("jpeg", 50), ("webp", 60), ("avif", 50)]


@pytest.fixture(scope="module")
def photo() -> Image:
    with Pillow.open(open_dataset("photos").pictures[0].path) as opened:
        return np.array(opened)


@pytest.mark.parametrize(("name", "quality"), CASES)
def test_encode_speed(benchmark: BenchmarkFixture, photo: Image, name: str, quality: int) -> None:
    codec = open_codec(name)
    data = benchmark.pedantic(codec.encode, (photo, quality), rounds=3, warmup_rounds=1)  # type: ignore[no-untyped-call]
    assert 0 < len(data) < photo.size / 4


@pytest.mark.parametrize(("name", "quality"), CASES)
def test_decode_speed(benchmark: BenchmarkFixture, photo: Image, name: str, quality: int) -> None:
    codec = open_codec(name)
    data = codec.encode(photo, quality)
    decoded = benchmark.pedantic(codec.decode, (data,), rounds=3, warmup_rounds=1)  # type: ignore[no-untyped-call]
    assert decoded.shape == photo.shape
