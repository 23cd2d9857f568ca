"""Well-known images are known by their hashes, whatever the folder is called."""

from benchmark.datasets import clic2020, coco, kodak
from benchmark.datasets.pictures import Dataset, Picture, unique_names


def known_sums() -> dict[str, tuple[dict[str, str], str]]:
    """Data set -> (file name -> SHA-256, preparation): Kodak, and those of CLIC and COCO that were fetched here.

    The archives of CLIC and COCO have well-known hashes; those of their images are known once they are unpacked.
    """
    known = {"kodak": ({file: sha256 for file, (_, sha256) in kodak.FILES.items()}, "none")}
    archived = (clic2020.TEST, clic2020.PROFESSIONAL_VALID, clic2020.MOBILE_VALID, coco.COCO30K_VAL2014)
    for dataset in (*archived, coco.COCO_VAL2017):
        sums = dataset.sums()
        if sums:
            known[dataset.name] = (sums, dataset.preparation)
    return known


def recognised(dataset: Dataset) -> tuple[Dataset | None, str]:
    """(the well-known data set that `dataset` is, or None; a note for the user, "" if none of its images is known).

    If they are all of a well-known one, and nothing else, prepared in the same way, they are it: its name, order and
    image names, and so its fingerprint. Results of both can be put side by side.
    """
    here = {picture.sha256: picture for picture in dataset.pictures}
    for name, (sums, preparation) in known_sums().items():
        shared = here.keys() & set(sums.values())
        if not shared:
            continue
        if not len(shared) == len(sums) == len(dataset.pictures):
            return None, f"by their hashes, {len(shared)} of these {len(dataset.pictures)} images are of {name}"
        if preparation != dataset.preparation:
            ways = f"{dataset.preparation} here, {preparation} there"
            return None, f"by their hashes, these are the images of {name}, prepared in another way: {ways}"
        names = unique_names(sums)
        pictures = tuple(Picture(names[file], here[digest].path, digest) for file, digest in sums.items())
        return Dataset(name, pictures, preparation), f"by their hashes, these are the images of {name}"
    return None, ""
