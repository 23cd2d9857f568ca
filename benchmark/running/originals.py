"""What metrics computed of originals, kept in memory from one run of a process to the next: for training loops."""

import sys
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.addresses import Location
from benchmark.codecs import Image
from benchmark.datasets.arrays import is_stored

MEMORY = 1 << 30
"""Bytes that a store holds at most: 24 images of 768×512 with MS-SSIM, LPIPS and fd-effnet take 0.9 GB."""


@dataclass
class Kept:
    """Of one original: its pixels, and by protocol what `prepare` of a metric returned or why it has no value.

    features: by feature key, of metrics of sets; values: by the same, of metrics without a reference, each with the
    reason why there is none.
    """

    image: Image
    prepared: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    features: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    values: dict[str, tuple[float | None, str]] = field(default_factory=dict)


class OriginalStore:
    """Originals by file and preparation. A file that changes is another original.

    What the run in hand uses is not dropped for other originals of it: a set that is larger than the store would
    otherwise find nothing again.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        self._kept: dict[tuple[str, int, int, str], Kept] = {}
        self._sizes: dict[tuple[str, int, int, str], int] = {}
        self._used: set[tuple[str, int, int, str]] = set()

    def begin(self) -> None:
        """A new run begins."""
        self._used.clear()

    def get(self, path: Location, preparation: str) -> Kept | None:
        """What is kept of the original in the file `path`; None if nothing is."""
        key = _key(path, preparation)
        if key is None or key not in self._kept:
            return None
        self._used.add(key)
        return self._kept[key]

    def put(self, path: Location, preparation: str, kept: Kept) -> None:
        """Keeps `kept`, if there is room for it."""
        key = _key(path, preparation)
        if key is None:
            return
        size = _size(kept)
        others = [other for other in self._kept if other not in self._used and other != key]
        while others and sum(self._sizes.values()) - self._sizes.get(key, 0) + size > self._memory:
            self._drop(others.pop(0))
        self._drop(key)
        if sum(self._sizes.values()) + size <= self._memory:
            self._kept[key], self._sizes[key] = kept, size
            self._used.add(key)

    def _drop(self, key: tuple[str, int, int, str]) -> None:
        self._kept.pop(key, None)
        self._sizes.pop(key, None)


def _key(path: Location, preparation: str) -> tuple[str, int, int, str] | None:
    """None for a file at an address, of which nobody tells when it changes. An array's is named by its content."""
    if not isinstance(path, Path):
        return None
    if is_stored(path):
        return path.name, 0, 0, preparation
    try:
        status = path.stat()
    except OSError:
        return None
    return str(path.absolute()), status.st_mtime_ns, status.st_size, preparation


def _size(thing: Any) -> int:
    """Bytes of the arrays and tensors in `thing`, about."""
    if (nbytes := getattr(thing, "nbytes", None)) is not None:
        return int(nbytes)
    if is_dataclass(thing):
        return sum(_size(getattr(thing, one.name)) for one in fields(thing))
    if isinstance(thing, dict):
        return sum(map(_size, thing.values()))
    if isinstance(thing, (list, tuple)):
        return sum(map(_size, thing))
    return sys.getsizeof(thing)
