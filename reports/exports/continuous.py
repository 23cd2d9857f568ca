"""A run's headline numbers for services that follow numbers over commits: github-action-benchmark and Bencher."""

import json
import math
from pathlib import Path
from typing import Any

from benchmark.analysis.baseline import Baseline, Point
from benchmark.files import make_folder, write_file
from benchmark.results import quality_name


def github_action_benchmark(baseline: Baseline, *, bigger_is_better: bool) -> list[dict[str, Any]]:
    """Entries for one of the tool's two files, "customBiggerIsBetter" or "customSmallerIsBetter".

    The tool compares ratios, so only positive values have an entry; metrics that may be negative have none.
    """
    entries = []
    for point in baseline.points:
        for metric, record in baseline.metrics.items():
            if record.higher_is_better is not bigger_is_better or baseline.facts(metric).signed:
                continue
            found = baseline.estimate(point, metric)
            if found is None or found.value <= 0:
                continue
            entry = {"name": f"{_label(point)} {metric}", "unit": record.unit or metric, "value": found.value}
            if not math.isnan(found.ci_high):
                entry["range"] = f"± {(found.ci_high - found.ci_low) / 2:.3g}"
            count = len(baseline.images_with(point, metric))
            entry["extra"] = f"{baseline.label}, {count} images\n{record.protocol}"
            entries.append(entry)
    return entries


def bencher(baseline: Baseline) -> dict[str, dict[str, dict[str, float]]]:
    """Bencher's metric format: {benchmark: {measure: {value, lower_value, upper_value}}}."""
    document: dict[str, dict[str, dict[str, float]]] = {}
    for point in baseline.points:
        measures = {}
        for metric in baseline.metrics:
            found = baseline.estimate(point, metric)
            if found is None:
                continue
            measures[metric] = {"value": found.value}
            if not math.isnan(found.ci_high):
                measures[metric] |= {"lower_value": found.ci_low, "upper_value": found.ci_high}
        if measures:
            document[_label(point)] = measures
    return document


def _label(point: Point) -> str:
    return f"{point.codec} quality {quality_name(point.quality)}"


def write_github_action_benchmark(baseline: Baseline, folder: Path) -> list[Path]:
    """Writes smaller-is-better.json and bigger-is-better.json into `folder`, for the tool's two directions."""
    make_folder(folder)
    paths = []
    for bigger, name in ((False, "smaller-is-better.json"), (True, "bigger-is-better.json")):
        entries = github_action_benchmark(baseline, bigger_is_better=bigger)
        paths.append(folder / name)
        write_file(paths[-1], _json(entries))
    return paths


def write_bencher(baseline: Baseline, path: Path) -> None:
    """Writes Bencher's JSON."""
    write_file(path, _json(bencher(baseline)), parents=True)


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
