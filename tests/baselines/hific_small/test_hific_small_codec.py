"""The codec: the bits of `mse`, any size, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from support.weights_files import plain

from benchmark.baselines.hific_small.codec import SHIPPED, HificSmallCodec, hific_small
from benchmark.baselines.hific_small.network import KIND, Generator, load_generator
from benchmark.codecs import open_codec
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd.codec import mse
from benchmark.hfd.container import unpack
from benchmark.hfd.embedding import codec_of
from benchmark.hfd.weights import SHIPPED as FIRST_STAGES
from benchmark.hfd.weights import read_weights, write_weights


@pytest.fixture(scope="module")
def codec(small_first_stage: Path, generator_file: Path) -> HificSmallCodec:
    return hific_small("cpu", first_stage=small_first_stage, weights=generator_file)


def rewritten(source: Path, target: Path, **changes: torch.Tensor) -> Path:
    tensors, metadata = plain(source)
    save_file(tensors | changes, target, metadata=metadata)
    return target


def test_the_payload_is_that_of_mse(codec: HificSmallCodec, small_first_stage: Path, waves: np.ndarray) -> None:
    base = mse("cpu", first_stage=small_first_stage)
    for quality in (1, 1.5, 3):
        stream, other = codec.encode(waves, quality), base.encode(waves, quality)
        assert unpack(stream).payload == unpack(other).payload
        assert len(stream) == len(other)
        assert codec.estimate_bits(waves, quality) == base.estimate_bits(waves, quality)
    assert codec_of(stream) == "hific-small"
    with pytest.raises(CorruptStream, match="decode it with --codec hific-small"):
        base.decode(stream)
    with pytest.raises(CorruptStream, match="decode it with --codec mse"):
        codec.decode(other)


def test_an_untrained_generator_decodes_what_mse_decodes(
    small_first_stage: Path, generator_file: Path, waves: np.ndarray, tmp_path: Path
) -> None:
    trained, configuration, _ = load_generator(generator_file)
    write_weights(tmp_path / "new.safetensors", Generator(trained.config), KIND, configuration, {})
    new = hific_small("cpu", first_stage=small_first_stage, weights=tmp_path / "new.safetensors")
    base = mse("cpu", first_stage=small_first_stage)
    assert np.array_equal(new.decode(new.encode(waves, 2)), base.decode(base.encode(waves, 2)))


def test_deterministic(codec: HificSmallCodec, waves: np.ndarray) -> None:
    stream = codec.encode(waves, 2)
    assert not codec.stochastic
    assert np.array_equal(codec.decode(stream), codec.decode(stream, seed=7))


@given(st.integers(1, 70), st.integers(1, 70), st.floats(1, 3), st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_size_of_picture(codec: HificSmallCodec, height: int, width: int, quality: float, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    decoded = codec.decode(codec.encode(image, quality))
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint8


@given(st.data())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_noticed(codec: HificSmallCodec, waves: np.ndarray, data: st.DataObject) -> None:
    stream = bytearray(codec.encode(waves[:32, :32], 2))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptStream):
        codec.decode(bytes(stream))


def test_refused_weights(small_first_stage: Path, generator_file: Path, waves: np.ndarray, tmp_path: Path) -> None:
    first = small_first_stage
    with pytest.raises(UsageError, match="was trained on the first stage"):
        hific_small("cpu", weights=generator_file)
    with pytest.raises(BenchmarkError, match="there are no weights at"):
        hific_small("cpu", first_stage=first, weights=tmp_path / "none.safetensors")
    with pytest.raises(BenchmarkError, match="holds 'first stage' weights"):
        hific_small("cpu", first_stage=first, weights=first)
    nan = rewritten(generator_file, tmp_path / "nan.safetensors", **{"exit.bias": torch.full((12,), torch.nan)})
    with pytest.raises(BenchmarkError, match=r"exit\.bias has values that are not finite"):
        hific_small("cpu", first_stage=first, weights=nan)
    thin = rewritten(generator_file, tmp_path / "thin.safetensors", **{"exit.bias": torch.zeros(3)})
    with pytest.raises(BenchmarkError, match="another architecture"):
        hific_small("cpu", first_stage=first, weights=thin)
    with pytest.raises(UsageError, match="no setting 'steps'"):
        open_codec("hific-small:steps=4")
    other = rewritten(generator_file, tmp_path / "other.safetensors", **{"exit.bias": torch.ones(12)})
    second = hific_small("cpu", first_stage=first, weights=other)
    with pytest.raises(CorruptStream, match="was made with weights"):
        second.decode(hific_small("cpu", first_stage=first, weights=generator_file).encode(waves, 1))


def test_the_shipped_weights_load() -> None:
    generator, configuration, _ = load_generator(SHIPPED / "hific-small.safetensors")
    _, _, identity = read_weights(FIRST_STAGES / "first-stage-small.safetensors", "first stage")
    assert configuration["first_stage"] == identity
    assert all(bool(torch.isfinite(parameter).all()) for parameter in generator.parameters())
