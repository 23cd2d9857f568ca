"""Tables of the documents, from committed tables of numbers, so that no figure in prose is typed by hand.

A Markdown file holds `<!-- table: WORDS -->` and `<!-- end of table -->`; what stands between them is filled in. WORDS
are those of `python -m benchmark table`, or
- `gains BASE SUMMARY…`: how far each codec is from BASE at the same quality, in per cent, and in dB for a metric in
  decibels; with `--in-order` the first quality of each stands beside BASE's first, and so on;
- `checks FOLDER`: the last line of a decoder's `checks.csv`, what it decodes (0 steps) and samples of so many steps, on
  the held-out crops of its training;
- `csv FILE COLUMN=TITLE…`: columns of any table as they are;
- `posterior TABLE`: that of `studies posterior`;
- `vary SETTING SUMMARY --codec SPEC …`: of codecs that are SPEC but for one setting, each metric at each of its values;
- `departure TABLE`: that of `studies departure`, a line per codec;
- `contest TABLE`: that of `studies contest`, on the images that it names last;
- `parts FOLDER NAME…`: how long each part of a training took, from the recipe and the log in FOLDER/NAME.

A number within a sentence is filled in between `<!-- value: WORDS -->` and `<!-- end -->`. WORDS are a file, a column
and `NAME=VALUE` for each column that tells the row, as in `reports/t.csv value codec=jpeg metric=psnr --format .1f`.
No line may begin with the mark: Markdown would end the paragraph there.
"""

import argparse
import csv
import json
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
from benchmark.metrics import MetricInfo, shipped_info
from benchmark.reports.arguments import parse_labels, parse_numbers
from benchmark.reports.paper_tables import write_table
from benchmark.reports.tables import decimals_of
from benchmark.reports.training import read_training_table
from benchmark.studies.coverage import read_table

BLOCK = re.compile(r"(<!-- table: (.*?) -->\n).*?(<!-- end of table -->)", re.DOTALL)
VALUE = re.compile(r"(<!-- value: ([^<>]*?) -->)[^<>]*(<!-- end -->)")


def fill(text: str, folder: Path) -> str:
    """`text` with its tables and values made again; paths in them are below `folder`.

    Raises UsageError on words that mean nothing, BenchmarkError on files that cannot be read.
    """
    text = BLOCK.sub(lambda found: f"{found[1]}\n{made_by(found[2], folder)}\n{found[3]}", text)
    return VALUE.sub(lambda found: f"{found[1]}{value_of(found[2], folder)}{found[3]}", text)


def made_by(words: str, folder: Path) -> str:
    """The table of `words`, in Markdown, with a line break at its end."""
    kind, *rest = _split(words)
    makers: dict[str, Callable[[Sequence[str], Path], str]] = {
        "table": _table,
        "gains": _gains,
        "csv": _columns,
        "posterior": _posterior,
        "checks": _checks,
        "contest": _contest,
        "departure": _departure,
        "parts": _parts,
        "vary": _vary,
    }
    if kind not in makers:
        raise UsageError(f"{words!r}: a table is made by {' or '.join(makers)}")
    return makers[kind](rest, folder)


def value_of(words: str, folder: Path) -> str:
    """The number of `words`, from the only row that they fit."""
    parser = _Words(add_help=False)
    parser.add_argument("file")
    parser.add_argument("column")
    parser.add_argument("where", nargs="*")
    parser.add_argument("--format")
    asked = parser.parse_args(_split(words))
    rows = _rows(asked.file, folder)
    wanted = dict(pair.split("=", 1) for pair in asked.where if "=" in pair)
    if len(wanted) != len(asked.where):
        raise UsageError(f"a value: {' '.join(asked.where)}: each is NAME=VALUE")
    if unknown := [name for name in (asked.column, *wanted) if name not in rows[0]]:
        raise BenchmarkError(f"{asked.file}: no column {', '.join(unknown)}")
    fitting = [row for row in rows if all(_same(row[name], value) for name, value in wanted.items())]
    if len(fitting) != 1:
        raise BenchmarkError(f"{asked.file}: {len(fitting)} rows have {' '.join(asked.where)}, not one")
    text = fitting[0][asked.column]
    try:
        return text if asked.format is None else format(float(text), asked.format).replace("-", "−")
    except ValueError as error:
        raise UsageError(f"a value: --format {asked.format} of {text!r}: {error}") from None


def write(files: Sequence[Path], folder: Path) -> Iterator[str]:
    """Fills each of `files`; yields the names of those that changed."""
    for file in files:
        text = file.read_text(encoding="utf-8")
        filled = fill(text, folder)
        if filled != text:
            write_file(file, filled)
            yield str(file)


def _split(words: str) -> list[str]:
    try:
        return shlex.split(words)
    except ValueError as error:
        raise UsageError(f"{words}: {error}") from None


def _same(cell: str, value: str) -> bool:
    """Whether both are the same text, or the same number."""
    try:
        return cell == value or float(cell) == float(value)
    except ValueError:
        return False


def _rows(path: str, folder: Path) -> list[dict[str, str]]:
    try:
        with (folder / path).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}: cannot be read: {one_line(error)}") from None
    if not rows:
        raise BenchmarkError(f"{path}: no lines")
    return rows


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
    rows = _rows(path, folder)
    columns = {name: title or name for name, _, title in (one.partition("=") for one in asked)}
    if unknown := [name for name in columns if name not in rows[0]]:
        raise BenchmarkError(f"{path}: no column {', '.join(unknown)}")
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


