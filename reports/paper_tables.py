"""Tables for a paper: LaTeX with booktabs, Markdown, HTML and CSV; best values in bold, second ones underlined."""

import csv
import html
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from benchmark.analysis.tabulation import Cell, Line, Tabulation
from benchmark.errors import UsageError, visible
from benchmark.metrics import MetricInfo
from benchmark.reconstructions import check_distinct, mark_notes, shown_as
from benchmark.reports import markdown, spreadsheets
from benchmark.reports.tables import decimals_of, two_digits
from benchmark.reports.tex import escaped
from benchmark.results import quality_name, rate_text

Format = Literal["latex", "markdown", "csv", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True)
class _Marks:
    """How a format writes its cells."""

    bold: str
    underlined: str
    plus_minus: str
    missing: str
    minus: str = "-"


_LATEX = _Marks(r"\textbf{%s}", r"\underline{%s}", r" {\scriptsize $\pm$ %s}", "--", "$-$")
_MARKDOWN = _Marks("**%s**", "<u>%s</u>", " ±%s", "–")
_HTML = _Marks("<b>%s</b>", "<u>%s</u>", " <small>±%s</small>", "–")


def write_table(
    table: Tabulation,
    form: str,
    *,
    labels: Mapping[str, str] | None = None,
    plus_minus: bool = False,
    bold_ties: bool = False,
) -> str:
    """`table` as text that ends with a line break.

    form: "latex" (needs the package booktabs), "markdown", "html" (a table element, for notebooks) or "csv", which has
    plain numbers and no marks. labels: codec -> its name.
    plus_minus: half the width of the 95 % interval over images beside each value; CSV has both ends.
    bold_ties: every value that the paired test does not tell from the best is bold, and none is underlined; `tabulate`
    needs the `numbers` then. Raises UsageError on another form, and on labels by which two codecs have one name.
    """
    if form not in FORMATS:
        raise UsageError(f"format {form!r}: there are {', '.join(FORMATS)}")
    if bold_ties and not table.tested:
        raise UsageError("ties are known at chosen rates only, from the values of single images: --at-bpp names rates")
    if bold_ties and form == "csv":
        raise UsageError("csv has plain numbers, none in bold")
    names = dict(labels or {})
    check_distinct((line.codec for line in table.lines), names)
    if form == "csv":
        return _csv(table, names, plus_minus)
    marks, write = {"latex": (_LATEX, _latex), "markdown": (_MARKDOWN, _markdown), "html": (_HTML, _html)}[form]
    decimals = {info.name: decimals_of(_values(table, info)) for info in table.metrics}
    rows = [_row(line, table, names, decimals, marks, plus_minus, bold_ties) for line in table.lines]
    notes = _notes(table, plus_minus, bold_ties)
    return write(table, rows, notes)


def _values(table: Tabulation, info: MetricInfo) -> list[float]:
    return [cell.value for line in table.lines if (cell := line.cells[info.name]) is not None]


def _row(
    line: Line,
    table: Tabulation,
    labels: Mapping[str, str],
    decimals: Mapping[str, int],
    marks: _Marks,
    plus_minus: bool,
    bold_ties: bool,
) -> list[str]:
    """rate, codec and metrics; or codec, quality, rate and metrics. Names are as they are, marks are the format's."""
    codec = shown_as(line.codec, labels)
    rate = marks.missing if math.isnan(line.bpp) else rate_text(line.bpp)
    head = [f"{line.place:g}", codec] if table.at_rates else [codec, quality_name(line.place), rate]
    return head + [
        _text(line.cells[info.name], decimals[info.name], marks, plus_minus, bold_ties) for info in table.metrics
    ]


def _text(cell: Cell | None, decimals: int, marks: _Marks, plus_minus: bool, bold_ties: bool) -> str:
    if cell is None:
        return marks.missing
    text = f"{cell.value:z.{decimals}f}".replace("-", marks.minus)
    if cell.tied if bold_ties else cell.rank == 1:
        text = marks.bold % text
    elif cell.rank == 2 and not bold_ties:
        text = marks.underlined % text
    if plus_minus and not math.isnan(cell.high):
        text += marks.plus_minus % two_digits((cell.high - cell.low) / 2, decimals)
    return text


def _headers(table: Tabulation) -> list[str]:
    head = ["bpp", "codec"] if table.at_rates else ["codec", "quality", "bpp"]
    return head + [_header(info) for info in table.metrics]


