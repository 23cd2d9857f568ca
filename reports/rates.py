"""Bjontegaard rate differences as a table, and the images that each comes from."""

import math
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.analysis.rate_differences import RateRow

SHOWN_IMAGES = 5


def print_rates(rows: Sequence[RateRow], label: str, console: Console, *, pictures: bool = False) -> None:
    """One line a codec and metric: the rate difference in per cent, its 95 % interval, the overlap used.

    label: the data set. pictures: also the SHOWN_IMAGES images that move each difference most.
    """
    anchor = rows[0].anchor
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.title = None
    for header in ("codec", "at equal", "rate difference", "95 % interval", "overlap", "of the range", "points", "n"):
        table.add_column(header, justify="left" if header in ("codec", "at equal") else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in rate_cells(row)))
    console.print(table)
    for line in rate_notes(rows, label):
        console.print(Text(line, style="dim"))
    for row in rows if pictures else ():
        console.print()
        console.print(Text(f"{row.codec} against {anchor} at equal {row.metric}: {pictures_line(row)}"))


def rate_cells(row: RateRow) -> tuple[str, ...]:
    """codec, metric, difference, interval, overlap, its share, points, images."""
    difference = row.difference
    count = str(row.n) if row.n else "–"
    points = f"{row.points[0]} and {row.points[1]}"
    if not difference.defined or difference.overlap is None:
        return row.codec, row.metric, "not defined", "–", "–", "–", points, count
    estimate = difference.estimate
    ends = f"{_short(estimate.ci_low)} to {_short(estimate.ci_high)} %"
    interval = "–" if math.isnan(estimate.ci_low) else ends
    low, high = difference.overlap
    overlap = f"{low:.4g} to {high:.4g} {row.unit}".rstrip()
    return (
        row.codec,
        row.metric,
        f"{_short(estimate.value)} %",
        interval,
        overlap,
        f"{difference.share:.0%}",
        points,
        count,
    )


def _short(percent: float) -> str:
    return f"{percent:+.1f}" if abs(percent) < 1e6 else f"{percent:+.2g}"


def rate_notes(rows: Sequence[RateRow], label: str) -> list[str]:
    """The anchor, reasons where something is missing, how the intervals were made, the protocols."""
    notes = [f"{label}; anchor {rows[0].anchor}; negative: fewer bits than the anchor at equal value"]
    notes += [f"{row.codec} at equal {row.metric}: {row.difference.reason}" for row in rows if row.difference.reason]
    for line, codecs in _left_out(rows).items():
        notes.append(line if len(codecs) == len({row.codec for row in rows}) else f"{', '.join(codecs)}: {line}")
    notes += [f"{row.codec} at equal {row.metric}: {line}" for row in rows for line in (*row.drawing, *row.dominated)]
    ways = dict.fromkeys(row.interval for row in rows if row.difference.defined)
    if ways:
        made = "; ".join(
            f"{way} for {', '.join(dict.fromkeys(row.metric for row in rows if row.interval == way))}" for way in ways
        )
        notes.append(
            f"intervals: {made}, and the error of the interpolation; the same images on both sides; "
            "Akima interpolation over log rate"
        )
    notes.append(f"protocols: {', '.join(dict.fromkeys(row.protocol for row in rows))}")
    return notes


def _left_out(rows: Sequence[RateRow]) -> dict[str, list[str]]:
    """What is left out -> the codecs whose rows say so."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for line in row.left_out:
            found.setdefault(line, []).append(row.codec)
    return found


def pictures_line(row: RateRow) -> str:
    """The images that move the difference most, each with the per cent by which it does."""
    if row.influence is None or not np.isfinite(row.influence).any():
        return "what each image contributes is not defined"
    order = np.argsort(-np.abs(np.nan_to_num(row.influence)))[:SHOWN_IMAGES]
    share = [f"{row.images[index]} {row.influence[index] / row.n:+.2f}" for index in order]
    return f"{', '.join(share)} percentage points of the whole"
