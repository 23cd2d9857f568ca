"""constraints.txt: versions that go together, and that pyproject.toml allows."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.checkout


def pinned() -> dict[str, Version]:
    """Name -> version, of every line that is no comment."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pairs = [re.fullmatch(r"([a-z0-9-]+)==(\S+)", line) for line in lines]
    assert all(pairs), [line for line, pair in zip(lines, pairs, strict=True) if pair is None]
    found = {pair[1]: Version(pair[2]) for pair in pairs if pair is not None}
    assert len(found) == len(lines), "a package twice"
    return found


def test_every_pin_is_a_plain_version_in_order() -> None:
    names = list(pinned())
    assert names == sorted(names)
    assert all(version.local is None and not version.is_prerelease for version in pinned().values())


def test_pins_are_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    versions = pinned()
    for line in (*project["dependencies"], *extras["hfd"], *extras["dev"]):
        asked = Requirement(line)
        name = canonicalize_name(asked.name)
        if name not in ("pip", "setuptools", "wheel") and (asked.marker is None or name in versions):
            assert versions[name] in asked.specifier, line


def test_nothing_uses_it_by_itself() -> None:
    for path in (".ci/run", "README.md", "pyproject.toml", ".github/workflows/quality.yml"):
        assert "constraints.txt" not in (ROOT / path).read_text(encoding="utf-8"), path
    assert "python .ci/constraints > constraints.txt" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
