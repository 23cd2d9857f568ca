"""Training of a score-based decoder of full size: the U-Net, and the command on a full-size first stage."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from support.tiny_training import TINY_ELIC
from torch import nn
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.hfd.codec import hfd
from benchmark.hfd.decoders.diffusion import DiffusionRecipe, DiffusionTask
from benchmark.hfd.elic import Elic
from benchmark.hfd.training.decoder import FULL_SIZE
from benchmark.hfd.unet import PAPER, UNet
from benchmark.hfd.weights import write_weights

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def first_stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the full size's architecture, with few channels, and random."""
    torch.manual_seed(0)
    model = Elic(TINY_ELIC).eval()
    model.update()
    path = tmp_path_factory.mktemp("paper") / "first-stage.safetensors"
    write_weights(path, model, "first stage", {"architecture": "paper", **model.config.as_json()}, {})
    return path


def wake(unet: UNet) -> None:
    """Weights that begin at zero, and let no gradient through in the first step, made small."""
    for module in unet.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.any():
            nn.init.normal_(module.weight, std=1e-2)


def test_one_training_step_of_the_full_size(pictures: Path, first_stage: Path, tmp_path: Path) -> None:
    """The loss is finite, its gradient reaches every parameter, and the step lowers the loss of its own batch."""
    torch.manual_seed(0)
    recipe = DiffusionRecipe(**FULL_SIZE | {"crop": 32}, batch=1, passes=1)
    task = DiffusionTask(first_stage, pictures, tmp_path, PAPER, recipe, Console(quiet=True), torch.device("cpu"))
    assert sum(p.numel() for p in task.network.unet.parameters()) > 60e6
    wake(task.network.unet)
    optimiser = torch.optim.AdamW(task.network.parameters(), lr=recipe.learning_rate)
    batch = task.batch(np.random.default_rng(0))

    def loss() -> torch.Tensor:
        torch.manual_seed(1)
        return task.loss(0, *batch)[0]

    before = loss()
    before.backward()  # type: ignore[no-untyped-call]
    for name, parameter in task.network.unet.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert float(parameter.grad.abs().max()) > 0, name
    optimiser.step()
    assert float(loss().detach()) < float(before.detach())


@pytest.mark.parametrize(("crop", "words"), [("72", "a multiple of 16, not 72"), ("320", "has a crop of 320x320")])
def test_crops_that_do_not_fit(
    crop: str, words: str, pictures: Path, first_stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    command = [
        "train",
        "diffusion",
        str(pictures),
        "--model",
        "paper",
        "--first-stage",
        str(first_stage),
        "--crop",
        crop,
    ]
    result = CliRunner().invoke(app, [*command, "--output", str(tmp_path / "out")])
    assert result.exit_code != 0
    assert words in str(result.exception) + result.output


def test_a_first_stage_must_be_named(pictures: Path, tmp_path: Path) -> None:
    command = ["train", "diffusion", str(pictures), "--model", "paper", "--output", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code != 0
    assert "--first-stage FILE" in str(result.exception) + result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_from_pictures_to_a_codec_of_full_size(
    pictures: Path, first_stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    output = tmp_path / "out"
    command = ["train", "diffusion", str(pictures), "--model", "paper", "--first-stage", str(first_stage)]
    command += ["--steps", "1", "--decay", "1", "--crop", "64", "--batch", "1"]
    result = CliRunner().invoke(app, [*command, "--accumulate", "2", "--output", str(output)])
    assert result.exit_code == 0, result.output
    weights = output / "diffusion.safetensors"
    codec = hfd("cpu", model="paper", first_stage=first_stage, decoder="diffusion", weights=weights, steps="1")
    picture = np.asarray(Image.open(pictures / "0.png"))[:64, :96]
    assert codec.decode(codec.encode(picture, 2)).shape == picture.shape
    assert codec.describe()["decoder"]["channels"] == PAPER.channels
