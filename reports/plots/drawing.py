"""Metrics over bits per pixel, and paired differences at equal rate, as matplotlib figures and as files.

Drawn on matplotlib's Figure objects: no pyplot, no window, no global state; the same summaries give the same bytes.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.analysis.baseline import Baseline
from benchmark.analysis.comparable import chosen_codecs, codec_labels, joined_headlines, one_dataset, one_protocol
from benchmark.analysis.differences import joined_numbers
from benchmark.errors import UsageError
from benchmark.reconstructions import check_distinct
from benchmark.reports.figure_style import CURRENT, TEXT, figure_style
from benchmark.reports.plots.axes import RATE_LABEL, draw_panel
from benchmark.reports.plots.files import check_formats, file_name, save
from benchmark.reports.plots.layout import figure_of, legend_entries, legend_inside
from benchmark.reports.plots.options import PlotOptions
from benchmark.reports.plots.panels import Panel, difference_panel, metric_panel, value_of_originals
from benchmark.reports.plots.published import label_published, with_published
from benchmark.reports.plots.text import text_width
from benchmark.reports.styles import Style, codec_styles

_USUAL = PlotOptions()


def draw(
    summaries: Sequence[pd.DataFrame],
    metrics: Sequence[str],
    options: PlotOptions = _USUAL,
    *,
    numbers: Sequence[Baseline] = (),
    ax: Axes | None = None,
) -> Figure:
    """A figure with a panel a metric, over bits per pixel. Writes no file.

    summaries: frames as `benchmark.analysis.summary` makes them, of one data set. A codec that several of them hold
    with different numbers is drawn once for each, the later ones called "(run 2)" and so on.
    numbers: of the same runs in the same order, for `options.relative_to`.
    ax: draws a single metric into these axes, which keep their looks; without caption, the legend inside or none.
    Measured curves alone set the limits that `options` leaves open.

    Raises NotComparable if data sets or protocols differ or published figures were asked for and fit no panel,
    UsageError on a codec or metric that no summary holds, and BenchmarkError on a metric that has no value at all.
    """
    content = _content(summaries, metrics, options, numbers)
    if ax is not None:
        return _draw_into(ax, content, options)
    with figure_style(options.font_size, options.style):
        return content.figure(content.panels, options)


def write_plots(
    summaries: Sequence[pd.DataFrame],
    metrics: Sequence[str],
    output: Path,
    options: PlotOptions = _USUAL,
    *,
    numbers: Sequence[Baseline] = (),
) -> list[Path]:
    """Writes a figure a metric and one of all into the folder `output`, and returns the paths.

    They are METRIC.FORMAT for each metric and format, then curves.FORMAT; those of differences end in
    "-relative-to-CODEC". Raises as `draw` does, before anything is written, and BenchmarkError where a format needs a
    program that is not there.
    """
    content = _content(summaries, metrics, options, numbers)
    ending = "" if options.relative_to is None else f"-relative-to-{options.relative_to}"
    written: list[Path] = []
    with figure_style(options.font_size, options.style):
        check_formats(options.formats)
        everything, *stems = (
            output / name
            for name in _file_names([f"curves{ending}", *(panel.metric + ending for panel in content.panels)])
        )
        if len(stems) == 1:  # the figure of all is that of the one; drawing is a fifth of a short run's time
            return save(content.figure(content.panels, options), [*stems, everything], options.formats)
        for panel, stem in zip(content.panels, stems, strict=True):
            written += save(content.figure([panel], options), [stem], options.formats)
        written += save(content.figure(content.panels, options), [everything], options.formats)
    return written


def _file_names(names: Sequence[str]) -> list[str]:
    """A file name for each: a number tells those apart that differ only in what has no place in one."""
    found: list[str] = []
    for name in map(file_name, names):
        numbered = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
        found.append(next(one for one in numbered if one not in found))
    return found


@dataclass(frozen=True)
class _Content:
    """What is drawn. codecs: in the order of the legend."""

    panels: tuple[Panel, ...]
    codecs: tuple[str, ...]
    styles: dict[str, Style]
    dataset: str
    rate_protocol: str

    def looks(self) -> dict[str, Style]:
        """Codec -> style, in the order of the legend; colours and markers of a cycle that the user chose."""
        looks = {codec: self.styles[codec] for codec in self.codecs}
        cycle = matplotlib.rcParams["axes.prop_cycle"]
        if cycle == matplotlib.rcParamsDefault["axes.prop_cycle"]:
            return looks
        for codec, own in zip(self.codecs, cycle(), strict=False):  # cycle(): without end
            color = matplotlib.colors.to_hex(own["color"]) if "color" in own else looks[codec].color
            looks[codec] = replace(looks[codec], color=color, marker=str(own.get("marker", looks[codec].marker)))
        return looks

    def figure(self, panels: Sequence[Panel], options: PlotOptions) -> Figure:
        """Inside of `figure_style`."""
        _check_mathematics(options)
        return figure_of(panels, self.looks(), self.dataset, self.rate_protocol, options)


def _content(
    summaries: Sequence[pd.DataFrame], metrics: Sequence[str], options: PlotOptions, numbers: Sequence[Baseline]
) -> _Content:
    if not summaries or not metrics:
        raise UsageError("there is nothing to draw: name at least one run and one metric")
    metrics = list(dict.fromkeys(metrics))
    for metric in options.ylim:
        if metric not in metrics:
            raise UsageError(f"ylim of {metric!r}: it is not drawn; the metrics are {', '.join(metrics)}")
    dataset = one_dataset(summaries)
    frame = joined_headlines(summaries)
    rate_protocol = one_protocol(frame, "bpp")
    codecs = chosen_codecs(frame, options.codecs)
    chosen_codecs(frame, list(options.labels))
    check_distinct(codecs, options.labels)
    styles = codec_styles([str(codec) for codec in dict.fromkeys(frame["codec"])])
    if options.relative_to is not None:
        panels = _difference_panels(summaries, frame, metrics, codecs, options, numbers)
    else:
        panels = [metric_panel(frame, metric, codecs) for metric in metrics]
        panels = [replace(panel, originals=value_of_originals(summaries, panel)) for panel in panels]
    if options.published is not None:
        panels = with_published(panels, options.published, dataset, rate_protocol, options.references)
    return _Content(tuple(panels), tuple(codecs), styles, dataset, rate_protocol)


def _check_mathematics(options: PlotOptions) -> None:
    """Raises UsageError where matplotlib could not draw a text of the user's, before anything is drawn."""
    for text in (options.title, *options.labels.values()):
        text_width(text or "", TEXT, math=True)


