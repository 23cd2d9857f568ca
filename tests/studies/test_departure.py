"""By how much decoders depart from what was sent."""

import csv
import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from support.waves import waves

from benchmark.baselines.upscale.small_copy import shrink
from benchmark.cli.main import main
from benchmark.codecs import open_codec
from benchmark.errors import BenchmarkError, UsageError
from benchmark.images import png_bytes
from benchmark.pixels import Image
from benchmark.studies import departure
from benchmark.studies.departure import SENT, SMALL, Coded, code, lines, measure, rows, sent_of, small_psnr

ROOT = Path(__file__).parents[2]


class Sends:
    """A codec that sends its image whole and decodes something else, or has an x̂."""

    qualities = (1.0,)
    stochastic = False

    def __init__(self, change: int) -> None:
        self.change = change

    def encode(self, image: Image, quality: float) -> bytes:
        self.image = image
        return bytes(int(quality))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        return self.image + np.uint8(self.change)


class HasXHat(Sends):
    def x_hat(self, data: bytes) -> Image:
        return self.image


def test_what_was_sent() -> None:
    """A copy in the stream, else the small image of x̂, else of what is decoded."""
    image = waves(64, 48)
    upscale = open_codec("upscale:by=lanczos")
    data = upscale.encode(image, 50)
    assert np.array_equal(sent_of(upscale, data, image), upscale.small_copy(data))  # type: ignore[attr-defined]
    for codec, sent in ((Sends(3), image + np.uint8(3)), (HasXHat(3), image)):
        found = code(codec, image, None, 5.0)
        assert found.length == 5
        assert np.array_equal(found.decoded, image + np.uint8(3))
        assert np.array_equal(found.sent, shrink(sent, 4))


def test_a_shift_is_measured_and_a_faithful_decoder_has_none() -> None:
    originals = [np.full((64, 64, 3), value, np.uint8) for value in (40, 90)]
    for codec, expected in ((HasXHat(8), 10 * math.log10(255**2 / 64)), (HasXHat(0), math.inf)):
        coded = [code(codec, x, None, 1.0) for x in originals]
        found = {row.metric: row for row in rows("here", "c", 1.0, originals, coded, {})}
        assert set(found) == {SMALL, SENT}
        for row in found.values():
            assert row.value == pytest.approx(expected)
            assert (row.bpp, row.n_images) == (8 / 4096, 2)
            assert math.isnan(row.low) == math.isinf(expected)


def test_detail_is_no_departure() -> None:
    """What a decoder adds that is finer than the small image does not count, what is as coarse does."""
    image = np.full((64, 64, 3), 100, np.uint8)
    fine, coarse = image.copy(), image.copy()
    fine[::2] += 20
    fine[1::2] -= 20
    coarse[:, :16] += 20
    sent = shrink(image, 4)
    assert small_psnr(shrink(fine, 4), sent) > 45
    assert small_psnr(shrink(coarse, 4), sent) < 30
    assert small_psnr(sent, sent) == math.inf


def test_bytes_are_those_of_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By PSNR alone: the other metrics have networks."""
    monkeypatch.setattr(departure, "STUDY_METRICS", ("psnr",))
    for name, size in (("a", (96, 128)), ("b", (128, 96))):
        (tmp_path / f"{name}.png").write_bytes(png_bytes(waves(*size)))
    assert code(open_codec("upscale:by=lanczos"), waves(96, 128), 500, 0).length == pytest.approx(500, rel=0.1)
    output, sheet = tmp_path / "out" / "table.csv", tmp_path / "out" / "sheet.webp"
    with pytest.raises(SystemExit) as ended:
        main(
            ["studies", "departure", "upscale:by=lanczos", "--reference", "jpeg", "--quality", "5",
             "--dataset", str(tmp_path), "--output", str(output), "--sheet", str(sheet)]
        )  # fmt: skip
    assert ended.value.code == 0
    assert sheet.read_bytes()[8:12] == b"WEBP"
    with Pillow.open(sheet) as drawn:
        assert drawn.format == "WEBP"
    with output.open() as file:
        table = list(csv.DictReader(file))
    assert [row["codec"] for row in table] == ["jpeg"] * 3 + ["upscale:by=lanczos"] * 3
    bits = {row["codec"]: float(row["bpp"]) for row in table}
    assert bits["upscale:by=lanczos"] == pytest.approx(bits["jpeg"], rel=0.25)
    values = {(row["codec"], row["metric"]): float(row["value"]) for row in table}
    assert values["jpeg", SENT] == math.inf
    assert 25 < values["upscale:by=lanczos", SENT] < 60


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departure, "STUDY_METRICS", ("psnr",))
    with pytest.raises(UsageError, match="each codec once"):
        measure(["jpeg", "jpeg"], reference="webp")
    with pytest.raises(UsageError, match="the reference is added by itself"):
        measure(["jpeg"], reference="jpeg")
    with pytest.raises(UsageError, match=r"--sheet a.jpg: a file that ends in .png or .webp"):
        measure(["jpeg"], reference="webp", sheet=Path("a.jpg"))
    (tmp_path / "a.png").write_bytes(png_bytes(waves(64, 64)))
    with pytest.raises(BenchmarkError, match="needs at least two"):
        measure(["jpeg"], reference="webp", dataset=str(tmp_path))


def test_lines() -> None:
    coded = [Coded(8, waves(64, 64), shrink(waves(64, 64) + np.uint8(n), 4)) for n in (2, 4)]
    found = list(lines(rows("here", "c", 1.0, [waves(64, 64)] * 2, coded, {})))
    assert found[0] == "c, bytes of quality 1: 0.0156 bpp, 2 images"
    assert found[1].split()[:4] == ["small", "image", "(dB)", "inf"]


@pytest.mark.checkout
def test_the_pages_numbers_are_those_of_the_tables() -> None:
    page = (ROOT / "docs" / "how-to" / "text-to-image.md").read_text(encoding="utf-8")
    tables = re.findall(r"\[table\]\(\.\./\.\./(reports/figures/departure-[a-z]+\.csv)\)\):\n\n((?:\|.*\n)+)", page)
    assert tables
    for path, text in tables:
        with (ROOT / path).open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        lines_of_page = text.splitlines()[2:]
        codecs = list(dict.fromkeys(row["codec"] for row in rows))
        assert [line.split("`")[1] for line in lines_of_page] == codecs
        for line in lines_of_page:
            own = [row for row in rows if row["codec"] == line.split("`")[1]]
            cells = [cell.strip() for cell in line.strip("|").split("|")][1:]
            assert cells == [own[0]["bpp"], *(f"{row['value']} ({row['low']} to {row['high']})" for row in own)]


@pytest.mark.slow
def test_metrics_of_sets_stand_beside() -> None:
    found = list(measure(["upscale:by=lanczos"], [5.0], "jpeg", most=3))
    assert {row.metric for row in found} == {*departure.STUDY_METRICS, SMALL, SENT}
    assert all(row.low < row.value < row.high for row in found if row.codec != "jpeg")
