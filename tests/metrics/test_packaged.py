"""Metrics that a package computes: SSIMULACRA 2, FLIP, those of piq, ColorVideoVDP and VMAF, held against it."""

import importlib.metadata
import importlib.util
import re

import numpy as np
import pytest
from degradation import noisy

from benchmark.codecs import Image
from benchmark.errors import EXTRAS, BenchmarkError, Undefined
from benchmark.metrics import (
    METRICS,
    ImageMetric,
    Mapped,
    MetricInfo,
    open_metric,
    shipped_info,
    similarity,
    ssimulacra,
    video,
)
from benchmark.metrics import flip as flip_family
from benchmark.metrics.references import REFERENCES

INFOS = (*ssimulacra.METRICS, *flip_family.METRICS, *similarity.METRICS, *video.METRICS)
HEAVY = {"cvvdp"}  # seconds to import


def opened(name: str) -> ImageMetric:
    info = shipped_info(name)
    assert info is not None
    if info.needs:
        pytest.importorskip(info.needs)
    metric = open_metric(name)
    assert isinstance(metric, ImageMetric)
    return metric


def each(*, heavy: bool) -> list[object]:
    marks = [pytest.mark.slow] if heavy else []
    return [pytest.param(info, id=info.name, marks=marks) for info in INFOS if (info.name in HEAVY) is heavy]


EACH = each(heavy=False) + each(heavy=True)


@pytest.mark.parametrize("info", EACH)
def test_it_is_the_package_s_own_value(info: MetricInfo, photo: Image) -> None:
    metric = opened(info.name)
    original = photo[101:270, 50:255]  # odd sides
    changed = noisy(original, 15)
    expected = REFERENCES[info.name].value(original, changed)
    assert metric.compare(metric.prepare(original), changed) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("info", EACH)
def test_identical_images_give_what_it_says_and_noise_makes_it_worse(info: MetricInfo, photo: Image) -> None:
    metric = opened(info.name)
    original = photo[100:292, 60:260]
    prepared = metric.prepare(original)
    values = [metric.compare(prepared, noisy(original, deviation)) for deviation in (0, 6, 24)]
    stated = re.match(r"(?:about )?(\d+)", info.identical)
    assert stated is not None
    assert values[0] == pytest.approx(float(stated[1]), abs=0.5 if "about" in info.identical else 1e-5)
    assert values == sorted(values, reverse=info.higher_is_better)
    low, high = info.lowest, info.highest
    assert all((low is None or value >= low) and (high is None or value <= high + 1e-5) for value in values)


@pytest.mark.parametrize("info", EACH)
def test_the_smallest_side_has_a_value_and_a_smaller_one_has_none(info: MetricInfo, photo: Image) -> None:
    metric = opened(info.name)
    side = info.smallest_side
    for original in (photo[:side, : side + 9], photo[: side + 9, :side]):
        assert np.isfinite(metric.compare(metric.prepare(original), noisy(original, 10)))
    if side > 1:
        with pytest.raises(Undefined, match=rf"at least {side} pixels, this is 200x{side - 1}"):
            metric.prepare(photo[: side - 1, :200])
    with pytest.raises(BenchmarkError, match="the reconstruction is"):
        metric.compare(metric.prepare(photo[:200, :200]), photo[:200, :201])


@pytest.mark.parametrize("info", EACH)
def test_the_version_of_the_package_is_part_of_the_protocol(info: MetricInfo) -> None:
    metric = opened(info.name)
    name, *settings, package = metric.protocol.split("/")
    distribution, version = package.rsplit("-", 1)
    assert name == info.name
    assert importlib.metadata.version(distribution) == version
    assert set(settings) == set(info.parts)
    assert package in metric.info.parts


@pytest.mark.parametrize("info", [info for info in INFOS if info.needs], ids=lambda info: info.name)
def test_without_its_package_the_extra_is_named(info: MetricInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    own = importlib.metadata.version

    def lacking(distribution: str) -> str:
        if distribution == "numpy":  # whose version the message depends on
            return own(distribution)
        raise importlib.metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr("importlib.metadata.version", lacking)
    extra = EXTRAS[info.needs]
    line = rf"^{info.name} needs the package {info.needs}: pip install 'hfd-benchmark\[{extra}\]'$"
    with pytest.raises(BenchmarkError, match=line) as found:
        open_metric(info.name)
    assert found.value.exit_code == 3


def test_the_list_says_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    own = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "piq" else own(name))
    assert METRICS.lacks("vif") == "piq"
    assert METRICS.lacks("psnr-y") is None


def test_flip_s_map_is_the_package_s_and_its_mean_the_value(photo: Image) -> None:
    metric = opened("flip")
    assert isinstance(metric, Mapped)
    original = photo[:60, :80].copy()
    changed = original.copy()
    changed[20:40, 30:50] = 255 - changed[20:40, 30:50]
    prepared = metric.prepare(original)
    found = metric.difference_map(prepared, changed)
    assert (found.shape, found.dtype) == ((60, 80), np.float32)
    assert found.mean(dtype=np.float64) == metric.compare(prepared, changed)
    assert found[25:35, 35:45].mean() > 10 * found[50:, :10].mean()
    assert not metric.difference_map(prepared, original).any()
    assert np.array_equal(prepared, original.astype(np.float32) / 255)  # the package writes to none of it


def test_ssimulacra2_of_fewer_scales_is_the_package_s(photo: Image) -> None:
    metric = opened("ssimulacra2")
    for side in (8, 15, 16, 100):
        original = photo[300 : 300 + side, 100 : 103 + side]
        changed = noisy(original, 25)
        expected = REFERENCES["ssimulacra2"].value(original, changed)
        assert metric.compare(metric.prepare(original), changed) == pytest.approx(expected, abs=1e-9)


FLAT = {level: np.full((200, 170, 3), level, np.uint8) for level in (0, 128, 255)}


@pytest.mark.parametrize("info", similarity.METRICS, ids=lambda info: info.name)
def test_identical_flat_images_have_the_value_of_identical_ones_or_none(info: MetricInfo) -> None:
    metric = opened(info.name)
    for level, image in FLAT.items():
        if info is similarity.IW_SSIM:
            with pytest.raises(Undefined, match="too little structure"):
                metric.compare(metric.prepare(image), image.copy())
        else:
            value = metric.compare(metric.prepare(image), image.copy())
            assert value == pytest.approx(float(info.identical), abs=1e-5), level


def test_vif_of_an_original_without_information_has_no_value(photo: Image) -> None:
    metric = opened("vif")
    for original in FLAT.values():
        for changed in (255 - original, photo[:200, :170], np.clip(original + np.uint8(1), 1, 255)):
            with pytest.raises(Undefined, match="luma of the original is flat"):
                metric.compare(metric.prepare(original), changed)
    # the other way round nothing of the information is left
    assert metric.compare(metric.prepare(photo[:200, :170]), FLAT[128]) == pytest.approx(0, abs=1e-3)
