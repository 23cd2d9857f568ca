"""The words below the panels: data set, number of images, what is missing, protocols, sources of published curves."""

from collections.abc import Sequence

import numpy as np

from benchmark.reconstructions import mark_notes
from benchmark.reports.plots.options import PlotOptions
from benchmark.reports.plots.panels import Panel, labels_of
from benchmark.reports.plots.published import published_notes


def caption(panels: Sequence[Panel], dataset: str, options: PlotOptions) -> str:
    """What the numbers are of."""
    counts = f"n = {_span([panel.images for panel in panels], 'image')}"
    patched = [panel.patches for panel in panels if panel.patches is not None]
    if patched:
        counts += f" ({_span(patched, 'patch', 'patches')})"
    parts = [dataset, counts]
    known = any(np.isfinite(curve.low).any() for panel in panels for curve in panel.curves)
    relative = any(panel.relative_to is not None for panel in panels)
    if known and options.intervals != "none":
        parts.append(f"{'paired ' if relative else ''}95 % intervals over images")
    if relative:
        parts.append("differences at equal mean rate")
    parts += [f"no {p.title} for {labels_of(p.missing, options.labels)}" for p in panels if p.missing]
    parts += [note for panel in panels for note in panel.notes]
    unequal = [panel for panel in panels if panel.images[0] != panel.images[1]]
    if unequal:
        parts.append(f"not all points are over the same images in {', '.join(panel.title for panel in unequal)}")
    if any(panel.patches is not None for panel in unequal):
        parts.append("distances of sets at different n are not comparable")
    return " · ".join(parts)


def small_print(panels: Sequence[Panel], rate_protocol: str, options: PlotOptions) -> list[str]:
    """The protocols, and notes on published curves; a paragraph each."""
    protocols = dict.fromkeys([*(panel.protocol for panel in panels), rate_protocol])
    marks = mark_notes(curve.codec for panel in panels for curve in panel.curves)
    return [*marks, "Protocols: " + " · ".join(protocols), *published_notes(panels, options)]


def _span(ranges: Sequence[tuple[int, int]], one: str, many: str = "") -> str:
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    number = str(low) if low == high else f"{low}–{high}"
    return f"{number} {one if high == 1 else many or one + 's'}"
