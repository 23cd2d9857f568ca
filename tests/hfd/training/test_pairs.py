"""Pairs of originals and reconstructions that decoders are trained on."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.errors import BenchmarkError
from benchmark.hfd.codec import FIRST_STAGE_FILE
from benchmark.hfd.training.crops import PictureStore
from benchmark.hfd.training.pairs import PairStore, random_pair_crops
from benchmark.hfd.weights import SHIPPED


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
    with pytest.raises(BenchmarkError, match="no training picture has a crop of 80x80 pixels"):
        pairs.at_least(80)


def test_weights_that_do_not_fit_are_refused_before_pictures_are_coded(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    command = [
        "train",
        "score",
        str(pictures),
        "--from",
        str(SHIPPED / FIRST_STAGE_FILE),
        "--output",
        str(tmp_path / "out"),
    ]
    result = CliRunner().invoke(app, command)
    assert "another architecture" in str(result.exception)
    assert not list(tmp_path.rglob("pairs-*"))
