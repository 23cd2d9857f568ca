"""A page of very many images: how long it takes to make, to open and to scroll, how large it is, what it leaves out."""

import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.large_runs import write_large_run
from support.web_pages import call, make_run, open_page, write_photographs

from benchmark.reports.page.report import MOST_SHOWN

pytestmark = pytest.mark.long

MEGABYTE = 1e6
SCROLL = """async () => {
    const box = document.getElementById("table-body");
    const gaps = [];
    let last = performance.now();
    for (let frame = 0; frame < 60; frame += 1) {
        box.scrollTop += 40;
        window.scrollBy(0, 60);
        await new Promise(requestAnimationFrame);
        gaps.push(performance.now() - last);
        last = performance.now();
    }
    return gaps.sort((a, b) => a - b)[30];
}"""
SORTED = """() => {
    const started = performance.now();
    document.querySelector("#table-body thead .sort").click();
    document.getElementById("table-body").getBoundingClientRect();
    return performance.now() - started;
}"""


@pytest.mark.parametrize("images", [1_200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_many_images_come_in_portions(
    images: int, page: Page, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three metrics; three codecs at four qualities, or two at two. The limits in seconds are of 10,000 images."""
    run = write_large_run(tmp_path / "run", images, *((3, 4) if images == 10_000 else (2, 2)))
    capsys.readouterr()
    started = time.monotonic()
    assert call("report", str(run.path), "-o", str(tmp_path / "page")) == 0
    made = time.monotonic() - started
    told = capsys.readouterr().err
    left_out = f"The images of the first {MOST_SHOWN:,} of {images:,} originals are on this page"
    assert f"note: {left_out}; numbers are of all {images:,}; --images shows another number" in told
    folder = tmp_path / "page"
    data, text = (folder / "data.js").stat().st_size, (folder / "index.html").stat().st_size
    open_page(page, folder)
    opened = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    between, sorting = page.evaluate(SCROLL), page.evaluate(SORTED)
    print(f"{images:,} images: made in {made:.0f} s, data.js {data / 1e6:.1f} MB, index.html {text / 1e6:.2f} MB, "
          f"opens in {opened:.0f} ms, {between:.0f} ms a frame, sorts in {sorting:.0f} ms")  # fmt: skip
    assert data < images * 850
    assert text < 0.2 * MEGABYTE
    assert page.evaluate("document.querySelectorAll('*').length") < 12_000
    if images == 10_000:
        assert made < 300
        assert opened < 10_000
        assert sorting < 3_000

    assert left_out in page.locator("#viewer").inner_text()
    expect(page.locator("#table-body tbody tr")).to_have_count(200)
    below = page.locator("#table-body .more")
    assert below.inner_text().startswith(f"200 of {images:,} images are listed.".replace(",", "\u202f"))
    below.get_by_role("button", name="200 more").click()
    expect(page.locator("#table-body tbody tr")).to_have_count(400)
    expect(page.locator(".shares li")).to_have_count(200)

    page.get_by_label("find").fill("000777")
    expect(page.locator("#table-body tbody th")).to_have_text(["000777"])
    expect(page.locator("#table-body .more")).to_have_count(0)
    expect(page.get_by_label("find")).to_be_focused()
    page.get_by_label("find").fill("")
    expect(page.locator("#table-body tbody tr")).to_have_count(200)
    if images > 1000:
        page.get_by_text("Hashes of the images").click()
        assert f"The hashes of the {images:,} images stand in run.json" in page.locator("#made").inner_text()


@pytest.mark.usefixtures("plotless")
def test_the_strip_of_the_viewer_follows_what_is_shown(page: Page, tmp_path: Path) -> None:
    pictures = write_photographs(tmp_path / "strip", [f"{number:03}.png" for number in range(230)])
    run = make_run(tmp_path / "strip-run", pictures, "--codec", "tiny", "--quality", "3")
    assert call("report", str(run), "-o", str(tmp_path / "strip-page"), "--no-maps") == 0
    open_page(page, tmp_path / "strip-page", "#?picture=000")
    thumbs = page.locator(".strip button")
    expect(thumbs).to_have_count(200)
    expect(thumbs.last).to_have_attribute("title", "199")
    page.locator(".viewer").press("p")  # round to the last
    expect(thumbs.last).to_have_attribute("title", "229")
    expect(page.locator(".strip [aria-current=true]")).to_have_attribute("title", "229")
    assert page.locator("#viewer-choice select").first.input_value() == "229"


@pytest.mark.usefixtures("plotless")
def test_fewer_originals_than_there_are_is_said_on_the_page(page: Page, run_folder: Path, tmp_path: Path) -> None:
    assert call("report", str(run_folder), "-o", str(tmp_path / "fewer"), "--no-maps", "--images", "1") == 0
    open_page(page, tmp_path / "fewer")
    said = page.locator("#viewer").inner_text()
    assert "The images of the first 1 of 3 originals are on this page; numbers are of all 3." in said
    assert call("report", str(run_folder), "-o", str(tmp_path / "fewer"), "--no-maps", "--images", "0") == 0
    open_page(page, tmp_path / "fewer")
    assert "No images are on this page; numbers are of all 3." in page.locator("#viewer").inner_text()
