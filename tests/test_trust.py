"""Each promise in docs/explanation/trust.md names tests that exist, and says so when one is slow."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "trust.md"

pytestmark = pytest.mark.checkout


def _named() -> list[tuple[str, str]]:
    """(file, test) of each name in the page; "::name" is of the file before it; test "" for a whole file."""
    found, file = [], ""
    for text in re.findall(r"`((?:tests/[\w/]+\.py)?(?:::\w+)?)`", PAGE.read_text(encoding="utf-8")):
        path, _, test = text.partition("::")
        file = path or file
        found.append((file, test))
    return found


def _slow_by_test(file: str) -> dict[str, bool]:
    """Test -> whether it is slow."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    of_all = any(
        isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node) and "slow" in ast.unparse(node)
        for node in tree.body
    )
    return {
        node.name: of_all or any(ast.unparse(mark) == "pytest.mark.slow" for mark in node.decorator_list)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }


def test_every_promise_has_a_test() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| [A-Z]", line)]
    assert len(rows) >= 30
    assert not [row for row in rows if "`tests/" not in row]


@pytest.mark.parametrize(("file", "test"), _named())
def test_the_tests_that_it_names_exist(file: str, test: str) -> None:
    found = _slow_by_test(file)
    assert not test or test in found


def test_what_is_slow_is_called_so() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for file, test in _named():
        if test:
            called = re.search(rf"slow: `({re.escape(file)})?::{test}`", text) is not None
            assert called == _slow_by_test(file)[test], f"{file}::{test}"
