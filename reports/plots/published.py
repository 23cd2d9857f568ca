"""Published curves in the panels that they fit: which, where their names stand, and what the small print says."""

from collections.abc import Sequence
from dataclasses import replace

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from benchmark.errors import NotComparable
from benchmark.reports.anchors import choose_codecs, fitting_curves
from benchmark.reports.placement import leader, place_labels
from benchmark.reports.plots.axes import unseen
from benchmark.reports.plots.options import PlotOptions
from benchmark.reports.plots.panels import Panel, Vector, shown
from benchmark.reports.plots.text import points as points_of
from benchmark.reports.plots.text import text_width

KINDS = {
    "classical": "published: classical",
    "distortion": "published: learned for distortion",
    "perceptual": "published: learned for LPIPS too",
    "generative": "published: learned for realism",
}
_LABEL_COLOR, _LEADER_COLOR = "#505050", "#A0A0A0"


def with_published(
    panels: Sequence[Panel],
    codecs: Sequence[str],
    dataset: str,
    rate_protocol: str,
    references: Sequence[str] | None = None,
) -> list[Panel]:
    """The panels with the published curves that fit. Raises NotComparable if none fits, or not one that was named.

    references: as `fitting_curves` has them.
    """
    filled = []
    for panel in panels:
        measured = panel.images, panel.metric, panel.protocol, rate_protocol
        curves, reasons = fitting_curves(codecs, dataset, *measured, references)
        filled.append(replace(panel, published=tuple(curves), unfit=tuple(reasons.items())))
    drawn = {curve.codec for panel in filled for curve in panel.published}
    lost = [codec for codec in codecs if codec not in drawn]
    # Who names all takes what there is.
    if not drawn or (lost and set(codecs) != set(choose_codecs("all"))):
        refused = [
            f"{codec}, {panel.title}: {reason}"
            for panel in filled
            for codec, reason in panel.unfit
            if codec not in drawn and codec in (lost or [codec])
        ]
        names = ", ".join(panel.title for panel in filled)
        which = f"published figures of {', '.join(lost)}" if 0 < len(lost) < 4 else "published figures"
        why = "; ".join(refused[:3]) or f"there are none of {names} on {dataset.rpartition(' ')[0]}"
        raise NotComparable(f"no {which} can be drawn beside this run: {why}")
    return filled


def published_notes(panels: Sequence[Panel], options: PlotOptions) -> list[str]:
    """Where the published curves come from, what their protocols leave open, and what was not drawn and why."""
    with_some = [panel for panel in panels if panel.published]
    if not with_some:
        return []
    sources: dict[tuple[str, str], list[str]] = {}
    metrics: dict[tuple[str, str], list[str]] = {}
    for panel in with_some:
        for curve in panel.published:
            key = curve.reference, curve.remark
            sources[key] = list(dict.fromkeys([*sources.get(key, []), curve.label]))
            metrics[key] = list(dict.fromkeys([*metrics.get(key, []), panel.title]))
    parts = []
    for (reference, remark), labels in sources.items():
        # One source can leave more open in one metric than in another.
        several = len([other for other in sources if other[0] == reference and set(sources[other]) & set(labels)]) > 1
        where = f" in {' and '.join(metrics[reference, remark])}" if several else ""
        parts.append(f"{', '.join(labels)}{where}: {reference}" + (f" ({remark})" if remark else ""))
    notes = [f"Published, as their sources give them, without intervals: {' · '.join(parts)}"]
    left_out = [f"{codec} in {panel.title}, {reason}" for panel in panels for codec, reason in panel.unfit]
    left_out += [f"nothing in {panel.title}" for panel in panels if not panel.published]
    beyond = [f"{curve.label} in {panel.title}" for panel in panels for curve in unseen(panel, options)]
    if left_out:
        notes.append(f"Published figures that do not fit: {'; '.join(left_out)}")
    if beyond:
        notes.append(f"Published, but outside the axes: {', '.join(beyond)}")
    return notes


def label_published(axes: Axes, panel: Panel) -> None:
    """Writes the name of each published curve beside it, where no line and no other name is if that can be."""
    points_per_pixel = 72 / axes.figure.dpi
    size = points_of("font.size") * 6 / 7

    def points(x: npt.ArrayLike, y: npt.ArrayLike) -> Vector:
        pairs = np.column_stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)])
        placed: Vector = axes.transData.transform(pairs[np.isfinite(pairs).all(axis=1)]) * points_per_pixel
        return placed

    lines = [points(curve.bpp, shown(panel.scale, curve.value)) for curve in panel.published]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    others = [points(curve.bpp, curve.value) for curve in panel.curves]
    for curve in panel.curves:
        for bpp, bpp_low, bpp_high, value, low, high in zip(
            curve.bpp, curve.bpp_low, curve.bpp_high, curve.value, curve.low, curve.high, strict=True
        ):
            others.append(points([bpp, bpp], np.clip([low, high], bottom, top)))
            others.append(points(np.clip([bpp_low, bpp_high], left, right), [value, value]))
    frame = axes.get_window_extent()
    x0, y0, x1, y1 = (float(edge) * points_per_pixel for edge in frame.extents)
    sizes = [(text_width(curve.label, size) * 72 + 2, size) for curve in panel.published]
    for named, place in zip(panel.published, place_labels(lines, sizes, others, (x0, y0, x1, y1)), strict=True):
        if place is None:
            continue

        def fraction(x: float, y: float) -> tuple[float, float]:
            return (x - x0) / (x1 - x0), (y - y0) / (y1 - y0)

        box = place.box
        behind = {"facecolor": matplotlib.rcParams["axes.facecolor"], "edgecolor": "none", "pad": 0.5, "alpha": 0.85}
        axes.text(
            *fraction((box[0] + box[2]) / 2, (box[1] + box[3]) / 2),
            named.label,
            transform=axes.transAxes,
            fontsize=size,
            color=_LABEL_COLOR,
            ha="center",
            va="center_baseline",
            zorder=5,
            bbox=None if place.clear else behind,
        )
        (from_x, from_y), (to_x, to_y) = fraction(*place.anchor), fraction(*leader(place))
        axes.add_artist(
            Line2D(
                [from_x, to_x],
                [from_y, to_y],
                transform=axes.transAxes,
                color=_LEADER_COLOR,
                linewidth=0.5,
                marker="o",
                markevery=[0],
                markersize=1.8,
                markerfacecolor=_LABEL_COLOR,
                markeredgewidth=0,
            )
        )
