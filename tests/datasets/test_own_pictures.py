"""Folders, patterns and lists of one's own, their preparation, and well-known pictures among them."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from benchmark.datasets import coco, kodak, open_dataset
from PIL import Image

from benchmark.errors import BenchmarkError, UsageError
from benchmark.preparations import check_preparation


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))


def write(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 6, 3), shade, np.uint8)).save(path)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names(spec: str) -> list[str]:
    return [picture.name for picture in open_dataset(spec).pictures]


def test_a_pattern() -> None:
    for file in ("x/b.png", "x/a.png", "x/y/a.png", "x/notes.txt", "z/c.png"):
        write(Path(file)) if file.endswith("png") else Path(file).write_text("no picture")
    assert names("x/*.png") == ["a", "b"]
    assert names("x/**/*.png") == ["a.png", "b", "y/a.png"]
    assert names("*/[bc].png") == ["b", "c"]
    assert open_dataset("x/*").name == "x/*"
    with pytest.raises(UsageError, match="no picture has such a path"):
        open_dataset("x/*.jpg")


def test_a_list_keeps_its_order_and_its_own_folder() -> None:
    for file in ("x/a.png", "x/b.png", "c.png"):
        write(Path(file), len(file))
    Path("x/mine.txt").write_text("# the best ones\n\nb.png\n../c.png\na.png\n")
    dataset = open_dataset("x/mine.txt")
    assert dataset.name == "mine"
    assert [picture.name for picture in dataset.pictures] == ["b", "c", "a"]
    assert dataset.fingerprint != open_dataset("x").fingerprint


def test_a_list_with_hashes_holds_the_files_against_them() -> None:
    path = write(Path("x/a.png"))
    Path("x/SHA256SUMS").write_text(f"{sha256(path)}  a.png\n")
    assert names("x/SHA256SUMS") == ["a"]
    write(path, 9)
    with pytest.raises(BenchmarkError, match=r"a\.png: its SHA-256 is not the one in x/SHA256SUMS"):
        open_dataset("x/SHA256SUMS")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a.png\nnowhere.png\n", "line 2: there is no file nowhere.png"),
        ("a.png\na.png\n", "line 2: a.png a second time"),
        ("# nothing\n", "lists no picture"),
        (".\n", "line 1: there is no file"),
    ],
)
def test_lists_that_cannot_be_meant(text: str, reason: str) -> None:
    write(Path("a.png"))
    Path("list.txt").write_text(text)
    with pytest.raises(UsageError, match=reason):
        open_dataset("list.txt")


def test_a_list_that_is_no_text() -> None:
    Path("list.bin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BenchmarkError, match="cannot be read as a list"):
        open_dataset("list.bin")


# Preparation


def test_a_preparation_is_part_of_the_fingerprint_and_of_the_name() -> None:
    write(Path("x/a.png"))
    plain, prepared = open_dataset("x"), open_dataset("x@square256")
    assert (prepared.name, prepared.preparation) == ("x@square256", "square256")
    assert prepared.fingerprint != plain.fingerprint
    assert prepared.pictures == plain.pictures
    with pytest.raises(UsageError, match=r"no preparation is named 'squared256'; there are @squareN: "):
        open_dataset("x@squared256")
    write(Path("y@square256/a.png"))
    assert open_dataset("y@square256").preparation == "none"  # a folder of that name


def test_what_is_prepared_already() -> None:
    check_preparation(coco.PREPARATION)
    with pytest.raises(BenchmarkError, match="fetch coco-val2017"):
        open_dataset("coco-val2017@square256")


# Well-known pictures


@pytest.fixture
def little_kodak(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two stand-ins for Kodak, under names of its own."""
    files = [write(Path("mine/first.png"), 1), write(Path("mine/second.png"), 2)]
    table = {f"kodim0{n}.png": (path.stat().st_size, sha256(path)) for n, path in ((2, files[0]), (1, files[1]))}
    monkeypatch.setattr(kodak, "FILES", dict(sorted(table.items())))
    return Path("mine")


def test_kodak_is_known_whatever_its_files_are_called(little_kodak: Path) -> None:
    dataset = open_dataset("mine")
    assert dataset.name == "kodak"
    assert [(picture.name, picture.path.name) for picture in dataset.pictures] == [
        ("kodim01", "second.png"),
        ("kodim02", "first.png"),
    ]
    assert dataset.notes == ("by their hashes, these are the pictures of kodak",)
    kodak.folder().mkdir(parents=True)
    shutil.copy("mine/first.png", kodak.folder() / "kodim02.png")
    shutil.copy("mine/second.png", kodak.folder() / "kodim01.png")
    assert open_dataset("kodak").fingerprint == dataset.fingerprint


def test_some_of_kodak_among_others_is_said(little_kodak: Path) -> None:
    write(little_kodak / "third.png", 3)
    dataset = open_dataset("mine")
    assert dataset.name == "mine"
    assert dataset.notes == ("by their hashes, 2 of these 3 pictures are of kodak",)
    (little_kodak / "first.png").unlink()
    assert open_dataset("mine").notes == ("by their hashes, 1 of these 2 pictures are of kodak",)


def test_prepared_in_another_way_is_another_data_set(little_kodak: Path) -> None:
    dataset = open_dataset("mine@square256")
    assert dataset.name == "mine@square256"
    assert dataset.notes == (
        "by their hashes, these are the pictures of kodak, prepared in another way: square256 here, none there",
    )


def test_fetched_archives_are_known_by_the_hashes_of_their_pictures(tmp_path: Path) -> None:
    path = write(Path("val/000.png"), 5)
    coco.COCO_VAL2017.place.mkdir(parents=True)
    (coco.COCO_VAL2017.place / "SHA256SUMS").write_text(f"{sha256(path)}  000000000139.png\n")
    assert open_dataset("val").notes == (
        "by their hashes, these are the pictures of coco-val2017, prepared in another way: none here, square256 there",
    )
    prepared = open_dataset("val@square256")
    assert (prepared.name, prepared.pictures[0].name) == ("coco-val2017", "000000000139")


def test_pictures_that_nobody_knows_have_no_note() -> None:
    write(Path("x/a.png"), 77)
    assert open_dataset("x").notes == ()
