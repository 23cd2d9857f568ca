"""What of a page of one file, of a page of a given size and of heat maps in parallel needs no browser."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.web_pages import call, make_run, write_photographs

from benchmark.analysis.margins import Gate
from benchmark.errors import BenchmarkError, UsageError
from benchmark.reports.page import pictures
from benchmark.reports.page.files import asset
from benchmark.reports.page.packing import as_webp
from benchmark.reports.page.pictures import Original
from benchmark.reports.page.report import ASSETS, write_report

pytestmark = pytest.mark.long

GATE = Gate()


def size_of(path: Path) -> int:
    return (
        path.stat().st_size
        if path.is_file()
        else sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    )


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three images of noise, which take their room in every format."""
    shared_folder = tmp_path_factory.mktemp("noise")
    images = write_photographs(shared_folder / "images", ["a.png", "b.png", "c.png"])
    from PIL import Image as Pillow

    for number, name in enumerate("abc"):
        noise = np.random.default_rng(number).integers(0, 256, (400, 300, 3), dtype=np.uint8)
        Pillow.fromarray(noise).save(images / f"{name}.png")
    return make_run(shared_folder / "run", images, "--codec", "tiny", "--quality", "2,5")


def test_no_script_or_style_of_the_page_ends_its_element() -> None:
    for name in ASSETS:
        assert not re.search(rb"</script|</style|<!--", asset(name), re.IGNORECASE), name


@pytest.mark.parametrize("name", ["page", "page.html"])
def test_a_page_of_a_given_size_shows_the_first_images_that_fit(name: str, noisy: Path, tmp_path: Path) -> None:
    write_report([noisy], tmp_path / name, gate=GATE, maps=False)
    whole = size_of(tmp_path / name)
    counts = []
    for share in (1.1, 0.85, 0.7):
        lacking = write_report([noisy], tmp_path / name, gate=GATE, maps=False, max_mb=share * whole / 1e6)
        assert size_of(tmp_path / name) <= share * whole
        found = re.match(
            r"The images of the first (\d) of 3 originals are on this page|No images", (lacking or [""])[0]
        )
        counts.append(3 if not lacking else int((found and found[1]) or 0))
        assert all("--max-mb" in line for line in lacking)
    assert counts[0] == 3
    assert counts[1] in (1, 2)
    assert counts[2] < 2
    if name == "page":
        there = sorted(path.stem for path in (tmp_path / name / "pictures" / "original").iterdir())
        assert there == list("abc")[: counts[2]]
        assert {path.stem for path in (tmp_path / name / "pictures").rglob("*.png")} == set(there)


def test_a_size_below_that_of_a_page_without_images_is_refused(
    noisy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("report", str(noisy), "-o", str(tmp_path / "page"), "--max-mb", "0.5") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(r"error: --max-mb 0\.5: the page takes 1\.\d+ MB without any image", line)
    assert list(tmp_path.iterdir()) == []


def test_one_file_is_refused_in_place_of_a_folder(noisy: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(UsageError, match=r"page\.html: is a folder"):
        write_report([noisy], tmp_path / "page.html", gate=GATE)


@pytest.mark.parametrize("name", ["page", "page.html"])
@pytest.mark.parametrize("when", ["originals", "heat maps of LPIPS"])
def test_a_page_that_is_stopped_leaves_nothing_half(name: str, when: str, noisy: Path, tmp_path: Path) -> None:
    def stopped(items: Sequence[Any], what: str) -> Iterable[Any]:
        if what == when:
            yield items[0]
            raise KeyboardInterrupt
        yield from items

    with pytest.raises(KeyboardInterrupt):
        write_report([noisy], tmp_path / name, gate=GATE, track=stopped)
    assert list(tmp_path.iterdir()) == []
    write_report([noisy], tmp_path / name, gate=GATE, maps=False)
    before = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(KeyboardInterrupt):
        write_report([noisy], tmp_path / name, gate=GATE, track=stopped)
    assert {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_a_killed_page_left_is_replaced(noisy: Path, tmp_path: Path) -> None:
    (tmp_path / "page" / ".partial").mkdir(parents=True)
    (tmp_path / "page" / ".hfd-benchmark-page").touch()
    (tmp_path / "page" / ".partial" / "half").write_text("half")
    write_report([noisy], tmp_path / "page", gate=GATE, maps=False)
    names = {path.name for path in (tmp_path / "page").iterdir()}
    assert names == {".hfd-benchmark-page", "assets", "data.js", "index.html", "pictures", "runs"}


def test_a_damaged_image_ends_no_page_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    original = Original("a", "0" * 64, "pictures/a.png", None, 8, 8, "", "")
    as_webp(tmp_path, [original], None, lambda items, name: items, 1)
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["a.png"]


@pytest.mark.slow
def test_heat_maps_of_several_processes_are_those_of_one(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_FEW", 0)
    told = []

    def track(items: Sequence[Any], name: str) -> Iterable[Any]:
        told.append((name, len(items)))
        yield from items

    for workers in (1, 2):
        assert write_report([noisy], tmp_path / str(workers), gate=GATE, workers=workers, track=track) == []
    maps = [
        {path.relative_to(tmp_path / number): path.read_bytes() for path in (tmp_path / number / "maps").rglob("*.png")}
        for number in "12"
    ]
    assert maps[0] == maps[1]
    assert len(maps[0]) == 6
    assert told.count(("heat maps of LPIPS", 3)) == 2


@pytest.mark.slow
def test_a_process_that_dies_ends_the_page_in_one_line(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_FEW", 0)
    monkeypatch.setattr(pictures, "_draw_here", die)
    with pytest.raises(BenchmarkError, match="a process that made heat maps of LPIPS died; --workers 1"):
        write_report([noisy], tmp_path / "page", gate=GATE, workers=2)
    assert list(tmp_path.iterdir()) == []


def die(job: object) -> None:
    import os

    os._exit(9)
