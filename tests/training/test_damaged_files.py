"""Damaged files of a training: a cache says what helps, a recipe names its file and what it lacks."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmark.cli.main import main
from benchmark.errors import BenchmarkError
from benchmark.training.checkpoint import read_training, save_tensors
from benchmark.training.crops import open_pictures


def test_a_cache_of_pictures_that_was_cut_short(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for n in range(2):
        pixels = np.random.default_rng(n).integers(0, 256, (130, 140, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{n}.png")
    assert len(open_pictures(tmp_path / "pictures", tmp_path / "cache").shapes) == 2
    [index] = (tmp_path / "cache").glob("*.json")
    [data] = (tmp_path / "cache").glob("*.npy")
    sound_index, sound_data = index.read_text(), data.read_bytes()
    for text, pixels_there in (
        (sound_index[:-3], sound_data),
        ("[[[1, 1]]]", sound_data),
        ("{}", sound_data),
        ("[[[130]]]", sound_data),
        (sound_index, sound_data[:-1000]),
        (sound_index, b""),
    ):
        index.write_text(text)
        data.write_bytes(pixels_there)
        with pytest.raises(BenchmarkError, match=r"pictures-.*\.json: .*remove the file, and it is made again"):
            open_pictures(tmp_path / "pictures", tmp_path / "cache")
    index.unlink()
    assert len(open_pictures(tmp_path / "pictures", tmp_path / "cache").shapes) == 2


def test_a_recipe_that_lacks_a_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "averaged.safetensors"
    for recipe, words in (
        ({"decoder": "flow"}, "its recipe has no unet"),
        ({"decoder": ["flow"]}, "holds no training of mse or hfd"),
        ({"autoencoder": {"widths": [1, 2]}}, "averaged.safetensors: not a training of the first stage"),
        ({"autoencoder": 3}, "averaged.safetensors: not a training of the first stage"),
        ([1], "its recipe is no table"),
    ):
        save_tensors(file, {"a": torch.zeros(2)}, recipe)  # type: ignore[arg-type]
        with pytest.raises(SystemExit) as ended:
            main(["train", "export", str(file), str(tmp_path / "out.safetensors")])
        assert ended.value.code == 3
        line = capsys.readouterr().err.strip()
        assert words in line
        assert "\n" not in line


def test_weights_that_are_not_finite_and_a_recipe_that_is_no_json(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    save_tensors(file, {"a": torch.tensor([1.0, float("nan")])}, {})
    with pytest.raises(BenchmarkError, match="a has values that are not finite"):
        read_training(file)
    save_file({"a": torch.zeros(1)}, file, metadata={"training": json.dumps({"a": 1})[:-1]})
    with pytest.raises(BenchmarkError, match=r"a\.safetensors: no JSON"):
        read_training(file)
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(BenchmarkError, match="is not a sound safetensors file"):
        read_training(file)
