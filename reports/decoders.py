"""The comparison of decoders: a table of costs, quality over cost at equal bits, and crops at the same bytes."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from benchmark.analysis.equal_bits import AtRate
from benchmark.files import write_file
from benchmark.pixels import Image
from benchmark.reports.figure_style import figure_style
from benchmark.reports.plots.files import save_figure
from benchmark.reports.styles import codec_styles
from benchmark.results import rate_text

MAGNIFIED = 2
"""Each pixel of a crop takes so many in each direction."""
_DPI = 200


@dataclass(frozen=True)
class Cost:
    """parameters: of all networks that a codec holds, its encoder's too; 0 for a codec without networks.

    kmac: thousand multiply-accumulates that `decode` computes per pixel, entropy decoding included.
    """

    parameters: int
    kmac: float


@dataclass(frozen=True)
class Cell:
    """A crop of the sheet: uint8 (size, size, 3). caption: its bits and PSNR; empty for the original."""

    title: str
    caption: str
    crop: Image


def write_costs(found: Mapping[str, Sequence[AtRate]], costs: Mapping[str, Cost], path: Path) -> Path:
    """A CSV file, a line per metric (keys of `found`) and codec: what each decoder costs and gives. Returns `path`."""
    with io.StringIO(newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["codec", "parameters", "kmac_per_pixel", "metric", "bpp", "value", "ci_low", "ci_high", "how"])
        for metric, values in found.items():
            for at in values:
                cost = costs[at.codec]
                numbers = [f"{number:.6g}" for number in (at.bpp, at.value, at.low, at.high)]
                writer.writerow([at.codec, cost.parameters, f"{cost.kmac:.1f}", metric, *numbers, at.how])
        write_file(path, file.getvalue())
    return path


def draw_costs(
    values: Sequence[AtRate], costs: Mapping[str, Cost], title: str, bpp: float, dataset: str, output: Path
) -> list[Path]:
    """A metric, called `title`, at `bpp` over the operations of each decoder, OUTPUT.png and .svg; returns the paths.

    A codec without networks is a horizontal line. Bars: 95 % intervals over images, which are common to the codecs to a
    great part.
    """
    styles = codec_styles([value.codec for value in values])
    with figure_style():
        figure = Figure(figsize=(5.0, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for value in values:
            style, cost = styles[value.codec], costs[value.codec]
            place = f" at {rate_text(value.bpp)} bpp, its nearest" if value.bpp != bpp else ""
            if cost.kmac == 0:
                label = f"{value.codec}{place} (no network)"
                axes.axhline(value.value, color=style.color, linestyle=":", linewidth=1, label=label)
                continue
            size = f"{cost.kmac:.0f} kMAC/px, {cost.parameters / 1e6:.1f} M parameters"
            axes.errorbar(
                [cost.kmac],
                [value.value],
                yerr=[[value.value - value.low], [value.high - value.value]],
                color=style.color,
                marker=style.marker,
                markersize=6,
                markerfacecolor=style.color if style.filled else "white",
                elinewidth=0.6,
                linestyle="",
                label=f"{value.codec}{place} ({size})",
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(xlabel="operations of the decoder (kMAC per pixel)", ylabel=f"{title} at {bpp:g} bpp")
        axes.set_title(dataset, loc="left", fontsize=7)
        figure.legend(loc="outside lower center", frameon=False, fontsize=6.5)
        return _save(figure, output)


def draw_sheet(rows: Sequence[tuple[str, Sequence[Cell]]], title: str, output: Path) -> list[Path]:
    """A row per image, a column per codec, every pixel of a crop as MAGNIFIED² of OUTPUT.png."""
    columns = max(len(cells) for _, cells in rows)
    side = max(max(cell.crop.shape[:2]) for _, cells in rows for cell in cells) * MAGNIFIED
    head, gap, top = 64, 8, 60
    width, height = columns * (side + gap) + gap, len(rows) * (side + head) + top
    with figure_style():
        figure = Figure(figsize=(width / _DPI, height / _DPI))
        figure.text(gap / width, 1 - 14 / height, title, fontsize=8, va="top")
        for line, (name, cells) in enumerate(rows):
            for column, cell in enumerate(cells):
                left, low = gap + column * (side + gap), height - top - (line + 1) * (side + head)
                rows_shown, columns_shown = (MAGNIFIED * n for n in cell.crop.shape[:2])
                box = (left / width, (low + side - rows_shown) / height, columns_shown / width, rows_shown / height)
                axes = figure.add_axes(box)
                axes.imshow(cell.crop, interpolation="nearest", aspect="auto")
                axes.set_axis_off()
                label = f"{_shortened(cell.title, side)}\n{cell.caption or name}"
                figure.text(left / width, (low + side + 6) / height, label, fontsize=5.5, va="bottom")
        path = output.with_suffix(".png")
        save_figure(figure, path, dpi=_DPI, metadata={"Software": None})
    return [path]


def _shortened(title: str, width: int) -> str:
    """`title`, its middle left out where it is longer than a column of `width` pixels; the end tells specs apart."""
    most = max(12, width // 9)
    return title if len(title) <= most else f"{title[: most // 2]}…{title[-(most - most // 2 - 1) :]}"


def _save(figure: Figure, output: Path) -> list[Path]:
    paths = [output.with_suffix(".png"), output.with_suffix(".svg")]
    save_figure(figure, paths[0], dpi=_DPI, metadata={"Software": None})
    save_figure(figure, paths[1], metadata={"Date": None})
    return paths
