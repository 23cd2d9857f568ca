"""The page in a real browser, opened from disk: what a reader does with it. The `page` fixture watches for errors of
the page's scripts and for requests that leave it."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from support.web_pages import HOSTILE, address, call, layer, make_run, open_page, write_photographs

from benchmark.results import RunFolder

pytestmark = pytest.mark.long


def test_curves_are_drawn_and_the_legend_takes_a_codec_away(page: Page, page_folder: Path) -> None:
    open_page(page, page_folder)
    plot = page.locator(".plot").first
    expect(plot.locator(".scatterlayer .trace")).to_have_count(2)
    expect(plot.locator(".scatterlayer .point")).to_have_count(6)
    page.get_by_role("button", name="noisy", exact=True).click()
    expect(plot.locator(".scatterlayer .trace")).to_have_count(1)
    expect(page.get_by_role("button", name="noisy", exact=True)).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("button", name="noisy", exact=True)).to_be_focused()
    address(page, "off=")
    box = plot.locator(".xtick text")
    logarithmic = box.all_inner_texts()
    page.get_by_label("logarithmic bits").uncheck()
    address(page, "log=0")
    assert box.all_inner_texts() != logarithmic


def test_hovering_says_codec_value_interval_pictures_and_protocol(page: Page, page_folder: Path) -> None:
    open_page(page, page_folder)
    page.locator(".plot").first.locator(".scatterlayer .point").first.hover(force=True)
    said = page.locator(".plot").first.locator(".hovertext").first.text_content() or ""
    assert "tiny" in said or "noisy" in said
    assert re.search(r"PSNR \d+\.\d+ ± \d+\.\d+ dB", said)
    assert re.search(r"\d\.\d+ ± \d\.\d+ bpp", said)
    assert "n = 3 images" in said
    assert "psnr/rgb/uint8/mean-of-db" in said


def test_a_panel_is_downloaded(page: Page, page_folder: Path) -> None:
    open_page(page, page_folder)
    for name, magic in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
        with page.expect_download() as caught:
            page.get_by_role("button", name=f"PSNR as {name}").click()
        assert caught.value.suggested_filename == f"psnr.{name.lower()}"
        assert magic in Path(caught.value.path()).read_bytes()[:200]


def test_a_point_opens_its_pictures_which_flip_in_place(page: Page, page_folder: Path, run_folder: Path) -> None:
    open_page(page, page_folder)
    page.locator(".plot").first.locator(".scatterlayer .trace").first.locator(".point").last.click(force=True)
    address(page, "a=tiny%3D5")
    assert (layer(page, "a").get_attribute("src") or "") == "pictures/run-1/tiny/5/a.png"
    expect(page.locator(".viewer")).to_be_focused()
    shown = page_folder / "pictures/run-1/tiny/5/a.png"
    assert shown.read_bytes() == (run_folder / "reconstructions/tiny/5/a.png").read_bytes()
    page.keyboard.press("b")
    assert "noisy" in (layer(page, "b").get_attribute("alt") or "")
    page.keyboard.press("o")
    assert (layer(page, "o").get_attribute("src") or "") == "pictures/original/a.png"
    page.keyboard.press("a")
    page.keyboard.press(" ")
    expect(layer(page, "b")).to_be_visible()
    page.keyboard.press("n")
    address(page, "picture=b")
    for image in page.locator(".stage .layer").all():
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 96


@pytest.mark.usefixtures("plotless")
def test_b_has_the_bits_nearest_to_those_of_a(page: Page, page_folder: Path) -> None:
    """Both fakes spend the same bits at the same quality, so the nearest is the quality itself."""
    open_page(page, page_folder, "#?a=tiny%3D2&b=noisy%3D2")
    for quality in ("2", "3", "5"):
        page.evaluate("state => { location.hash = state; }", f"?a=tiny%3D{quality}&b=noisy%3D2")
        expect(page.locator(".pick-b select").last).to_have_value(f"noisy={quality}")
    page.locator(".pick-b select").last.select_option("noisy=2")
    address(page, "equal=0")
    assert page.locator(".pick-b select").last.input_value() == "noisy=2"


@pytest.mark.usefixtures("plotless")
def test_zoom_goes_down_to_pixels_in_all_panes_at_once(page: Page, page_folder: Path) -> None:
    open_page(page, page_folder, "#?mode=side")
    stages = page.locator(".pane .stage")
    expect(stages).to_have_count(3)
    page.locator(".viewer").focus()
    for _ in range(4):
        page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    transforms = {stage.evaluate("stage => stage.style.transform") for stage in stages.all()}
    assert len(transforms) == 1
    assert "scale(1)" not in transforms.pop()
    assert stages.first.locator("img").evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"
    address(page, "view=")
    before = page.url
    pane = page.locator(".pane").first.bounding_box()
    assert pane is not None
    page.mouse.move(pane["x"] + 40, pane["y"] + 40)
    page.mouse.wheel(0, -300)
    page.mouse.down()
    page.mouse.move(pane["x"] + 90, pane["y"] + 70)
    page.mouse.up()
    expect(page).not_to_have_url(before)


@pytest.mark.usefixtures("plotless")
def test_the_address_restores_what_was_looked_at(page: Page, page_folder: Path) -> None:
    open_page(
        page, page_folder, "#?picture=c&a=noisy%3D3&b=tiny%3D5&equal=0&mode=slide&pair=ob&view=0.25,0.75,8&split=0.3"
    )
    assert page.locator("#viewer-choice select").first.input_value() == "c"
    assert page.locator(".pick-a select").last.input_value() == "noisy=3"
    assert page.locator(".pick-b select").last.input_value() == "tiny=5"
    sources = [image.get_attribute("src") for image in page.locator(".pane .layer").all()]
    assert sources == ["pictures/original/c.png", "pictures/run-1/tiny/5/c.png"]
    assert page.locator(".handle").get_attribute("aria-valuenow") == "30"
    assert page.locator("#viewer-zoom").inner_text() == "800 %"
    page.locator(".handle").press("ArrowRight")
    expect(page.locator(".handle")).to_have_attribute("aria-valuenow", "32")
    address(page, "split=0.320")
    assert "scale(8)" in page.locator(".stage").first.evaluate("stage => stage.style.transform")


@pytest.mark.usefixtures("plotless")
def test_differences_and_heat_maps_are_shown(page: Page, page_folder: Path) -> None:
    open_page(page, page_folder, "#?mode=difference&gain=8&a=tiny%3D2")
    expect(page.locator(".pane .stage.difference")).to_have_count(2)
    assert "brightness(8)" in page.locator(".stage").first.evaluate("stage => getComputedStyle(stage).filter")
    page.get_by_role("button", name="LPIPS map").click()
    for image in page.locator(".stage.map .layer").all():
        assert (image.get_attribute("src") or "").startswith("maps/run-1/")
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 24


@pytest.mark.usefixtures("plotless")
def test_a_measured_metric_that_declares_a_map_has_one_beside_that_of_lpips(
    page: Page, tmp_path: Path, photographs: Path
) -> None:
    words = ("--codec", "tiny", "--quality", "2,5", "--limit", "1", "--metric", "flip")
    run = make_run(tmp_path / "flip-run", photographs, *words)
    assert call("report", str(run), "-o", str(tmp_path / "flip-page")) == 0
    open_page(page, tmp_path / "flip-page", "#?a=tiny%3D2&b=tiny%3D5")
    for name, folder in (("FLIP map", "maps/flip/run-1/"), ("LPIPS map", "maps/run-1/")):
        page.get_by_role("button", name=name).click()
        images = page.locator(".stage.map .layer").all()
        assert len(images) == 2
        for image in images:
            assert (image.get_attribute("src") or "").startswith(folder)
            assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 24
    expect(page.locator(".scale")).to_contain_text("0.8 and more")
    page.get_by_role("button", name="FLIP map").click()
    address(page, "mode=map-flip")
    expect(page.locator(".scale")).to_contain_text("1 and more")


@pytest.mark.usefixtures("plotless")
def test_decoder_seeds_are_cycled(page: Page, page_folder: Path) -> None:
    open_page(page, page_folder, "#?a=noisy%3D2")
    sources = []
    for _ in range(3):
        sources.append(layer(page, "a").get_attribute("src"))
        page.locator(".viewer").press("s")
    assert sources[0] == "pictures/run-1/noisy/2/seed-0/a.png"
    assert sources[1] == "pictures/run-1/noisy/2/seed-1/a.png"
    assert sources[2] == sources[0]


@pytest.mark.usefixtures("plotless")
def test_the_table_is_sorted_worst_first_and_by_any_column(page: Page, page_folder: Path, run_folder: Path) -> None:
    open_page(page, page_folder, "#?table=tiny%3D3")
    trials = [t for t in RunFolder.open(run_folder).trials() if t.codec == "tiny" and t.quality == 3]
    by_psnr = [t.image for t in sorted(trials, key=lambda t: t.metrics["psnr"] or 0)]
    by_bytes = [t.image for t in sorted(trials, key=lambda t: t.bytes or 0)]
    names = page.locator("#table-body tbody th")
    assert names.all_inner_texts() == by_psnr
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    page.locator("#table-body .sort", has_text="bytes").first.click()
    assert names.all_inner_texts() == by_bytes[::-1]
    page.locator("#table-body .sort", has_text="bytes").first.press("Enter")
    assert names.all_inner_texts() == by_bytes
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    page.locator("#table-body tbody tr").first.locator("td").nth(1).click()
    address(page, f"picture={by_bytes[0]}" if by_bytes[0] != "a" else "a=tiny%3D3")


@pytest.mark.usefixtures("plotless")
def test_a_difference_names_its_pictures_and_its_interval(page: Page, page_folder: Path) -> None:
    open_page(page, page_folder, "#?one=noisy%3D2&by=psnr")
    said = page.locator("#difference-line").inner_text()
    assert re.search(r"PSNR [−+]\d+\.\d+ \(95 % interval [−+]\d+\.\d+ to [−+]\d+\.\d+, paired over 3 images\)", said)
    expect(page.locator(".shares li")).to_have_count(3)
    page.locator(".shares button").first.click()
    address(page, "a=noisy%3D2")


def test_it_fits_a_phone_and_prints(browser: Browser, page_folder: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark", reduced_motion="reduce")
    page = open_page(context.new_page(), page_folder)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert len(page.pdf()) > 10_000
    context.close()


# Runs of other kinds


@pytest.mark.usefixtures("plotless")
def test_a_run_with_failures(page: Page, tmp_path: Path) -> None:
    pictures = write_photographs(tmp_path / "partly", ["good.png", "fine.png"])
    write_photographs(tmp_path / "partly", ["zero.png"], corner=0)
    run = make_run(tmp_path / "failures", pictures, "--codec", "breaks", "--codec", "tiny")
    assert call("report", str(run), "-o", str(tmp_path / "failures-page"), "--no-maps") == 0
    open_page(page, tmp_path / "failures-page", "#?picture=zero&a=breaks%3D2&b=tiny%3D2&show=a")
    assert "1 of 3 images failed" in page.locator(".notice").inner_text()
    assert "a zero in the corner" in page.locator(".absent.shown").inner_text()
    row = page.locator("#table-body tbody tr").filter(has_text="zero")
    assert "failed" in row.inner_text()
    assert page.locator("#table-body tbody th").first.inner_text() == "zero"  # worst of all
    page.locator(".viewer").press("b")
    assert "tiny" in (layer(page, "b").get_attribute("alt") or "")


def test_one_quality_of_one_codec_on_one_picture(page: Page, tmp_path: Path) -> None:
    pictures = write_photographs(tmp_path / "one", ["only.png"])
    run = make_run(tmp_path / "single", pictures, "--codec", "tiny", "--quality", "3")
    assert call("report", str(run), "-o", str(tmp_path / "single-page"), "--no-maps") == 0
    open_page(page, tmp_path / "single-page")
    expect(page.locator(".plot .scatterlayer .point")).to_have_count(1)
    expect(page.locator(".stage.flip")).to_be_visible()
    expect(page.locator("#differences")).to_be_hidden()
    expect(page.get_by_role("button", name="LPIPS map")).to_have_count(0)


def test_without_reconstructions_the_page_says_how_to_get_them(page: Page, tmp_path: Path, photographs: Path) -> None:
    run = make_run(tmp_path / "bare", photographs, "--codec", "tiny", keep=False)
    assert call("report", str(run), "-o", str(tmp_path / "bare-page")) == 0
    open_page(page, tmp_path / "bare-page")
    said = page.locator("#viewer").inner_text()
    assert "--keep-reconstructions" in said
    assert "--output" not in said
    page.locator(".plot .scatterlayer .point").first.click(force=True)
    page.locator("#table-body tbody td").first.click()
    expect(page.locator("#table-body tbody tr")).to_have_count(3)


def test_names_with_quotes_slashes_and_markup_inject_nothing(page: Page, tmp_path: Path) -> None:
    root = tmp_path / "hostile"
    for folder in ("</script><script>window.injected=1", "b"):
        write_photographs(root / folder, [f"{HOSTILE.replace('/', '')}.png"])
    spec = """tiny:note="<img src=x onerror='window.injected=1'></script>\""""
    run = make_run(tmp_path / "hostile-run", Path(f"{root}/**/*.png"), "--codec", spec, "--quality", "2,4")
    assert call("report", str(run), "-o", str(tmp_path / "hostile-page"), "--no-maps") == 0
    open_page(page, tmp_path / "hostile-page", "#?one=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    page.locator(".plot").first.locator(".scatterlayer .point").first.hover(force=True)
    page.get_by_text("All values of the curves").click()
    page.locator(".strip button").last.click()
    assert page.evaluate("window.injected") is None
    assert page.locator("img[onerror], img[src=x]").count() == 0
    assert page.locator(".legend").inner_text() == spec
    names = page.locator("#table-body tbody th").all_inner_texts()
    assert any("onerror=" in name and "<img" in name for name in names)
    for image in page.locator(".stage .layer").all():
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 96


# Two runs


def test_two_runs_are_judged_and_their_pictures_can_be_seen(page: Page, tmp_path: Path, photographs: Path) -> None:
    """The codec of the second run has fewer levels at the same quality, by its settings alone."""
    base = make_run(tmp_path / "base", photographs, "--codec", "vandal", "--quality", "3,5")
    worse = make_run(tmp_path / "worse", photographs, "--codec", "vandal", "--quality", "3,5")
    _make_worse(worse)
    assert call("report", str(base), str(worse), "-o", str(tmp_path / "verdict-page"), "--no-maps") == 0
    open_page(page, tmp_path / "verdict-page")
    assert "worse" in page.locator("#verdict .outcome").first.inner_text()
    expect(page.locator(".legend .codec")).to_have_count(2)
    page.locator(".verdicts tbody button").first.click()
    address(page, "run+2")
    assert "run-2" in (page.locator(".stage .layer[data-side=b]").get_attribute("src") or "")
    expect(page.locator(".card").first).to_contain_text("margins worse")


def _make_worse(run: Path) -> None:
    """3 dB less for each image, and the summary of it."""
    from benchmark.analysis.summary import write_summary

    folder = RunFolder.open(run)
    changed = [
        trial.model_copy(update={"metrics": {"psnr": (trial.metrics["psnr"] or 0) - 3 - 0.1 * number}})
        for number, trial in enumerate(folder.trials())
    ]
    folder.rewrite(changed)
    write_summary(folder)


@pytest.mark.usefixtures("plotless")
def test_runs_that_cannot_be_judged_say_why(page: Page, tmp_path: Path, photographs: Path) -> None:
    base = make_run(tmp_path / "base-tiny", photographs, "--codec", "tiny", "--quality", "3,5")
    other = make_run(tmp_path / "other-noisy", photographs, "--codec", "noisy", "--quality", "3,5")
    assert call("report", str(base), str(other), "-o", str(tmp_path / "unlike-page"), "--no-maps") == 0
    open_page(page, tmp_path / "unlike-page")
    assert "the codec tiny is missing in the new run" in page.locator("#verdict").inner_text()


# Panels in which a point has no place


def test_a_panel_says_why_points_have_no_place_in_it(page: Page, tmp_path: Path) -> None:
    """Of a codec that loses nothing PSNR is infinite, and MS-SSIM 1, which is infinite in decibels."""
    pictures = tmp_path / "exact"
    pictures.mkdir()
    draw = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(draw.integers(0, 256, (192, 192, 3), dtype=np.uint8)).save(pictures / name)
    (tmp_path / "exact.py").write_text(
        """
import io
import numpy as np
from PIL import Image


class Exact:
    qualities = (1, 2)
    stochastic = False

    def encode(self, image, quality):
        buffer = io.BytesIO()
        Image.fromarray(image if quality > 1 or self.everywhere else image // 16 * 16).save(buffer, "PNG")
        return buffer.getvalue()

    def decode(self, data):
        return np.asarray(Image.open(io.BytesIO(data)))

    def describe(self):
        return {}

    everywhere = False


class Everywhere(Exact):
    everywhere = True
"""
    )
    for name, said in (
        ("Everywhere", "No curve: {} is {} where images are exactly their originals."),
        ("Exact", "Not in this panel, since {} is {} where images are exactly their originals: {}, quality 2."),
    ):
        spec = f"{tmp_path}/exact.py:{name}"
        run = make_run(tmp_path / f"run-{name}", pictures, "--codec", spec, "--metric", "ms_ssim")
        assert call("report", str(run), "-o", str(tmp_path / f"page-{name}"), "--no-maps") == 0
        open_page(page, tmp_path / f"page-{name}")
        assert page.locator(".unplaced").all_inner_texts() == [
            said.format("PSNR", "infinite", spec),
            said.format("MS-SSIM", "1, which is infinite in decibels,", spec),
        ]
