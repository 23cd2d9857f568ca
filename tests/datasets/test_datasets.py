import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.datasets import DATASETS, Dataset, Picture, limit, open_dataset, parse_sample, sample
from benchmark.datasets.pictures import known_dataset, unique_names
from benchmark.errors import BenchmarkError, UsageError
from benchmark.preparations import PREPARATIONS
from benchmark.running.run import Request, open_run


def numbered(n: int) -> Dataset:
    return Dataset("numbers", tuple(Picture(f"{i:03}", Path(f"{i}.png"), f"{i:064x}") for i in range(n)))


def write_picture(path: Path, shade: int = 0) -> None:
    Image.fromarray(np.full((4, 5, 3), shade, np.uint8)).save(path)


def test_folder_takes_pictures_only_sorted_and_hashed(tmp_path: Path) -> None:
    for file in ("b.png", "a.JPG", "c.webp", ".hidden.png"):
        write_picture(tmp_path / file)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    dataset = open_dataset(str(tmp_path))
    assert dataset.name == tmp_path.name
    assert [picture.name for picture in dataset.pictures] == ["a", "b", "c"]
    for picture in dataset.pictures:
        assert picture.sha256 == hashlib.sha256(picture.path.read_bytes()).hexdigest()


def test_equal_stems_keep_apart(tmp_path: Path) -> None:
    for file in ("a.png", "a.jpg", "b.png"):
        write_picture(tmp_path / file)
    assert [picture.name for picture in open_dataset(str(tmp_path)).pictures] == ["a.jpg", "a.png", "b"]


@settings(deadline=None, derandomize=True)
@given(st.sets(st.from_regex(r"[ab](\.(png|jpg)){1,3}", fullmatch=True), min_size=1))
def test_names_are_unique_and_stems_where_possible(files: set[str]) -> None:
    names = unique_names(sorted(files))
    assert names.keys() == files
    assert len(set(names.values())) == len(files)
    stems = [Path(file).stem for file in files]
    for file, name in names.items():
        assert name in (Path(file).stem, file)
        if len(set(stems)) == len(stems):
            assert name == Path(file).stem


def test_fingerprint_follows_content_names_and_preparation_not_the_place(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "same", "other", "renamed")]
    for folder in folders:
        folder.mkdir()
        write_picture(folder / ("y.png" if folder.name == "renamed" else "x.png"), 9 if folder.name == "other" else 0)
    one, same, other, renamed = (open_dataset(str(folder)) for folder in folders)
    assert one.fingerprint == same.fingerprint
    cropped = Dataset(one.name, one.pictures, "centre-crop-256")
    assert len({one.fingerprint, other.fingerprint, renamed.fingerprint, cropped.fingerprint}) == 4
    assert len(one.fingerprint) == 16


def test_folder_with_the_name_of_a_data_set_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "kodak").mkdir()
    write_picture(tmp_path / "kodak" / "x.png")
    dataset = open_dataset(str(tmp_path / "kodak"))
    assert dataset.name == f"kodak-{dataset.fingerprint}"


def test_what_is_no_data_set_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no image"):
        open_dataset(str(tmp_path))
    (tmp_path / "file.png").touch()
    with pytest.raises(UsageError, match="an image"):
        open_dataset(str(tmp_path / "file.png"))
    with pytest.raises(UsageError, match="no such folder"):
        open_dataset(str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="did you mean photos"):
        open_dataset("fotos")
    with pytest.raises(UsageError):
        open_dataset("")


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 60), st.integers(1, 60))
def test_limit_spreads_evenly_and_keeps_the_order(total: int, n: int) -> None:
    dataset = numbered(total)
    limited = limit(dataset, n)
    if n >= total:
        assert limited is dataset
        return
    assert limited.name == f"numbers[quick look, {n} of {total}]"
    assert limited.fingerprint != dataset.fingerprint
    places = [dataset.pictures.index(picture) for picture in limited.pictures]
    assert len(places) == n
    assert places[0] == 0
    gaps = np.diff([*places, total])
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


