"""What a data set is: pictures in a fixed order, each known by the hash of its file."""

import glob
import hashlib
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark import addresses
from benchmark.addresses import Location
from benchmark.errors import BenchmarkError, UsageError
from benchmark.fetching import file_sha256

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".ppm", ".pgm", ".tif", ".tiff"})
"""Suffixes of picture files, in lower case; a folder's other files are passed over."""


@dataclass(frozen=True)
class Picture:
    """A picture file.

    name: unique within the data set; the file's stem, or its whole name where stems collide.
    path: of the file here, or its address. sha256: of the file's bytes, 64 hexadecimal digits.
    """

    name: str
    path: Location
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """Pictures in a fixed order.

    preparation: what `benchmark.images.load_image` does to each picture before it is coded; "none" leaves it as the
    file holds it. notes: what the user should know about it, a line each.
    """

    name: str
    pictures: tuple[Picture, ...]
    preparation: str = "none"
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over the preparation and, in order, the pictures' names and hashes.

        Results of different fingerprints come from different pictures. Where the files lie does not matter.
        """
        digest = hashlib.sha256(self.preparation.encode())
        for picture in self.pictures:
            digest.update(f"\n{picture.sha256} {picture.name}".encode())
        return digest.hexdigest()[:16]


def unique_names(files: Iterable[str]) -> dict[str, str]:
    """File name -> picture name: the stem where no other picture has it, else the whole file name, folders included."""
    names = {file: Path(file).stem for file in files}
    while True:
        counts = Counter(names.values())
        # A whole name can meet another file's stem ("a.png" and "a.png.jpg"): then that one is written out as well.
        clashing = [file for file, name in names.items() if counts[name] > 1 and name != file]
        if not clashing:
            return names
        names.update((file, file) for file in clashing)


def folder_dataset(folder: Path, name: str) -> Dataset:
    """The pictures that lie in `folder` itself, sorted by name. Hidden files and other suffixes are passed over.

    Raises UsageError if there is no picture, BenchmarkError if the folder or a file cannot be read.
    """
    try:
        files = [
            path.name
            for path in folder.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
        ]
    except OSError as error:
        raise BenchmarkError(f"{folder}: cannot be read: {error.strerror}") from error
    if not files:
        raise UsageError(f"{folder}: no picture lies in this folder ({', '.join(sorted(SUFFIXES))})")
    pictures = (
        Picture(picture, folder / file, file_sha256(folder / file)) for file, picture in unique_names(files).items()
    )
    return Dataset(name, tuple(sorted(pictures, key=lambda picture: picture.name)))


def address_dataset(address: str) -> Dataset:
    """The pictures at an address that fsspec reads: those in a folder, sorted by name, or those that a list names.

    As `folder_dataset` and `list_dataset` have them, so the same pictures have the same fingerprint wherever they lie.
    Each is read once, for its hash. A web server tells nothing of folders: there "/" at the end makes one. Raises
    UsageError if neither is there or no picture is in it, BenchmarkError if something cannot be read.
    """
    addresses.check_address(address)
    name = addresses.name_in(address.rstrip("/")).rpartition("/")[2]
    kind = addresses.kind_at(address)
    if not kind or (kind == "file" and posixpath.splitext(name)[1].lower() in SUFFIXES):
        what = "a picture" if kind else "no such folder or list"
        raise UsageError(f"{address}: {what}; a data set at an address is a folder or a list of pictures")
    if kind == "file":
        return list_dataset(address)
    files = {
        file: found
        for file, found in addresses.list_folder(address).items()
        if posixpath.splitext(file)[1].lower() in SUFFIXES and not file.startswith(".")
    }
    if not files:
        raise UsageError(f"{address}: no picture lies in this folder ({', '.join(sorted(SUFFIXES))})")
    names = unique_names(files)
    pictures = _hashed([names[file] for file in files], list(files.values()))
    return Dataset(name, tuple(sorted(pictures, key=lambda picture: picture.name)))


def glob_dataset(pattern: str) -> Dataset:
    """The pictures whose path fits `pattern` (`**` crosses folders), sorted by path; the pattern is the name.

    Raises UsageError if there is none, BenchmarkError if a file cannot be read.
    """
    found = sorted(Path(path) for path in glob.glob(str(Path(pattern).expanduser()), recursive=True))  # noqa: PTH207
    files = [path for path in found if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not files:
        raise UsageError(f"{pattern}: no picture has such a path ({', '.join(sorted(SUFFIXES))})")
    return _of_files(pattern, files)


def list_dataset(path: Location) -> Dataset:
    """The pictures that the text file `path` lists, in its order; the file's stem is the name.

    A line is a path, relative to the list's folder, or an address; or a SHA-256 and a path, as `sha256sum` writes them,
    and then the file is held against it. Empty lines and lines that begin with "#" are passed over. Raises UsageError
    on a line that names no file or a file named before, BenchmarkError on a file that cannot be read or has another
    hash.
    """
    files: dict[Location, str | None] = {}
    for number, entry, sha256 in _entries(path):
        file = _listed(path, entry)
        if isinstance(file, Path) and not file.is_file():
            raise UsageError(f"{path}, line {number}: there is no file {file}")
        if file in files:
            raise UsageError(f"{path}, line {number}: {file} a second time")
        files[file] = sha256
    if not files:
        raise UsageError(f"{path}: lists no picture")
    dataset = _of_files(Path(path if isinstance(path, Path) else addresses.name_in(path)).stem, list(files))
    for picture in dataset.pictures:
        if files[picture.path] not in (None, picture.sha256):
            raise BenchmarkError(f"{picture.path}: its SHA-256 is not the one in {path}")
    return dataset


def _entries(path: Location) -> Iterator[tuple[int, str, str | None]]:
    """Number of the line, path and hash of each entry of a list. Raises BenchmarkError if it cannot be read."""
    try:
        data = path.read_bytes() if isinstance(path, Path) else addresses.read_bytes(path)
        lines = data.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}: cannot be read as a list of pictures: {error}") from error
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            hashed = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
            yield (number, hashed[2], hashed[1]) if hashed else (number, line.strip(), None)


def _listed(path: Location, entry: str) -> Location:
    """The file that an entry of the list `path` names. Raises UsageError on a local file in a list that is not here."""
    if addresses.is_address(entry):
        addresses.check_address(entry)
        file = addresses.location(entry)
    elif isinstance(path, Path):
        return path.parent / Path(entry).expanduser()
    else:
        file = Path(entry) if entry.startswith(("/", "~")) else addresses.beside(path, entry)
    if isinstance(file, Path) and not isinstance(path, Path):
        raise UsageError(f"{path}: names {entry}, a file of this machine only")
    return file


def _of_files(name: str, files: Sequence[Location]) -> Dataset:
    """`files`, in order; what their paths have in common is no part of the pictures' names."""
    parts = [(addresses.name_in(f) if isinstance(f, str) else str(f.absolute())).split("/") for f in files]
    common = 0
    while all(len(own) > common + 1 and own[common] == parts[0][common] for own in parts):
        common += 1
    relative = ["/".join(own[common:]) for own in parts]
    if twice := next((text for text, count in Counter(relative).items() if count > 1), None):
        raise UsageError(f"{name}: two pictures would be called {twice}; their addresses differ in what is no path")
    names = unique_names(relative)
    return Dataset(name, tuple(_hashed([names[key] for key in relative], files)))


