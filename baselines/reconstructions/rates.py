"""How many bits each reconstruction took: sizes of files, a table, CompressAI's results, or a figure that is stated."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.baselines.reconstructions.patterns import ONLY, Files, files_that_fit, name_of
from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import expanded
from benchmark.identity import sha256_of
from benchmark.image_files import pointer
from benchmark.reading import brief, column_of, parse_json, parse_table, read_text, real_of, shown, text_of, whole_of
from benchmark.reconstructions import Bits

Key = tuple[float, str]
"""Quality, and name of the image; "" for all images."""

MOST_BPP = 1000.0
"""Above it a figure is of something else than bits per pixel."""

ROUNDING = 0.006
"""Bits per pixel by which a figure of two decimals may miss."""

_TABLE = "a table of bits"
_RESULT = "a result of CompressAI"


@dataclass(frozen=True)
class Rates:
    """bits: how they came about. streams: files whose sizes count. bytes, bpp: figures that are stated.

    beside: bits per pixel that a table states beside an image's bytes. sources: the tables with the figures.
    """

    bits: Bits
    streams: Mapping[Key, Path] = field(default_factory=dict)
    bytes: Mapping[Key, float] = field(default_factory=dict)
    bpp: Mapping[Key, float] = field(default_factory=dict)
    beside: Mapping[Key, float] = field(default_factory=dict)
    sources: tuple[Path, ...] = ()

    def bytes_of(self, name: str, quality: float, pixels: int) -> float:
        """Of an image of so many pixels. Raises BenchmarkError if nothing is known of it, or two things that differ."""
        for key in ((quality, name), (quality, "")):
            if key in self.streams:
                return size_of(self.streams[key])
            if key in self.bytes:
                rate, said = 8 * self.bytes[key] / pixels, self.beside.get(key, math.nan)
                if abs(rate - said) > max(ROUNDING, said / 50):
                    raise BenchmarkError(
                        f"{name} at quality {quality:g}: {self.bytes[key]:g} bytes are {rate:.4g} bits per pixel, "
                        f"and the table's bpp says {said:g}"
                    )
                return self.bytes[key]
            if key in self.bpp:
                return self.bpp[key] * pixels / 8
        where = f" in {', '.join(shown(path) for path in self.sources)}" if self.sources else ""
        raise BenchmarkError(f"nothing says how many bits {name} took at quality {quality:g}{where}")

    def identity_of(self, name: str, quality: float) -> dict[str, str]:
        """What the bits of an image are taken from, as hash or figure. Raises BenchmarkError on what cannot be read."""
        for key in ((quality, name), (quality, "")):
            if key in self.streams:
                stream = self.streams[key]
                return {"stream": sha256_of(stream) if key[1] else str(size_of(stream))}
            if key in self.bytes:
                return {"bytes": repr(self.bytes[key])}
            if key in self.bpp:
                return {"bpp": repr(self.bpp[key])}
        return {}

    def size_of_quality(self, quality: float) -> float:
        """Something that rises with the bits of a quality: the mean of what is known of it; 0 if nothing is."""
        known: list[float] = [path.stat().st_size for (own, _), path in self.streams.items() if own == quality]
        for figures in (self.bytes, self.bpp):
            known = known or [figure for (own, _), figure in figures.items() if own == quality]
        return sum(known) / len(known) if known else 0.0


def size_of(stream: Path) -> int:
    """Bytes of a file. Raises BenchmarkError if it cannot be read, is empty, or stands for content kept elsewhere."""
    try:
        size = stream.stat().st_size
        with stream.open("rb") as file:
            head = file.read(200)
    except OSError as error:
        raise BenchmarkError(f"{shown(stream)}: cannot be read: {error.strerror or error}") from None
    if words := pointer(head):
        raise BenchmarkError(f"{shown(stream)}: {words}")
    if not size:
        raise BenchmarkError(f"{shown(stream)}: an empty file, so no bits at all")
    return size


def of_streams(files: Files) -> Rates:
    """Sizes of files."""
    return Rates(
        "file", streams={(quality, name): path for quality, own in files.items() for name, path in own.items()}
    )


def nominal(bpp: Mapping[float, float]) -> Rates:
    """Quality -> bits per pixel of all its images. Raises UsageError on a figure that is none."""
    for figure in bpp.values():
        if not 0 < figure <= MOST_BPP:
            raise UsageError(f"bpp {figure:g}: bits per pixel are a number above 0")
    return Rates("nominal", bpp={(quality, ""): figure for quality, figure in bpp.items()})


def stated(text: str, qualities: list[float]) -> Rates:
    """`bpp=`: one figure a quality, in the order of the numbers; or {quality}, where the quality is the figure."""
    if text.strip() == "{quality}":
        return nominal({quality: quality for quality in qualities})
    try:
        figures = [float(part) for part in text.split()]
    except ValueError:
        raise UsageError(f"bpp={text}: numbers with spaces between them are needed, or {{quality}}") from None
    if len(figures) != len(qualities):
        there = " ".join(f"{quality:g}" for quality in qualities)
        raise UsageError(f"bpp={text}: {len(figures)} figures for the qualities {there}; each needs one")
    return nominal(dict(zip(qualities, figures, strict=True)))


def said_in(text: str, qualities: list[float]) -> Rates:
    """`bits=`: a pattern with {name} of files whose sizes count, or of CompressAI's results of single images; a CSV or
    a result of CompressAI's, one for all or one a quality.

    Raises UsageError on anything else, BenchmarkError on a table that cannot be read.
    """
    suffix = Path(text).suffix.lower()
    if "{name}" in text:
        if suffix == ".csv":
            raise UsageError(f"bits={text}: a table for each image is not read; one .csv with the column image is")
        files = files_that_fit(text, "bits")
        if "{quality}" not in text and qualities != [ONLY]:
            raise UsageError(f"bits={text}: there are {len(qualities)} qualities, and the pattern has no {{quality}}")
        return of_results(files) if suffix == ".json" else of_streams(files)
    if suffix not in (".csv", ".json"):
        raise UsageError(f"bits={text}: a pattern with {{name}}, a .csv or CompressAI's .json is needed")
    if "{quality}" in text:
        tables = {quality: own[""] for quality, own in files_that_fit(text, "bits").items()}
        parts = [_of_file(path, [quality]) for quality, path in tables.items()]
        return joined(parts)
    return _of_file(expanded(text), qualities)


def joined(parts: list[Rates]) -> Rates:
    """Several as one; nominal if one of them is. Raises BenchmarkError if two say different things of one image."""
    kinds = {part.bits for part in parts}
    seen: dict[Key, tuple[float, Rates]] = {}
    for part in parts:
        for key, figure in (*part.bytes.items(), *part.bpp.items()):
            if seen.setdefault(key, (figure, part))[0] != figure:
                files = " and ".join(shown(path) for one in (seen[key][1], part) for path in one.sources)
                raise BenchmarkError(f"{files}: they say different things of {key[1] or 'all'} at quality {key[0]:g}")
    return Rates(
        "nominal" if "nominal" in kinds else parts[0].bits,
        streams={key: path for part in parts for key, path in part.streams.items()},
        bytes={key: figure for part in parts for key, figure in part.bytes.items()},
        bpp={key: figure for part in parts for key, figure in part.bpp.items()},
        beside={key: figure for part in parts for key, figure in part.beside.items()},
        sources=tuple(path for part in parts for path in part.sources),
    )


def of_results(files: Files) -> Rates:
    """CompressAI's results of single images, as `eval_model --per-image` writes them."""
    found = {(q, name): _rates_in(path) for q, own in files.items() for name, path in own.items()}
    for (quality, name), rates in found.items():
        if len(rates) != 1:
            raise BenchmarkError(f"{shown(files[quality][name])}: {len(rates)} rates, not that of one image")
    paths = tuple(path for own in files.values() for path in own.values())
    return Rates("stated", bpp={key: rates[0] for key, rates in found.items()}, sources=paths)


