"""By how much a decoder departs from its input, at equal bytes: does its image, shrunken again, say what was sent?

`python -m benchmark studies departure` codes each image by a reference (`hfd`) and by the other codecs with the quality
whose stream comes nearest to as many bytes, and decodes. The decoded image is shrunken to a quarter of each side by a
Lanczos filter and held against two small images: that of the original, and what was sent, which is the copy in the
stream of `upscale` and `sd-upscale`, and the small image of x̂ for other codecs. A generative model that is adapted to
compression may make images that look real and say something else; a decoder that keeps to its bits does not.
"""

import io
import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from benchmark.baselines.target import candidates, closest
from benchmark.baselines.upscale.small_copy import shrink
from benchmark.codecs import Codec, open_codec
from benchmark.datasets import limit, open_dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import write_file
from benchmark.images import load_image
from benchmark.metrics import STUDY_METRICS, ImageMetric, SetMetric, open_metric
from benchmark.metrics.fidelity import mean_squared_error, psnr_from_mse
from benchmark.pixels import Image
from benchmark.reports.crops import most_detailed
from benchmark.reports.decoders import Cell, draw_sheet
from benchmark.results import quality_name
from benchmark.statistics.intervals import Estimate, jackknife_estimate, mean_estimate

REFERENCE = "hfd"
CODECS = ("upscale:by=realesrgan", "upscale:by=lanczos")
FACTOR = 4
"""Of the small images."""
WEBP_QUALITY = 90
SMALL, SENT = "small image (dB)", "small image that was sent (dB)"

LONGEST_NAME = 22
"""Letters of an image's name above its crop: more would run into the next one."""


@dataclass(frozen=True)
class Departure:
    """A value of a codec at the bytes of the reference's quality.

    metric: of the suite, or SMALL, the PSNR of the decoded image's small image against the original's, or SENT, against
    what was sent. low, high: 95 % interval over images. n_images: with a value.
    """

    NAMES = ("dataset", "codec", "quality", "metric")

    dataset: str
    codec: str
    quality: float
    bpp: float
    metric: str
    value: float
    low: float
    high: float
    n_images: int


@dataclass(frozen=True)
class Coded:
    """An image by one codec: length of the stream in bytes, what was decoded, and the small image that was sent."""

    length: int
    decoded: Image
    sent: Image


def sent_of(codec: Codec, data: bytes, decoded: Image) -> Image:
    """The small image that a stream says: its copy, else that of x̂; a codec without one sends what it decodes."""
    if hasattr(codec, "small_copy"):
        copy: Image = codec.small_copy(data)
        return copy
    return shrink(codec.x_hat(data) if hasattr(codec, "x_hat") else decoded, FACTOR)


def code(codec: Codec, image: Image, length: float | None, quality: float) -> Coded:
    """`image` at `quality`, or at the quality whose stream comes nearest to `length` bytes."""
    if length is None:
        data = codec.encode(image.copy(), quality)
    else:
        streams: dict[float, bytes] = {}

        def bytes_at(candidate: float) -> float:
            if candidate not in streams:
                streams[candidate] = codec.encode(image.copy(), candidate)
            return float(len(streams[candidate]))

        data = streams[closest(candidates(codec), bytes_at, length)]
    decoded = codec.decode(data, 0) if codec.stochastic else codec.decode(data)
    return Coded(len(data), decoded, sent_of(codec, data, decoded))


def small_psnr(image: Image, other: Image) -> float:
    """In dB; infinite where both are the same."""
    error = mean_squared_error(image, other)
    return math.inf if error == 0 else psnr_from_mse(error)


