"""The run folder: nothing written is lost, nothing torn is read."""

import gc
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.records import manifest, trial

from benchmark import results
from benchmark.errors import BenchmarkError
from benchmark.results import Manifest, RunFolder, Trial, locked, path_name, quality_name


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", manifest(decoder_seeds=[0, 1, 3]))


def test_what_is_appended_is_read_by_another(folder: RunFolder) -> None:
    written = [
        trial(quality=1),
        trial(quality=2.5, error="bad", bytes=None, bpp=None, metrics={}),
        trial("n", 1, "b", 3),
    ]
    for one in written:
        folder.append(one)
        assert RunFolder.open(folder.path).trials()[-1] == one
    assert RunFolder.open(folder.path).trials() == written
    assert RunFolder.open(folder.path).manifest == folder.manifest


def test_a_torn_line_is_left_out_and_cut_off_by_the_next_append(folder: RunFolder) -> None:
    folder.append(trial(quality=1))
    folder.append(trial(quality=2.5))
    folder.close()
    path = folder.path / "trials.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):  # every place at which a kill may tear the second line
        path.write_bytes(whole[:length])
        torn = RunFolder.open(folder.path)
        assert torn.trials() == [trial(quality=1)]
        assert path.read_bytes() == whole[:length]  # a reader changes nothing
    torn.append(trial(quality=2.5))
    assert path.read_bytes() == whole


def test_a_broken_line_that_is_not_the_last_is_said(folder: RunFolder) -> None:
    folder.append(trial(quality=1))
    folder.append(trial(quality=2.5))
    folder.close()
    path = folder.path / "trials.jsonl"
    path.write_bytes(b'{"codec":\n' + path.read_bytes())
    with pytest.raises(BenchmarkError, match=r"trials\.jsonl, line 1: not a trial"):
        folder.trials()


def test_the_later_of_two_trials_with_one_key_counts(folder: RunFolder) -> None:
    for bytes_ in (3, 5):
        folder.append(trial(bytes=bytes_, bpp=bytes_))
    assert [one.bytes for one in folder.trials()] == [5]


def test_rewrite_replaces_all_and_append_goes_on(folder: RunFolder) -> None:
    folder.append(trial(quality=1))
    folder.rewrite([trial(quality=2.5)])
    folder.append(trial("n", 1, "a", 0))
    assert [one.codec for one in folder.trials()] == ["t:x=1", "n"]


def test_infinity_and_nan_cannot_be_recorded() -> None:
    for value in (float("inf"), float("nan")):
        with pytest.raises(ValidationError):
            trial(metrics={"psnr": value})
    assert '"psnr":null' in trial(metrics={"psnr": None}).model_dump_json()


def test_another_schema_and_a_damaged_manifest_are_refused(folder: RunFolder) -> None:
    path = folder.path / "run.json"
    text = path.read_text()
    path.write_text(text.replace('"schema_version": 2', '"schema_version": 3').replace('"status"', '"state"'))
    with pytest.raises(BenchmarkError, match=r"schema 3, made by a newer version .* reads 1 and 2: update the suite"):
        RunFolder.open(folder.path)
    path.write_text(text[:200])
    with pytest.raises(BenchmarkError, match=r"run\.json: not a manifest: no JSON"):
        RunFolder.open(folder.path)
    path.write_text(text.replace('"status"', '"state"'))
    with pytest.raises(BenchmarkError, match=r"run\.json: not a manifest: state: a field that this version does not"):
        RunFolder.open(folder.path)
    with pytest.raises(BenchmarkError, match=r"no run\.json"):
        RunFolder.open(folder.path / "nothing")


def test_bytes_are_a_fraction_where_bits_are_stated_alone(folder: RunFolder) -> None:
    """A stated rate need not be a whole number of bytes; a stream is one."""
    pixels = 16 * 24
    folder.append(trial(bytes=61.44, bpp=8 * 61.44 / pixels, height=16, width=24))
    with pytest.raises(BenchmarkError, match=r"line 1: 61\.44 bytes: of t:x=1, whose bits are not stated"):
        RunFolder.open(folder.path).trials()
    codecs = {name: record.model_copy(update={"bits": "stated"}) for name, record in folder.manifest.codecs.items()}
    folder.write_manifest(folder.manifest.model_copy(update={"codecs": codecs}))
    [stated] = RunFolder.open(folder.path).trials()
    assert stated.bytes == 61.44
    assert folder.frame()["bytes"].dtype == "Float64"


def test_create_clears_what_a_run_without_trials_left(folder: RunFolder) -> None:
    folder.write_features(folder.original_features_path("key", "a"), np.zeros((1, 2)))
    again = RunFolder.create(folder.path, manifest())
    assert not again.original_features_path("key", "a").exists()
    again.append(trial())
    with pytest.raises(BenchmarkError, match="holds a run already"):
        RunFolder.create(folder.path, manifest())


