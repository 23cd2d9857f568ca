"""Is an entry what its bitstreams say? Decodes them again with the codec that it names, and measures anew."""

import hashlib
import importlib.metadata
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.analysis.baseline import Baseline, Point, Verification, baseline_of_run
from benchmark.codecs import Codec, open_codec
from benchmark.datasets import Dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.images import load_image
from benchmark.pixels import Image
from benchmark.reconstructions import ELSEWHERE
from benchmark.results import path_name, quality_name
from benchmark.running.run import Request, open_run

TOLERANCE = 1e-3
"""Largest difference of a value, as a share of it, that other machines and library versions may make."""
ABSOLUTE = 1e-6


@dataclass(eq=False)
class Replayed:
    """A codec whose encoder is a folder of streams: `encode` hands out the one of that image and quality."""

    codec: Codec
    streams: Mapping[tuple[str, float], Path]
    names: Mapping[str, str]
    qualities: tuple[float, ...]
    stochastic: bool
    used: set[Path] = field(default_factory=set)

    def describe(self) -> dict[str, Any]:
        """As the codec describes itself."""
        return dict(self.codec.describe())

    def encode(self, image: Image, quality: float) -> bytes:
        """The stored stream. Raises BenchmarkError if there is none."""
        name = self.names.get(_digest(image), "")
        path = self.streams.get((name, quality))
        if path is None:
            raise BenchmarkError(f"no stream of {name or 'this image'} at quality {quality_name(quality)}")
        self.used.add(path)
        return path.read_bytes()

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """What the codec makes of the stream."""
        return self.codec.decode(data, seed)


def verify(numbers: Baseline, streams: Path, dataset: Dataset, device: str = "cpu") -> Verification:
    """Decodes each of the entry's streams and holds bits and values against `numbers`.

    streams: a folder CODEC/QUALITY/IMAGE.bin as a run keeps it under `reconstructions/`, or the run's folder. dataset:
    the entry's images. Raises UsageError if they are others, BenchmarkError, which names the first stream, codec or
    value that is missing or differs.
    """
    if dataset.fingerprint != numbers.dataset.fingerprint:
        raise UsageError(f"{dataset.name}: other images than those of the entry, {numbers.dataset.name}")
    folder = streams / "reconstructions" if (streams / "reconstructions").is_dir() else streams
    if not folder.is_dir():
        raise UsageError(f"{streams}: no folder of streams")
    names = {_digest(load_image(picture.path, dataset.preparation)): picture.name for picture in dataset.pictures}
    codecs = dict(_replayed(numbers, folder, names, device))
    again = {label: f"again-{place}" for place, label in enumerate(codecs)}  # a label may not be a codec's name
    found = _measured(numbers, {again[label]: codec for label, codec in codecs.items()}, dataset, device)
    largest = max((_difference(numbers, label, found, again[label]) for label in codecs), default=0.0)
    return Verification(
        version=importlib.metadata.version("hfd-benchmark"),
        git_commit=found.origin.git_commit,
        when=found.origin.started,
        machine=found.origin.machine,
        streams=sum(len(codec.used) for codec in codecs.values()),
        largest_difference=float(f"{largest:.2g}"),
    )


def _replayed(numbers: Baseline, folder: Path, names: Mapping[str, str], device: str) -> Iterator[tuple[str, Replayed]]:
    for label, record in numbers.codecs.items():
        if record.bits != "real":
            raise UsageError(f"{label}: its images were {ELSEWHERE}, so nobody can verify it here")
        spec = record.spec_or(label)
        if spec is None:
            raise UsageError(f"{label}: an object of Python, which no spec opens; only its author can verify it")
        streams = {
            (name, quality): folder / record.label / quality_name(quality) / f"{path_name(name)}.bin"
            for name in numbers.images
            for quality in record.qualities
        }
        missing = [path for path in streams.values() if not path.is_file()]
        if missing:
            raise BenchmarkError(f"{label}: {len(missing)} of {len(streams)} streams are not there, first {missing[0]}")
        codec = open_codec(spec, device)
        yield label, Replayed(codec, streams, names, tuple(record.qualities), codec.stochastic)


