"""The site of docs/: strictly built, asking no other host for anything, and usable on a phone.

By default its own code is tested, where MkDocs is installed. The slow tests build it, or take the folder that the
variable SITE names, and open each page in Debian's chromium.
"""

import functools
import http.server
import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from support.web_pages import chromium

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
DESKTOP, PHONE = (1280, 900), (390, 844)
pytestmark = pytest.mark.checkout


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    pytest.importorskip("mkdocs", reason="the site is built with the extra docs")
    return module("hooks")


@pytest.fixture(scope="module")
def docstrings() -> ModuleType:
    pytest.importorskip("griffe", reason="the site is built with the extra docs")
    return module("docstrings")


@pytest.mark.parametrize(
    ("source", "target", "found"),
    [
        ("explanation/trust.md", "../../benchmark/codecs.py", "benchmark/codecs.py"),
        ("explanation/trust.md", "../../benchmark/hfd#a-heading", "benchmark/hfd"),
        ("index.md", "../README.md", "README.md"),
        ("explanation/trust.md", "../reference/metrics.md", None),  # MkDocs' own
        ("explanation/trust.md", "../../no/such/file.py", None),  # and a strict build fails
        ("explanation/trust.md", "../../../outside", None),
        ("explanation/trust.md", "https://example.org/README.md", None),
        ("index.md", "#a-heading", None),
        ("checkout/README.md", "benchmark/codecs.py", "benchmark/codecs.py"),
        ("checkout/README.md", "docs/python.ipynb", "docs/python.ipynb"),
    ],
)
def test_links_out_of_the_folder(hooks: ModuleType, source: str, target: str, found: str | None) -> None:
    assert hooks._outside(source, target) == found


