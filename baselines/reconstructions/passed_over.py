"""What lies beside reconstructions that were taken and is not taken itself: a line for each kind, with the reason."""

import glob
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from benchmark.baselines.reconstructions.patterns import NUMBER, Files, name_of
from benchmark.baselines.reconstructions.rates import Rates
from benchmark.errors import printable
from benchmark.files import expanded
from benchmark.formats import is_named_as_another, is_named_as_image


def beside_pattern(pattern: str, files: Files) -> Iterator[str]:
    """Of `files`, which fit `pattern`: images beside them, and folders of other qualities, that do not fit."""
    taken = {path for own in files.values() for path in own.values()}
    parts = Path(expanded(pattern)).parts
    level = next((at for at, part in enumerate(parts[:-1]) if "{quality}" in part), None)
    if level is not None:
        signs = ["*".join(glob.escape(piece) for piece in re.split(r"\{[^{}]*\}", part)) for part in parts[: level + 1]]
        number = re.compile(NUMBER.join(map(re.escape, re.split(r"\{[^{}]*\}", parts[level]))))
        used = {Path(*path.parts[: level + 1]) for path in taken}
        lying = [Path(text) for text in glob.glob(str(Path(*signs)))]  # noqa: PTH207  # of a text with signs
        others = [folder for folder in lying if folder.is_dir() and folder not in used]
        yield from _told(
            [one for one in others if not number.fullmatch(one.name)], "no number is in the place of {quality}"
        )
        yield from _told([one for one in others if number.fullmatch(one.name)], "nothing in it fits the pattern")
    yield from _beside(taken, "the pattern does not fit it")


def beside_layout(folder: Path, qualities: Sequence[Path], files: Files) -> Iterator[str]:
    """Of a layout in `folder`: images beside those that were taken, and folders that are no quality and hold images.

    qualities: the folders that are; `folder` itself where it is the only one.
    """
    taken = {path for own in files.values() for path in own.values()}
    if folder not in qualities:
        others = [one for one in folder.iterdir() if one.is_dir() and one not in qualities and _holds_images(one)]
        yield from _told(others, "no number is in its name, as in those of the qualities")
        loose = [one for one in folder.iterdir() if one.is_file() and is_named_as_image(one.name)]
        yield from _told(loose, "it lies beside the folders of the qualities")
    yield from _beside(taken, "it is named like no image of the kinds that are read")


def of_figures(files: Files, rates: Rates) -> Iterator[str]:
    """Bits of images that are not there."""
    named = {key for table in (rates.streams, rates.bytes, rates.bpp) for key in table if key[1]}
    idle = {
        (quality, name_of(name)) for quality, name in named if not {name, name_of(name)} & set(_names(files, quality))
    }
    if idle:
        words = [f"{printable(name)} at {quality:g}" for quality, name in sorted(idle)]
        yield f"bits of {_some(words)} are not used: there is no such image"


def of_others(files: Files, wanted: Collection[str]) -> list[str]:
    """Names of the images, the first of each, that are of none of `wanted`."""
    names: dict[Path, list[str]] = {}
    for own in files.values():
        for name, path in own.items():
            names.setdefault(path, []).append(name)
    return sorted({own[0] for own in names.values() if not set(own) & set(wanted)})


def _names(files: Files, quality: float) -> Collection[str]:
    return files.get(quality, {}).keys()


def _holds_images(folder: Path) -> bool:
    return any(is_named_as_image(path.name) for path in (*folder.iterdir(), *folder.glob("*/*")))


def _beside(taken: Collection[Path], reason: str) -> Iterator[str]:
    """Images that lie in a folder of `taken` ones."""
    lying = {path for folder in {path.parent for path in taken} for path in folder.iterdir()}
    images = [path for path in lying - set(taken) if is_named_as_image(path.name) or is_named_as_another(path.name)]
    yield from _told(images, reason)


def _told(paths: Iterable[Path], reason: str) -> Iterator[str]:
    if words := [printable(str(path)) for path in sorted(paths)]:
        yield f"{_some(words)} not taken: {reason}"


def _some(words: Sequence[str]) -> str:
    more = f" and {len(words) - 3} more" if len(words) > 3 else ""
    return f"{', '.join(words[:3])}{more}"
