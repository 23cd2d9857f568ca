"""What the codecs of a run are called."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.fake_codecs import Tiny
from support.pictures import write_pictures

from benchmark.errors import UsageError
from benchmark.reports.outcome import sum_up
from benchmark.results import RunFolder
from benchmark.running.labels import name_codecs, parse_labels
from benchmark.running.run import Request, open_run
from benchmark.running.target import Target


class Mine:
    def encode(self, image: Any, quality: float) -> bytes: ...
    def decode(self, data: bytes) -> Any: ...


def test_a_spec_labels_itself_or_has_a_label() -> None:
    assert name_codecs(["jpeg"], False, [], None) == {"jpeg": "jpeg", "mse": "mse", "hific-small": "hific-small"}
    assert name_codecs(["jpeg:subsampling=4:4:4"], True, ["jpeg:subsampling=4:4:4=Ours"], None) == {
        "Ours": "jpeg:subsampling=4:4:4"
    }
    assert list(name_codecs(["jpeg", "hfd"], True, ["hfd=Ours (2026)"], None)) == ["Ours (2026)", "jpeg"]


def test_objects_are_called_by_their_class_or_by_the_mapping() -> None:
    mine = Mine()
    assert name_codecs([mine], False, [], None) == {"Mine": mine}
    assert name_codecs({"Ours": mine, "jpeg": "jpeg", "other": "webp"}, False, [], None) == {
        "Ours": mine,
        "jpeg": "jpeg",
        "other": "webp",
    }


def test_a_search_for_each_image_keeps_the_label() -> None:
    per_image = Target((0.1,), None, True)
    assert name_codecs(["avif", "jpeg"], True, ["avif=Ours"], per_image) == {"Ours": "bpp:avif", "bpp:jpeg": "bpp:jpeg"}
    match = Target((), "jpeg", True)
    assert name_codecs(["avif"], True, ["avif=Ours"], match) == {"jpeg": "jpeg", "Ours": "match:avif~jpeg"}
    assert name_codecs(["avif"], True, [], Target((), "jpeg", False)) == {"jpeg": "jpeg", "avif": "avif"}
    with pytest.raises(UsageError, match="Ours is an object"):
        name_codecs({"Ours": Mine()}, True, [], per_image)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["jpeg"], "it is SPEC=LABEL"),
        (["=Ours"], "it is SPEC=LABEL"),
        (["jpeg="], "label is empty"),
        (["jpeg=  "], "label is empty"),
        (["jpeg=a|b"], r"'\|' would break a table"),
        (["jpeg=a,b"], "',' would break a table"),
        (["jpeg=a\nb"], r"'\\n' would break a table"),
        (["jpeg= a"], "without spaces around"),
        (["jpeg=" + "x" * 61], "at most 60"),
        (["jpeg=A", "jpeg=B"], "has two labels, 'A' and 'B'"),
        (["jpeg=A", "webp=A"], "two codecs are called 'A'"),
        (["jpeg=webp"], "two codecs are called 'webp'"),
        (["jpeg=avif"], "label 'avif' is another codec's spec"),
        (["jpeg=./a.py:C"], "is another codec's spec"),
        (["avif=Ours"], "this run has no such codec; there are jpeg, webp"),
    ],
)
def test_labels_that_cannot_be(labels: list[str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        name_codecs(["jpeg", "webp"], True, labels, None)
    assert "\n" not in str(caught.value)


def test_of_a_single_codec_the_label_alone_is_enough() -> None:
    assert name_codecs(["jpeg"], True, ["Ours"], None) == {"Ours": "jpeg"}
    assert name_codecs(["avif"], False, ["Ours"], None)["Ours"] == "avif"
    with pytest.raises(UsageError, match="of a single codec LABEL"):
        name_codecs([], True, ["Ours"], None)


def test_the_same_label_twice_is_no_matter() -> None:
    assert parse_labels(["jpeg=A", "jpeg=A"]) == {"jpeg": "A"}


def test_a_mapping_s_labels_are_held_to_the_same() -> None:
    for label, reason in (("", "empty"), ("a|b", "break a table"), ("webp", "another codec's spec"), (3, "a string")):
        with pytest.raises(UsageError, match=reason):
            name_codecs({label: Mine()}, True, [], None)  # type: ignore[dict-item]


# Kept in the run


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    write_pictures(tmp_path / "pictures", ["a.png", "b.png"])
    return Request(
        ["jpeg"],
        only=True,
        dataset=str(tmp_path / "pictures"),
        qualities=["Ours=20,40"],
        metrics=["psnr"],
        output=tmp_path / "run",
        labels=["jpeg=Ours"],
        keep_reconstructions=True,
    )


def do(request: Request) -> RunFolder:
    with open_run(request) as run:
        assert all(trial.error is None for trial in run.execute())
    return run.folder


def test_the_label_is_the_key_everywhere(asked: Request) -> None:
    folder = do(asked)
    record = RunFolder.open(folder.path).manifest.codecs["Ours"]
    assert (record.spec, record.qualities, record.label) == ("jpeg", [20, 40], "Ours")
    assert {trial.codec for trial in folder.trials()} == {"Ours"}
    assert (folder.path / "reconstructions" / "Ours" / "20" / "a.png").is_file()
    frame = sum_up(folder, draw=False).summary
    assert set(frame["codec"]) == {"Ours"}
    unlabelled = do(replace(asked, labels=(), qualities=["20,40"], output=folder.path.parent / "other"))
    for one, other in zip(folder.trials(), unlabelled.trials(), strict=True):
        assert one.model_copy(update={"codec": "jpeg"}) == other


def test_worker_processes_open_the_spec_of_a_label(asked: Request, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    qualities = (1,)\n    def encode(self, image, quality): return image.tobytes()\n"
        "    def decode(self, data):\n        import numpy\n"
        "        return numpy.frombuffer(data, numpy.uint8).reshape(16, 24, 3)\n"
    )
    spec = f"{tmp_path}/mine.py:Mine"
    folder = do(replace(asked, codecs=[spec], labels=[f"{spec}=Ours"], qualities=(), workers=1))
    assert [trial.key for trial in folder.trials()] == [("Ours", 1, None, "a"), ("Ours", 1, None, "b")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": (), "qualities": ["20,40"]}, "it calls jpeg Ours, not jpeg; say --label jpeg=Ours"),
        ({"labels": ["jpeg=Theirs"], "qualities": ["20,40"]}, "it calls jpeg Ours, not Theirs; say --label jpeg=Ours"),
        ({"codecs": ["webp"], "labels": ["webp=Ours"]}, "Ours: jpeg there, webp asked"),
    ],
)
def test_a_run_goes_on_under_its_labels_only(asked: Request, changes: dict[str, Any], reason: str) -> None:
    do(asked)
    with open_run(asked) as run:
        assert run.done == 4
    with pytest.raises(UsageError, match=reason) as caught, open_run(replace(asked, **changes)):
        pass
    assert "codecs:" not in str(caught.value)


def test_a_run_without_labels_does_not_get_them(asked: Request) -> None:
    do(replace(asked, labels=(), qualities=["20,40"]))
    with pytest.raises(UsageError, match="it has jpeg without a label; leave --label jpeg=Ours out"), open_run(asked):
        pass


def test_an_object_in_place_of_a_spec(asked: Request) -> None:
    do(replace(asked, codecs={"Ours": Tiny()}, labels=(), qualities=["2"]))
    manifest = RunFolder.open(asked.output or Path()).manifest
    assert manifest.codecs["Ours"].spec_or("Ours") is None
    with pytest.raises(UsageError, match="Ours: an object there, jpeg asked"), open_run(asked):
        pass
