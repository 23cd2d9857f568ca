"""What a data set is: images in a fixed order, each known by the hash of its file."""

import codecs
import errno
import glob
import hashlib
import os
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark import addresses
from benchmark.addresses import Location
from benchmark.errors import BenchmarkError, UsageError, printable
from benchmark.fetching import file_sha256
from benchmark.files import expanded, folder_written_as, written_as
from benchmark.formats import SUFFIXES, is_named_as_another, is_named_as_image
from benchmark.reading import brief, in_another_form

_ESCAPED = {"\\": "\\", "n": "\n", "r": "\r"}
"""What stands for what in the names that `sha256sum` escapes."""

_LOOKED_AT = 10_000
"""Files of sub-folders that are looked at for a hint."""


@dataclass(frozen=True)
class Picture:
    """An image file.

    name: unique within the data set; the file's stem, or its whole name where stems collide.
    path: of the file here, or its address. sha256: of the file's bytes, 64 hexadecimal digits.
    """

    name: str
    path: Location
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """Images in a fixed order.

    preparation: what `benchmark.preparations` does to each image before it is coded; "none" leaves it as the file
    holds it. notes: what the user should know about it, a line each.
    """

    name: str
    pictures: tuple[Picture, ...]
    preparation: str = "none"
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over the preparation and, in order, the images' names and hashes.

        Results of different fingerprints come from different images. Where the files lie does not matter.
        """
        digest = hashlib.sha256(self.preparation.encode())
        for picture in self.pictures:
            digest.update(f"\n{picture.sha256} {picture.name}".encode())
        return digest.hexdigest()[:16]


def unique_names(files: Iterable[str]) -> dict[str, str]:
    """File name -> image name: the stem where no other image has it, else the whole file name, folders included.

    Bytes of a file name that are no UTF-8 are written out, as in caf\\xe9. Raises UsageError if two are the same then.
    """
    whole = {file: printable(file) for file in files}
    names = {file: Path(text).stem for file, text in whole.items()}
    while True:
        counts = Counter(names.values())
        # A whole name can meet another file's stem ("a.png" and "a.png.jpg"): then that one is written out as well.
        clashing = [file for file, name in names.items() if counts[name] > 1 and name != whole[file]]
        if not clashing:
            break
        names.update((file, whole[file]) for file in clashing)
    if twice := next((name for name, count in counts.items() if count > 1), None):
        raise UsageError(f"two images would be called {twice}; rename one of the files")
    return names


def folder_dataset(folder: Path, name: str) -> Dataset:
    """The images that lie in `folder` itself, sorted by name. Hidden files and other suffixes are passed over.

    Raises UsageError if there is no image, BenchmarkError if the folder or a file cannot be read, as where a link
    leads nowhere.
    """
    try:
        lying = sorted(folder.iterdir())
    except OSError as error:
        raise BenchmarkError(f"{folder}: cannot be read: {error.strerror}") from error
    _check_content(lying)
    files = _existing(path for path in lying if is_named_as_image(path.name))
    if not files:
        hint = f"; did you mean {_below(folder)}?" if _below(folder) else ""
        raise UsageError(f"{folder}: no image lies in this folder ({_wanted(path.name for path in lying)}){hint}")
    if what := folder_written_as(folder):
        raise UsageError(f"{folder}: is a {what} of the suite; what lies there are its figures, no originals")
    own, notes = _once(files)
    names = unique_names(path.name for path in own)
    found = (Picture(names[path.name], path, file_sha256(path)) for path in own)
    pictures = tuple(sorted(found, key=lambda picture: picture.name))
    notes += _no_files(path for path in lying if is_named_as_image(path.name))
    notes += _passed_over(path.name for path in lying) + doubles(name, pictures)
    return Dataset(name, pictures, notes=notes)


def doubles(name: str, pictures: Sequence[Picture]) -> tuple[str, ...]:
    """A note on images of one content, which count as often as they are there."""
    more = len(pictures) - len({picture.sha256 for picture in pictures})
    return (
        (f"{name}: {more} of {len(pictures)} images {'is' if more == 1 else 'are'} the same as others",) if more else ()
    )


def _existing(paths: Iterable[Path]) -> list[Path]:
    """Those of `paths` that are files. Raises BenchmarkError on links that lead nowhere: an image would be left out."""
    paths = list(paths)
    try:
        if lost := [path for path in paths if _leads_nowhere(path)]:
            files = _some(list(map(str, lost)))
            raise BenchmarkError(f"{files}: {_link(lost[0])}; get the content, or remove the link")
        return [path for path in paths if path.is_file()]
    except OSError as error:
        raise BenchmarkError(f"{error.filename}: cannot be read: {error.strerror}") from None


def _no_files(paths: Iterable[Path]) -> tuple[str, ...]:
    """A note on those of `paths`, called like images, that are folders, pipes or devices."""
    others = [printable(str(path)) for path in paths if not path.is_file()]
    if not others:
        return ()
    are = "is no file, and was" if len(others) == 1 else "are no files, and were"
    return (f"{_some(others)} {are} passed over",)


def _leads_nowhere(path: Path) -> bool:
    """Whether this is a link to what is not there, or in a circle. Raises OSError if that cannot be looked at."""
    # A path through forty links is refused though its file is there.
    own = Path(os.path.realpath(path.parent), path.name)
    return own.is_symlink() and not own.exists()


def _link(path: Path) -> str:
    return f"a link to {printable(os.readlink(path))}, which is not there"  # noqa: PTH115


def _check_content(paths: Iterable[Path]) -> None:
    """Raises BenchmarkError if DVC keeps an image elsewhere, so that its .dvc file alone is here."""
    lost = [
        str(image)
        for path in paths
        if path.name.endswith(".dvc")
        and is_named_as_image(path.name.removesuffix(".dvc"))
        and not os.path.lexists(image := path.with_name(path.name.removesuffix(".dvc")))
    ]
    if lost:
        raise BenchmarkError(f"{_some(lost)}: not there, only its .dvc file; get it with: dvc pull")


def _once(paths: Sequence[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """Each file of `paths` once, sorted, and a note if some lead to the same ones by links, hard ones too.

    Under the file's own path, or else the shortest.
    """
    by_file: dict[object, Path] = {}
    for path in sorted(paths, key=lambda path: (path.is_symlink(), len(path.parts), path)):
        by_file.setdefault(_identity(path), path)
    more = len(paths) - len(by_file)
    note = f"{more} more paths lead to the same files by links; each file counts once"
    return sorted(by_file.values()), (note,) if more else ()


def _identity(path: Path) -> object:
    """Of a file, whichever links lead to it. Raises BenchmarkError if it has vanished."""
    try:
        status = path.stat()
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read: {error.strerror}") from None
    return (status.st_dev, status.st_ino) if status.st_ino else path.resolve()


def _passed_over(names: Iterable[str]) -> tuple[str, ...]:
    """A note of how many files of `names` are images of kinds that are not looked for."""
    found = Counter(Path(name).suffix.lower() for name in names if is_named_as_another(name))
    if not found:
        return ()
    kinds = ", ".join(f"{suffix} {count}" for suffix, count in sorted(found.items()))
    total = sum(found.values())
    what = "1 image of another kind was" if total == 1 else f"{total} images of other kinds were"
    return (f"{what} passed over ({kinds}); the suffixes that are taken are {', '.join(sorted(SUFFIXES))}",)


def _wanted(names: Iterable[str]) -> str:
    """The suffixes that are taken, and what was passed over, for messages."""
    over = _passed_over(names)
    return f"{over[0] if over else ', '.join(sorted(SUFFIXES))}"


def _below(folder: Path) -> str:
    """A pattern, in quotes, for the images that lie in sub-folders of `folder`; "" if there are none."""
    suffixes: set[str] = set()
    count = 0
    for _, _, files in os.walk(folder):
        suffixes |= {Path(file).suffix for file in files if is_named_as_image(file)}
        count += len(files)
        if count > _LOOKED_AT:
            break
    if not suffixes:
        return ""
    return f"'{glob.escape(str(folder))}/**/*{suffixes.pop() if len(suffixes) == 1 else ''}'"


def address_dataset(address: str) -> Dataset:
    """The images at an address that fsspec reads: those in a folder, sorted by name, or those that a list names.

    As `folder_dataset` and `list_dataset` have them, so the same images have the same fingerprint wherever they lie.
    Each is read once, for its hash. A web server tells nothing of folders: there "/" at the end makes one. Raises
    UsageError if neither is there or no image is in it, BenchmarkError if something cannot be read.
    """
    addresses.check_address(address)
    name = addresses.name_in(address.rstrip("/")).rpartition("/")[2]
    kind = addresses.kind_at(address)
    if not kind or (kind == "file" and posixpath.splitext(name)[1].lower() in SUFFIXES):
        what = "an image" if kind else "no such folder or list"
        raise UsageError(f"{address}: {what}; a data set at an address is a folder or a list of images")
    if kind == "file":
        return list_dataset(address)
    lying = addresses.list_folder(address)
    _check_content(Path(file) for file in lying if file.removesuffix(".dvc") not in lying)
    files = {file: found for file, found in lying.items() if is_named_as_image(file)}
    if not files:
        raise UsageError(f"{address}: no image lies in this folder ({_wanted(lying)})")
    if what := written_as(lying):
        raise UsageError(f"{address}: is a {what} of the suite; what lies there are its figures, no originals")
    names = unique_names(files)
    found = _hashed([names[file] for file in files], list(files.values()))
    pictures = tuple(sorted(found, key=lambda picture: picture.name))
    return Dataset(name, pictures, notes=_passed_over(lying) + doubles(name, pictures))


def glob_dataset(pattern: str) -> Dataset:
    """The images whose path fits `pattern` (`**` crosses folders), sorted by path; the pattern is the name.

    A file that several paths lead to, by links, is one image, under the file's own path or else the shortest. Raises
    UsageError if there is none, BenchmarkError if a file or a folder on the way cannot be read, as where a link leads
    nowhere.
    """
    wanted = expanded(pattern)
    found = sorted(_fitting(wanted))
    _check_content({*found, *_fitting(wanted.with_name(f"{wanted.name}.dvc"))} if wanted.name != "**" else found)
    files = _existing(path for path in found if path.suffix.lower() in SUFFIXES)
    if not files:
        raise UsageError(
            f"{pattern}: no image has such a path ({_wanted(path.name for path in found)}){_literally(wanted)}"
        )
    originals, left_out = _without_ours(files, _fixed(wanted), pattern)
    own, notes = _once(originals)
    dataset = _of_files(printable(pattern), own)
    others = _no_files(path for path in found if path.suffix.lower() in SUFFIXES)
    if meant := _literally(wanted):
        notes += (f"{pattern}{meant}",)
    notes += left_out + others + _passed_over(path.name for path in found) + dataset.notes
    return replace(dataset, notes=notes)


def _literally(pattern: Path) -> str:
    """The end of a message: which pattern means a file or folder that is called as a part of `pattern` is written, with
    its signs, "a[1]" say; "" if there is none."""
    place, escaped, odd = Path(pattern.anchor), Path(pattern.anchor), ""
    for part in pattern.parts[1:] if pattern.anchor else pattern.parts:
        place /= part
        try:
            there = glob.has_magic(part) and place.exists()
        except OSError:
            there = False
        odd = part if there else odd
        escaped /= glob.escape(part) if there else part
    return f"; what is called {printable(odd)} itself is meant by '{printable(str(escaped))}'" if odd else ""


def _fixed(pattern: Path) -> Path:
    """The folder that a pattern names itself, before its first sign."""
    parts = pattern.parts
    return Path(*parts[: next(at for at, part in enumerate(parts) if glob.has_magic(part))])


def _without_ours(files: Sequence[Path], named: Path, pattern: str) -> tuple[list[Path], tuple[str, ...]]:
    """`files` without those that a run or a page of the suite has written, and a note that counts them.

    named: the folder from which they were looked for; who names a folder inside of a run means it. Raises UsageError if
    none is left.
    """
    known: dict[Path, Path | None] = {}

    def ours(folder: Path) -> Path | None:
        if folder not in known:
            above = None if folder == named or folder == folder.parent else ours(folder.parent)
            known[folder] = above or (folder if folder_written_as(folder) else None)
        return known[folder]

    places = {path: ours(path.parent) for path in files}
    left = [place for place in places.values() if place is not None]
    if not left:
        return list(files), ()
    folders = sorted(set(left))
    which = _some([printable(str(folder)) for folder in folders])
    what = "runs or pages of the suite" if len(folders) > 1 else f"a {folder_written_as(folders[0])} of the suite"
    counted = "1 image that belongs" if len(left) == 1 else f"{len(left)} images that belong"
    if len(left) == len(files):
        raise UsageError(f"{pattern}: there are only {counted} to {what} ({which}); a folder in it may be named itself")
    return [path for path in files if places[path] is None], (f"{counted} to {what} ({which}) left out",)


def _fitting(pattern: Path) -> Iterable[Path]:
    """What fits `pattern`, as `glob.glob` has it; but `**` goes round no circle of links, which might never end.

    Raises BenchmarkError if a folder below `**` cannot be read.
    """
    folders = [Path(pattern.anchor)]
    rest = pattern.parts[1:] if pattern.anchor else pattern.parts
    while "**" in rest:
        at = rest.index("**")
        starts = _globbed(folders, rest[:at]) if at else folders
        folders = list(dict.fromkeys(below for start in starts for below in _folders(start, frozenset())))
        rest = rest[at + 1 :] or ("*",)
    return _globbed(folders, rest)


def _globbed(folders: Iterable[Path], parts: Sequence[str]) -> Iterable[Path]:
    """What fits `parts` of a pattern, seen from one of `folders`. Raises BenchmarkError on a folder that it cannot look
    into, which `glob` passes over."""
    found = list(folders)
    for part in parts:
        if not glob.has_magic(part):
            found = [folder / part for folder in found if _looked_at(os.lstat, folder / part)]
            continue
        found = [
            Path(path)
            for folder in found
            if _looked_at(os.scandir, folder)
            for path in glob.glob(str(Path(glob.escape(str(folder))) / part))  # noqa: PTH207
        ]
    return dict.fromkeys(found)


def _looked_at(look: Callable[[Path], object], path: Path) -> bool:
    """Whether there is such a file or folder. Raises BenchmarkError if that, or what is in it, cannot be known."""
    try:
        found = look(path)
        if hasattr(found, "close"):
            found.close()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:  # a circle of links, in which there is nothing
            return False
        raise BenchmarkError(f"{path}: cannot be read: {error.strerror}") from None
    return True


def _folders(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """`folder` and those in it that are not hidden, through links too. above: where this came through, really."""
    if not folder.is_dir():
        return
    real = folder.resolve()
    if real in above:
        return
    yield folder
    try:
        below = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise BenchmarkError(f"{folder}: cannot be read: {error.strerror}") from error
    for path in below:
        yield from _folders(path, above | {real})


def list_dataset(path: Location) -> Dataset:
    """The images that the text file `path` lists, in its order; the file's stem is the name.

    A line is a path, relative to the list's folder, or an address; or a SHA-256 and a path, as `sha256sum` writes them
    with and without `--tag`, and then the file is held against it. Empty lines and lines that begin with "#" are passed
    over; lists may come from Windows. Raises UsageError on a line that names no file or a file named before,
    BenchmarkError on a file that cannot be read or has another hash.
    """
    files: dict[Location, str | None] = {}
    known: set[object] = set()
    for number, entry, sha256 in _entries(path):
        try:
            file = _listed(path, entry)
            there = not isinstance(file, Path) or bool(_existing([file]))
            real = _identity(file) if isinstance(file, Path) and there else file
        except BenchmarkError as error:
            raise type(error)(f"{path}, line {number}: {brief(error)}") from error
        except (OSError, RuntimeError, ValueError):  # ~nobody, a zero byte
            raise UsageError(f"{path}, line {number}: {brief(entry)} names no file") from None
        if not there:
            raise UsageError(f"{path}, line {number}: there is no file {brief(str(file))}{_form_beside(file)}")
        if real in known:
            raise UsageError(f"{path}, line {number}: {file} a second time")
        known.add(real)
        files[file] = sha256
    if not files:
        raise UsageError(f"{path}: lists no image")
    name = printable(Path(path if isinstance(path, Path) else addresses.name_in(path)).stem)
    try:
        dataset = _of_files(name, list(files))
    except UsageError:
        raise
    except BenchmarkError as error:
        raise BenchmarkError(f"{path}: {error}") from error
    for picture in dataset.pictures:
        if files[picture.path] not in (None, picture.sha256):
            raise BenchmarkError(f"{picture.path}: its SHA-256 is not the one in {path}")
    return dataset


def _form_beside(file: Location) -> str:
    """The end of a message that there is no `file`: that one beside it looks the same, if so."""
    try:
        return (
            in_another_form(file.name, [path.name for path in file.parent.iterdir()]) if isinstance(file, Path) else ""
        )
    except OSError:
        return ""


def _entries(path: Location) -> Iterator[tuple[int, str, str | None]]:
    """Number of the line, path and hash of each entry of a list. Raises BenchmarkError if it cannot be read."""
    try:
        text = _text(path.read_bytes() if isinstance(path, Path) else addresses.read_bytes(path))
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"{path}: cannot be read as a list of images: {error}") from error
    for number, line in enumerate(re.split("\r\n|\n|\r", text), start=1):
        if line.strip() and not line.startswith("#"):
            yield number, *_entry(line)


def _text(data: bytes) -> str:
    """A list's text: UTF-8, or UTF-16 with its mark, as PowerShell writes it. Bytes that are neither stay what they are
    in names of files. Raises ValueError if it is no text."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    if b"\0" in data:
        raise ValueError("it is no text")
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