def _difference_panels(
    summaries: Sequence[pd.DataFrame],
    frame: pd.DataFrame,
    metrics: Sequence[str],
    codecs: Sequence[str],
    options: PlotOptions,
    numbers: Sequence[Baseline],
) -> list[Panel]:
    assert options.relative_to is not None
    [anchor] = chosen_codecs(frame, [options.relative_to])
    if len(numbers) != len(summaries):
        raise UsageError(
            "paired differences are made of the values of single images: a run folder or a baseline file is needed "
            "for each summary"
        )
    joined = joined_numbers(numbers, codec_labels(summaries))
    return [difference_panel(joined, frame, metric, anchor, codecs, options) for metric in metrics]


def _draw_into(axes: Axes, content: _Content, options: PlotOptions) -> Figure:
    if not isinstance(axes, Axes):
        raise UsageError(f"ax: matplotlib's Axes are needed, not {type(axes).__name__}")
    if len(content.panels) != 1:
        raise UsageError(f"axes take one metric, not {len(content.panels)}")
    for name in ("width", "height", "aspect"):
        if getattr(options, name) is not None:
            raise UsageError(f"{name}: axes of your own have theirs already")
    if options.legend not in ("auto", "inside", "none"):
        raise UsageError(f"legend {options.legend!r}: in axes of your own it is inside or none")
    [panel] = content.panels
    figure = cast(Figure, axes.get_figure(root=True))
    with figure_style(options.font_size, CURRENT if options.style is None else options.style):
        _check_mathematics(options)
        looks = content.looks()
        draw_panel(axes, panel, looks, options)
        axes.set_xlabel(RATE_LABEL)
        axes.set_ylabel(panel.axis_label)
        if options.title:
            axes.set_title(options.title)
        if options.legend != "none":
            legend_inside(axes, legend_entries([panel], looks, options))
        if panel.published:
            figure.draw_without_rendering()
            label_published(axes, panel)
    return figure
