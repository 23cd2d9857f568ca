"""The images that codecs are measured on: data sets by name, of your own Python file, or any folder."""

import contextlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.addresses import is_address, location
from benchmark.containment import containment_of
from benchmark.datasets.arrays import collected
from benchmark.datasets.pictures import (
    Dataset,
    Picture,
    address_dataset,
    folder_dataset,
    glob_dataset,
    limit,
    list_dataset,
    parse_sample,
    sample,
)
from benchmark.errors import UsageError, printable
from benchmark.files import expanded
from benchmark.formats import SUFFIXES
from benchmark.preparations import check_preparation
from benchmark.registry import Registry, Spec, parse_spec

__all__ = ["DATASETS", "PLACES", "Dataset", "Picture", "dataset_of", "limit", "open_dataset", "parse_sample", "sample"]

DATASETS = Registry("data set", "hfd_benchmark.datasets")
"""Entries are functions that return a `Dataset`, or what `dataset_of` makes one of."""
DATASETS.add("photos", "benchmark.datasets.shipped:photos", "24 photographs that come with the suite, 768x512")
DATASETS.add("kodak", "benchmark.datasets.kodak:kodak", "the 24 Kodak images, 768x512; python -m benchmark fetch kodak")
DATASETS.add(
    "clic2020-test", "benchmark.datasets.clic2020:open_test", "CLIC2020 test, 178 mobile and 250 professional; 1.6 GB"
)
DATASETS.add(
    "clic2020-professional-valid",
    "benchmark.datasets.clic2020:open_professional_valid",
    "41 images of CLIC2020; 135 MB",
)
DATASETS.add("clic2020-mobile-valid", "benchmark.datasets.clic2020:open_mobile_valid", "61 images of CLIC2020; 237 MB")
DATASETS.add(
    "coco30k-val2014", "benchmark.datasets.coco:open_coco30k_val2014", "30,000 of MS-COCO val2014 at 256x256; 6.6 GB"
)
DATASETS.add(
    "coco30k-perco", "benchmark.datasets.coco:open_coco30k_perco", "PerCo's 30,000 of train2017 at 512x512; 19 GB"
)
DATASETS.add(
    "coco30k-taco", "benchmark.datasets.coco:open_coco30k_taco", "TACO's 30,504 of val2014, as they are; 6.6 GB"
)
DATASETS.add("div2k-valid", "benchmark.datasets.div2k:open_valid", "the 100 of DIV2K's validation set; 449 MB")
DATASETS.add(
    "coco-val2017", "benchmark.datasets.coco:open_coco_val2017", "the 5,000 of MS-COCO val2017 at 256x256; 816 MB"
)
DATASETS.with_installed()

PLACES = {
    "FOLDER": "every PNG, JPEG, WebP, AVIF, BMP, PPM and TIFF in it",
    "'FOLDER/**/*.png'": "the images with such a path, sorted by path",
    "FILE.txt": "the images that it lists, one path per line, in its order; or the output of `sha256sum`, verified",
    "FILE.py:NAME": "the images that a function of yours yields, arrays or paths",
    "s3://BUCKET/FOLDER": "such a folder or list at an address (`gs://`, `http://` too), read where the trial runs",
}
"""What may stand in the place of a name."""


def open_dataset(spec: str) -> Dataset:
    """The data set that `spec` names.

    A registered name; `./file.py:function`, which returns or yields images as `dataset_of` takes them; a folder, for
    the images in it; a pattern such as "photos/**/*.png"; a text file that lists images; or the address of such a
    folder or list, "s3://bucket/folder". Settings follow a function's name as a codec's, `./file.py:function:n=8`.
    "@crop256" behind it prepares the images in that way (`benchmark.preparations`). A registered name wins over a
    folder of that name ("./kodak" takes the folder). Images of well-known data sets are recognised by their hashes:
    see `benchmark.datasets.recognition`. Another data set with a registered name has its fingerprint behind it, so that
    tables keep the two apart.

    Raises UsageError if there is no such thing, or no image in it; BenchmarkError, which says how to fetch them, if
    the files of a registered data set are not there or are not the well-known ones.
    """
    place, preparation = _split(spec)
    if Spec(place, place).file is not None or (place.partition(":")[0] in DATASETS and not is_address(place)):
        opened = _made(place)
        if place in DATASETS:
            return _prepared(opened, spec, preparation)
    else:
        opened = _own(place)
    return _told_apart(_prepared(opened, spec, preparation))


