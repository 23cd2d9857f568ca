"""A weights file of a weights file: the same network, with fewer bits a weight."""

from pathlib import Path

import pytest
import torch
from support.weights_files import plain

from benchmark.cli.train import export
from benchmark.hfd.weights import SHIPPED, kind_of, read_weights
from benchmark.packed import rounded


@pytest.mark.parametrize("name", ["flow-avif-small", "diffusion-jpeg-small"])
def test_a_shipped_decoder_is_rounded_and_keeps_what_is_not_trained(name: str, tmp_path: Path) -> None:
    shipped, few = SHIPPED / f"{name}.safetensors", tmp_path / "few.safetensors"
    configuration = read_weights(shipped, kind_of(shipped))[1]
    export(shipped, few, sampling_steps=int(configuration["steps"]), bits=6)
    (before, after), (kept, made) = zip(plain(shipped), plain(few), strict=True)
    assert before.keys() == after.keys()
    for tensor, weights in before.items():
        whole = weights.dtype != torch.float16
        assert torch.equal(after[tensor], weights if whole else rounded(weights, 6)), tensor
    assert kept.keys() == made.keys()
    assert few.stat().st_size < 0.7 * shipped.stat().st_size
