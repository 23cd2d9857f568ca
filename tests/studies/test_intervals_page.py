"""The page of intervals and verdicts is that of the committed tables."""

from pathlib import Path

import pytest

from benchmark.studies import intervals_page
from benchmark.studies.coverage import Coverage, read_table
from benchmark.studies.gate_errors import Errors
from benchmark.studies.intervals_page import page, write_page

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "intervals.md"

pytestmark = pytest.mark.checkout


def test_the_page_is_that_of_the_tables() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m benchmark studies intervals writes it anew"


def test_it_names_every_interval_that_holds_too_little(tmp_path: Path) -> None:
    write_page(tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    low = [one for one in read_table(Coverage, intervals_page.COVERAGE) if one.covered < intervals_page.LOW]
    assert low
    for one in low:
        assert f"| {one.of} |" in text or f"| {one.of}, over images alone |" in text


def test_what_the_tables_lack_is_said() -> None:
    found, gate = read_table(Coverage, intervals_page.COVERAGE), read_table(Errors, intervals_page.GATE)
    first = found[0]
    lacking = intervals_page.not_counted(
        found[1:], [one for one in gate if one.kind != "lpips, lower is better, a share"]
    )
    assert f"{first.interval}: {first.of}" in lacking
    assert "the gate: lpips, lower is better, a share" in lacking
    text = PAGE.read_text(encoding="utf-8")
    for name in intervals_page.not_counted(found, gate):
        assert f"\n- {name}\n" in text
