"""Well-known images are known by their hashes, whatever the folder is called."""

from collections import Counter

from benchmark.datasets import clic2020, coco, div2k, kodak
from benchmark.datasets.pictures import Dataset, Picture, unique_names

ARCHIVED = (
    *(clic2020.TEST, clic2020.PROFESSIONAL_VALID, clic2020.MOBILE_VALID, div2k.VALID),
    *(coco.COCO30K_VAL2014, coco.COCO30K_PERCO, coco.COCO30K_TACO, coco.COCO_VAL2017),
)
"""The suite's data sets out of archives, all of them."""


def known_sums() -> dict[str, tuple[dict[str, str], str]]:
    """Data set -> (file name -> SHA-256, preparation): Kodak, and those out of archives that were fetched here.

    The archives have well-known hashes; those of their images are known once they are unpacked.
    """
    known = {"kodak": ({file: sha256 for file, (_, sha256) in kodak.FILES.items()}, "none")}
    for dataset in ARCHIVED:
        sums = dataset.sums()
        if sums:
            known[dataset.name] = (sums, dataset.preparation)
    return known


def recognised(dataset: Dataset) -> tuple[Dataset | None, str]:
    """(the well-known data set that `dataset` is, or None; a note for the user, "" if none of its images is known).

    If they are all of a well-known one, and nothing else, prepared in the same way, they are it: its name, order and
    image names, and so its fingerprint. Results of both can be put side by side. Well-known ones may share images: the
    one that it is counts, then the one that has most of them.
    """
    here = {picture.sha256: picture for picture in dataset.pictures}
    content = Counter(picture.sha256 for picture in dataset.pictures)
    notes: list[tuple[int, str]] = []
    for name, (sums, preparation) in known_sums().items():
        shared = here.keys() & set(sums.values())
        if not shared:
            continue
        if Counter(sums.values()) != content:
            notes.append(
                (len(shared), f"by their hashes, {len(shared)} of these {len(dataset.pictures)} images are of {name}")
            )
        elif preparation != dataset.preparation:
            ways = f"{dataset.preparation} here, {preparation} there"
            words = f"by their hashes, these are the images of {name}, prepared in another way: {ways}"
            notes.append((len(shared) + 1, words))
        else:
            names = unique_names(sums)
            pictures = tuple(Picture(names[file], here[digest].path, digest) for file, digest in sums.items())
            return Dataset(name, pictures, preparation), f"by their hashes, these are the images of {name}"
    return None, max(notes, key=lambda note: note[0])[1] if notes else ""
