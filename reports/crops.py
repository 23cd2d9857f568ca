"""The same crop of an original and of codecs' reconstructions at about the same bits: a figure for a paper."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image as Pillow

from benchmark.addresses import Location, location
from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import write_file
from benchmark.images import load_image
from benchmark.metrics.records import info_of
from benchmark.pixels import Image
from benchmark.reconstructions import check_distinct, label_among, marked, shown_as
from benchmark.reports.figure_style import figure_style
from benchmark.reports.page.pictures import read_original
from benchmark.reports.plots.files import save_figure
from benchmark.results import PictureRecord, RunFolder, Trial, quality_name, rate_text

SUFFIXES = (".png", ".pdf", ".webp")
SIZE = 192, 192
WEBP_QUALITY = 90
_FAR = 0.1
"""A rate that is by more than this share from the one that was asked for is told."""
_POINTS = 72  # an inch


@dataclass(frozen=True)
class Place:
    """Which part of which image. corner: left and top in pixels; None for the part with the most detail."""

    image: str
    corner: tuple[int, int] | None = None


@dataclass(frozen=True)
class Point:
    """A codec of the run at a quality."""

    codec: str
    quality: float


@dataclass(frozen=True)
class Crop:
    """A cell of the figure: uint8 (height, width, 3). title: whose it is. caption: its bits and metric."""

    title: str
    caption: str
    pixels: Image


@dataclass(frozen=True)
class Row:
    """The crops of one image, the original first. name: the image and the place in it."""

    name: str
    crops: Sequence[Crop]


@dataclass(frozen=True)
class Look:
    """Of the figure. width: inches; None for `scale` screen pixels a pixel at 200 per inch. columns: crops in a line,
    0 for all of an image. font_size: points. names: whether the image and the place stand above its crops."""

    width: float | None = None
    columns: int = 0
    scale: int = 2
    font_size: float = 7.0
    names: bool = True


def crops_of(
    run: RunFolder,
    places: Sequence[Place],
    rate: float | Point,
    size: tuple[int, int] = SIZE,
    *,
    codecs: Sequence[str] = (),
    metric: str | None = None,
    labels: Mapping[str, str] | None = None,
    elsewhere: Mapping[str, Location] | None = None,
) -> tuple[list[Row], list[str]]:
    """Each place cut out of the original and of each codec's reconstruction whose bits on that image come nearest to
    `rate`, bits per pixel or those of a point of the run on the same image; and notes on those that are far from it.

    size: width and height. codecs: all of the run if empty. metric: of single images; None for the first of the run.
    Of a stochastic decoder the first seed is shown. elsewhere: hash -> file of originals, before the run's own places.
    Raises UsageError on a codec, metric, image or place that there is not, BenchmarkError if the run kept no
    reconstructions, or one is missing.
    """
    manifest = run.manifest
    if not manifest.keep_reconstructions:
        raise BenchmarkError(f"{run.path}: the run kept no images; make it with --keep-reconstructions")
    metric = metric or next((name for name, record in manifest.metrics.items() if record.kind != "set"), None)
    if metric is not None and (metric not in manifest.metrics or manifest.metrics[metric].kind == "set"):
        known = [name for name, record in manifest.metrics.items() if record.kind != "set"]
        raise UsageError(
            f"--metric {metric}: the run has no such metric of single images; there are {', '.join(known)}"
        )
    known = list(manifest.codecs)
    chosen = [label_among(codec, known) for codec in codecs] or known
    if unknown := [codec for codec in chosen if codec not in known]:
        raise UsageError(f"--codec {unknown[0]}: the run has no such codec; there are {', '.join(known)}")
    check_distinct((marked(codec, manifest.codecs[codec].bits) for codec in chosen), labels or {})
    records = {record.name: record for record in manifest.dataset.pictures}
    trials = [trial for trial in run.trials() if trial.error is None]
    rows, notes = [], []
    for place in places:
        if place.image not in records:
            some = ", ".join(list(records)[:4]) + (" …" if len(records) > 4 else "")
            raise UsageError(f"--image {place.image}: the run has no such image; there are {some}")
        original = _original(run, records[place.image], elsewhere or {})
        left, top = _corner(place, original, size)
        cut = np.s_[top : top + size[1], left : left + size[0]]
        crops = [Crop("original", "", original[cut])]
        bpp = rate if isinstance(rate, float) else _bpp_of(trials, rate, place.image)
        for codec in chosen:
            trial = _nearest(trials, codec, place.image, bpp)
            path = run.reconstruction_path(trial.key)
            if not path.is_file():
                raise BenchmarkError(f"{path}: the reconstruction is missing")
            decoded = load_image(path)
            if decoded.shape != original.shape:
                raise BenchmarkError(f"{path}: is of another size than the original")
            assert trial.bpp is not None
            if abs(trial.bpp / bpp - 1) > _FAR:
                notes.append(
                    f"{codec} comes no nearer to {bpp:.3g} bpp on {place.image} than {rate_text(trial.bpp)}, "
                    f"at quality {quality_name(trial.quality)}"
                )
            title = shown_as(marked(codec, manifest.codecs[codec].bits), labels or {})
            crops.append(Crop(title, _caption(run, trial, metric), decoded[cut]))
        rows.append(Row(f"{place.image}, {size[0]}×{size[1]} at ({left}, {top})", crops))
    return rows, notes


def _original(run: RunFolder, record: PictureRecord, elsewhere: Mapping[str, Location]) -> Image:
    path = elsewhere.get(record.sha256) or (location(record.path) if record.path else None)
    image, problem = read_original(path, record.sha256, run.manifest.dataset.preparation)
    if image is None:
        raise BenchmarkError(f"{record.name}: {problem}")
    return image


def _corner(place: Place, image: Image, size: tuple[int, int]) -> tuple[int, int]:
    width, height = image.shape[1], image.shape[0]
    if size[0] > width or size[1] > height:
        raise UsageError(f"--size {size[0]}x{size[1]}: {place.image} has {width}x{height} pixels")
    if place.corner is None:
        top, left = most_detailed(image, max(size))
        return min(left, width - size[0]), min(top, height - size[1])
    left, top = place.corner
    if left < 0 or top < 0 or left + size[0] > width or top + size[1] > height:
        raise UsageError(
            f"--at {left},{top}: a crop of {size[0]}x{size[1]} leaves {place.image}, which has {width}x{height} pixels"
        )
    return left, top


def _bpp_of(trials: Sequence[Trial], point: Point, image: str) -> float:
    found = [t.bpp for t in trials if (t.codec, t.quality, t.image) == (point.codec, point.quality, image) and t.bpp]
    if not found:
        at = quality_name(point.quality)
        raise UsageError(f"--match {point.codec}={at}: the run has no such trial of {image} that went well")
    return found[0]


def _nearest(trials: Sequence[Trial], codec: str, image: str, bpp: float) -> Trial:
    """The one whose bits come nearest, as a share; of several decoder seeds the first."""
    own = [t for t in trials if t.codec == codec and t.image == image and t.bpp]
    if not own:
        raise BenchmarkError(f"{codec}: the run has no trial of {image} that went well")
    return min(own, key=lambda t: (abs(math.log(float(t.bpp or 0) / bpp)), t.quality, t.decoder_seed or 0))


def _caption(run: RunFolder, trial: Trial, metric: str | None) -> str:
    assert trial.bpp is not None  # `_nearest` takes those with bits
    bits = f"{rate_text(trial.bpp)} bpp"
    if metric is None:
        return bits
    info = info_of(metric, run.manifest.metrics[metric])
    value = trial.metrics.get(metric)
    if value is None:
        return f"{bits}, {info.title}: {trial.reasons.get(metric, 'no value')}"
    unit = f" {info.unit}" if info.unit else ""
    number = f"{value:.4g}" if abs(value) < 1 else f"{value:.2f}"
    return f"{bits}, {number}{unit}" if unit else f"{bits}, {info.title} {number}"


def draw_crops(rows: Sequence[Row], path: Path, look: Look) -> None:
    """Writes the figure, as the suffix of `path` says. In a PDF every pixel is a pixel; in an image one of `scale`².

    Raises UsageError on another suffix or a size that cannot be, BenchmarkError if it cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{path}: a file that ends in {', '.join(SUFFIXES)}")
    lines = [
        (row.name if start == 0 and look.names else "", row.crops[start : start + step])
        for row in rows
        for step in [look.columns or len(row.crops)]
        for start in range(0, len(row.crops), step)
    ]
    columns = max(len(crops) for _, crops in lines)
    height, width = rows[0].crops[0].pixels.shape[:2]
    dots = 200.0
    gap = 4 * look.scale
    across = columns * (width * look.scale + gap) - gap
    if look.width is not None:
        dots = across / look.width
    text = look.font_size * dots / _POINTS  # pixels of a line of text
    head, foot = 1.5 * text, 2.9 * text
    down = sum(height * look.scale + foot + (head if name else 0) for name, _ in lines)
    with figure_style(look.font_size):
        figure = Figure(figsize=(across / dots, down / dots))
        y = float(down)
        for name, crops in lines:
            if name:
                figure.text(0, (y - 0.2 * text) / down, name, va="top", fontsize=look.font_size)
                y -= head
            y -= height * look.scale
            for column, crop in enumerate(crops):
                x = column * (width * look.scale + gap)
                box = (x / across, y / down, width * look.scale / across, height * look.scale / down)
                axes = figure.add_axes(box)
                axes.imshow(crop.pixels, interpolation="none" if suffix == ".pdf" else "nearest", aspect="auto")
                axes.set_axis_off()
                most = max(8, int(width * look.scale / (0.55 * text)))
                words = f"{_shortened(crop.title, most)}\n{_shortened(crop.caption, most)}"
                figure.text(x / across, (y - 0.3 * text) / down, words, va="top", fontsize=look.font_size)
            y -= foot
        if suffix == ".pdf":
            nothing: dict[str, None] = {"CreationDate": None, "Creator": None, "Producer": None}
            save_figure(figure, path, metadata=nothing)
            return
        if suffix == ".png":
            save_figure(figure, path, dpi=dots, metadata={"Software": None})
            return
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dots)
    stream = io.BytesIO()
    with Pillow.open(buffer) as drawn:
        drawn.convert("RGB").save(stream, "WEBP", quality=WEBP_QUALITY, method=6)
    write_file(path, stream.getvalue(), parents=True)


def _shortened(text: str, most: int) -> str:
    """`text`, its middle left out where it has more than `most` letters; the end tells specs apart."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-(most - most // 2 - 1) :]}"


def most_detailed(image: Image, size: int) -> tuple[int, int]:
    """Top and left of the size×size crop, on a grid of a quarter of it, whose luma differs most from pixel to pixel.

    An image smaller than that has its corner.
    """
    luma: npt.NDArray[np.float64] = image.astype(np.float64) @ (0.299, 0.587, 0.114)
    steps = np.zeros_like(luma)
    steps[:, 1:] += np.abs(np.diff(luma, axis=1))
    steps[1:] += np.abs(np.diff(luma, axis=0))
    sums = np.zeros((luma.shape[0] + 1, luma.shape[1] + 1))
    sums[1:, 1:] = steps.cumsum(0).cumsum(1)
    best, chosen = -1.0, (0, 0)
    for top in range(0, max(1, luma.shape[0] - size + 1), max(1, size // 4)):
        for left in range(0, max(1, luma.shape[1] - size + 1), max(1, size // 4)):
            bottom, right = min(top + size, luma.shape[0]), min(left + size, luma.shape[1])
            detail = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
            if detail > best:
                best, chosen = float(detail), (top, left)
    return chosen
