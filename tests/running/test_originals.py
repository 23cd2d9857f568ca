"""What is kept of originals between the runs of a process."""

import os
from pathlib import Path

import numpy as np

from benchmark.datasets import dataset_of
from benchmark.running.originals import Kept, OriginalStore


def kept(size: int) -> Kept:
    return Kept(np.zeros((1, size // 3, 3), np.uint8), {"p": np.zeros(10, np.uint8)}, {}, {})


def file(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text(name)
    return path


def test_the_same_file_and_preparation_is_found_again_and_a_changed_one_is_not(tmp_path: Path) -> None:
    store, path = OriginalStore(), file(tmp_path, "a")
    one = kept(300)
    store.put(path, "none", one)
    assert store.get(path, "none") is one
    assert store.get(path, "square256") is None
    path.write_text("another length")
    assert store.get(path, "none") is None
    path.unlink()
    assert store.get(path, "none") is None


def test_an_image_of_the_same_size_and_age_is_another_image(tmp_path: Path) -> None:
    store, path = OriginalStore(), file(tmp_path, "a")
    age = path.stat()
    store.put(path, "none", kept(300))
    path.write_text("b")
    os.utime(path, ns=(age.st_atime_ns, age.st_mtime_ns))
    assert store.get(path, "none") is None
    store.put(path, "none", kept(300))
    other = file(tmp_path, "c")
    os.utime(other, ns=(age.st_atime_ns, age.st_mtime_ns))
    other.replace(path)
    assert store.get(path, "none") is None


def test_an_array_is_known_by_its_content_wherever_its_file_lies(tmp_path: Path) -> None:
    image = np.zeros((4, 5, 3), np.uint8)
    first, second, other = (
        Path(dataset_of([each], folder=tmp_path / name).pictures[0].path)
        for name, each in (("a", image), ("b", image), ("c", image + 1))
    )
    store = OriginalStore()
    one = kept(300)
    store.put(first, "none", one)
    assert store.get(second, "none") is one
    assert store.get(second, "crop4") is None
    assert store.get(other, "none") is None


def test_files_at_addresses_are_not_kept() -> None:
    store = OriginalStore()
    store.put("http://127.0.0.1/a.png", "none", kept(300))
    assert store.get("http://127.0.0.1/a.png", "none") is None


def test_a_set_larger_than_the_store_keeps_what_fits_and_another_run_takes_its_place(tmp_path: Path) -> None:
    store = OriginalStore(memory=1000)
    first = [file(tmp_path, f"a{n}") for n in range(4)]
    store.begin()
    for path in first:
        store.put(path, "none", kept(390))
    assert [store.get(path, "none") is not None for path in first] == [True, True, False, False]
    store.begin()
    other = file(tmp_path, "b")
    store.put(other, "none", kept(390))
    assert store.get(other, "none") is not None
    assert sum(store.get(path, "none") is not None for path in first) == 1