def of_result(path: Path, qualities: list[float]) -> Rates:
    """A result of CompressAI's over all images: mean bits per pixel, so nominal for each. Rates belong to the qualities
    that `meta` names, or to `qualities` in the order of the numbers. Raises BenchmarkError if they do not fit."""
    rates = _rates_in(path)
    place = shown(path)
    document = parse_json(read_text(path), place)
    meta = document.get("meta")
    own = meta.get("qualities") if isinstance(meta, dict) else None
    if isinstance(own, list) and len(own) == len(rates) and all(isinstance(one, int | float) for one in own):
        figures = dict(zip(map(float, own), rates, strict=True))
        if lacking := [quality for quality in qualities if quality not in figures]:
            raise BenchmarkError(f"{place}: no rate for quality {lacking[0]:g}")
    elif len(rates) == len(qualities):
        figures = dict(zip(qualities, rates, strict=True))
    else:
        raise BenchmarkError(f"{place}: {len(rates)} rates for {len(qualities)} qualities")
    return Rates("nominal", bpp={(quality, ""): figures[quality] for quality in qualities}, sources=(path,))


def _of_file(path: Path, qualities: list[float]) -> Rates:
    if not path.is_file():
        raise UsageError(f"bits: there is no file {shown(path)}")
    return of_table(path, qualities) if path.suffix.lower() == ".csv" else of_result(path, qualities)