def _header(info: MetricInfo) -> str:
    unit = f" ({info.unit})" if info.unit else ""
    return f"{info.title}{unit} {'↑' if info.higher_is_better else '↓'}"


def _notes(table: Tabulation, plus_minus: bool, bold_ties: bool) -> list[str]:
    low, high = table.images
    count = str(low) if low == high else f"{low}–{high}"
    parts = [table.dataset, f"n = {count} image{'' if high == 1 else 's'}"]
    if plus_minus:
        parts.append("± half the 95 % interval over images")
    if plus_minus and table.at_rates and not table.tested:
        parts.append(
            "which is that of the measured rates: between them it is longer, as run folders and baselines tell"
        )
    if table.at_rates:
        parts.append("between measured rates interpolated in log rate")
        parts.append(
            "bold: not told from the best by paired 95 % intervals" if bold_ties else "bold: best, underlined: second"
        )
    marks = mark_notes(line.codec for line in table.lines)
    return ["; ".join(parts), *marks, *table.notes, f"protocols: {', '.join(table.protocols)}"]


def _latex(table: Tabulation, rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    texts = 2 if table.at_rates else 1  # the columns that are no metric and no number
    heads = len(rows[0]) - len(table.metrics) if rows else 2
    columns = "l" * texts + "r" * (heads - texts + len(table.metrics))
    lines = [f"% {visible(note)}" for note in notes]
    lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [" & ".join(map(escaped, _headers(table))) + r" \\", r"\midrule"]
    group = 0 if rows else -1
    for number, row in enumerate(rows):
        if number and row[group] != rows[number - 1][group]:
            lines.append(r"\midrule")
        repeated = number and table.at_rates and row[0] == rows[number - 1][0]
        head = ["" if repeated else row[0], *row[1:heads]]
        lines.append(" & ".join([*map(escaped, head), *row[heads:]]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def _markdown(table: Tabulation, rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    headers = _headers(table)
    texts = 2 if table.at_rates else 1
    dashes = ["---"] * texts + ["---:"] * (len(headers) - texts)
    heads = len(headers) - len(table.metrics)
    cells = [[*map(markdown.escaped, row[:heads]), *row[heads:]] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in (map(markdown.escaped, headers), dashes, *cells)]
    return "\n".join([*lines, "", *(f"{markdown.escaped(note)}  " for note in notes)]) + "\n"


def _html(table: Tabulation, rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    heads = len(_headers(table)) - len(table.metrics)
    header = "".join(f"<th>{_plain(name)}</th>" for name in _headers(table))
    lines = ["<table>", f"<caption>{'<br>'.join(map(_plain, notes))}</caption>", f"<tr>{header}</tr>"]
    for row in rows:
        cells = [*map(_plain, row[:heads]), *row[heads:]]
        lines.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return "\n".join([*lines, "</table>"]) + "\n"


def _plain(text: str) -> str:
    """`text` inside of HTML."""
    return html.escape(visible(text))


def _csv(table: Tabulation, labels: Mapping[str, str], plus_minus: bool) -> str:
    """Metrics by the names that the command line knows; empty cells where there is no value; nine digits.

    Where a value is over other images than its rate, each metric has a column with its number of images.
    A name that a spreadsheet would run as a formula has a "'" before it.
    """
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    ends = ("", "_low", "_high") if plus_minus else ("",)
    counted = ("_images",) if table.notes else ()
    head = ["bpp", "codec"] if table.at_rates else ["codec", "quality", "bpp"]
    writer.writerow(
        [*head, *(spreadsheets.cell(info.name + end) for info in table.metrics for end in (*ends, *counted))]
    )
    for line in table.lines:
        codec = spreadsheets.cell(shown_as(line.codec, labels))
        rate = "" if math.isnan(line.bpp) else f"{line.bpp:.9g}"
        row = [f"{line.place:g}", codec] if table.at_rates else [codec, quality_name(line.place), rate]
        for info in table.metrics:
            cell = line.cells[info.name]
            numbers = (math.nan,) * 3 if cell is None else (cell.value, cell.low, cell.high)
            row += ["" if math.isnan(number) else f"{number:.9g}" for number in numbers[: len(ends)]]
            row += ["" if cell is None else str(cell.n)] if counted else []
        writer.writerow(row)
    return output.getvalue()
