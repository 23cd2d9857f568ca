"""Runs of fake codecs whose images a page can show, and what tests do with a page."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from benchmark.cli.main import main
from benchmark.reports import outcome

HOSTILE = """a"b'<img src=x onerror="window.injected=1">&amp;"""

BROWSERS = ("chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first that there is: one without windows opens a page in a third of the processor time of a whole browser."""

CHROMIUM = next((path for name in BROWSERS if (path := shutil.which(name))), None)
PATIENCE = 60_000  # milliseconds: other processes may be at work
FLAGS = (
    "--no-sandbox",  # containers that run as root have no sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. Without one the test is skipped, in CI it fails."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("there is no Chromium on this machine")
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def write_photographs(folder: Path, names: list[str], corner: int = 200) -> Path:
    """Smooth images of 96x64, each another, so that metrics have something to tell apart."""
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0:64, 0:96]
    for number, name in enumerate(names):
        waves = [127 + 100 * np.sin(x / (9 + 3 * number + channel) + y / (7 + number)) for channel in range(3)]
        samples = np.stack(waves, axis=-1).astype(np.uint8)
        samples[0, 0, 0] = corner
        Pillow.fromarray(samples).save(folder / name)
    return folder


def make_run(folder: Path, pictures: Path, *arguments: str, keep: bool = True) -> Path:
    """A run of fakes, in PSNR, its exit code not looked at: trials may fail. Without plots, which no page shows."""
    words = ["run", "--only", "--workers", "1", "--dataset", str(pictures), "--metric", "psnr", "--output", str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcome, "draw_curves", lambda frames, metrics, folder: [])
        call(*words, *(["--keep-reconstructions"] if keep else []), *arguments)
    return folder


def open_page(page: Page, folder: Path, state: str = "") -> Page:
    """Opens the page in `folder` from disk and waits until its curves are drawn."""
    page.goto("about:blank")  # another state alone would not load it anew
    page.goto(f"file://{folder}/index.html{state}")
    plots = page.locator(".plot").count()
    expect(page.locator(".plot[data-ready]")).to_have_count(plots)
    return page


def address(page: Page, part: str) -> Page:
    """Waits until the address holds `part`: it follows what is looked at by a moment."""
    for _ in range(600):
        if part in page.url:
            return page
        page.wait_for_timeout(30)
    raise AssertionError(f"{part} is not in {page.url}")


def layer(page: Page, side: str = "") -> Locator:
    """The image that is seen in the viewer while it flips."""
    return page.locator(f".stage.flip .layer.shown{f'[data-side={side}]' if side else ''}")