def values_of(originals: Sequence[Image], coded: Sequence[Coded], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> values of each image, and for a metric of sets its value and those without each image."""
    found: dict[str, Any] = {}
    for name, metric in metrics.items():
        if isinstance(metric, SetMetric):
            sides = [[metric.features(x) for x in originals], [metric.features(each.decoded) for each in coded]]
            found[name] = (metric.distance(*sides), metric.leave_one_out(*sides))
        else:
            found[name] = [
                metric.compare(metric.prepare(x), each.decoded) for x, each in zip(originals, coded, strict=True)
            ]
    smaller = [shrink(each.decoded, FACTOR) for each in coded]
    found[SMALL] = [small_psnr(own, shrink(x, FACTOR)) for own, x in zip(smaller, originals, strict=True)]
    found[SENT] = [small_psnr(own, each.sent) for own, each in zip(smaller, coded, strict=True)]
    return found


def rows(
    dataset: str, spec: str, quality: float, originals: Sequence[Image], coded: Sequence[Coded], metrics: Any
) -> Iterator[Departure]:
    """A line per metric."""
    bits = [8 * each.length / (x.shape[0] * x.shape[1]) for x, each in zip(originals, coded, strict=True)]
    for name, found in values_of(originals, coded, metrics).items():
        if isinstance(found, tuple):
            at = jackknife_estimate(*found)
        elif np.isfinite(found).all():
            at = mean_estimate(found)
        else:  # what is decoded is what was sent, pixel for pixel
            at = Estimate(float(np.mean(found)), math.nan, math.nan, math.nan)
        bpp = float(np.mean(bits))
        yield Departure(dataset, spec, quality, bpp, name, at.value, at.ci_low, at.ci_high, len(coded))


def measure(
    codecs: Sequence[str] = CODECS,
    qualities: Sequence[float] = (1.0, 2.0),
    reference: str = REFERENCE,
    dataset: str = "photos",
    most: int = 0,
    sheet: Path | None = None,
) -> Iterator[Departure]:
    """Each codec's values at the bytes of each quality of the reference, which comes first.

    most: so many images, spread over the data set; 0 takes all. sheet: crops of four images at the first quality are
    drawn there, a PNG or WebP. Raises UsageError and BenchmarkError, before the first is coded, on what is not there,
    and on another suffix.
    """
    if len(set(codecs)) < len(codecs) or reference in codecs:
        raise UsageError("name each codec once; the reference is added by itself")
    if sheet is not None and sheet.suffix.lower() not in (".png", ".webp"):
        raise UsageError(f"--sheet {sheet}: a file that ends in .png or .webp")
    metrics = {name: open_metric(name) for name in STUDY_METRICS}
    opened = {spec: open_codec(spec) for spec in (reference, *codecs)}
    for metric in metrics.values():
        assert isinstance(metric, ImageMetric | SetMetric)
        if hasattr(metric, "load"):
            metric.load()
    chosen = limit(open_dataset(dataset), most)
    originals = [load_image(image.path, chosen.preparation) for image in chosen.pictures]
    if len(originals) < 2:
        raise BenchmarkError(f"{dataset}: an interval over images needs at least two of them")
    names = [image.name for image in chosen.pictures]

    def found() -> Iterator[Departure]:
        for quality in qualities:
            of_all: dict[str, list[Coded]] = {}
            for spec, codec in opened.items():
                lengths = [each.length for each in of_all[reference]] if of_all else [None] * len(originals)
                of_all[spec] = [code(codec, x, length, quality) for x, length in zip(originals, lengths, strict=True)]
                yield from rows(chosen.name, spec, quality, originals, of_all[spec], metrics)
            if sheet is not None and quality == qualities[0]:
                title = f"{chosen.name}, crops at the bytes of {reference}, quality {quality_name(quality)}"
                draw(crops(names, originals, of_all), title, sheet)

    return found()


def draw(rows_of_cells: Sequence[tuple[str, Sequence[Cell]]], title: str, path: Path) -> None:
    """Writes the sheet of crops, a PNG, or a WebP, which is smaller. Raises BenchmarkError if it cannot."""
    with tempfile.TemporaryDirectory() as folder:
        (drawn,) = draw_sheet(rows_of_cells, title, Path(folder) / "sheet")
        content = drawn.read_bytes()
    if path.suffix.lower() == ".webp":
        stream = io.BytesIO()
        with Pillow.open(io.BytesIO(content)) as image:
            image.convert("RGB").save(stream, "WEBP", quality=WEBP_QUALITY, method=6)
        content = stream.getvalue()
    write_file(path, content, parents=True)


def crops(
    names: Sequence[str], originals: Sequence[Image], of_all: Mapping[str, Sequence[Coded]], size: int = 192
) -> list[tuple[str, list[Cell]]]:
    """For four of the images, spread over all, the same crop of the original and of each codec."""
    places = range(len(names)) if len(names) < 4 else [(2 * n + 1) * len(names) // 8 for n in range(4)]
    sheet = []
    for place in places:
        original = originals[place]
        top, left = most_detailed(original, size)
        cut = np.s_[top : top + size, left : left + size]
        cells = [Cell("original", "", original[cut])]
        for spec, coded in of_all.items():
            one = coded[place]
            bpp = 8 * one.length / (original.shape[0] * original.shape[1])
            sent = small_psnr(shrink(one.decoded, FACTOR), one.sent)
            cells.append(Cell(spec, f"{bpp:.3f} bpp, to what was sent {sent:.1f} dB", one.decoded[cut]))
        name = names[place] if len(names[place]) <= LONGEST_NAME else f"{names[place][: LONGEST_NAME - 1]}…"
        sheet.append((f"{name}, at ({left}, {top})", cells))
    return sheet


def lines(found: Iterable[Departure]) -> Iterator[str]:
    """A heading per codec and quality, and a line per value."""
    last = None
    for each in found:
        if (each.codec, each.quality) != last:
            last = each.codec, each.quality
            yield f"{each.codec}, bytes of quality {each.quality:g}: {each.bpp:.4f} bpp, {each.n_images} images"
        yield f"  {each.metric:32} {each.value:9.4f}  95 % from {each.low:.4f} to {each.high:.4f}"
