"""A static page of runs: curves, the images behind each point, tables, a verdict of two runs, how all was made."""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.addresses import Location
from benchmark.analysis.margins import Gate
from benchmark.analysis.summary import dataset_label
from benchmark.errors import BenchmarkError, UsageError, one_line
from benchmark.files import make_folder, write_file
from benchmark.reports.page.content import Source, content, decimals_of, read_sources
from benchmark.reports.page.files import copy_assets, replacing_folder, write_page
from benchmark.reports.page.packing import Room, as_webp, pack
from benchmark.reports.page.pictures import (
    Original,
    Track,
    link_reconstructions,
    map_jobs,
    maps_of,
    open_map,
    place_of,
    write_maps,
    write_originals,
)
from benchmark.results import Trial, path_name

ASSETS = (
    "page.css",
    "plotly.css",
    "base.js",
    "curves.js",
    "viewer.js",
    "tables.js",
    "made.js",
    "start.js",
    "plotly-basic.min.js",
    "plotly-LICENSE",
)


MOST_SHOWN = 1000
"""So many originals have their images on a page that is not asked for more: each is a file for each point."""
MOST_LISTED = 1000
"""Of more images the page has no list of hashes; the run's own file has."""
_NAMED = 20  # images of one author that are named

_NOWHERE: Mapping[str, Location] = {}


def _untold(items: Sequence[Any], name: str) -> Iterable[Any]:
    return items


def write_report(
    runs: Sequence[Path],
    output: Path,
    *,
    gate: Gate,
    elsewhere: Mapping[str, Location] = _NOWHERE,
    shown: int | None = None,
    maps: bool = True,
    max_mb: float | None = None,
    workers: int = 1,
    track: Track[Any] = _untold,
) -> list[str]:
    """Writes the page of `runs` into the folder `output`, and returns what it lacks, a line each.

    output: a name that ends in .html makes one file with everything in it, its images as lossless WebP. elsewhere: hash
    -> file of originals, besides where the runs found them. shown: how many originals have their images on the page,
    None for all of at most MOST_SHOWN; numbers are of all. maps: whether heat maps are made. max_mb: what the page may
    take in megabytes, 10^6 bytes; it shows the first images that fit. workers: processes that make heat maps.

    A page that is stopped leaves `output` as it was. Raises NotComparable if data sets or protocols of the runs differ,
    UsageError if `output` holds anything but an older page, or `max_mb` is too little for a page without images.
    """
    if shown is not None and shown < 0:
        raise UsageError(f"--images {shown}: a number of images, 0 for none")
    one_file = output.suffix.lower() == ".html"
    if one_file and output.is_dir():
        raise UsageError(f"{output}: is a folder, and a page of one file is asked for")
    sources = read_sources(runs)
    if any(output.resolve() in (run.resolve(), *run.resolve().parents) for run in runs):
        raise UsageError(f"{output}: holds a run that the page is to show; name another folder")
    data = content(sources, gate)
    with replacing_folder(output) if not one_file else _scratch(output) as folder:
        room = None if max_mb is None else Room(max_mb * 1e6, one_file)
        manifest = sources[0].folder.manifest
        total = len(manifest.dataset.pictures)
        count = min(total, MOST_SHOWN if shown is None else shown)
        originals = write_originals(manifest, elsewhere, folder, count, track)
        kept, lacking = _link(sources, originals, folder)
        for source in sources:
            _copy_downloads(source, folder)
        fitting = count
        if one_file:
            as_webp(folder, originals, room, track, workers)
        if room is not None:  # before maps are made of images that do not fit
            originals, fitting = room.fit(folder, originals, fitting, data, ASSETS)
        data["maps"], problems = _write_maps(kept, originals, folder, track, workers) if maps else ([], [])
        if room is not None:
            originals, fitting = room.fit(folder, originals, fitting, data, ASSETS)
        names = {original.name for original in originals if original.file is not None}
        _place(sources, data, [(s, [t for t in trials if t.image in names]) for s, trials in kept])
        data["pictures"] = [asdict(original) | {"path": path_name(original.name)} for original in originals]
        data["leftOut"] = _left_out(fitting, total)
        if fitting < count:
            lacking = [f"{line}; --max-mb {max_mb:g} allows no more" for line in data["leftOut"]] + lacking
        elif shown is None:
            lacking = [f"{line}; --images shows another number" for line in data["leftOut"]] + lacking
        for metric in data["metrics"]:
            found = [
                point["values"][metric["name"]]["value"]
                for point in data["points"]
                if metric["name"] in point["values"]
            ]
            metric["decimals"] = decimals_of([value for value in found if value is not None])
        head = _head(sources, data)
        if one_file:
            pack(folder, output, head, data)
        else:
            copy_assets(folder, *ASSETS)
            write_page(folder, "report.html.j2", head | {"address": str}, "REPORT", data)
    return [*lacking, *problems]


@contextlib.contextmanager
def _scratch(output: Path) -> Iterator[Path]:
    """A folder beside the one file that is to be written, which goes in any case."""
    with tempfile.TemporaryDirectory(dir=make_folder(output.parent), prefix=f".{output.name}.") as folder:
        yield Path(folder)


def _left_out(count: int, total: int) -> list[str]:
    """What the page does not show though the run has it, a sentence each."""
    if count == total:
        return []
    shown = f"The images of the first {count:,} of {total:,} originals are" if count else "No images are"
    return [f"{shown} on this page; numbers are of all {total:,}"]


