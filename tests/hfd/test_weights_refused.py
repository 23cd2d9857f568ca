"""Weights that cannot be used are named, in one line, before anything is coded."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.weights_files import plain

from benchmark.errors import BenchmarkError, CorruptStream
from benchmark.hfd.codec import mse

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def parts(first_stage_file: Path) -> tuple[Tensors, dict[str, str]]:
    return plain(first_stage_file)


def refusal(path: Path, tensors: Tensors, metadata: dict[str, str]) -> str:
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(BenchmarkError) as refused:
        mse("cpu", first_stage=path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite(parts: tuple[Tensors, dict[str, str]], tmp_path: Path, value: float) -> None:
    tensors, metadata = parts
    tensors["synthesis.enter.1.bias"][3] = value
    assert "synthesis.enter.1.bias has values that are not finite" in refusal(tmp_path / "w", tensors, metadata)


def test_another_architecture(parts: tuple[Tensors, dict[str, str]], tmp_path: Path) -> None:
    tensors, metadata = parts
    configuration = json.loads(metadata["configuration"])
    path = tmp_path / "w"
    wider = {**metadata, "configuration": json.dumps({**configuration, "hidden": 9})}
    assert "is of another architecture" in refusal(path, tensors, wider)
    unknown = {**metadata, "configuration": json.dumps({**configuration, "attention": True})}
    assert "attention" in refusal(path, tensors, unknown)
    missing = {name: tensor for name, tensor in tensors.items() if name != "log_gain"}
    assert "it has no log_gain" in refusal(path, missing, metadata)
    more = {**tensors, "extra.weight": torch.zeros(1)}
    assert "it has extra.weight" in refusal(path, more, metadata)
    assert "does not say the configuration" in refusal(path, tensors, {"kind": "first stage"})
    assert "not 'first stage' ones" in refusal(path, tensors, {**metadata, "kind": "flow"})


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" * 4)
    with pytest.raises(BenchmarkError, match="is not a sound safetensors file"):
        mse("cpu", first_stage=path)


def test_a_stream_of_other_weights(
    parts: tuple[Tensors, dict[str, str]], first_stage_file: Path, tmp_path: Path, picture: np.ndarray
) -> None:
    tensors, metadata = parts
    tensors["log_gain"][0, 0] += 0.5
    path = tmp_path / "w"
    save_file(tensors, path, metadata=metadata)
    one, other = mse("cpu", first_stage=first_stage_file), mse("cpu", first_stage=path)
    with pytest.raises(CorruptStream, match=r"was made with weights [0-9a-f]{8}, these are [0-9a-f]{8}"):
        other.decode(one.encode(picture, 2))
