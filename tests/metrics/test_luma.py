"""PSNR-Y, PSNR-HVS and PSNR-HVS-M: known answers, the authors' printed tables, and another implementation."""

import math

import numpy as np
import pytest
from degradation import noisy
from numpy.typing import NDArray

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, Undefined
from benchmark.metrics import open_metric, shipped_info
from benchmark.metrics.luma import (
    JPEG_LUMINANCE,
    MASKING,
    SENSITIVITY,
    luma,
    make_psnr_hvs,
    make_psnr_hvs_m,
    make_psnr_y,
)

GREY = np.full((16, 24, 3), 100, np.uint8)


def test_luma_is_full_range_bt601_without_rounding() -> None:
    image = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [1, 2, 3]]], np.uint8)
    assert luma(image).tolist() == [[76_245, 149_685, 29_070, 255_000, 1_815]]


def test_psnr_y_of_known_differences() -> None:
    metric = make_psnr_y()
    brighter = GREY.copy()
    brighter[..., 1] += 10  # green: luma moves by 5.87
    assert metric.compare(metric.prepare(GREY), brighter) == pytest.approx(20 * math.log10(255 / 5.87))
    one = GREY.copy()
    one[0, 0] += 16
    assert metric.compare(metric.prepare(GREY), one) == pytest.approx(10 * math.log10(255**2 / (256 / (16 * 24))))


def test_colours_of_the_same_luma_are_the_same_to_it() -> None:
    """0.587 · 114 = 0.114 · 587."""
    metric, reason = make_psnr_y(), "luma of both images is the same"
    original = np.zeros((8, 8, 3), np.uint8)
    other = original.copy()
    original[..., 0], other[..., 0] = 114, 0
    original[..., 2], other[..., 2] = 0, 0
    red, blue = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    red[..., 0], blue[..., 2] = 38, 38  # 0.299 · 38 is not 0.114 · 38
    assert metric.compare(metric.prepare(red), blue) < 40
    with pytest.raises(Undefined, match=reason):
        metric.compare(metric.prepare(original), original)
    assert metric.info.infinite_reason.startswith("the luma of both images is the same")


def test_the_tables_are_those_that_the_authors_print() -> None:
    """Rows of CSFCof and MaskCof in Ponomarenko's psnrhvsm.m, which has six decimals."""
    printed = [1.608443, 2.339554, 2.573509, 1.608443, 1.072295, 0.643377, 0.504610, 0.421887]
    assert SENSITIVITY[0] == pytest.approx(printed, abs=1.5e-6)
    assert SENSITIVITY[7, -2:] == pytest.approx([0.249855, 0.259950], abs=1.5e-6)
    printed = [0.390625, 0.826446, 1.0, 0.390625, 0.173611, 0.0625, 0.038447, 0.026874]
    assert MASKING[0] == pytest.approx(printed, abs=1e-6)
    assert JPEG_LUMINANCE[7, 7] == 99


def plain_hvs(original: NDArray[np.float64], changed: NDArray[np.float64]) -> tuple[float, float]:
    """Both errors, block by block, as the two papers have them; its DCT is a matrix written out here."""
    k, n = np.mgrid[:8, :8]
    basis = np.cos(np.pi * k * (2 * n + 1) / 16) * np.where(k == 0, math.sqrt(1 / 8), 0.5)
    plain, masked, count = 0.0, 0.0, 0
    for top in range(0, original.shape[0] - 7, 8):
        for left in range(0, original.shape[1] - 7, 8):
            pair = [plane[top : top + 8, left : left + 8] for plane in (original, changed)]
            a, b = (basis @ block @ basis.T for block in pair)
            mask = max(masking(block, c) for block, c in zip(pair, (a, b), strict=True))
            for u in range(8):
                for v in range(8):
                    difference = abs(a[u, v] - b[u, v])
                    weight = 25.735088 / JPEG_LUMINANCE[u, v]
                    plain += (difference * weight) ** 2
                    if (u, v) != (0, 0):
                        difference = max(0.0, difference - mask * JPEG_LUMINANCE[u, v] ** 2 / 100)
                    masked += (difference * weight) ** 2
                    count += 1
    return plain / count, masked / count


def masking(block: NDArray[np.float64], coefficients: NDArray[np.float64]) -> float:
    def scatter(x: NDArray[np.float64]) -> float:
        return float(((x - x.mean()) ** 2).sum() / (x.size - 1) * x.size)

    energy = sum(
        coefficients[u, v] ** 2 * 100 / JPEG_LUMINANCE[u, v] ** 2 for u in range(8) for v in range(8) if u or v
    )
    whole = scatter(block)
    parts = sum(scatter(block[y : y + 4, x : x + 4]) for y in (0, 4) for x in (0, 4))
    return math.sqrt(energy * (parts / whole if whole else 0)) / 32


def test_psnr_hvs_is_that_of_a_plain_loop(photo: Image) -> None:
    original = photo[:35, :47]  # 3 pixels below and 7 on the right belong to no block
    for deviation in (1, 8, 40):
        changed = noisy(original, deviation, seed=deviation)
        errors = plain_hvs(luma(original) / 1000, luma(changed) / 1000)
        for make, error in zip((make_psnr_hvs, make_psnr_hvs_m), errors, strict=True):
            metric = make()
            value = metric.compare(metric.prepare(original), changed)
            if error == 0:
                continue
            assert value == pytest.approx(10 * math.log10(255**2 / error), abs=1e-9)


def test_psnr_hvs_is_that_of_another_package(photo: Image) -> None:
    package = pytest.importorskip("psnr_hvsm.numpy", reason="psnr_hvsm, under the GPL, is no dependency")
    changed = noisy(photo, 12)
    expected = package.psnr_hvs_hvsm(luma(photo) / 255e3, luma(changed) / 255e3)
    for make, value in zip((make_psnr_hvs, make_psnr_hvs_m), expected, strict=True):
        metric = make()
        assert metric.compare(metric.prepare(photo), changed) == pytest.approx(float(value), abs=1e-5)


def test_masking_hides_noise_in_texture_more_than_on_a_plain() -> None:
    generator = np.random.default_rng(0)
    texture = generator.integers(60, 200, (64, 64, 1), dtype=np.uint8).repeat(3, axis=2)
    plain = np.full_like(texture, 128)
    noise = generator.integers(-6, 7, (64, 64, 1))
    gains = []
    for image in (texture, plain):
        changed = (image + noise).astype(np.uint8)
        values = [metric.compare(metric.prepare(image), changed) for metric in (make_psnr_hvs(), make_psnr_hvs_m())]
        gains.append(values[1] - values[0])
    assert gains[0] > gains[1] + 3


@pytest.mark.parametrize("name", ["psnr-hvs", "psnr-hvs-m"])
def test_blocks_that_are_the_same_are_infinitely_good(name: str) -> None:
    metric = open_metric(name)
    with pytest.raises(Undefined) as found:
        metric.compare(metric.prepare(GREY), GREY)  # type: ignore[union-attr]
    assert str(found.value) == metric.info.infinite_reason
    with pytest.raises(Undefined, match="at least 8 pixels, this is 24x7"):
        metric.prepare(GREY[:7])  # type: ignore[union-attr]
    with pytest.raises(BenchmarkError, match="24x8"):
        metric.compare(metric.prepare(GREY), GREY[:8])  # type: ignore[union-attr]
    info = shipped_info(name)
    assert info is not None
    assert info.smallest_side == 8
