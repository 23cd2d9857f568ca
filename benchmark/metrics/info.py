"""The facts about a metric, and what each kind of metric can do. Imports no torch."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from benchmark.metrics.patches import SMALLEST_SIDES
from benchmark.pixels import Image

Features = npt.NDArray[np.floating[Any]]
"""Features of one image's patches: (n_patches, dimension)."""

Kind = Literal["image", "set", "no-reference"]
Scale = Literal["linear", "decibel"]
Aspect = Literal["fidelity", "perception", "realism"]

BETWEEN: Mapping[Kind, str] = {
    "image": "between each reconstruction and its original, then the mean over images",
    "set": "between the set of reconstructions and the set of originals",
    "no-reference": "of each reconstruction alone, then the mean over images; the originals' own mean stands beside it",
}
"""Where the value of a metric of each kind stands."""


@dataclass(frozen=True)
class MetricInfo:
    """Facts about a metric: the one source of all that tables, plots, gate, exports and the page say about it.

    name: as the user wrote it, patches included. title: for plots. kind: of a pair of images, of two sets, or of a
    reconstruction alone. unit: "" for a plain number. lowest, highest: ends of the range, None where there is none.
    default_patches: the rule that a bare name means; patches: the rule of this one; both None but for metrics of sets.
    signed: whether values can be negative, so that a ratio of two means nothing. scale: how plots and rate differences
    show it; "decibel" is −10·log10(1 − x). margin: the largest loss that the gate lets pass by default ("2 %" or a
    number; None: not judged). tolerance: the same where no chance is in the number, which is then not tested. words:
    what `explain` says of the metric; parts: what it says of the parts of its protocol.
    aspect: what it tells of an image: that it is near the original ("fidelity"), that it looks near ("perception"), or
    that it looks real ("realism"). pooled: "mse" for decibels of a squared error, whose mean over images the summary
    gives besides. infinite: the reason that a trial records in place of a value that is infinitely good. smallest_side:
    in pixels; below it an image has no value.
    unstated: place in the protocol -> what is there, for parts that a published figure may leave open. elsewhere: tool
    -> what its files call the metric. packages: modules that take a second to import and are needed only when it
    measures. needs: a package that an extra brings, one of `benchmark.errors.EXTRAS`, by the name of its import. make:
    "module:attribute" that opens it. summary: the line that `list` prints.
    identical: what it says of two identical images or sets. device: whether it runs on `--device` or on the CPU alone.
    source: paper and implementation, for the documentation. map_top: where the colours of its map end, of a metric that
    says where in an image the difference is (`Mapped`); None of others.
    """

    name: str
    title: str
    kind: Kind
    unit: str
    higher_is_better: bool
    lowest: float | None
    highest: float | None
    default_patches: str | None = None
    patches: str | None = None
    signed: bool = False
    scale: Scale = "linear"
    margin: str | float | None = None
    words: str = ""
    tolerance: str | float | None = None
    parts: Mapping[str, str] = field(default_factory=dict, hash=False)
    aspect: Aspect = "realism"
    pooled: Literal["", "mse"] = ""
    infinite: str = ""
    smallest_side: int = 1
    unstated: Mapping[int, str] = field(default_factory=dict, hash=False)
    elsewhere: Mapping[str, str] = field(default_factory=dict, hash=False)
    packages: tuple[str, ...] = ()
    needs: str = ""
    make: str = ""
    summary: str = ""
    identical: str = ""
    device: Literal["cpu", "any"] = "cpu"
    source: str = ""
    map_top: float | None = None

    @property
    def infinite_reason(self) -> str:
        """What a trial records in place of a value that is infinitely good: `infinite`, or what every metric gets."""
        return self.infinite or f"the value is {'inf' if self.higher_is_better else '-inf'}"

    @property
    def shown_unit(self) -> str:
        """The unit of values on the metric's scale."""
        return "dB" if self.scale == "decibel" else self.unit

    def over(self, patches: str | None) -> "MetricInfo":
        """The facts over patches of that rule, which name and title then tell; None for the rule of the bare name."""
        rule = patches or self.default_patches
        side = self.smallest_side if rule is None else max(self.smallest_side, SMALLEST_SIDES[rule])
        if patches is None:
            return replace(self, patches=rule, smallest_side=side)
        name, title = f"{self.name}@{patches}", f"{self.title} ({patches})"
        return replace(self, name=name, title=title, patches=rule, smallest_side=side)


