"""Folders, patterns and lists of one's own, their preparation, and well-known images among them."""

import errno
import glob
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.analysis.summary import write_summary
from benchmark.datasets import DATASETS, coco, kodak, open_dataset, recognition
from benchmark.datasets.archives import Archived
from benchmark.datasets.pictures import _fitting
from benchmark.errors import BenchmarkError, UsageError
from benchmark.preparations import check_preparation
from benchmark.results import RunFolder
from benchmark.running.remeasure import open_measuring
from benchmark.running.run import Request, open_run

ROOT = Path(__file__).parents[2]


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
        write(Path(file)) if file.endswith("png") else Path(file).write_text("no image")
    assert names("x/*.png") == ["a", "b"]
    assert names("x/**/*.png") == ["a.png", "b", "y/a.png"]
    assert names("*/[bc].png") == ["b", "c"]
    assert open_dataset("x/*").name == "x/*"
    with pytest.raises(UsageError, match="no image has such a path"):
        open_dataset("x/*.jpg")


def test_a_folder_with_pictures_below_it_hints_at_a_pattern() -> None:
    for file in ("release/1/a.png", "release/2/b.png", "[odd]/1/a.png", "[odd]/1/b.jpg"):
        write(Path(file), len(file))
    with pytest.raises(UsageError, match=r"no image lies in this folder .*; did you mean 'release/\*\*/\*\.png'\?"):
        open_dataset("release")
    with pytest.raises(UsageError) as caught:
        open_dataset("[odd]")
    hint = str(caught.value).partition("did you mean ")[2].strip("?'")
    assert names(hint) == ["a", "b"]
    Path("empty/x").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"no image lies in this folder \([^)]*\)$"):
        open_dataset("empty")


PARTS = ("datasets", "reports", "baselines")


@pytest.mark.long
@pytest.mark.parametrize("name", [PARTS[0], *(pytest.param(name, marks=pytest.mark.slow) for name in PARTS[1:])])
def test_a_folder_called_as_a_part_of_the_suite(name: str, tmp_path: Path) -> None:
    """All of them lie in the working folder; the images are in one."""
    for part in PARTS:
        Path(part).mkdir()
    write(Path(name, "a.png"))
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", "run", "--only", "--codec", "jpeg", "--quality", "50", "--metric", "psnr",
         "--workers", "1", "--dataset", name, "-o", "run"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [picture.name for picture in RunFolder.open(Path("run")).manifest.dataset.pictures] == ["a"]


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
        ("# nothing\n", "lists no image"),
        (".\n", "line 1: there is no file"),
    ],
)
def test_lists_that_cannot_be_meant(text: str, reason: str) -> None:
    write(Path("a.png"))
    Path("list.txt").write_text(text)
    with pytest.raises(UsageError, match=reason):
        open_dataset("list.txt")


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfa.png\r\nx\\b.png\r\n",
        "\ufeffa.png\r\nx\\b.png\r\n".encode("utf-16-le"),
        "\ufeffa.png\r\nx/b.png\r\n".encode("utf-16-be"),
        b"a.png\rx/b.png",
        b"\xef\xbb\xbf# mine\r\n\r\na.png\r\nx/b.png",
    ],
)
def test_lists_from_windows(data: bytes) -> None:
    write(Path("a.png"), 1)
    write(Path("x/b.png"), 2)
    Path("list.txt").write_bytes(data)
    assert names("list.txt") == ["a", "b"]


@pytest.mark.parametrize(
    "line",
    [
        "{upper}  a b.png",
        "{hash} *a b.png",
        "{hash} a b.png",
        "SHA256 (a b.png) = {hash}",
        "SHA256 (a b.png) = {upper}\r",
    ],
)
def test_hashes_in_capitals_and_tagged(line: str) -> None:
    path = write(Path("a b.png"))
    digest = sha256(path)
    Path("SUMS").write_text(line.format(hash=digest, upper=digest.upper()) + "\n")
    assert names("SUMS") == ["a b"]
    write(path, 9)
    with pytest.raises(BenchmarkError, match="its SHA-256 is not the one in SUMS"):
        open_dataset("SUMS")


