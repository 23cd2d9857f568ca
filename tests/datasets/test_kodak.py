import hashlib
import shutil
from pathlib import Path

import pytest
from PIL import Image

from benchmark.datasets import kodak, open_dataset
from benchmark.errors import BenchmarkError, UsageError

needs_kodak = pytest.mark.skipif(
    not all((kodak.folder() / file).is_file() for file in kodak.FILES),
    reason="Kodak is not fetched (python -m benchmark fetch kodak)",
)


@pytest.fixture
def two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source folder with two stand-ins for the images, whose sizes and hashes the table names."""
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "source"
    source.mkdir()
    files = {"kodim01.png": b"first", "kodim02.png": b"second"}
    for file, data in files.items():
        (source / file).write_bytes(data)
    table = {file: (len(data), hashlib.sha256(data).hexdigest()) for file, data in files.items()}
    monkeypatch.setattr(kodak, "FILES", table)
    return source


def test_table_is_complete() -> None:
    assert list(kodak.FILES) == [f"kodim{i:02}.png" for i in range(1, 25)]
    assert len({sha256 for _, sha256 in kodak.FILES.values()}) == 24


def test_unfetched_kodak_says_how_to_get_it(two_files: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"python -m benchmark fetch kodak.*--from FOLDER"):
        open_dataset("kodak")


def test_taken_from_a_folder(two_files: Path) -> None:
    assert kodak.fetch(two_files) == kodak.folder()
    dataset = open_dataset("kodak")
    assert [picture.name for picture in dataset.pictures] == ["kodim01", "kodim02"]
    assert [picture.path.read_bytes() for picture in dataset.pictures] == [b"first", b"second"]


def test_another_file_of_that_name_is_refused(two_files: Path) -> None:
    (two_files / "kodim02.png").write_bytes(b"secomd")
    with pytest.raises(BenchmarkError, match=r"kodim02\.png: not the file that was expected"):
        kodak.fetch(two_files)
    assert not (kodak.folder() / "kodim02.png").exists()


def test_incomplete_or_absent_folder_is_refused(two_files: Path) -> None:
    (two_files / "kodim01.png").unlink()
    with pytest.raises(BenchmarkError, match=r"lacks kodim01\.png"):
        kodak.fetch(two_files)
    shutil.rmtree(two_files)
    with pytest.raises(UsageError, match="no such folder"):
        kodak.fetch(two_files)


@needs_kodak
def test_fetched_kodak_is_the_well_known_one() -> None:
    dataset = open_dataset("kodak")
    digest = hashlib.sha1()
    portrait = []
    for picture in dataset.pictures:
        digest.update(picture.path.read_bytes())
        with Image.open(picture.path) as opened:
            assert sorted(opened.size) == [512, 768]
            if opened.height > opened.width:
                portrait.append(picture.name)
    assert digest.hexdigest() == "076e2a5fd4515b5fda677f15fe63dd112d266bc5"
    assert portrait == [f"kodim{i:02}" for i in (4, 9, 10, 17, 18, 19)]
