"""Data sets that are published as ZIP archives: fetched, held against their hash, and unpacked with care."""

import errno
import hashlib
import lzma
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmark.datasets.pictures import Dataset, known_dataset, read_sha256sums
from benchmark.errors import BenchmarkError, UsageError, one_line, visible
from benchmark.fetching import Remote, cache_folder, fetch_files, file_is, make_folder
from benchmark.formats import SUFFIXES

SUMS = "SHA256SUMS"
"""In the folder of an unpacked data set: the hash that each image had when it came out of the archive."""

PIECE = 1 << 20
_ENCRYPTED = 1  # the bit of a member's flags
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, RuntimeError, ValueError, OverflowError, IndexError,
)  # fmt: skip
"""What zipfile raises on bytes that are no archive; names that are not in the encoding they claim are a ValueError."""
MOST_EXPANSION = 3
"""Images are compressed already: an archive that claims to hold more than this many times its size is a bomb."""


@dataclass(frozen=True)
class Archive:
    """A ZIP archive. size in bytes, sha256 of the file; folder: of its images in the data set, "" for none."""

    url: str
    size: int
    sha256: str
    folder: str = ""

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Archived:
    """A data set out of archives.

    count: of its images. choose: the file names that belong to it, out of those in the archives; None for all.
    preparation: as `Dataset` has it. licence: of the images, in words.
    """

    name: str
    archives: tuple[Archive, ...]
    count: int
    preparation: str = "none"
    choose: Callable[[Iterable[str]], Iterable[str]] | None = None
    licence: str = "not stated by the source"

    @property
    def place(self) -> Path:
        """Where the images lie once they are fetched."""
        return cache_folder() / self.name

    def open(self) -> Dataset:
        """The images, sorted by name. Raises BenchmarkError, which says how to get them, if any lacks or differs."""
        remedy = f"run `python -m benchmark fetch {self.name}`, with `--from FOLDER` if you have {self._files()}"
        if not (self.place / SUMS).is_file():
            raise BenchmarkError(f"data set {self.name}: not in {self.place}; {remedy}")
        sums = self.sums()
        if len(sums) != self.count:
            place = self.place / SUMS
            raise BenchmarkError(f"data set {self.name}: {place} lists {len(sums)} of {self.count} files; {remedy}")
        return known_dataset(self.place, self.name, sums, remedy, self.preparation)

    def sums(self) -> dict[str, str]:
        """File name -> SHA-256 of the images that were unpacked here; empty if they are not here."""
        path = self.place / SUMS
        return read_sha256sums(path) if path.is_file() else {}

    def fetch(self, source: Path | None = None) -> Path:
        """Downloads the archives, or takes them from `source`, and unpacks them; returns the folder of the images.

        source: a folder with the archives, or the archive itself (others beside it). A downloaded archive is removed
        once its images are in place; one of yours stays. Nothing is done if the images are there and right.
        Raises UsageError if `source` is not there, BenchmarkError if an archive is missing, another one, cannot be
        downloaded or has other contents than it should.
        """
        if self._is_here():
            return self.place
        if source is None:
            folder = cache_folder() / "archives"
            remotes = [Remote(a.url, folder / a.file, a.size, a.sha256) for a in self.archives]
            fetch_files(remotes)
        else:
            folder = self._verified(source)
        self._unpack(folder)
        if source is None:
            for archive in self.archives:
                (folder / archive.file).unlink(missing_ok=True)
        return self.place

    def _files(self) -> str:
        return " and ".join(archive.file for archive in self.archives)

    def _is_here(self) -> bool:
        try:
            return len(self.open().pictures) == self.count
        except BenchmarkError:
            return False

    def _verified(self, source: Path) -> Path:
        """The folder of the user's archives, each held against its size and hash."""
        if not source.exists():
            raise UsageError(f"{source}: no such file or folder; --from wants {self._files()} or their folder")
        folder = source if source.is_dir() else source.parent
        for archive in self.archives:
            path = folder / archive.file
            if not path.is_file():
                raise BenchmarkError(f"{folder}: lacks {archive.file}, {archive.size:,} bytes, from {archive.url}")
            if not file_is(path, archive.size, archive.sha256):
                raise BenchmarkError(
                    f"{path}: not the file that was expected ({path.stat().st_size:,} bytes; expected "
                    f"{archive.size:,} bytes, sha256 {archive.sha256[:16]}…)"
                )
        return folder

    def _unpack(self, folder: Path) -> None:
        """Fills `place`, which appears whole or not at all."""
        sums: dict[str, str] = {}
        try:
            make_folder(self.place.parent)
            with tempfile.TemporaryDirectory(dir=self.place.parent, prefix=f".{self.name}.") as temporary:
                unpacked = Path(temporary) / self.name
                unpacked.mkdir()
                for archive in self.archives:
                    target = unpacked / archive.folder
                    target.mkdir(exist_ok=True)
                    prefix = f"{archive.folder}/" if archive.folder else ""
                    for file, digest in unpack_pictures(folder / archive.file, target, self.choose).items():
                        sums[prefix + file] = digest
                if len(sums) != self.count:
                    raise BenchmarkError(f"{self._files()}: {len(sums)} images, where {self.count} were expected")
                lines = [f"{digest}  {file}\n" for file, digest in sorted(sums.items())]
                (unpacked / SUMS).write_text("".join(lines), encoding="utf-8")
                if self.place.exists():
                    shutil.rmtree(self.place)
                unpacked.rename(self.place)
        except OSError as error:
            raise BenchmarkError(f"{self.place}: cannot be written: {error.strerror or error}") from error


