"""Results made elsewhere as a summary, so that `plot` draws them beside a run, with their protocol.

Read are CompressAI's JSON and the CSV of published points that reports/anchors/ holds. What a source does not state
stands as "?" in its protocol, and contradicts every measured one, unless the user states it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.analysis.comparable import one_dataset, one_protocol
from benchmark.analysis.summary import COLUMNS, HEADLINES, MEAN, SCHEMA_VERSION, SET
from benchmark.errors import BenchmarkError, NotComparable, UsageError
from benchmark.metrics import METRICS, metric_info, open_metric, shipped_info
from benchmark.metrics.records import BPP
from benchmark.reading import brief, parse_json, read_text, shown, text_of
from benchmark.reports.anchors import published_table

UNKNOWN_DATASET = "unknown ?"
_BESIDE = ("name", "description", "meta")
_NOT_METRICS = ("bpp", "encoding_time", "decoding_time")
_OPEN_RATE = "bpp/?/original-pixels"


def import_summary(
    file: Path, like: pd.DataFrame | None = None, protocols: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """The results in `file`, CompressAI's JSON or a CSV of published points, as a summary.

    like: the summary of a run whose images and, for CompressAI's JSON, protocols these are: the user says so.
    protocols: metric -> protocol, which the user states. Raises BenchmarkError if `file` cannot be read, UsageError on
    a protocol for a metric that it has not, and NotComparable if `like` is of another data set than the CSV states.
    """
    text = _read(file)
    is_json = text.lstrip().startswith(("{", "["))
    rows = _compressai(text, file, like) if is_json else _published(text, file, like)
    for metric, protocol in (protocols or {}).items():
        if not any(row["metric"] == metric for row in rows):
            raise UsageError(f"--protocol {metric}: {file} has no {metric}")
        for row in rows:
            if row["metric"] == metric:
                row["protocol"] = protocol
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    types = {"n_images": "int64", "n_patches": "Int64", "schema": "int64", "higher_is_better": "bool", "signed": "bool"}
    return frame.astype(types | dict.fromkeys(("quality", "value", "stderr", "ci_low", "ci_high"), "float64"))


def _compressai(text: str, file: Path, like: pd.DataFrame | None) -> list[dict[str, Any]]:
    what, place = "a result of CompressAI", shown(file)
    document = _table(parse_json(text, f"{place}: not {what}"), place, what)
    # The results stand in a field of their own, or beside name, description and the like.
    results = _table(document["results"], place, what) if "results" in document else document
    name = _word(document.get("name", file.stem), "name", place, what)
    if "bpp" not in results:
        raise BenchmarkError(f"{place}: not {what}: it has no bpp")
    rates = _numbers(results["bpp"], "bpp", place, what)
    if not rates or min(rates) <= 0:
        raise BenchmarkError(f"{place}: not {what}: bpp must be numbers above 0, at least one")
    ours = _our_names()
    values: dict[str, list[float]] = {}
    for key, found in results.items():
        if key in _NOT_METRICS or (results is document and key in _BESIDE):
            continue
        metric = ours.get(key, key)
        if metric in values:
            raise BenchmarkError(f"{place}: {metric} is there twice, once as {key}")
        values[metric] = _numbers(found, key, place, what)
    meta = _table(document.get("meta") or {}, place, what)
    stated = _table(meta.get("protocols") or {}, place, what)
    dataset = _word(meta.get("dataset", UNKNOWN_DATASET), "meta.dataset", place, what)
    measured: dict[str, str] = {}
    images = 0
    if like is not None:
        dataset = one_dataset([like])
        # without the rows beside them, such as bits that a codec estimates
        headlines = like[like["aggregation"].isin(HEADLINES)]
        measured = {str(name): one_protocol(headlines, name) for name in dict.fromkeys(headlines["metric"])}
        images = int(headlines["n_images"].max())
    rows: list[dict[str, Any]] = []
    for metric, series in {"bpp": rates, **values}.items():
        if len(series) != len(rates):
            raise BenchmarkError(f"{place}: {metric} has {len(series)} values for {len(rates)} rates")
        said = _word(stated.get(metric, _open_protocol(metric)), f"meta.protocols.{metric}", place, what)
        protocol = measured.get(metric) or said
        for quality, value in enumerate(series, start=1):
            rows.append(_row(dataset, name, quality, metric, protocol, value, images, place))
    return rows


def _table(found: Any, place: str, what: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise BenchmarkError(f"{place}: not {what}: {brief(repr(found))} stands where a table must be")
    return found


def _numbers(found: Any, key: str, place: str, what: str) -> list[float]:
    """Finite numbers of JSON; neither texts nor true and false are any."""
    if not isinstance(found, list):
        raise BenchmarkError(f"{place}: not {what}: {brief(key)} is no list of numbers")
    for value in found:
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise BenchmarkError(
                f"{place}: not {what}: {brief(key)} has {brief(repr(value))}, which is no finite number"
            )
    return [float(value) for value in found]


def _finite(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:  # a whole number with hundreds of digits
        return False


def _word(found: Any, key: str, place: str, what: str) -> str:
    try:
        return text_of(found if isinstance(found, str) else "")
    except ValueError as error:
        raise BenchmarkError(f"{place}: not {what}: {brief(key)}: {error}") from None


def _our_names() -> dict[str, str]:
    """What CompressAI's files call a metric, with its colours "-rgb" or without -> what this suite calls it."""
    found: dict[str, str] = {}
    for name in METRICS:
        info = shipped_info(name)
        if info is not None and "compressai" in info.elsewhere:
            theirs = info.elsewhere["compressai"]
            found |= {theirs: name, theirs.removesuffix("-rgb"): name}
    return found


