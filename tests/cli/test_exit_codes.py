"""Exit codes: one table, which every command, its help and the documents hold to."""

import re
from pathlib import Path

import pytest

from benchmark.cli import main as command_line
from benchmark.errors import EXIT_CODES, BenchmarkError, NotComparable, UsageError

ROOT = Path(__file__).parents[2]


def test_the_kinds_of_errors_are_in_the_table() -> None:
    assert [kind.exit_code for kind in (UsageError, BenchmarkError, NotComparable)] == [2, 3, 4]
    assert set(EXIT_CODES) == {0, 1, 2, 3, 4, 130, 143}


def test_the_help_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    for code, words in EXIT_CODES.items():
        assert f"{code} {words.partition(':')[0]}" in said


@pytest.mark.checkout
@pytest.mark.parametrize("file", ["README.md", "docs/reference/exit-codes.md"])
def test_a_table_has_these_codes(file: str) -> None:
    """The page has it; the README may leave it to the page."""
    _, head, table = (ROOT / file).read_text(encoding="utf-8").partition("| code | meaning |\n| --- | --- |\n")
    assert head or file == "README.md"
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", table.partition("\n\n")[0], re.MULTILINE)
    assert not head or [(int(code), words) for code, words in rows] == [*EXIT_CODES.items()]


@pytest.mark.checkout
def test_commands_end_with_codes_of_the_table() -> None:
    for path in (ROOT / "benchmark" / "cli").glob("*.py"):
        for code in re.findall(r"typer\.Exit\((\d+)\)", path.read_text(encoding="utf-8")):
            assert int(code) in EXIT_CODES, path


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("u"), 2),
        (BenchmarkError("b"), 3),
        (NotComparable("n"), 4),
        (OSError(28, "No space left on device", "file"), 3),
        (ModuleNotFoundError("no", name="nothing_of_ours"), 3),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("a mistake"), 3),  # 1 would be a verdict
    ],
)
def test_what_a_command_raises(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise error

    monkeypatch.setattr(command_line, "_command", lambda: fail)
    with pytest.raises(SystemExit) as ended:
        command_line.main([])
    assert ended.value.code == code
    said = capsys.readouterr().err
    assert ("Traceback" in said) == isinstance(error, ModuleNotFoundError | ZeroDivisionError)
    if isinstance(error, OSError):
        assert said == "error: file: No space left on device\n"
