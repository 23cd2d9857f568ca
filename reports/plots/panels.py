"""What the panels of a figure say: from summaries, or from the numbers of single images, to points on two axes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.analysis.baseline import Baseline
from benchmark.analysis.comparable import one_protocol
from benchmark.analysis.differences import DifferenceCurve, paired_differences
from benchmark.analysis.missing import rate_note
from benchmark.analysis.rate_differences import decibel
from benchmark.analysis.summary import ORIGINALS, metric_facts
from benchmark.errors import BenchmarkError, UsageError
from benchmark.metrics import MetricInfo
from benchmark.reconstructions import shown_as
from benchmark.reports.anchors import PublishedCurve
from benchmark.reports.plots.options import PlotOptions

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A codec's points for one metric, sorted by bits per pixel; all (n,), NaN where there is no value or interval."""

    codec: str
    bpp: Vector
    bpp_low: Vector
    bpp_high: Vector
    value: Vector
    low: Vector
    high: Vector


@dataclass(frozen=True)
class Panel:
    """All that one panel says.

    name: the metric with its unit, heading: and its better direction in words. scale: "decibel" if values are drawn as
    −10·log10(1 − x). missing: codecs without a value. images, patches: the fewest and the most behind a point.
    originals: the value of the originals, drawn as a line. relative_to: the label of the codec that the differences are
    from; None for absolute values. notes: what else the caption says. published: curves of others' figures that fit.
    unfit: published codec -> why its figures of this metric do not.
    """

    metric: str
    title: str
    name: str
    higher_is_better: bool
    scale: str
    protocol: str
    curves: tuple[Curve, ...]
    missing: tuple[str, ...]
    images: tuple[int, int]
    patches: tuple[int, int] | None
    originals: float | None = None
    relative_to: str | None = None
    notes: tuple[str, ...] = ()
    published: tuple[PublishedCurve, ...] = ()
    unfit: tuple[tuple[str, str], ...] = ()

    @property
    def heading(self) -> tuple[str, str]:
        """The metric, and which direction is better."""
        return self.name, "↑ higher is better" if self.higher_is_better else "↓ lower is better"

    @property
    def axis_label(self) -> str:
        """The metric with an arrow, for an axis."""
        return f"{self.name} {'↑' if self.higher_is_better else '↓'}"


def shown(scale: str, values: npt.ArrayLike) -> Vector:
    """Values on the scale of the panel; infinite where a similarity is 1 or beyond."""
    array = np.array(values, dtype=np.float64)
    if scale != "decibel":
        return array
    with np.errstate(divide="ignore"):
        return decibel(np.minimum(array, 1))


def metric_panel(frame: pd.DataFrame, metric: str, codecs: Sequence[str] = ()) -> Panel:
    """The panel of `metric` from headline rows; codecs: those of it, in their order, none for all.

    Raises UsageError on a metric that no summary holds, NotComparable on several protocols, and BenchmarkError if no
    codec has a value.
    """
    rows = frame[frame["metric"] == metric]
    if metric == "bpp" or rows.empty:
        there = ", ".join(name for name in dict.fromkeys(frame["metric"]) if name != "bpp") or "none"
        raise UsageError(f"no curve of {metric!r} can be drawn; the metrics of the summary: {there}")
    protocol = one_protocol(frame, metric)
    codecs = codecs or [str(codec) for codec in dict.fromkeys(frame["codec"])]
    rows = rows[rows["codec"].isin(codecs)]
    valued = rows[rows["value"].notna()]
    rates = frame[frame["metric"] == "bpp"].set_index(["codec", "quality"])
    info = metric_facts(frame, metric)

    curves, missing = [], []
    for codec in codecs:
        curve = _curve(codec, info, rows[rows["codec"] == codec], rates)
        if np.isfinite(curve.value).any():
            curves.append(curve)
        else:
            missing.append(codec)

    if not curves:
        why = "; in dB a value of 1 is infinite" if info.scale == "decibel" else ""
        raise BenchmarkError(f"{metric}: no codec has a value that can be drawn{why}")
    return Panel(
        metric,
        info.title,
        _with_unit(info.title, info.shown_unit),
        info.higher_is_better,
        info.scale,
        protocol,
        tuple(curves),
        tuple(missing),
        _range(valued["n_images"]),
        _range(valued["n_patches"]) if valued["n_patches"].notna().any() else None,
        notes=tuple(filter(None, [rate_note(frame, metric, info.title, codecs)])),
    )


