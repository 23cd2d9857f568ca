"""Which images a number, or a difference between two points, comes from."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.analysis.baseline import Baseline, Point
from benchmark.analysis.dominance import dominating
from benchmark.analysis.missing import left_out
from benchmark.errors import NotComparable, UsageError
from benchmark.reconstructions import label_among
from benchmark.results import quality_name
from benchmark.statistics.paired import influence, paired_difference, paired_estimate, sign_flip_p_value

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PictureView:
    """shares (n,): what each image of `images` gives; they sum to n times the whole's value or difference.

    of: what a share is. summary: lines on the whole, and on images without a share, which `lacking` names.
    """

    metric: str
    images: tuple[str, ...]
    shares: Vector
    of: str
    summary: tuple[str, ...]
    lacking: tuple[str, ...] = ()

    @property
    def order(self) -> npt.NDArray[np.intp]:
        """(n,): indices of the images, the largest share first; by size alone, unless a share is a value."""
        return np.argsort(-self.shares if self.of == "value" else -np.abs(self.shares), kind="stable")


def view_of(numbers: Baseline, metric: str, point: Point, against: Point | None) -> PictureView:
    """Of a per-image metric each image's value; of a metric of sets each image's influence on it, which is 0 on
    average; of two points the same of their difference, `point` − `against`.

    Raises UsageError on an unknown metric, NotComparable if the two points share no images.
    """
    if metric not in numbers.metrics:
        raise UsageError(f"no metric {metric!r} was measured; there are {', '.join(numbers.metrics)}")
    images = numbers.images_with(point, metric)
    if against is not None:
        other = set(numbers.images_with(against, metric))
        images = [index for index in images if index in other]
    new = numbers.replicates(point, metric, images)
    old = numbers.replicates(against, metric, images) if against is not None else None
    if new is None or (against is not None and old is None):
        raise NotComparable(
            f"{metric}: no image has a value at both points, or none of the values without each image is there"
        )
    names = tuple(numbers.images[index] for index in images)
    without = left_out(numbers, [point] if against is None else [point, against], metric, images)
    lacking = tuple(name for name in numbers.images if name not in set(names))
    of_set = numbers.metrics[metric].kind == "set"
    if old is None or against is None:
        shares = influence(new.value, new.without) if of_set else numbers.image_values(point, metric, images)
        of = "influence" if of_set else "value"
        lines = [f"{metric} of {point}: {new.value:.5g}", *([without] if without else []), *dominating(names, shares)]
        return PictureView(metric, names, shares, of, tuple(lines), lacking)
    difference = paired_difference(old, new)
    estimate = paired_estimate(difference)
    line = f"{metric} of {point} − {against}: {difference.value:+.4g}"
    if not math.isnan(estimate.ci_low):
        line += f", 95 % interval {estimate.ci_low:+.4g} to {estimate.ci_high:+.4g} (paired, over {len(names)} images)"
    lines = [
        line,
        *([without] if without else []),
        *dominating(names, influence(difference.value, difference.without)),
    ]
    info = numbers.facts(metric)
    if old.value > 0 and not info.signed and info.unit != "dB":  # a share of decibels says nothing
        lines.append(f"that is {100 * difference.value / old.value:+.2f} %")
    if of_set:
        shares = influence(difference.value, difference.without)
        return PictureView(metric, names, shares, "influence", tuple(lines), lacking)
    shares = numbers.image_values(point, metric, images) - numbers.image_values(against, metric, images)
    lines.append(
        f"{int((shares > 0).sum())} images rise, {int((shares < 0).sum())} fall; "
        f"sign-flip test p = {sign_flip_p_value(shares):.2g}"
    )
    return PictureView(metric, names, shares, "difference", tuple(lines), lacking)


def find_point(numbers: Baseline, text: str) -> Point:
    """`CODEC=QUALITY`, such as hfd=3 or jpeg:subsampling=4:4:4=10. Raises UsageError if it was not measured."""
    codec, equals, quality = text.rpartition("=")
    codec = label_among(codec, numbers.codecs)
    there = ", ".join(f"{point.codec}={quality_name(point.quality)}" for point in numbers.points)
    try:
        point = numbers.point(codec, float(quality)) if equals else None
    except ValueError:
        point = None
    if point is None:
        raise UsageError(f"no point {text!r} was measured; there are {there}")
    return point


def print_view(view: PictureView, console: Console) -> None:
    """The images, the largest share first, then the summary."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("image", overflow="fold")
    table.add_column(f"{view.metric} {view.of}", justify="right")
    for index in view.order:
        share = view.shares[index]
        table.add_row(Text(view.images[index]), f"{share:.5g}" if view.of == "value" else f"{share:+.4g}")
    console.print(table)
    for line in view.summary:
        console.print(Text(line))
