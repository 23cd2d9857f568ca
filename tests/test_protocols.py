"""Papers' set-ups by one word: what they name exists, what a run under one is, and what it may be drawn beside."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import benchmark
from benchmark import protocols
from benchmark.cli.main import main
from benchmark.datasets import DATASETS, dataset_of
from benchmark.errors import NotComparable, UsageError
from benchmark.metrics import check_metric
from benchmark.preparations import check_preparation
from benchmark.protocols import PROTOCOLS, dataset_of_protocol, protocol_of, references_of
from benchmark.reports.anchors import read_published
from benchmark.results import RunFolder


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_what_a_protocol_names_is_there(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert protocol.name == name
    assert protocol.source.startswith("https://")
    for own in (protocol.metrics, *protocol.metrics_on.values()):
        assert len(set(own)) == len(own)
        for metric in own:
            check_metric(metric)
    assert set(protocol.metrics_on) <= set(protocol.datasets)
    for dataset in protocol.datasets:
        place, _, preparation = dataset.partition("@")
        assert place in DATASETS
        if preparation:
            check_preparation(preparation)


@pytest.mark.parametrize("name", [name for name, protocol in PROTOCOLS.items() if protocol.references])
def test_published_points_of_a_protocol_are_of_its_data_sets(name: str) -> None:
    frame, protocol = read_published(), PROTOCOLS[name]
    rows = frame[frame["reference"].str.startswith(protocol.references)]
    assert len(rows)
    assert set(rows["dataset"]) & set(protocol.datasets)
    measured = {metric.partition("@")[0] for metric in protocol.metrics}
    assert set(rows["metric"]) & measured


def test_names() -> None:
    assert protocol_of("cod").dataset == "kodak@square512"
    with pytest.raises(UsageError, match="no protocol is named 'stabelcodec'; did you mean stablecodec"):
        protocol_of("stabelcodec")
    with pytest.raises(UsageError, match="there are hific2020"):
        protocol_of("xyz")


def test_its_data_sets_and_no_others() -> None:
    protocol = protocol_of("stablecodec")
    assert dataset_of_protocol(protocol, None) == "kodak"
    assert dataset_of_protocol(protocol, "div2k-valid") == "div2k-valid"
    with pytest.raises(UsageError, match="the protocol stablecodec is of kodak, clic2020-test, div2k-valid"):
        dataset_of_protocol(protocol, "photos")


def test_patches_follow_the_data_set_where_the_paper_s_do() -> None:
    glc = protocol_of("glc")  # 64 pixels on Kodak, 256 on images of high resolution
    assert [one for one in glc.metrics_of("kodak") if "@" in one] == ["fid@patch64-nc", "kid-subsets@patch64-nc"]
    for dataset in ("clic2020-test", "div2k-valid"):
        own = glc.metrics_of(dataset)
        assert [one for one in own if "@" in one] == ["fid@patch256-nc", "kid-subsets@patch256-nc"]
        assert own[:4] == glc.metrics[:4]
    assert protocol_of("cod").metrics_of("kodak@square512") == protocol_of("cod").metrics


def test_perco_s_distances_are_clean_fid_s() -> None:
    assert protocol_of("perco").metrics == ("psnr", "ms_ssim", "lpips", "fid-clean@whole", "kid-clean@whole")


def test_published_points_of_runs_under_protocols() -> None:
    assert references_of([]) is None
    assert references_of([None, None]) is None
    assert references_of(["cod", "cod"]) == ("Jia et al. 2026, CoD",)
    assert references_of(["perco"]) == ()  # it has none: nothing may be drawn
    with pytest.raises(NotComparable, match=r"different protocols \(cod, none\)"):
        references_of(["cod", None])


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A protocol of two small images, whose one metric of sets needs no download."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (130, 140, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    made = replace(
        PROTOCOLS["cod"],
        name="tiny",
        title="Tiny (nobody 2026)",
        datasets=(f"{folder}@crop128", f"{folder}@crop130"),
        metrics=("psnr", "fd-effnet@patch64-nc"),
        left_open=("the weather",),
        metrics_on={f"{folder}@crop130": ("psnr",)},
    )
    monkeypatch.setitem(protocols.PROTOCOLS, "tiny", made)
    return tmp_path


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert isinstance(caught.value.code, int)
    return caught.value.code


def run(tiny: Path, *arguments: str) -> int:
    codec = ["--codec", "jpeg", "--only", "--quality", "40", "--workers", "1"]
    return call("run", *codec, "-o", str(tiny / "run"), *arguments)


def test_a_run_under_a_protocol(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tiny, "--protocol", "tiny", "--metric", "ms_ssim") == 0
    told = capsys.readouterr().err
    assert "protocol tiny: Tiny (nobody 2026)" in told
    assert "leaves open or differs: the weather" in told
    manifest = RunFolder.open(tiny / "run").manifest
    assert manifest.protocol == "tiny"
    assert set(manifest.metrics) == {"psnr", "ms_ssim", "fd-effnet@patch64-nc"}
    assert manifest.dataset.preparation == "crop128"
    assert call("explain", str(tiny / "run")) == 0
    assert "Made under the protocol tiny" in capsys.readouterr().out
    images = manifest.dataset.name.partition("@")[0]
    assert run(tiny, "--dataset", f"{tiny / images}@crop128", "--metric", "psnr") == 2
    assert "holds another run" in capsys.readouterr().err
    assert call("plot", str(tiny / "run"), "--published", "jpeg") == 4  # nothing else is drawn over it
    assert "no published figures of jpeg" in capsys.readouterr().err


def test_on_another_data_set_it_has_other_metrics(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tiny, "--protocol", "tiny", "--dataset", f"{tiny / 'images'}@crop130") == 0
    assert set(RunFolder.open(tiny / "run").manifest.metrics) == {"psnr"}
    assert "images@crop130; psnr" in " ".join(capsys.readouterr().err.split())


def test_another_data_set_is_refused(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tiny, "--protocol", "tiny", "--dataset", "photos") == 2
    assert "--dataset photos: the protocol tiny is of" in capsys.readouterr().err


def test_images_of_a_program_are_no_data_set_of_a_protocol() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    for images in ([image], dataset_of([image])):
        with pytest.raises(UsageError, match="--dataset arrays: the protocol compressai is of kodak"):
            benchmark.evaluate({"JPEG": "jpeg"}, images, protocol="compressai", qualities={"JPEG": [50]})


def test_the_list_says_what_each_leaves_open(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list", "protocols") == 0
    listed = capsys.readouterr().out
    for protocol in PROTOCOLS.values():
        assert f"{protocol.name}: {protocol.title}" in listed
        assert protocol.source in listed
        assert all(what in listed for what in protocol.left_open)
        assert all(f"on {one}: {', '.join(own)}" in listed for one, own in protocol.metrics_on.items())