def test_limit_zero_takes_all_and_negative_is_refused() -> None:
    dataset = numbered(5)
    assert limit(dataset, 0) is dataset
    with pytest.raises(UsageError):
        limit(dataset, -1)


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 99))
def test_a_sample_keeps_the_order_and_follows_its_seed(total: int, n: int, seed: int) -> None:
    dataset = numbered(total)
    drawn = sample(dataset, n, seed)
    if n >= total:
        assert drawn is dataset
        return
    assert drawn.name == f"numbers[sample, {n} of {total}, seed {seed}]"
    assert len(drawn.pictures) == n
    assert [picture for picture in dataset.pictures if picture in drawn.pictures] == list(drawn.pictures)
    assert sample(dataset, n, seed) == drawn


def test_samples_of_other_seeds_differ_and_each_picture_is_as_likely() -> None:
    dataset = numbered(40)
    counts = Counter(picture for seed in range(400) for picture in sample(dataset, 10, seed).pictures)
    assert len({sample(dataset, 10, seed).fingerprint for seed in range(400)}) > 390
    assert set(counts) == set(dataset.pictures)
    assert 60 < min(counts.values()) < max(counts.values()) < 140  # 100 each; four and a half standard deviations


@pytest.mark.parametrize(("text", "parsed"), [("5", (5, 0)), ("5:12", (5, 12))])
def test_what_sample_says(text: str, parsed: tuple[int, int]) -> None:
    assert parse_sample(text) == parsed


@pytest.mark.parametrize("text", ["0", "-1", "a", "5:", ":1", "5:-1", "5:1:2", ""])
def test_samples_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(UsageError, match=f"--sample {text}: N or N:SEED"):
        parse_sample(text)


def test_a_sample_of_a_run_and_no_limit_beside_it(tmp_path: Path) -> None:
    for number in range(6):
        write_picture(tmp_path / f"{number}.png", number)
    request = Request(["jpeg"], only=True, dataset=str(tmp_path), sample="2:1", qualities=["5"], metrics=["bpp"],
                      output=tmp_path / "run")  # fmt: skip
    with open_run(request) as ready:
        names = {trial.image for trial in ready.execute()}
    assert names == {picture.name for picture in sample(open_dataset(str(tmp_path)), 2, 1).pictures}
    with pytest.raises(UsageError, match="--sample and --limit both choose"), open_run(replace(request, limit=2)):
        pass


def test_the_list_of_data_sets_tells_of_preparations() -> None:
    done = CliRunner().invoke(app, ["list", "datasets"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[: len(list(DATASETS))]] == list(DATASETS)
    for name, preparation in PREPARATIONS.items():
        assert any(line.startswith(f"…@{name}N ") and line.endswith(preparation.words) for line in lines)


def test_known_files_missing_or_changed_are_refused(tmp_path: Path) -> None:
    sha256 = {}
    for file in ("a.png", "b.png"):
        write_picture(tmp_path / file)
        sha256[file] = hashlib.sha256((tmp_path / file).read_bytes()).hexdigest()
    assert len(known_dataset(tmp_path, "known", sha256, "fetch it").pictures) == 2
    with (tmp_path / "b.png").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(BenchmarkError, match=r"b\.png .* differs .*fetch it"):
        known_dataset(tmp_path, "known", sha256, "fetch it")
    (tmp_path / "a.png").unlink()
    with pytest.raises(BenchmarkError, match=r"lacks a\.png; fetch it"):
        known_dataset(tmp_path, "known", sha256, "fetch it")


def test_registry_and_folders_need_nothing_heavy() -> None:
    code = (
        "import sys; from benchmark.datasets import DATASETS; list(map(DATASETS.summary, DATASETS)); "
        "sys.exit(' '.join({'torch', 'numpy', 'pandas', 'PIL', 'requests', 'rich'} & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert list(DATASETS)[:2] == ["photos", "kodak"]
