"""What a page says: one plain structure, made from runs, that the page's scripts draw. Numbers and text alone."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis.baseline import Baseline, Point, baseline_of_run
from benchmark.analysis.comparable import one_dataset, one_protocol, run_labels
from benchmark.analysis.comparison import Comparison, compare
from benchmark.analysis.groups import StoredGroups
from benchmark.analysis.margins import Gate
from benchmark.analysis.summary import HEADLINES, ORIGINALS, coverage_notes, read_summary
from benchmark.errors import BenchmarkError
from benchmark.protocols import references_of
from benchmark.reconstructions import mark_notes
from benchmark.reports.anchors import fitting_curves
from benchmark.reports.comparison import HEADERS, cells_of, lines_of, ordered, verdict
from benchmark.reports.explanation import explain, protocol_words
from benchmark.reports.styles import PUBLISHED_STYLES, Style, codec_styles
from benchmark.results import RunFolder, quality_name
from benchmark.statistics.paired import influence, paired_difference, paired_estimate

# matplotlib's markers -> plotly's symbols
_SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down", "D": "diamond", "P": "cross", "X": "x",
    "p": "pentagon", "<": "triangle-left", ">": "triangle-right", "d": "diamond-tall", "h": "hexagon", "*": "star",
    "8": "octagon", "": "circle",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A run that the page shows. number: from 1. labels: codec -> how the page calls it; the codecs shown anew.

    summary: the headlines. originals: what metrics without a reference say of the originals.
    """

    folder: RunFolder
    number: int
    numbers: Baseline
    summary: pd.DataFrame
    originals: pd.DataFrame
    labels: dict[str, str]


def read_sources(paths: Sequence[Path]) -> list[Source]:
    """The runs at `paths`. Raises NotComparable if data sets or protocols differ, BenchmarkError on a part of a run."""
    folders = [RunFolder.open(path) for path in paths]
    numbers = [baseline_of_run(folder) for folder in folders]
    whole = [read_summary(path) for path in paths]
    summaries = [_headlines(summary) for summary in whole]
    originals = [summary[summary["aggregation"] == ORIGINALS] for summary in whole]
    one_dataset(summaries)
    joined = pd.concat(summaries, ignore_index=True)
    for metric in dict.fromkeys(joined["metric"]):
        one_protocol(joined, str(metric))
    labels = run_labels(summaries)
    return [
        Source(folder, index + 1, numbers[index], summaries[index], originals[index], labels[index])
        for index, folder in enumerate(folders)
    ]


def _headlines(summary: pd.DataFrame) -> pd.DataFrame:
    return summary[summary["aggregation"].isin(HEADLINES)]


def content(sources: Sequence[Source], gate: Gate) -> dict[str, Any]:
    """All but the images, which `benchmark.reports.page.report` adds: see the keys below."""
    first = sources[0].numbers
    styles = codec_styles(label for source in sources for label in source.labels.values())
    codecs = [
        _codec(source, codec, label, styles[label]) for source in sources for codec, label in source.labels.items()
    ]
    metrics = _metrics(sources)
    points = [
        _point(source, point, [codec["label"] for codec in codecs].index(source.labels[point.codec]))
        for source in sources
        for point in source.numbers.points
        if point.codec in source.labels
    ]
    return {
        "dataset": {
            "name": first.dataset.name,
            "fingerprint": first.dataset.fingerprint,
            "preparation": first.dataset.preparation,
        },
        "metrics": metrics,
        "codecs": codecs,
        "pixels": first.pixels,
        "points": points,
        "pairs": _pairs(sources, points),
        "published": _published(sources, metrics),
        "verdict": _verdict(sources, gate),
        "runs": [_run(source) for source in sources],
        "notices": [
            *mark_notes(label for source in sources for label in source.labels.values()),
            *(
                f"{f'run {source.number}: ' if len(sources) > 1 else ''}{note}"
                for source in sources
                for note in coverage_notes(source.folder.manifest, StoredGroups(source.folder))
            ),
        ],
    }


