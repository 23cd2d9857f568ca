"""Levels that are added below the lowest of a trained first stage."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.weights_files import plain
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.errors import BenchmarkError, UsageError
from benchmark.hfd.autoencoder import Autoencoder
from benchmark.hfd.elic import Elic, ElicConfig
from benchmark.hfd.training.autoencoder import add_levels_below, config_of
from benchmark.hfd.weights import load_autoencoder, write_weights
from benchmark.training.checkpoint import fitting_weights


@pytest.mark.parametrize("count", [1, 3])
def test_old_levels_are_what_they_were_under_higher_numbers(first_stage_file: Path, tmp_path: Path, count: int) -> None:
    old, _ = load_autoencoder(first_stage_file)
    add_levels_below(first_stage_file, tmp_path / "new" / "begun.safetensors", count)
    new = Autoencoder(config_of(first_stage_file).with_levels_below(count)).eval()
    tensors = fitting_weights(tmp_path / "new" / "begun.safetensors", new)
    assert tensors.keys() == {name for name, p in new.named_parameters() if p.requires_grad}
    new.load_state_dict(tensors, strict=False)
    assert new.config.levels == old.config.levels + count
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    for quality in (1.0, 1.5, float(old.config.levels)):
        assert new.lam(quality + count) == pytest.approx(old.lam(quality))
        with torch.no_grad():
            both = [model(x, torch.full((2,), at)) for model, at in ((old, quality), (new, quality + count))]
        torch.testing.assert_close(both[1], both[0], rtol=1e-4, atol=1e-5)


def test_added_levels_go_on_as_the_lowest_two_do(first_stage_file: Path, tmp_path: Path) -> None:
    old, _ = plain(first_stage_file)
    add_levels_below(first_stage_file, tmp_path / "begun.safetensors", 2)
    new = load_file(tmp_path / "begun.safetensors")
    for name in ("log_gain", "entropy.log2_scale"):
        steps = new[name].diff(dim=0)
        torch.testing.assert_close(steps[:2], steps[2:3].expand(2, -1), rtol=1e-3, atol=1e-3)
    for name in ("analysis.level_table", "synthesis.level_table"):
        assert torch.equal(new[name][:2], old[name][:1].float().expand(2, -1))
    config = config_of(tmp_path / "begun.safetensors")
    before = config_of(first_stage_file)
    assert (config.levels, config.lambda_high) == (before.levels + 2, before.lambda_high)
    ratio = math.log(before.lambda_high / before.lambda_low) / (before.levels - 1)
    assert math.log(config.lambda_high / config.lambda_low) == pytest.approx(ratio * (config.levels - 1))


def test_weights_of_anything_else_are_refused(flow_file: Path, tmp_path: Path) -> None:
    elic = Elic(ElicConfig(channels=8, groups=(2, 4), levels=3))
    paper = tmp_path / "paper.safetensors"
    write_weights(paper, elic, "first stage", {"architecture": "paper", **elic.config.as_json()}, {})
    for path in (flow_file, paper):
        with pytest.raises(UsageError, match="is no first stage of the small size"):
            add_levels_below(path, tmp_path / "begun.safetensors", 1)
    with pytest.raises(BenchmarkError, match=r"no (weights|training) at"):
        add_levels_below(tmp_path / "none.safetensors", tmp_path / "begun.safetensors", 1)
    assert not (tmp_path / "begun.safetensors").exists()


@pytest.mark.parametrize("more", [[], ["--model", "paper", "--from", "x.safetensors"]])
def test_the_command_wants_weights_of_the_small_size(more: list[str], tmp_path: Path) -> None:
    command = ["train", "autoencoder", str(tmp_path), "--levels-below", "1", "--output", str(tmp_path / "out"), *more]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, UsageError)
    assert "--levels-below adds to trained weights of the small size" in str(result.exception)
    assert not (tmp_path / "out").exists()
