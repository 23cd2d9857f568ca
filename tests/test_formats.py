"""One list of suffixes, for data sets and trainings, of formats that are read."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import open_dataset
from benchmark.errors import BenchmarkError
from benchmark.formats import FORMATS, OTHER_SUFFIXES, SUFFIXES, is_named_as_another, is_named_as_image
from benchmark.training.crops import open_pictures


def test_every_suffix_is_of_a_format_that_is_read() -> None:
    formats = Image.registered_extensions()
    assert {formats[suffix] for suffix in SUFFIXES} <= set(FORMATS)


def test_a_training_takes_the_images_that_a_data_set_takes(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for suffix in ("png", "pgm", "TIF", "gif"):
        mode = "L" if suffix == "pgm" else "RGB"
        samples = generator.integers(0, 256, (128, 130) if mode == "L" else (128, 130, 3), dtype=np.uint8)
        Image.fromarray(samples).save(folder / f"{suffix}.{suffix}")
    (folder / "notes.txt").write_text("no image")
    assert [image.name for image in open_dataset(str(folder)).pictures] == ["TIF", "pgm", "png"]
    store = open_pictures(folder, tmp_path / "cache")
    assert store.shapes == ((128, 130),) * 3
    grey = np.asarray(Image.open(folder / "pgm.pgm"))
    assert any(np.array_equal(store.picture(n), np.stack([grey] * 3, -1)) for n in range(3))


def test_a_training_refuses_what_a_data_set_refuses(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.png").symlink_to("gone.png")
    with pytest.raises(BenchmarkError, match=r"a\.png: a link to what is not there"):
        open_pictures(folder, tmp_path / "cache")
    (folder / "a.png").unlink()
    Image.fromarray(np.zeros((130, 130, 4), np.uint8)).save(folder / "b.png")
    with pytest.raises(BenchmarkError, match=r"b\.png: has transparent parts"):
        open_pictures(folder, tmp_path / "cache")


def test_suffixes_are_of_one_kind_or_the_other() -> None:
    assert not SUFFIXES & OTHER_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUFFIXES | OTHER_SUFFIXES)
    assert is_named_as_image("a.PNG")
    assert is_named_as_another("a.b.HEIC")
    for name in (".png", ".a.png", "png", "a.png.txt", "a."):
        assert not is_named_as_image(name)
        assert not is_named_as_another(name)
