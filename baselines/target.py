"""Another codec at the bits that are wanted: for each image the quality that comes closest to them.

`bpp:SPEC` has bits per pixel for its quality. `match:SPEC~REFERENCE` has REFERENCE's qualities, and spends as many bits
on each image as REFERENCE does at that quality. Both write the streams of SPEC, unchanged.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from benchmark.codecs import Codec, CodecSpec, Image, open_codec, parse_codec_spec, quality_grid
from benchmark.elsewhere import Elsewhere, elsewhere_of
from benchmark.errors import UsageError
from benchmark.foreign import trained_on

STEPS = 128
"""Into so many parts a scale without steps is divided."""

KEPT_REFERENCES = 64


def candidates(codec: Codec) -> list[float]:
    """Every quality that a search may try, from the scale's lower end to its upper one.

    Raises UsageError if the codec names none.
    """
    grid = quality_grid(codec)
    if hasattr(codec, "scale"):
        lowest, highest, step = grid
        if step == 0:
            if lowest > 0 and highest / lowest > STEPS:  # a wide scale, such as bits per pixel: equal ratios
                numbers = [lowest * (highest / lowest) ** (index / STEPS / 4) for index in range(4 * STEPS + 1)]
            else:
                numbers = [lowest + (highest - lowest) * index / STEPS for index in range(STEPS + 1)]
            # Four digits are enough to search and short enough to read; the ends stay what they are.
            short = [lowest, *(float(f"{number:.4g}") for number in numbers[1:-1]), highest]
            return short if all(one < other for one, other in pairwise(short)) else sorted(set(numbers))
        return [lowest + step * index for index in range(math.floor((highest - lowest) / step + 1e-9) + 1)]
    if not grid:
        raise UsageError("a codec that names no qualities cannot be searched; give it qualities or a scale")
    return [float(quality) for quality in grid]


def closest(candidates: list[float], rate: Callable[[float], float], wanted: float) -> float:
    """The candidate whose `rate` is closest to `wanted`, in the logarithm; `rate` rises, or falls, along the list.

    rate is called for about log2(len(candidates)) of them. Where the rate is not quite monotone the result is close to
    the closest one. The end that is nearer is taken for a rate that no candidate reaches.
    """
    low, high = 0, len(candidates) - 1
    falls = rate(candidates[low]) > rate(candidates[high])
    while high - low > 1:
        middle = (low + high) // 2
        if (rate(candidates[middle]) < wanted) is not falls:
            low = middle
        else:
            high = middle
    return min((candidates[low], candidates[high]), key=lambda quality: abs(math.log(rate(quality) / wanted)))


@dataclass
class TargetCodec:
    """A codec of `benchmark.codecs.Codec`'s shape that searches `codec`'s quality for each image.

    wanted: (image, quality of this codec) -> bits per pixel to come near. grid: (lowest, highest, step) of this codec's
    quality; empty where `qualities` are all that is known. inside: `codec`, and the one that is held against it.
    """

    codec: Codec
    qualities: tuple[float, ...]
    grid: tuple[float, ...]
    wanted: Callable[[Image, float], float]
    description: dict[str, Any]
    reference: Codec | None = None
    stochastic: bool = field(init=False)
    inside: tuple[Codec, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.inside = (self.codec,) if self.reference is None else (self.codec, self.reference)
        for name in ("cpus", "gpus"):  # what a worker reserves must do for both
            if amounts := [getattr(one, name) for one in self.inside if hasattr(one, name)]:
                setattr(self, name, max(amounts))
        self.stochastic = self.codec.stochastic
        self.trained_on = trained_on(self.codec)
        self._candidates = candidates(self.codec)

    @property
    def scale(self) -> tuple[float, ...]:
        """As `benchmark.codecs.Codec` may have it. Raises AttributeError where only `qualities` are known."""
        if not self.grid:
            raise AttributeError("scale")
        return self.grid

    @property
    def elsewhere(self) -> Elsewhere | None:
        """The other interpreter that `codec` runs in, if it does."""
        return elsewhere_of(self.codec)

    def encode(self, image: Image, quality: float) -> bytes:
        """The stream of `codec` that comes closest to the bits wanted."""
        streams: dict[float, bytes] = {}
        pixels = image.shape[0] * image.shape[1]

        def rate(candidate: float) -> float:
            if candidate not in streams:
                streams[candidate] = self.codec.encode(image.copy(), candidate)
            return 8 * len(streams[candidate]) / pixels

        return streams[closest(self._candidates, rate, self.wanted(image, quality))]

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """As `codec` does."""
        return self.codec.decode(data, seed)

    def describe(self) -> dict[str, Any]:
        """`codec`'s description, and what is searched for."""
        return {**self.codec.describe(), **self.description}


def at_bpp(device: str, spec: str) -> TargetCodec:
    """`bpp:SPEC`: the quality is the bits per pixel to come near, for each image."""

    def wanted(image: Image, quality: float) -> float:
        if not 0 < quality <= 24:
            raise UsageError(f"bpp:{spec}: quality {quality:g}: bits per pixel lie above 0, at most 24")
        return quality

    return TargetCodec(
        _inner("bpp", spec, device),
        (0.1, 0.2, 0.4, 0.8),
        (0.01, 24, 0),
        wanted,
        {"target": "bits per pixel, per image"},
    )


def matching(device: str, spec: str) -> TargetCodec:
    """`match:SPEC~REFERENCE`: REFERENCE's quality, whose bits are met, for each image."""
    inner, tilde, reference_spec = spec.rpartition("~")
    if not tilde:
        raise UsageError(f"match:{spec}: write match:SPEC~REFERENCE")
    reference = _inner("match", reference_spec, device)
    kept: dict[tuple[str, float], float] = {}

    def wanted(image: Image, quality: float) -> float:
        key = (hashlib.sha256(image.tobytes()).hexdigest(), quality)
        if key not in kept:
            if len(kept) >= KEPT_REFERENCES:
                kept.pop(next(iter(kept)))
            kept[key] = 8 * len(reference.encode(image.copy(), quality)) / (image.shape[0] * image.shape[1])
        return kept[key]

    description = {"target": f"bits of {reference_spec}, per image", "reference": reference.describe()}
    codec = _inner("match", inner, device)
    grid = tuple(getattr(reference, "scale", ()))
    return TargetCodec(codec, tuple(reference.qualities), grid, wanted, description, reference)


def _inner(name: str, spec: str, device: str) -> Codec:
    parsed: CodecSpec = parse_codec_spec(spec)
    if parsed.name in ("bpp", "match"):
        raise UsageError(f"{name}:{spec}: a search inside a search")
    return open_codec(parsed, device)