def _metrics(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """bpp first, then in the order of the runs; all facts that the page's scripts use.

    originals: what a metric without a reference says of the originals, null for others.
    """
    found = {
        name: (source.numbers.facts(name), record)
        for source in sources
        for name, record in source.numbers.metrics.items()
    }
    return [
        {
            "name": name,
            "title": info.title,
            "unit": info.unit,
            "shown_unit": info.shown_unit,
            "higher": info.higher_is_better,
            "kind": info.kind,
            "signed": info.signed,
            "scale": info.scale,
            "aspect": info.aspect,
            "originals": _originals(sources, name),
            "protocol": record.protocol,
            "words": [f"{part}: {words}" for part, words in protocol_words(info, record.protocol)],
        }
        for name, (info, record) in found.items()
    ]


def _originals(sources: Sequence[Source], metric: str) -> float | None:
    """Over the most images, where not all points are over the same."""
    joined = pd.concat([source.originals for source in sources], ignore_index=True)
    rows = joined[(joined["metric"] == metric) & joined["value"].notna()].sort_values("n_images", kind="stable")
    return float(rows["value"].iloc[-1]) if len(rows) else None


def _codec(source: Source, codec: str, label: str, style: Style) -> dict[str, Any]:
    return {
        "label": label,
        "run": source.number,
        "stochastic": source.numbers.codecs[codec].stochastic,
        "color": style.color,
        "symbol": _SYMBOLS[style.marker] + ("" if style.filled else "-open"),
        "dash": _dash(style),
    }


def _dash(style: Style) -> str:
    """As plotly writes it; dashes are in line widths, of which the page's are 2 pixels."""
    return ",".join(f"{2 * part:g}px" for part in style.dashes) or "solid"


def _point(source: Source, point: Point, codec: int) -> dict[str, Any]:
    """values: headline numbers, as the summary has them. infinite: metric -> on how many images it is, if on any.
    images, influence: a list a metric, an entry an image."""
    numbers = source.numbers
    places = {name: index for index, name in enumerate(numbers.images)}
    rows = source.summary[(source.summary["codec"] == point.codec) & (source.summary["quality"] == point.quality)]
    values = {
        str(row["metric"]): {
            "value": row["value"],
            "low": row["ci_low"],
            "high": row["ci_high"],
            "seeds": row["stderr_seed"],
            "images": int(row["n_images"]),
            "patches": None if pd.isna(row["n_patches"]) else int(row["n_patches"]),
        }
        for row in rows.to_dict("records")
    }
    return {
        "codec": codec,
        "quality": point.quality,
        "name": quality_name(point.quality),
        "values": values,
        "infinite": {name: count for name in numbers.metrics if (count := len(numbers.infinite_images(point, name)))},
        "bytes": point.bytes,
        "images": point.metrics,
        "influence": {
            name: influences for name in point.sets if (influences := _influence(numbers, point, name)) is not None
        },
        "failed": {str(places[image]): why for image, why in point.failed.items()},
    }


def _influence(numbers: Baseline, point: Point, metric: str) -> list[float | None] | None:
    """How much each image moves the distance; None where that is not known."""
    images = numbers.images_with(point, metric)
    found = numbers.replicates(point, metric, images)
    if found is None or len(images) < 2:
        return None
    spread: list[float | None] = [None] * len(numbers.images)
    for index, value in zip(images, influence(found.value, found.without), strict=True):
        spread[index] = float(value)
    return spread


def _pairs(sources: Sequence[Source], shown: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Paired differences of each point to the point of each other codec that is nearest to it in bits per pixel.

    a, b: places in `shown`; differences: metric -> a − b, its 95 % interval, number of images.
    """
    there = [(source, point) for source in sources for point in source.numbers.points if point.codec in source.labels]
    rates = [float(entry["values"].get("bpp", {}).get("value", math.nan)) for entry in shown]
    codecs = list(dict.fromkeys(entry["codec"] for entry in shown))
    pairs = []
    for a, entry in enumerate(shown):
        for codec in codecs:
            others = [b for b, other in enumerate(shown) if other["codec"] == codec and rates[b] > 0]
            if codec == entry["codec"] or not others or not rates[a] > 0:
                continue
            b = min(others, key=lambda other: abs(math.log(rates[other] / rates[a])))
            pairs.append({"a": a, "b": b, "differences": _differences(there[a], there[b])})
    return pairs


def _differences(one: tuple[Source, Point], other: tuple[Source, Point]) -> dict[str, dict[str, float]]:
    (source, point), (other_source, other_point) = one, other
    found = {}
    for metric in source.numbers.metrics:
        if metric not in other_source.numbers.metrics:
            continue
        common = set(other_source.numbers.images_with(other_point, metric))
        images = [index for index in source.numbers.images_with(point, metric) if index in common]
        new = source.numbers.replicates(point, metric, images)
        base = other_source.numbers.replicates(other_point, metric, images)
        if new is None or base is None:
            continue
        estimate = paired_estimate(paired_difference(base, new))
        ends = {"low": estimate.ci_low, "high": estimate.ci_high}
        found[metric] = {"value": estimate.value, **ends, "images": len(images)}
    return found


def _published(sources: Sequence[Source], metrics: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Metric -> the published curves that may stand beside the measured ones."""
    joined = pd.concat([source.summary for source in sources], ignore_index=True)
    rate_protocol = one_protocol(joined, "bpp")
    papers = {source.folder.manifest.protocol for source in sources}
    references = references_of(papers) if len(papers) == 1 else ()  # of different protocols, none fits all
    found = {}
    for metric in metrics:
        rows = joined[(joined["metric"] == metric["name"]) & joined["value"].notna()]
        if metric["name"] == "bpp" or rows.empty:
            continue
        images = int(rows["n_images"].min()), int(rows["n_images"].max())
        label = str(joined["dataset"].iloc[0])
        measured = images, metric["name"], metric["protocol"], rate_protocol
        curves, _ = fitting_curves((), label, *measured, references)
        if curves:
            found[metric["name"]] = [
                {
                    "label": curve.label,
                    "bpp": curve.bpp,
                    "value": curve.value,
                    "reference": curve.reference,
                    "remark": curve.remark,
                    "dash": _dash(PUBLISHED_STYLES[curve.kind]),
                }
                for curve in curves
            ]
    return found


# Verdict


def _verdict(sources: Sequence[Source], gate: Gate) -> dict[str, Any] | None:
    """Of two runs, the first of which is the base; else None. reason: why there is none, else empty."""
    if len(sources) != 2:
        return None
    try:
        comparison = compare(sources[0].numbers, sources[1].numbers, gate)
    except BenchmarkError as error:
        return {"reason": str(error)}
    summary, *lines = lines_of(comparison)
    return {
        "reason": "",
        "verdict": verdict(comparison, strict=False),
        "summary": summary,
        "lines": lines,
        "headers": list(HEADERS),
        "rows": _rows(sources, comparison),
        "moved": [
            {
                "image": comparison.base.images.index(move.image),
                "metric": move.metric,
                "change": move.change,
                "margins": move.margins,
                **_ends(sources, move.codec, move.quality),
            }
            for move in comparison.moved
        ],
    }


def _rows(sources: Sequence[Source], comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {
            "outcome": "not judged" if row.outcome is None else row.outcome.value,
            "cells": cells_of(row),
            "metric": row.metric,
            "higher": row.higher_is_better,
            **({} if row.quality is None else _ends(sources, row.codec, row.quality)),
        }
        for row in ordered(comparison)
    ]


def _ends(sources: Sequence[Source], codec: str, quality: float) -> dict[str, Any]:
    """base, new: (label, quality) of the points of both runs, as the page calls them."""
    labels = [source.labels.get(codec, codec) for source in sources]
    return {"base": [labels[0], quality_name(quality)], "new": [labels[1], quality_name(quality)]}


# How it was made


def _run(source: Source) -> dict[str, Any]:
    manifest = source.folder.manifest
    # the last start names what earlier ones did not
    command = manifest.resumptions[-1].command if manifest.resumptions else manifest.command
    folder = f"runs/{source.number}"
    return {
        "number": source.number,
        "name": source.folder.path.resolve().name,
        "command": shlex.join(command),
        "started": manifest.started,
        "kept": manifest.keep_reconstructions,
        "again": shlex.join([*_without_output(command), "--keep-reconstructions"]),
        "sections": [{"heading": heading, "sentences": sentences} for heading, sentences in explain(manifest)],
        "hashes": [{"name": picture.name, "sha256": picture.sha256} for picture in manifest.dataset.pictures],
        "downloads": [f"{folder}/{name}" for name in ("summary.csv", "trials.jsonl", "run.json")],
    }


def _without_output(command: Sequence[str]) -> list[str]:
    """`command` without its run folder, which is taken already."""
    kept: list[str] = []
    skip = False
    for word in command:
        if skip:
            skip = False
        elif word in ("-o", "--output"):
            skip = True
        elif not word.startswith("--output="):
            kept.append(word)
    return kept


def decimals_of(values: Sequence[float]) -> int:
    """So many that a typical value has four digits; five at most, unless it would have fewer than two digits."""
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes:
        return 3
    power = math.floor(math.log10(float(np.median(sizes))))
    return min(max(3 - power, 0), max(1 - power, 5), 100)  # 100: JavaScript's most
