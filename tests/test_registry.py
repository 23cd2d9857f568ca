from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from benchmark.errors import UsageError
from benchmark.registry import Registry, Setting, parse_spec, settings_of, typed_settings


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


def make(
    device: str,
    size: Annotated[int, Field(ge=1, le=9, description="how large")] = 3,
    kind: Literal["a", "b", "c"] = "a",
    share: Annotated[float, Field(gt=0)] | None = None,
    weights: Annotated[Path | None, Field(description="a file of weights")] = None,
    fast: bool = False,
    **others: Any,
) -> dict[str, Any]:
    return {"size": size, "kind": kind, "share": share, "weights": weights, "fast": fast, **others}


def other(depth: Annotated[int, Field(ge=0, description="how deep")] = 0) -> None:
    """A factory that `make` hands settings on to."""


make.further = lambda: {"kind=b": other}  # type: ignore[attr-defined]


def test_settings_are_listed_as_they_are_obeyed() -> None:
    assert settings_of(make) == [
        Setting("size", "a whole number from 1 to 9", "3", "how large"),
        Setting("kind", "a, b or c", "a", ""),
        Setting("share", "a number above 0", "", ""),
        Setting("weights", "a file", "", "a file of weights"),
        Setting("fast", "true or false", "False", ""),
        Setting("depth", "a whole number from 0 on", "0", "kind=b: how deep"),
    ]


def test_settings_become_what_they_are_annotated_with() -> None:
    settings = {"size": "9", "share": "0.5", "weights": "a/b", "fast": "true", "else": "x"}
    made = make(**typed_settings(make, settings, {"device": "cpu"}, "thing", "make"))
    assert made == {"size": 9, "kind": "a", "share": 0.5, "weights": Path("a/b"), "fast": True, "else": "x"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("make:size=0", "thing make: size is a whole number from 1 to 9, not '0'"),
        ("make:size=2.5", "thing make: size is a whole number from 1 to 9, not '2.5'"),
        ("make:kind=d", "thing make: kind is a, b or c, not 'd'"),
        ("make:share=0", "thing make: share is a number above 0, not '0'"),
        ("make:share=nan", "thing make: share is a number above 0, not 'nan'"),
        ("make:fast=maybe", "thing make: fast is true or false, not 'maybe'"),
    ],
)
def test_wrong_values_say_what_is_allowed(spec: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        typed_settings(make, parse_spec(spec).settings, {"device": "cpu"}, "thing", "make")
    assert str(caught.value) == words


def test_a_lacking_setting_is_shown_as_it_is_written() -> None:
    def images(n: int) -> list[int]:
        return [n]

    with pytest.raises(UsageError, match=r"^data set \./my\.py:images needs the setting n: \./my\.py:images:n=…$"):
        typed_settings(images, {}, {}, "data set", "./my.py:images")


@pytest.mark.parametrize(
    ("text", "name", "place", "settings"),
    [
        ("./a.py:C@python=/x/bin/python", "./a.py:C", {"python": "/x/bin/python"}, {}),
        ("./a.py:C@python=/x/python:n=3", "./a.py:C", {"python": "/x/python"}, {"n": "3"}),
        ("./a.py:C@python=/my envs/python", "./a.py:C", {"python": "/my envs/python"}, {}),
        ("./a.py:C@python=p,timeout=5:n=3,m=4:4", "./a.py:C", {"python": "p", "timeout": "5"}, {"n": "3", "m": "4:4"}),
        (
            '/a@b/c.py:C@python="docker run -i img:1,2 python":w="a,b"',
            "/a@b/c.py:C",
            {"python": "docker run -i img:1,2 python"},
            {"w": "a,b"},
        ),
        (
            "./a.py:C@python=\"'/a b/python' -X utf8\",timeout=5",
            "./a.py:C",
            {"python": "'/a b/python' -X utf8", "timeout": "5"},
            {},
        ),
        ("./a.py:C:n=a@python", "./a.py:C", {}, {"n": "a@python"}),
    ],
)
def test_a_codecs_file_may_name_its_interpreter(
    text: str, name: str, place: dict[str, str], settings: dict[str, str]
) -> None:
    spec = parse_spec(text)
    assert (spec.name, spec.place, spec.settings) == (name, place, settings)
    assert spec.file is not None


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("./a.py:C@python=", "codec", "behind @ stands python=COMMAND"),
        ("./a.py:C@", "codec", "behind @ stands python=COMMAND"),
        ("./a.py:C@timeout=5", "codec", "behind @ stands python=COMMAND"),
        ("./a.py:C@pyton=/x", "codec", "behind @ there is no 'pyton'; there are python, timeout"),
        ("./a.py:C@/x/python", "codec", "behind @: '/x/python' is not key=value"),
        ("./a.py:C@python=a,python=b", "codec", "'python' is set twice"),
        ("./a.py:C@python=/x:", "codec", "nothing follows the colon"),
        ('./a.py:C@python="a', "codec", "a spec is name"),
        ("jpeg@python=/x", "codec", "a spec is name"),
        ("./a.py:M@python=/x", "metric", "@python is for codecs; a metric runs in this interpreter"),
    ],
)
def test_an_interpreter_that_cannot_be_meant_is_refused(text: str, kind: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse_spec(text, kind)


def test_an_annotation_that_names_what_is_not_there_leaves_the_others_theirs() -> None:
    def make(count: int = 1, share: "Share" = 0.5, flag: bool = False) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    settings = parse_spec("make:count=3,share=0.25,flag=yes").settings
    assert typed_settings(make, settings, {}, "thing", "make") == {"count": 3, "share": "0.25", "flag": True}
    with pytest.raises(UsageError, match="count"):
        typed_settings(make, {"count": "x"}, {}, "thing", "make")