def _measured(numbers: Baseline, codecs: Mapping[str, Replayed], dataset: Dataset, device: str) -> Baseline:
    """The numbers of a run whose encoders are the folder."""
    with tempfile.TemporaryDirectory(prefix="benchmark-verify-") as temporary:
        request = Request(
            codecs=codecs,
            only=True,
            dataset=dataset,
            qualities=[f"{label}={','.join(map(quality_name, codec.qualities))}" for label, codec in codecs.items()],
            metrics=[name for name in numbers.metrics if name != "bpp"],
            decoder_seeds=",".join(map(str, numbers.origin.decoder_seeds)),
            device=device,
            output=Path(temporary) / "run",
            here=True,
            command=("benchmark leaderboard verify",),
        )
        with open_run(request) as ready:
            for trial in ready.execute():
                if trial.error is not None:
                    raise BenchmarkError(
                        f"{trial.codec} at quality {quality_name(trial.quality)}, {trial.image}: {trial.error}"
                    )
            return baseline_of_run(ready.folder)


def _difference(entry: Baseline, label: str, found: Baseline, again_label: str) -> float:
    """The largest, as a share of the entry's value. Raises BenchmarkError beyond the tolerance."""
    largest = 0.0
    for point in entry.of(label):
        again = found.point(again_label, point.quality)
        if again is None or again.bytes != point.bytes:
            raise BenchmarkError(f"{point}: the streams are not of the sizes that the entry states")
        for name in point.metrics:
            if point.infinite.get(name, []) != again.infinite.get(name, []):
                raise BenchmarkError(f"{point}, {name}: infinite on other images than the entry says")
        if point.sets.keys() != again.sets.keys():
            differ = ", ".join(sorted(point.sets.keys() ^ again.sets.keys()))
            raise BenchmarkError(f"{point}, {differ}: a value in the entry or decoded again, and not in both")
        for what, stated, measured, scale in _pairs(entry, point, again):
            if (stated is None) != (measured is None):
                raise BenchmarkError(f"{point}, {what}: the entry says {stated}, decoded again it is {measured}")
            if stated is None or measured is None:
                continue
            apart = abs(stated - measured)
            if apart > TOLERANCE * abs(scale) + ABSOLUTE:
                raise BenchmarkError(
                    f"{point}, {what}: the entry says {stated:.6g}, decoded again it is {measured:.6g}"
                )
            largest = max(largest, apart / abs(scale) if scale else 0.0)
    return largest


Pair = tuple[str, float | None, float | None, float]
"""What it is, as the entry states it, as it was measured again, and the value of which a difference is a share."""


def _pairs(entry: Baseline, point: Point, again: Point) -> Iterator[Pair]:
    """All numbers that values, intervals and ranks are computed from."""
    for name, stated in point.metrics.items():
        for image, a, b in zip(entry.images, stated, again.metrics[name], strict=True):
            yield f"{name}, {image}", a, b, a or 0.0
        yield from _of_seeds(name, point.per_seed.get(name, []), again.per_seed.get(name, []))
    for name, own in point.sets.items():
        found = again.sets[name]
        yield name, own.value, found.value, own.value
        yield from _of_seeds(name, own.per_seed, found.per_seed)
        yield f"{name}, patches", own.n_patches, found.n_patches, 0.0
        for image, a, b in zip(entry.images, own.without, found.without, strict=True):
            yield f"{name} without {image}", a, b, own.value


def _of_seeds(name: str, stated: Sequence[float], measured: Sequence[float]) -> Iterator[Pair]:
    yield f"{name}, decoder seeds", len(stated), len(measured), 0.0
    for number, (a, b) in enumerate(zip(stated, measured, strict=False)):
        yield f"{name}, decoder seed {number}", a, b, a


def _digest(image: Image) -> str:
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()
