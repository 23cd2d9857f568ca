"""Data sets at addresses that fsspec reads: what a local folder or list of the same files is, wherever they lie."""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import fsspec
import numpy as np
import pytest
import yarl
from fsspec.implementations.memory import MemoryFileSystem
from multidict import CIMultiDict, CIMultiDictProxy
from PIL import Image
from support.pictures import write_pictures
from support.web_server import served

from benchmark import addresses
from benchmark.datasets import Dataset, open_dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.images import load_image
from benchmark.reports.page.pictures import write_originals
from benchmark.running.remeasure import open_measuring
from benchmark.running.run import Request, open_run

FILES = ["b.png", "a b.png", "c.jpg", "c.png"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, two of one stem, and what is none."""
    folder = write_pictures(tmp_path_factory.mktemp("data") / "mine", FILES)
    (folder / "notes.md").write_text("no image")
    (folder / ".hidden.png").write_bytes(b"no image")
    (folder / "some.txt").write_text("# the best\n\n../mine/c.png\na b.png\n")
    digest = hashlib.sha256((folder / "b.png").read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  b.png\n")
    return folder


@pytest.fixture(autouse=True)
def memory(folder: Path) -> Iterator[Any]:
    """fsspec's files in memory: memory://here/mine has what the folder has."""
    fs = fsspec.filesystem("memory")
    fs.put(str(folder), "/here/mine", recursive=True)
    yield fs
    fs.rm("/here", recursive=True)


def told(dataset: Dataset) -> tuple[str, str, list[str]]:
    return dataset.name, dataset.fingerprint, [picture.name for picture in dataset.pictures]


@pytest.mark.parametrize("entry", ["", "/some.txt", "/SHA256SUMS", "@square256", "/some.txt@square256"])
def test_the_same_wherever_it_lies(entry: str, folder: Path) -> None:
    here = told(open_dataset(f"{folder}{entry}"))
    assert told(open_dataset(f"file://{folder}{entry}")) == here
    assert told(open_dataset(f"memory://here/mine{entry}")) == here
    with served(folder.parent) as address:
        slash = "" if entry.startswith("/") else "/"
        assert told(open_dataset(f"{address}/mine{slash}{entry}")) == here


def test_names_that_an_address_must_quote(folder: Path, tmp_path: Path) -> None:
    """A list's entries are paths, on a web server too."""
    odd = ["a#1.png", "a?b.png", "a%41.png"]
    site = tmp_path / "site"
    site.mkdir()
    for number, name in enumerate(odd):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(site / name)
    (site / "list.txt").write_text("".join(f"{name}\n" for name in odd))
    here = told(open_dataset(str(site / "list.txt")))
    with served(tmp_path) as address:
        assert told(open_dataset(f"{address}/site/list.txt")) == here


PAGE = "<a href='a.png'>a</a> <a href='/site/a.png'>a</a> <a href='b%20c.png'>b</a> <a href='thumbs/a.png'>small</a>"


def test_a_page_leads_to_other_folders_too(tmp_path: Path) -> None:
    """Only what lies in the folder is of the data set, whatever else its page links to."""
    for number, name in enumerate(("a.png", "b c.png", "thumbs/a.png", "thumbs/z.png")):
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(path)
    here = told(open_dataset(str(tmp_path / "site")))
    page = tmp_path / "site/index.html"
    page.write_text(f"{PAGE} <a href='thumbs/z.png'>z</a> <a href='../site/thumbs/a.png'>x</a> <a href='?C=N'>sort</a>")
    with served(tmp_path) as address:
        assert told(open_dataset(f"{address}/site/")) == here
        page.write_text(f"{PAGE} <a href='a.png?size=small'>a</a>")
        with pytest.raises(BenchmarkError, match=r"its page leads to .*; a list says which is meant"):
            open_dataset(f"{address}/site/")


def test_a_folder_that_has_changed_is_listed_anew(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """File systems of stores keep what a folder holds; this one does so, too."""
    kept: dict[str, Any] = {}
    listed = type(memory).ls

    def ls(self: Any, path: str, **named: Any) -> Any:
        return kept.setdefault(path, listed(self, path, **named))

    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "ls", ls)
        patch.setattr(type(memory), "invalidate_cache", lambda self, path=None: kept.clear())
        before = open_dataset("memory://here/mine")
        memory.pipe("/here/mine/new.png", memory.cat_file("/here/mine/c.png"))
        assert len(open_dataset("memory://here/mine").pictures) == len(before.pictures) + 1


def test_two_pictures_of_one_name_are_refused(folder: Path, tmp_path: Path) -> None:
    with served(folder.parent) as address:
        (tmp_path / "list.txt").write_text(f"{address}/mine/b.png?id=1\n{address}/mine/b.png?id=2\n")
        with pytest.raises(UsageError, match="two images would be called"):
            open_dataset(str(tmp_path / "list.txt"))


@pytest.mark.parametrize("query", ["sv=1&sig=abc", "X-Amz-Signature=abc", "token=abc"])
def test_secrets_in_an_address_are_refused_and_not_shown(query: str) -> None:
    with pytest.raises(UsageError, match="is a secret") as refused:
        addresses.check_address(f"https://host/list.txt?{query}")
    assert "abc" not in str(refused.value)


def test_a_picture_is_known_by_its_address(folder: Path) -> None:
    pictures = open_dataset("memory://here/mine").pictures
    assert [picture.name for picture in pictures] == ["a b", "b", "c.jpg", "c.png"]
    for picture in pictures:
        assert isinstance(picture.path, str)
        local = folder / Path(picture.path).name
        assert picture.path == f"memory:///here/mine/{local.name}"
        assert picture.sha256 == hashlib.sha256(local.read_bytes()).hexdigest()
        assert np.array_equal(load_image(picture.path), load_image(local))


@pytest.mark.parametrize("bits", [8, 10])
def test_the_depth_of_an_avif_is_told_here_and_elsewhere(bits: int, memory: Any, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, format="AVIF")
    data = bytearray(buffer.getvalue())
    if bits == 10:
        data[data.index(b"av1C") + 6] |= 0x40  # high_bitdepth
    (tmp_path / "a.avif").write_bytes(data)
    memory.pipe("/here/a.avif", bytes(data))
    assert addresses.is_there("memory://here/a.avif")
    assert not addresses.is_there("memory://here/nothing.avif")
    for place in (tmp_path / "a.avif", "memory://here/a.avif"):
        if bits == 8:
            assert load_image(place).shape == (8, 8, 3)
        else:
            with pytest.raises(BenchmarkError, match=r"a\.avif: more than 8 bits"):
                load_image(place)


def test_images_of_other_kinds_at_an_address_are_counted(memory: Any) -> None:
    for name in ("a.heic", "b.HEIC", "c.jfif"):
        memory.pipe(f"/here/mine/{name}", b"content")
    dataset = open_dataset("memory://here/mine")
    assert len(dataset.pictures) == len(FILES)
    assert dataset.notes[0].startswith("3 images of other kinds were passed over (.heic 2, .jfif 1)")


def test_a_list_here_of_addresses_elsewhere(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mixed.txt").write_text(f"memory://here/mine/b.png\n{folder / 'a b.png'}\nfile://{folder}/c.png\n")
    names = [picture.name for picture in open_dataset(str(tmp_path / "mixed.txt")).pictures]
    assert names == ["b", "a b", "c"]


def test_a_file_that_is_not_the_listed_one(memory: Any) -> None:
    memory.copy("/here/mine/c.png", "/here/mine/b.png")
    with pytest.raises(BenchmarkError, match=r"b\.png: its SHA-256 is not the one in memory://here/mine/SHA256SUMS"):
        open_dataset("memory://here/mine/SHA256SUMS")


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_has_the_values_of_a_local_one(workers: int, folder: Path, tmp_path: Path) -> None:
    """Each process reads the images itself."""
    records = []
    with served(folder.parent) as address:
        for number, dataset in enumerate([str(folder), f"{address}/mine/"]):
            output = tmp_path / str(number)
            asked = Request(["jpeg"], True, dataset, ["50"], ["psnr"], output=output, workers=workers if number else 1)
            with open_run(asked) as run:
                trials = {trial.image: trial for trial in run.execute()}
            records.append({name: (t.bytes, t.height, t.width, t.metrics, t.error) for name, t in trials.items()})
        with open_run(replace(asked, dataset="memory://here/mine")) as again:
            assert not again.trials  # the same images, so the same run
    assert records[0] == records[1]
    assert len(records[0]) == len(FILES)
    manifests = [json.loads((tmp_path / name / "run.json").read_text()) for name in "01"]
    assert manifests[0]["dataset"]["fingerprint"] == manifests[1]["dataset"]["fingerprint"]
    assert manifests[1]["dataset"]["pictures"][0]["path"] == f"{address}/mine/a%20b.png"


def test_what_comes_after_a_run_finds_its_originals(folder: Path, memory: Any, tmp_path: Path) -> None:
    asked = Request(
        ["jpeg"], True, "memory://here/mine", ["50"], ["bpp"], output=tmp_path / "run", keep_reconstructions=True
    )
    with open_run(asked) as run:
        list(run.execute())
    with open_measuring(tmp_path / "run", ["psnr"], None, "cpu") as measuring:
        assert all(trial.metrics["psnr"] > 0 for trial in measuring.execute())
    memory.copy("/here/mine/c.png", "/here/mine/b.png")
    memory.rm("/here/mine/c.jpg")
    written = write_originals(run.folder.manifest, {}, tmp_path / "page", 4, lambda items, name: items)
    assert [(original.name, original.problem[:15]) for original in written] == [
        ("a b", ""),
        ("b", "b.png is anothe"),
        ("c.jpg", "the original is"),
        ("c.png", ""),
    ]


def test_a_file_that_goes_costs_its_trial_only(memory: Any, tmp_path: Path) -> None:
    asked = Request(["jpeg"], True, "memory://here/mine", ["50"], ["psnr"], output=tmp_path / "run")
    with open_run(asked) as run:
        memory.rm("/here/mine/b.png")
        errors = {trial.image: trial.error for trial in run.execute()}
    assert errors == {"a b": None, "b": "memory:///here/mine/b.png: no such file", "c.jpg": None, "c.png": None}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("memory://here/nothing", "no such folder or list"),
        ("memory://here/mine/b.png", "an image; a data set at an address is a folder or a list"),
        ("memory://here", "no image lies in this folder"),
        ("zip://x::memory://here/a.zip", "files inside an archive at an address are not read"),
        ("s3://key:secret@bucket/folder", r"s3://…@bucket/folder: a password in an address would be written"),
        ("memory://here/mine@squared257", "no preparation is named 'squared257'"),
        ("file:///nowhere/at/all", "no such folder or list"),
    ],
)
def test_addresses_that_cannot_be_meant(spec: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        open_dataset(spec)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("entry", ["/etc/x.png", "~/x.png", "file:///x.png"])
def test_a_list_elsewhere_names_nothing_here(entry: str, memory: Any) -> None:
    memory.pipe("/here/list.txt", entry.encode())
    with pytest.raises(UsageError, match="a file of this machine only"):
        open_dataset("memory://here/list.txt")


def test_what_reads_an_address_may_be_missing() -> None:
    fsspec.register_implementation("nowhere", "no_such_package.Nowhere", True, errtxt="Install nowherefs to read it")
    with pytest.raises(BenchmarkError, match="nowhere://x: a package is missing: Install nowherefs"):
        open_dataset("nowhere://x")
    with pytest.raises(BenchmarkError, match=r"nosuch://x: .*[Pp]rotocol not known"):
        open_dataset("nosuch://x")


class Failing(MemoryFileSystem):
    """Raises what is left in `errors` before it reads."""

    protocol = "failing"
    errors: ClassVar[list[Exception]] = []

    def cat_file(self, *arguments: Any, **options: Any) -> Any:
        if self.errors:
            raise self.errors.pop()
        return b"data"


def answered(status: int, message: str) -> aiohttp.ClientResponseError:
    asked = aiohttp.RequestInfo(yarl.URL("http://x"), "GET", CIMultiDictProxy(CIMultiDict()))
    return aiohttp.ClientResponseError(asked, (), status=status, message=message)


def test_a_read_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "FIRST_PAUSE", 0.0)
    fsspec.register_implementation("failing", Failing, True)
    Failing.errors = [ConnectionResetError("reset"), TimeoutError()]
    assert addresses.read_bytes("failing://x") == b"data"
    for errors, reason, left in (
        ([ConnectionResetError(f"reset {n}") for n in range(4)], "reset 1", 1),
        ([OSError("again"), PermissionError("not yours")], "not yours", 1),
        ([OSError("again"), answered(403, "Forbidden")], "403, message='Forbidden'", 1),
        ([answered(429, "Slow"), answered(503, "Busy"), TimeoutError("late")], "429, message='Slow'", 0),
    ):
        Failing.errors = list(errors)
        with pytest.raises(BenchmarkError, match=f"failing://x: cannot be read: {reason}"):
            addresses.read_bytes("failing://x")
        assert len(Failing.errors) == left


def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "FIRST_PAUSE", 0.0)
    with served(Path("/")) as address:
        pass
    for place in (f"{address}/list", f"{address}/folder/"):
        with pytest.raises(BenchmarkError, match=f"{place}: cannot be read: Cannot connect to host"):
            open_dataset(place)
    assert not addresses.is_there(f"{address}/x.png")
