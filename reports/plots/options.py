"""What may be asked of a plot, checked once."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal, get_args

from benchmark.errors import UsageError
from benchmark.reconstructions import shown_as
from benchmark.reports.arguments import one_of
from benchmark.reports.figure_style import StyleChoice

Range = tuple[float, float]
XAxis = Literal["log", "linear"]
Intervals = Literal["bars", "bands", "none"]
Legend = Literal["auto", "above", "below", "inside", "none"]
INTERVALS: tuple[Intervals, ...] = get_args(Intervals)
LEGENDS: tuple[Legend, ...] = get_args(Legend)
FORMATS = ("png", "svg", "pdf", "pgf")


@dataclass(frozen=True)
class PlotOptions:
    """How `draw` draws. The defaults are the plots of a run. Raises UsageError on a value that means nothing.

    codecs: those that are drawn, in this order of the legend; none named for all. labels: codec -> its name in the
    plot; a "$" in such a name and in the title begins mathematics.
    title: over the figure; None for none. Each panel has its metric's name in any case.
    width: of the figure in inches, such as 3.3 for one column of a paper and 6.9 for two; None for 3.4, and 7.0 with
    several panels. height: of the whole figure, in inches; aspect: of a panel, height over width; None for what the
    width gives; one of both at most.
    font_size: in points, of all but ticks and caption, which are smaller in proportion; None for the style's, or 7.
    formats: of the files, of FORMATS; pgf needs a TeX system, with which matplotlib measures text.
    x_axis: bits per pixel on a logarithmic or a linear axis. xlim: its ends; None for what shows every point.
    ylim: metric -> ends of its axis, in the unit that is drawn.
    intervals: 95 % over images, as "bars", as "bands" or not at all.
    caption: data set, number of images and protocols below the panels.
    legend: "inside" the first panel, "above" or "below" all panels, "none", or "auto": above, or in a free cell of the
    grid, or, with a `width`, inside a single panel that has the room.
    style: a style of matplotlib's by name, a file, parameters, or "current" for `matplotlib.rcParams` as they are; what
    it sets is kept, its colours included.
    published: names of published codecs to draw too, none named for those usual for each metric; None for none.
    references: how the references of these must begin, for runs under a paper's protocol; None for any.
    relative_to: a codec; drawn are the paired differences of all others from it, at equal rate.
    """

    codecs: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    title: str | None = None
    width: float | None = None
    height: float | None = None
    aspect: float | None = None
    font_size: float | None = None
    formats: Sequence[str] = ("png", "svg")
    x_axis: XAxis = "log"
    xlim: Range | None = None
    ylim: Mapping[str, Range] = field(default_factory=dict)
    intervals: Intervals = "bars"
    caption: bool = True
    legend: Legend = "auto"
    style: StyleChoice = None
    published: Sequence[str] | None = None
    references: Sequence[str] | None = None
    relative_to: str | None = None

    def __post_init__(self) -> None:
        for name in ("codecs", "formats", "published"):
            given = getattr(self, name)
            if isinstance(given, str):
                raise UsageError(f"{name}: a list is needed, not the text {given!r}")
            if given is not None and not isinstance(given, Iterable):
                raise UsageError(f"{name}: a list is needed, not {given!r}")
        for name in ("labels", "ylim"):
            if not isinstance(getattr(self, name), Mapping):
                key = "codec" if name == "labels" else "metric"
                raise UsageError(f"{name}: a mapping by {key} is needed, not {getattr(self, name)!r}")
        for what, text in [("title", self.title), *((f"label of {codec}", one) for codec, one in self.labels.items())]:
            if not isinstance(text, str | None):
                raise UsageError(f"{what}: a text is needed, not {text!r}")
        for name, low, high in (("width", 1, 50), ("height", 1, 50), ("aspect", 0.1, 10), ("font_size", 2, 40)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, Real):
                raise UsageError(f"{name.replace('_', ' ')} {value!r}: a number is needed")
            if value is not None and not low <= float(value) <= high:
                raise UsageError(f"{name.replace('_', ' ')} {value:g}: between {low:g} and {high:g} is possible")
        one_of("x axis", self.x_axis, get_args(XAxis))
        one_of("intervals", self.intervals, INTERVALS)
        one_of("legend", self.legend, LEGENDS)
        for name in self.formats:
            one_of("format", name, FORMATS)
        if not self.formats:
            raise UsageError(f"no format is named; there are {', '.join(FORMATS)}")
        if self.height is not None and self.aspect is not None:
            raise UsageError("height and aspect: one of both says how high the panels are")
        for name, ends in {"xlim": self.xlim, **{f"ylim of {m}": ends for m, ends in self.ylim.items()}}.items():
            if ends is not None and not _is_range(ends):
                shown = ":".join(f"{end:g}" for end in ends) if _are_numbers(ends) else repr(ends)
                raise UsageError(f"{name} {shown}: two numbers are needed, the lower one first")
        if self.xlim is not None and self.x_axis == "log" and self.xlim[0] <= 0:
            raise UsageError(f"xlim {self.xlim[0]:g}:{self.xlim[1]:g}: a logarithmic axis begins above 0")
        if self.relative_to is not None and self.published is not None:
            raise UsageError("published curves have no values of single images, so no paired difference is known")

    def label(self, codec: str) -> str:
        """The codec's name in the plot."""
        return shown_as(codec, self.labels)


def _are_numbers(ends: Any) -> bool:
    return isinstance(ends, Sequence) and all(isinstance(end, Real) for end in ends)


def _is_range(ends: Any) -> bool:
    return _are_numbers(ends) and len(ends) == 2 and all(map(math.isfinite, ends)) and ends[0] < ends[1]
