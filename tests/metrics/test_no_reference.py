"""NIQE, CLIP-IQA, MUSIQ and MANIQA through a package of the user's own: here one that this test makes."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, Undefined
from benchmark.metrics import NoReferenceMetric, open_metric
from benchmark.metrics.no_reference import METRICS, NoReference
from benchmark.metrics.records import info_of, record_of

FAKE = """
import torch

__version__ = "9.8"

class Made:
    def __init__(self, name, device):
        self.lower_better = name == LOWER
        self.scale = {"niqe": 10.0, "musiq": 100.0}.get(name, 1.0)

    def __call__(self, x):
        assert x.dtype == torch.float32 and x.ndim == 4 and 0 <= x.min() and x.max() <= 1
        torch.manual_seed(123)
        return (x.mean() * self.scale)[None, None]

def create_metric(name, device=None):
    if not isinstance(device, torch.device):
        raise TypeError("device")
    if name == "maniqa":
        raise OSError("its weights cannot be downloaded")
    return Made(name, device)
"""


@pytest.fixture
def pyiqa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "pyiqa.py"
    file.write_text(FAKE + 'LOWER = "niqe"\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pyiqa", raising=False)
    importlib.invalidate_caches()
    return file


def opened(name: str) -> NoReference:
    metric = open_metric(name)
    assert isinstance(metric, NoReference)
    assert isinstance(metric, NoReferenceMetric)
    return metric


@pytest.mark.usefixtures("pyiqa")
@pytest.mark.parametrize(("name", "scale"), [("niqe", 10), ("musiq", 100), ("clipiqa", 1)])
def test_the_value_is_what_the_package_says(name: str, scale: float, photo: Image) -> None:
    metric = opened(name)
    metric.load()
    torch.manual_seed(1)
    before = torch.rand(1)
    torch.manual_seed(1)
    assert metric.score(photo) == pytest.approx(scale * photo.mean() / 255, rel=1e-5)
    assert torch.equal(torch.rand(1), before)  # random numbers of others are left alone
    assert metric.protocol.endswith("/rgb/pyiqa-9.8")
    assert metric.info.parts["pyiqa-9.8"]
    assert metric.feature_key.startswith(f"{name}.")
    assert info_of(name, record_of(metric, name)) == metric.info


@pytest.mark.parametrize("info", METRICS, ids=lambda info: info.name)
def test_without_the_package_it_says_why_it_is_not_there_and_how_to_get_it(
    info: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.metrics.no_reference.PACKAGE", "no_such_pyiqa")
    name = info.name  # type: ignore[attr-defined]
    with pytest.raises(
        BenchmarkError, match=rf"^{name} .*own no_such_pyiqa.*licence.*commercial.*pip install"
    ) as found:
        open_metric(name)
    assert found.value.exit_code == 3
    assert "\n" not in str(found.value)


@pytest.mark.usefixtures("pyiqa")
def test_a_package_that_cannot_make_it_is_named_with_its_reason() -> None:
    with pytest.raises(BenchmarkError, match=r"maniqa: your pyiqa cannot make it: OSError: its weights cannot"):
        opened("maniqa").load()


def test_a_package_that_counts_the_other_way_is_refused(pyiqa: Path) -> None:
    pyiqa.write_text(FAKE + 'LOWER = "musiq"\n')
    with pytest.raises(BenchmarkError, match=r"^niqe: .*the opposite is better"):
        opened("niqe").load()


@pytest.mark.usefixtures("pyiqa")
def test_small_images_have_no_value() -> None:
    with pytest.raises(Undefined, match="96 pixels"):
        opened("niqe").score(np.zeros((95, 200, 3), np.uint8))
