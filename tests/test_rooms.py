"""What may know what: no import, in a function or not, goes from a room to one that it must not know."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.checkout
FOLDERS = {"benchmark": "benchmark"} | {name: f"benchmark.{name}" for name in ("datasets", "baselines", "reports")}
GROUND = {path.stem for path in (ROOT / "benchmark").glob("*.py")} - {"__init__", "__main__", "api"} | {"image_files"}
"""Modules beside the rooms, such as `errors` and `codecs`, and what `images` knows of files: below them all."""
DOERS, READERS, TOP = {"running", "audit"}, {"analysis", "reports"}, {"cli", "api", "studies"}
CODERS = {"hfd", "baselines"}
ROOMS = {"metrics", "datasets", "training", "statistics"} | CODERS | DOERS | READERS | TOP

NEVER = {
    **dict.fromkeys(GROUND, ROOMS),
    "statistics": ROOMS | GROUND,
    "metrics": (ROOMS | {"codecs"}) - {"statistics"},
    "datasets": ROOMS | {"codecs"},
    "training": ROOMS - {"statistics"},
    "hfd": {"baselines", "datasets"} | DOERS | READERS | TOP,
    "baselines": {"datasets"} | DOERS | READERS | TOP,
    "running": {"audit", "reports"} | TOP,
    "analysis": {"datasets", "training", "reports"} | CODERS | DOERS | TOP,
    "reports": {"datasets", "training", "codecs"} | CODERS | DOERS | TOP,
    "audit": READERS | TOP,
    "studies": {"cli", "api"},
}
"""Room -> rooms that it must not import. What stands above all of them, `cli` and `api`, may know every room."""

EXCEPTIONS: set[tuple[str, str]] = set()
"""Imports that break a rule until their module is moved: (who, whom)."""


def modules() -> dict[str, Path]:
    found = {}
    for folder, package in FOLDERS.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join([package, *parts]).removesuffix(".__init__")] = path
    return found


def imports_of(source: str, known: dict[str, Path]) -> Iterator[str]:
    """The modules of ours that a file imports; `from a import b` imports a.b if that is a module, else a."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "an import relative to its module"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            while name and name not in known:
                name = name.rpartition(".")[0]
            if name:
                yield name


def breaches(known: dict[str, Path]) -> set[tuple[str, str]]:
    def room(module: str) -> str:
        return module.split(".")[1] if "." in module else ""

    return {
        (module, imported)
        for module, path in known.items()
        for imported in imports_of(path.read_text(encoding="utf-8"), known)
        if room(imported) != room(module) and room(imported) in NEVER.get(room(module), ())
    }


def test_no_room_knows_what_it_must_not() -> None:
    """An exception that nothing needs is taken off the list."""
    assert breaches(modules()) == EXCEPTIONS


def test_every_room_has_a_rule() -> None:
    rooms = {module.split(".")[1] for module in modules() if "." in module}
    assert rooms - {"__main__"} == ROOMS | GROUND


def test_a_breach_is_found_wherever_it_stands(tmp_path: Path) -> None:
    known = {name: tmp_path / name for name in ("benchmark.metrics.x", "benchmark.codecs", "benchmark.reports.page.a")}
    for name in known:
        (tmp_path / name).write_text("")
    known["benchmark.metrics.x"].write_text(
        "import benchmark.codecs\nif TYPE_CHECKING:\n    from benchmark.reports.page import a\n"
        "def f():\n    from benchmark.reports.page.a import g\n    import benchmark.images\n"
    )
    assert breaches(known) == {
        ("benchmark.metrics.x", "benchmark.codecs"),
        ("benchmark.metrics.x", "benchmark.reports.page.a"),
    }
