"""The pictures that codecs are measured on: data sets by name, or any folder."""

from pathlib import Path

from benchmark.errors import UsageError
from benchmark.registry import Registry
from datasets.pictures import Dataset, Picture, folder_dataset, limit

__all__ = ["DATASETS", "Dataset", "Picture", "limit", "open_dataset"]

DATASETS = Registry("data set")
"""Entries are functions `() -> Dataset`."""
DATASETS.add("photos", "datasets.shipped:photos", "24 photographs that come with the suite, 768x512")
DATASETS.add("kodak", "datasets.kodak:kodak", "the 24 Kodak images, 768x512; python -m benchmark fetch kodak")


def open_dataset(spec: str) -> Dataset:
    """The data set that is registered as `spec`, or the pictures in the folder at the path `spec`.

    A registered name wins over a folder of that name ("./kodak" takes the folder). A folder's data set bears the
    folder's name; where that is a registered name, its fingerprint follows, so that tables keep the two apart.

    Raises UsageError if there is neither, or no picture in the folder; BenchmarkError, which says how to fetch them,
    if the files of a registered data set are not there or are not the well-known ones.
    """
    if spec and spec not in DATASETS:
        folder = Path(spec).expanduser()
        if folder.is_dir():
            return _of_folder(folder)
        if folder.exists() or "/" in spec:
            what = "a file" if folder.exists() else "no such folder"
            raise UsageError(f"{spec}: {what}; a data set is a folder of pictures or one of {', '.join(DATASETS)}")
    dataset: Dataset = DATASETS.load(spec)()  # names the nearest ones if there is none
    return dataset


def _of_folder(folder: Path) -> Dataset:
    name = folder.resolve().name or "root"
    dataset = folder_dataset(folder, name)
    if name in DATASETS:
        return Dataset(f"{name}-{dataset.fingerprint}", dataset.pictures, dataset.preparation)
    return dataset
