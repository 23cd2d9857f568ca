"""What `compare` found, as a table on the terminal and as Markdown for a pull-request comment."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.analysis.comparison import Comparison, Move, Row
from benchmark.analysis.missing import named
from benchmark.reports.markdown import escaped
from benchmark.results import quality_name
from benchmark.statistics.gate import POWER, Outcome

SHOWN_FIRST = (Outcome.WORSE, Outcome.UNDECIDED, None, Outcome.BETTER, Outcome.NOT_WORSE, Outcome.SAME)
"""The order of the tables; None is what could not be judged."""

HEADERS = ("outcome", "codec", "what", "base", "new", "change", "between", "allowed", "smallest visible")
_STYLES = {Outcome.WORSE: "bold red", Outcome.UNDECIDED: "yellow", Outcome.BETTER: "green", None: "yellow"}
_MARKS = {
    Outcome.WORSE: "❌ worse",
    Outcome.UNDECIDED: "⚠️ undecided",
    Outcome.BETTER: "✅ better",
    Outcome.NOT_WORSE: "not worse",
    Outcome.SAME: "same",
    None: "⚠️ not judged",
}


def print_comparison(comparison: Comparison, console: Console, *, everything: bool = False) -> None:
    """Prints the rows that are not the same in both runs, all rows if `everything`, then `lines_of`."""
    rows = ordered(comparison)
    shown = rows if everything else [row for row in rows if row.outcome is not Outcome.SAME]
    if shown:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for header in HEADERS:
            table.add_column(header, justify="left" if header in HEADERS[:3] else "right", overflow="fold")
        for row in shown:
            cells = [Text(cell) for cell in cells_of(row)]
            cells[0].stylize(_STYLES.get(row.outcome, ""))
            table.add_row(*cells)
        console.print(table)
        console.print()
    for line in lines_of(comparison):
        console.print(Text(line))


def markdown(comparison: Comparison, *, strict: bool = False) -> str:
    """The verdict, what is not the same as a table, the notes, and all rows behind a fold."""
    rows = ordered(comparison)
    lines = [f"### Compression gate: {verdict(comparison, strict)}", ""]
    shown = [row for row in rows if row.outcome not in (Outcome.SAME, Outcome.NOT_WORSE)]
    if shown:
        lines += [*_markdown_table(shown), ""]
    lines += [f"- {escaped(line)}" for line in lines_of(comparison)]
    lines += ["", f"<details><summary>All {len(rows)} numbers</summary>", "", *_markdown_table(rows), "", "</details>"]
    return "\n".join(lines) + "\n"


def verdict(comparison: Comparison, strict: bool) -> str:
    """The verdict in a few words, as the exit code says it."""
    code = comparison.exit_code(strict)
    if code == 3:
        return "incomplete, trials failed or values are missing" if comparison.failures else "nothing could be judged"
    without = f"; nothing can be said of {named(comparison.unsaid)}" if comparison.unsaid else ""
    worse, open_ = len(comparison.with_outcome(Outcome.WORSE)), len(comparison.with_outcome(Outcome.UNDECIDED))
    if worse:
        return f"worse in {_numbers(worse)}{without}"
    if open_:
        return f"{_numbers(open_)} undecided" + (", which --strict does not let pass" if strict else "") + without
    return f"not worse{without}"


def ordered(comparison: Comparison) -> list[Row]:
    """The rows, worse ones first, the largest loss in margins first among equals."""

    def place(row: Row) -> tuple[int, float]:
        size = 0.0
        if row.judgement is not None and row.margin is not None:
            size = -row.judgement.loss / row.margin.size if row.margin.size else -row.judgement.loss
        return SHOWN_FIRST.index(row.outcome), size

    return sorted(comparison.rows, key=place)


def cells_of(row: Row) -> list[str]:
    """The cells of HEADERS. The change and its bounds are new − base, relative ones in per cent."""
    outcome = row.outcome.value if row.outcome is not None else "not judged"
    cells = [outcome, row.codec, row.name, _number(row.base), _number(row.new), _change(row, row.change)]
    judgement = row.judgement
    if judgement is None or math.isnan(judgement.low):
        return [*cells, row.reason or "–", "–" if row.margin is None else f"{_allowed(row)}", "–"]
    sign = -1 if row.higher_is_better else 1
    ends = sorted((sign * judgement.low, sign * judgement.high))
    between = "exact" if row.exact else f"{_change(row, ends[0])} to {_change(row, ends[1])}"
    smallest = "–" if row.exact else _change(row, sign * judgement.smallest)
    return [*cells, between, _allowed(row), smallest]


def lines_of(comparison: Comparison) -> list[str]:
    """What is said below the table."""
    counts = {outcome: len(comparison.with_outcome(outcome)) for outcome in Outcome}
    unjudged = sum(row.judgement is None for row in comparison.rows)
    summary = ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count)
    if unjudged:
        summary += f"{', ' if summary else ''}{unjudged} not judged"
    count = len(comparison.base.images)
    lines = [f"{comparison.base.label}, {count} image{'' if count == 1 else 's'}: {summary}"]
    exact = sum(row.exact and row.judgement is not None for row in comparison.rows)
    lines.append(
        f"{exact} numbers held against a tolerance, {comparison.tests} tests that share {100 * comparison.alpha:g} % "
        "of wrong claims, each way (bounds: paired, over images)"
    )
    blind = [row for row in comparison.rows if _is_blind(row)]
    if blind:
        lines.append(
            f"in {len(blind)} of these a loss as small as its margin would not have been seen "
            f"with a chance of {100 * POWER:g} %; the smallest that would is in the last column"
        )
    lines += [f"failed: {failure}" for failure in comparison.failures]
    if comparison.moved:
        lines.append("images that moved most: " + "; ".join(map(_move, comparison.moved)))
    return [*lines, *comparison.notes]


def _is_blind(row: Row) -> bool:
    judgement = row.judgement
    if judgement is None or row.exact or row.margin is None or row.outcome is Outcome.SAME:
        return False
    if math.isinf(judgement.loss):
        return False
    return not judgement.smallest <= row.margin.size * 1.000001


def _move(move: Move) -> str:
    way = "worse" if move.margins > 0 else "better"
    times = f"{abs(move.margins):.3g} margins {way}" if math.isfinite(move.margins) else way
    return (
        f"{move.image} ({move.codec} quality {quality_name(move.quality)}, {move.metric} {move.change:+.4g}, {times})"
    )


def _numbers(count: int) -> str:
    return f"{count} number{'' if count == 1 else 's'}"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.5g}"


def _change(row: Row, change: float) -> str:
    if math.isnan(change):
        return "–"
    change += 0.0  # no sign of a zero
    if row.kind == "bd-rate":
        text = f"{change:+.2f} %"
    else:
        relative = row.margin is not None and row.margin.relative
        text = f"{100 * change:+.2f} %" if relative else f"{change:+.3g}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def _allowed(row: Row) -> str:
    sign = "−" if row.higher_is_better else "+"
    return f"{sign}{row.margin}{' %' if row.kind == 'bd-rate' else ''}"


def _markdown_table(rows: Sequence[Row]) -> list[str]:
    lines = [f"| {' | '.join(HEADERS)} |", "| " + " | ".join(["---"] * 3 + ["---:"] * (len(HEADERS) - 3)) + " |"]
    for row in rows:
        cells = [_MARKS[row.outcome], *(escaped(cell) for cell in cells_of(row)[1:])]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
