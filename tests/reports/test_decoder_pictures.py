"""The comparison as a whole with fake codecs, and what its images show."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmark.analysis.equal_bits import AtRate
from benchmark.cli.main import app
from benchmark.reports.decoders import MAGNIFIED, Cell, Cost, draw_costs, draw_sheet


def test_each_pixel_of_a_crop_is_a_square_of_the_sheet(tmp_path: Path) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3), dtype=np.uint8)
    rows = [
        (f"image {n}", [Cell("original", "", crops[2 * n]), Cell("x", "0.2 bpp", crops[2 * n + 1])]) for n in (0, 1)
    ]
    (path,) = draw_sheet(rows, "title", tmp_path / "sheet")
    sheet = np.asarray(Image.open(path).convert("RGB"))
    for crop in crops:
        wanted = crop.repeat(MAGNIFIED, 0).repeat(MAGNIFIED, 1)
        places = np.argwhere((sheet[: -wanted.shape[0] + 1, : -wanted.shape[1] + 1] == wanted[0, 0]).all(-1))
        assert any(
            np.array_equal(sheet[top : top + wanted.shape[0], left : left + wanted.shape[1]], wanted)
            for top, left in places
        )


def test_costs_are_told_and_a_codec_without_network_is_a_line(tmp_path: Path) -> None:
    values = [
        AtRate(name, 0.2, value, value - 1, value + 1, "")
        for name, value in (("jpeg", 9.0), ("mse", 8.0), ("hfd", 5.0))
    ]
    costs = {"jpeg": Cost(0, 0.0), "mse": Cost(7_200_000, 28.5), "hfd": Cost(9_200_000, 289.3)}
    paths = draw_costs(values, costs, "FD-EffNet", 0.2, "set", tmp_path / "plot")
    assert [path.suffix for path in paths] == [".png", ".svg"]
    text = paths[1].read_text()
    for part in (
        "jpeg (no network)",
        "mse (28 kMAC/px, 7.2 M parameters)",
        "hfd (289 kMAC/px, 9.2 M parameters)",
        "FD-EffNet at 0.2 bpp",
    ):
        assert part in text


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for n in range(2):
        Image.fromarray(generator.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(folder / f"p{n}.png")
    return folder


def test_the_command_from_pictures_to_reports(pictures: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = ["decoders", "--codec", "jpeg", "--codec", "tiny", "--codec", "noisy", "--dataset", str(pictures)]
    arguments += ["--quality", "jpeg=20,50", "--quality", "tiny=2,4", "--quality", "noisy=2,4", "--metric", "psnr"]
    arguments += ["--bpp", "6", "--sheet-quality", "4", "--crop", "32", "--workers", "1", "-o", str(output)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "tiny, noisy: the same number of bytes at every image and quality" in result.output
    with (output / "costs.csv").open() as file:
        rows = {row["codec"]: row for row in csv.DictReader(file)}
    assert rows.keys() == {"jpeg", "tiny", "noisy"}
    assert rows["jpeg"]["parameters"] == "0"
    assert rows["tiny"]["value"] != rows["noisy"]["value"]
    table = (output / "decoders.md").read_text()
    assert re.search(r"noisy \| 2 \| .*\(\d", table)  # the error over its three seeds
    assert not re.search(r"tiny \| 2 \| .*\(\d", table)
    for name in ("summary.csv", "plots/psnr.png", "plots/psnr-over-cost.svg", "plots/sheet-4.png"):
        assert (output / name).is_file(), name
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0, again.output
    assert "goes on in" in again.output
