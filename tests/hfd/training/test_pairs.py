"""Pairs of originals and reconstructions that decoders are trained on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.errors import BenchmarkError
from benchmark.hfd.bases import AutoencoderBase, open_classical
from benchmark.hfd.first_stage import load_first_stage
from benchmark.hfd.training.pairs import DevicePairs, PairStore, make_pairs, random_pair_crops
from benchmark.hfd.weights import FIRST_STAGE_FILE, SHIPPED
from benchmark.training.crops import PictureStore, open_pictures


def test_crops_come_from_pictures_that_are_large_enough() -> None:
    shapes = ((40, 90), (64, 48), (129, 20))
    sizes = [h * w * 3 for h, w in shapes]
    offsets = tuple(int(n) for n in np.cumsum([0, *sizes[:-1]]))
    pixels = np.repeat(np.array([10, 20, 30], np.uint8), sizes)
    pairs = PairStore(PictureStore(pixels, offsets, shapes), (pixels / 100).astype(np.float16), (1.0, 2.0, 3.0))
    x, x_hat, quality = random_pair_crops(pairs.at_least(48), np.random.default_rng(0), 5, 48)
    assert quality.tolist() == [2.0] * 5
    assert x.shape == (5, 3, 48, 48)
    assert float((x - (20 / 255 - 0.5)).abs().max()) < 1e-6
    assert float((x_hat - 0.2).abs().max()) < 1e-3
    with pytest.raises(BenchmarkError, match="no training image has a crop of 80x80 pixels"):
        pairs.at_least(80)


def test_crops_in_a_gpus_memory_are_the_same() -> None:
    shapes = ((70, 90), (64, 48))
    sizes = [h * w * 3 for h, w in shapes]
    generator = np.random.default_rng(1)
    pixels = generator.integers(0, 256, sum(sizes), dtype=np.uint8)
    x_hat = generator.uniform(-0.5, 0.5, sum(sizes)).astype(np.float16)
    pairs = PairStore(PictureStore(pixels, (0, sizes[0]), shapes), x_hat, (1.0, 2.0))
    cpu = torch.device("cpu")
    assert not DevicePairs.fit(pairs, cpu)
    expected = random_pair_crops(pairs, np.random.default_rng(5), 9, 40)
    for got, wanted in zip(
        DevicePairs(pairs, cpu).random_crops(np.random.default_rng(5), 9, 40), expected, strict=True
    ):
        torch.testing.assert_close(got, wanted)


@pytest.mark.slow
def test_several_processes_make_the_same_pairs(pictures: Path, tmp_path: Path) -> None:
    base = AutoencoderBase(*load_first_stage(SHIPPED / FIRST_STAGE_FILE, torch.device("cpu")))
    store = open_pictures(pictures, tmp_path)
    one, two = (make_pairs(base, store, tmp_path / str(n), 2, Console(quiet=True), workers=n) for n in (1, 2))
    assert np.array_equal(one.pictures.pixels, two.pictures.pixels)
    assert np.array_equal(one.reconstructions, two.reconstructions)
    assert one.qualities == two.qualities


def test_varied_pictures_from_the_second_pass_on(pictures: Path, tmp_path: Path) -> None:
    """The first pass is the same; the store is another."""
    base, store, quiet = open_classical("jpeg"), open_pictures(pictures, tmp_path), Console(quiet=True)
    plain, varied = (make_pairs(base, store, tmp_path, 2, quiet, varied=varied) for varied in (False, True))
    assert len(list(tmp_path.glob("pairs-*.json"))) == 2
    for n in range(len(store)):
        assert all(np.array_equal(a, b) for a, b in zip(plain.pair(n), varied.pair(n), strict=True))
        second = varied.pair(len(store) + n)
        assert not np.array_equal(second[0], plain.pair(len(store) + n)[0])
        assert np.abs(second[0] / 255 - 0.5 - second[1]).mean() < 0.1  # x̂ is of the image that was varied


def test_weights_that_do_not_fit_are_refused_before_pictures_are_coded(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    command = [
        "train",
        "flow",
        str(pictures),
        "--from",
        str(SHIPPED / FIRST_STAGE_FILE),
        "--output",
        str(tmp_path / "out"),
    ]
    result = CliRunner().invoke(app, command)
    assert "another architecture" in str(result.exception)
    assert not list(tmp_path.rglob("pairs-*"))
