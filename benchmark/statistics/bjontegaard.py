"""Bjontegaard rate differences: how many per cent more bits a codec needs for equal quality, with their intervals.

The mean difference of log rate between two curves, over the range of quality that both reach, through the package
`bjontegaard` with Akima interpolation. Source: Herglotz, Kränzler, Mons & Kaup, Beyond Bjontegaard: Limits of Video
Compression Performance Comparisons (2022). Any metric may be the quality, lower-is-better ones too. Numbers only.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmark.statistics.interpolation import Interpolations, interpolations
from benchmark.statistics.intervals import Estimate, jackknife_stderr, t_estimate

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Scale = Callable[[Vector], Vector]

RESAMPLES = 1000
MOST_UNDEFINED = 0.05
"""Share of resamples in which the difference may be undefined; beyond, no interval is given."""


@dataclass(frozen=True)
class RateDifference:
    """A Bjontegaard rate difference in per cent: negative where the tested curve needs fewer bits than the anchor.

    estimate: in per cent; all NaN where the difference is not defined, and `reason` says why. reason: also why there
    is no interval; empty if nothing is missing. overlap: the range of the metric that both curves reach, lowest end
    first; None where there is none. share: the overlap's part of the range that either reaches, 0 to 1. ways: what
    the interpolation does to it; None where it is not defined.
    """

    estimate: Estimate
    reason: str = ""
    overlap: tuple[float, float] | None = None
    share: float = 0.0
    ways: Interpolations | None = None

    @property
    def defined(self) -> bool:
        return not math.isnan(self.estimate.value)


@dataclass(frozen=True)
class Curve:
    """Points of a codec. rate: bits per pixel (q,); value: the metric (q,). NaN where a point has no value."""

    rate: Vector
    value: Vector


@dataclass(frozen=True)
class ImageCurve:
    """Points of a codec over the same images in the same order. rate, value: (q, n), no NaN."""

    rate: Matrix
    value: Matrix


@dataclass(frozen=True)
class JackknifeCurve:
    """Points of a codec, and the same with each image left out: whole (q,), without (q, n)."""

    rate: Vector
    value: Vector
    rate_without: Matrix
    value_without: Matrix


def bd_rate(
    anchor: Curve, test: Curve, higher_is_better: bool, scale: Scale | None = None, *, with_ways: bool = True
) -> RateDifference:
    """The rate difference of `test` against `anchor`, without an interval.

    Points are sorted by rate and points without a value and repeated ones left out. It is not defined, and `reason`
    says why, for fewer than two points, for a curve whose quality does not rise with each step in rate, and for
    curves that reach no common quality. scale: applied to the values first, such as −10·log10(1 − x). with_ways: by
    other interpolations too, which takes as long again.
    """
    try:
        anchor_rate, anchor_value = _usable(anchor, higher_is_better, scale, "the anchor's curve")
        test_rate, test_value = _usable(test, higher_is_better, scale, "the curve")
    except _Undefined as undefined:
        return _undefined(str(undefined))
    low, high = max(anchor_value[0], test_value[0]), min(anchor_value[-1], test_value[-1])
    widest = max(anchor_value[-1], test_value[-1]) - min(anchor_value[0], test_value[0])
    if low >= high:
        ends = [_interval(values, higher_is_better) for values in (anchor_value, test_value)]
        return _undefined(f"no overlap: the anchor reaches {ends[0]}, the other {ends[1]}")
    percent = _package(anchor_rate, anchor_value, test_rate, test_value)
    overlap = (float(low), float(high)) if higher_is_better else (float(-high), float(-low))
    estimate = Estimate(percent, math.nan, math.nan, math.nan)
    curves = (anchor_rate, anchor_value), (test_rate, test_value)
    ways = interpolations(*curves, (float(low), float(high))) if with_ways else None
    return RateDifference(estimate, overlap=overlap, share=float((high - low) / widest), ways=ways)


def bootstrap_bd_rate(
    anchor: ImageCurve,
    test: ImageCurve,
    higher_is_better: bool,
    *,
    scale: Scale | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = 0.95,
) -> RateDifference:
    """The rate difference of curves of means over images, with the interval of a joint bootstrap over images.

    Each resample draws images with replacement, the same ones for both curves and for rate and value. The spread of
    the log rate difference over the resamples, times √(n/(n − 1)), is the standard error (Efron & Tibshirani 1993,
    chapter 6 and page 43), and the interval is Student's t in the log, longer at each end by the error of the
    interpolation (`Interpolations.error`), which more images do not lessen: without it, a codec against itself at other
    qualities is often told apart.
    Resamples without a defined difference are left out; if they are more than MOST_UNDEFINED, there is no interval and
    `reason` says so. Raises ValueError if the curves are not over the same number of images.
    """
    n = anchor.rate.shape[1]
    if {part.shape[1] for part in (anchor.rate, anchor.value, test.rate, test.value)} != {n}:
        raise ValueError("both curves must be over the same images")
    whole = bd_rate(_mean(anchor), _mean(test), higher_is_better, scale)
    if not whole.defined or n < 2:
        return whole if not whole.defined else replace(whole, reason="one image tells nothing of the spread")
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples) / n
    means = [part @ weights.T for part in (anchor.rate, anchor.value, test.rate, test.value)]
    logs = _logs(means, higher_is_better, scale)
    lost = np.isnan(logs).mean()
    if lost > MOST_UNDEFINED:
        return replace(whole, reason=f"no interval: undefined in {100 * lost:.0f} % of the resamples")
    stderr = float(np.nanstd(logs, ddof=1)) * math.sqrt(n / (n - 1))
    return _with_interval(whole, stderr, n, confidence)


def jackknife_bd_rate(
    anchor: JackknifeCurve,
    test: JackknifeCurve,
    higher_is_better: bool,
    *,
    scale: Scale | None = None,
    confidence: float = 0.95,
) -> RateDifference:
    """The rate difference with its delete-one-image jackknife interval, for metrics of sets and of images.

    Each image is left out of both curves, of rate and value at once; the interval is Student's t in the log, longer by
    the error of the interpolation, as of `bootstrap_bd_rate`. If one of the replicates is not defined there is no
    interval, and `reason` says so. Raises ValueError if the curves are not over the same number of images.
    """
    parts = [anchor.rate_without, anchor.value_without, test.rate_without, test.value_without]
    n = parts[0].shape[1]
    if any(part.shape[1] != n for part in parts):
        raise ValueError("both curves must be over the same images")
    whole = bd_rate(Curve(anchor.rate, anchor.value), Curve(test.rate, test.value), higher_is_better, scale)
    if not whole.defined or n < 2:
        return whole if not whole.defined else replace(whole, reason="one image tells nothing of the spread")
    logs = _logs(parts, higher_is_better, scale)
    if np.isnan(logs).any():
        return replace(whole, reason=f"no interval: undefined without one of {int(np.isnan(logs).sum())} images")
    return _with_interval(whole, jackknife_stderr(logs), n, confidence)


def bd_rate_without(
    anchor: JackknifeCurve, test: JackknifeCurve, higher_is_better: bool, scale: Scale | None = None
) -> Vector:
    """(n,): the rate difference in per cent with each image left out; NaN where it is not defined."""
    parts = [anchor.rate_without, anchor.value_without, test.rate_without, test.value_without]
    return np.asarray(100 * np.expm1(_logs(parts, higher_is_better, scale)), dtype=np.float64)


class _Undefined(Exception):
    """Why a curve has no rate difference."""


def _usable(curve: Curve, higher_is_better: bool, scale: Scale | None, name: str) -> tuple[Vector, Vector]:
    """Rate and value, sorted by rate, higher values better. Raises _Undefined."""
    values = np.asarray(curve.value, dtype=np.float64)
    if scale is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = scale(values)
    rates = np.asarray(curve.rate, dtype=np.float64)
    there = np.isfinite(rates) & np.isfinite(values) & (rates > 0)
    points = np.array(sorted(set(zip(rates[there].tolist(), values[there].tolist(), strict=True))))  # each once
    if len(points) < 2:
        number = "no point" if not len(points) else "one point"
        raise _Undefined(f"{name} has {number}, and two are needed")
    rate = np.asarray(points[:, 0], dtype=np.float64)
    value = np.asarray(points[:, 1] if higher_is_better else -points[:, 1], dtype=np.float64)
    steps: list[int] = np.flatnonzero((np.diff(value) <= 0) | (np.diff(rate) <= 0)).tolist()
    if steps:
        first = steps[0]
        raise _Undefined(
            f"{name} is not monotone: {points[first, 1]:.6g} at {rate[first]:.4g} bpp, "
            f"{points[first + 1, 1]:.6g} at {rate[first + 1]:.4g} bpp"
        )
    return rate, value


def _package(anchor_rate: Vector, anchor_value: Vector, test_rate: Vector, test_value: Vector) -> float:
    from bjontegaard import bd_rate as package_bd_rate  # imports pyplot

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a small overlap, which is reported with the number
        percent = package_bd_rate(
            anchor_rate,
            anchor_value,
            test_rate,
            test_value,
            method="akima",
            require_matching_points=False,
            min_overlap=0,
        )
    return float(percent)


def _logs(means: list[Matrix], higher_is_better: bool, scale: Scale | None) -> Vector:
    """(n,): ln(1 + difference / 100) for each column of anchor rate, anchor value, test rate, test value (q, n)."""
    anchor_rate, anchor_value, test_rate, test_value = means
    logs = np.full(anchor_rate.shape[1], np.nan)
    for column in range(len(logs)):
        difference = bd_rate(
            Curve(anchor_rate[:, column], anchor_value[:, column]),
            Curve(test_rate[:, column], test_value[:, column]),
            higher_is_better,
            scale,
            with_ways=False,
        )
        logs[column] = math.log1p(difference.estimate.value / 100)
    return logs


def _with_interval(whole: RateDifference, stderr: float, n: int, confidence: float) -> RateDifference:
    """`whole` with its error over images in the log, `stderr`, in per cent by the delta method."""
    percent, drawn = whole.estimate.value, 0.0 if whole.ways is None else whole.ways.error(confidence)
    log = t_estimate(math.log1p(percent / 100), stderr, n, confidence)
    low, high = (_percent(end) for end in (log.ci_low - drawn, log.ci_high + drawn))
    return replace(whole, estimate=Estimate(percent, (100 + percent) * stderr, low, high))


def _percent(log: float) -> float:
    """A difference of log rate in per cent; infinite beyond what a float holds."""
    try:
        return 100 * math.expm1(log)
    except OverflowError:
        return math.inf


def _mean(curve: ImageCurve) -> Curve:
    return Curve(curve.rate.mean(axis=1), curve.value.mean(axis=1))


def _undefined(reason: str) -> RateDifference:
    return RateDifference(Estimate(math.nan, math.nan, math.nan, math.nan), reason)


def _interval(values: Vector, higher_is_better: bool) -> str:
    low, high = (values[0], values[-1]) if higher_is_better else (-values[-1], -values[0])
    return f"{low:.6g} to {high:.6g}"
