"""Runs on the real Kodak under papers' set-ups, from end to end; Inception and VGG16 have random weights, since theirs
are downloads. `pytest -m slow tests/test_protocols_on_kodak.py`, after `python -m benchmark fetch kodak`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import benchmark.fetching
from benchmark.cli.main import main
from benchmark.datasets import kodak
from benchmark.metrics import references
from benchmark.protocols import PROTOCOLS
from benchmark.results import RunFolder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (kodak.folder() / "kodim24.png").is_file(), reason="Kodak is not fetched (python -m benchmark fetch kodak)"
    ),
]


@pytest.fixture(autouse=True)
def random_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    torch.save(references.stand_in_vgg16(), tmp_path / "vgg16.pth")
    monkeypatch.setattr(benchmark.fetching, "vgg16_weights", lambda: tmp_path / "vgg16.pth")
    with references.stand_in_inception():
        yield


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize(
    ("name", "images", "published"), [("cod", 1, "cod-latent"), ("stablecodec", 24, "stablecodec")]
)
def test_a_run_and_its_plot(name: str, images: int, published: str, tmp_path: Path) -> None:
    """All images of Kodak are drawn over the published points, a part of them over none."""
    codec = ("--codec", "jpeg", "--only", "--quality", "5,20", "--workers", "1")
    assert call("run", *codec, "--protocol", name, "--limit", str(images), "-o", str(tmp_path / "run")) == 0
    folder, protocol = RunFolder.open(tmp_path / "run"), PROTOCOLS[name]
    assert folder.manifest.protocol == name
    assert folder.manifest.dataset.name.startswith(protocol.dataset)
    assert set(folder.manifest.metrics) == set(protocol.metrics)
    assert len({trial.image for trial in folder.trials()}) == images
    summary = pd.read_csv(tmp_path / "run" / "summary.csv").set_index("metric")["value"]
    for metric in protocol.metrics:
        # Kodak has too few patches of 256 pixels for subsets of 1,000.
        assert np.isnan(summary[metric]).all() if "subsets" in metric else np.isfinite(summary[metric]).all(), metric
    drawn = call("plot", str(tmp_path / "run"), "--published", published, "-o", str(tmp_path / "plots"))
    assert drawn == (0 if images == 24 else 4)
    assert (tmp_path / "plots" / "curves.png").is_file() == (images == 24)
