"""What is known of each data set without opening it: how many images, from where, by which hash, and the licence."""

import csv
from collections import Counter
from dataclasses import dataclass

from benchmark.datasets import DATASETS, kodak, shipped
from benchmark.datasets.archives import Archived
from benchmark.datasets.pictures import read_sha256sums


@dataclass(frozen=True)
class Source:
    """A file that a data set comes from. url: its address, or its path in the suite. size: in bytes, None if unsaid."""

    url: str
    size: int | None
    sha256: str


@dataclass(frozen=True)
class Facts:
    """Of a data set. images: how many. sources: its files. licence: of the images, in words."""

    images: int
    sources: tuple[Source, ...]
    licence: str
    preparation: str = "none"


def facts_of(name: str) -> Facts:
    """Of a registered data set of the suite. Raises KeyError on one of another package."""
    if name == "photos":
        return _of_photos()
    if name == "kodak":
        sources = tuple(Source(kodak.ADDRESS + file, size, sha256) for file, (size, sha256) in kodak.FILES.items())
        return Facts(len(sources), sources, kodak.LICENCE)
    archived = getattr(DATASETS.load(name), "__self__", None)
    if not isinstance(archived, Archived):
        raise KeyError(name)
    sources = tuple(Source(archive.url, archive.size, archive.sha256) for archive in archived.archives)
    return Facts(archived.count, sources, archived.licence, archived.preparation)


def _of_photos() -> Facts:
    sums = read_sha256sums(shipped.FOLDER / "SHA256SUMS")
    with shipped.PROVENANCE.open(encoding="utf-8", newline="") as file:
        licences = Counter(row["licence"] for row in csv.DictReader(file))
    listed = ", ".join(f"{name} ({count})" for name, count in sorted(licences.items()))
    sources = tuple(
        Source(f"datasets/photos/{file}", (shipped.FOLDER / file).stat().st_size, sha256)
        for file, sha256 in sums.items()
    )
    return Facts(len(sources), sources, f"one for each: {listed}")
