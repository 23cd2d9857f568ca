"""What an installed package is that a codec, metric or data set comes from."""

import importlib.metadata
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.identity import MOST_FILES, digest_of, hashes_of


@dataclass(frozen=True)
class Package:
    """name: of its distribution, with the version. folder: of its code. requires: other distributions, by version."""

    name: str
    folder: Path | None
    requires: dict[str, str]

    def description(self) -> dict[str, Any]:
        """For a manifest. Its files count besides its version: those of an editable installation change under one."""
        files = sorted(self.folder.rglob("*.py"))[: MOST_FILES + 1] if self.folder is not None else []
        folder = self.folder or Path()
        return {
            "package": self.name,
            "source_sha256": digest_of(hashes_of({path.relative_to(folder).as_posix(): path for path in files})),
            "packages": self.requires,
        }


def package_of(target: str) -> Package:
    """Of the entry point "module:attribute"."""
    top = target.partition(":")[0].partition(".")[0]
    found = importlib.util.find_spec(top)
    folder = None
    if found is not None and found.origin is not None and Path(found.origin).name == "__init__.py":
        folder = Path(found.origin).parent
    for distribution in importlib.metadata.distributions():
        points = distribution.entry_points
        if any(point.group.startswith("hfd_benchmark.") and point.value == target for point in points):
            return Package(
                f"{distribution.name} {distribution.version}", folder, _versions(distribution.requires or [])
            )
    return Package(top, folder, {})


def _versions(requirements: list[str]) -> dict[str, str]:
    """Distribution -> version, of those of `requirements` that are installed."""
    found = {}
    for requirement in requirements:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name is not None:
            try:
                found[name[0]] = importlib.metadata.version(name[0])
            except importlib.metadata.PackageNotFoundError:
                continue
    return dict(sorted(found.items()))
