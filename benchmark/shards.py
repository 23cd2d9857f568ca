"""Small files of one folder, many to a shard: an archive without compression, which `numpy.load` opens like any .npz.

A shard is written once, whole, before the files in it are removed; so at any moment each file can be read, from its own
place or from a shard, and a kill loses none. A file in its own place counts, then the latest shard that has it.
"""

import os
import re
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmark.errors import one_line
from benchmark.files import put_whole

FILES = 512
"""Of a shard, at most. A folder with fewer keeps them as they are."""
BYTES = 1 << 26
"""Of a shard, about, at most."""
_SHARD = re.compile(r"shard-(\d{5,9})\.zip")
_FOLDERS = 16
"""Whose shards' tables are kept in memory: a megabyte each for 30,000 files."""
_LOCAL_HEADER = 30
"""Bytes at the beginning of a member, before its name."""


def pack(folder: Path, names: Iterable[str], beside: Path) -> None:
    """Puts the files `names` of `folder`, those that are there, into new shards, and removes them.

    Only for who alone writes these files. beside: a folder on the same file system for what is not whole yet. Raises
    OSError; all files can be read then too.
    """
    for some in _portions(folder, names):
        number = 1 + max((number for number, _ in _shards(folder)), default=-1)
        put_whole(beside, folder / f"shard-{number:05}.zip", _archive(folder, some))
        for name in some:
            (folder / name).unlink(missing_ok=True)


def loose(folder: Path) -> list[str]:
    """The names of the files of `folder` that are in no shard, sorted."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_file() and not _SHARD.fullmatch(entry.name))


def has_shards(folder: Path) -> bool:
    """Whether there is one."""
    return bool(_shards(folder))


class Shards:
    """Reads files out of the shards of any folder, for several threads; others may add shards meanwhile."""

    def __init__(self) -> None:
        self._tables: dict[Path, _Table] = {}
        self._lock = threading.Lock()

    def holds(self, path: Path) -> bool:
        """Whether a shard of its folder has the file `path`. Raises ValueError on a damaged shard."""
        return self._find(path) is not None

    def read(self, path: Path) -> bytes | None:
        """What the file `path` holds, by the latest shard that has it; None if none has.

        Raises ValueError on a damaged shard, OSError.
        """
        found = self._find(path)
        if found is None:
            return None
        shard, offset, size, checksum = found
        with shard.open("rb") as file:
            file.seek(offset)
            head = file.read(_LOCAL_HEADER)
            file.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), os.SEEK_CUR)
            data = file.read(size)
        if len(data) < size or zlib.crc32(data) != checksum:
            raise ValueError(f"it is damaged in {shard.name}")
        return data

    def forget(self, folder: Path) -> None:
        """A shard was added to the folder: what it has counts now, also where an earlier one was read before."""
        with self._lock:
            self._tables.pop(folder, None)

    def _find(self, path: Path) -> "tuple[Path, int, int, int] | None":
        """The shard, where the member begins in it, its size, its checksum."""
        with self._lock:
            table = self._tables.pop(path.parent, None)
            found = None if table is None else table.find(path.name)
            if found is None:
                numbers = tuple(number for number, _ in _shards(path.parent))
                if not numbers:
                    return None
                if table is None or table.numbers != numbers:
                    table = _table(path.parent, numbers)
                    found = table.find(path.name)
            assert table is not None
            self._tables[path.parent] = table  # last, as the one that was used last
            if len(self._tables) > _FOLDERS:
                del self._tables[next(iter(self._tables))]
        if found is None:
            return None
        number, *place = found
        return path.parent / f"shard-{number:05}.zip", place[0], place[1], place[2]


@dataclass(frozen=True)
class _Table:
    """Of a folder's shards: the members' hashed names, sorted, and of each (shard, offset, size, checksum).

    numbers: of the shards.
    """

    numbers: tuple[int, ...]
    hashes: npt.NDArray[np.uint64]
    places: npt.NDArray[np.int64]

    def find(self, name: str) -> tuple[int, int, int, int] | None:
        wanted = np.uint64(_hash(name))
        at = int(np.searchsorted(self.hashes, wanted))
        if at == len(self.hashes) or self.hashes[at] != wanted:
            return None
        number, offset, size, checksum = self.places[at].tolist()
        return number, offset, size, checksum


def _table(folder: Path, numbers: Sequence[int]) -> _Table:
    import zipfile  # not for every command

    places: dict[int, tuple[int, int, int, int]] = {}
    for number in numbers:  # the later ones count
        shard = folder / f"shard-{number:05}.zip"
        try:
            with zipfile.ZipFile(shard) as archive:
                for member in archive.infolist():
                    if member.compress_type != zipfile.ZIP_STORED:
                        raise ValueError(f"{member.filename!r} is compressed")
                    place = number, member.header_offset, member.file_size, member.CRC
                    if max(place) >= 1 << 62 or min(place) < 0:
                        raise ValueError(f"{member.filename!r} cannot be where it says")
                    places[_hash(member.filename)] = place
        except FileNotFoundError:
            raise ValueError(f"{shard.name} is gone") from None
        except (
            *(zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, RuntimeError),
            *(struct.error, IndexError, KeyError, OverflowError),
        ) as error:  # zipfile's many, on a file that is none
            raise ValueError(f"{shard.name} is no archive: {one_line(error)}") from None
    hashes = np.array(sorted(places), dtype=np.uint64)
    table = np.array([places[one] for one in hashes.tolist()], dtype=np.int64).reshape(-1, 4)
    return _Table(tuple(numbers), hashes, table)


def _hash(name: str) -> int:
    """64 bits: no two files of a folder have one, and features that are another's do not fit their seal."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "little")


def _shards(folder: Path) -> list[tuple[int, str]]:
    """(number, name) of each, ascending."""
    try:
        names = os.listdir(folder)  # noqa: PTH208  # names are all that is wanted, of thousands
    except FileNotFoundError:
        return []
    return sorted((int(match[1]), name) for name in names if (match := _SHARD.fullmatch(name)))


def _portions(folder: Path, names: Iterable[str]) -> Iterator[list[str]]:
    """The files that are there, so many together as a shard takes."""
    some: list[str] = []
    size = 0
    for name in names:
        try:
            own = (folder / name).stat().st_size
        except FileNotFoundError:
            continue
        if some and (len(some) == FILES or size + own > BYTES):
            yield some
            some, size = [], 0
        some.append(name)
        size += own
    if some:
        yield some


class _Pieces:
    """A file that only takes; what it was given is taken from it piece by piece."""

    def __init__(self) -> None:
        self.given: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.given.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def take(self) -> list[bytes]:
        given, self.given = self.given, []
        return given


def _archive(folder: Path, names: Iterable[str]) -> Iterator[bytes]:
    import zipfile

    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w") as archive:  # type: ignore[call-overload]  # needs no more than to write
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes())
            yield from pieces.take()
    yield from pieces.take()
