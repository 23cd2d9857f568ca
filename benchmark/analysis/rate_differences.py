"""Bjontegaard rate differences between the codecs of a run, or between two runs of a codec, with their intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmark.analysis.baseline import Baseline, Point
from benchmark.analysis.dominance import dominating
from benchmark.analysis.missing import exclusions
from benchmark.errors import UsageError
from benchmark.metrics import MetricInfo
from benchmark.reconstructions import label_among
from benchmark.statistics.bjontegaard import (
    Curve,
    ImageCurve,
    JackknifeCurve,
    RateDifference,
    Scale,
    bd_rate,
    bd_rate_without,
    bootstrap_bd_rate,
    jackknife_bd_rate,
)
from benchmark.statistics.paired import Replicates, influence
from benchmark.statistics.quantiles import student_quantile

Vector = npt.NDArray[np.float64]

BOOTSTRAP = "bootstrap over images"
JACKKNIFE = "jackknife over images"

SMALL_SHARE = 0.5
"""Of the range that either curve reaches; below it is said how much both reach."""

LARGE_SHARE = 0.5
"""Of an interval, or of the range that both curves reach; above it is said how much is unknown for want of points."""

FEWEST_RESAMPLES = 100
"""Of a bootstrap whose ends say something."""


@dataclass(frozen=True)
class RateRow:
    """The rate difference of `codec` against `anchor` at equal `metric`.

    unit: of the overlap, which is on the metric's scale. interval: how the interval was made. n: images that all points
    of both curves share. points: of the anchor and the codec. images: their names; influence (n,): how many per cent
    each moves the difference, empty where unknown. left_out: lines on images and points that are not in it.
    """

    codec: str
    anchor: str
    metric: str
    protocol: str
    unit: str
    difference: RateDifference
    interval: str
    n: int
    points: tuple[int, int]
    images: tuple[str, ...] = ()
    influence: Vector | None = None
    left_out: tuple[str, ...] = ()

    @property
    def drawing(self) -> tuple[str, ...]:
        """Lines on how far the number is one of how curves are drawn, or of a small part of them."""
        if not self.difference.defined:
            return ()
        lines = []
        if self.difference.ways is not None:
            if parted := self.difference.ways.parted:
                others = ", ".join(f"{way} {percent:+.1f} %" for way, percent in parted.items())
                lines.append(f"interpolations part, {others}, Akima {self.difference.estimate.value:+.1f} %")
            lines += self._too_few
        if min(self.points) == 2:
            lines.append(
                "a curve of two points is drawn as a straight line, and how far that is wrong is not known"
                + (": the interval leaves it out" if max(self.points) == 2 else "")
            )
        if self.difference.share < SMALL_SHARE:
            lines.append(
                f"of what the two curves reach they share {self.difference.share:.0%}, which the number is about"
            )
        return tuple(lines)

    @property
    def _too_few(self) -> tuple[str, ...]:
        """A line where points are too few or badly placed: gaps, or an interval that is one of the interpolation."""
        ways, estimate = self.difference.ways, self.difference.estimate
        if ways is None or math.isnan(estimate.ci_low):
            return ()
        # In the log, from the error: the ends in per cent may be -100 or infinite.
        over_images = student_quantile(0.975, self.n - 1) * estimate.stderr / (100 + estimate.value)
        half = over_images + ways.error()
        share = ways.error() / half if half else 0.0
        if share <= LARGE_SHARE:
            return ()
        codecs = (self.anchor, self.codec)
        empty = [
            f"; no point of {name} in {gap:.0%} of what both reach"
            for gap, name in zip(ways.gaps, codecs, strict=True)
            if gap > LARGE_SHARE
        ]
        line = f"{share:.0%} of the interval is the error of the interpolation, which more qualities lessen"
        return ("".join([line, *empty]),)

    @property
    def notes(self) -> tuple[str, ...]:
        """All that a reader of the number must know beside it."""
        return (*self.left_out, *self.drawing, *self.dominated)

    @property
    def dominated(self) -> tuple[str, ...]:
        """A line where one image makes most of the number."""
        return () if self.influence is None else dominating(self.images, self.influence)


def decibel(similarity: Vector) -> Vector:
    """−10·log10(1 − x): a similarity as it is drawn, and as rate differences at equal similarity are computed."""
    return np.asarray(-10 * np.log10(1 - similarity), dtype=np.float64)


def scale_of(facts: MetricInfo) -> Scale | None:
    """What is done to the metric's values before a rate difference; None for nothing."""
    return decibel if facts.scale == "decibel" else None


