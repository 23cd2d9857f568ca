"""The images of a page: originals, reconstructions as the runs kept them, small views, and heat maps of metrics."""

import csv
import io
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from benchmark.addresses import Location, is_there, location, sha256_of, why_gone
from benchmark.errors import BenchmarkError, Undefined, one_line
from benchmark.files import write_file
from benchmark.images import load_image, write_png
from benchmark.metrics import DEFAULT_MAP, Loads, Mapped, open_metric, shipped_info
from benchmark.reports.page.files import link
from benchmark.results import Manifest, RunFolder, Trial, path_name, quality_name

Item = TypeVar("Item")
Track = Callable[[Sequence[Item], str], Iterable[Item]]
"""Hands the items on one by one, and shows how far it is under the given name."""

LOSSLESS = ".lossless"
"""Instead of .png: an image that is coded anew for a page of one file."""
_TOGETHER = 8  # maps of one image in a job: so many are waited for where a page is stopped
_FEW = 16  # so many maps are made sooner than a second process has started
_SMALL_SIDE = 160  # pixels, of the longer side of a small view

# What is known of sets whose files come without a list of authors.
_KNOWN_SETS = {
    "kodak": "Kodak Lossless True Color Image Suite, released by the Eastman Kodak Company for unrestricted use",
}


@dataclass(frozen=True)
class Original:
    """An image of the data set as the page shows it. file, small: addresses; both None where it is not shown.

    problem: why it could not be, else empty. credit: author and licence, empty where neither is known.
    """

    name: str
    sha256: str
    file: str | None
    small: str | None
    width: int
    height: int
    problem: str
    credit: str


def write_originals(
    manifest: Manifest, elsewhere: Mapping[str, Location], folder: Path, count: int, track: Track[Any]
) -> list[Original]:
    """Writes the first `count` originals, prepared as they were coded, as PNG and as small views.

    elsewhere: hash -> file, tried before the place that the run recorded. A file that is not there any more, is
    another than was coded, or cannot be read is no error: the page says so.
    """
    written = []
    (folder / "pictures" / "original").mkdir(parents=True, exist_ok=True)
    (folder / "pictures" / "small").mkdir(exist_ok=True)
    for number, picture in track(list(enumerate(manifest.dataset.pictures)), "originals"):
        path = elsewhere.get(picture.sha256) or (location(picture.path) if picture.path else None)
        credit = _credit(path, manifest.dataset.name)
        image, problem = (
            (None, "") if number >= count else read_original(path, picture.sha256, manifest.dataset.preparation)
        )
        if image is not None:
            name = path_name(picture.name)
            write_png(folder / "pictures" / "original" / f"{name}.png", image)
            write_file(folder / "pictures" / "small" / f"{name}.webp", _small(image))
            height, width = image.shape[:2]
            files = f"pictures/original/{name}.png", f"pictures/small/{name}.webp"
            written.append(Original(picture.name, picture.sha256, *files, width, height, "", credit))
            continue
        written.append(Original(picture.name, picture.sha256, None, None, 0, 0, problem, credit))
    return written


def read_original(path: Location | None, sha256: str, preparation: str) -> tuple[npt.NDArray[np.uint8] | None, str]:
    """The original as it was coded, or why it is not shown."""
    if path is None or not is_there(path):
        return None, why_gone(path)
    try:
        if sha256_of(path) != sha256:
            name = Path(path).name
            return None, f"{name} is another file than the one that was coded; --dataset says where that is"
        return load_image(path, preparation), ""
    except (BenchmarkError, OSError) as error:
        return None, one_line(error)


def _small(image: npt.NDArray[np.uint8]) -> bytes:
    picture = Pillow.fromarray(image)
    picture.thumbnail((_SMALL_SIDE, _SMALL_SIDE), Pillow.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="WEBP", quality=80)
    return buffer.getvalue()


