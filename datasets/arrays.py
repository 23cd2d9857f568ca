"""Data sets made of what a program holds: arrays, tensors, Pillow's images, paths, a data set of Hugging Face's.

What is not a file becomes one, once, named by the SHA-256 of its content, so that worker processes, a resumed run and
every later command find it as they find any image. An array is written as a binary PPM: its shape, then its bytes. So
the hash of the file is a hash of the pixels alone, whoever writes it and with whichever library.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import addresses
from benchmark.addresses import Location
from benchmark.addresses import is_stored as is_stored
from benchmark.containment import Containment
from benchmark.datasets.pictures import Dataset, Picture, doubles, names_of_files, unique_names
from benchmark.errors import BenchmarkError, UsageError
from benchmark.fetching import cache_folder, file_is, make_folder
from benchmark.files import expanded
from benchmark.guards import no_exit, told

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

COLUMN = "image"
"""The column of a Hugging Face data set that holds the images, unless another one is named."""

WANTED = "an image is a uint8 array (height, width, 3), RGB, or the path of an image file"

MOST = 1_000_000
"""Images that a function may give; one that never ends would fill the disk."""
TOLD = 1_000
"""After so many each time it is said how many a function without a length has given."""

_END = object()


def stored_folder() -> Path:
    """Where arrays lie as files. It may be removed: they are written again when their data set is opened."""
    return cache_folder() / "arrays"


def store(data: bytes, suffix: str, folder: Path | None = None) -> tuple[Path, str]:
    """The file with `data` in `folder`, or where arrays lie, and its SHA-256; written unless it is there and right.

    Raises BenchmarkError if it cannot be written.
    """
    folder = stored_folder() if folder is None else folder
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"image-{digest}{suffix}"
    if not file_is(path, len(data), digest):
        from benchmark.files import write_file

        try:
            make_folder(folder)
        except OSError as error:
            raise BenchmarkError(f"{folder}: cannot be made: {error.strerror or error}") from None
        write_file(path, data)
    return path, digest


def collected(
    things: Any,
    name: str,
    folder: Path | None = None,
    column: str | None = None,
    containment: Containment | None = None,
) -> Dataset:
    """The images in `things`, in their order, as a data set called `name`.

    things: an iterable of images or of (name, image), a mapping of names to images, uint8 arrays (N, height, width, 3),
    a uint8 tensor (N, 3, height, width), or a data set of Hugging Face's. An image is a uint8 array (height, width, 3),
    a uint8 tensor (3, height, width), a Pillow image, the bytes of an image file, or the path or address of one.
    Without names, files are called as in a list of files, and other images by their numbers, "00000" first.

    folder: where files are written; None for `stored_folder`. column: of a Hugging Face data set; None for "image", or
    the only column there is. containment: of the code that made `things`, which is at work again as they are taken.

    Raises UsageError on what is no image and on two images of one name, BenchmarkError if `things` fails or a file
    cannot be read or written. The content of files is not looked at.
    """
    names: list[str | None] = []
    hints: list[str | None] = []
    places: list[Location] = []
    written: dict[Location, str] = {}
    plain = isinstance(things, list | tuple | dict)  # no code of anybody's
    inside = contextlib.nullcontext if plain else (containment or Containment()).inside
    for given, hint, thing in _guarded(_elements(things, name, column), name, inside):
        if len(places) >= MOST:
            raise BenchmarkError(f"data set {name}: more than {MOST:,} images; does it ever end?")
        if places and len(places) % TOLD == 0 and not hasattr(things, "__len__"):
            print(f"data set {name}: {len(places):,} images so far", file=sys.stderr)
        what = f"data set {name}: image {len(places)}" + (f" ({given!r})" if isinstance(given, str) else "")
        names.append(_checked_name(given, what))
        place = _file(thing, what)
        if place is None:
            place, digest = store(*_content(thing, what), folder)
            written[place] = digest
        places.append(place)
        hints.append(hint)
    if not places:
        raise UsageError(f"data set {name}: there is no image in it")
    files = [None if place in written else place for place in places]
    final = _named(names, hints, files, name)
    others = [place for place in files if place is not None]
    hashes = written | dict(zip(others, addresses.sha256_of_each(others), strict=True))
    notes: tuple[str, ...] = ()
    if written and folder is None:
        size = sum(Path(path).stat().st_size for path in written) / 1e6
        count = "1 image lies as a file" if len(written) == 1 else f"{len(written)} images lie as files"
        notes = (f"{name}: {count} in {stored_folder()}, {size:.2f} MB; it may be removed",)
    pictures = tuple(Picture(each, place, hashes[place]) for each, place in zip(final, places, strict=True))
    return Dataset(name, pictures, notes=notes + doubles(name, pictures))


def _guarded(
    elements: Iterator[Any], name: str, inside: Callable[[], contextlib.AbstractContextManager[None]]
) -> Iterator[Any]:
    """`elements`, which are anyone's code. Raises BenchmarkError that says where they failed."""
    count = 0
    while True:
        try:
            with inside():
                element = no_exit(next, elements, _END)
        except BenchmarkError:
            raise
        except Exception as error:
            raise BenchmarkError(f"data set {name}: failed at image {count}: {told(error)}") from error
        if element is _END:
            return
        yield element
        count += 1


