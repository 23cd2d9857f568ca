"""The synthesis transform learns by itself: nearer to the originals, from the same bits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file
from support.weights_files import plain

from benchmark.cli.train import export
from benchmark.errors import BenchmarkError, UsageError
from benchmark.hfd.autoencoder import Autoencoder, AutoencoderConfig
from benchmark.hfd.first_stage import AnyFirstStage, load_first_stage
from benchmark.hfd.training.export import export_synthesis
from benchmark.hfd.training.synthesis import SynthesisRecipe, train_synthesis
from benchmark.hfd.weights import write_weights
from benchmark.packed import rounded
from benchmark.training.crops import to_tensor

pytestmark = pytest.mark.long

QUIET = Console(quiet=True)
TINY = AutoencoderConfig(
    luma=40, chroma=10, widths=(8, 8, 8), hyper_channels=4, features=8, hidden=8, levels=3, slice_ends=(0.1, 1.01)
)
RECIPE = SynthesisRecipe(steps=2, decay=1, batch=2, crop=64, passes=1)


@pytest.fixture(scope="module")
def first_stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = Autoencoder(TINY)
    model.initialise_scales(torch.rand(4, 3, 64, 64) - 0.5)
    model.entropy.update()
    path = tmp_path_factory.mktemp("first-stage") / "first-stage.safetensors"
    write_weights(path, model, "first stage", {"architecture": "small", **TINY.as_json()}, {})
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def squared_error(stage: AnyFirstStage, pictures: Path, steps: int) -> float:
    originals = [to_tensor(np.asarray(Image.open(path))[None]) for path in sorted(pictures.glob("*.png"))]
    return float(np.mean([float((stage.reconstruct(x, steps) - x).square().mean()) for x in originals]))


def test_it_comes_nearer_with_the_same_bits(first_stage: Path, pictures: Path, cache: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=60, decay=40, learning_rate=2e-3)
    averaged = train_synthesis(first_stage, pictures, tmp_path / "training", cache, recipe, QUIET)
    export_synthesis(averaged, first_stage, tmp_path / "new.safetensors")
    (before, name), (after, new_name) = (load_first_stage(p) for p in (first_stage, tmp_path / "new.safetensors"))
    assert name != new_name
    x = to_tensor(np.asarray(Image.open(pictures / "0.png"))[None])
    for steps in (0, 32, 64):
        assert before.encode(x, steps) == after.encode(x, steps)
    assert squared_error(after, pictures, 0) < 0.97 * squared_error(before, pictures, 0)


def test_nothing_else_of_the_weights_file_changes(
    first_stage: Path, pictures: Path, cache: Path, tmp_path: Path
) -> None:
    averaged = train_synthesis(first_stage, pictures, tmp_path / "training", cache, RECIPE, QUIET)
    export_synthesis(averaged, first_stage, tmp_path / "new.safetensors")
    before, after = (plain(path)[0] for path in (first_stage, tmp_path / "new.safetensors"))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("synthesis.") for name in changed)


def test_resumed_equals_uninterrupted(first_stage: Path, pictures: Path, cache: Path, tmp_path: Path) -> None:
    whole = train_synthesis(first_stage, pictures, tmp_path / "whole", cache, replace(RECIPE, decay=0), QUIET)
    train_synthesis(first_stage, pictures, tmp_path / "parts", cache, replace(RECIPE, steps=1, decay=0), QUIET)
    parts = train_synthesis(first_stage, pictures, tmp_path / "parts", cache, replace(RECIPE, decay=0), QUIET)
    one, other = load_file(whole), load_file(parts)
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_what_does_not_fit_is_refused(first_stage: Path, pictures: Path, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a multiple of 16, not 72"):
        train_synthesis(first_stage, pictures, tmp_path / "a", cache, replace(RECIPE, crop=72), QUIET)
    averaged = train_synthesis(first_stage, pictures, tmp_path / "b", cache, RECIPE, QUIET)
    export_synthesis(averaged, first_stage, tmp_path / "other.safetensors")
    with pytest.raises(BenchmarkError, match="began with another first stage"):
        export_synthesis(averaged, tmp_path / "other.safetensors", tmp_path / "c.safetensors")


def test_the_export_command_takes_the_first_stage(
    first_stage: Path, pictures: Path, cache: Path, tmp_path: Path
) -> None:
    averaged = train_synthesis(first_stage, pictures, tmp_path / "a", cache, RECIPE, QUIET)
    export_synthesis(averaged, first_stage, tmp_path / "expected.safetensors")
    export(averaged, tmp_path / "got.safetensors", first_stage=first_stage)
    export(averaged, tmp_path / "none.safetensors", first_stage=first_stage, share=0.0)
    export(averaged, tmp_path / "half.safetensors", first_stage=first_stage, share=0.5)
    export(averaged, tmp_path / "few.safetensors", first_stage=first_stage, bits=6)
    (_, expected), (_, got) = (load_first_stage(tmp_path / f"{name}.safetensors") for name in ("expected", "got"))
    assert got == expected
    old, new, none, half = (
        plain(path)[0]["synthesis.enter.1.weight"].float()
        for path in (first_stage, *(tmp_path / f"{name}.safetensors" for name in ("got", "none", "half")))
    )
    assert torch.equal(none, old)
    few = plain(tmp_path / "few.safetensors")[0]["synthesis.enter.1.weight"]
    assert torch.equal(few, rounded(new.half(), 6))
    assert not torch.equal(few, new.half())
    torch.testing.assert_close(half, (old + new) / 2, rtol=2e-3, atol=1e-6)