def _open_protocol(metric: str) -> str:
    """What CompressAI's files state of a metric: its colours, by its name there."""
    if metric == "bpp":
        return _OPEN_RATE
    info = shipped_info(metric)
    if info is None or "compressai" not in info.elsewhere:
        return f"{metric}/?"
    name, colours, *others = open_metric(metric).protocol.split("/")
    return "/".join([name, colours, *("?" for _ in others)])


def _published(text: str, file: Path, like: pd.DataFrame | None) -> list[dict[str, Any]]:
    table = published_table(text, shown(file))
    labels = {str(name): f"{name} ?" for name in table["dataset"].unique()}
    if like is not None:
        label = one_dataset([like])
        name = label.rpartition(" ")[0]
        if name not in labels:
            raise NotComparable(f"the data sets differ: {', '.join(labels)} in {file}, {name} in the run")
        table = table[table["dataset"] == name]
        labels = {name: label}
    rows: list[dict[str, Any]] = []
    for (dataset, codec), group in table.groupby(["dataset", "codec"], sort=False):
        place, where = shown(file), (labels[str(dataset)], str(codec))
        records: list[dict[str, Any]] = [{str(k): v for k, v in one.items()} for one in group.to_dict("records")]
        rates = sorted({record["bpp"] for record in records})
        for quality, rate in enumerate(rates, start=1):
            own = [record for record in records if record["bpp"] == rate]
            for what, names in (
                ("its bits have two protocols", {str(record["rate_protocol"]) for record in own}),
                *((f"{metric} stands twice", names) for metric, names in _repeated(own)),
            ):
                if len(names) > 1:
                    raise BenchmarkError(
                        f"{place}: {brief(str(codec))} at {rate:g} bpp: {what}, {' and '.join(sorted(names))}; "
                        "give one of them a codec name of its own"
                    )
            images = max(map(_count, own))
            rows.append(_row(*where, quality, "bpp", str(own[0]["rate_protocol"]), rate, images, place))
        for record in records:
            quality = rates.index(record["bpp"]) + 1
            protocol, value = str(record["protocol"]), float(record["value"])
            rows.append(_row(*where, quality, record["metric"], protocol, value, _count(record), place))
    return rows


def _count(record: Mapping[str, Any]) -> int:
    """The images behind a published value; 0 where it is not stated."""
    return 0 if pd.isna(record["n_images"]) else int(record["n_images"])


def _repeated(records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, set[str]]]:
    """(metric, how each of its values was made) of published points at one rate."""
    for metric in dict.fromkeys(str(record["metric"]) for record in records):
        own = [record for record in records if record["metric"] == metric]
        yield metric, {f"{record['protocol']} by {record['reference']}" for record in own}


def _row(
    dataset: str, codec: str, quality: int, metric: str, protocol: str, value: float, images: int, place: str
) -> dict[str, Any]:
    try:
        info = None if metric == "bpp" else metric_info(metric)
    except UsageError:
        raise BenchmarkError(
            f"{place}: {brief(metric)}: no metric of this suite, so its direction is not known"
        ) from None
    return {
        "dataset": dataset,
        "codec": codec,
        "quality": float(quality),
        "metric": metric,
        "protocol": protocol,
        "value": value,
        "stderr": math.nan,
        "ci_low": math.nan,
        "ci_high": math.nan,
        "stderr_seed": math.nan,
        "n_images": images,
        "n_patches": pd.NA,
        "aggregation": SET if info is not None and info.kind == "set" else MEAN,
        "unit": BPP.unit if info is None else info.unit,
        "higher_is_better": False if info is None else info.higher_is_better,
        "title": BPP.title if info is None else info.title,
        "signed": False if info is None else info.signed,
        "scale": "linear" if info is None else info.scale,
        "schema": SCHEMA_VERSION,
    }


def _read(file: Path) -> str:
    try:
        return read_text(file).removeprefix("\ufeff")
    except FileNotFoundError:
        raise BenchmarkError(f"{shown(file)}: cannot be read: there is no such file") from None
