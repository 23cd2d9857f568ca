"""A start beside packages and folders that have the names of the suite's own folders."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