def _vary(words: Sequence[str], folder: Path) -> str:
    """A line per codec and metric, a column per value of the setting."""
    if not words:
        raise UsageError("a table: vary SETTING SUMMARY --codec SPEC …")
    setting, *rest = words
    asked = _parser().parse_args(rest)
    frame = pd.concat(read_inputs([folder / path for path in asked.summaries]).summaries)
    frame = frame[frame["aggregation"].isin(("mean over images", "set"))]
    found: dict[tuple[str, str, float], float] = {}
    for codec, metric, value in zip(*(frame[column] for column in ("codec", "metric", "value")), strict=True):
        others, chosen = _parted(codec, setting)
        if chosen:
            found[others, metric, float(chosen)] = value
    labels = parse_labels(asked.label, asked.codec)
    if unknown := [spec for spec in asked.codec if spec not in {others for others, _, _ in found}]:
        raise BenchmarkError(f"{', '.join(map(str, asked.summaries))}: {setting} is not varied of {', '.join(unknown)}")
    values = sorted({value for spec, _, value in found if spec in asked.codec})
    lines = [
        ["decoder", "metric", *(f"{value:g}" for value in values)],
        ["---", "---", *["---:"] * len(values)],
    ]
    for spec in asked.codec:
        for metric in asked.metric:
            info = shipped_info(metric)
            digits = decimals_of([value for (_, name, _), value in found.items() if name == metric])
            cells = [found.get((spec, metric, value)) for value in values]
            texts = ["–" if cell is None else f"{cell:z.{digits}f}" for cell in cells]
            lines.append([labels.get(spec, spec), metric if info is None else info.title, *texts])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _parted(codec: str, setting: str) -> tuple[str, str]:
    """(the spec without the setting, the setting's value, empty if it is not there)."""
    name, _, settings = codec.partition(":")
    pairs = settings.split(",") if settings else []
    chosen = [pair.partition("=")[2] for pair in pairs if pair.partition("=")[0] == setting]
    others = [pair for pair in pairs if pair.partition("=")[0] != setting]
    return f"{name}:{','.join(others)}" if others else name, "".join(chosen)


def _departure(words: Sequence[str], folder: Path) -> str:
    """A line per codec, a column per metric."""
    asked = _parser().parse_args(words)
    rows = [row for path in asked.summaries for row in _rows(str(path), folder)]
    known = list(dict.fromkeys(row["codec"] for row in rows))
    if unknown := [codec for codec in asked.codec if codec not in known]:
        raise BenchmarkError(f"{', '.join(map(str, asked.summaries))}: no codec {', '.join(unknown)}")
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    titles = [name if (info := shipped_info(name)) is None else _title(info) for name in metrics]
    labels = parse_labels(asked.label, known)
    lines = [["codec", "bpp", *titles], ["---", *["---:"] * (len(metrics) + 1)]]
    for codec in asked.codec or known:
        own = {row["metric"]: row for row in rows if row["codec"] == codec}
        values = [own[metric]["value"] if metric in own else "–" for metric in metrics]
        lines.append([labels.get(codec, codec), next(iter(own.values()))["bpp"], *values])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _contest(words: Sequence[str], folder: Path) -> str:
    from benchmark.reports.contest import contest_table

    [table] = _parser().parse_args(words).summaries
    if not (folder / table).is_file():
        raise BenchmarkError(f"{table}: no such file")
    return contest_table(folder / table)


def _title(info: MetricInfo) -> str:
    return info.title + (f" ({info.unit})" if info.unit else "") + (" ↑" if info.higher_is_better else " ↓")


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


def _parts(words: Sequence[str], folder: Path) -> str:
    """A line per part and, of several, one for all. Megapixels: of all crops that its steps saw."""
    if len(words) < 2:
        raise UsageError("a table: parts FOLDER NAME…")
    place, *names = words
    lines, sums = [], (0, 0.0, 0.0)
    for name in names:
        file = folder / place / name / "recipe.json"
        try:
            recipe = json.loads(file.read_text(encoding="utf-8"))
            crop, batch = int(recipe["crop"]), int(recipe["batch"]) * int(recipe.get("parts", 1))  # batches of a step
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BenchmarkError(f"{place}/{name}/recipe.json: {one_line(error)}") from None
        last = read_training_table(file.with_name("log.csv"), ("step", "seconds")).iloc[-1]
        steps, pixels, minutes = int(last["step"]), last["step"] * batch * crop**2 / 1e6, last["seconds"] / 60
        lines.append(f"| `{name}` | {steps:,} | {crop} | {batch} | {pixels:,.0f} | {minutes:.0f} |")
        sums = (sums[0] + steps, sums[1] + pixels, sums[2] + minutes)
    if len(names) > 1:
        lines.append(f"| in all | {sums[0]:,} | | | {sums[1]:,.0f} | {sums[2]:.0f} |")
    head = ["| part | steps | crop | batch | megapixels | minutes |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    return "\n".join([*head, *lines]) + "\n"


def _difference(ours: float, unit: str, theirs: float) -> str:
    text = f"{ours - theirs:+.2f} dB" if unit == "dB" else f"{100 * (ours / theirs - 1):+.0f} %"
    return text.replace("-", "−")
