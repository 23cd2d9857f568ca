"""Which state of the suite made a number: a checkout's commit, that of an installation from git, or a version."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmark.running import provenance

COMMIT = "c" * 40


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The suite's metadata where pip put them, and its modules outside of any checkout."""
    info = tmp_path / "hfd_benchmark-9.8.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hfd-benchmark\nVersion: 9.8\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "benchmark" / "running" / "provenance.py"))
    return info


def test_a_release_has_its_version_and_no_commit(installed: Path) -> None:
    assert provenance.checkout() == (None, None)
    assert provenance.packages()["hfd-benchmark"] == "9.8"


def test_an_installation_from_git_has_the_commit_that_pip_noted(installed: Path) -> None:
    noted = {"url": "https://somewhere/suite.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}
    (installed / "direct_url.json").write_text(json.dumps(noted))
    assert provenance.checkout() == (COMMIT, False)


def test_an_installation_from_a_folder_has_none(installed: Path) -> None:
    (installed / "direct_url.json").write_text('{"url": "file:///somewhere", "dir_info": {}}')
    assert provenance.checkout() == (None, None)


def test_a_checkout_has_its_commit_and_knows_its_changes(installed: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=installed.parent, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    assert provenance.checkout() == (git("rev-parse", "HEAD"), False)
    (installed / "METADATA").write_text("changed")
    assert provenance.checkout() == (git("rev-parse", "HEAD"), True)
