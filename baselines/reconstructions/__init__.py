"""`images:PATTERN`: reconstructions that were made elsewhere, in a codec's place."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from benchmark.baselines.reconstructions import layouts, passed_over, rates
from benchmark.baselines.reconstructions.patterns import Files, files_that_fit, is_pattern
from benchmark.baselines.reconstructions.rates import Rates
from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import expanded
from benchmark.identity import digest_of, sha256_of
from benchmark.images import load_image
from benchmark.pixels import Image
from benchmark.reading import in_another_form, shown
from benchmark.reconstructions import ELSEWHERE, WORDS, Bits, Reconstruction

HOW_MANY = "how many bits? bits=PATTERN or .csv, or bpp=NUMBER says it"


@dataclass(frozen=True)
class ImageFiles:
    """Image files by quality and name, as `benchmark.reconstructions.Reconstructions`.

    source: where they come from, in words. passed_over: a line on what lies beside them and was not taken, each with
    the reason. qualities: by the bits that they took, the fewest first.
    """

    images: Files
    rates: Rates
    source: Mapping[str, str] = field(default_factory=dict)
    stochastic: bool = False
    passed_over: tuple[str, ...] = ()

    def others(self, wanted: Collection[str]) -> list[str]:
        """As `Reconstructions` has it."""
        return passed_over.of_others(self.images, wanted)

    @property
    def qualities(self) -> tuple[float, ...]:
        """From few bits to many, as far as that is known."""
        return tuple(sorted(self.images, key=lambda quality: (self.rates.size_of_quality(quality), quality)))

    @property
    def bits(self) -> Bits:
        """How they came about."""
        return self.rates.bits

    @property
    def names(self) -> frozenset[str]:
        """Of all images, at any quality."""
        return frozenset(name for own in self.images.values() for name in own)

    def reconstruction(self, name: str, quality: float) -> Reconstruction:
        """As `Reconstructions` has it."""
        own = self.images.get(quality)
        if own is None:
            there = ", ".join(f"{one:g}" for one in self.qualities)
            raise UsageError(f"images: there is nothing of quality {quality:g}; there are {there}")
        if name not in own:
            where = next(iter(self.source.values()), "images")
            raise BenchmarkError(
                f"{where}: no reconstruction of {name} at quality {quality:g}{in_another_form(name, own)}"
            )
        image = load_image(own[name])
        size = self.rates.bytes_of(name, quality, image.shape[0] * image.shape[1])
        return Reconstruction(image, size, self.rates.streams.get((quality, name)))

    def identity(self, name: str, quality: float) -> str:
        """As `Reconstructions` has it: a hash of the image's file, and of the file or figure of its bits."""
        image = self.images.get(quality, {}).get(name)
        if image is None:
            return ""
        try:
            return digest_of({"image": sha256_of(image), **self.rates.identity_of(name, quality)})
        except BenchmarkError:
            return ""

    def encode(self, image: Image, quality: float) -> bytes:
        """Raises UsageError: nothing is coded here."""
        raise UsageError(f"images: they were {ELSEWHERE}, so there is nothing that encodes")

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """Raises UsageError: nothing is coded here."""
        raise UsageError(f"images: they were {ELSEWHERE}, so there is nothing that decodes")

    def describe(self) -> dict[str, Any]:
        """Where they come from, how many there are, and by quality a hash of all images and one of all streams."""
        streams: Files = {}
        for (quality, name), path in self.rates.streams.items():
            streams.setdefault(quality, {})[name] = path
        found = {
            **self.source,
            "bits": WORDS[self.bits],
            "images": {f"{quality:g}": len(set(own.values())) for quality, own in self.images.items()},
            "images_sha256": _hashes(self.images),
            "streams_sha256": _hashes(streams),
            "stated_sha256": _hash_of_figures(self.rates),
        }
        return {name: value for name, value in found.items() if value}


def _hashes(files: Files) -> dict[str, str]:
    """Quality -> a hash of the names and contents of its files."""
    return {
        f"{quality:g}": digest_of({name: sha256_of(path) for name, path in sorted(own.items())})
        for quality, own in files.items()
    }


def _hash_of_figures(found: Rates) -> str:
    """Of the figures themselves: a table may say other things besides."""
    figures = {
        f"{unit} {quality!r} {name}": repr(float(figure))
        for unit, table in (("bytes", found.bytes), ("bpp", found.bpp))
        for (quality, name), figure in sorted(table.items())
    }
    return digest_of(figures)


def images(
    pattern: Annotated[str, Field(description="path with {name} and {quality}, or a folder in a layout that is known")],
    bits: Annotated[
        str, Field(description="pattern of files whose sizes count; a .csv with image, quality and bytes or bpp; .json")
    ] = "",
    bpp: Annotated[str, Field(description="bits per pixel of each quality, or {quality}: nominal bits")] = "",
) -> ImageFiles:
    """`images:results/{quality}/{name}.png,bits=results/{quality}/{name}.bin`: images that were made elsewhere.

    Raises UsageError on patterns that nothing fits or without bits, BenchmarkError on what cannot be read.
    """
    if bits and bpp:
        raise UsageError("images: bits= and bpp= are two ways to say how many bits; one of them")
    if "{name}" in pattern:
        files, known = files_that_fit(pattern, "images"), None
        source = {"pattern": pattern}
        beside = tuple(passed_over.beside_pattern(pattern, files))
    elif is_pattern(pattern):
        raise UsageError(f"images:{pattern}: a pattern needs a {{name}}, by which images are matched to the originals")
    else:
        folder = expanded(pattern)
        if not folder.is_dir():
            raise UsageError(f"images: there is no folder {shown(folder)}; a pattern has a {{name}}")
        layout = layouts.read_layout(folder, rates=not (bits or bpp))
        files, known = layout.images, layout.rates
        source = {"folder": pattern, "layout": layout.name}
        beside = tuple(passed_over.beside_layout(folder, layout.folders, files)) if layout.folders else ()
    qualities = sorted(files)
    if bits:
        known = rates.said_in(bits, qualities)
    elif bpp:
        known = rates.stated(bpp, qualities)
    if known is None:
        raise UsageError(f"images:{pattern}: {HOW_MANY}")
    return ImageFiles(files, known, source, passed_over=(*beside, *passed_over.of_figures(files, known)))


def given(files: Files) -> ImageFiles:
    """Images that a program holds, as files: bits per pixel, which are nominal -> name -> file. Raises UsageError."""
    return ImageFiles(files, rates.nominal({bpp: bpp for bpp in files}), {"object": "images of a program"})