def _entry(line: str) -> tuple[str, str | None]:
    """Path and hash in a line of `sha256sum`, or the path that the line is.

    Before a line with an escaped name, one that holds a line break or a backslash, `sha256sum` writes a backslash.
    """
    if re.match(r"\\(?:[0-9A-Fa-f]{64}[ \t]|SHA256 \()", line):
        name, sha256 = _entry(line[1:])
        return re.sub(r"\\([\\nr])", lambda found: _ESCAPED[found[1]], name), sha256
    if tagged := re.fullmatch(r"SHA256 \((.+)\) = ([0-9A-Fa-f]{64})\s*", line):
        return tagged[1], tagged[2].lower()
    if hashed := re.fullmatch(r"([0-9A-Fa-f]{64})(?: [ *]|[ \t])(.+)", line):
        return hashed[2], hashed[1].lower()
    return line.strip(), None


def _listed(path: Location, entry: str) -> Location:
    """The file that an entry of the list `path` names. Raises UsageError on a local file in a list that is not here."""
    if addresses.is_address(entry):
        addresses.check_address(entry)
        file = addresses.location(entry)
    elif isinstance(path, Path):
        own = path.parent / expanded(entry)
        return own if "\\" not in entry or own.exists() else path.parent / entry.replace("\\", "/")
    else:
        file = Path(entry) if entry.startswith(("/", "~")) else addresses.beside(path, entry)
    if isinstance(file, Path) and not isinstance(path, Path):
        raise UsageError(f"{path}: names {entry}, a file of this machine only")
    return file


