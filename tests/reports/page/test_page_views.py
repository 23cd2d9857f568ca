"""Ways to look in the viewer: all codecs at once, two by turns, by keyboard alone, on a phone, from one file."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.web_pages import address, call, layer, open_page

pytestmark = pytest.mark.long

SEEN = "element => element.contains(document.activeElement) && element === document.activeElement"


def pressed(page: Page, key: str, times: int = 1) -> None:
    for _ in range(times):
        page.keyboard.press(key)


def until(page: Page, expression: str) -> None:
    """Waits until it is true. Playwright's own way evaluates strings in the page, which its policy forbids."""
    for _ in range(600):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {expression}")


def test_the_page_is_used_by_keyboard_alone(page: Page, page_folder: Path) -> None:
    """From the top to the viewer, through its ways of showing, to another point, image and zoom, and on."""
    open_page(page, page_folder)
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.locator(".viewer").evaluate(SEEN):
            break
    expect(page.locator(".viewer")).to_be_focused()
    page.keyboard.press("b")
    expect(layer(page, "b")).to_be_visible()
    page.keyboard.press("n")
    address(page, "picture=b")
    page.keyboard.press(".")
    address(page, "a=tiny%3D5")
    pressed(page, ",", 2)
    address(page, "a=tiny%3D2")
    page.keyboard.press("g")
    expect(page.locator(".panes-grid .pane")).to_have_count(3)
    pressed(page, "+", 2)
    page.keyboard.press("ArrowRight")
    address(page, "view=")
    page.keyboard.press("l")
    expect(page.locator(".panes .tag").first).to_be_hidden()
    page.keyboard.press("l")
    expect(page.locator(".panes .tag").first).to_be_visible()
    page.keyboard.press("k")
    expect(page.get_by_role("button", name="Stop blinking")).to_be_visible()
    page.keyboard.press("k")
    expect(page.get_by_role("button", name="Blink between two images")).to_be_visible()
    pressed(page, "m", 4)
    address(page, "mode=difference")
    page.keyboard.press("0")
    for _ in range(60):  # the buttons of the viewer, and out of it
        page.keyboard.press("Tab")
        if page.locator("#table").evaluate("section => section.contains(document.activeElement)"):
            break
    assert page.locator("#table").evaluate("section => section.contains(document.activeElement)")
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.locator("#table-body .sort:focus")
        if focused.count() and "bytes" in focused.inner_text():
            break
    page.keyboard.press("Enter")
    expect(page.locator("th[aria-sort]")).to_contain_text("bytes")


@pytest.mark.usefixtures("plotless")
def test_the_grid_has_each_codec_at_the_bits_of_a(page: Page, page_folder: Path) -> None:
    """Both fakes spend the same bits at the same quality. What the legend takes away is not in the grid."""
    open_page(page, page_folder, "#?mode=grid&a=noisy%3D3&picture=c&view=0.5,0.5,2")
    tags = page.locator(".panes-grid .tag").all_inner_texts()
    assert tags[0] == "original"
    assert re.fullmatch(r"tiny 3 · \d\.\d{3} bpp", tags[1])
    assert re.fullmatch(r"A: noisy 3, seed 0 · \d\.\d{3} bpp", tags[2])
    assert tags[1].split(" · ")[1] == tags[2].split(" · ")[1]
    sources = [image.get_attribute("src") for image in page.locator(".pane .layer").all()]
    assert sources == [f"pictures/{place}/c.png" for place in ("original", "run-1/tiny/3", "run-1/noisy/3/seed-0")]
    assert len({stage.evaluate("stage => stage.style.transform") for stage in page.locator(".stage").all()}) == 1
    expect(page.locator("#viewer-facts tbody tr")).to_have_count(2)
    page.get_by_role("button", name="tiny", exact=True).click()
    expect(page.locator(".panes-grid .pane")).to_have_count(2)
    expect(page.locator("#viewer-facts tbody tr")).to_have_count(1)


