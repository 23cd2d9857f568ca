"""Curves of metrics over bits per pixel, and of paired differences: `draw`, its `PlotOptions`, and files of them."""

from benchmark.reports.plots.drawing import draw, write_plots
from benchmark.reports.plots.options import PlotOptions

__all__ = ["PlotOptions", "draw", "write_plots"]
