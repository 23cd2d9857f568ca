"""Tables of the documents, from committed tables of numbers, so that no figure in prose is typed by hand.

A Markdown file holds `<!-- table: WORDS -->` and `<!-- end of table -->`; what stands between them is filled in. WORDS
are those of `python -m benchmark table`, or
- `gains BASE SUMMARY…`: how far each codec is from BASE at the same quality, in per cent, and in dB for a metric in
  decibels; with `--in-order` the first quality of each stands beside BASE's first, and so on;
- `checks FOLDER`: the last line of a decoder's `checks.csv`, what it decodes (0 steps) and samples of so many steps, on
  the held-out crops of its training;
- `csv FILE COLUMN=TITLE…`: columns of any table as they are;
- `posterior TABLE`: that of `studies posterior`.
"""

import argparse
import csv
import math
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pandas as pd

from benchmark.analysis.inputs import read_inputs
from benchmark.analysis.tabulation import tabulate
from benchmark.errors import BenchmarkError, UsageError, one_line
from benchmark.files import write_file
from benchmark.metrics import shipped_info
from benchmark.reports.arguments import parse_labels, parse_numbers
from benchmark.reports.paper_tables import write_table
from benchmark.reports.training import read_training_table
from benchmark.studies.coverage import read_table

BLOCK = re.compile(r"(<!-- table: (.*?) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def fill(text: str, folder: Path) -> str:
    """`text` with its tables made again; paths in them are below `folder`.

    Raises UsageError on words that mean nothing, BenchmarkError on files that cannot be read.
    """
    return BLOCK.sub(lambda found: f"{found[1]}\n{made_by(found[2], folder)}\n{found[3]}", text)


def made_by(words: str, folder: Path) -> str:
    """The table of `words`, in Markdown, with a line break at its end."""
    kind, *rest = shlex.split(words)
    makers: dict[str, Callable[[Sequence[str], Path], str]] = {
        "table": _table,
        "gains": _gains,
        "csv": _columns,
        "posterior": _posterior,
        "checks": _checks,
    }
    if kind not in makers:
        raise UsageError(f"{words!r}: a table is made by {' or '.join(makers)}")
    return makers[kind](rest, folder)


def write(files: Sequence[Path], folder: Path) -> Iterator[str]:
    """Fills each of `files`; yields the names of those that changed."""
    for file in files:
        text = file.read_text(encoding="utf-8")
        filled = fill(text, folder)
        if filled != text:
            write_file(file, filled)
            yield str(file)


class _Words(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"a table: {message}")


def _parser() -> _Words:
    parser = _Words(add_help=False)
    parser.add_argument("summaries", nargs="+", type=Path)
    for name in ("metric", "codec", "label"):
        parser.add_argument(f"--{name}", action="append", default=[])
    return parser


def _table(words: Sequence[str], folder: Path) -> str:
    parser = _parser()
    parser.add_argument("--at-bpp")
    parser.add_argument("--plus-minus", action="store_true")
    asked = parser.parse_args(words)
    inputs = read_inputs([folder / path for path in asked.summaries])
    rates = () if asked.at_bpp is None else parse_numbers(asked.at_bpp)
    found = tabulate(inputs.summaries, asked.metric or inputs.metrics, codecs=asked.codec, rates=rates)
    return write_table(found, "markdown", labels=parse_labels(asked.label, inputs.codecs), plus_minus=asked.plus_minus)


def _columns(words: Sequence[str], folder: Path) -> str:
    if len(words) < 2:
        raise UsageError("a table: csv FILE COLUMN=TITLE…")
    path, *asked = words
    try:
        with (folder / path).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}: cannot be read: {one_line(error)}") from None
    columns = {name: title or name for name, _, title in (one.partition("=") for one in asked)}
    if not rows or (unknown := [name for name in columns if name not in rows[0]]):
        raise BenchmarkError(f"{path}: no column {', '.join(unknown)}" if rows else f"{path}: no lines")
    lines = [list(columns.values()), ["---"] * len(columns), *([row[name] for name in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _gains(words: Sequence[str], folder: Path) -> str:
    parser = _parser()
    parser.add_argument("--in-order", action="store_true")
    asked = parser.parse_args(words[1:])
    base = words[0]
    frame = pd.concat(read_inputs([folder / path for path in asked.summaries]).summaries)
    frame = frame[frame["aggregation"].isin(("mean over images", "set"))]
    values: dict[tuple[str, str, float], tuple[float, str]] = {}
    for codec, metric, quality, value, unit in zip(
        *(frame[column] for column in ("codec", "metric", "quality", "value", "unit")), strict=True
    ):
        values.setdefault((codec, metric, quality), (value, unit))
    known = list(dict.fromkeys(codec for codec, _, _ in values))
    codecs = asked.codec or [codec for codec in known if codec != base]
    unknown = [codec for codec in (base, *codecs) if codec not in known]
    if unknown:
        raise BenchmarkError(f"{', '.join(map(str, asked.summaries))}: no codec {', '.join(unknown)}")
    labels = parse_labels(asked.label, known)
    scales = {name: sorted({quality for codec, _, quality in values if codec == name}) for name in known}
    qualities = scales[base]
    lines = [
        ["codec", "metric", *(f"{quality:g}" for quality in qualities)],
        ["---", "---", *["---:"] * len(qualities)],
    ]
    for codec in codecs:
        if asked.in_order and len(scales[codec]) != len(qualities):
            raise BenchmarkError(f"{codec} has {len(scales[codec])} qualities, {base} {len(qualities)}")
        own = dict(zip(qualities, scales[codec] if asked.in_order else qualities, strict=True))
        for metric in asked.metric:
            info = shipped_info(metric)
            row = [labels.get(codec, codec), metric if info is None else info.title]
            for quality in qualities:
                ours, theirs = values.get((codec, metric, own[quality])), values.get((base, metric, quality))
                row.append("–" if ours is None or theirs is None else _difference(*ours, theirs[0]))
            lines.append(row)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _posterior(words: Sequence[str], folder: Path) -> str:
    """A line per quality and codec of the tables of `studies posterior`."""
    from benchmark.studies.posterior import Checked

    asked = _parser().parse_args(words)
    for path in asked.summaries:
        if not (folder / path).is_file():
            raise BenchmarkError(f"{path}: no such file")
    found = [one for path in asked.summaries for one in read_table(Checked, folder / path)]
    labels = parse_labels(asked.label, list(dict.fromkeys(one.codec for one in found)))
    counts = " and ".join(str(count) for count in sorted({one.samples for one in found}))
    columns = ["quality", "decoder", "x̂", "sample", f"mean of {counts}", "spread", "one step", "again"]
    lines = [columns, ["---:", "---", *["---:"] * 6]]
    for one in sorted(found, key=lambda each: each.quality):
        values = (one.x_hat, one.sample, one.mean_of_samples, one.spread, one.one_step, one.again)
        texts = ["n/a" if math.isnan(value) else f"{value:.2f}" for value in values]
        lines.append([f"{one.quality:g}", labels.get(one.codec, one.codec), *texts])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _checks(words: Sequence[str], folder: Path) -> str:
    asked = _parser().parse_args(words)
    lines = ["| steps | PSNR (dB) | LPIPS |", "| ---: | ---: | ---: |"]
    for path in asked.summaries:
        file = folder / path / "checks.csv"
        last = read_training_table(file, ("step", "lpips_0", "psnr_0")).iloc[-1]
        steps = sorted(int(name[6:]) for name in last.index if name.startswith("lpips_") and f"psnr_{name[6:]}" in last)
        lines += [f"| {n} | {last[f'psnr_{n}']:.2f} | {last[f'lpips_{n}']:.4f} |" for n in steps]
    return "\n".join(lines) + "\n"


def _difference(ours: float, unit: str, theirs: float) -> str:
    text = f"{ours - theirs:+.2f} dB" if unit == "dB" else f"{100 * (ours / theirs - 1):+.0f} %"
    return text.replace("-", "−")