def value_of_originals(summaries: Sequence[pd.DataFrame], panel: Panel) -> float | None:
    """The metric of the originals on the panel's scale; None where the summaries do not hold it."""
    rows = pd.concat(summaries, ignore_index=True)
    rows = rows[(rows["aggregation"] == ORIGINALS) & (rows["metric"] == panel.metric) & rows["value"].notna()]
    if rows.empty:
        return None
    # Over the most images, where not all points are over the same.
    value = float(shown(panel.scale, [rows.sort_values("n_images", kind="stable")["value"].iloc[-1]])[0])
    return value if math.isfinite(value) else None


def difference_panel(
    numbers: Baseline, frame: pd.DataFrame, metric: str, anchor: str, codecs: Sequence[str], options: PlotOptions
) -> Panel:
    """The panel of the paired differences of `codecs` from `anchor`, in the metric's own unit.

    Raises UsageError on unknown names, NotComparable on several protocols, BenchmarkError if there is no difference.
    """
    protocol = one_protocol(frame, metric) if (frame["metric"] == metric).any() else ""
    found = paired_differences(numbers, anchor, codecs, metric)
    if not found:
        raise UsageError(f"there is no codec beside {anchor!r} whose difference from it could be drawn")
    info = metric_facts(frame, metric)
    with_values = [curve for curve in found if curve.rate.size]
    reasons = [f"no difference in {info.title} for {options.label(c.codec)}: {c.reason}" for c in found if c.reason]
    if not with_values:
        raise BenchmarkError("; ".join(reasons))
    counts = [curve.n for curve in with_values]
    name = f"{info.title} minus that of {options.label(anchor)}"
    return Panel(
        metric,
        info.title,
        _with_unit(name, info.unit),
        info.higher_is_better,
        "linear",
        protocol,
        tuple(_of_difference(curve) for curve in with_values),
        (),
        (min(counts), max(counts)),
        None,
        relative_to=options.label(anchor),
        notes=tuple(dict.fromkeys([*reasons, *(line for curve in with_values for line in curve.left_out)])),
    )


def _of_difference(found: DifferenceCurve) -> Curve:
    none = np.full(found.rate.size, np.nan)
    return Curve(found.codec, found.rate, none, none, found.difference, found.low, found.high)


def _with_unit(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _range(counts: "pd.Series[int]") -> tuple[int, int]:
    known = counts.dropna()
    return (int(known.min()), int(known.max())) if len(known) else (0, 0)


def _curve(codec: str, info: MetricInfo, rows: pd.DataFrame, rates: pd.DataFrame) -> Curve:
    def column(table: pd.DataFrame, name: str) -> Vector:
        return table[name].to_numpy(dtype=np.float64, copy=True)

    own_rates = rates.reindex([(codec, quality) for quality in rows["quality"]])
    order = np.argsort(column(own_rates, "value"), kind="stable")
    value, low, high = (shown(info.scale, column(rows, name)) for name in ("value", "ci_low", "ci_high"))
    value[np.isinf(value)] = np.nan  # no place on the scale; the end of an interval goes to the edge
    value[~(column(own_rates, "value") > 0)] = np.nan  # no bits have no place on a logarithmic axis
    return Curve(
        codec,
        column(own_rates, "value")[order],
        column(own_rates, "ci_low")[order],
        column(own_rates, "ci_high")[order],
        value[order],
        low[order],
        high[order],
    )


def labels_of(codecs: Sequence[str], labels: Mapping[str, str]) -> str:
    """Their names in the plot, with commas between."""
    return ", ".join(shown_as(codec, labels) for codec in codecs)