def rate_differences(
    baseline: Baseline, anchor: str, metrics: Sequence[str], *, resamples: int = 1000, seed: int = 0
) -> list[RateRow]:
    """Of every codec but `anchor`, at equal values of each of `metrics`; all metrics but bpp if none is named.

    resamples, of the bootstrap: at least FEWEST_RESAMPLES. Raises UsageError on an anchor or a metric that was not
    measured, and where there is no other codec.
    """
    if resamples < FEWEST_RESAMPLES or seed < 0:
        raise UsageError(f"resamples {resamples}, seed {seed}: at least {FEWEST_RESAMPLES} and 0 are needed")
    there = [name for name in baseline.metrics if name != "bpp"]
    for metric in metrics:
        if metric not in there:
            raise UsageError(f"no metric {metric!r} was measured; there are {', '.join(there)}")
    anchor = label_among(anchor, baseline.codecs)
    if anchor not in baseline.codecs:
        raise UsageError(f"no codec {anchor!r} was measured; there are {', '.join(baseline.codecs)}")
    others = [codec for codec in baseline.codecs if codec != anchor]
    if not others:
        raise UsageError(f"there is no codec beside the anchor {anchor!r}")
    return [
        _row(baseline, anchor, codec, metric, resamples, seed)
        for codec in others
        for metric in (dict.fromkeys(metrics) or there)
    ]


def _row(baseline: Baseline, anchor: str, codec: str, metric: str, resamples: int, seed: int) -> RateRow:
    record = baseline.metrics[metric]
    sides = baseline.of(anchor), baseline.of(codec)
    images, used = common_images(baseline, sides, metric)
    facts = baseline.facts(metric)
    higher, scale = record.higher_is_better, scale_of(facts)
    one, other = (jackknife_curve(baseline, points, metric, images) for points in used)
    if not images:
        difference = bd_rate(Curve(one.rate, one.value), Curve(other.rate, other.value), higher, scale)
    elif record.kind == "set":
        difference = jackknife_bd_rate(one, other, higher, scale=scale)
    else:
        before, after = (_image_curve(baseline, points, metric, images) for points in used)
        difference = bootstrap_bd_rate(before, after, higher, scale=scale, resamples=resamples, seed=seed)
    points = [point for side in sides for point in side]
    if not difference.defined and not images and any(baseline.images_with(point, metric) for point in points):
        difference = replace(difference, reason="no image has a rate and a value at every point")
    moved = None
    if difference.defined and len(images) > 1:
        moved = influence(difference.estimate.value, bd_rate_without(one, other, higher, scale))
    return RateRow(
        codec,
        anchor,
        metric,
        record.protocol,
        facts.shown_unit,
        difference,
        JACKKNIFE if record.kind == "set" else BOOTSTRAP,
        len(images),
        (len(used[0]), len(used[1])),
        tuple(baseline.images[index] for index in images),
        moved,
        exclusions(baseline, points, [point for side in used for point in side], metric, images),
    )


def common_images(
    baseline: Baseline, sides: Sequence[Sequence[Point]], metric: str
) -> tuple[list[int], list[list[Point]]]:
    """The images that have a rate and a value at every point of all sides, and the points that have any.

    A metric of sets has a value for one set only: points over another set than the first one's are left out.
    """
    used = [[point for point in points if baseline.images_with(point, metric)] for points in sides]
    everywhere = [set(baseline.images_with(point, metric)) for points in used for point in points]
    rated = [set(baseline.images_with(point, "bpp")) for points in used for point in points]
    if not everywhere:
        return [], used
    if baseline.metrics[metric].kind == "set":
        whole = max(everywhere, key=len)
        used = [[p for p in points if set(baseline.images_with(p, metric)) == whole] for points in used]
        return sorted(whole), used
    return sorted(set.intersection(*everywhere, *rated)), used


def jackknife_curve(baseline: Baseline, points: Sequence[Point], metric: str, images: Sequence[int]) -> JackknifeCurve:
    """The points of a curve over `images`, and without each; NaN where there is no value."""

    def both(name: str) -> tuple[Vector, Vector]:
        nothing = Replicates(np.nan, np.full(len(images), np.nan))
        found = [baseline.replicates(point, name, images) or nothing for point in points]
        without = np.array([one.without for one in found]).reshape(len(points), len(images))
        return np.array([one.value for one in found]), without

    rate, rate_without = both("bpp")
    value, value_without = both(metric)
    return JackknifeCurve(rate, value, rate_without, value_without)


def _image_curve(baseline: Baseline, points: Sequence[Point], metric: str, images: Sequence[int]) -> ImageCurve:
    rows = [[baseline.image_values(point, name, images) for point in points] for name in ("bpp", metric)]
    rate, value = (np.array(row).reshape(len(points), len(images)) for row in rows)
    return ImageCurve(rate, value)
