"""Features in shards: few files, the same values, and none lost whatever stops the packing."""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import fake_codecs
from support.pictures import write_pictures
from support.records import manifest, trial

from benchmark import shards
from benchmark.analysis.summary import write_summary
from benchmark.errors import BenchmarkError
from benchmark.results import MetricRecord, RunFolder
from benchmark.running import packing
from benchmark.running.packing import Packing
from benchmark.running.run import Request, open_run

fake_codecs.register()

SET = MetricRecord(protocol="p", unit="", higher_is_better=False, kind="set", feature_key="key", patches="whole")
ALONE = MetricRecord(protocol="n", unit="", higher_is_better=False, kind="no-reference", feature_key="alone")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (shards, packing):
        monkeypatch.setattr(module, "FILES", 8)
    monkeypatch.setattr("benchmark.results.SHARD", 8)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", manifest(metrics={"fd": SET, "alone": ALONE}))


def features_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(size=(2, 5)).astype(np.float32)


def put(folder: RunFolder, count: int) -> list[Path]:
    paths = [folder.original_features_path("key", f"image {number}") for number in range(count)]
    for number, path in enumerate(paths):
        folder.write_features(path, features_of(number))
    return paths


def check(folder: RunFolder, paths: list[Path]) -> None:
    for number, path in enumerate(paths):
        assert folder.holds(path)
        assert np.array_equal(folder.read_features(path), features_of(number))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_packed_is_read_as_before(folder: RunFolder) -> None:
    paths = put(folder, 20)
    folder.pack(paths[:18])
    assert sum(path.exists() for path in paths) == 2
    assert [name for name in names(paths[0].parent) if name.startswith("shard")] == [
        "shard-00000.zip",
        "shard-00001.zip",
        "shard-00002.zip",
    ]
    check(folder, paths)
    check(RunFolder.open(folder.path), paths)
    assert not folder.holds(folder.original_features_path("key", "image 20"))
    with pytest.raises(BenchmarkError, match=r"image-20.*npy: features cannot be read: No such file"):
        folder.read_features(folder.original_features_path("key", "image 20"))


def test_numpy_opens_a_shard(folder: RunFolder) -> None:
    paths = put(folder, 3)
    folder.pack(paths)
    with np.load(paths[0].parent / "shard-00000.zip") as found:
        assert np.array_equal(found[paths[2].stem], features_of(2))


def test_the_latest_counts(folder: RunFolder) -> None:
    """A trial that is done again writes its features again."""
    paths = put(folder, 4)
    for number in (7, 8):
        folder.write_features(paths[1], features_of(number))
        assert np.array_equal(folder.read_features(paths[1]), features_of(number))
        folder.pack(paths)
        assert np.array_equal(folder.read_features(paths[1]), features_of(number))
    assert np.array_equal(RunFolder.open(folder.path).read_features(paths[1]), features_of(8))


def test_values_of_originals_are_packed_too(folder: RunFolder) -> None:
    for number in range(4):
        folder.write_original_value("alone", f"image {number}", number / 3, "")
    folder.pack(folder.original_value_path("alone", f"image {number}") for number in range(4))
    assert names(folder.path / "features/alone/originals") == ["shard-00000.zip"]
    found = [folder.read_original_value("alone", f"image {number}") for number in range(5)]
    assert found == [0, 1 / 3, 2 / 3, 1, None]


def test_a_shard_of_another_folder_is_refused(folder: RunFolder) -> None:
    """Each file ends with a hash of its place, wherever it lies."""
    paths = put(folder, 3)
    other = folder.features_path("key", trial("n", 2.5, "image 1", 1).key)
    folder.pack(paths)
    other.parent.mkdir(parents=True)
    (paths[0].parent / "shard-00000.zip").rename(other.parent / "shard-00000.zip")
    with pytest.raises(BenchmarkError, match="its hash does not fit"):
        folder.read_features(other)


def test_a_damaged_shard_gives_no_other_numbers(folder: RunFolder) -> None:
    paths = put(folder, 3)
    folder.pack(paths)
    shard = paths[0].parent / "shard-00000.zip"
    whole, rng, refused = shard.read_bytes(), random.Random(0), 0
    for _ in range(300):
        data = bytearray(whole)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        for _ in range(rng.randint(1, 3)):
            if data:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        shard.write_bytes(data)
        again = RunFolder.open(folder.path)
        for number, path in enumerate(paths):
            said = ""
            try:
                found = again.read_features(path)
            except BenchmarkError as error:
                said = str(error)
            if said:
                assert "features cannot be read" in said
                assert "\n" not in said
                refused += 1
            else:
                assert np.array_equal(found, features_of(number))
    assert refused > 300


