"""A start beside packages that have the suite's names."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def start(path: list[Path], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmark", "list", "codecs"],
        cwd=folder,
        env={"PYTHONPATH": os.pathsep.join(str(entry) for entry in path), "PATH": ""},
        capture_output=True,
        text=True,
    )


def test_a_foreign_datasets_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").touch()
    beside = start([tmp_path, ROOT], tmp_path)
    assert beside.returncode == 3
    assert beside.stderr.startswith("error: the package 'datasets'")
    assert beside.stderr.count("\n") == 1
    assert start([ROOT, tmp_path], ROOT).returncode == 0