def _elements(things: Any, name: str, column: str | None) -> Iterator[tuple[Any, str | None, Any]]:
    """(name or None, file name that may name it or None, image) of each image in `things`. Raises UsageError."""
    if isinstance(things, Mapping):
        if any(hasattr(value, "column_names") for value in things.values()):
            raise UsageError(f"data set {name}: it has the splits {', '.join(map(str, things))}; take one of them")
        yield from ((key, None, image) for key, image in things.items())
    elif hasattr(things, "column_names"):
        yield from _rows(things, name, column)
    elif hasattr(things, "shape") and hasattr(things, "dtype"):
        if len(things.shape) != 4:
            raise UsageError(f"data set {name}: one array {_kind(things)}; give a list of images, or (N, …) of them")
        yield from ((None, None, image) for image in things)
    elif isinstance(things, str | bytes | Path) or not isinstance(things, Iterable):
        raise UsageError(f"data set {name}: {_kind(things)}, where images or pairs (name, image) are wanted")
    else:
        for number, element in enumerate(things):
            if isinstance(element, tuple):
                if len(element) != 2:
                    raise UsageError(f"data set {name}: image {number} is {_kind(element)}, not a pair (name, image)")
                yield element[0], None, element[1]
            else:
                yield None, None, element


def _rows(things: Any, name: str, column: str | None) -> Iterator[tuple[None, str | None, Any]]:
    """The images of a Hugging Face data set, as files where it holds files: so none is decoded and changed on the way.

    Its format ("torch" say) does not matter then; a transform of the user's (`with_transform`) is applied. One that is
    read as a stream may not know its columns before its first row: then its rows are taken as they come.
    """
    if things.column_names is None:
        for row in things:
            yield _entry(row[_column(list(row), name, column)])
        return
    column = _column(list(things.column_names), name, column)
    feature = (getattr(things, "features", None) or {}).get(column)
    format_ = getattr(things, "format", None)
    if hasattr(feature, "decode") and not (isinstance(format_, Mapping) and format_.get("type") == "custom"):
        undecoded: Any = type(feature)
        things = things.cast_column(column, undecoded(decode=False)).with_format(None)
    for row in things:
        yield _entry(row[column])


def _column(columns: Sequence[str], name: str, column: str | None) -> str:
    """The one with the images. Raises UsageError if there is none of that name."""
    if column is None:
        column = columns[0] if len(columns) == 1 else COLUMN
    if column not in columns:
        raise UsageError(f"data set {name}: no column is named {column!r}; there are {', '.join(columns) or 'none'}")
    return column


def _entry(image: Any) -> tuple[None, str | None, Any]:
    """As `_elements` gives an image."""
    if isinstance(image, Mapping) and image.keys() >= {"bytes", "path"}:
        path = image["path"]
        return None, path and str(path).rpartition("/")[2], path if image["bytes"] is None else image["bytes"]
    return None, None, image


