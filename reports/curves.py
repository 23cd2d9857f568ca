"""The plots of a run: each metric over bits per pixel, and all of them in one figure, as PNG and SVG."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.reports.plots import PlotOptions, write_plots


def draw_curves(
    summaries: Sequence[pd.DataFrame], metrics: Sequence[str], output: Path, published: Sequence[str] | None = None
) -> list[Path]:
    """Draws each of `metrics`, and all of them in one figure, into the folder `output`.

    published: names of published codecs, whose figures are drawn in the panels that they fit; an empty sequence for
    those usual for each metric, None for none. Returns the paths: METRIC.png, METRIC.svg for each metric, then
    curves.png, curves.svg. Raises as `benchmark.reports.plots.write_plots` does.
    """
    return write_plots(summaries, metrics, output, PlotOptions(published=published))
