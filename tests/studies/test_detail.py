"""Which part of a picture a distance comes from."""

import sys

import numpy as np
import numpy.typing as npt
import pytest

from benchmark.metrics import SetMetric, open_metric
from benchmark.studies import detail
from benchmark.studies.detail import VARIANTS, vary

Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def pair() -> tuple[Picture, Picture]:
    """An original, and a picture of other luma and chroma, neither near black nor white."""
    generator = np.random.default_rng(0)
    original, picture = generator.integers(90, 160, (2, 40, 48, 3), dtype=np.uint8)
    return picture, original


def luma(image: Picture) -> npt.NDArray[np.float64]:
    return image.astype(np.float64).sum(2) / 3**0.5


def chroma(image: Picture) -> npt.NDArray[np.float64]:
    return image - image.mean(2, keepdims=True)


def test_parts_of_the_original(pair: tuple[Picture, Picture]) -> None:
    """Chroma moves no luma, luma no chroma, and its two parts together are the whole; within rounding to 8 bits."""
    picture, original = pair
    _, with_chroma, with_fine, with_coarse, *_ = (vary(picture, original, variant) for variant in VARIANTS.values())
    assert np.abs(luma(with_chroma) - luma(picture)).max() < 1
    assert np.abs(chroma(with_chroma) - chroma(original)).max() < 1.01
    assert np.abs(chroma(with_fine) - chroma(picture)).max() < 1.01
    whole = luma(with_fine) + luma(with_coarse) - luma(picture)
    assert np.abs(whole - luma(original)).max() < 2
    fine, coarse = np.abs(luma(with_fine) - luma(picture)), np.abs(luma(with_coarse) - luma(picture))
    assert fine.max() > coarse.max() > 3


def test_what_is_smooth_stays(pair: tuple[Picture, Picture]) -> None:
    flat = np.full((40, 48, 3), (20, 130, 240), np.uint8)
    for name in list(VARIANTS)[4:]:
        assert "smoothed" in name
        assert np.array_equal(vary(flat, pair[1], VARIANTS[name]), flat)


def test_the_original_itself_has_no_distance(pair: tuple[Picture, Picture]) -> None:
    metric = open_metric("fd-effnet@whole")
    assert isinstance(metric, SetMetric)
    found = list(detail.distances(metric, pair, pair).values())
    for distance, psnr in found[:4]:
        assert abs(distance) < 1e-3
        assert psnr == float("inf")
    assert all(distance > 1 and psnr < 40 for distance, psnr in found[4:])


def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["detail", "jpeg", "--quality", "10", "--limit", "2", "--metric", "fd-effnet@whole"]
    monkeypatch.setattr(sys, "argv", command)
    detail.main()
    first, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("jpeg, quality 10, 2 pictures of photos")
    assert [row.strip().partition("  ")[0] for row in rows] == list(VARIANTS)
    monkeypatch.setattr(sys, "argv", ["detail", "--metric", "psnr"])
    with pytest.raises(SystemExit) as end:
        detail.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == "--metric psnr: of single pictures, not of sets\n"
