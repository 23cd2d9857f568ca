"""Ablations of the score-based decoders: which settings are varied, and what a run of them says.

All variants decode the same bytes, so nothing but the setting differs between two points of a line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import write_file
from benchmark.reports.ablations import draw_study
from benchmark.reports.outcome import sum_up
from benchmark.results import RunFolder

if TYPE_CHECKING:
    import pandas


class Ablation(Protocol):
    """One question and the codecs that answer it."""

    @property
    def question(self) -> str:
        """As it stands over the plot."""
        ...

    def variants(self, full: bool) -> dict[str, tuple[str, float]]:
        """Codec spec -> its line and its value of the setting."""
        ...


@dataclass(frozen=True)
class Study:
    """A setting that is varied while sampling, its values, and the lines that are drawn over it.

    lines: name of each line -> settings that it has beside the varied one.
    """

    setting: str
    question: str
    values: Sequence[float]
    lines: Mapping[str, str]
    quick: Sequence[float]

    def variants(self, full: bool) -> dict[str, tuple[str, float]]:
        """Codec spec -> its line and its value of the setting."""
        return {
            f"hfd:{fixed},{self.setting}={value:g}": (line, value)
            for line, fixed in self.lines.items()
            for value in (self.values if full else self.quick)
        }


STUDIES = {
    "steps": Study(
        "steps",
        "How many network evaluations does each decoder need?",
        (1, 2, 3, 4, 6, 8, 16, 32, 64),
        {
            "flow, Euler": "decoder=flow",
            "diffusion, ancestral": "decoder=diffusion,realism=1",
            "diffusion, DDIM": "decoder=diffusion,sampler=ddim,realism=1",
        },
        (1, 2, 4, 8, 16, 32, 64),
    ),
    "noise": Study(
        "noise",
        "How much noise should be injected while sampling?",
        (0, 0.2, 0.4, 0.6, 0.8, 1),
        {
            "flow: deviation of the start": "decoder=flow",
            "diffusion: between the bounds": "decoder=diffusion,realism=1",
            "noise baseline: x̂ and noise alone": "decoder=diffusion,sampler=noise",
        },
        (0, 0.2, 0.4, 0.7, 1),
    ),
    "shift": Study(
        "shift",
        "On which noise schedule should the diffusion be sampled?",
        (0.125, 0.25, 0.5, 1, 2),
        {
            "diffusion, ancestral": "decoder=diffusion,realism=1",
            "diffusion, DDIM": "decoder=diffusion,sampler=ddim,realism=1",
        },
        (0.25, 0.5, 1),
    ),
    "realism": Study(
        "realism",
        "What does realism trade, from the mean to a full sample?",
        (0, 0.2, 0.4, 0.6, 0.8, 1),
        {
            "flow": "decoder=flow",
            "diffusion": "decoder=diffusion",
            "one-step": "decoder=one-step",
        },
        (0, 0.25, 0.5, 0.75, 1),
    ),
}


@dataclass(frozen=True)
class TrainedStudy:
    """Decoders that were trained with different values of a setting: a weights file for each."""

    question: str
    line: str
    files: Mapping[str, float]

    def variants(self, full: bool) -> dict[str, tuple[str, float]]:
        """All files, `full` or not."""
        return {spec: (self.line, value) for spec, value in self.files.items()}


TRAINED = {
    "flow": ("kappa", "Should the flow start from x̂ or from noise? κ of the training, in units of x̂'s error"),
    "diffusion": ("shift", "On which noise schedule should the diffusion be trained? s of x̂'s error"),
}
"""Kind of decoder -> the setting of its training that is studied, and the question. In units of x̂'s error a start from
noise that drowns the image is a large κ, and the cosine schedule of the image itself a large s: the ratio of the
image's deviation to that of x̂'s error, about 4 at 0.2 bpp."""


def choose_studies(names: Sequence[str], weights: Sequence[Path] = ()) -> dict[str, Ablation]:
    """The studies called `names` and those of `weights`; all the former if neither is given.

    Raises UsageError on an unknown name.
    """
    for name in names:
        if name not in STUDIES:
            raise UsageError(f"there is no study {name!r}; there are {', '.join(STUDIES)}")
    chosen: dict[str, Ablation] = {}
    chosen.update({name: STUDIES[name] for name in names or (() if weights else STUDIES)})
    chosen.update(trained_studies(weights))
    return chosen


def trained_studies(files: Sequence[Path]) -> dict[str, TrainedStudy]:
    """A study of the flows among the weights files and one of the diffusions: "trained-kappa", "trained-shift".

    Raises BenchmarkError on a file that is no decoder's.
    """
    from benchmark.hfd.weights import kind_of, read_weights

    found: dict[str, dict[str, float]] = {}
    for path in files:
        kind = kind_of(path)
        if kind not in TRAINED:
            raise BenchmarkError(
                f"{path} holds {kind or 'unnamed'!r} weights, not a score-based decoder's with kappa or shift"
            )
        _, configuration, _ = read_weights(path, kind)
        value = float(configuration[TRAINED[kind][0]])
        found.setdefault(kind, {})[f"hfd:decoder={kind},weights={path}"] = value
    return {
        f"trained-{TRAINED[kind][0]}": TrainedStudy(TRAINED[kind][1], kind, variants)
        for kind, variants in found.items()
    }


def variants_of(studies: Mapping[str, Ablation], full: bool) -> list[str]:
    """The codec specs of all studies, each once, and `mse`, whose x̂ they start from."""
    specs = [spec for study in studies.values() for spec in study.variants(full)]
    return ["mse", *dict.fromkeys(specs)]


def table_of(study: Ablation, summary: "pandas.DataFrame", full: bool) -> "pandas.DataFrame":
    """The rows of a run's summary that belong to `study`, with the columns `line` and `setting` in front.

    Rows of `mse` stay, with the line "x̂" and no value of the setting: all lines start there.
    """
    variants = study.variants(full)
    rows = summary[summary["codec"].isin([*variants, "mse"])].copy()
    rows.insert(0, "line", [variants[codec][0] if codec in variants else "x̂" for codec in rows["codec"]])
    rows.insert(1, "setting", [variants[codec][1] if codec in variants else None for codec in rows["codec"]])
    return rows


def write_studies(folder: RunFolder, studies: Mapping[str, Ablation], full: bool) -> tuple[list[Path], Sequence[str]]:
    """Writes the summary of a run, and a table and a figure per study into its folder `ablations`.

    Returns the paths, and why trials failed, a line per image and reason.
    """
    outcome = sum_up(folder, draw=False)
    written = []
    for name, study in studies.items():
        table = table_of(study, outcome.summary, full)
        path = folder.path / "ablations" / f"{name}.csv"
        write_file(path, table.to_csv(index=False), parents=True)
        written += [path, *draw_study(name, study.question, table, list(folder.manifest.metrics), path.parent)]
    return written, outcome.failures
