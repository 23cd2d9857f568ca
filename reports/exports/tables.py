"""A run in the formats of its peers: CompressAI, benchmark_xl, codec-compare, and long tables as CSV or Parquet."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.analysis.baseline import check_complete
from benchmark.analysis.summary import HEADLINES, dataset_label, read_summary
from benchmark.errors import BenchmarkError, UsageError, needs
from benchmark.files import write_file
from benchmark.metrics.records import BPP, info_of
from benchmark.reconstructions import WORDS
from benchmark.reports import spreadsheets
from benchmark.results import RunFolder, quality_name

BENCHMARK_XL_COLUMNS = (
    "method",
    "image",
    "error",
    "size",
    "pixels",
    "enc_speed",
    "dec_speed",
    "bpp",
    "maxnorm",
    "ssimulacra2",
    "psnr",
    "pnorm",
    "bppp",
    "qabpp",
)
LONG_COLUMNS = (
    "dataset",
    "codec",
    "quality",
    "decoder_seed",
    "image",
    "metric",
    "protocol",
    "value",
    "unit",
    "higher_is_better",
)
_SECONDS = {
    "encode_seconds": "seconds of encode, measured alone",
    "decode_seconds": "seconds of decode, measured alone",
}


def export(folder: RunFolder, form: str, output: Path) -> list[Path]:
    """Writes the run in the format `form`, a key of FORMATS; returns what was written.

    output: a folder for compressai and codec-compare, which have a file a codec, a file for the others. Raises
    UsageError on an unknown format, BenchmarkError if the run has no value, was stopped before its end, or polars is
    missing for parquet.
    """
    if form not in FORMATS:
        raise UsageError(f"--format {form}: there are {', '.join(FORMATS)}")
    if not any(trial.error is None for trial in folder.trials()):
        raise BenchmarkError(f"{folder.path}: the run is empty: nothing was measured")
    check_complete(folder, len(folder.trials()))
    return FORMATS[form](folder, output)


def compressai(folder: RunFolder, output: Path) -> list[Path]:
    """OUTPUT/CODEC.json as CompressAI's benchmarks write it: parallel lists, one entry a quality, by rate.

    A metric that lacks a value at some quality, or has one over other images than the rate, has no list: `meta` says
    so, and names data set, protocols and the number of images behind each quality. Distances between sets keep this
    suite's names.
    """
    summary = read_summary(folder.path)
    headlines = summary[summary["aggregation"].isin(HEADLINES)]
    images = _per_image(folder)
    names = _names(folder, "compressai")
    metrics = folder.manifest.metrics
    order = [*(name for name in metrics if name in names), "bpp", *(name for name in metrics if name not in names)]
    written = []
    for codec, record in folder.manifest.codecs.items():
        own = headlines[headlines["codec"] == codec]
        table = own.pivot(index="quality", columns="metric", values="value")
        if "bpp" not in table or table["bpp"].isna().all():
            continue
        table = table.dropna(subset="bpp").sort_values("bpp", kind="stable")
        lacking = [metric for metric in table if table[metric].isna().any()]
        table = table.drop(columns=lacking)
        counts = own.pivot(index="quality", columns="metric", values="n_images").loc[table.index]
        unequal = [metric for metric in table if (counts[metric] != counts["bpp"]).any()]
        table = table.drop(columns=unequal)
        lost = {name: int((counts["bpp"] - counts[name]).max()) for name in unequal}
        results = {names.get(metric, metric): table[metric].tolist() for metric in order if metric in table}
        seconds = images[images["codec"] == codec].groupby("quality")[[*_SECONDS]].mean().reindex(table.index)
        for name, label in (("encode_seconds", "encoding_time"), ("decode_seconds", "decoding_time")):
            if seconds[name].notna().all():
                results[label] = seconds[name].tolist()
        document = {
            "name": codec,
            "description": f"{codec} on {dataset_label(folder.manifest)}, mean over images",
            "results": results,
            "meta": {
                "dataset": dataset_label(folder.manifest),
                "qualities": table.index.tolist(),
                "bits": WORDS[record.bits],
                "protocols": {"bpp": BPP.protocol}
                | {name: metric.protocol for name, metric in folder.manifest.metrics.items() if name in table},
                "images": [int(count) for count in counts["bpp"]],
                "left_out": [
                    *(f"{name}: no value at a quality that has a rate" for name in lacking),
                    *(f"{name}: no value of {count} of the images that have a rate" for name, count in lost.items()),
                ],
            },
        }
        written.append(_write_json(output / f"{record.label}.json", document))
    return written


def benchmark_xl(folder: RunFolder, output: Path) -> list[Path]:
    """One CSV as benchmark_xl of libjxl writes it: a line a codec, quality and image; speeds in megapixels a second.

    `method` is CODEC:qQUALITY. Cells of what the suite does not measure are empty; other per-image metrics follow.
    """
    rows = _per_image(folder)
    pixels = rows["height"] * rows["width"]
    others = [name for name in _image_metrics(folder) if name not in BENCHMARK_XL_COLUMNS]
    table = pd.DataFrame(index=rows.index, columns=[*BENCHMARK_XL_COLUMNS, *others], dtype=object)
    table["method"] = [f"{codec}:q{quality_name(q)}" for codec, q in zip(rows["codec"], rows["quality"], strict=True)]
    table["image"] = rows["image"]
    table["error"] = 0
    table["size"] = rows["bytes"].map(_plain)  # a fraction where bits are stated
    table["pixels"] = pixels.astype("int64")
    for column, seconds in (("enc_speed", "encode_seconds"), ("dec_speed", "decode_seconds")):
        table[column] = pixels / 1e6 / rows[seconds]
    for column in ("bpp", *_image_metrics(folder)):
        table[column] = rows[column]
    return [_write(output, _csv_text(table))]


def codec_compare(folder: RunFolder, output: Path) -> list[Path]:
    """OUTPUT/CODEC.json, a batch of Codec-Compare each, and OUTPUT/batches.json, the list that its viewer loads.

    Fields have the names that the viewer knows. A metric without any value of a codec is no field of its batch, and
    images without a value of another are left out, since a field's values must be of one type; constants then say so.
    Raises BenchmarkError, before anything is written, on a codec of which every image would be left out so.
    """
    rows = _per_image(folder)
    manifest = folder.manifest
    names = _names(folder, "codec-compare")
    metrics = _image_metrics(folder)
    documents: dict[str, Any] = {}
    for codec, record in manifest.codecs.items():
        own = rows[rows["codec"] == codec]
        fields: dict[str, tuple[str, str]] = {
            "image": ("original_name", "name of the image in the data set"),
            "width": ("width", "pixel columns"),
            "height": ("height", "pixel rows"),
            "quality": ("quality", "on the codec's own scale"),
            "bytes": ("encoded_size", "bytes of all that decode is given"),
            "bpp": ("bpp", BPP.protocol),
        }
        without = [name for name in metrics if own[name].isna().all()]
        for name in metrics:
            if name not in without:
                fields[name] = (names.get(name, name), manifest.metrics[name].protocol)
        for name, label in (("encode_seconds", "encoding_time"), ("decode_seconds", "decoding_time")):
            if own[name].notna().all():
                fields[name] = (label, _SECONDS[name])
        usable = own.dropna(subset=list(fields))
        if own.empty:
            continue  # every trial failed
        if usable.empty:
            raise BenchmarkError(
                f"{codec}: no image has a value of each of {', '.join(name for name in fields if name in metrics)}, as "
                "--format codec-compare needs; --format csv has the values that there are"
            )
        constants = {
            "name": ("name of this batch", codec),
            "codec": ("codec spec", codec),
            "version": ("the codec's description of itself", json.dumps(record.description, ensure_ascii=False)),
            "time": ("when the run was started", manifest.started[:19]),
            "bits": ("how they came about", WORDS[record.bits]),
            "source data set": ("name and fingerprint of the data set", dataset_label(manifest)),
        }
        if without:
            constants["metrics left out"] = ("no image has a value of them", ", ".join(without))
        wanted = len(manifest.dataset.pictures) * len(record.qualities)
        if len(usable) < wanted:
            reason = "failed, or a metric has no value, as an infinite PSNR"
            constants["left out"] = (reason, f"{wanted - len(usable)} of {wanted} images at a quality")
        document = {
            "constant_descriptions": [{name: what} for name, (what, _) in constants.items()],
            "constant_values": [value for _, value in constants.values()],
            "field_descriptions": [{label: what} for label, what in fields.values()],
            "field_values": [[_plain(value) for value in row] for row in usable[list(fields)].itertuples(index=False)],
        }
        documents[f"{record.label}.json"] = document
    written = [_write_json(output / name, document) for name, document in documents.items()]
    return [*written, _write_json(output / "batches.json", [[name] for name in documents])]


def csv(folder: RunFolder, output: Path) -> list[Path]:
    """One CSV in long form, LONG_COLUMNS: a line a value, with its protocol; distances between sets have no image."""
    return [_write(output, _csv_text(long_table(folder)))]


def parquet(folder: RunFolder, output: Path) -> list[Path]:
    """The table of `csv` as Parquet."""
    try:
        import polars
    except ImportError:
        raise BenchmarkError(needs("--format parquet", "polars")) from None
    table = long_table(folder)
    columns = {name: [None if pd.isna(cell) else cell for cell in table[name]] for name in LONG_COLUMNS}
    buffer = io.BytesIO()
    polars.DataFrame(columns, schema_overrides={"decoder_seed": polars.Int64}).write_parquet(buffer)
    write_file(output, buffer.getvalue(), parents=True)
    return [output]


FORMATS: dict[str, Callable[[RunFolder, Path], list[Path]]] = {
    "compressai": compressai,
    "benchmark-xl": benchmark_xl,
    "codec-compare": codec_compare,
    "csv": csv,
    "parquet": parquet,
}
FOLDERS = ("compressai", "codec-compare")
"""The formats that are a folder of files."""


def long_table(folder: RunFolder) -> pd.DataFrame:
    """A row a value, in the manifest's order; LONG_COLUMNS. Values of sets are those of the summary."""
    manifest = folder.manifest
    dataset = dataset_label(manifest)
    frame = folder.frame()
    frame = frame[frame["error"].isna()]
    records = {"bpp": BPP} | {name: manifest.metrics[name] for name in _image_metrics(folder)}
    parts = []
    for name, record in records.items():
        part = frame[["codec", "quality", "decoder_seed", "image"]].copy()
        part["metric"], part["protocol"], part["value"] = name, record.protocol, frame[name]
        part["unit"], part["higher_is_better"] = record.unit, record.higher_is_better
        parts.append(part)
    for name, what in _SECONDS.items():
        part = frame[["codec", "quality", "decoder_seed", "image"]].copy()
        part["metric"], part["protocol"], part["value"] = name, what, frame[name]
        part["unit"], part["higher_is_better"] = "s", False
        parts.append(part)
    summary = read_summary(folder.path)
    of_sets = summary[summary["aggregation"] == "set"].assign(image="")
    of_sets["decoder_seed"] = pd.array([pd.NA] * len(of_sets), dtype="Int64")
    parts.append(of_sets[[name for name in LONG_COLUMNS if name != "dataset"]])
    table = pd.concat([part for part in parts if not part.empty], ignore_index=True)
    return table[table["value"].notna()].assign(dataset=dataset)[list(LONG_COLUMNS)].reset_index(drop=True)