def _checked_name(given: Any, what: str) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise UsageError(f"{what}: its name is {_kind(given)}, not text; give images or pairs (name, image)")
    if not given.strip() or not given.isprintable():
        raise UsageError(f"{what}: its name is empty or cannot be printed")
    return str(given)


def _file(thing: Any, what: str) -> Location | None:
    """The file that `thing` names; None if it is no path. Raises UsageError if there is none of that name."""
    if not isinstance(thing, str | os.PathLike) or not isinstance(os.fspath(thing), str):
        return None
    place = addresses.location(os.fspath(thing))
    if isinstance(place, str):
        addresses.check_address(place)
        return place
    path = expanded(place).absolute()
    if not path.is_file():
        raise UsageError(f"{what}: there is no file {thing}")
    return path


def _content(thing: Any, what: str) -> tuple[bytes, str]:
    """Content and suffix of the file that an image becomes. Raises UsageError."""
    return (thing, ".file") if isinstance(thing, bytes) else (_ppm(_array(thing, what)), ".ppm")


def _array(thing: Any, what: str) -> "npt.NDArray[np.uint8]":
    """uint8 (height, width, 3). Raises UsageError that says what `thing` is instead."""
    import numpy as np

    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(thing, pillow.Image):
        from benchmark.images import image_of

        try:
            return image_of(thing)
        except BenchmarkError as error:
            raise UsageError(f"{what}: {error}") from None
    if hasattr(thing, "detach") and hasattr(thing, "cpu"):  # torch's
        if str(thing.dtype) != "torch.uint8" or thing.ndim != 3 or thing.shape[0] != 3:
            raise UsageError(f"{what}: a tensor {_kind(thing)}; a tensor is uint8 (3, height, width), RGB")
        array = thing.detach().cpu().numpy().transpose(1, 2, 0)
    elif hasattr(thing, "shape") and hasattr(thing, "dtype"):
        if np.ma.is_masked(thing):  # type: ignore[no-untyped-call]
            raise UsageError(f"{what}: a masked array, and no codec knows a mask; give its data, or fill it")
        array = np.asarray(thing)
    else:
        raise UsageError(f"{what} is {_kind(thing)}; {WANTED}")
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise UsageError(f"{what}: {_kind(thing)}; {WANTED}")
    return array


def _kind(thing: Any) -> str:
    """ "float32 (8, 8)" of an array, else "a tuple of 3", "an int": for messages."""
    if hasattr(thing, "shape") and hasattr(thing, "dtype"):
        return f"{str(thing.dtype).rpartition('.')[2]} {tuple(thing.shape)}"
    if thing is None:
        return "None"
    name = type(thing).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}" + (
        f" of {len(thing)}" if isinstance(thing, tuple | list) else ""
    )


def _ppm(image: "npt.NDArray[np.uint8]") -> bytes:
    height, width = image.shape[:2]
    return f"P6\n{width} {height}\n255\n".encode() + image.tobytes()


def _named(
    names: Sequence[str | None], hints: Sequence[str | None], files: Sequence[Location | None], name: str
) -> list[str]:
    """A name for each image; files: those that are files of the user's. Raises UsageError if two have the same."""
    nameless = [index for index, given in enumerate(names) if given is None]
    own = {index: file for index in nameless if (file := files[index]) is not None}
    try:
        found = dict(zip(own, names_of_files(list(own.values())), strict=True))
    except UsageError as error:
        raise UsageError(f"data set {name}: {error}") from None
    if hinted := {str(hints[index]): index for index in nameless if hints[index]}:
        if len(hinted) == len(nameless):
            found = {hinted[hint]: short for hint, short in unique_names(hinted).items()}
        else:
            found = {}  # several of one file name, or some without: numbers for all
    final = [found.get(index, f"{index:05}") if given is None else given for index, given in enumerate(names)]
    first: dict[str, int] = {}
    for index, each in enumerate(final):
        if first.setdefault(each, index) != index:
            raise UsageError(f"data set {name}: images {first[each]} and {index} are both called {each!r}")
    return final
