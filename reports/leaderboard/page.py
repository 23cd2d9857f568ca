"""From boards to a page."""

import hashlib
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.analysis.leaderboard import Board, Entry, Row, facts_of
from benchmark.files import write_file
from benchmark.metrics import MetricInfo
from benchmark.reports.tables import decimals_of, two_digits

PAGE = "index.html"
EXTRAS = (
    {"key": "kmac", "title": "kMAC/px", "words": "thousand multiply-accumulates of the decoder per pixel"},
    {"key": "seconds", "title": "s", "words": "median over images of decoding"},
)
"""Columns behind the metrics, of a board where at least one codec has a value."""


def write_leaderboard(
    boards: Sequence[Board], output: Path, title: str = "Leaderboard", costs: Mapping[str, float] | None = None
) -> Path:
    """Writes the page into the folder `output`, and returns its path.

    costs: codec -> thousand multiply-accumulates of its decoder per pixel, for the codecs where they are known.
    Raises as `write_file` does.
    """
    from benchmark.reports.page.files import render

    shown = [_board(board, costs or {}, 1000 * number) for number, board in enumerate(boards)]
    # no text of a board can hold the board's own hash, so no style but the page's is applied
    nonce = hashlib.sha256(f"{title} {shown}".encode()).hexdigest()[:32]
    text = render(
        "benchmark.reports.leaderboard", "leaderboard.html.j2", {"title": title, "boards": shown, "nonce": nonce}
    )
    path = output / PAGE
    write_file(path, text, parents=True)
    return path


def _board(board: Board, costs: Mapping[str, float], start: int) -> dict[str, Any]:
    """start: a number that no earlier board's tables have."""
    digits = {
        info.name: decimals_of(
            [cell.value for rows in board.tables.values() for row in rows if (cell := row.cells[info.name])]
        )
        for info in board.metrics
    }
    tables: list[dict[str, Any]] = [
        {
            "rate": f"{rate:g}",
            "rows": [_row(row, board, digits, costs, f"facts-{number}-{place}") for place, row in enumerate(rows)],
            "absent": ", ".join(board.absent[rate]),
        }
        for number, (rate, rows) in enumerate(board.tables.items(), start)
    ]
    extras = [extra for extra in EXTRAS if any(row[extra["key"]] for table in tables for row in table["rows"])]
    return {
        "dataset": board.dataset,
        "images": board.images,
        "extras": extras,
        "columns": [_column(info) for info in board.metrics],
        "protocols": [(info.title, board.protocols[info.name]) for info in board.metrics],
        "front": [info.title for name in board.sides or () for info in board.metrics if info.name == name],
        "tables": tables,
    }


def _column(info: MetricInfo) -> dict[str, str]:
    return {
        "title": info.title + (f" ({info.unit})" if info.unit else ""),
        "arrow": "↑" if info.higher_is_better else "↓",
        "words": "higher is better" if info.higher_is_better else "lower is better",
    }


def _row(row: Row, board: Board, digits: Mapping[str, int], costs: Mapping[str, float], anchor: str) -> dict[str, Any]:
    record, entry = board.codecs[row.codec]
    cost = costs.get(row.codec)
    return {
        "place": row.place,
        "anchor": anchor,
        "codec": row.codec,
        "front": row.front,
        "cells": [_cell(row, info, digits[info.name], record.trained_on) for info in board.metrics],
        "kmac": "" if cost is None else f"{cost:.0f}",
        "seconds": _seconds(entry, row.codec, board),
        "bits": entry.numbers.metrics["bpp"].protocol,
        "verified": _verified(entry),
        "entry": entry.name,
        "facts": [(name, _text(value)) for name, value in facts_of(record, entry).items()],
    }


def _cell(row: Row, info: MetricInfo, decimals: int, trained_on: Sequence[str]) -> dict[str, str]:
    cell, rank = row.cells[info.name], row.ranks[info.name]
    if cell is None:
        return {"value": "–", "half": "", "rank": "", "taught": ""}
    half = (cell.high - cell.low) / 2
    taught = info.name.partition("@")[0] in trained_on
    return {
        "value": f"{cell.value:z.{decimals}f}".replace("-", "−"),
        "half": "" if math.isnan(half) else f"± {two_digits(half, decimals)}",
        "rank": "" if rank is None else str(rank),
        "taught": f"trained on {info.title}" if taught else "",
    }


def _seconds(entry: Entry, label: str, board: Board) -> str:
    """Median over images of decoding, the mean over qualities; where it was measured."""
    codec = next(name for name in entry.numbers.codecs if label in (name, f"{name} ({entry.name})"))
    found = [point.decode_seconds for point in entry.numbers.of(codec) if point.decode_seconds]
    if not found:
        return ""
    return f"{statistics.fmean(map(statistics.median, found)):.3g}"


def _verified(entry: Entry) -> str:
    verified = entry.numbers.verified
    return (
        "" if verified is None else f"{verified.streams} streams decoded again by {verified.version}, {verified.when}"
    )


def _text(value: object) -> str:
    """A mapping as "name value, name value", nested ones in brackets."""
    if isinstance(value, Mapping):
        inner = (
            f"{name} {f'({_text(item)})' if isinstance(item, Mapping) else _text(item)}" for name, item in value.items()
        )
        return ", ".join(inner)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
