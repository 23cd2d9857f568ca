"""A page as one file, and a page of a given size: how much each image takes, and which images fit."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from benchmark.errors import UsageError
from benchmark.files import write_file
from benchmark.reports.page.files import asset, script_json, write_one_file
from benchmark.reports.page.pictures import LOSSLESS, Original, Track
from benchmark.results import path_name

_FRAME = 40_000  # bytes, of index.html beside data, scripts and images
_KINDS = {".png": "image/png", ".webp": "image/webp", LOSSLESS: "image/webp"}
_INLINE = ("runs/*/summary.csv", "runs/*/run.json")
"""Downloads that a page of one file carries. Trials would be larger than all the rest."""


@dataclass(frozen=True)
class Room:
    """What a page may take: `size` in bytes. one_file: images and downloads are in base64, which takes a third more."""

    size: float
    one_file: bool

    def fit(
        self, folder: Path, originals: Sequence[Original], most: int, data: Mapping[str, Any], assets: Sequence[str]
    ) -> tuple[list[Original], int]:
        """The originals with the first so many shown as fit, and how many. Files of the others are removed.

        most: so many are shown at most. data: what data.js will hold. assets: scripts and styles of the page. Raises
        UsageError if a page without any image does not fit.
        """
        costs = dict.fromkeys((path_name(original.name) for original in originals), 0)
        own: dict[str, list[Path]] = {name: [] for name in costs}
        for path in images_in(folder):
            name = path.stem
            costs[name] += path.stat().st_size
            own[name].append(path)
        more = 4 / 3 if self.one_file else 1.0
        files = [p for pattern in (_INLINE if self.one_file else ("runs/*/*",)) for p in folder.glob(pattern)]
        base = _FRAME + len(script_json(data).encode()) + more * sum(path.stat().st_size for path in files)
        base += sum(len(asset(name)) for name in assets)
        if base > self.size:
            raise UsageError(f"--max-mb {self.size / 1e6:g}: the page takes {base / 1e6:.2f} MB without any image")
        left, count = self.size - base, 0
        for original in originals[:most]:
            left -= more * costs[path_name(original.name)] + 100 * len(own[path_name(original.name)])
            if left < 0:
                break
            count += 1
        for original in originals[count:]:
            for path in own[path_name(original.name)]:
                path.unlink()
        return [
            original if index < count else replace(original, file=None, small=None)
            for index, original in enumerate(originals)
        ], count


def images_in(folder: Path) -> Iterator[Path]:
    """All images of a page: originals, small views, reconstructions, maps."""
    for place in ("pictures", "maps"):
        for path in sorted((folder / place).rglob("*")):
            if path.suffix in _KINDS:
                yield path


def as_webp(folder: Path, originals: Sequence[Original], room: Room | None, track: Track[Any], workers: int) -> None:
    """Codes originals and reconstructions anew without loss, NAME.png as NAME.lossless, a WebP: about a third less.

    Image by image, until what was coded fills `room`; the rest stays as it was.
    """
    own: dict[str, list[Path]] = {}
    for path in images_in(folder):
        if path.suffix == ".png" and path.relative_to(folder).parts[0] == "pictures":
            own.setdefault(path.stem, []).append(path)
    taken = 0.0
    with ThreadPoolExecutor(workers) as executor:  # Pillow codes outside of Python's lock
        for original in track(list(originals), "images without loss"):
            if room is not None and taken > room.size:
                return
            taken += sum(executor.map(_one_as_webp, own.get(path_name(original.name), [])))


def _one_as_webp(path: Path) -> float:
    try:
        content = lossless(path)
    except OSError:  # cut or changed after the run: as the page in a folder has it
        return 4 / 3 * path.stat().st_size
    write_file(path.with_suffix(LOSSLESS), content)
    path.unlink()
    return 4 / 3 * len(content)


def lossless(path: Path) -> bytes:
    """The image as a WebP of the very same pixels."""
    buffer = io.BytesIO()
    with Pillow.open(path) as image:
        image.convert("RGB").save(buffer, "WEBP", lossless=True, exact=True, quality=60, method=2)
    return buffer.getvalue()


def pack(folder: Path, output: Path, head: Mapping[str, Any], data: Any) -> None:
    """The page in `folder`, whose images are in place, as the one file `output`."""
    images = {}
    for path in images_in(folder):
        place = path.relative_to(folder).as_posix()
        images[f"{place.removesuffix(LOSSLESS)}.png" if path.suffix == LOSSLESS else place] = _address(
            path, _KINDS[path.suffix]
        )

    def address(place: str) -> str:
        if place.startswith("assets/"):
            return f"data:text/plain;base64,{base64.b64encode(asset(place.removeprefix('assets/'))).decode()}"
        return _address(folder / place, "application/octet-stream")

    downloads = {path.relative_to(folder).as_posix() for pattern in _INLINE for path in folder.glob(pattern)}
    runs = [run | {"downloads": [d for d in run["downloads"] if d in downloads]} for run in head["runs"]]
    write_one_file(output, "report.html.j2", {**head, "runs": runs, "address": address}, "REPORT", data, images)


def _address(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
