"""What of the page needs no browser: data inside scripts, folders, heat maps, credits, refusals."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from support.web_pages import call, make_run, write_photographs

from benchmark.errors import BenchmarkError
from benchmark.metrics import Mapped
from benchmark.metrics.perceptual import make_lpips
from benchmark.metrics.references import package_of_lpips
from benchmark.reports.page import report
from benchmark.reports.page.files import script_json
from benchmark.reports.page.pictures import Map, map_png, maps_of, open_map, quartered


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_data_in_a_script_is_read_back_and_ends_no_script(data: object) -> None:
    text = script_json(data)
    assert json.loads(text) == data
    assert not re.search("[<>&\u2028\u2029]", text)


def test_numbers_that_json_has_not_become_null() -> None:
    assert script_json([float("nan"), float("inf"), 1.5]) == "[null,null,1.5]"


def test_heat_maps_are_those_of_lpips() -> None:
    """lpips.LPIPS(spatial=True) at the image's size, brought to a quarter; and 0 for identical images."""
    generator = np.random.default_rng(0)
    original = generator.integers(0, 256, (64, 96, 3), dtype=np.uint8)
    changed = original.copy()
    changed[:32, :48] = generator.integers(0, 256, (32, 48, 3), dtype=np.uint8)
    metric = make_lpips()
    found = metric.difference_map(metric.prepare(original), changed)
    assert found.shape == (16, 24)
    tensors = [torch.from_numpy(x.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1 for x in (original, changed)]
    package = package_of_lpips()
    package.spatial = True
    whole = package(*tensors)[0, 0].detach().numpy()
    quarter = whole.reshape(16, 4, 24, 4).mean(axis=(1, 3))
    assert np.corrcoef(found.ravel(), quarter.ravel())[0, 1] > 0.99
    assert found.mean() == pytest.approx(whole.mean(), rel=0.05)
    assert found[:8, :12].mean() > 3 * found[-4:, -6:].mean()
    assert not metric.difference_map(metric.prepare(original), original).any()


def test_a_map_larger_than_a_quarter_is_averaged() -> None:
    values = np.arange(6 * 9, dtype=np.float32).reshape(6, 9)
    small = quartered(values, 6, 9)
    assert small.shape == (2, 3)
    assert small[0, 0] == values[:4, :4].mean()
    assert small[1, 2] == values[4:, 8:].mean()
    assert quartered(small, 6, 9) is small


def test_maps_are_of_metrics_that_declare_one() -> None:
    measured = ("psnr", "flip", "lpips", "./own.py:Own", "flip", "dists")
    assert [(heat.name, heat.mode, heat.folder) for heat in maps_of(measured)] == [
        ("lpips", "map", "maps"),
        ("flip", "map-flip", "maps/flip"),
    ]
    assert [heat.title for heat in maps_of(["psnr"])] == ["LPIPS"]


def test_colours_of_a_map_run_from_black_to_light() -> None:
    import io

    png = Pillow.open(io.BytesIO(map_png(np.array([[0, 0.4, 0.8, 9]], np.float32), 0.8))).convert("RGB")
    dark, middle, top, above = (png.getpixel((x, 0)) for x in range(4))
    assert dark == (0, 0, 3)  # the first of inferno
    assert sum(dark) < sum(middle) < sum(top)  # type: ignore[arg-type]
    assert top == above


def test_authors_and_licences_come_from_beside_the_originals(tmp_path: Path) -> None:
    pictures = write_photographs(tmp_path / "credited", ["mine.png", "other.png"])
    (pictures / "PROVENANCE.csv").write_text('file,author,licence\nmine.png,"A. <b>Author</b>",CC-BY-4.0\n')
    run = make_run(tmp_path / "credited-run", pictures, "--codec", "tiny", "--quality", "3")
    assert call("report", str(run), "-o", str(tmp_path / "credited-page"), "--no-maps") == 0
    text = (tmp_path / "credited-page/index.html").read_text()
    assert "A. &lt;b&gt;Author&lt;/b&gt;, CC-BY-4.0" in text
    assert "Of 1 of the images no author" in text
    data = json.loads((tmp_path / "credited-page/data.js").read_text().removeprefix("window.REPORT = ").rstrip(";\n"))
    assert [picture["credit"] for picture in data["pictures"]] == ["A. <b>Author</b>, CC-BY-4.0", ""]


def test_reconstructions_are_the_runs_own_and_downloads_too(page_folder: Path, run_folder: Path) -> None:
    shown = sorted((page_folder / "pictures/run-1").rglob("*.png"))
    kept = sorted((run_folder / "reconstructions").rglob("*.png"))
    assert [file.read_bytes() for file in shown] == [file.read_bytes() for file in kept]
    for name in ("summary.csv", "trials.jsonl", "run.json"):
        assert (page_folder / "runs/1" / name).read_bytes() == (run_folder / name).read_bytes()


def test_a_page_replaces_a_page_and_nothing_else(
    tmp_path: Path, run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page"
    assert call("report", str(run_folder), "-o", str(page), "--no-maps") == 0
    (page / "left-over").touch()
    assert call("report", str(run_folder), "-o", str(page), "--no-maps") == 0
    assert (page / "index.html").is_file()
    assert not (page / "left-over").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    for folder in (tmp_path / "full", run_folder, tmp_path):
        assert call("report", str(run_folder), "-o", str(folder)) == 2
    assert (tmp_path / "full" / "mine").exists()
    assert call("report", str(run_folder), "-o", str(tmp_path / "full" / "mine")) == 2
    assert "is a file" in capsys.readouterr().err


def test_originals_that_are_gone_are_said(
    tmp_path: Path, run_folder: Path, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "moved"
    photographs.rename(moved)
    try:
        assert call("report", str(run_folder), "-o", str(tmp_path / "gone-page"), "--no-maps") == 0
        assert "3 of 3 originals are not shown" in capsys.readouterr().err
        assert (
            call("report", str(run_folder), "-o", str(tmp_path / "found-page"), "--no-maps", "--dataset", str(moved))
            == 0
        )
        assert "not shown" not in capsys.readouterr().err
        assert (tmp_path / "found-page/pictures/original/a.png").is_file()
        # Another image under the same name is not shown as the original.
        write_photographs(photographs, ["a.png", "c.png", "b.png"])
        assert call("report", str(run_folder), "-o", str(tmp_path / "gone-page"), "--no-maps") == 0
        assert "is another file than the one that was coded" in capsys.readouterr().err
    finally:
        for file in photographs.iterdir():
            file.unlink()
        photographs.rmdir()
        moved.rename(photographs)


def test_an_image_that_failed_in_the_run_is_named_and_ends_no_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_photographs(tmp_path / "images", ["a.png", "b.png"])
    (images / "b.png").write_bytes((images / "b.png").read_bytes()[:200])
    codec = ("--codec", "tiny", "--quality", "2,3", "--only", "--workers", "1", "--keep-reconstructions")
    run = tmp_path / "run"
    assert call("run", *codec, "--dataset", str(images), "--metric", "psnr", "-o", str(run)) == 3
    damaged = next((run / "reconstructions").rglob("a.png"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    capsys.readouterr()
    assert call("report", str(run), "-o", str(tmp_path / "page")) == 0
    said = capsys.readouterr().err
    assert re.search(r"1 of 2 originals are not shown: .*b\.png: ", said)
    assert re.search(r"1 maps of LPIPS are missing: .*a\.png: ", said)
    assert (tmp_path / "page/pictures/original/a.png").is_file()
    assert len(list((tmp_path / "page/maps").rglob("a.png"))) == 1


def test_runs_of_other_pictures_are_refused(tmp_path: Path, run_folder: Path) -> None:
    other = make_run(tmp_path / "other", write_photographs(tmp_path / "other-pictures", ["x.png"]), "--codec", "tiny")
    assert call("report", str(run_folder), str(other), "-o", str(tmp_path / "never")) == 4
    assert call("report", str(tmp_path / "nowhere"), "-o", str(tmp_path / "never")) == 3
    assert call("report", str(run_folder), "-o", str(tmp_path / "never"), "--images", "-1") == 2
    assert not (tmp_path / "never").exists()


def test_a_map_that_cannot_be_drawn_is_said(
    tmp_path: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "unmapped-run", photographs, "--codec", "tiny", "--quality", "2", "--metric", "flip")

    def lacking(heat: Map) -> Mapped:
        if heat.name == "flip":
            raise BenchmarkError("flip needs a package")
        return open_map(heat)

    monkeypatch.setattr(report, "open_map", lacking)
    capsys.readouterr()
    assert call("report", str(run), "-o", str(tmp_path / "unmapped-page")) == 0
    assert "note: there are no maps of FLIP: flip needs a package" in capsys.readouterr().err
    assert (tmp_path / "unmapped-page" / "maps" / "run-1").is_dir()
    assert not (tmp_path / "unmapped-page" / "maps" / "flip").exists()
