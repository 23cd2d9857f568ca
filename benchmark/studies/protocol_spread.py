"""How far a number moves with its protocol: one codec of a finished run under several metrics that share a name.

The run needs its reconstructions; it is not changed, what is measured here goes into a copy that is removed.
"""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.analysis.baseline import baseline_of_run
from benchmark.analysis.set_values import check_unchanged
from benchmark.analysis.summary import write_summary
from benchmark.errors import UsageError
from benchmark.metrics import check_metric
from benchmark.results import RunFolder, quality_name
from benchmark.running.remeasure import open_measuring

RESIZES = ("fid", "fid-clean", "fid-pytorch", "fid-unresized")
"""FID's Inception fed in each way that packages feed it."""


def spread(run: Path, metrics: Sequence[str], codec: str = "", device: str = "cpu") -> pd.DataFrame:
    """Values of `metrics` for one codec of the run: a row per quality, a column per metric.

    codec: its label; empty for the run's first. Raises UsageError on an unknown codec or metric and on a run without
    reconstructions, BenchmarkError if a network's weights are missing.
    """
    folder = RunFolder.open(run)
    manifest = folder.manifest
    chosen = codec or next(iter(manifest.codecs))
    if chosen not in manifest.codecs:
        raise UsageError(f"no codec {chosen!r} is in {run}; there are {', '.join(manifest.codecs)}")
    for name in metrics:
        check_metric(name)
    check_unchanged(folder)
    with tempfile.TemporaryDirectory(prefix="benchmark-spread-") as temporary:
        copy = Path(temporary) / "run"
        shutil.copytree(run, copy, ignore=shutil.ignore_patterns("reconstructions", "plots", "tracebacks"))
        kept = run.resolve() / "reconstructions"
        if kept.is_dir():
            (copy / "reconstructions").symlink_to(kept)
        with open_measuring(copy, metrics, None, device) as measuring:
            for _ in measuring.execute():
                pass
        write_summary(RunFolder.open(copy))
        numbers = baseline_of_run(RunFolder.open(copy))
    rows = {}
    for point in numbers.of(chosen):
        found = {name: numbers.estimate(point, name) for name in metrics}
        rows[quality_name(point.quality)] = {
            name: float("nan") if estimate is None else estimate.value for name, estimate in found.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(metrics)).rename_axis("quality")


def spread_lines(table: pd.DataFrame) -> list[str]:
    """The table as text, and how far its columns lie apart at each quality, as a share of the smallest; that is left
    out where they are no ways to measure one thing, as psnr and fid."""
    lines = [f"{'quality':>10}" + "".join(f"{name:>{max(12, len(name) + 2)}}" for name in table.columns)]
    for quality, row in table.iterrows():
        lines.append(f"{quality!s:>10}" + "".join(f"{row[n]:>{max(12, len(n) + 2)}.4g}" for n in table.columns))
    known = table.dropna(axis="index", how="any")
    known = known[(known > 0).all(axis="columns")]
    families = {name.partition("@")[0].partition("-")[0] for name in table.columns}
    if len(table.columns) > 1 and len(families) == 1 and len(known):
        apart = float((known.max(axis="columns") / known.min(axis="columns") - 1).max())
        lines.append(f"The same reconstructions: by the protocol alone the number moves by up to {100 * apart:.0f} %.")
    return lines