@pytest.mark.parametrize("after", [0, 1, 3, 4])
def test_an_error_while_packing_loses_nothing(folder: RunFolder, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, and a removal that fails."""
    paths = put(folder, 12)
    calls: Counter[str] = Counter()
    unlink, replace = Path.unlink, Path.replace

    def failing(name: str, function: Any) -> Any:
        def called(self: Path, *arguments: Any, **options: Any) -> Any:
            calls[name] += 1
            if calls[name] > after:
                raise OSError(28, "No space left on device")
            return function(self, *arguments, **options)

        return called

    with monkeypatch.context() as patch:
        if after % 2:
            patch.setattr(Path, "unlink", failing("unlink", unlink))
        else:
            patch.setattr(Path, "replace", failing("replace", replace))
        if after != 4:
            with pytest.raises(BenchmarkError, match="cannot be written: No space left on device"):
                folder.pack(paths)
    check(RunFolder.open(folder.path), paths)
    folder.pack(paths)
    check(RunFolder.open(folder.path), paths)
    assert all(name.startswith("shard") for name in names(paths[0].parent))


@pytest.mark.parametrize("seed", range(6))
def test_a_kill_while_packing_loses_nothing(folder: RunFolder, seed: int) -> None:
    paths = put(folder, 60)
    rng = random.Random(seed)
    for _ in range(4):
        child = os.fork()
        if not child:
            folder.pack(paths)
            os._exit(0)
        time.sleep(rng.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        check(RunFolder.open(folder.path), paths)
    folder.pack(paths)
    check(folder, paths)
    assert all(name.startswith("shard") for name in names(paths[0].parent))


def test_who_reads_meanwhile_finds_everything(folder: RunFolder) -> None:
    paths = put(folder, 60)
    failed: list[BaseException] = []
    over = threading.Event()

    def read(other: RunFolder) -> None:
        try:
            while not over.is_set():
                check(other, paths)
        except BaseException as error:
            failed.append(error)

    readers = [threading.Thread(target=read, args=(RunFolder.open(folder.path),)) for _ in range(2)]
    for reader in readers:
        reader.start()
    for path in paths:
        folder.pack([path])
    over.set()
    for reader in readers:
        reader.join()
    assert not failed
    check(folder, paths)


def test_trials_in_hand_are_left_alone(folder: RunFolder) -> None:
    """Their workers may write their files again."""
    paths = put(folder, 10)
    pack = Packing(folder)
    for number in range(8):
        pack.add(trial("t:x=1", 1, f"image {number}"))
    assert [path.exists() for path in paths] == [False] * 8 + [True] * 2
    pack.add(trial("t:x=1", 1, "image 8", error="no"))
    check(folder, paths)


def run(folder: Path, dataset: Path, **options: Any) -> RunFolder:
    metrics = ["psnr", "kd-effnet@patch64-hific"]
    request = Request(
        codecs=["tiny"], only=True, dataset=str(dataset), qualities=["2,3"], metrics=metrics, output=folder, **options
    )
    with open_run(request) as ready:
        for one in ready.execute():
            assert one.error is None
        write_summary(ready.folder)
    return RunFolder.open(folder)


def test_a_run_with_shards_says_what_one_without_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = write_pictures(tmp_path / "pictures", [f"{number}.png" for number in range(10)], size=(64, 64))
    packed = run(tmp_path / "packed", pictures)
    for module in (shards, packing):
        monkeypatch.setattr(module, "FILES", 512)
    monkeypatch.setattr("benchmark.results.SHARD", 512)
    plain = run(tmp_path / "plain", pictures)
    places = ("originals", "tiny/2", "tiny/3")
    for place in places:
        key = next((packed.path / "features").iterdir()).name
        assert len(names(packed.path / "features" / key / place)) == 2  # of eight and of two
        assert len(names(plain.path / "features" / key / place)) == 10
    assert (packed.path / "summary.csv").read_bytes() == (plain.path / "summary.csv").read_bytes()
    kept = [json.loads((one.path / "leave-one-out.json").read_text())["values"] for one in (packed, plain)]
    assert kept[0] == kept[1]
    before = (packed.path / "summary.csv").read_bytes()
    (packed.path / "leave-one-out.json").unlink()  # made again, from the shards
    (packed.path / "summary.csv").unlink()
    write_summary(packed)
    assert (packed.path / "summary.csv").read_bytes() == before
    assert not (packed.path / ".partial").exists() or not names(packed.path / ".partial")


def test_a_large_run_of_before_is_packed_when_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = write_pictures(tmp_path / "pictures", [f"{number}.png" for number in range(10)], size=(64, 64))
    with monkeypatch.context() as patch:
        for module in (shards, packing):
            patch.setattr(module, "FILES", 512)
        patch.setattr("benchmark.results.SHARD", 512)
        run(tmp_path / "run", pictures)
    manifest_path = tmp_path / "run" / "run.json"
    manifest_path.write_text(manifest_path.read_text().replace('"complete"', '"interrupted"'))
    summary = (tmp_path / "run" / "summary.csv").read_bytes()
    again = run(tmp_path / "run", pictures)
    key = next((again.path / "features").iterdir()).name
    assert names(again.path / "features" / key / "originals") == ["shard-00000.zip", "shard-00001.zip"]
    assert (tmp_path / "run" / "summary.csv").read_bytes() == summary
