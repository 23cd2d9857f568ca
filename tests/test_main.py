"""A start beside packages and folders that have the names of the suite's own folders, and one that is interrupted."""

import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmark.running.interruption import Terminated

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("package", [True, False])
@pytest.mark.parametrize("name", ["datasets", "baselines", "reports"])
def test_a_folder_or_a_package_of_one_of_our_names_stops_nothing(tmp_path: Path, name: str, package: bool) -> None:
    (tmp_path / name).mkdir()
    if package:
        (tmp_path / name / "__init__.py").write_text("load_dataset = 'theirs'\n")
    code = f"import runpy, sys; sys.argv = ['benchmark', 'list', 'datasets']; import {name} as theirs; "
    code += "assert not hasattr(theirs, 'open_dataset'), theirs; runpy.run_module('benchmark', run_name='__main__')"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert "kodak" in ended.stdout


class Interrupting(ModuleType):
    """In place of the command line: an interrupt comes while it is imported, or while an earlier one is dealt with."""

    def __init__(self, interrupt: KeyboardInterrupt, at: str) -> None:
        super().__init__("benchmark.cli.main")
        self._interrupt, self._at = interrupt, at

    def __getattr__(self, name: str) -> Any:
        if name != "main":
            raise AttributeError(name)
        if self._at == "import":
            raise self._interrupt
        return self._call

    def _call(self) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise self._interrupt from None


@pytest.mark.parametrize("at", ["import", "interrupt"])
@pytest.mark.parametrize(("interrupt", "code"), [(KeyboardInterrupt(), 130), (Terminated(signal.SIGTERM), 143)])
def test_an_interrupt_at_any_moment_is_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, at: str, interrupt: KeyboardInterrupt, code: int
) -> None:
    monkeypatch.setitem(sys.modules, "benchmark.cli.main", Interrupting(interrupt, at))
    before, path = signal.getsignal(signal.SIGINT), list(sys.path)
    try:
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("benchmark", run_name="__main__")
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # a third one changes nothing
    finally:
        signal.signal(signal.SIGINT, before)
        sys.path[:] = path
    assert ended.value.code == code