@dataclass(frozen=True)
class Margin:
    """size: a share if `relative`, else in the metric's unit."""

    size: float
    relative: bool

    def __str__(self) -> str:
        return f"{100 * self.size:g} %" if self.relative else f"{self.size:g}"


def parse_margin(value: object) -> Margin:
    """2.5, or a share such as "2 %". Raises ValueError on anything else, below 0 or not finite."""
    if isinstance(value, Margin):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max:
        return Margin(float(value), relative=False)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{value!r} is neither a number of at least 0 nor a share such as "2 %"')
    return Margin(float(match[1]) / 100, relative=True)


@runtime_checkable
class ImageMetric(Protocol):
    """A number for one pair of images. protocol: fixes everything that moves the number."""

    info: MetricInfo
    protocol: str

    def prepare(self, original: Image) -> Any:
        """What can be computed once for an original and be shared by all its reconstructions.

        Raises Undefined if the metric has no value for this original.
        """
        ...

    def compare(self, prepared: Any, reconstruction: Image) -> float:
        """The value. Raises Undefined where there is none, and BenchmarkError if the two sizes differ."""
        ...


@runtime_checkable
class Mapped(Protocol):
    """An `ImageMetric` that says where in an image the difference is. Its facts have a `map_top`."""

    info: MetricInfo

    def prepare(self, original: Image) -> Any:
        """As of an ImageMetric."""
        ...

    def difference_map(self, prepared: Any, reconstruction: Image) -> npt.NDArray[np.float32]:
        """(height / n, width / n) for some whole n, rounded up: from 0, no difference, on. `prepared` as `prepare`
        returns it."""
        ...


@runtime_checkable
class RecodingMetric(Protocol):
    """A number for one trial that needs its codec: what the codec makes of its own reconstruction.

    Its kind is "image". protocol: fixes everything that moves the number.
    """

    info: MetricInfo
    protocol: str

    def recode(self, encode: Callable[[Image], bytes], x_hat: Callable[[bytes], Image], data: bytes, y: Image) -> float:
        """The value. encode: at the trial's quality. x_hat: what the codec's bits say before a generative decoder adds
        to it. data: the trial's bytes. y: its reconstruction. Raises Undefined where there is no value."""
        ...


@runtime_checkable
class NoReferenceMetric(Protocol):
    """A number for one image alone. protocol: fixes everything that moves the number.

    feature_key: safe for a path, of this protocol alone: where a run keeps the values of the originals.
    """

    info: MetricInfo
    protocol: str
    feature_key: str

    def score(self, image: Image) -> float:
        """The value. Raises Undefined where there is none."""
        ...


@runtime_checkable
class Loads(Protocol):
    """A metric with a network. Every `SetMetric` is one, others may be."""

    def load(self) -> None:
        """Loads the network, before any image is at hand. Raises BenchmarkError, with the command that fetches its
        weights, if they are not there."""
        ...


@runtime_checkable
class SetMetric(Protocol):
    """A number for two sets of images, computed from features of their patches.

    feature_key: safe for a path; metrics with one key have the same features.
    """

    info: MetricInfo
    protocol: str
    feature_key: str

    def load(self) -> None:
        """Loads the network that `features` needs, before any image is at hand.

        Raises BenchmarkError, with the command that fetches them, if its weights are not there. The other functions
        work on stored features and need no network.
        """
        ...

    def features(self, image: Image) -> npt.NDArray[np.float32]:
        """(n_patches, dimension); (0, dimension) if the image is too small for a patch. Calls `load`."""
        ...

    def distance(self, originals: Sequence[Features], reconstructions: Sequence[Features]) -> float:
        """The value, in float64, from one array per image on each side. Raises Undefined on too few patches."""
        ...

    def leave_one_out(
        self, originals: Sequence[Features], reconstructions: Sequence[Features]
    ) -> npt.NDArray[np.float64]:
        """(n_images,): `distance` with each image left out in turn, of both sides; for the jackknife over images.

        An image without patches belongs to no set; its entry is NaN. Raises Undefined on too few patches.
        """
        ...


Metric = ImageMetric | SetMetric | NoReferenceMetric | RecodingMetric