def test_a_backslash_in_a_name_is_no_separator_where_there_is_such_a_file() -> None:
    write(Path("x\\b.png"))
    Path("list.txt").write_text("x\\b.png\n")
    assert open_dataset("list.txt").pictures[0].path == Path("x\\b.png")


def test_a_list_that_is_no_text() -> None:
    Path("list.bin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BenchmarkError, match="cannot be read as a list"):
        open_dataset("list.bin")


# Links


@pytest.fixture
def loop() -> Path:
    """A folder with two images and a link to itself."""
    write(Path("loop/a.png"), 1)
    write(Path("loop/b.png"), 2)
    Path("loop/self").symlink_to(".")
    return Path("loop")


def test_a_pattern_counts_each_file_once(loop: Path) -> None:
    dataset = open_dataset("loop/**/*.png")
    assert [picture.path for picture in dataset.pictures] == [loop / "a.png", loop / "b.png"]
    assert dataset.fingerprint == open_dataset("loop").fingerprint
    assert names("loop/*/*.png") == ["a", "b"]
    (loop / "twice").symlink_to(loop.resolve())  # 2 to the power of 40 paths, if one goes round
    (loop / "circle").symlink_to("circle")
    assert open_dataset("loop/**/*.png") == dataset


def test_a_folder_below_a_pattern_that_cannot_be_read(loop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (loop / "secret").mkdir()
    iterdir = Path.iterdir

    def refused(self: Path) -> Iterator[Path]:
        if self.name == "secret":
            raise PermissionError(errno.EACCES, "Permission denied")
        return iterdir(self)

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(BenchmarkError, match="loop/secret: cannot be read: Permission denied"):
        open_dataset("loop/**/*.png")


def test_a_file_that_two_folders_lead_to_counts_once_and_it_is_said() -> None:
    write(Path("x/one/a.png"))
    Path("x/two").symlink_to("one")
    dataset = open_dataset("x/**/*.png")
    assert [picture.path for picture in dataset.pictures] == [Path("x/one/a.png")]
    assert dataset.notes == ("1 more paths lead to the same files by links; each file counts once",)


@pytest.mark.parametrize(
    "pattern",
    ["**/*.png", "**", "./**/*.png", "x/**", "x/**/**/*.png", "**/y/*", "*/**/a.png", "x**/*.png", "x/y/../**/*.png",
     "[[]odd]/**/*.png", "**/.hidden/*.png", "x/**/link/*.png", "nowhere/**/*.png", "x/a.png/**/*.png"],
)  # fmt: skip
@pytest.mark.parametrize("absolute", [False, True])
def test_patterns_fit_as_those_of_glob(pattern: str, absolute: bool) -> None:
    for file in ("a.png", "x/a.png", "x/y/a.png", "x/y/b.png", "[odd]/z/c.png", ".hidden/d.png", "other/e.png"):
        write(Path(file))
    Path("x/link").symlink_to("../other")
    pattern = str(Path.cwd() / pattern) if absolute else pattern
    expected = {Path(path) for path in glob.glob(pattern, recursive=True) if path.endswith("png")}  # noqa: PTH207
    assert {path for path in _fitting(Path(pattern)) if path.suffix == ".png"} == expected


def test_a_pattern_takes_the_files_own_path(loop: Path) -> None:
    (loop / "aa").mkdir()
    (loop / "aa/link.png").symlink_to("../b.png")
    (loop / "0.png").symlink_to("a.png")
    dataset = open_dataset("loop/**/*.png")
    assert [picture.path for picture in dataset.pictures] == [loop / "a.png", loop / "b.png"]
    assert open_dataset("loop/aa/*.png").pictures[0].path == loop / "aa/link.png"  # the only way to it
    assert open_dataset("loop/?.png").notes == ("1 more paths lead to the same files by links; each file counts once",)


def test_files_of_equal_content_are_pictures_of_their_own() -> None:
    write(Path("x/a.png"))
    write(Path("x/b.png"))
    assert names("x/*.png") == ["a", "b"]
    assert open_dataset("x/*.png").notes == ("x/*.png: 1 of 2 images is the same as others",)


def test_a_list_that_leads_to_one_file_twice(loop: Path) -> None:
    Path("list.txt").write_text("loop/a.png\nloop/self/a.png\n")
    with pytest.raises(UsageError, match=r"line 2: loop/self/a\.png a second time"):
        open_dataset("list.txt")


@pytest.mark.parametrize("spec", ["x", "x/*.png", "*/*", "x@square256"])
def test_a_link_that_leads_nowhere_is_an_error(spec: str) -> None:
    write(Path("x/a.png"))
    Path("x/b.png").symlink_to(".git/annex/objects/gone")
    with pytest.raises(BenchmarkError, match=r"x/b\.png: a link to \.git/annex/objects/gone, which is not there"):
        open_dataset(spec)
    Path("x/c.png").symlink_to("c.png")  # in a circle
    with pytest.raises(BenchmarkError, match=r"x/[bc]\.png and 1 more: a link to"):
        open_dataset(spec)


def test_links_that_lead_somewhere_are_pictures() -> None:
    write(Path("objects/1.png"))
    Path("x/folder").mkdir(parents=True)
    Path("x/a.png").symlink_to("../objects/1.png")
    Path("x/folder.png").symlink_to("folder")
    Path("x/notes.txt").symlink_to("gone")
    assert names("x") == names("x/*") == ["a"]


# Names that are no UTF-8

LATIN1 = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize("spec", ["x", "x/*.png", "list.txt", LATIN1, f"{LATIN1}/*"])
def test_file_names_in_latin_1(spec: str) -> None:
    for folder in ("x", LATIN1):
        write(Path(folder, f"{LATIN1}.png"), 1)
        write(Path(folder, "b.png"), 2)
    Path("list.txt").write_bytes(b"x/b.png\nx/caf\xe9.png\n")
    dataset = open_dataset(spec)
    assert {picture.name for picture in dataset.pictures} == {"b", "caf\\xe9"}
    assert len(dataset.fingerprint) == 16
    (dataset.name + "".join(dataset.notes)).encode()


def test_names_that_are_the_same_when_written_out() -> None:
    write(Path("x", f"{LATIN1}.png"))
    write(Path("x/caf\\xe9.png"))
    with pytest.raises(UsageError, match=r"two images would be called caf\\xe9\.png; rename"):
        open_dataset("x")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_and_what_follows_over_names_in_latin_1(workers: int, tmp_path: Path) -> None:
    write(Path("x", f"{LATIN1}.png"))
    Path("x", f"{LATIN1}2.png").write_bytes(b"no image")
    request = Request(
        ["jpeg"], only=True, dataset=f"x/{LATIN1}*", qualities=["50"], metrics=["psnr"], output=Path("run"),
        workers=workers, keep_reconstructions=True, command=["run", f"x/{LATIN1}*"],
    )  # fmt: skip
    with open_run(request) as ready:
        trials = {trial.image: trial.error for trial in ready.execute()}
    assert trials["caf\\xe9"] is None
    assert "caf\\xe92.png: not an image" in str(trials["caf\\xe92"])
    with open_measuring(Path("run"), ["lpips"], None, "cpu") as measuring:
        assert [trial.image for trial in measuring.execute()] == ["caf\\xe9"]
    write_summary(RunFolder.open(Path("run")))


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


# Well-known images


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
    assert dataset.notes == ("by their hashes, these are the images of kodak",)
    kodak.folder().mkdir(parents=True)
    shutil.copy("mine/first.png", kodak.folder() / "kodim02.png")
    shutil.copy("mine/second.png", kodak.folder() / "kodim01.png")
    assert open_dataset("kodak").fingerprint == dataset.fingerprint


def test_some_of_kodak_among_others_is_said(little_kodak: Path) -> None:
    write(little_kodak / "third.png", 3)
    dataset = open_dataset("mine")
    assert dataset.name == "mine"
    assert dataset.notes == ("by their hashes, 2 of these 3 images are of kodak",)
    (little_kodak / "first.png").unlink()
    assert open_dataset("mine").notes == ("by their hashes, 1 of these 2 images are of kodak",)


def test_prepared_in_another_way_is_another_data_set(little_kodak: Path) -> None:
    dataset = open_dataset("mine@square256")
    assert dataset.name == "mine@square256"
    assert dataset.notes == (
        "by their hashes, these are the images of kodak, prepared in another way: square256 here, none there",
    )


def test_fetched_archives_are_known_by_the_hashes_of_their_pictures(tmp_path: Path) -> None:
    path = write(Path("val/000.png"), 5)
    coco.COCO_VAL2017.place.mkdir(parents=True)
    (coco.COCO_VAL2017.place / "SHA256SUMS").write_text(f"{sha256(path)}  000000000139.png\n")
    assert open_dataset("val").notes == (
        "by their hashes, these are the images of coco-val2017, prepared in another way: none here, square256 there",
    )
    prepared = open_dataset("val@square256")
    assert (prepared.name, prepared.pictures[0].name) == ("coco-val2017", "000000000139")


def test_of_sets_that_share_images_the_one_that_it_is_counts() -> None:
    """Val2014 is in two of them, and so may a user's folder be; two images of one content count twice."""
    one, two, three = (write(Path(f"shared/{number}.png"), number) for number in (5, 6, 7))
    shutil.copy(two, "shared/8.png")
    listed = [f"{sha256(path)}  {number:012}.png\n" for number, path in enumerate((one, two, three, two))]
    for dataset, lines in ((coco.COCO30K_VAL2014, listed[1:2]), (coco.COCO30K_TACO, listed)):
        dataset.place.mkdir(parents=True)
        (dataset.place / "SHA256SUMS").write_text("".join(lines))
    found = open_dataset("shared")
    assert (found.name, len(found.pictures)) == ("coco30k-taco", 4)
    assert found.notes[-1] == "by their hashes, these are the images of coco30k-taco"
    three.unlink()
    assert open_dataset("shared").notes[-1] == "by their hashes, 2 of these 3 images are of coco30k-taco"


def test_all_sets_of_archives_are_known() -> None:
    loaded = [getattr(DATASETS.load(name), "__self__", None) for name in DATASETS.shipped()]
    assert {id(one) for one in loaded if isinstance(one, Archived)} == {id(one) for one in recognition.ARCHIVED}


def test_pictures_that_nobody_knows_have_no_note() -> None:
    write(Path("x/a.png"), 77)
    assert open_dataset("x").notes == ()


def test_what_runs_and_pages_hold_is_no_original() -> None:
    for shade, file in enumerate(
        (
            "d/a.png",
            "d/run/curve.png",
            "d/run/reconstructions/jpeg/10/a.png",
            "d/page/pictures/a.png",
            "d/b.png",
            "d/notes/c.png",
        )
    ):
        write(Path(file), shade)
    for file in ("d/run/run.json", "d/run/trials.jsonl", "d/page/.hfd-benchmark-page", "d/notes/run.json"):
        Path(file).touch()
    for pattern in ("d/**/*.png", str(Path("d/**/*.png").absolute())):
        dataset = open_dataset(pattern)
        assert [Path(str(image.path)).name for image in dataset.pictures] == ["a.png", "b.png", "c.png"]
        folders = Path(pattern).parents[1] / "page"
        left_out = f"3 images that belong to runs or pages of the suite ({folders} and 1 more) left out"
        assert dataset.notes == (left_out,)
    with pytest.raises(
        UsageError, match=r"only 2 images that belong to a run of the suite \(d/run\); a folder in it may"
    ):
        open_dataset("d/r*/**/*.png")
    with pytest.raises(UsageError, match=r"only 2 images that belong to a run"):
        open_dataset("d/run/**/*.png")
    assert names("d/run/reconstructions/**/*.png") == ["a"]  # who names it means it
    assert names("d/run/reconstructions/jpeg/10") == ["a"]
    for folder, what in (("d/run", "run"), ("d/page", "page")):
        write(Path(folder, "curve.png"))
        for place in (folder, Path(folder).absolute().as_uri()):
            with pytest.raises(UsageError, match=f"is a {what} of the suite; what lies there are its figures"):
                open_dataset(place)


def test_folders_and_pipes_that_are_called_like_images_are_named() -> None:
    write(Path("d/a.png"))
    Path("d/b.png").mkdir()
    assert open_dataset("d").notes == ("d/b.png is no file, and was passed over",)
    os.mkfifo("d/c.jpg")
    for place in ("d", "d/*"):
        assert names(place) == ["a"]
        assert open_dataset(place).notes == ("d/b.png and 1 more are no files, and were passed over",)
