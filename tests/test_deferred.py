"""Packages whose `__init__` waits until something of theirs is used."""

import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmark.deferred import defer

Write = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes the package `lazy_pack`, whose `__init__` begins with these lines and counts its runs in `sys.runs`."""
    package = tmp_path / "lazy_pack"
    package.mkdir()
    (package / "part.py").write_text("VALUE = 5\n")
    (package / "other.py").write_text("from lazy_pack import part\nfrom lazy_pack.part import VALUE\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "runs", 0, raising=False)

    def written(lines: str = "") -> None:
        (package / "__init__.py").write_text(
            f"import sys\nsys.runs += 1\n{lines}\n"
            "from lazy_pack import other, part\n__version__ = '7'\nSUM = 1 + part.VALUE\n"
        )

    yield written
    for name in [name for name in sys.modules if name.partition(".")[0] == "lazy_pack"]:
        del sys.modules[name]


def runs() -> int:
    return sys.runs  # type: ignore[attr-defined,no-any-return]


def test_a_module_is_imported_without_the_package_s_init(write: Write) -> None:
    write("")
    defer("lazy_pack")
    part = importlib.import_module("lazy_pack.part")
    assert (part.VALUE, runs()) == (5, 0)
    package = importlib.import_module("lazy_pack")
    assert package.part is part
    assert not hasattr(package, "__wrapped__")
    assert runs() == 0


@pytest.mark.parametrize("name", ["SUM", "other", "__version__"])
def test_whatever_else_is_asked_for_runs_it_once(write: Write, name: str) -> None:
    write("")
    defer("lazy_pack")
    part = importlib.import_module("lazy_pack.part")
    package = importlib.import_module("lazy_pack")
    assert getattr(package, name) == {"SUM": 6, "__version__": "7"}.get(name, sys.modules.get("lazy_pack.other"))
    assert (package.SUM, package.__version__, package.part is part, runs()) == (6, "7", True, 1)
    with pytest.raises(AttributeError, match="module 'lazy_pack' has no attribute 'nothing'"):
        _ = package.nothing
    assert runs() == 1


def test_what_is_known_beforehand_runs_nothing_and_gives_way_to_its_own(write: Write) -> None:
    write("")
    defer("lazy_pack", SUM=3)
    found: dict[str, object] = {}
    exec("from lazy_pack import SUM", found)
    package = importlib.import_module("lazy_pack")
    assert (found["SUM"], package.SUM, runs()) == (3, 3, 0)
    assert package.__version__ == "7"
    assert (package.SUM, runs()) == (6, 1)


def test_from_the_package_import(write: Write) -> None:
    write("")
    defer("lazy_pack")
    found: dict[str, object] = {}
    exec("from lazy_pack import SUM, other", found)
    assert (found["SUM"], found["other"]) == (6, sys.modules["lazy_pack.other"])


def test_what_its_init_raises_is_raised_each_time(write: Write) -> None:
    write("if sys.runs < 3: raise OSError('not yet')")
    defer("lazy_pack")
    package = importlib.import_module("lazy_pack")
    for _ in range(2):
        with pytest.raises(OSError, match="not yet"):
            _ = package.SUM
    assert package.SUM == 6


def test_another_thread_finds_all_of_it(write: Write) -> None:
    write("import time; time.sleep(0.2)")
    defer("lazy_pack")
    package = importlib.import_module("lazy_pack")
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(package.SUM)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, runs()) == ([6] * 3, 1)


def test_what_is_there_absent_or_no_package_stays_as_it_is(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("")
    monkeypatch.setitem(sys.modules, "lazy_pack", None)
    for name in ("lazy_pack", "no_such_package_anywhere", "json"):
        before = sys.modules.get(name)
        defer(name)
        assert sys.modules.get(name) is before
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("lazy_pack.part")
