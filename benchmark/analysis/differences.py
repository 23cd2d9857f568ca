"""Paired differences of two codecs at equal rate: what the intervals of their curves, each over all images, hide.

The difference at a rate is that of the two curves as they are drawn: the mean rate over the images decides how far
between two qualities a codec stands, and there the value of each image is interpolated, linearly in log rate. Leaving
an image out of both codecs at once, of rates and values, gives the delete-one jackknife of the difference, for means
over images and for metrics of sets alike. The interval is Student's t, as everywhere where pairs are compared, longer
at each end by the error of the interpolation (`error_at`): without it, a codec is told apart from itself at other
qualities.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmark.analysis.baseline import Baseline, Point
from benchmark.analysis.missing import exclusions
from benchmark.analysis.rate_differences import common_images
from benchmark.errors import NotComparable, UsageError
from benchmark.reconstructions import label_among
from benchmark.results import CodecRecord
from benchmark.statistics.interpolation import error_at
from benchmark.statistics.intervals import Estimate, jackknife_estimate, jackknife_stderr, t_estimate
from benchmark.statistics.paired import Replicates, paired_difference, paired_estimate

Vector = npt.NDArray[np.float64]

_ROUNDING = 1e-12


@dataclass(frozen=True)
class DifferenceCurve:
    """The metric of `codec` minus that of `anchor` at equal rate, in the metric's own unit.

    rate: bits per pixel, mean over images, rising; difference: at each rate; low, high: ends of its 95 % interval over
    images and of the interpolation, NaN for a single image; all (k,). n: images. reason: why there is no difference,
    k = 0; empty if there is. left_out: lines on images and points that are not in it.
    """

    codec: str
    anchor: str
    metric: str
    rate: Vector
    difference: Vector
    low: Vector
    high: Vector
    n: int
    reason: str = ""
    left_out: tuple[str, ...] = ()


def paired_differences(
    baseline: Baseline, anchor: str, codecs: Sequence[str], metric: str, rates: Sequence[float] | None = None
) -> list[DifferenceCurve]:
    """Of each of `codecs` from `anchor`, in their order; the anchor itself is left out.

    rates: in bits per pixel, those outside of the range that both codecs reach left out; None for the anchor's measured
    rates in that range, and its ends.
    Raises UsageError on a codec or a metric that was not measured.
    """
    if metric not in baseline.metrics or metric == "bpp":
        there = ", ".join(name for name in baseline.metrics if name != "bpp")
        raise UsageError(f"no metric {metric!r} was measured; there are {there}")
    anchor, *codecs = (label_among(codec, baseline.codecs) for codec in (anchor, *codecs))
    for codec in (anchor, *codecs):
        if codec not in baseline.codecs:
            raise UsageError(f"no codec {codec!r} was measured; there are {', '.join(baseline.codecs)}")
    return [_curve(baseline, anchor, codec, metric, rates) for codec in codecs if codec != anchor]


def value_at_rate(baseline: Baseline, codec: str, metric: str, rate: float) -> Estimate | None:
    """The metric on a codec's curve at `rate` bits per pixel, with its 95 % interval over images.

    Over the images that every point of the curve shares. Leaving an image out moves the rates as well as the values:
    where bits and values hang together over images, as they do, the intervals of the neighbouring points are too short
    for the curve between them. None where the curve does not reach the rate.
    """
    points = baseline.of(codec)
    images, [used] = common_images(baseline, (points,), metric)
    side = _Side.of(baseline, used, metric, images)
    if not images or side.rate.size < 2 or not side.rate[0] <= rate <= side.rate[-1]:
        return None
    found = side.at(float(np.log(rate)))
    if baseline.metrics[metric].kind == "set":
        return jackknife_estimate(found.value, found.without)
    return t_estimate(found.value, jackknife_stderr(found.without), len(images))


def joined_numbers(baselines: Sequence[Baseline], labels: Sequence[dict[str, str]]) -> Baseline:
    """The points of several runs over the same images, their codecs called as in `labels`, one mapping a run.

    A codec that a mapping does not hold is left out. Raises NotComparable if the images or a protocol differ.
    """
    first = baselines[0]
    codecs: dict[str, CodecRecord] = {}
    points: list[Point] = []
    metrics = dict(first.metrics)
    for baseline, own in zip(baselines, labels, strict=True):
        if (baseline.dataset.fingerprint, baseline.images) != (first.dataset.fingerprint, first.images):
            raise NotComparable(
                f"the images differ: {first.label} against {baseline.label}; pairs need the same images"
            )
        for name, record in baseline.metrics.items():
            if metrics.setdefault(name, record).protocol != record.protocol:
                raise NotComparable(f"{name}: {metrics[name].protocol} against {record.protocol}")
        codecs |= {own[codec]: record for codec, record in baseline.codecs.items() if codec in own}
        points += [p.model_copy(update={"codec": own[p.codec]}) for p in baseline.points if p.codec in own]
    return first.model_copy(update={"codecs": codecs, "points": points, "metrics": metrics})


def _curve(baseline: Baseline, anchor: str, codec: str, metric: str, asked: Sequence[float] | None) -> DifferenceCurve:
    nothing = np.empty(0)
    empty = DifferenceCurve(codec, anchor, metric, nothing, nothing, nothing, nothing, 0)
    points = [*baseline.of(anchor), *baseline.of(codec)]
    images, used = common_images(baseline, (baseline.of(anchor), baseline.of(codec)), metric)
    empty = replace(empty, left_out=exclusions(baseline, points, [p for side in used for p in side], metric, images))
    if not images:
        return replace(empty, reason="no image has a value of both")
    sides = [_Side.of(baseline, points, metric, images) for points in used]
    for side, name in zip(sides, (anchor, codec), strict=True):
        if side.rate.size < 2:
            number = "one rate" if side.rate.size else "no rate"
            return replace(empty, reason=f"{name} has {number}, and two are needed")
    low, high = (pick(side.rate[end] for side in sides) for pick, end in ((max, 0), (min, -1)))
    if low > high:
        ends = [f"{side.rate[0]:.3g} to {side.rate[-1]:.3g} bpp" for side in sides]
        return replace(empty, reason=f"no common rate: {ends[0]} against {ends[1]}")
    wanted = np.array([low, high, *sides[0].rate] if asked is None else asked, dtype=np.float64)
    rates = np.unique(wanted[(wanted >= low) & (wanted <= high)])
    if not rates.size:
        return replace(empty, reason=f"both reach {low:.3g} to {high:.3g} bpp, and no rate asked for is there")
    before, after = sides
    logs = [float(log) for log in np.log(rates)]
    estimates = [paired_estimate(paired_difference(before.at(log), after.at(log))) for log in logs]
    difference, lows, highs = (
        np.array([getattr(estimate, name) for estimate in estimates]) for name in ("value", "ci_low", "ci_high")
    )
    curves = (before.points, after.points)
    drawn = np.array([error_at(curves, log) for log in logs])
    return replace(empty, rate=rates, difference=difference, low=lows - drawn, high=highs + drawn, n=len(images))


@dataclass(frozen=True)
class _Side:
    """A codec's points by rising rate. rate, value: (q,); log_without, value_without: (q, n); per_seed: (q, seeds)."""

    rate: Vector
    value: Vector
    log_without: Vector
    value_without: Vector
    per_seed: Vector

    @classmethod
    def of(cls, baseline: Baseline, points: Sequence[Point], metric: str, images: Sequence[int]) -> "_Side":
        """Points without a value or a rate are left out, and of several at one rate all but the first."""
        found: dict[float, tuple[Replicates, Replicates]] = {}
        for point in points:
            rate, value = (baseline.replicates(point, name, images) for name in ("bpp", metric))
            if rate is not None and value is not None and rate.value > 0:
                found.setdefault(rate.value, (rate, value))
        rates: list[float] = []
        for mean in sorted(found):
            # of rates that differ by the rounding of their means alone, too: no curve is drawn through those
            if not rates or mean > rates[-1] * (1 + _ROUNDING):
                rates.append(mean)
        pairs = [found[mean] for mean in rates]
        seeds = min((value.per_seed.size for _, value in pairs), default=0)
        return cls(
            np.array([rate.value for rate, _ in pairs]),
            np.array([value.value for _, value in pairs]),
            np.log(np.array([rate.without for rate, _ in pairs])),
            np.array([value.without for _, value in pairs]),
            np.array([value.per_seed[:seeds] for _, value in pairs]),
        )

    @property
    def points(self) -> tuple[Vector, Vector]:
        """Log rate and value, (q,) each."""
        return np.log(self.rate), self.value

    def at(self, log_rate: float) -> Replicates:
        """At a rate between the first and the last point.

        Without an image the points move a little, so that the rate can lie just outside of the same two points: there
        the piece between them goes on straight.
        """
        logs = np.log(self.rate)
        start = min(max(int(np.searchsorted(logs, log_rate, side="right")) - 1, 0), logs.size - 2)
        weight = (log_rate - logs[start]) / (logs[start + 1] - logs[start])
        left, right = self.log_without[start], self.log_without[start + 1]
        apart = right > left  # or the points change places without one image, and there is nothing between them
        weights = np.where(apart, (log_rate - left) / np.where(apart, right - left, 1.0), weight)
        return Replicates(
            float(_between(self.value, start, weight)),
            _between(self.value_without, start, weights),
            _between(self.per_seed, start, weight),
        )


def _between(values: Vector, start: int, weight: float | Vector) -> Vector:
    result: Vector = values[start] + weight * (values[start + 1] - values[start])
    return result
