"""Published figures, and which of them may stand beside measured ones: same data set, metric, images and protocol.

reports/anchors/ holds one CSV a data set, a line a published value, with its reference. Protocols are written as the
metrics of this suite write theirs, with "?" for a part that the source does not state. Such a part is let pass if it
moves the number little against the differences between codecs, or if the curve would be of no use without it; it is
then named beside the curve. A part that contradicts the measured protocol is never let pass.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import zip_longest
from pathlib import Path

import pandas as pd

from benchmark.errors import BenchmarkError, UsageError
from benchmark.metrics import shipped_info
from benchmark.reading import column_of, parse_table, read_text, real_of, text_of, whole_of

COLUMNS = (
    "dataset",
    "codec",
    "label",
    "kind",
    "setting",
    "bpp",
    "metric",
    "value",
    "rate_protocol",
    "protocol",
    "n_images",
    "reference",
)
KINDS = ("classical", "distortion", "perceptual", "generative")
"""Formats of the standards; learned codecs trained for distortion, for LPIPS as well, for realism as well."""

FOLDER = Path(__file__).parent / "anchors"

_MEASURED_RATE = "bpp/whole-byte-string/original-pixels"
# rate protocol -> how its bits differ from those counted here, and what of them it leaves open
_RATES = {
    _MEASURED_RATE: ("", ""),
    "bpp/payload/original-pixels": ("bits of the entropy-coded payload alone", ""),
    "bpp/stream/original-pixels": ("", "whether headers count as bits"),
    "bpp/?/original-pixels": ("", "how bits are counted"),
    "bpp/estimated/original-pixels": ("bits estimated by an entropy model, not those of a stream", ""),
    "bpp/nominal/original-pixels": ("nominal bits, not those of a stream", ""),
}
# Where no codec is named: those that were made for what the metric tells. Others take all kinds.
_USUAL_KINDS = {"fidelity": ("classical", "distortion")}


@dataclass(frozen=True)
class PublishedCurve:
    """A codec's published points for one metric under one protocol, sorted by bits per pixel.

    codec: the name that chooses it. label: what stands beside it. kind: one of KINDS. remark: what its protocol leaves
    open and how its bits were counted, empty if it is the measured protocol in every part.
    """

    codec: str
    label: str
    kind: str
    bpp: tuple[float, ...]
    value: tuple[float, ...]
    reference: str
    remark: str


@cache
def read_published() -> pd.DataFrame:
    """All published figures, a row a value; the columns are COLUMNS."""
    tables = [published_table(read_text(file), file.name) for file in sorted(FOLDER.glob("*.csv"))]
    return pd.concat(tables, ignore_index=True)


_WHAT = "a table of published points"
_CELLS: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(("dataset", "codec", "metric", "rate_protocol", "protocol"), text_of),
    **dict.fromkeys(("bpp", "value"), real_of),
    "n_images": partial(whole_of, missing=True),
}


def published_table(text: str, place: str) -> pd.DataFrame:
    """A table of published points, CSV; the columns are COLUMNS. place: for messages.

    Raises BenchmarkError, with line and column, on anything else, on a bpp of 0 and a value that is there twice.
    """
    columns, rows = parse_table(text, place, _WHAT)
    if missing := [name for name in COLUMNS if name not in columns]:
        raise BenchmarkError(f"{place}: no table of published points: it lacks the column {missing[0]}")
    if not rows:
        raise BenchmarkError(f"{place}: the table is empty")
    table = pd.DataFrame(
        {name: column_of(columns, rows, name, _CELLS.get(name, str), place, _WHAT) for name in COLUMNS},
        columns=list(COLUMNS),
    ).astype({"n_images": "Int64"})
    twice = table.duplicated(["dataset", "codec", "bpp", "metric", "protocol", "reference"])
    for wrong, why in ((table["bpp"] <= 0, "bpp must be above 0"), (twice, "the value is there twice")):
        if wrong.any():
            raise BenchmarkError(f"{place}, line {rows[int(wrong.to_numpy().argmax())][0]}: not {_WHAT}: {why}")
    return table


def choose_codecs(text: str) -> tuple[str, ...]:
    """The published codecs that `text` names: "all", or names with commas between; none for an empty text.

    Raises UsageError on any other name.
    """
    if not text:
        return ()
    known = tuple(dict.fromkeys(read_published()["codec"]))
    if text == "all":
        return known
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"--published: no published codec is named {name!r}; {hint}")
    return names


def fitting_curves(
    codecs: Sequence[str],
    dataset: str,
    images: tuple[int, int],
    metric: str,
    protocol: str,
    rate_protocol: str,
    references: Sequence[str] | None = None,
) -> tuple[list[PublishedCurve], dict[str, str]]:
    """The curves of `codecs` that may stand in a panel of measured ones, and why others of its metric may not.

    codecs: none for those that are usual for the metric. dataset: the measured label, name and fingerprint. images: the
    smallest and largest number of images behind a measured point. references: how those of the curves begin, for a
    run under a paper's protocol; None for any. Returns the curves in the order of the files, and
    codec -> reason for the codecs that have figures of this metric on this data set, but of another protocol or over
    other images. Codecs without such figures are in neither.
    """
    published = read_published()
    wanted = published["codec"].isin(codecs)
    if not codecs:
        info = shipped_info(metric)
        wanted = published["kind"].isin(KINDS if info is None else _USUAL_KINDS.get(info.aspect, KINDS))
    name = dataset.rpartition(" ")[0]  # a part of a set and a folder of one's own have other names
    if references is not None:
        wanted &= published["reference"].str.startswith(tuple(references))
    rows = published[wanted & (published["dataset"] == name) & (published["metric"] == metric.partition("@")[0])]
    curves: list[PublishedCurve] = []
    reasons: dict[str, str] = {}
    # One curve a protocol, so that no line joins numbers of two.
    for key, group in rows.groupby(["codec", "protocol", "rate_protocol", "reference"], sort=False, dropna=False):
        codec, own_protocol, own_rate, reference = (str(part) for part in key)
        label, kind, counts = str(group["label"].iloc[0]), str(group["kind"].iloc[0]), group["n_images"]
        reason, open_parts = _difference(metric, protocol, own_protocol)
        if rate_protocol != _MEASURED_RATE or own_rate not in _RATES:
            reason = f"bits counted as {own_rate}, here as {rate_protocol}"
        if counts.isna().any() or set(counts) != set(images):
            stated = "an unstated number of" if counts.isna().any() else str(int(counts.iloc[0]))
            reason = f"over {stated} images, here {images[0]}" + (f"–{images[1]}" if images[0] != images[1] else "")
        if reason:
            reasons[codec] = reason
            continue
        bits, open_bits = _RATES[own_rate]
        open_parts += [open_bits] if open_bits else []
        remarks = [bits, f"not stated: {', '.join(open_parts)}" if open_parts else ""]
        ordered = group.sort_values("bpp", kind="stable")
        points = tuple(ordered["bpp"]), tuple(ordered["value"])
        curves.append(PublishedCurve(codec, label, kind, *points, reference, "; ".join(filter(None, remarks))))
    return curves, reasons


def _difference(metric: str, measured: str, published: str) -> tuple[str, list[str]]:
    """Why the two protocols contradict each other, empty if they do not; and the parts that `published` leaves open."""
    info = shipped_info(metric)
    may_be_open = {} if info is None else info.unstated
    open_parts: list[str] = []
    for place, (own, other) in enumerate(zip_longest(measured.split("/"), published.split("/"), fillvalue="nothing")):
        if other == own:
            continue
        if other == "?" and place in may_be_open:
            open_parts.append(may_be_open[place])
        elif "?" in other:
            return f"its protocol {published} does not state what is {own!r} here", []
        else:
            return f"its protocol {published} has {other!r} where this one has {own!r}", []
    return "", open_parts