def _credit(path: Location | None, dataset: str) -> str:
    """Author and licence, from PROVENANCE.csv beside the original if there is one."""
    if isinstance(path, Path) and (row := _provenance(path.parent).get(path.name)):
        return ", ".join(part for part in (row.get("author"), row.get("licence"), row.get("note")) if part)
    return _KNOWN_SETS.get(dataset.partition("[")[0], "")


@cache
def _provenance(folder: Path) -> dict[str, dict[str, str]]:
    """File name -> the columns of PROVENANCE.csv in `folder`; empty if there is none."""
    file = folder / "PROVENANCE.csv"
    if not file.is_file():
        return {}
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            return {row["file"]: row for row in csv.DictReader(lines)}
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise BenchmarkError(f"{file}: cannot be read as a list of authors and licences: {error}") from None


# Reconstructions


def place_of(number: int, label: str, quality: float, seed: int | None) -> str:
    """The folder, under pictures/ and maps/, of the reconstructions of the run with that number."""
    folder = f"run-{number}/{path_name(label)}/{quality_name(quality)}"
    return folder if seed is None else f"{folder}/seed-{seed}"


def link_reconstructions(run: RunFolder, number: int, trials: Sequence[Trial], folder: Path) -> list[Trial]:
    """Links the reconstructions of `trials` into the page; returns the trials that have one."""
    there = []
    for trial in trials:
        source = run.reconstruction_path(trial.key)
        if source.is_file():
            label = run.manifest.codecs[trial.codec].label
            place = place_of(number, label, trial.quality, trial.decoder_seed)
            link(source, folder / "pictures" / place / f"{path_name(trial.image)}.png")
            there.append(trial)
    return there


# Heat maps


@dataclass(frozen=True)
class Map:
    """Heat maps of one metric. name: the metric's. mode: what the viewer calls them. folder: where they lie. top: where
    the colours end."""

    name: str
    title: str
    mode: str
    folder: str
    top: float


def maps_of(metrics: Iterable[str]) -> list[Map]:
    """The maps of a page whose runs measured `metrics`: the default one, and those of metrics that declare one."""
    others = (name for name in metrics if name != DEFAULT_MAP)
    found = []
    for name in (DEFAULT_MAP, *dict.fromkeys(others)):
        info = shipped_info(name)
        if info is not None and info.map_top is not None:
            first = name == DEFAULT_MAP
            mode, folder = ("map", "maps") if first else (f"map-{name}", f"maps/{name}")
            found.append(Map(name, info.title, mode, folder, info.map_top))
    return found


def open_map(heat: Map) -> Mapped:
    """The metric, with its network. Raises BenchmarkError if it cannot be opened."""
    metric = open_metric(heat.name)
    assert isinstance(metric, Mapped)
    if isinstance(metric, Loads):
        metric.load()
    return metric


@dataclass(frozen=True)
class MapJob:
    """Heat maps to make of one image: the original, its size, and its reconstructions, with where their maps go."""

    original: Path
    height: int
    width: int
    pairs: tuple[tuple[Path, Path], ...]


def map_jobs(
    heat: Map, kept: Sequence[tuple[RunFolder, int, Sequence[Trial]]], originals: Sequence[Original], folder: Path
) -> list[MapJob]:
    """All maps of one metric, an image at a time, at most _TOGETHER of it in a job.

    kept: runs with their number on the page, and trials with an image. Images whose original is not there have none.
    """
    pairs: dict[str, list[tuple[Path, Path]]] = {}
    for run, number, trials in kept:
        for trial in trials:
            place = place_of(number, run.manifest.codecs[trial.codec].label, trial.quality, trial.decoder_seed)
            target = folder / heat.folder / place / f"{path_name(trial.image)}.png"
            pairs.setdefault(trial.image, []).append((run.reconstruction_path(trial.key), target))
    return [
        MapJob(_there(folder / original.file), original.height, original.width, tuple(own[start : start + _TOGETHER]))
        for original in originals
        if original.file is not None
        for own in [pairs.get(original.name, [])]
        for start in range(0, len(own), _TOGETHER)
    ]


