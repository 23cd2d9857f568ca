"""The paper's training at a tiny width: it holds its rate, goes on after a stop, and makes what the codec loads."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file

from benchmark.baselines.hific.codec import hific
from benchmark.baselines.hific.losses import LossSettings, target_rate
from benchmark.baselines.hific.model import Hific, HificConfig
from benchmark.baselines.hific.training import (
    DroppingSchedule,
    HificRecipe,
    HificTask,
    export_hific,
    scaled,
    train_hific,
)
from benchmark.baselines.hific.weights import read_checkpoint
from benchmark.errors import UsageError
from benchmark.training.checkpoint import read_training

pytestmark = pytest.mark.long

QUIET = Console(quiet=True)
TINY = replace(scaled(HificConfig(), 0.01), blocks=1)
RECIPE = HificRecipe(steps=1, gan_steps=2, batch=1, crop=128)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hific-pictures")
    generator = np.random.default_rng(0)
    for n in range(2):
        coarse = generator.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((288, 272), Image.Resampling.BICUBIC).save(folder / f"{n}.png")
    return folder


def trained(folder: Path, output: Path, recipe: HificRecipe = RECIPE, start: Path | None = None) -> Path:
    return train_hific(folder, output, output.parent / "cache", recipe, QUIET, config=TINY, start=start)


def test_resumed_equals_uninterrupted_with_both_networks(photographs: Path, tmp_path: Path) -> None:
    # The first two of three steps have the learning rates of two of two.
    similar = trained(photographs, tmp_path / "similar", replace(RECIPE, gan_steps=0))
    gan = replace(RECIPE, steps=0)
    whole = trained(photographs, tmp_path / "whole", replace(gan, gan_steps=3), similar)
    trained(photographs, tmp_path / "parts", gan, similar)
    parts = trained(photographs, tmp_path / "parts", replace(gan, gan_steps=3), similar)
    one, other = (load_file(path.with_name("last.safetensors")) for path in (whole, parts))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert "buffer/opponent.conv1.weight_u" in one


def test_what_it_makes_is_a_codec(photographs: Path, tmp_path: Path) -> None:
    averaged = trained(photographs, tmp_path / "out")
    assert averaged.parent.name == "2-gan"
    export_hific(averaged, tmp_path / "hific.safetensors", "med")
    checkpoint = read_checkpoint(tmp_path / "hific.safetensors")
    assert checkpoint.config == TINY
    assert checkpoint.variant == "med"
    codec = hific("cpu", weights=tmp_path / "hific.safetensors")
    assert codec.qualities == (2.0,)
    image = np.asarray(Image.open(photographs / "0.png"))
    assert codec.decode(codec.encode(image, 2)).shape == image.shape
    # It can begin another training.
    _, recipe = read_training(tmp_path / "hific.safetensors")
    assert recipe["target"] == RECIPE.target
    frozen = replace(RECIPE, steps=1, gan_steps=0, learning_rate=0.0)
    again = load_file(trained(photographs, tmp_path / "again", frozen, tmp_path / "hific.safetensors"))
    assert all(torch.allclose(again[name], tensor) for name, tensor in load_file(averaged).items())


def test_the_controller_moves_the_rate(photographs: Path, tmp_path: Path) -> None:
    """Above its target the rate's gradient is 128 times that below: one step apart, in opposite company."""
    gradients = {}
    for target in (1e-6, 1e6):
        torch.manual_seed(0)
        task = HificTask(photographs, tmp_path, TINY, replace(RECIPE, target=target), torch.device("cpu"))
        task.begin(0, None)
        torch.manual_seed(1)
        loss, figures = task.loss(0, *task.batch(np.random.default_rng(0)))
        gradients[target] = torch.autograd.grad(loss, task.network.Hyperprior.hyperlatent_likelihood.a_0)[0]
        assert figures["rate_weight"] == (LossSettings.rate_above if target < 1 else LossSettings.rate_below)
    assert torch.allclose(gradients[1e-6], 128 * gradients[1e6], rtol=1e-3, atol=1e-7)


def test_schedule_and_target_scale_with_the_steps(photographs: Path, tmp_path: Path) -> None:
    schedule = DroppingSchedule(1000, 1e-4)
    assert [schedule.at(step) for step in (0, 499, 500, 999)] == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])
    task = HificTask(photographs, tmp_path, TINY, RECIPE, torch.device("cpu"))
    task.begin(1_000_000, None)
    assert task.settings.warm_up == LossSettings.warm_up
    assert math.isclose(target_rate(49_999, task.settings), 0.20)
    assert math.isclose(target_rate(50_000, task.settings), 0.14)
    with pytest.raises(UsageError, match="multiple of 64, at least 128"):
        HificTask(photographs, tmp_path, TINY, replace(RECIPE, crop=96), torch.device("cpu"))


@pytest.mark.slow
def test_one_step_at_full_size(photographs: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=1, gan_steps=1, batch=1)
    averaged = train_hific(photographs, tmp_path / "out", tmp_path / "cache", recipe, QUIET)
    tensors = load_file(averaged)
    assert sum(tensor.numel() for tensor in tensors.values()) == sum(p.numel() for p in Hific().parameters())
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