def of_table(path: Path, qualities: list[float]) -> Rates:
    """A CSV with columns image, quality, and bytes or bpp; of both, bytes count, and other columns are passed over.

    Its cells stand apart by what the first line has: a semicolon or a tab, as spreadsheets write them in countries with
    a decimal comma, or a comma. With the first two a quality or bpp may have a decimal comma.

    Without `quality` it is of the only quality, without `image` of all images of a quality, so nominal. Raises
    BenchmarkError, which names line and column, on anything else.
    """
    place = shown(path)
    text = read_text(path)
    separator = _separator(text.partition("\n")[0])
    columns, rows = parse_table(text, place, _TABLE, separator)
    real = real_of if separator == "," else _real_of_spreadsheet
    columns = [column.strip().lower() for column in columns]
    unit = next((name for name in ("bytes", "bpp") if name in columns), None)
    if unit is None:
        raise BenchmarkError(
            f"{place}: not {_TABLE}: it has the columns {', '.join(columns)}, and neither bytes nor bpp"
        )
    if not rows:
        raise BenchmarkError(f"{place}: not {_TABLE}: it has no line below its first")
    if "quality" not in columns and len(qualities) > 1:
        raise BenchmarkError(f"{place}: not {_TABLE}: it has no column quality, and there are {len(qualities)} of them")
    count = len(rows)
    numbers = (
        column_of(columns, rows, "quality", real, place, _TABLE) if "quality" in columns else qualities[:1] * count
    )
    names = [""] * count
    if "image" in columns:
        names = [Path(text).name for text in column_of(columns, rows, "image", text_of, place, _TABLE)]
    convert = whole_of if unit == "bytes" else real
    figures = column_of(columns, rows, unit, convert, place, _TABLE)
    both = unit == "bytes" and "bpp" in columns  # that an image's agree is seen when it is measured
    others = column_of(columns, rows, "bpp", real, place, _TABLE) if both else [math.nan] * count
    found: dict[Key, float] = {}
    beside: dict[Key, float] = {}
    for (number, _), quality, name, figure, other in zip(rows, numbers, names, figures, others, strict=True):
        where = f"{place}, line {number}: not {_TABLE}"
        if figure <= 0 or (unit == "bpp" and figure > MOST_BPP):
            raise BenchmarkError(f"{where}: {unit}: {figure:g} is no rate")
        if (float(quality), name) in found:
            if "image" not in columns:
                raise BenchmarkError(f"{where}: quality {quality:g} is there twice, and no column is called image")
            raise BenchmarkError(f"{where}: {name} at quality {quality:g} is there twice")
        found[float(quality), name] = figure
        beside[float(quality), name] = other
    aliases = Counter((quality, name_of(name)) for quality, name in found)
    for each in (found, beside):
        each |= {(q, name_of(name)): figure for (q, name), figure in each.items() if aliases[q, name_of(name)] == 1}
    bits: Bits = "stated" if "image" in columns else "nominal"
    if bits == "nominal" and (lacking := [quality for quality in qualities if (quality, "") not in found]):
        raise BenchmarkError(f"{place}: no rate for quality {lacking[0]:g}")
    return Rates(bits, **{unit: found}, beside=beside, sources=(path,))  # type: ignore[arg-type]


def _separator(header: str) -> str:
    """What stands between the cells of a table that begins so: the sign of three that is there most often."""
    return max(",;\t", key=header.count)


def _real_of_spreadsheet(text: str) -> float:
    return real_of(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)


def _rates_in(path: Path) -> list[float]:
    """The bits per pixel in a file of CompressAI's. Raises BenchmarkError."""
    place = shown(path)
    try:
        document: Any = parse_json(read_text(path), f"{place}: not {_RESULT}")
    except FileNotFoundError:
        raise BenchmarkError(f"{place}: there is no such file") from None
    results = document.get("results", document) if isinstance(document, dict) else None
    found = results.get("bpp") if isinstance(results, dict) else None
    rates: list[Any] = found if isinstance(found, list) else [found]
    for rate in rates:
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= MOST_BPP:
            raise BenchmarkError(f"{place}: not {_RESULT}: its bpp is {brief(repr(rate))}")
    return [float(rate) for rate in rates]
