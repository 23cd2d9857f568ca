"""Reconstructions made elsewhere: what stands in a codec's place where nothing is coded here, and whose bits they are.

Many authors hand out decoded images and not code that still runs. Such images are measured as any codec's are; how
their bits came about is said wherever their name stands.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from benchmark.errors import UsageError
from benchmark.pixels import Image

Bits = Literal["real", "file", "stated", "nominal"]
"""How bits came about. Records that do not say it are of real ones."""

WORDS: Mapping[Bits, str] = {
    "real": "the length of the byte string that was decoded here",
    "file": "the sizes of files that were not decoded here",
    "stated": "stated for each image, and of no stream that was seen here",
    "nominal": "one figure for all images of a quality, and of no stream that was seen here",
}
"""What is said of them."""

MARKS: Mapping[Bits, str] = {
    "real": "",
    "file": " (bits of files)",
    "stated": " (stated bits)",
    "nominal": " (nominal bits)",
}
"""What stands behind a codec's label, in every table, plot, page and file."""

ELSEWHERE = "made elsewhere, not coded here"
"""Why there is no time, and nothing else that needs a codec."""


@dataclass(frozen=True)
class Reconstruction:
    """A decoded image, uint8 (height, width, 3), RGB, and the bytes that it took: a fraction where bits are stated.

    stream: the file with the bytes; None where there is none.
    """

    image: Image
    bytes: float
    stream: Path | None = None


@runtime_checkable
class Reconstructions(Protocol):
    """In a codec's place: images by name. `benchmark.codecs.Codec` without anything that codes.

    qualities: from few bits to many. bits: how they came about. passed_over: lines on what lies beside them and was not
    taken.
    """

    qualities: tuple[float, ...]
    stochastic: bool
    bits: Bits
    passed_over: tuple[str, ...]

    @property
    def names(self) -> Collection[str]:
        """Of all images that there are, at any quality."""
        ...

    def others(self, wanted: Collection[str]) -> list[str]:
        """Names of those that are of none of the images `wanted`."""
        ...

    def reconstruction(self, name: str, quality: float) -> Reconstruction:
        """Of the image called `name`. Raises UsageError on a quality that there is not, BenchmarkError, which says what
        is missing or cannot be read, if there is no such image or nothing is known of its bits."""
        ...

    def identity(self, name: str, quality: float) -> str:
        """Of what `reconstruction` reads of that image: another one once any of it changes; "" if it is not there."""
        ...

    def describe(self) -> dict[str, Any]:
        """Where they come from, with a hash of every file: JSON values for the run's manifest."""
        ...


def bits_of(codec: object) -> Bits:
    """How an opened codec's bits come about."""
    return codec.bits if isinstance(codec, Reconstructions) else "real"


def marked(label: str, bits: Bits) -> str:
    """`label` with the mark of such bits, which it may have already."""
    return label if label.endswith(MARKS[bits]) else label + MARKS[bits]


def bits_in(label: str) -> Bits:
    """What the mark in a label says, also where a run's number stands behind it."""
    return next((bits for bits, mark in MARKS.items() if mark and mark in f"{label} "), "real")


def unmarked(label: str) -> str:
    """`label` without its mark."""
    return label.replace(MARKS[bits_in(label)], "", 1)


def mark_notes(labels: Iterable[str]) -> list[str]:
    """A sentence on each kind of bits that labels are marked with."""
    kinds = dict.fromkeys(bits_in(label) for label in labels)
    return [f"{MARKS[bits].strip(' ()')}: {WORDS[bits]}" for bits in MARKS if bits in kinds and MARKS[bits]]


def label_among(asked: str, there: Collection[str]) -> str:
    """The label of `there` that a user means by `asked`: itself, or the only one that is it with a mark."""
    if asked in there:
        return asked
    meant = [label for label in there if unmarked(label) == asked]
    return meant[0] if len(meant) == 1 else asked


def shown_as(codec: str, names: Mapping[str, str]) -> str:
    """The label `codec`, or the name that `names` gives it, with the label's mark."""
    given = next((names[asked] for asked in names if label_among(asked, [codec]) == codec), codec)
    return marked(given, bits_in(codec))


def check_distinct(codecs: Iterable[str], names: Mapping[str, str]) -> None:
    """Raises UsageError if two of the codecs that are shown would have one name by `names`."""
    seen: dict[str, str] = {}
    for codec in dict.fromkeys(codecs):
        name = shown_as(codec, names)
        if name in seen:
            raise UsageError(f"label {name!r}: both {seen[name]} and {codec} would be called so")
        seen[name] = codec
