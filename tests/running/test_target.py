"""Qualities at equal bits for a whole set, and what the command line asks for."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.codecs import open_codec
from benchmark.datasets import Dataset, open_dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.running.target import Target, around, choose_qualities, mean_rate, parse_target


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    for seed, noise in enumerate((2, 25)):
        generator = np.random.default_rng(seed)
        y, x = np.mgrid[:64, :96] / 20
        waves = np.stack([np.sin(x + phase) + np.cos(y + phase) for phase in range(3)], axis=-1)
        image = np.clip(128 + 50 * waves + generator.normal(0, noise, waves.shape), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / f"{seed}.png")
    return open_dataset(str(tmp_path))


@pytest.mark.parametrize(
    ("bpp", "match", "per", "target"),
    [
        (None, None, "set", None),
        ("0.4,0.2,0.4", None, "set", Target((0.2, 0.4), None, False)),
        ("1", None, "image", Target((1,), None, True)),
        (None, "hfd", "set", Target((), "hfd", False)),
    ],
)
def test_what_is_asked(bpp: str | None, match: str | None, per: str, target: Target | None) -> None:
    assert parse_target(bpp, match, per) == target


@pytest.mark.parametrize(
    ("bpp", "match", "per"),
    [("0", None, "set"), ("25", None, "set"), ("x", None, "set"), ("", None, "set"), ("nan", None, "set"),
     ("1", "hfd", "set"), (None, None, "image"), ("1", None, "picture")],
)  # fmt: skip
def test_what_cannot_be_meant(bpp: str | None, match: str | None, per: str) -> None:
    with pytest.raises(UsageError):
        parse_target(bpp, match, per)


def test_codecs_of_the_trials() -> None:
    specs = ["hfd", "jpeg:subsampling=4:4:4"]
    assert around(Target((1,), None, False), specs) == specs
    assert around(Target((1,), None, True), specs) == ["bpp:hfd", "bpp:jpeg:subsampling=4:4:4"]
    assert around(Target((), "hfd", True), specs) == ["hfd", "match:jpeg:subsampling=4:4:4~hfd"]
    assert around(Target((), "webp", False), specs) == ["webp", *specs]


def test_one_quality_for_the_set_whose_mean_comes_closest(dataset: Dataset) -> None:
    codecs = {spec: open_codec(spec) for spec in ("jpeg", "webp:method=0")}
    qualities, notes = choose_qualities(Target((1.0, 2.0), None, False), codecs, {}, dataset)
    assert [len(qualities[spec]) for spec in codecs] == [2, 2]
    for spec, codec in codecs.items():
        rate = mean_rate(spec, codec, dataset)
        for wanted, quality in zip((1.0, 2.0), qualities[spec], strict=True):
            best = min(abs(np.log(rate(other) / wanted)) for other in range(1, 101))
            assert abs(np.log(rate(quality) / wanted)) <= best + 0.03  # the rate need not be quite monotone
    assert notes[0].startswith(f"jpeg for 1 bpp: quality {qualities['jpeg'][0]:g}, ")
    assert len(notes) == 4


def test_the_bits_of_another_codec(dataset: Dataset) -> None:
    codecs = {spec: open_codec(spec) for spec in ("jpeg", "webp:method=0")}
    target = Target((), "webp:method=0", False)
    qualities, _ = choose_qualities(target, codecs, {"webp:method=0": (50, 90)}, dataset)
    assert qualities["webp:method=0"] == (50, 90)
    for ours, theirs in zip(qualities["jpeg"], (50, 90), strict=True):
        rate, wanted = mean_rate("jpeg", codecs["jpeg"], dataset), mean_rate("w", codecs["webp:method=0"], dataset)
        assert rate(ours) == pytest.approx(wanted(theirs), rel=0.1)
    with pytest.raises(UsageError, match="--quality for jpeg: it is what --match searches for"):
        choose_qualities(target, codecs, {"jpeg": (3,)}, dataset)


def test_bits_out_of_reach_are_said(dataset: Dataset) -> None:
    _, notes = choose_qualities(Target((0.01,), None, False), {"jpeg": open_codec("jpeg")}, {}, dataset)
    assert notes[0].endswith("; that is as near as it comes")


def test_pictures_that_cannot_be_coded_are_left_out_but_not_all(dataset: Dataset, tmp_path: Path) -> None:
    rate = mean_rate("jpeg", open_codec("jpeg"), dataset)(50)
    (tmp_path / "broken.png").write_bytes(b"")
    assert mean_rate("jpeg", open_codec("jpeg"), open_dataset(str(tmp_path)))(50) == rate
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.raises(BenchmarkError, match=r"jpeg at quality 50 codes no image: .*not an image"):
        mean_rate("jpeg", open_codec("jpeg"), dataset)(50)
