"""What a page runs and asks for: its own scripts, its own images, whatever the names in a run say."""

import csv
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect
from support.hostile import HOSTILE, UNSEEN, make_hostile
from support.web_pages import call, make_run, open_page, write_photographs
from support.web_server import served

pytestmark = pytest.mark.long

SEEN = """() => [document.title, document.body.textContent, ...["title", "alt", "aria-label", "download"].flatMap(
    (name) => [...document.querySelectorAll(`[${name}]`)].map((element) => element.getAttribute(name)))].join(" ")"""
"""All that a page shows or has read aloud; values of choices and keys are what they are."""


@dataclass
class Watched:
    """A page and all that it did: requests, dialogs, windows, messages on its console, violations of its policy."""

    page: Page
    requests: list[str] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(60_000)
    found = Watched(page)

    def asked(route: object) -> None:
        found.requests.append(route.request.url)  # type: ignore[attr-defined]
        route.continue_()  # type: ignore[attr-defined]

    context.route("**/*", asked)
    page.on("dialog", lambda dialog: (found.happened.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("popup", lambda popup: found.happened.append(f"window {popup.url}"))
    page.on("pageerror", lambda error: found.happened.append(f"error {error}"))
    page.on("console", lambda message: found.happened.append(f"{message.type} {message.text}"))
    page.on("websocket", lambda socket: found.happened.append(f"socket {socket.url}"))
    yield found
    context.close()


@pytest.fixture(scope="module")
def hostile_page(shared_folder: Path) -> Path:
    names = [f"{number:02}.png" for number in range(len(HOSTILE))]
    pictures = write_photographs(shared_folder / "hostile-words", names)
    write_photographs(pictures, ["99.png"], corner=0)
    with (pictures / "PROVENANCE.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "author", "licence"])
        writer.writerows([name, text.replace("\x00", ""), text] for name, text in zip(names, HOSTILE, strict=True))
    runs = []
    for number in (1, 2):
        run = make_run(
            shared_folder / f"hostile-words-{number}",
            pictures,
            "--codec",
            "breaks",
            "--codec",
            "tiny",
            "--quality",
            "2,4",
        )
        make_hostile(run)
        runs.append(str(run))
    assert call("report", *runs, "-o", str(shared_folder / "hostile-words-page"), "--no-maps") == 0
    return shared_folder / "hostile-words-page"


@pytest.fixture(scope="module")
def hostile_study(shared_folder: Path, hostile_page: Path) -> Path:
    run = shared_folder / "hostile-words-1"
    words = ["study", str(run), "-o", str(shared_folder / "hostile-study"), "--within", "1000", "--bpp", "1"]
    assert call(*words, "--dataset", str(shared_folder / "hostile-words")) == 0
    return shared_folder / "hostile-study"


def slow(*values: str) -> Any:
    """By default a page and a study, a file and a server are each looked at once; all of their pairs when asked."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize("by", ["file", slow("http")])
def test_words_of_a_run_do_nothing_on_its_page(by: str, hostile_page: Path, watched: Watched) -> None:
    page = watched.page
    with served(hostile_page.parent) as address:
        place = f"file://{hostile_page}" if by == "file" else f"{address}/{hostile_page.name}"
        page.goto(f"{place}/index.html")
        expect(page.locator(".plot[data-ready]")).to_have_count(page.locator(".plot").count())
        page.get_by_text("All values of the curves").click()
        page.locator("details").evaluate_all("all => all.forEach((details) => { details.open = true; })")
        page.locator(".plot").first.locator(".scatterlayer .point").first.hover(force=True)
        page.locator(".strip button").last.click()
        page.locator(".viewer").press("m")
        page.locator(".viewer").press("n")
        for button in page.locator("#table-body thead button").all()[:3]:
            button.click()
        page.wait_for_timeout(300)
        assert page.evaluate("window.injected") is None
        text = page.evaluate(SEEN)
        assert [request for request in watched.requests if not request.startswith((place, "data:", "blob:"))] == []
    assert watched.happened == []
    assert len(text) > 10_000
    assert not set(text) & set(UNSEEN)
    for image in page.locator(".stage .layer").all():
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 96
    assert page.locator("base, iframe, object, embed, form, svg[onload], [onerror], [style*='127.0.0.1']").count() == 0
    links = page.locator("a[href]").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert all(re.fullmatch(r"#[a-z]+|runs/[12]/[a-z.]+|assets/[\w.-]+", link) for link in links), links


@pytest.mark.parametrize("by", [slow("file"), "http"])
def test_words_of_a_run_do_nothing_in_a_study(by: str, hostile_study: Path, watched: Watched) -> None:
    page = watched.page
    with served(hostile_study.parent) as address:
        place = f"file://{hostile_study}" if by == "file" else f"{address}/{hostile_study.name}"
        page.goto(f"{place}/index.html")
        page.get_by_role("button", name="Begin", exact=True).click()
        for number in range(3):
            expect(page.locator(f"#trial[data-ready='{number}']")).to_be_visible()
            page.keyboard.down(" ")
            page.keyboard.up(" ")
            page.keyboard.press("ArrowLeft")
        with page.expect_download():
            page.locator("#save-now").click()
        assert page.evaluate("window.injected") is None
        assert [request for request in watched.requests if not request.startswith((place, "data:", "blob:"))] == []
    assert watched.happened == []


SMUGGLED = """
<script>window.injected = 1</script>
<script src="evil.js"></script>
<script nonce="" src="evil.js"></script>
<script type="module">window.injected = 1</script>
<img src="nowhere" onerror="window.injected = 1">
<img src="http://127.0.0.1:1/pixel.png">
<svg onload="window.injected = 1"></svg>
<link rel="stylesheet" href="http://127.0.0.1:1/x.css">
<link rel="prefetch" href="http://127.0.0.1:1/x">
<style>@import "http://127.0.0.1:1/y.css"; body { background: url(http://127.0.0.1:1/z.png) }</style>
<p style="background: url(http://127.0.0.1:1/attribute.png)">x</p>
<iframe src="http://127.0.0.1:1/frame"></iframe>
<iframe srcdoc="<script>parent.injected = 1</script>"></iframe>
<object data="http://127.0.0.1:1/object"></object>
<embed src="http://127.0.0.1:1/embed">
<video src="http://127.0.0.1:1/video" autoplay></video>
<form action="http://127.0.0.1:1/form" id="sends"><input name="x"></form>
<a href="javascript:window.injected = 1" id="runs">x</a>
<base href="http://127.0.0.1:1/">
"""


def violations(watched: Watched) -> list[str]:
    return [text for text in watched.happened if "Content Security Policy" in text]


@pytest.mark.parametrize(
    ("kind", "by"), [("page", "http"), ("study", "file"), slow("page", "file"), slow("study", "http")]
)
def test_the_policy_holds_where_something_slipped_in(
    kind: str, by: str, request: pytest.FixtureRequest, watched: Watched, tmp_path: Path
) -> None:
    """As if one text had not been escaped: nothing of it runs, and nobody is asked."""
    import shutil

    source = request.getfixturevalue("page_folder" if kind == "page" else "hostile_study")
    folder = tmp_path / "there" / "page"
    shutil.copytree(source, folder)
    (folder / "evil.js").write_text("window.injected = 1")
    index = folder / "index.html"
    index.write_text(index.read_text().replace("<main", SMUGGLED + "<main", 1))
    (folder / "data.js").write_text(
        (folder / "data.js").read_text() + "try { eval('window.injected = 1') } catch {}"
        "try { new Function('window.injected = 1')() } catch {}"
        "fetch('http://127.0.0.1:1/fetch').catch(() => 0); new Image().src = 'http://127.0.0.1:1/image';"
        "navigator.sendBeacon('http://127.0.0.1:1/beacon'); try { new WebSocket('ws://127.0.0.1:1/') } catch {}"
        "try { new Worker('http://127.0.0.1:1/worker') } catch {}"
    )
    page = watched.page
    with served(folder.parent) as address:
        place = f"file://{folder}" if by == "file" else f"{address}/page"
        page.goto(f"{place}/index.html")
        page.locator("#runs").evaluate("link => link.click()")
        page.locator("#sends").evaluate("form => form.submit()")
        for _ in range(600):
            if len(found := violations(watched)) > 10:
                break
            page.wait_for_timeout(100)
        page.wait_for_timeout(500)  # for what should not happen
        assert page.url.startswith(place)
        assert page.evaluate("window.injected") is None
        assert [request for request in watched.requests if not request.startswith((place, "data:", "blob:"))] == []
    assert len(found) > 10


def test_the_policy_names_this_pages_scripts_alone(page_folder: Path, tmp_path: Path) -> None:
    text = (page_folder / "index.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy[1].replace("&#39;", "'").split("; "))
    nonce = re.fullmatch(r"'nonce-([0-9a-f]{32})'", rules["script-src"])
    assert nonce is not None
    assert rules["default-src"] == "'none'"
    assert "unsafe-eval" not in policy[1]
    assert "unsafe-inline" not in rules["script-src"] + rules["style-src"]
    assert "http" not in policy[1].replace("&#39;", "")
    loaded = re.findall(r"<(?:script|link)[^>]*(?:src|href)=[^>]*>", text)
    assert all(f'nonce="{nonce[1]}"' in element for element in loaded if "data:," not in element)
    other = make_run(tmp_path / "policy", write_photographs(tmp_path / "policy-pictures", ["a.png"]), "--codec", "tiny")
    assert call("report", str(other), "-o", str(tmp_path / "policy-page"), "--no-maps") == 0
    assert nonce[1] not in (tmp_path / "policy-page" / "index.html").read_text()


# The address: whoever sends a link to a page chooses what stands behind the "#".

STATES = [
    "off=x", "off=[", "off={}", "off=null", "off=1", 'off=["a"]', "bits=-1", "bits=0", "bits=1e9", "bits=NaN", "bits=",
    "seed=-1", "seed=1e99", "seed=x", "view=x", "view=,,", "view=1,1,0", "view=1,1,999999", "view=0.5,0.5,-3",
    "split=9", "split=x",
    "gain=1) url(http://127.0.0.1:1/x", "gain=1e9", "mode=constructor", "mode=map", "show=x", "pair=xx", "pair=",
    "picture=__proto__", "a=__proto__", "b=constructor", "table=x", "columns=x", "columns=,,", "sort=x", "order=x",
    "one=x", "other=x", "by=__proto__", "realism=__proto__", "realism=x", "constructor=1", "__proto__=1", "toString=1",
    "equal=x", "log=x", "intervals=2", "%E0%A4%A", "=&=&&", "picture=" + "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("mixtures", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_no_address_breaks_the_page_or_makes_it_ask(mixtures: int, page_folder: Path, watched: Watched) -> None:
    page = watched.page
    open_page(page, page_folder)
    draw = random.Random(0)
    words = [f"{key}={quote(text)}" for key in ("picture", "a", "b", "mode", "by", "off") for text in HOSTILE[:8]]
    mixed = ["&".join(draw.sample([quote(s, safe="=&%") for s in STATES] + words, 4)) for _ in range(mixtures)]
    for state in [*(quote(s, safe="=&%") for s in STATES), *mixed]:
        page.evaluate("state => { location.hash = '?' + state; }", state)
        page.wait_for_timeout(15)
    page.wait_for_timeout(200)
    open_page(page, page_folder, f"#?{mixed[0]}&gain=1)%20url(http://127.0.0.1:1/x&mode=difference&off=[")
    assert page.evaluate("window.injected") is None
    assert watched.happened == []
    assert [r for r in watched.requests if not r.startswith((f"file://{page_folder}", "data:", "blob:"))] == []
    open_page(page, page_folder, "#?mode=side")
    expect(page.locator(".pane .stage")).to_have_count(3)


def test_a_study_begins_anew_where_its_storage_was_spoilt(page: Page, hostile_study: Path) -> None:
    """Pages opened from one place share their storage."""
    page.goto(f"file://{hostile_study}/index.html")
    key = "hfd-benchmark-study-" + page.evaluate("window.STUDY.study")
    texts = ["{", "null", "1", "{}", '{"asked": 1}', '{"asked": [], "votes": [1]}']
    for kind, index in (("__proto__", 0), ("questions", 99_999)):
        texts.append(json.dumps({"asked": [{"kind": kind, "index": index}], "votes": []}))
    for text in texts:
        page.evaluate("([key, text]) => localStorage.setItem(key, text)", [key, text])
        page.reload()
        page.get_by_role("button", name="Begin", exact=True).click()
        expect(page.locator("#trial[data-ready='0']")).to_be_visible()
