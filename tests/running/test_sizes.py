"""What the sizes of a data set tell before the first trial."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from benchmark.datasets import open_dataset
from benchmark.running import sizes
from benchmark.running.measurement import open_instruments
from benchmark.running.run import Request, open_run
from benchmark.running.sizes import metrics_without_value

NAMES = ("psnr", "ms_ssim", "lpips", "fd-effnet", "fd-effnet@patch256-hific")


def pictures(folder: Path, *shapes: tuple[int, int]) -> str:
    folder.mkdir(exist_ok=True)
    for number, shape in enumerate(shapes):
        Pillow.fromarray(np.full((*shape, 3), number, np.uint8)).save(folder / f"{number}.png")
    return str(folder)


def said(dataset: str) -> list[str]:
    return metrics_without_value(open_instruments(NAMES, "cpu"), open_dataset(dataset))


@pytest.mark.parametrize(
    ("shapes", "without"),
    [
        ([(64, 200), (160, 900)], ["ms_ssim", "fd-effnet@patch256-hific"]),
        ([(64, 64)], ["ms_ssim", "fd-effnet", "fd-effnet@patch256-hific"]),
        ([(64, 64), (161, 161)], ["fd-effnet@patch256-hific"]),
        ([(64, 64), (161, 161), (256, 256)], []),
        ([(600, 600), (64, 64)], []),
    ],
)
def test_metrics_that_no_image_is_large_enough_for(
    tmp_path: Path, shapes: list[tuple[int, int]], without: list[str]
) -> None:
    lines = said(pictures(tmp_path / "pictures", *shapes))
    assert [line.partition(" will have no value for any image: ")[0] for line in lines] == without


def test_the_reason_is_the_metric_s_own(tmp_path: Path) -> None:
    lines = said(pictures(tmp_path / "pictures", (64, 96)))
    assert lines[0].endswith("MS-SSIM needs both sides of at least 161 pixels, this is 96x64")
    assert lines[1].endswith("96x64 is smaller than a patch")


def test_what_is_done_to_the_images_first_counts(tmp_path: Path) -> None:
    assert said(pictures(tmp_path / "pictures", (64, 64)) + "@square256") == []


def test_an_image_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures")
    (tmp_path / "pictures" / "a.png").write_text("no image")
    assert said(folder) == []


def test_not_all_headers_of_a_large_set_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "MOST_HEADERS", 2)
    lines = said(pictures(tmp_path / "pictures", (64, 64), (64, 65), (300, 300)))
    assert lines[0].startswith("ms_ssim will have no value for the first 2 images: ")


def test_a_run_says_so_before_its_first_trial(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", (16, 24))
    asked = Request(["jpeg"], True, folder, ["50"], ["psnr", "ms_ssim"], output=tmp_path / "run", workers=1)
    with open_run(asked) as run:
        assert [note for note in run.notes if note.startswith("ms_ssim will have no value for any image")]
        assert len(list(run.execute())) == 1
    with open_run(asked) as run:  # nothing is left to do
        assert not [note for note in run.notes if "will have no value" in note]
