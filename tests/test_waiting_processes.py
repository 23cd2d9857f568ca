"""Processes that wait for tests, and that are copied by them, do not depend on which test came first."""

from pathlib import Path

import pytest
from support.zygote import BEGINNING, a_zygote


def test_they_have_the_environment_of_the_beginning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not that of the test that first asks: with a long TMPDIR, no later test has a place for a socket."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setenv("TMPDIR", str(gone))
    program = "import os; print(os.environ.get('TMPDIR'))"
    with a_zygote(("json",)) as zygote:
        gone.rmdir()
        assert zygote.run(folder=tmp_path, script=program)[:2] == (0, f"{BEGINNING.get('TMPDIR')}\n")
