"""The pictures that codecs are measured on: data sets by name, or any folder."""

from dataclasses import replace
from pathlib import Path

from benchmark.datasets.pictures import (
    SUFFIXES,
    Dataset,
    Picture,
    address_dataset,
    folder_dataset,
    glob_dataset,
    limit,
    list_dataset,
)

from benchmark.addresses import is_address, location
from benchmark.errors import UsageError
from benchmark.registry import Registry

__all__ = ["DATASETS", "Dataset", "Picture", "limit", "open_dataset"]

DATASETS = Registry("data set")
"""Entries are functions `() -> Dataset`."""
DATASETS.add("photos", "benchmark.datasets.shipped:photos", "24 photographs that come with the suite, 768x512")
DATASETS.add("kodak", "benchmark.datasets.kodak:kodak", "the 24 Kodak images, 768x512; python -m benchmark fetch kodak")
DATASETS.add(
    "clic2020-test", "benchmark.datasets.clic2020:open_test", "CLIC2020 test, 178 mobile and 250 professional; 1.6 GB"
)
DATASETS.add(
    "clic2020-professional-valid",
    "benchmark.datasets.clic2020:open_professional_valid",
    "41 pictures of CLIC2020; 135 MB",
)
DATASETS.add(
    "clic2020-mobile-valid", "benchmark.datasets.clic2020:open_mobile_valid", "61 pictures of CLIC2020; 237 MB"
)
DATASETS.add(
    "coco30k-val2014", "benchmark.datasets.coco:open_coco30k_val2014", "30,000 of MS-COCO val2014 at 256x256; 6.6 GB"
)
DATASETS.add(
    "coco-val2017", "benchmark.datasets.coco:open_coco_val2017", "the 5,000 of MS-COCO val2017 at 256x256; 816 MB"
)


def open_dataset(spec: str) -> Dataset:
    """The data set that `spec` names.

    A registered name; a folder, for the pictures in it; a pattern such as "photos/**/*.png"; a text file that lists
    pictures; or the address of such a folder or list, "s3://bucket/folder". "@square256" behind it prepares the
    pictures in that way (`benchmark.images.PREPARATIONS`). A registered name wins over a folder of that name
    ("./kodak" takes the folder). Pictures of well-known data sets are recognised by their hashes: see
    `benchmark.datasets.recognition`. Another data set with a registered name has its fingerprint behind it, so that
    tables keep the two apart.

    Raises UsageError if there is no such thing, or no picture in it; BenchmarkError, which says how to fetch them, if
    the files of a registered data set are not there or are not the well-known ones.
    """
    place, preparation = _split(spec)
    if place in DATASETS:
        registered: Dataset = DATASETS.load(place)()
        return _prepared(registered, spec, preparation)
    return _told_apart(_prepared(_own(place), spec, preparation))


def _split(spec: str) -> tuple[str, str]:
    """(spec without its preparation, preparation or "none"). A path with an @ in it is a path."""
    place, at, preparation = spec.rpartition("@")
    if not at or not place or "/" in preparation or Path(spec).expanduser().exists():
        return spec, "none"
    from benchmark.images import PREPARATIONS

    if preparation not in PREPARATIONS:
        raise UsageError(f"{spec}: no preparation is named {preparation!r}; there are {', '.join(PREPARATIONS)}")
    return place, preparation


def _prepared(dataset: Dataset, spec: str, preparation: str) -> Dataset:
    if preparation in ("none", dataset.preparation):
        return dataset
    if dataset.preparation != "none":
        raise UsageError(f"{spec}: these pictures are prepared already, as {dataset.preparation}")
    return replace(dataset, name=f"{dataset.name}@{preparation}", preparation=preparation)


def _own(place: str) -> Dataset:
    """The user's own pictures: a folder, a list or a pattern."""
    found = location(place)
    if isinstance(found, str):
        return address_dataset(found)
    if is_address(place):  # file://
        place = str(found)
    path = found.expanduser()
    if place and path.is_dir():
        return folder_dataset(path, path.resolve().name or "root")
    if place and path.is_file() and path.suffix.lower() not in SUFFIXES:
        return list_dataset(path)
    if not path.exists() and any(mark in place for mark in "*?["):
        return glob_dataset(place)
    if place and (path.exists() or "/" in place):
        what = "a picture" if path.exists() else "no such folder or list"
        kinds = f"a folder, a pattern or a list of pictures, here or at an address, or one of {', '.join(DATASETS)}"
        raise UsageError(f"{place}: {what}; a data set is {kinds}")
    dataset: Dataset = DATASETS.load(place)()  # there is none: names the nearest ones
    return dataset


def _told_apart(dataset: Dataset) -> Dataset:
    """The user's own data set, recognised; under a name that no registered one has, unless it is that one."""
    from benchmark.datasets.recognition import recognised

    known, note = recognised(dataset)
    if known is not None:
        return replace(known, notes=(note,))
    if dataset.name in DATASETS:
        dataset = replace(dataset, name=f"{dataset.name}-{dataset.fingerprint}")
    return replace(dataset, notes=(note,)) if note else dataset
