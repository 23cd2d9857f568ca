"""What a run that has ended gives: its summary, its plots, and what the user must hear. Its trials are read once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.analysis.codec_notes import codec_notes
from benchmark.analysis.groups import StoredGroups
from benchmark.analysis.summary import coverage_notes, drawable_metrics, undrawable_metrics, write_summary
from benchmark.reports.curves import draw_curves
from benchmark.results import RunFolder


@dataclass(frozen=True)
class Outcome:
    """summary: as `write_summary` has it. plots: paths of the files. notes: what the values leave out, a line each.

    failures: why trials failed, or a metric, a line per image and reason.
    """

    summary: pd.DataFrame
    plots: Sequence[Path]
    notes: Sequence[str]
    failures: Sequence[str]


def sum_up(folder: RunFolder, *, draw: bool = True, time_limit: float | None = None) -> Outcome:
    """Writes summary.csv of the run, and its plots if `draw`. time_limit: seconds that a call of a distance of the
    user's own may take. Raises as `write_summary` does."""
    groups = StoredGroups(folder)
    broken: list[str] = []
    frame = write_summary(folder, groups, broken, time_limit)
    finite = set(drawable_metrics(frame))
    drawable = [name for name in folder.manifest.metrics if name in finite]
    plots = draw_curves([frame], drawable, folder.path / "plots") if draw and drawable else []
    without = undrawable_metrics(frame)
    undrawn = [f"{name}: no plot; {without[name]}" for name in folder.manifest.metrics if name in without]
    notes = [*coverage_notes(folder.manifest, groups), *undrawn, *codec_notes(folder.manifest)]
    return Outcome(frame, plots, notes, [*groups.failures, *broken])
