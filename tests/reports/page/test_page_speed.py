"""A page of five codecs at six qualities on 24 images opens within a second, and moves without stutter."""

from pathlib import Path

import pytest
from playwright.sync_api import Page
from support.web_pages import call, make_run, open_page, write_photographs

PANS = """async () => {
    const box = document.querySelector(".viewer");
    box.focus();
    const gaps = [];
    let last = performance.now();
    for (let frame = 0; frame < 60; frame += 1) {
        const key = frame % 20 < 10 ? "ArrowRight" : "ArrowLeft";
        box.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        await new Promise(requestAnimationFrame);
        gaps.push(performance.now() - last);
        last = performance.now();
    }
    return gaps.sort((a, b) => a - b)[30];
}"""
OPENED = "() => performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
"""Milliseconds until all scripts ran: by then the first curve, the viewer and the tables are drawn."""


@pytest.mark.slow
def test_it_opens_within_a_second_and_moves_without_stutter(page: Page, tmp_path: Path) -> None:
    pictures = write_photographs(tmp_path / "many", [f"{number:02}.png" for number in range(24)])
    codecs = [word for number in range(5) for word in ("--codec", f"tiny:note={number}")]
    run = make_run(tmp_path / "five", pictures, *codecs, "--quality", "2,3,4,5,6,7")
    assert call("report", str(run), "-o", str(tmp_path / "five-page"), "--no-maps") == 0
    opened, between = [], []
    for _ in range(3):  # the best of three: other processes may be at work
        open_page(page, tmp_path / "five-page", "#?mode=side&view=0.5,0.5,8")
        opened.append(page.evaluate(OPENED))
        between.append(page.evaluate(PANS))
    assert min(opened) < 1000, opened
    assert min(between) < 34, between  # two frames of 60 a second
