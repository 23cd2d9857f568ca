"""One list of suffixes, for data sets and trainings, of formats that are read."""

from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.datasets import open_dataset
from benchmark.formats import FORMATS, SUFFIXES
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
