"""Images that are no files: arrays from a function in a file, a package or a program, as a data set like any other."""

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from support.fake_benchmark import start

import benchmark
from benchmark.datasets import DATASETS, Dataset, dataset_of, open_dataset
from benchmark.datasets.arrays import is_stored, store, stored_folder
from benchmark.errors import BenchmarkError, UsageError
from benchmark.images import load_image, png_bytes
from benchmark.results import RunFolder, Trial
from benchmark.running.run import Request, open_run

ROOT = Path(__file__).parents[2]

SOURCE = """
import numpy as np


def images(n: int = 3):
    rng = np.random.default_rng(0)
    for number in range(n):
        yield f"image-{number}", rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))


def arrays(n: int = 3) -> list[tuple[str, npt.NDArray[np.uint8]]]:
    rng = np.random.default_rng(0)
    return [(f"image-{number}", rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)) for number in range(n)]


def names(dataset: Dataset) -> list[str]:
    return [picture.name for picture in dataset.pictures]


def contents(dataset: Dataset) -> list[npt.NDArray[np.uint8]]:
    return [load_image(picture.path, dataset.preparation) for picture in dataset.pictures]


def same(dataset: Dataset, images: list[Any]) -> bool:
    return all(np.array_equal(*both) for both in zip(contents(dataset), images, strict=True))


# From a file


def test_a_function_in_a_file() -> None:
    Path("my_data.py").write_text(SOURCE)
    dataset = open_dataset("./my_data.py:images")
    assert dataset.name == "my_data.py:images"
    assert names(dataset) == ["image-0", "image-1", "image-2"]
    assert same(dataset, [image for _, image in arrays()])
    assert [note for note in dataset.notes if "3 images lie as files in" in note]


def test_settings_and_preparations_follow_a_function() -> None:
    Path("my_data.py").write_text(SOURCE)
    dataset = open_dataset(f"{Path.cwd()}/my_data.py:images:n=2@crop32")
    assert (dataset.name, dataset.preparation) == ("my_data.py:images:n=2@crop32", "crop32")
    assert same(dataset, [image[4:36, 9:41] for _, image in arrays(2)])
    assert dataset.fingerprint != open_dataset("./my_data.py:images:n=2").fingerprint
    with pytest.raises(UsageError, match="n is a whole number, not 'two'"):
        open_dataset("./my_data.py:images:n=two")
    with pytest.raises(UsageError, match="has no setting 'm'; its settings: n"):
        open_dataset("./my_data.py:images:m=2")
    with pytest.raises(UsageError, match=r"my_data\.py has no photos"):
        open_dataset("./my_data.py:photos")


def test_an_installed_package_offers_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib/mine-1.dist-info").mkdir(parents=True)
    (tmp_path / "lib/mine_data.py").write_text(SOURCE)
    (tmp_path / "lib/mine-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (tmp_path / "lib/mine-1.dist-info/entry_points.txt").write_text(
        "[hfd_benchmark.datasets]\nwaves = mine_data:images\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.setattr(DATASETS, "_entries", dict(DATASETS._entries))
    DATASETS.with_installed()
    assert DATASETS.summary("waves") == "from the package mine"
    dataset = open_dataset("waves:n=2@crop16")
    assert (dataset.name, names(dataset)) == ("waves:n=2@crop16", ["image-0", "image-1"])
    assert open_dataset("waves").fingerprint == dataset_of(arrays()).fingerprint


def test_a_class_that_can_be_iterated_and_a_whole_data_set() -> None:
    Path("my_data.py").write_text(
        SOURCE + "\nfrom benchmark.datasets import dataset_of\n\n\n"
        "class Images:\n    def __iter__(self):\n        return images()\n\n\n"
        "def made():\n    return dataset_of(images(), 'mine')\n"
    )
    assert open_dataset("./my_data.py:Images").fingerprint == open_dataset("./my_data.py:images").fingerprint
    assert open_dataset("./my_data.py:made").name == "mine"


# From a program


WAYS: dict[str, Callable[[], Any]] = {
    "list": arrays,
    "generator": lambda: iter(arrays()),
    "mapping": lambda: dict(arrays()),
    "tensors": lambda: [(name, torch.from_numpy(image).permute(2, 0, 1)) for name, image in arrays()],
    "pictures": lambda: [(name, Image.fromarray(image)) for name, image in arrays()],
    "not contiguous": lambda: [(name, image[::-1].copy()[::-1]) for name, image in arrays()],
}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_fingerprint_whichever_way_they_come(way: str) -> None:
    Path("my_data.py").write_text(SOURCE)
    dataset = dataset_of(WAYS[way]())
    assert dataset.fingerprint == open_dataset("./my_data.py:images").fingerprint
    assert same(dataset, [image for _, image in arrays()])


def test_images_without_names_are_numbered() -> None:
    images = [image for _, image in arrays()]
    batch = np.stack(images)
    tensors = torch.from_numpy(batch).permute(0, 3, 1, 2)
    sets = [dataset_of(images), dataset_of(batch), dataset_of(tensors)]
    assert names(sets[0]) == ["00000", "00001", "00002"]
    assert len({dataset.fingerprint for dataset in sets}) == 1
    assert all(same(dataset, images) for dataset in sets)


def test_the_hash_is_of_shape_and_bytes() -> None:
    image = arrays(1)[0][1]
    expected = hashlib.sha256(b"P6\n50 40\n255\n" + image.tobytes()).hexdigest()
    assert dataset_of([image]).pictures[0].sha256 == expected
    turned = image.reshape(50, 40, 3)  # the same bytes
    assert dataset_of([turned]).pictures[0].sha256 != expected


def test_paths_stay_where_they_are(tmp_path: Path) -> None:
    for name, image in arrays():
        Path(f"{name}.png").write_bytes(png_bytes(image))
    dataset = dataset_of([Path("image-0.png"), "image-1.png", ("mine", "image-2.png"), arrays()[0][1]])
    assert names(dataset) == ["image-0", "image-1", "mine", "00003"]
    assert [picture.path for picture in dataset.pictures[:3]] == [tmp_path / f"image-{n}.png" for n in range(3)]
    assert dataset.pictures[0].sha256 == hashlib.sha256(Path("image-0.png").read_bytes()).hexdigest()
    assert dataset_of([Path(f"image-{n}.png") for n in range(3)]).fingerprint == open_dataset("*.png").fingerprint


def test_a_folder_of_ones_own_and_what_is_there_already(tmp_path: Path) -> None:
    dataset = dataset_of(arrays(), "mine", folder=tmp_path / "own", preparation="crop16")
    assert (dataset.name, dataset.preparation) == ("mine@crop16", "crop16")
    assert dataset.notes == ()
    files = sorted((tmp_path / "own").iterdir())
    assert len(files) == 3
    assert all(is_stored(path) for path in files)
    assert not stored_folder().exists()
    before = [path.stat().st_mtime_ns for path in files]
    files[1].write_bytes(b"damaged")
    assert dataset_of(arrays(), "mine", folder=tmp_path / "own", preparation="crop16") == dataset
    assert [path.stat().st_mtime_ns for path in files][::2] == before[::2]
    assert same(replace(dataset, preparation="none"), [image for _, image in arrays()])


def test_a_data_set_stays_itself() -> None:
    dataset = dataset_of(arrays())
    assert dataset_of(dataset) is dataset
    assert dataset_of(dataset, preparation="crop8").name == "arrays@crop8"


def test_the_same_image_under_two_names_is_one_file() -> None:
    image = arrays(1)[0][1]
    dataset = dataset_of([("a", image), ("b", image)])
    assert names(dataset) == ["a", "b"]
    assert len(list(stored_folder().iterdir())) == 1


def test_where_nothing_can_be_written() -> None:
    Path("cache").write_text("a file")
    with pytest.raises(BenchmarkError, match="cache/arrays: cannot be made: Not a directory"):
        dataset_of(arrays())


# A data set of Hugging Face's, which is not installed here: what of it is used


class Feature:
    """As `datasets.Image`."""

    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class Rows:
    """As `datasets.Dataset` with a column of images, stored as bytes or paths; decoded unless they are asked not to."""

    def __init__(self, stored: list[dict[str, Any]], columns: tuple[str, ...] = ("image", "label")) -> None:
        self.stored, self.column_names, self.kind = stored, list(columns), "torch"
        self.features: dict[str, Any] = {name: Feature() for name in columns if name != "label"} | {"label": "int"}

    @property
    def format(self) -> dict[str, Any]:
        return {"type": self.kind}

    def cast_column(self, column: str, feature: Feature) -> "Rows":
        other = Rows(self.stored, tuple(self.column_names))
        other.features[column] = feature
        return other

    def with_format(self, kind: str | None) -> "Rows":
        self.kind = str(kind)
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for stored in self.stored:
            plain = self.kind == "None" and not self.features[self.column_names[0]].decode
            yield {name: stored if plain else np.zeros((4, 4, 3), np.uint8) for name in self.column_names}


def test_a_hugging_face_data_set_gives_the_files_that_it_holds() -> None:
    data = [png_bytes(image) for _, image in arrays()]
    dataset = dataset_of(Rows([{"bytes": each, "path": None} for each in data]))
    assert names(dataset) == ["00000", "00001", "00002"]
    assert [picture.sha256 for picture in dataset.pictures] == [hashlib.sha256(each).hexdigest() for each in data]
    assert same(dataset, [image for _, image in arrays()])
    Path("b.png").write_bytes(data[1])
    rows = Rows([{"bytes": data[0], "path": "x/a.png"}, {"bytes": None, "path": "b.png"}])
    assert names(dataset_of(rows)) == ["a", "b"]
    rows = Rows([{"bytes": data[0], "path": "x/a.png"}, {"bytes": data[1], "path": "y/a.png"}])
    assert names(dataset_of(rows)) == ["00000", "00001"]


def test_columns_splits_and_transforms_of_a_hugging_face_data_set() -> None:
    stored = [{"bytes": png_bytes(arrays(1)[0][1]), "path": None}]
    assert dataset_of(Rows(stored, ("photo",))).fingerprint == dataset_of(Rows(stored)).fingerprint
    assert (
        dataset_of(Rows(stored, ("photo", "label")), column="photo").fingerprint == dataset_of(Rows(stored)).fingerprint
    )
    with pytest.raises(UsageError, match="no column is named 'image'; there are photo, label"):
        dataset_of(Rows(stored, ("photo", "label")))
    with pytest.raises(UsageError, match="it has the splits train, test; take one of them"):
        dataset_of({"train": Rows(stored), "test": Rows(stored)})
    assert same(dataset_of(Rows(stored).with_format("custom")), [np.zeros((4, 4, 3), np.uint8)])


def test_a_stream_that_does_not_know_its_columns() -> None:
    class Stream:
        """As `datasets.IterableDataset` after `map`, or from a generator."""

        column_names = features = None

        def __init__(self, rows: list[dict[str, Any]]) -> None:
            self.rows = rows

        def __iter__(self) -> Iterator[dict[str, Any]]:
            return iter(self.rows)

    images = [image for _, image in arrays()]
    assert same(dataset_of(Stream([{"image": image, "label": 1} for image in images])), images)
    assert same(dataset_of(Stream([{"photo": Image.fromarray(image)} for image in images])), images)
    assert same(dataset_of(Stream([{"image": {"bytes": png_bytes(image), "path": None}} for image in images])), images)
    with pytest.raises(UsageError, match="no column is named 'image'; there are a, b"):
        dataset_of(Stream([{"a": images[0], "b": images[1]}]))
    with pytest.raises(UsageError, match="there is no image in it"):
        dataset_of(Stream([]))


# Bad input

IMAGE = arrays(1)[0][1]


@pytest.mark.parametrize(
    ("things", "reason"),
    [
        ([], "there is no image in it"),
        (None, "None, where images"),
        (3, "an int, where images"),
        ("photos", "a str, where images"),
        (IMAGE, r"one array uint8 \(40, 50, 3\); give a list of images"),
        ([IMAGE / 255], r"image 0: float64 \(40, 50, 3\); an image is a uint8 array"),
        ([("a", IMAGE[..., 0])], r"image 0 \('a'\): uint8 \(40, 50\); an image is a uint8 array"),
        ([IMAGE, IMAGE[:0]], r"image 1: uint8 \(0, 50, 3\)"),
        ([np.ma.masked_array(IMAGE, IMAGE > 9)], "image 0: a masked array, and no codec knows a mask"),
        ([IMAGE.astype(np.uint16)], r"uint16 \(40, 50, 3\)"),
        ([torch.zeros(3, 8, 8)], r"a tensor float32 \(3, 8, 8\); a tensor is uint8 \(3, height, width\)"),
        (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), r"a tensor uint8 \(8, 8, 3\); a tensor is uint8 \(3,"),
        ([None], "image 0 is None"),
        ([IMAGE.tolist()], "image 0 is a list of 40"),
        ([(IMAGE, 3)], r"its name is uint8 \(40, 50, 3\), not text; give images or pairs"),
        ([(3, IMAGE)], "its name is an int, not text"),
        ([("", IMAGE)], "its name is empty"),
        ([("a\nb", IMAGE)], "its name is empty or cannot be printed"),
        ([("a", IMAGE, 3)], r"image 0 is a tuple of 3, not a pair \(name, image\)"),
        ([("a", IMAGE), ("b", IMAGE), ("a", IMAGE)], "images 0 and 2 are both called 'a'"),
        ([("00001", IMAGE), IMAGE], "images 0 and 1 are both called '00001'"),
        (["nowhere.png"], "image 0: there is no file nowhere.png"),
        ([Image.new("CMYK", (4, 4))], "colour mode CMYK"),
        ([Image.new("RGBA", (4, 4))], "transparent parts"),
    ],
)  # fmt: skip
def test_what_is_no_data_set_of_images(things: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=f"^data set mine: .*{reason}") as caught:
        dataset_of(things, "mine")
    assert "\n" not in str(caught.value)


def test_one_file_twice_without_names() -> None:
    Path("a.png").write_bytes(png_bytes(IMAGE))
    with pytest.raises(UsageError, match=r"two images would be called a\.png; one file twice"):
        dataset_of(["a.png", "a.png"])


@pytest.mark.parametrize(
    ("code", "reason", "exit_code"),
    [
        ("raise RuntimeError('no\\nmore')", "failed at image 1: RuntimeError: no more (bad.py:7 in images)", 3),
        ("import sys; sys.exit()", "failed at image 1: RuntimeError: it calls sys.exit() (bad.py:7 in images)", 3),
        ("yield 'b', a / 2", "image 1 ('b'): float64 (8, 8, 3); an image is a uint8 array", 2),
        ("yield 'a', a", "images 0 and 1 are both called 'a'", 2),
    ],
)
def test_a_function_that_goes_wrong_is_one_line_and_no_run(code: str, reason: str, exit_code: int) -> None:
    Path("bad.py").write_text(
        f"import numpy as np\n\n\ndef images():\n    a = np.zeros((8, 8, 3), np.uint8)\n    yield 'a', a\n    {code}\n"
    )
    process = start("run", "--only", "--codec", "jpeg", "--dataset", "./bad.py:images", "-o", "run", folder=Path.cwd())
    _, errors = process.communicate(timeout=600)
    assert process.returncode == exit_code
    assert errors.startswith(f"error: data set bad.py:images: {reason}")
    assert errors.count("\n") == 1
    assert not Path("run").exists()


def test_a_function_that_changes_the_working_folder_changes_it_for_no_one_else() -> None:
    Path("wanders.py").write_text(
        "import os\nimport numpy as np\n\n\ndef images():\n    os.chdir('/')\n"
        "    yield 'a', np.zeros((8, 8, 3), np.uint8)\n\n\n"
        "def listed():\n    os.chdir('/')\n    return [np.zeros((8, 8, 3), np.uint8)]\n"
    )
    before = Path.cwd()
    for name in ("images", "listed"):
        assert len(open_dataset(f"./wanders.py:{name}").pictures) == 1
        assert Path.cwd() == before


def test_a_function_that_fails_at_once_or_leaves() -> None:
    Path("bad.py").write_text(
        "import sys\n\n\ndef raises():\n    raise OSError('gone')\n\n\ndef leaves():\n    sys.exit(0)\n\n\nnumber = 3\n"
    )
    with pytest.raises(BenchmarkError, match=r"bad\.py:raises: cannot be opened: OSError: gone"):
        open_dataset("./bad.py:raises")
    with pytest.raises(BenchmarkError, match=r"bad\.py:leaves: .* it calls sys\.exit\(0\)"):
        open_dataset("./bad.py:leaves")
    with pytest.raises(UsageError, match="3 is neither a class nor a function"):
        open_dataset("./bad.py:number")


# In runs


def run(output: Path, dataset: str = "./my_data.py:images", **changes: Any) -> list[Trial]:
    request = Request(
        ["jpeg"], only=True, dataset=dataset, qualities=["20,60"], metrics=["psnr"], output=output, workers=1
    )
    with open_run(replace(request, **changes)) as ready:
        return list(ready.execute())


def values(output: Path) -> dict[Any, Any]:
    return {trial.key: (trial.bytes, trial.metrics["psnr"]) for trial in RunFolder.open(output).trials()}


def test_two_workers_have_the_values_of_one_and_of_a_folder(tmp_path: Path) -> None:
    Path("my_data.py").write_text(SOURCE)
    Path("folder").mkdir()
    for name, image in arrays():
        Path("folder", f"{name}.png").write_bytes(png_bytes(image))
    assert len(run(tmp_path / "one")) == 6
    run(tmp_path / "two", workers=2)
    run(tmp_path / "of-files", "folder")
    assert values(tmp_path / "one") == values(tmp_path / "two") == values(tmp_path / "of-files")


def test_a_run_goes_on_though_the_cache_was_cleared(tmp_path: Path) -> None:
    Path("my_data.py").write_text(SOURCE)
    request = Request(
        ["jpeg"],
        only=True,
        dataset="./my_data.py:images",
        qualities=["20,60"],
        metrics=["psnr"],
        output=tmp_path / "run",
    )
    with open_run(request) as ready, contextlib.closing(ready.execute()) as trials:
        for _ in range(2):
            next(trials)
    shutil.rmtree(stored_folder())
    with open_run(request) as ready:
        assert ready.done == 2
        assert len(list(ready.execute())) == 4
    assert all(trial.error is None for trial in RunFolder.open(tmp_path / "run").trials())
    Path("other").mkdir()
    Path("other/my_data.py").write_text(SOURCE.replace("default_rng(0)", "default_rng(1)"))
    with pytest.raises(
        UsageError, match=r"data set: my_data\.py:images \(\w+\) there, my_data\.py:images \(\w+\) asked"
    ):
        run(tmp_path / "run", "./other/my_data.py:images")


def test_what_comes_after_a_run_finds_its_images(tmp_path: Path) -> None:
    from benchmark.running.remeasure import open_measuring

    Path("my_data.py").write_text(SOURCE)
    run(tmp_path / "run", "./my_data.py:images:n=2@crop32", keep_reconstructions=True)
    recorded = json.loads((tmp_path / "run/run.json").read_text())["dataset"]
    assert recorded["preparation"] == "crop32"
    assert [Path(picture["path"]).stem.removeprefix("image-") for picture in recorded["pictures"]] == [
        p["sha256"] for p in recorded["pictures"]
    ]
    shutil.rmtree(stored_folder())
    with (
        pytest.raises(BenchmarkError, match="--dataset says where it is"),
        open_measuring(tmp_path / "run", ["kd-effnet"], None, "cpu"),
    ):
        pass
    with open_measuring(tmp_path / "run", ["kd-effnet"], "./my_data.py:images:n=2@crop32", "cpu") as measuring:
        assert len(list(measuring.execute())) == 4
    assert "kd-effnet" in RunFolder.open(tmp_path / "run").manifest.metrics


def test_an_image_that_cannot_be_read_costs_its_trials_only(tmp_path: Path) -> None:
    Path("broken.png").write_bytes(b"no image")
    Path("my_data.py").write_text(SOURCE + "    yield 'broken', 'broken.png'\n")
    trials = run(tmp_path / "run", "./my_data.py:images@crop40")
    errors = {trial.image: trial.error for trial in trials if trial.error}
    assert errors.keys() == {"broken"}
    assert re.search(r"broken\.png: not an image", str(errors["broken"]))
    assert len(trials) == 8


def test_an_image_that_is_too_small_is_recorded(tmp_path: Path) -> None:
    Path("my_data.py").write_text(SOURCE)
    trials = run(tmp_path / "run", "./my_data.py:images:n=1@crop41")
    assert {re.sub(r"^.*: ", "", str(trial.error)) for trial in trials} == {
        "50x40 is smaller than 41x41; crop41 adds no borders"
    }


def test_a_worker_that_lacks_the_file_writes_it(tmp_path: Path) -> None:
    path = Path(dataset_of(arrays(1), folder=tmp_path / "there").pictures[0].path)
    data = path.read_bytes()
    path.unlink()
    assert store(data, path.suffix) == (stored_folder() / path.name, hashlib.sha256(data).hexdigest())
    assert np.array_equal(load_image(stored_folder() / path.name), arrays(1)[0][1])
    assert not is_stored("s3://bucket/" + path.name)
    assert not is_stored(Path(f"{hashlib.sha256(data).hexdigest()}.ppm"))


def test_arrays_of_a_program_leave_nothing_on_the_disk(tmp_path: Path) -> None:
    results = benchmark.evaluate("jpeg", iter(arrays(2)), metrics=["psnr"], qualities=[50])
    again = benchmark.evaluate("jpeg", dict(arrays(2)), metrics=["psnr"], qualities=[50])
    assert results.failures == again.failures == ()
    assert list(results.trials["image"]) == list(again.trials["image"]) == ["image-0", "image-1"]
    assert list(results.trials["psnr"]) == list(again.trials["psnr"])
    assert list(tmp_path.iterdir()) == []
    kept = benchmark.evaluate("jpeg", arrays(2), metrics=["psnr"], qualities=[50], output="run")
    assert list(kept.trials["psnr"]) == list(again.trials["psnr"])
    assert len(list(stored_folder().iterdir())) == 2  # for what comes after the run


# Documents


@pytest.mark.checkout
def test_the_page_s_data_set_runs(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "how-to" / "data-sets.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- own data set -->\n```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    assert len(found[1].splitlines()) < 25
    assert "--dataset ./my_data.py:images" in text
    Path("my_data.py").write_text(found[1])
    process = start(
        "run", "--only", "--codec", "jpeg", "--quality", "50", "--metric", "psnr", "--workers", "1",
        "--dataset", "./my_data.py:images:n=2", "-o", "run", folder=tmp_path,
    )  # fmt: skip
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert "my_data.py:images:n=2" in output
    assert len({picture.sha256 for picture in RunFolder.open(tmp_path / "run").manifest.dataset.pictures}) == 2


def test_a_cache_that_was_cleared_is_named_and_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images of a function lie in the cache; `measure` and `report` say how they come back, and they do."""
    from benchmark.reports.page.pictures import write_originals
    from benchmark.running.remeasure import open_measuring
    from benchmark.running.run import Request, open_run

    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    lines = [
        "import numpy as np",
        "def images():",
        "    return np.full((2, 16, 16, 3), 7, np.uint8) + np.arange(2, dtype=np.uint8)[:, None, None, None]",
    ]
    (tmp_path / "mine.py").write_text("\n".join(lines))
    spec = f"{tmp_path}/mine.py:images"
    asked = Request(["jpeg"], True, spec, ["50"], ["bpp"], output=tmp_path / "run", keep_reconstructions=True)
    with open_run(asked) as run:
        list(run.execute())
    shutil.rmtree(tmp_path / "cache")
    said = f"came from a program and was kept in {tmp_path}/cache/arrays, where it is no more; --dataset says"
    with (
        pytest.raises(BenchmarkError, match=f"the original of 00000 {re.escape(said)}"),
        open_measuring(tmp_path / "run", ["psnr"], None, "cpu"),
    ):
        pass
    written = write_originals(run.folder.manifest, {}, tmp_path / "page", 2, lambda items, name: items)
    assert all(said in original.problem for original in written)
    with open_measuring(tmp_path / "run", ["psnr"], spec, "cpu") as measuring:
        assert len(list(measuring.execute())) == 2
    assert len(list((tmp_path / "cache" / "arrays").iterdir())) == 2
