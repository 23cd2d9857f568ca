"""An image of the page as a browser shows it: for README and site."""

import shutil
import tempfile
from pathlib import Path

from benchmark.errors import BenchmarkError
from benchmark.files import write_file

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 120_000
"""Milliseconds until the curves must be drawn."""

_DECODED = """Promise.all([...document.images].filter(image => image.loading !== 'lazy')
  .map(image => image.decode().catch(() => null)))"""


def draw(page: Path, output: Path, state: str = "", width: int = 1020, height: int = 1370) -> None:
    """Writes a PNG of the page in the folder `page`, from its top.

    state: what is looked at, as it stands in the address behind "#?". width, height: of the window in pixels. Raises
    BenchmarkError if there is no such page or no Chromium.
    """
    from playwright.sync_api import Error, sync_playwright

    index = page / "index.html"
    if not index.is_file():
        raise BenchmarkError(f"{index}: no such file; `python -m benchmark report` makes a page")
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise BenchmarkError(f"there is no browser here: {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(
                executable_path=browser, args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
            )
            shown = opened.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
            shown.set_default_timeout(PATIENCE)
            shown.goto(f"{index.resolve().as_uri()}{f'#?{state}' if state else ''}")
            shown.locator(".plot[data-ready]").first.wait_for()
            shown.locator(".plot:not([data-ready])").first.wait_for(state="detached")
            shown.evaluate(_DECODED)
            taken = Path(folder) / "page.png"
            shown.screenshot(path=taken)
            opened.close()
        except Error as error:
            raise BenchmarkError(f"{index}: {str(error).splitlines()[0]}") from None
        write_file(output, taken.read_bytes(), parents=True)
