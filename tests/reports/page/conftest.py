"""One browser and a few small runs of fake codecs for all tests of the page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.web_pages import PATIENCE, call, chromium, make_run, write_photographs


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="session")
def photographs(shared_folder: Path) -> Path:
    return write_photographs(shared_folder / "pictures", ["a.png", "b.png", "c.png"])


@pytest.fixture(scope="session")
def run_folder(shared_folder: Path, photographs: Path) -> Path:
    """Two codecs, one of them stochastic with two seeds, three qualities, three images."""
    codecs = ("--codec", "tiny", "--codec", "noisy", "--quality", "2,3,5", "--decoder-seeds", "0,1")
    return make_run(shared_folder / "run", photographs, *codecs)


@pytest.fixture(scope="session")
def page_folder(shared_folder: Path, run_folder: Path) -> Path:
    assert call("report", str(run_folder), "-o", str(shared_folder / "page")) == 0
    return shared_folder / "page"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page; whatever it is used for, it must write no error and ask for nothing outside its folder."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(("file:", "data:", "blob:")) else problems.append(f"asks for {request.url}")
        ),
    )
    page.on("requestfailed", lambda request: problems.append(f"not found: {request.url}"))
    yield page
    context.close()
    assert problems == []


PLOTLESS = "var Plotly = { react: (box) => { box.on = () => {}; } };"


@pytest.fixture
def plotless(page: Page) -> None:
    """`page` draws no curves, which takes most of the time that it needs to open: for tests of what else it shows."""
    page.route("**/plotly-basic.min.js", lambda route: route.fulfill(body=PLOTLESS, content_type="text/javascript"))