def _link(
    sources: Sequence[Source], originals: Sequence[Original], output: Path
) -> tuple[list[tuple[Source, Sequence[Trial]]], list[str]]:
    """Links all reconstructions of images that are shown; returns those trials of each run, and what is lacking."""
    lacking = []
    shown = {original.name for original in originals if original.file is not None}
    unread = [original for original in originals if original.problem]
    if unread:
        lacking.append(f"{len(unread)} of {len(originals)} originals are not shown: {unread[0].problem}")
    kept: list[tuple[Source, Sequence[Trial]]] = []
    for source in sources:
        trials = [
            trial
            for trial in source.folder.trials()
            if trial.error is None and trial.codec in source.labels and trial.image in shown
        ]
        there = link_reconstructions(source.folder, source.number, trials, output)
        if not source.folder.manifest.keep_reconstructions:
            lacking.append(f"run {source.number} has no reconstructions: it was made without --keep-reconstructions")
        elif len(there) < len(trials):
            lacking.append(
                f"run {source.number}: {len(trials) - len(there)} of {len(trials)} reconstructions are missing"
            )
        kept.append((source, there))
    return kept, lacking


def _place(sources: Sequence[Source], data: dict[str, Any], kept: Sequence[tuple[Source, Sequence[Trial]]]) -> None:
    """Adds to each point of `data`: folders, a place under pictures/ for each decoder seed, and there, which images
    are there at every seed."""
    keys: dict[tuple[int, float], list[tuple[int | None, str]]] = {}
    labels = [codec["label"] for codec in data["codecs"]]
    for source, trials in kept:
        for trial in trials:
            codec = labels.index(source.labels[trial.codec])
            keys.setdefault((codec, trial.quality), []).append((trial.decoder_seed, trial.image))
    numbers = {source.number: source for source in sources}
    places = {n: {name: i for i, name in enumerate(source.numbers.images)} for n, source in numbers.items()}
    for point in data["points"]:
        codec = data["codecs"][point["codec"]]
        source = numbers[codec["run"]]
        spec = next(spec for spec, label in source.labels.items() if label == codec["label"])
        found = keys.get((point["codec"], point["quality"]), [])
        seeds = sorted({seed for seed, _ in found}, key=lambda seed: -1 if seed is None else seed)
        own = source.folder.manifest.codecs[spec].label
        point["folders"] = [place_of(source.number, own, point["quality"], seed) for seed in seeds]
        point["seeds"] = seeds
        pairs = set(found)
        complete = [name for name in source.numbers.images if all((seed, name) in pairs for seed in seeds)]
        point["there"] = [places[source.number][name] for name in complete] if seeds else []


def _write_maps(
    kept: Sequence[tuple[Source, Sequence[Trial]]],
    originals: Sequence[Original],
    output: Path,
    track: Track[Any],
    workers: int,
) -> tuple[list[dict[str, Any]], list[str]]:
    """What the page must know of the maps that were drawn, and why others were not. kept: trials with an image."""
    drawn, lacking = [], []
    kept = [(source, trials) for source, trials in kept if trials]
    for heat in maps_of([name for source, _ in kept for name in source.folder.manifest.metrics]) if kept else []:
        try:
            metric = open_map(heat)
        except BenchmarkError as error:
            lacking.append(f"there are no maps of {heat.title}: {one_line(error)}")
            continue
        jobs = map_jobs(heat, [(source.folder, source.number, trials) for source, trials in kept], originals, output)
        count, problems = write_maps(heat, metric, jobs, track, workers)
        if count:
            drawn.append(asdict(heat))
        if problems:
            lacking.append(f"{len(problems)} maps of {heat.title} are missing: {problems[0]}")
    return drawn, lacking


def _copy_downloads(source: Source, output: Path) -> None:
    folder = output / "runs" / str(source.number)
    for name in ("summary.csv", "trials.jsonl", "run.json"):
        with (source.folder.path / name).open("rb") as file:
            write_file(folder / name, iter(partial(file.read, 1 << 20), b""), parents=True)


def _head(sources: Sequence[Source], data: dict[str, Any]) -> dict[str, Any]:
    """What stands on the page before its scripts run."""
    manifest = sources[0].folder.manifest
    count = len(manifest.dataset.pictures)
    return {
        "title": f"{manifest.dataset.name}: {', '.join(codec['label'] for codec in data['codecs'])}",
        "dataset": manifest.dataset.name,
        "dataset_label": dataset_label(manifest),
        "pictures": f"{count} image{'' if count == 1 else 's'}",
        "codecs": [codec["label"] for codec in data["codecs"]],
        "points": len(data["points"]),
        "notices": data["notices"],
        "verdict": data["verdict"] is not None,
        "several": len(sources) > 1,
        "runs": data["runs"],
        "listed": count <= MOST_LISTED,
        "left_out": data["leftOut"],
        "credits": _credits(data["pictures"]),
        "uncredited": sum(not picture["credit"] for picture in data["pictures"]),
    }


def _credits(pictures: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """A line for each author and licence, with the images that they are of."""
    names: dict[str, list[str]] = {}
    for picture in pictures:
        if picture["credit"]:
            names.setdefault(picture["credit"], []).append(picture["name"])
    everything = len(names) == 1 and all(picture["credit"] for picture in pictures)
    return [
        {"names": f"all {len(of)} images" if everything and len(of) > 1 else _named(of), "text": text}
        for text, of in names.items()
    ]


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
