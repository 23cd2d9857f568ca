"""An audit of reconstructions that were made elsewhere: what their files say, and plainly what nobody can know here."""

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.audit.check import Check
from benchmark.audit.information import objects_in
from benchmark.datasets import Dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.images import load_image
from benchmark.pixels import Image
from benchmark.reconstructions import ELSEWHERE, WORDS, Reconstruction, Reconstructions
from benchmark.results import quality_name

Place = tuple[str, float]
"""Name of an image, and quality."""

UNKNOWN: Mapping[str, str] = {
    "fresh process": "whether the bytes alone give these images: there is no decoder",
    "one process": "whether encoder and decoder were one process",
    "side files": "whether the decoder had more than the bytes: the original, a side file, a network",
    "encode twice": "whether encode gives the same bytes twice",
    "decode twice": "whether decode gives the same image twice",
    "seeds": "what the images owe to a seed, and whether the best of several was taken",
    "threads": "whether other threads decode to other images",
    "enough bits": "whether so few bits can hold an image of random samples: it was not coded",
    "estimated rate": "whether the bits are an entropy model's estimate",
    "size": "whether the bytes hold the size of the image",
    "odd images": "what becomes of other sizes and contents than those that are here",
    "damaged streams": "what becomes of damaged streams",
    "devices": "whether another device decodes the same images",
}
"""Check -> what cannot be known."""


@dataclass
class Found:
    """What was read: images and their reconstructions, and why others could not be."""

    originals: dict[str, Image] = field(default_factory=dict)
    images: dict[Place, Reconstruction] = field(default_factory=dict)
    failures: dict[Place, str] = field(default_factory=dict)


def look(codec: Reconstructions, qualities: tuple[float, ...], dataset: Dataset) -> Found:
    """Reads all of it. Raises UsageError on a quality that there is not."""
    found = Found()
    for picture in dataset.pictures:
        found.originals[picture.name] = original = load_image(picture.path, dataset.preparation)
        for quality in qualities:
            place = picture.name, quality
            try:
                image = codec.reconstruction(*place)
            except UsageError:
                raise
            except BenchmarkError as error:
                found.failures[place] = str(error)
                continue
            if image.image.shape != original.shape:
                (height, width), (right, wide) = image.image.shape[:2], original.shape[:2]
                found.failures[place] = f"{width}x{height}, the original is {wide}x{right}"
            else:
                found.images[place] = image
    return found


def judge_images(codec: Reconstructions, qualities: tuple[float, ...], found: Found, order: list[str]) -> list[Check]:
    """All checks that other codecs have, in that order of their names."""
    checks = {name: Check(name, "not done", f"cannot be known: {what}") for name, what in UNKNOWN.items()}
    for check in (
        _files(found),
        _names(codec),
        _quality(qualities, found),
        _content(codec, found),
        _objects(codec, found),
    ):
        checks[check.name] = check
    return [checks[name] for name in order]


def rates_of(found: Found) -> list[dict[str, Any]]:
    """As `benchmark.audit.report.rates` has them."""
    rows = []
    for (name, quality), image in found.images.items():
        height, width = image.image.shape[:2]
        rows.append(
            {
                "picture": name,
                "width": width,
                "height": height,
                "quality": quality,
                "bytes": image.bytes,
                "bpp": 8 * image.bytes / (height * width),
                "bits_estimated": None,
                "seconds": None,
            }
        )
    return rows


def _files(found: Found) -> Check:
    name = "bytes and images"
    count = len(found.images) + len(found.failures)
    if found.failures:
        return Check(
            name,
            "FAILED",
            f"{len(found.failures)} of {count} images",
            [f"{_place(place)}: {why}" for place, why in found.failures.items()],
        )
    return Check(name, "ok", f"{count} images of the originals' sizes, {ELSEWHERE}")


def _names(codec: Reconstructions) -> Check:
    if codec.bits == "file":
        return Check("names", "ok", "names of streams hold the image's name and the quality, as the pattern says")
    return Check("names", "not done", "cannot be known: whether names of files held more than the image's name")


def _quality(qualities: tuple[float, ...], found: Found) -> Check:
    name = "quality"
    if len(qualities) < 2:
        return Check(name, "not done", f"{len(qualities)} quality, so no order")
    failures = []
    for low, high in itertools.pairwise(qualities):
        common = [image for image in found.originals if {(image, low), (image, high)} <= found.images.keys()]
        totals = [sum(found.images[image, quality].bytes for image in common) for quality in (low, high)]
        if common and totals[1] <= totals[0]:
            between = f"quality {quality_name(low)} to {quality_name(high)}"
            failures.append(f"{between}: {totals[0]:g} to {totals[1]:g} bytes")
        for image in common:
            if np.array_equal(found.images[image, low].image, found.images[image, high].image):
                failures.append(f"{_place((image, low))}: the same image as at quality {quality_name(high)}")
    if failures:
        return Check(name, "FAILED", "the quality does not order the rate, or is ignored", failures)
    return Check(name, "ok", f"{len(qualities)} qualities, each takes more bits than the one before")


def _content(codec: Reconstructions, found: Found) -> Check:
    """Constant bits, and files that are the same though the images are not."""
    name = "bits and content"
    hashes: dict[str, Place] = {}
    failures = []
    for place, image in found.images.items():
        if image.stream is None:
            continue
        other = hashes.setdefault(hashlib.sha256(image.stream.read_bytes()).hexdigest(), place)
        if other != place and not np.array_equal(found.images[other].image, image.image):
            failures.append(f"{_place(other)} and {_place(place)}: the same bytes, and two images")
    if failures:
        return Check(name, "FAILED", "what tells images apart is not in the bytes", failures)
    if codec.bits == "nominal":
        return Check(name, "warning", f"nominal, as is said of them: {WORDS['nominal']}")
    sizes: dict[tuple[float, tuple[int, ...]], list[float]] = {}
    for (_, quality), image in found.images.items():
        sizes.setdefault((quality, image.image.shape), []).append(image.bytes)
    constant = [
        f"quality {quality_name(quality)}: {of[0]:g} bytes each for {len(of)} images of {shape[1]}x{shape[0]}"
        for (quality, shape), of in sizes.items()
        if len(of) > 1 and len(set(of)) == 1
    ]
    if constant:
        summary = "the same number of bytes whatever the content: of a fixed rate, or nominal"
        return Check(name, "warning", summary, constant)
    return Check(name, "ok", f"{len(found.images)} images; {WORDS[codec.bits]}")


def _objects(codec: Reconstructions, found: Found) -> Check:
    streams: dict[str, Path] = {
        _place(place): image.stream for place, image in found.images.items() if image.stream is not None
    }
    if not streams:
        return Check("Python objects", "not done", f"cannot be known: there is no stream; bits are {WORDS[codec.bits]}")
    return objects_in(streams)


def _place(place: Place) -> str:
    return f"{place[0]} at quality {quality_name(place[1])}"