@pytest.mark.parametrize(
    ("source", "before", "after"),
    [
        ("results/a.md", "![x](../../reports/a.png)", "![x](../checkout/reports/a.png)"),
        ("results/a.md", "[x](../../README.md#start)", "[x](../checkout/README.md#start)"),
        ("results/a.md", "[`x`](../../benchmark/codecs.py)", "`x`"),  # which the site does not have
        ("results/a.md", "[x](../../no.py) [y](b.md)", "[x](../../no.py) [y](b.md)"),
        ("results/a.md", "```md\n[x](../../README.md)\n```", "```md\n[x](../../README.md)\n```"),
        ("checkout/README.md", "[x](docs/reference/metrics.md) [y](docs)", "[x](../reference/metrics.md) y"),
        ("checkout/tests/README.md", "[x](../README.md)", "[x](../README.md)"),
    ],
)
def test_what_becomes_of_links(
    hooks: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, before: str, after: str
) -> None:
    for name in ("README.md", "reports/a.png", "benchmark/codecs.py", "docs/reference/metrics.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(hooks, "ROOT", tmp_path)
    site = {"checkout/README.md", "checkout/reports/a.png", "reference/metrics.md"}
    files = SimpleNamespace(get_file_from_path=lambda path: path if path in site else None)
    page = SimpleNamespace(file=SimpleNamespace(src_uri=source))
    assert hooks.on_page_markdown(before, page, None, files) == after


def test_an_image_leads_to_itself(hooks: ModuleType) -> None:
    linked = '<a href="b.html"><img alt="b" src="b.png"></a> <img src="https://example.org/c.png">'
    assert hooks.on_page_content(f'<p><img alt="a" src="../a.png" /></p> {linked}', None, None, None) == (
        f'<p><a href="../a.png"><img alt="a" src="../a.png" /></a></p> {linked}'
    )


def test_what_is_linked_to_is_taken_in(hooks: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what that links to; a page of docs/ is not taken in a second time."""
    from mkdocs.structure.files import File, Files

    pages = {
        "docs/index.md": "[card](../cards/a.md) [code](../a.py) [gone](../gone.md)",
        "cards/a.md": "![drawn](a.png) [back](../docs/index.md) [itself](a.md)",
        "cards/a.png": "",
        "a.py": "",
    }
    for name, text in pages.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(hooks, "ROOT", tmp_path)
    plugins = SimpleNamespace(_current_plugin="hooks")
    config = SimpleNamespace(site_dir=str(tmp_path / "site"), use_directory_urls=False, plugins=plugins)
    first = File("index.md", str(tmp_path / "docs"), str(tmp_path / "site"), use_directory_urls=False)
    found = hooks.on_files(Files([first]), config)
    assert sorted(file.src_uri for file in found) == ["checkout/cards/a.md", "checkout/cards/a.png", "index.md"]


def leaf(path: str) -> SimpleNamespace:
    return SimpleNamespace(
        children=None, file=SimpleNamespace(src_uri=path), title=None, next_page=None, previous_page=None
    )


def test_sections_and_pages_stand_in_order(hooks: ModuleType) -> None:
    def section(*paths: str) -> SimpleNamespace:
        return SimpleNamespace(children=[leaf(path) for path in paths], title="?")

    nav: Any = SimpleNamespace(
        items=[
            section("results/a.md"),
            section("other/a.md"),
            section("reference/audit.md", "reference/codecs.md", "reference/zero.md", "reference/commands.md"),
            section("tutorials/first.md"),
            leaf("index.md"),
        ],
        pages=[],
    )
    config = SimpleNamespace(extra={"order": {"reference": ["commands", "codecs"]}})
    hooks.on_nav(nav, config, None)
    assert [page.file.src_uri for page in nav.pages] == [
        "index.md", "tutorials/first.md", "reference/commands.md", "reference/codecs.md", "reference/audit.md",
        "reference/zero.md", "results/a.md", "other/a.md",
    ]  # fmt: skip
    assert [item.title for item in nav.items] == [None, "Tutorials", "Reference", "Results", "?"]
    assert nav.pages[1].previous_page is nav.pages[0]
    assert nav.pages[0].previous_page is nav.pages[-1].next_page is None


def test_arguments_become_a_list(docstrings: ModuleType) -> None:
    text = "Does it.\n\nmore, most: how many. place:\nwhere, as in place: x. Its end. Raises UsageError on n.\n\nmore."
    assert docstrings.with_lists(text, ["more", "most", "place"]) == (
        "Does it.\n\n- `more`, `most`: how many.\n- `place`: where, as in place: x. Its end.\n\n"
        "Raises UsageError on n.\n\nmore."
    )
    assert docstrings.with_lists(text, []) == text


def test_what_stands_first_is_there() -> None:
    named = re.findall(r"^    ([a-z-]+): \[(.*)\]$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"tutorials", "reference"} <= {folder for folder, _ in named}
    files = [DOCS / folder / f"{name}.md" for folder, names in named for name in names.split(", ")]
    assert [file for file in files if not file.is_file()] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the built site."""
    if os.environ.get("SITE"):
        return Path(os.environ["SITE"])
    pytest.importorskip("mkdocs", reason="the site is built with the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where a server here has the site."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def pages_of(site: Path) -> list[str]:
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html") if path.name != "404.html")


@pytest.mark.slow
@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "dark"), (PHONE, "light")], ids=["desktop", "phone"])
def test_pages_ask_nobody_else_and_fit(
    site: Path, address: str, browser: Browser, size: tuple[int, int], scheme: Any
) -> None:
    """No request to another host, no error, no page wider than the screen, and the colours that the reader prefers."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, is_mobile=size == PHONE
    )
    page = context.new_page()
    foreign: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: request.url.startswith((address, "data:")) or foreign.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("response", lambda response: response.status < 400 or wrong.append(response.url))
    names = pages_of(site)
    assert "index.html" in names
    assert "reference/commands.html" in names
    for name in names:
        page.goto(address + name)
        page.wait_for_timeout(100)  # what scripts ask for once the page is there
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wrong.append(f"{name} is wider than {width}")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark == (scheme == "dark"), name
    context.close()
    assert foreign == []
    assert wrong == []


@pytest.mark.slow
def test_the_search_finds_an_option(address: str, browser: Browser) -> None:
    page: Page = browser.new_page()
    foreign: list[str] = []
    page.on(
        "request", lambda request: request.url.startswith((address, "data:", "blob:")) or foreign.append(request.url)
    )
    page.goto(address)
    page.keyboard.press("/")
    page.keyboard.type("keep-reconstructions")
    page.wait_for_selector(".md-search-result__item a[href*='commands']")
    assert foreign == []


@pytest.mark.slow
def test_no_file_names_a_host_to_load_from(site: Path) -> None:
    """Links may lead elsewhere; scripts, styles, images and fonts may not."""
    loads = re.compile(
        r"<(?:script|img|source|iframe|audio|video)\b[^>]*\bsrc=[\"']?(?:https?:)?//"
        r"|<link\b(?![^>]*\brel=[\"']?(?:canonical|prev|next))[^>]*\bhref=[\"']?(?:https?:)?//"
    )
    styles = re.compile(r"(?:url\(|@import\s+)[\"']?(?:https?:)?//")
    found = [path for path in site.rglob("*.html") if loads.search(path.read_text(encoding="utf-8"))]
    found += [path for path in site.rglob("*.css") if styles.search(path.read_text(encoding="utf-8"))]
    assert found == []
    assert loads.search("<script src='https://example.org/x.js'>")
    assert loads.search('<link rel="stylesheet" href="//example.org/x.css">')
    assert styles.search("a{background:url(https://example.org/x.png)}")
