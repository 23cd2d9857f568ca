import pytest

from benchmark.errors import UsageError
from benchmark.registry import Registry


def registry() -> Registry:
    things = Registry("thing")
    things.add("path", "pathlib:Path", "a path")
    things.add("nowhere", "no_such_module:x", "never imported")
    return things


def test_an_entry_is_imported_when_it_is_asked_for() -> None:
    from pathlib import Path

    assert registry().load("path") is Path
    assert registry().summary("nowhere") == "never imported"
    assert list(registry()) == ["path", "nowhere"]
    assert "path" in registry()
    assert "paths" not in registry()


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="no thing is named 'pth'; did you mean path"):
        registry().load("pth")
    with pytest.raises(UsageError, match="there are path, nowhere"):
        registry().load("zzz")


def test_a_name_stands_for_one_thing() -> None:
    things = registry()
    things.add("path", "pathlib:Path", "again")
    with pytest.raises(ValueError, match="two things are named 'path'"):
        things.add("path", "pathlib:PurePath", "another")
