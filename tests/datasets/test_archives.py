"""Data sets out of ZIP archives: fetched from a server of our own or taken from a folder, unpacked with care."""

import hashlib
import io
import random
import re
import shutil
import stat
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark import fetching
from benchmark.datasets import archives, clic2020, coco, div2k
from benchmark.datasets.archives import Archive, Archived, unpack_pictures
from benchmark.errors import BenchmarkError, UsageError


def png(shade: int, side: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(shade).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as written:
        for name, data in members.items():
            written.writestr(zipfile.ZipInfo(name), data)
    return path


def archive_of(path: Path, url: str = "http://127.0.0.1:1/", folder: str = "") -> Archive:
    data = path.read_bytes()
    return Archive(url + path.name, len(data), hashlib.sha256(data).hexdigest(), folder)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two archives."""
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetching, "FIRST_PAUSE", 0.001)
    write_zip(tmp_path / "source" / "one.zip", {"in/b.png": png(1), "in/a.png": png(2), "in/read.me": b"no"})
    write_zip(tmp_path / "source" / "two.zip", {"c.png": png(3), "__MACOSX/._c.png": b"fork", ".d.png": b"hidden"})
    return tmp_path / "source"


def data_set(source: Path, url: str = "http://127.0.0.1:1/") -> Archived:
    return Archived(
        "two-archives",
        (archive_of(source / "one.zip", url, "first"), archive_of(source / "two.zip", url, "second")),
        3,
    )


def test_taken_from_a_folder_or_a_file_and_opened(source: Path) -> None:
    known = data_set(source)
    with pytest.raises(BenchmarkError, match=r"fetch two-archives.*--from FOLDER.*one\.zip and two\.zip"):
        known.open()
    assert known.sums() == {}
    assert known.fetch(source / "one.zip") == known.place  # the other lies beside it
    dataset = known.open()
    assert [picture.name for picture in dataset.pictures] == ["a", "b", "c"]
    assert [picture.path.read_bytes() for picture in dataset.pictures] == [png(2), png(1), png(3)]
    assert (source / "one.zip").is_file()
    assert sorted(path.name for path in known.place.parent.iterdir()) == ["two-archives"]
    before = dataset.pictures[0].path.stat().st_mtime_ns
    known.fetch(Path("/nowhere"))  # all is there: nothing is looked for
    assert dataset.pictures[0].path.stat().st_mtime_ns == before


def test_a_picture_that_was_damaged_is_noticed_and_mended(source: Path) -> None:
    known = data_set(source)
    known.fetch(source)
    (known.place / "first" / "a.png").write_bytes(png(9))
    with pytest.raises(BenchmarkError, match=r"first/a\.png in .* differs"):
        known.open()
    known.fetch(source)
    assert len(known.open().pictures) == 3


def test_another_archive_or_none_is_refused_and_nothing_appears(source: Path) -> None:
    known = data_set(source)
    with (source / "two.zip").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(BenchmarkError, match=r"two\.zip: not the file that was expected"):
        known.fetch(source)
    (source / "two.zip").unlink()
    with pytest.raises(BenchmarkError, match=r"lacks two\.zip.*http://127\.0\.0\.1"):
        known.fetch(source)
    with pytest.raises(UsageError, match="no such file or folder"):
        known.fetch(source / "nowhere")
    assert not known.place.parent.exists()


def test_too_few_pictures_are_refused_and_nothing_appears(source: Path) -> None:
    known = replace(data_set(source), count=4)
    with pytest.raises(BenchmarkError, match="3 images, where 4 were expected"):
        known.fetch(source)
    assert list(known.place.parent.iterdir()) == []


@pytest.fixture
def server(source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(source))) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()
        thread.join()


def test_downloaded_archives_are_unpacked_and_removed(
    source: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    known = data_set(source, server)
    known.fetch()
    assert len(known.open().pictures) == 3
    assert list((known.place.parent / "archives").iterdir()) == []
    out, err = capsys.readouterr()
    assert out == ""
    assert "2 of 2" in err
    assert "unpacking two.zip: 1 images" in err


def test_an_archive_put_where_it_belongs_is_found(source: Path) -> None:
    known = data_set(source)
    with pytest.raises(BenchmarkError, match=r"put it where it belongs: .*archives/") as caught:
        known.fetch()
    assert "\n" not in str(caught.value)
    for archive in known.archives:
        place = known.place.parent / "archives" / archive.file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((source / archive.file).read_bytes())
    known.fetch()
    assert len(known.open().pictures) == 3


def test_an_archive_that_changed_on_the_server_is_refused(source: Path, server: str) -> None:
    known = data_set(source, server)
    write_zip(source / "one.zip", {"evil.png": png(66)})
    with pytest.raises(BenchmarkError, match="another file"):
        known.fetch()
    assert not known.place.exists()


# Unpacking


def test_nothing_is_written_outside_the_folder(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as written:
        for name in ("../../up.png", "/absolute.png", "..\\windows.png", "deep/down/x.png", "folder.png/"):
            written.writestr(zipfile.ZipInfo(name), b"" if name.endswith("/") else png(1))
        written.writestr(link, "/etc/passwd")
    target = tmp_path / "deep" / "target"
    target.mkdir(parents=True)
    digests = unpack_pictures(tmp_path / "a.zip", target)
    assert set(digests) == {"up.png", "absolute.png", "windows.png", "x.png"}
    assert {path.name for path in target.iterdir()} == set(digests)
    assert not any(path.is_symlink() for path in target.iterdir())
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["target"]
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "deep"}
    assert digests["x.png"] == hashlib.sha256(png(1)).hexdigest()


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"x/a.png": png(1), "y/a.png": png(2)})
    with pytest.raises(BenchmarkError, match=r"two images are called a\.png"):
        unpack_pictures(path, tmp_path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("a.png", bytes(10**7))
    with pytest.raises(BenchmarkError, match="far larger than the archive"):
        unpack_pictures(tmp_path / "a.zip", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.png": png(1, 40)})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    for number, broken in enumerate((bytes(data), bytes(data[: len(data) // 2]), b"", b"no archive")):
        target = tmp_path / str(number)
        target.mkdir()
        path.write_bytes(broken)
        with pytest.raises(BenchmarkError, match="a damaged archive"):
            unpack_pictures(path, target)


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    """Links, devices, pipes and sockets, as tools of Unix write them into an archive."""
    kinds = (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as written:
        for number, kind in enumerate(kinds):
            member = zipfile.ZipInfo(f"{number}.png")
            member.external_attr = (kind | 0o777) << 16
            written.writestr(member, "/etc/passwd")
        for name in ("C:\\windows\\c.png", "C:d.png", "//host/share/e.png", "a/../../f.png", "g.png\0.txt", "..", "/"):
            written.writestr(zipfile.ZipInfo(name), png(1))
    target = tmp_path / "target"
    target.mkdir()
    assert set(unpack_pictures(tmp_path / "a.zip", target)) == {"c.png", "C:d.png", "e.png", "f.png", "g.png"}
    assert all(stat.S_ISREG(path.lstat().st_mode) for path in target.iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "target"}


@pytest.mark.parametrize("name", ["a\nb.png", "a\x1b[31m.png", "a\u202egnp.png"])
def test_names_that_act_unseen_are_refused(name: str, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {name: png(1)})
    with pytest.raises(BenchmarkError, match="characters that act unseen") as caught:
        unpack_pictures(path, tmp_path)
    assert str(caught.value).isprintable()


def test_a_name_that_is_not_in_the_encoding_it_claims(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"ä.png": png(1)})
    data = path.read_bytes()
    path.write_bytes(data.replace("ä".encode(), b"\xff\xfe"))
    with pytest.raises(BenchmarkError, match="a damaged archive"):
        unpack_pictures(path, tmp_path)


def test_a_member_that_holds_more_than_it_says(tmp_path: Path) -> None:
    """The size that it claims is no more than the archive's; what comes out would be a thousand times that."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("a.png", bytes(10**7))
    data = bytearray(path.read_bytes())
    for place in (data.index(b"PK\x03\x04") + 22, data.index(b"PK\x01\x02") + 24):
        data[place : place + 4] = (100).to_bytes(4, "little")
    path.write_bytes(data)
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(BenchmarkError, match="a damaged archive"):
        unpack_pictures(path, target)
    assert sum(file.stat().st_size for file in target.iterdir()) <= 100


def test_members_that_share_their_bytes_are_a_bomb_too(tmp_path: Path) -> None:
    """Each entry of the directory leads to the same compressed bytes."""
    path = write_zip(tmp_path / "a.zip", {"a.png": png(1, 40)})
    data = path.read_bytes()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    directory = b"".join(data[start:end].replace(b"a.png", bytes([97 + n]) + b".png") for n in range(20))
    tail = bytearray(data[end:])
    tail[8:10] = tail[10:12] = (20).to_bytes(2, "little")
    tail[12:16] = len(directory).to_bytes(4, "little")
    path.write_bytes(data[:start] + directory + bytes(tail))
    with pytest.raises(BenchmarkError, match=r"far larger than the archive|damaged archive"):
        unpack_pictures(path, tmp_path)


@pytest.mark.parametrize("count", [300, pytest.param(100_000, marks=pytest.mark.slow)])
def test_mutated_archives_are_refused_in_one_line(count: int, tmp_path: Path) -> None:
    """Bytes changed, cut, doubled, and numbers of the headers set to their ends."""
    draw = random.Random(0)
    path = write_zip(tmp_path / "a.zip", {"x/a.png": png(1), "b.png": png(2), "ä.png": png(3)})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as more:
        more.writestr("c.png", png(4) * 3)
    data = path.read_bytes()
    places = [m.start() for mark in (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06") for m in re.finditer(mark, data)]
    target = tmp_path / "target"
    told: set[str] = set()
    unpacked = 0
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(draw.randint(1, 4)):
            place = draw.choice(places) + draw.randint(0, 45)
            match draw.randint(0, 4):
                case 0:
                    changed[place : place + 1] = bytes([draw.randint(0, 255)])
                case 1:
                    changed[place : place + 4] = draw.choice((b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f", b"\1\0\0\0"))
                case 2:
                    del changed[draw.randint(0, len(changed)) :]
                case 3:
                    changed[place:place] = changed[place : place + draw.randint(1, 60)]
                case _:
                    place = draw.randint(0, len(changed))
                    changed[place : place + 1] = b"x"
        path.write_bytes(changed)
        target.mkdir()
        try:
            unpack_pictures(path, target)
            unpacked += 1
        except BenchmarkError as error:
            told.add(str(error))
        assert sum(file.stat().st_size for file in target.iterdir()) <= archives.MOST_EXPANSION * len(changed)
        shutil.rmtree(target)
    assert 0 < unpacked < count
    assert not any("\n" in line for line in told)


# The data sets themselves


def test_the_published_archives() -> None:
    known = (clic2020.TEST, clic2020.PROFESSIONAL_VALID, clic2020.MOBILE_VALID, coco.COCO30K_VAL2014, coco.COCO_VAL2017)
    assert [dataset.count for dataset in known] == [428, 41, 61, 30_000, 5_000]
    hashes = [archive.sha256 for dataset in known for archive in dataset.archives]
    assert len(set(hashes)) == 6
    assert all(len(digest) == 64 for digest in hashes)
    assert [dataset.preparation for dataset in known] == ["none"] * 3 + ["square256"] * 2
    assert archives.SUMS == "SHA256SUMS"


def test_the_lists_of_papers() -> None:
    perco, taco = coco.names_of("coco30k-perco"), coco.names_of("coco30k-taco")
    for names, count, dataset in ((perco, 30_000, coco.COCO30K_PERCO), (taco, 30_504, coco.COCO30K_TACO)):
        assert len(set(names)) == len(names) == count == dataset.count
        assert names == sorted(names)
        assert dataset.choose is not None
        assert list(dataset.choose([*reversed(names), "other.jpg"])) == names
    assert perco[0] == "000000000009.jpg"
    assert all(name.startswith("COCO_val2014_") for name in taco)
    assert (coco.COCO30K_PERCO.preparation, coco.COCO30K_TACO.preparation) == ("stretch512", "none")
    assert div2k.VALID.count == 100


def test_coco_takes_the_smallest_hashes_whatever_the_order() -> None:
    names = [f"COCO_val2014_{number:012}.jpg" for number in range(500)]
    chosen = coco.smallest_by_name_hash(names, 100)
    assert chosen == sorted(chosen)
    assert chosen == coco.smallest_by_name_hash(reversed(names), 100)
    worst = max(hashlib.sha256(name.encode()).hexdigest() for name in chosen)
    assert all(hashlib.sha256(name.encode()).hexdigest() > worst for name in set(names) - set(chosen))
    assert len(chosen) == 100
    assert len(coco.smallest_by_name_hash(names)) == 500


def test_a_choice_out_of_an_archive_and_its_preparation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    path = write_zip(tmp_path / "val.zip", {f"val/{number}.png": png(number) for number in range(9)})
    known = Archived("some", (archive_of(path),), 4, "square256", lambda files: coco.smallest_by_name_hash(files, 4))
    known.fetch(path)
    dataset = known.open()
    assert len(list(known.place.glob("*.png"))) == 4
    assert dataset.preparation == "square256"
    assert dataset.fingerprint != replace(dataset, preparation="none").fingerprint
    assert dataset.fingerprint != replace(dataset, pictures=dataset.pictures[::-1]).fingerprint


@pytest.mark.parametrize(("field", "value", "message"), [(0, 1, "encrypted"), (2, 97, "cannot unpack")])
def test_whole_archives_that_cannot_be_unpacked_are_not_called_damaged(
    tmp_path: Path, field: int, value: int, message: str
) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.png": png(1)})
    data = bytearray(path.read_bytes())
    local, central = data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8  # the flags; the method follows
    data[local + field] = data[central + field] = value
    path.write_bytes(data)
    with pytest.raises(BenchmarkError, match=message) as error:
        unpack_pictures(path, tmp_path)
    assert "damaged" not in str(error.value)