@pytest.mark.usefixtures("plotless")
def test_two_images_blink_at_a_set_rhythm_and_a_key_ends_it(page: Page, page_folder: Path) -> None:
    open_page(page, page_folder, "#?blink=1&every=250&pair=ob")
    page.evaluate(
        """() => {
          const tag = document.querySelector('.panes .tag');
          window.turns = [[performance.now(), tag.textContent]];
          new MutationObserver(() => window.turns.push([performance.now(), tag.textContent]))
            .observe(tag, { childList: true });
        }"""
    )
    until(page, "window.turns.length > 5")
    turns = page.evaluate("window.turns")
    sides = [text[:2] for _, text in turns]
    assert set(sides) == {"or", "B:"}
    assert all(one != other for one, other in pairwise(sides[1:]))
    assert turns[5][0] - turns[1][0] > 4 * 250 * 0.8
    page.locator(".viewer").press("a")
    expect(layer(page, "a")).to_be_visible()
    address(page, "every=250")
    until(page, "!location.hash.includes('blink')")
    count = page.evaluate("window.turns.length")
    page.wait_for_timeout(600)
    assert page.evaluate("window.turns.length") == count


@pytest.mark.usefixtures("plotless")
def test_a_map_of_another_metric_is_restored_from_the_address(page: Page, page_folder: Path) -> None:
    """A mode that this page does not have shows the images."""
    open_page(page, page_folder, "#?mode=map-flip")
    expect(page.locator(".stage.flip")).to_be_visible()
    assert page.evaluate("Page.state.mode") == "map-flip"
    page.evaluate("location.hash = '?mode=map<b>'")
    until(page, "Page.state.mode === 'flip'")


def test_on_a_phone_the_viewer_stands_before_the_curves(browser: Browser, page_folder: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page = open_page(context.new_page(), page_folder, "#?mode=grid")
    order = "[...document.querySelectorAll('main > section')].slice(0, 2).map(section => section.id)"
    assert page.evaluate(order) == ["viewer", "curves"]
    assert page.locator(".top nav a").first.inner_text() == page.locator("#viewer-title").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator(".panes").bounding_box()
    assert box is not None
    assert box["y"] < 844
    page.set_viewport_size({"width": 1280, "height": 800})
    until(page, f"{order}[0] === 'curves'")
    context.close()


@pytest.fixture(scope="module")
def one_file(shared_folder: Path, run_folder: Path) -> Path:
    assert call("report", str(run_folder), "-o", str(shared_folder / "mailed" / "page.html")) == 0
    return shared_folder / "mailed" / "page.html"


def test_one_file_has_everything(page: Page, one_file: Path, page_folder: Path) -> None:
    """Moved to an empty folder; the very pixels of the page in a folder; downloads inside."""
    assert [path.name for path in one_file.parent.iterdir()] == ["page.html"]
    page.goto(f"file://{one_file}#?a=noisy%3D3&mode=side")
    expect(page.locator(".plot[data-ready]")).to_have_count(page.locator(".plot").count())
    pixels = """async source => {
      const image = new Image(); image.src = source; await image.decode();
      const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
      canvas.drawImage(image, 0, 0);
      return [...canvas.getImageData(0, 0, image.width, image.height).data];
    }"""
    inside = [page.evaluate(pixels, image.get_attribute("src")) for image in page.locator(".stage .layer").all()]
    assert all(
        (image.get_attribute("src") or "").startswith("data:image/webp") for image in page.locator(".layer").all()
    )
    page.get_by_role("button", name="LPIPS map").click()
    expect(page.locator(".stage.map .layer")).to_have_count(2)
    assert all(
        (image.get_attribute("src") or "").startswith("data:image/png") for image in page.locator(".layer").all()
    )
    page.get_by_role("button", name="All codecs").click()
    expect(page.locator(".panes-grid .layer")).to_have_count(3)
    with page.expect_download() as caught:
        page.get_by_role("link", name="summary.csv").click()
    assert caught.value.suggested_filename == "summary.csv"
    assert Path(caught.value.path()).read_bytes() == (page_folder / "runs" / "1" / "summary.csv").read_bytes()
    from benchmark.images import load_image

    for place, found in zip(("original", "run-1/noisy/3/seed-0", "run-1/tiny/3"), inside, strict=True):
        wanted = load_image(page_folder / "pictures" / place / "a.png")
        assert [value for n, value in enumerate(found) if n % 4 < 3] == wanted.ravel().tolist()