def dataset_of(
    things: Any, name: str = "arrays", folder: Path | None = None, column: str | None = None, preparation: str = "none"
) -> Dataset:
    """The images in `things` as a data set called `name`, in their order.

    things: a `Dataset`, or an iterable (a generator too) of images or of pairs (name, image), a mapping of names to
    images, a uint8 array (N, height, width, 3), a uint8 tensor (N, 3, height, width), or a data set of Hugging Face's.
    An image is a uint8 array (height, width, 3), RGB, a uint8 tensor (3, height, width), a Pillow image, the bytes of
    an image file, or the path or address of one. The same images under the same names have the same fingerprint
    whichever way they come.

    folder: where images that are no files are written as such; None for the suite's cache. column: of a Hugging Face
    data set; None for "image", or the only one. preparation: as behind "@" in `open_dataset`.

    Raises UsageError on what is no image and on two images of one name, BenchmarkError if `things` fails midway or a
    file cannot be read or written.
    """
    if preparation != "none":
        check_preparation(preparation)
    if isinstance(things, Dataset):
        return _prepared(things, things.name, preparation)
    return _told_apart(_prepared(collected(things, name, folder, column), name, preparation))


def _made(place: str) -> Dataset:
    """The data set of a function, ours or somebody else's."""
    spec = parse_spec(place, DATASETS.kind)
    of_file = containment_of(spec.file)
    ours = spec.file is None and spec.name not in DATASETS.installed
    with contextlib.nullcontext() if ours else of_file.inside(opening=True):
        DATASETS.load(spec.name)
    containment = of_file.copy()
    with contextlib.nullcontext() if ours else containment.inside(opening=True):
        things = DATASETS.make(spec, {})
    if isinstance(things, Dataset):
        return things
    name = printable(place.rpartition("/")[2] if "/" in place.partition(":")[0] else place)
    return collected(things, name, containment=containment)


def _split(spec: str) -> tuple[str, str]:
    """(spec without its preparation, preparation or "none"). A path with an @ in it is a path."""
    place, at, preparation = spec.rpartition("@")
    if not at or not place or not re.fullmatch(r"\w+", preparation) or expanded(spec).exists():
        return spec, "none"
    try:
        check_preparation(preparation)
    except UsageError as error:
        raise UsageError(f"{spec}: {error}") from None
    return place, preparation


def _prepared(dataset: Dataset, spec: str, preparation: str) -> Dataset:
    if preparation in ("none", dataset.preparation):
        return dataset
    if dataset.preparation != "none":
        raise UsageError(f"{spec}: these images are prepared already, as {dataset.preparation}")
    return replace(dataset, name=f"{dataset.name}@{preparation}", preparation=preparation)


def _own(place: str) -> Dataset:
    """The user's own images: a folder, a list or a pattern."""
    found = location(place)
    if isinstance(found, str):
        return address_dataset(found)
    if is_address(place):  # file://
        place = str(found)
    path = expanded(found)
    if place and path.is_dir():
        return folder_dataset(path, printable(path.resolve().name) or "root")
    if place and path.is_file() and path.suffix.lower() not in SUFFIXES:
        return list_dataset(path)
    if not path.exists() and any(mark in place for mark in "*?["):
        return glob_dataset(place)
    if place and (path.exists() or "/" in place):
        what = "an image" if path.exists() else "no such folder or list"
        kinds = (
            "a folder, a pattern or a list of images, here or at an address, ./file.py:function, "
            f"or one of {', '.join(DATASETS)}"
        )
        raise UsageError(f"{place}: {what}; a data set is {kinds}")
    dataset: Dataset = DATASETS.load(place)()  # there is none: names the nearest ones
    return dataset


def _told_apart(dataset: Dataset) -> Dataset:
    """The user's own data set, recognised; under a name that no registered one has, unless it is that one."""
    from benchmark.datasets.recognition import recognised

    known, note = recognised(dataset)
    if known is not None:
        return replace(known, notes=(*dataset.notes, note))
    if dataset.name in DATASETS:
        dataset = replace(dataset, name=f"{dataset.name}-{dataset.fingerprint}")
    return replace(dataset, notes=(*dataset.notes, note)) if note else dataset
