"""What a metric is stands in its own file alone: no other code names one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.metrics import METRICS, shipped_info

ROOT = Path(__file__).parents[1]
COMMON = {"text"}
"""Names that are words which other code cannot do without."""
SHIPPED = [name for name in METRICS if shipped_info(name) is not None and name not in COMMON]
NAMES = {*SHIPPED, *(name.partition("-")[0] + "-" for name in SHIPPED if "-" in name)}  # "kd-", for `startswith`

ALLOWED = {
    "benchmark/metrics": "the metrics' own files, and which of them a run takes by default",
    "benchmark/protocols.py": "which metrics each paper reports",
    "benchmark/studies/protocol_spread.py": "the protocols of one distance",
    "benchmark/studies/coverage.py": "shapes of the values of certain metrics, which its simulations draw",
    "benchmark/studies/contest.py": "what its members are trained with and compared by",
    "benchmark/studies/contestants.py": "what its members are compared by",
    "benchmark/studies/peers.py": "the numbers that others give, too",
    "benchmark/studies/peer_packages.py": "the numbers that packages give",
    "benchmark/cli/studies.py": "what a large run measures unless it is told",
    "reports/contest.py": "the panels of the contest's figure",
    "benchmark/studies/gate_errors.py": "kinds of metrics that its simulations stand for",
    "benchmark/running/provenance.py": "packages by their names",
    "benchmark/hfd/training": "figures of a training, which uses LPIPS and PSNR as tools",
    "baselines/hific/training.py": "figures of its training",
    "baselines/hific_small/training.py": "figures of its training",
    "baselines/classical.py": "a setting of JPEG 2000",
    "reports/exports/tables.py": "columns of benchmark_xl's files",
}

WORDS = {("reports/page/assets/viewer.js", "flip"): "a way of looking at two images"}
"""Words that mean something else in one file."""


def sources(*suffixes: str) -> list[Path]:
    rooms = ("benchmark", "baselines", "datasets", "reports")
    files = [path for room in rooms for path in (ROOT / room).rglob("*") if path.suffix in suffixes]
    return [
        path
        for path in sorted(files)
        if "vendor" not in path.parts and not any(path.is_relative_to(ROOT / allowed) for allowed in ALLOWED)
    ]


def named_in_python(text: str) -> Iterator[tuple[int, str]]:
    """(line, name); what stands in a codec's `trained_on` is a fact of the codec."""
    tree = ast.parse(text)
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign | ast.AnnAssign) and node.value]
    trained = [node.value for node in assigned if "trained_on" in ast.unparse(node).partition("=")[0]]
    trained += [node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "trained_on"]
    facts = {id(inner) for value in trained if value is not None for inner in ast.walk(value)}
    for node in ast.walk(tree):
        if id(node) in facts:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.partition("@")[0] in NAMES:
            yield node.lineno, node.value


def named_in_script(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        for found in re.findall(r"""["'`]([^"'`]*)["'`]""", line.partition("//")[0]):
            if found in NAMES:
                yield number, found


def test_no_code_but_a_metric_s_own_names_it() -> None:
    found = []
    for path in sources(".py"):
        found += [(str(path.relative_to(ROOT)), *where) for where in named_in_python(path.read_text(encoding="utf-8"))]
    for path in sources(".js", ".j2"):
        found += [(str(path.relative_to(ROOT)), *where) for where in named_in_script(path.read_text(encoding="utf-8"))]
    assert [hit for hit in found if (hit[0], hit[2]) not in WORDS] == []
    assert {(hit[0], hit[2]) for hit in found} >= set(WORDS)


def test_every_exception_is_one() -> None:
    for allowed in ALLOWED:
        place = ROOT / allowed
        files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
        assert any(list(named_in_python(file.read_text(encoding="utf-8"))) for file in files), allowed


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ('x = metric == "ms_ssim"', ["ms_ssim"]),
        ('metric.startswith(("kd-", "kid"))', ["kd-", "kid"]),
        ('y = {"lpips-vgg": 1}["fid@whole"]', ["lpips-vgg", "fid@whole"]),
        ('self.trained_on = ("lpips",) if one_step else ()', []),
        ('"""PSNR, psnr and fid in a sentence"""', []),
    ],
)
def test_names_are_found(code: str, named: list[str]) -> None:
    assert sorted(name for _, name in named_in_python(code)) == sorted(named)