def _csv_text(table: pd.DataFrame) -> str:
    """As CSV; a name that a spreadsheet would run as a formula has a "'" before it."""
    safe = table.copy()
    for name in table:
        if table[name].dtype == object or pd.api.types.is_string_dtype(table[name]):
            safe[name] = table[name].map(lambda cell: spreadsheets.cell(cell) if isinstance(cell, str) else cell)
    return safe.rename(columns=spreadsheets.cell).to_csv(index=False, lineterminator="\n")


def _names(folder: RunFolder, tool: str) -> dict[str, str]:
    """Metric -> what the files of `tool` call it, where that is another name."""
    facts = {name: info_of(name, record) for name, record in folder.manifest.metrics.items()}
    return {name: info.elsewhere[tool] for name, info in facts.items() if tool in info.elsewhere}


def _image_metrics(folder: RunFolder) -> list[str]:
    return [name for name, record in folder.manifest.metrics.items() if record.kind != "set"]


def _per_image(folder: RunFolder) -> pd.DataFrame:
    """The successful trials as `RunFolder.frame` has them, mean over decoder seeds.

    As in the summary, an image counts if no seed's trial failed, and has a value if it has one at every seed.
    """
    frame = folder.frame()
    keys = ["codec", "quality", "image"]
    numbers = ["height", "width", "bytes", "bpp", *_image_metrics(folder), *_SECONDS]
    failed = frame["error"].notna().groupby([frame[key] for key in keys]).transform("any")
    groups = frame[~failed].groupby(keys, sort=False)[numbers]
    means = groups.mean()
    return means.where(groups.count().eq(groups.size(), axis="index")).reset_index()


def _plain(value: Any) -> Any:
    """JSON's own types; whole numbers as integers."""
    if isinstance(value, str):
        return value
    number = float(value)
    return int(number) if number.is_integer() else number


def _write_json(path: Path, document: Any) -> Path:
    return _write(path, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _write(path: Path, text: str) -> Path:
    write_file(path, text, parents=True)
    return path