def _of_files(name: str, files: Sequence[Location]) -> Dataset:
    """`files`, in order, called as `names_of_files` says. Raises UsageError if two would have the same name."""
    try:
        pictures = tuple(_hashed(names_of_files(files), files))
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    return Dataset(name, pictures, notes=doubles(name, pictures))


def names_of_files(files: Sequence[Location]) -> list[str]:
    """A name for each of `files`; what their paths have in common is no part of it. Raises UsageError."""
    parts = [(addresses.name_in(f) if isinstance(f, str) else str(f.absolute())).split("/") for f in files]
    common = 0
    while parts and all(len(own) > common + 1 and own[common] == parts[0][common] for own in parts):
        common += 1
    relative = ["/".join(own[common:]) for own in parts]
    if twice := next((text for text, count in Counter(relative).items() if count > 1), None):
        raise UsageError(
            f"two images would be called {printable(twice)}; one file twice, or addresses alike but for host or query"
        )
    names = unique_names(relative)
    return [names[key] for key in relative]


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
    found: dict[str, str] = {}
    for number, file, digest in _entries(path):
        if digest is None or file in found:
            raise BenchmarkError(f"{path}, line {number}: no SHA-256 with the name of a file, or one a second time")
        found[file] = digest
    return found


def limit(dataset: Dataset, n: int) -> Dataset:
    """`n` images, evenly spread over the order (not the first ones), always the same; the name says that it is a
    quick look.

    0, or at least as many as there are, gives the data set itself. Raises UsageError if n is negative.
    """
    total = len(dataset.pictures)
    if n < 0:
        raise UsageError(f"a data set cannot be limited to {n} images; 0 takes all")
    if n == 0 or n >= total:
        return dataset
    pictures = tuple(dataset.pictures[index * total // n] for index in range(n))
    return replace(dataset, name=f"{dataset.name}[quick look, {n} of {total}]", pictures=pictures)


def sample(dataset: Dataset, n: int, seed: int) -> Dataset:
    """`n` images drawn at random without replacement, in the set's order; the name says how many and the seed.

    Those whose name has the smallest SHA-256 together with the seed: the same ones with any version of any library. At
    least as many as there are gives the data set itself. Raises UsageError if n is below 1.
    """
    total = len(dataset.pictures)
    if n < 1:
        raise UsageError(f"a sample of {n} images; at least 1")
    if n >= total:
        return dataset
    drawn = set(sorted(dataset.pictures, key=lambda p: hashlib.sha256(f"{seed} {p.name}".encode()).digest())[:n])
    pictures = tuple(picture for picture in dataset.pictures if picture in drawn)
    return replace(dataset, name=f"{dataset.name}[sample, {n} of {total}, seed {seed}]", pictures=pictures)


def parse_sample(text: str) -> tuple[int, int]:
    """What --sample says, "N" or "N:SEED": (number, seed), the seed 0 if none is given. Raises UsageError."""
    found = re.fullmatch(r"([1-9][0-9]*)(?::([0-9]+))?", text)
    if found is None:
        raise UsageError(f"--sample {text}: N or N:SEED, a number of images and a seed, such as 100:1")
    return int(found[1]), int(found[2] or 0)


def _some(files: list[str]) -> str:
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