def unpack_pictures(
    path: Path, target: Path, choose: Callable[[Iterable[str]], Iterable[str]] | None = None
) -> dict[str, str]:
    """Writes the images in the ZIP archive `path` into the folder `target`; file name -> SHA-256.

    Only the last part of a member's name is used, so that nothing is written elsewhere. Hidden files, macOS's resource
    forks, links, devices and other suffixes are passed over. Raises BenchmarkError on an archive that is damaged,
    encrypted or packed in an unknown way, on two images of one name, on names that act unseen, and on one that would
    grow out of proportion.
    """
    digests: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as opened:
            members = _pictures(path, opened.infolist())
            chosen = list(members) if choose is None else list(choose(members))
            if any(members[file].flag_bits & _ENCRYPTED for file in chosen):
                raise BenchmarkError(f"{path}: encrypted: it cannot be unpacked without its password")
            if sum(members[file].file_size for file in chosen) > MOST_EXPANSION * path.stat().st_size:
                raise BenchmarkError(f"{path}: its images are far larger than the archive; not unpacked")
            with _shown(path.name, len(chosen)) as advance:
                for file in chosen:
                    digest = hashlib.sha256()
                    with opened.open(members[file]) as stream, (target / file).open("xb") as written:
                        while piece := stream.read(PIECE):
                            digest.update(piece)
                            written.write(piece)
                    digests[file] = digest.hexdigest()
                    advance()
    except NotImplementedError as error:
        raise BenchmarkError(f"{path}: packed in a way that Python cannot unpack: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # it leads to a place before its beginning
            raise
        raise BenchmarkError(f"{path}: a damaged archive: {error.strerror}") from error
    except _DAMAGED as error:
        raise BenchmarkError(f"{path}: a damaged archive: {one_line(error)}") from error
    return digests


def _pictures(path: Path, members: Sequence[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """File name -> member, of the images."""
    found: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/")).parts
        kind = stat.S_IFMT(member.external_attr >> 16)
        if member.is_dir() or not parts or kind not in (0, stat.S_IFREG):
            continue
        file = parts[-1]
        if file.startswith(".") or "__MACOSX" in parts or PurePosixPath(file).suffix.lower() not in SUFFIXES:
            continue
        if not file.isprintable():
            raise BenchmarkError(f"{path}: an image's name has characters that act unseen: {visible(file)}")
        if file in found:
            raise BenchmarkError(f"{path}: two images are called {file}")
        found[file] = member
    return found


class _Shown:
    """A bar on a terminal's standard error, else a line at the beginning."""

    def __init__(self, name: str, count: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._bar = Progress(console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(f"unpacking {name}", total=count)
        if not console.is_terminal:
            console.print(f"unpacking {name}: {count} images", highlight=False, markup=False, soft_wrap=True)

    def __enter__(self) -> Callable[[], None]:
        self._bar.start()
        return lambda: self._bar.advance(self._task)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def _shown(name: str, count: int) -> _Shown:
    return _Shown(name, count)
