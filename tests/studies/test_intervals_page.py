"""The page of intervals and verdicts is that of the committed tables."""

from pathlib import Path

import pytest

from benchmark.studies import intervals_page
from benchmark.studies.coverage import Coverage, read_table
from benchmark.studies.gate_errors import Errors, kinds
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
        assert f"| {one.of} |" in text


def test_the_gate_s_table_has_every_kind() -> None:
    assert {one.kind for one in read_table(Errors, intervals_page.GATE)} == {kind.name for kind in kinds()}
