"""The summary as a table: on the terminal, and as Markdown. One row a codec and quality, one column a metric."""

import math
import statistics
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.analysis.comparable import one_dataset, one_protocol
from benchmark.analysis.summary import HEADLINES, metric_facts
from benchmark.files import write_file
from benchmark.reconstructions import mark_notes
from benchmark.reports.markdown import escaped
from benchmark.results import quality_name

Row = tuple[str, ...]


@dataclass(frozen=True)
class _Content:
    """headers: a name and a second line (unit and direction) each; the first is the quality.

    sections: a codec and its rows, each of as many cells as there are headers. notes: lines below the table.
    """

    headers: tuple[tuple[str, str], ...]
    sections: Mapping[str, Sequence[Row]]
    notes: tuple[str, ...]


def print_summary(frame: pd.DataFrame, console: Console) -> None:
    """Prints `frame`, a summary, with half the width of each 95 % interval beside its value.

    An arrow shows the better direction, "–" that there is no value. A terminal too narrow for a row breaks its cells
    before the "±" and its titles between words, and has several tables below each other if that is not enough.
    Raises NotComparable on several data sets or protocols, and BenchmarkError on an empty summary.
    """
    content = _content(frame)
    header = tuple("\n".join(parts) for parts in content.headers)
    sections = content.sections
    if _total(_widths([header, *chain(*sections.values())])) > console.width:
        header = tuple("\n".join([*title.split(), second]) for title, second in content.headers)
        sections = {codec: [_broken(row) for row in rows] for codec, rows in sections.items()}
    widths = _widths([header, *chain(*sections.values())])
    for columns in _blocks(widths, console.width):
        console.print(_grid(widths, [header], columns))
        for codec, rows in sections.items():
            console.print(Text(codec, style="bold"))
            console.print(_grid(widths, rows, columns))
    for note in content.notes:
        console.print(Text(note, style="dim"))


def write_markdown(frame: pd.DataFrame, path: Path, notes: Sequence[str] = ()) -> None:
    """Writes the values of `print_summary`, and below them its notes and `notes`, to `path` in GitHub's Markdown."""
    content = _content(frame)
    headers = ["codec", *(f"{name} ({second})" if second else name for name, second in content.headers)]
    rows = [(codec, *row) for codec, rows in content.sections.items() for row in rows]
    lines = [
        map(escaped, headers),
        ["---"] + ["---:"] * (len(headers) - 1),
        *((escaped(codec), *cells) for codec, *cells in rows),
    ]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    write_file(path, table + "\n" + "".join(f"{escaped(note)}  \n" for note in [*content.notes, *notes]))


_GAP = 2  # characters between columns


def _widths(rows: Sequence[Row]) -> list[int]:
    """Of each column, in characters: its longest line."""
    return [max(len(line) for cell in column for line in cell.splitlines()) for column in zip(*rows, strict=True)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _broken(row: Row) -> Row:
    return tuple(cell.replace(" ", "\n") for cell in row)


def _blocks(widths: Sequence[int], width: int) -> list[list[int]]:
    """Columns of tables that are no wider than `width`, if a column and the first, which all begin with, are not."""
    blocks = [[0]]
    for column in range(1, len(widths)):
        if len(blocks[-1]) > 1 and _total([widths[i] for i in (*blocks[-1], column)]) > width:
            blocks.append([0])
        blocks[-1].append(column)
    return blocks


def _grid(widths: Sequence[int], rows: Sequence[Row], columns: Sequence[int]) -> Table:
    grid = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
    for column in columns:
        grid.add_column(justify="right", width=widths[column])
    for row in rows:
        grid.add_row(*(Text(row[column]) for column in columns))
    return grid


def _content(frame: pd.DataFrame) -> _Content:
    dataset = one_dataset([frame])
    headlines = frame[frame["aggregation"].isin(HEADLINES)]
    metrics = list(dict.fromkeys(headlines["metric"]))
    protocols = [one_protocol(headlines, metric) for metric in metrics]
    headers = [("quality", ""), *(_header(metric, headlines) for metric in metrics)]
    decimals = {metric: decimals_of(headlines.loc[headlines["metric"] == metric, "value"]) for metric in metrics}
    images = int(headlines["n_images"].max())

    sections: dict[str, list[Row]] = {}
    for codec, quality in dict.fromkeys(zip(headlines["codec"], headlines["quality"], strict=True)):
        rows = headlines[(headlines["codec"] == codec) & (headlines["quality"] == quality)]
        records = {str(record["metric"]): record for record in rows.to_dict("records")}
        cells = [_cell(records.get(metric, {}), decimals[metric], images) for metric in metrics]
        sections.setdefault(str(codec), []).append((quality_name(float(quality)), *cells))
    return _Content(tuple(headers), sections, _notes(dataset, images, headlines, protocols))


def _header(metric: str, headlines: pd.DataFrame) -> tuple[str, str]:
    info = metric_facts(headlines, metric)
    arrow = "↑" if info.higher_is_better else "↓"
    if metric == "bpp":
        return "bpp", arrow
    return info.title, f"{info.unit} {arrow}".strip()


def _cell(record: Mapping[Hashable, Any], decimals: int, images: int) -> str:
    """Value, half width of the interval, error over seeds; and the number of images if it is not the usual one."""
    if not record or math.isnan(record["value"]):
        return "–"
    cell = f"{record['value']:z.{decimals}f}"  # z: what is rounded to zero has no sign
    if not math.isnan(record["ci_high"]):
        cell += f" ±{two_digits((record['ci_high'] - record['ci_low']) / 2, decimals)}"
    if not math.isnan(record["stderr_seed"]):
        cell += f" ({two_digits(record['stderr_seed'], decimals + 1)})"
    if record["n_images"] != images:
        cell += f" [{record['n_images']}]"
    return cell


def decimals_of(values: Iterable[float]) -> int:
    """So many that a typical value has four digits: differences on the same images are finer than the intervals.

    Four decimals at most, unless a typical value would have fewer than two digits.
    """
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes:
        return 3
    power = math.floor(math.log10(statistics.median(sizes)))
    return min(max(3 - power, 0), max(1 - power, 4))


def two_digits(value: float, most: int) -> str:
    """`value` with two digits that count, and no more than `most` decimals."""
    decimals = most if value <= 0 else 1 - math.floor(math.log10(value))
    return f"{value:.{min(max(decimals, 0), most)}f}"


def _notes(dataset: str, images: int, headlines: pd.DataFrame, protocols: Sequence[str]) -> tuple[str, ...]:
    parts = [dataset, f"n = {images} image{'' if images == 1 else 's'}"]
    if headlines["ci_high"].notna().any():
        parts.append("± half the 95 % interval over images")
    if headlines["stderr_seed"].notna().any():
        parts.append("( ) standard error over decoder seeds")
    if (headlines["value"].notna() & (headlines["n_images"] != images)).any():
        parts.append("[ ] over so many images only")
    return "; ".join(parts), *mark_notes(headlines["codec"]), f"protocols: {', '.join(protocols)}"