def _there(path: Path) -> Path:
    return path if path.is_file() else path.with_suffix(LOSSLESS)


def write_maps(
    heat: Map, metric: Mapped, jobs: Sequence[MapJob], track: Track[Any], workers: int = 1
) -> tuple[int, list[str]]:
    """Writes a heat map for each pair of `jobs`, a quarter of the image's size; returns how many, and why others not.

    metric: as `open_map` gives it. workers: processes that share the maps, each with a network of its own; few maps are
    made in this one. Images that are too small for the metric have none. Whatever stops it, no process of it stays.
    """
    written, problems = 0, []
    for job, drawn in zip(jobs, _drawn(heat, metric, jobs, track, workers), strict=True):
        for (_, target), one in zip(job.pairs, drawn, strict=True):
            if isinstance(one, str):
                problems.append(one)
            elif one is not None:
                write_file(target, one, parents=True)
                written += 1
    return written, problems


def _drawn(
    heat: Map, metric: Mapped, jobs: Sequence[MapJob], track: Track[Any], workers: int
) -> Iterator[list[bytes | str | None]]:
    """What `draw_maps` says of each job, in order."""
    name = f"heat maps of {heat.title}"
    few = sum(len(job.pairs) for job in jobs) <= _FEW
    if workers < 2 or few:
        for job in track(jobs, name):
            yield draw_maps(metric, heat.top, job)
        return
    context = multiprocessing.get_context("forkserver")
    executor = ProcessPoolExecutor(min(workers, len(jobs)), context, _begin, (heat,))
    try:
        for future in track([executor.submit(_draw_here, job) for job in jobs], name):
            yield future.result()
    except BrokenProcessPool:
        raise BenchmarkError(f"a process that made {name} died; --workers 1 makes them in one") from None
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


_opened: list[tuple[Map, Mapped]] = []
"""Of a process that makes maps for another: what it was begun with."""


def _begin(heat: Map) -> None:
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first process's
    torch.set_num_threads(1)
    _opened.append((heat, open_map(heat)))


def _draw_here(job: MapJob) -> list[bytes | str | None]:
    heat, metric = _opened[-1]
    return draw_maps(metric, heat.top, job)


def draw_maps(metric: Mapped, top: float, job: MapJob) -> list[bytes | str | None]:
    """For each pair its map as a PNG, or why there is none; None where the image is too small for the metric."""
    try:
        prepared = metric.prepare(load_image(job.original))
    except Undefined:
        return [None] * len(job.pairs)
    drawn: list[bytes | str | None] = []
    for reconstruction, _ in job.pairs:
        try:
            values = metric.difference_map(prepared, load_image(reconstruction))
            drawn.append(map_png(quartered(values, job.height, job.width), top))
        except BenchmarkError as error:  # a reconstruction that was cut or changed after the run
            drawn.append(one_line(error))
    return drawn


def quartered(values: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """A map of an image of that size at a quarter of it, rounded up; means of what lies together in a larger map."""
    size = -(-height // 4), -(-width // 4)
    if values.shape == size:
        return values
    step = 4 * values.shape[0] // height
    rows, columns = range(0, values.shape[0], step), range(0, values.shape[1], step)
    padded = np.add.reduceat(np.add.reduceat(values, rows, 0, dtype=np.float64), columns, 1)
    counts = np.add.reduceat(np.add.reduceat(np.ones_like(values), rows, 0), columns, 1)
    return (padded / counts).astype(np.float32)


def map_png(values: npt.NDArray[np.float32], top: float) -> bytes:
    """PNG with 256 colours (matplotlib's "inferno") from 0, black, to `top` and above, light yellow."""
    indices = np.clip(np.rint(values / top * 255), 0, 255).astype(np.uint8)
    picture = Pillow.fromarray(indices, mode="P")
    picture.putpalette(_palette())
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


@cache
def _palette() -> bytes:
    from matplotlib import colormaps

    return bytes((colormaps["inferno"](np.arange(256), bytes=True)[:, :3]).astype(np.uint8).tobytes())