def _hashed(names: Sequence[str], files: Sequence[Location]) -> list[Picture]:
    return list(map(Picture, names, files, addresses.sha256_of_each(files)))


def known_dataset(folder: Path, name: str, sha256: dict[str, str], remedy: str, preparation: str = "none") -> Dataset:
    """The files of `sha256` (file name -> hash) in `folder`, in that order, each held against its hash.

    Raises BenchmarkError that ends with `remedy` if a file is missing or differs.
    """
    missing = [file for file in sha256 if not (folder / file).is_file()]
    if missing:
        raise BenchmarkError(f"data set {name}: {folder} lacks {_some(missing)}; {remedy}")
    damaged = [file for file in sha256 if file_sha256(folder / file) != sha256[file]]
    if damaged:
        raise BenchmarkError(f"data set {name}: {_some(damaged)} in {folder} differs from the original; {remedy}")
    names = unique_names(sha256)
    pictures = tuple(Picture(names[file], folder / file, digest) for file, digest in sha256.items())
    return Dataset(name, pictures, preparation)


def read_sha256sums(path: Path) -> dict[str, str]:
    """File name -> hash, from a list that `sha256sum` writes. Raises BenchmarkError if it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read: {error.strerror}") from error
    return {file: digest for digest, file in (line.split("  ", 1) for line in lines)}


def limit(dataset: Dataset, n: int) -> Dataset:
    """`n` pictures, evenly spread over the order, always the same ones; the name says that it is a quick look.

    0, or at least as many as there are, gives the data set itself. Raises UsageError if n is negative.
    """
    total = len(dataset.pictures)
    if n < 0:
        raise UsageError(f"a data set cannot be limited to {n} pictures; 0 takes all")
    if n == 0 or n >= total:
        return dataset
    pictures = tuple(dataset.pictures[index * total // n] for index in range(n))
    return replace(dataset, name=f"{dataset.name}[quick look, {n} of {total}]", pictures=pictures)


def _some(files: list[str]) -> str:
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
