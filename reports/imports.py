"""Results made elsewhere as a summary, so that `plot` draws them beside a run, with their protocol.

Read are CompressAI's JSON and the CSV of published points that reports/anchors/ holds. What a source does not state
stands as "?" in its protocol, and contradicts every measured one, unless the user states it.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.analysis.summary import COLUMNS, MEAN, SCHEMA_VERSION, SET
from benchmark.errors import BenchmarkError, NotComparable, UsageError
from benchmark.metrics import METRICS, metric_info, open_metric, shipped_info
from benchmark.metrics.records import BPP
from benchmark.reports.anchors import COLUMNS as PUBLISHED_COLUMNS

UNKNOWN_DATASET = "unknown ?"
_NOT_METRICS = ("bpp", "encoding_time", "decoding_time")
_OPEN_RATE = "bpp/?/original-pixels"


def import_summary(
    file: Path, like: pd.DataFrame | None = None, protocols: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """The results in `file`, CompressAI's JSON or a CSV of published points, as a summary.

    like: the summary of a run whose pictures and, for CompressAI's JSON, protocols these are: the user says so.
    protocols: metric -> protocol, which the user states. Raises BenchmarkError if `file` cannot be read, UsageError on
    a protocol for a metric that it has not, and NotComparable if `like` is of another data set than the CSV states.
    """
    text = _read(file)
    is_json = text.lstrip().startswith(("{", "["))
    rows = _compressai(text, file, like) if is_json else _published(file, like)
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
    try:
        document = json.loads(text)
        name = str(document.get("name", file.stem))
        results = document.get("results", document)
        rates = [float(rate) for rate in results["bpp"]]
        names = [key for key in results if key not in _NOT_METRICS and isinstance(results[key], list)]
        ours = _our_names()
        values = {ours.get(key, key): [float(value) for value in results[key]] for key in names}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchmarkError(f"{file}: not a result of CompressAI: {type(error).__name__} {error}") from None
    stated = document.get("meta", {}).get("protocols", {}) if isinstance(document.get("meta"), dict) else {}
    dataset = str((document.get("meta") or {}).get("dataset", UNKNOWN_DATASET))
    measured: dict[str, str] = {}
    images = 0
    if like is not None:
        dataset = str(like["dataset"].iloc[0])
        measured = dict(zip(like["metric"], like["protocol"], strict=True))
        images = int(like["n_images"].max())
    rows: list[dict[str, Any]] = []
    for metric, series in {"bpp": rates, **values}.items():
        if len(series) != len(rates):
            raise BenchmarkError(f"{file}: {metric} has {len(series)} values for {len(rates)} rates")
        if not all(map(math.isfinite, series)):
            raise BenchmarkError(f"{file}: {metric} has a value that is not finite")
        protocol = measured.get(metric) or stated.get(metric) or _open_protocol(metric)
        for quality, value in enumerate(series, start=1):
            rows.append(_row(dataset, name, quality, metric, str(protocol), value, images))
    return rows


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


def _published(file: Path, like: pd.DataFrame | None) -> list[dict[str, Any]]:
    try:
        table = pd.read_csv(file, dtype={"setting": "str", "bpp": "float64", "value": "float64", "n_images": "Int64"})
    except (ValueError, OSError) as error:
        raise BenchmarkError(f"{file}: no table of published points: {str(error).splitlines()[0]}") from None
    if missing := [name for name in PUBLISHED_COLUMNS if name not in table]:
        raise BenchmarkError(f"{file}: no table of published points: it lacks the column {missing[0]}")
    if table.empty:
        raise BenchmarkError(f"{file}: the table is empty")
    if table[["bpp", "value"]].isna().any(axis=None):
        raise BenchmarkError(f"{file}: bpp and value must be numbers in every line")
    labels = {str(name): f"{name} ?" for name in table["dataset"].unique()}
    if like is not None:
        label = str(like["dataset"].iloc[0])
        name = label.rpartition(" ")[0]
        if name not in labels:
            raise NotComparable(f"the data sets differ: {', '.join(labels)} in {file}, {name} in the run")
        table = table[table["dataset"] == name]
        labels = {name: label}
    rows: list[dict[str, Any]] = []
    for (dataset, codec), group in table.groupby(["dataset", "codec"], sort=False):
        rates = sorted(set(group["bpp"]))
        counts = group["n_images"].dropna()
        images = int(counts.iloc[0]) if len(counts) else 0
        rate_protocol = str(group["rate_protocol"].iloc[0])
        for quality, rate in enumerate(rates, start=1):
            rows.append(_row(labels[str(dataset)], str(codec), quality, "bpp", rate_protocol, rate, images))
        for record in group.to_dict("records"):
            quality = rates.index(record["bpp"]) + 1
            protocol, value = str(record["protocol"]), float(record["value"])
            rows.append(_row(labels[str(dataset)], str(codec), quality, record["metric"], protocol, value, images))
    return rows


def _row(
    dataset: str, codec: str, quality: int, metric: str, protocol: str, value: float, images: int
) -> dict[str, Any]:
    try:
        info = None if metric == "bpp" else metric_info(metric)
    except UsageError:
        raise BenchmarkError(f"{metric}: no metric of this suite, so its direction is not known") from None
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
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{file}: cannot be read: {error}") from None
