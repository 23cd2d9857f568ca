"""What plots and tables are made of: summaries, and where they need them the numbers of single images."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.analysis.baseline import Baseline, read_numbers
from benchmark.analysis.comparable import codec_labels
from benchmark.analysis.summary import COLUMNS, MEAN, SCHEMA_VERSION, SET, drawable_metrics, read_summary, typed
from benchmark.errors import UsageError
from benchmark.results import RunFolder
from benchmark.statistics.intervals import mean_estimate


@dataclass(frozen=True)
class Inputs:
    """summaries: frames as `benchmark.analysis.summary` makes them. numbers: of the same runs; empty if not asked.

    folder: of the first run, or in which its file is. protocols: of each run folder, the paper's it was made under.
    """

    summaries: tuple[pd.DataFrame, ...]
    numbers: tuple[Baseline, ...]
    folder: Path
    protocols: tuple[str | None, ...] = ()

    @property
    def codecs(self) -> list[str]:
        """As plots and tables know them: a second run's codec of the same label is "hfd (run 2)"."""
        return list(dict.fromkeys(label for labels in codec_labels(self.summaries) for label in labels.values()))

    @property
    def metrics(self) -> list[str]:
        """Those that every summary has a value of, bits per pixel aside. Raises UsageError if there is none."""
        return self._common([dict.fromkeys(frame.loc[frame["value"].notna(), "metric"]) for frame in self.summaries])

    @property
    def drawable(self) -> list[str]:
        """Those of `metrics` that plots can show for every summary. Raises UsageError if there is none."""
        return self._common([drawable_metrics(frame) for frame in self.summaries], " that can be drawn")

    @staticmethod
    def _common(of_runs: Sequence[Collection[str]], which: str = "") -> list[str]:
        names = [str(name) for name in of_runs[0] if name != "bpp" and all(name in others for others in of_runs)]
        if not names:
            raise UsageError(f"the runs have no metric in common{which}; --metric names one")
        return names


def read_inputs(paths: Sequence[Path], *, with_numbers: bool = False) -> Inputs:
    """The runs at `paths`: run folders, baseline files (JSON) or summaries (CSV).

    with_numbers: the values of single images too, which a CSV does not hold; UsageError says so. Raises BenchmarkError
    where nothing can be read.
    """
    if not paths:
        raise UsageError("name at least one run")
    summaries, numbers = [], []
    for path in paths:
        if path.suffix == ".csv" and with_numbers and not path.is_dir():
            raise UsageError(
                f"{path}: a summary has no values of single images, and paired differences are made of them; "
                "name the run folder or a baseline file"
            )
        baseline = read_numbers(path) if with_numbers or (path.suffix == ".json" and not path.is_dir()) else None
        if baseline is not None:
            numbers.append(baseline)
        summaries.append(read_summary(path) if baseline is None or path.is_dir() else summary_of(baseline))
    folder = paths[0] if paths[0].is_dir() else paths[0].parent
    protocols = tuple(RunFolder.open(path).manifest.protocol for path in paths if path.is_dir())
    return Inputs(tuple(summaries), tuple(numbers) if with_numbers else (), folder, protocols)


def summary_of(baseline: Baseline) -> pd.DataFrame:
    """The headline rows of a summary, from a baseline's seven digits; where there is no value, there is no row."""
    rows: list[list[object]] = []
    for point in baseline.points:
        for name, record in baseline.metrics.items():
            estimate = baseline.estimate(point, name)
            if estimate is None:
                continue
            of_set = record.kind == "set"
            seeds = baseline.replicates(point, name, baseline.images_with(point, name))
            per_seed = seeds.per_seed if seeds is not None else np.empty(0)
            rows.append([baseline.label, point.codec, point.quality, name, record.protocol])
            rows[-1] += [estimate.value, estimate.stderr, estimate.ci_low, estimate.ci_high]
            rows[-1] += [mean_estimate(per_seed).stderr if per_seed.size else np.nan]
            rows[-1] += [len(baseline.images_with(point, name))]
            rows[-1] += [point.sets[name].n_patches if of_set else None, SET if of_set else MEAN]
            facts = baseline.facts(name)
            rows[-1] += [record.unit, record.higher_is_better, facts.title, facts.signed, facts.scale, SCHEMA_VERSION]
    return typed(pd.DataFrame(rows, columns=list(COLUMNS)))