def test_features_are_float32_and_whole_or_absent(folder: RunFolder) -> None:
    features = np.random.default_rng(0).normal(size=(3, 5))
    path = folder.features_path("key", trial("n", 2.5, "b", 1).key)
    assert path.relative_to(folder.path).as_posix() == "features/key/n/2.5/seed-1/b.npy"
    with pytest.raises(BenchmarkError, match="features cannot be read"):
        folder.read_features(path)
    folder.write_features(path, features)
    assert folder.read_features(path).dtype == np.float32
    assert np.array_equal(folder.read_features(path), features.astype(np.float32))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(BenchmarkError, match="features cannot be read"):
        folder.read_features(path)


def test_features_are_read_by_many_threads_at_once(folder: RunFolder) -> None:
    """Threads that change places while NumPy parses a header make CPython 3.11 fail, unless they take turns."""
    path = folder.original_features_path("p", "a")
    folder.write_features(path, np.ones((1, 4), np.float32))
    failed: list[BaseException] = []

    def read(depth: int) -> None:
        if depth:
            return read(depth - 1)
        try:
            for _ in range(200):
                folder.read_features(path)
        except BaseException as error:
            failed.append(error)

    def give_way(*_: object) -> None:
        time.sleep(1e-5)

    threshold = gc.get_threshold()
    gc.callbacks.append(give_way)
    gc.set_threshold(3)
    try:
        threads = [threading.Thread(target=read, args=(depth,)) for depth in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(give_way)
    assert not failed


def test_places_of_reconstructions(folder: RunFolder) -> None:
    def place(path: Path) -> str:
        return path.relative_to(folder.path).as_posix()

    assert place(folder.reconstruction_path(trial("t:x=1", 1, "a").key)) == "reconstructions/t-x=1/1/a.png"
    assert place(folder.reconstruction_path(trial("n", 1, "a", 4).key)) == "reconstructions/n/1/seed-4/a.png"
    assert place(folder.bitstream_path(trial("n", 1, "a", 4).key)) == "reconstructions/n/1/a.bin"


def test_the_frame_is_in_the_manifest_s_order(folder: RunFolder) -> None:
    for one in [
        trial(image="b"),
        trial(image="a"),
        trial("n", 2.5, "a", 1),
        trial("n", 2.5, "a", 0, metrics={}, reasons={"psnr": "none"}),
    ]:
        folder.append(one)
    frame = folder.frame()
    assert list(zip(frame["codec"], frame["image"], frame["decoder_seed"].fillna(-1), strict=True)) == [
        ("n", "a", 0),
        ("n", "a", 1),
        ("t:x=1", "a", -1),
        ("t:x=1", "b", -1),
    ]
    assert frame["psnr"].isna().tolist() == [True, False, False, False]
    assert frame.dtypes["bpp"] == "float64"
    assert frame.dtypes["bytes"] == "Int64"


def test_one_process_writes(folder: RunFolder) -> None:
    other = (
        "import sys; from pathlib import Path; from benchmark.results import locked\n"
        "with locked(Path(sys.argv[1])): pass"
    )

    def attempt() -> subprocess.CompletedProcess[str]:
        root = str(Path(results.__file__).parents[1])
        return subprocess.run([sys.executable, "-c", other, folder.path], cwd=root, capture_output=True, text=True)

    with locked(folder.path):
        refused = attempt()
    assert refused.returncode != 0
    assert "another process is writing this run" in refused.stderr
    assert attempt().returncode == 0


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=150)


@given(st.sets(NAMES, min_size=2, max_size=8))
def test_names_of_pictures_are_safe_and_stay_apart(names: set[str]) -> None:
    safe = {path_name(name) for name in names}
    assert len(safe) == len(names)
    assert all(name and len(name) <= 100 and "/" not in name and not name.startswith(".") for name in safe)


@given(st.sets(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=8))
def test_names_of_qualities_say_the_number(qualities: set[float]) -> None:
    assert {float(quality_name(quality)) for quality in qualities} == qualities


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(-1e100, 1e100))
def test_any_record_survives_its_line(tmp_path: Path, text: str, number: float) -> None:
    written = trial(codec=text, quality=number, image=text, error=text, reasons={text: text}, metrics={text: number})
    line = written.model_dump_json()
    assert "\n" not in line
    assert Trial.model_validate_json(line) == written


def test_every_field_is_described() -> None:
    for record in (Trial, Manifest, *results.Record.__subclasses__()):
        assert all(field.description for field in record.model_fields.values())
