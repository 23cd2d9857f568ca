"""What metrics computed of originals, kept in memory from one run of a process to the next: for training loops."""

import sys
import threading
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.addresses import Location, is_stored
from benchmark.codecs import Image

MEMORY = 1 << 30
"""Bytes that a store holds at most: 24 images of 768×512 with MS-SSIM, LPIPS and fd-effnet take 0.9 GB."""


Key = tuple[str, tuple[int, ...], str]
"""A file, its state, and the preparation of its image."""


@dataclass
class Kept:
    """Of one original: its pixels, and by protocol what `prepare` of a metric returned or why it has no value.

    features: by feature key, of metrics of sets; values: by the same, of metrics without a reference, each with the
    reason why there is none. All of metrics that a spec opens: an object may hold a network that learns, or anything
    else that changes what it says from one run to the next.
    """

    image: Image
    prepared: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    features: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    values: dict[str, tuple[float | None, str]] = field(default_factory=dict)


class OriginalStore:
    """Originals by file and preparation, for metrics on one device. A file that changes is another original.

    What the run in hand uses is not dropped for other originals of it: a set that is larger than the store would
    otherwise find nothing again. Runs in several threads may share a store.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        self._kept: dict[Key, Kept] = {}
        self._sizes: dict[Key, int] = {}
        self._used: set[Key] = set()
        self._lock = threading.Lock()

    def begin(self) -> None:
        """A new run begins."""
        with self._lock:
            self._used.clear()

    def get(self, path: Location, preparation: str) -> Kept | None:
        """What is kept of the original in the file `path`; None if nothing is."""
        key = _key(path, preparation)
        with self._lock:
            if key is None or key not in self._kept:
                return None
            self._used.add(key)
            return self._kept[key]

    def put(self, path: Location, preparation: str, kept: Kept) -> None:
        """Keeps `kept`, if there is room for it."""
        key = _key(path, preparation)
        if key is None:
            return
        with self._lock:
            size = _size(kept)
            others = [other for other in self._kept if other not in self._used and other != key]
            while others and sum(self._sizes.values()) - self._sizes.get(key, 0) + size > self._memory:
                self._drop(others.pop(0))
            self._drop(key)
            if sum(self._sizes.values()) + size <= self._memory:
                self._kept[key], self._sizes[key] = kept, size
                self._used.add(key)

    def _drop(self, key: Key) -> None:
        self._kept.pop(key, None)
        self._sizes.pop(key, None)


def _key(path: Location, preparation: str) -> Key | None:
    """None for a file at an address, of which nobody tells when it changes. An array's is named by its content.

    A file that is replaced by one of the same size and age is another inode, or was changed later.
    """
    if not isinstance(path, Path):
        return None
    if is_stored(path):
        return path.name, (), preparation
    try:
        status = path.stat()
    except OSError:
        return None
    state = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size)
    return str(path.absolute()), state, preparation


def _size(thing: Any) -> int:
    """Bytes of the arrays and tensors in `thing`, about."""
    if (nbytes := getattr(thing, "nbytes", None)) is not None:
        return int(nbytes)
    if is_dataclass(thing):
        return sum(_size(getattr(thing, one.name)) for one in fields(thing))
    if isinstance(thing, dict):
        return sum(map(_size, list(thing.values())))  # a copy: another thread's run may add to it
    if isinstance(thing, (list, tuple)):
        return sum(map(_size, thing))
    return sys.getsizeof(thing)
