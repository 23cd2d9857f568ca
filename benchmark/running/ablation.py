"""Ablations of the score-based decoders: which settings are varied, and what a run of them says.

All variants decode the same bytes, so nothing but the setting differs between two points of a line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.errors import UsageError

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Study:
    """One question: a setting, its values, and the lines that are drawn over it.

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
            "diffusion, ancestral": "decoder=diffusion",
            "diffusion, DDIM": "decoder=diffusion,sampler=ddim",
        },
        (1, 2, 4, 8, 16, 64),
    ),
    "noise": Study(
        "noise",
        "How much noise should be injected while sampling?",
        (0, 0.2, 0.4, 0.6, 0.8, 1),
        {"flow: deviation of the start": "decoder=flow", "diffusion: between the bounds": "decoder=diffusion"},
        (0, 0.5, 1),
    ),
    "shift": Study(
        "shift",
        "On which noise schedule should the diffusion be sampled?",
        (0.125, 0.25, 0.5, 1, 2),
        {"diffusion, ancestral": "decoder=diffusion", "diffusion, DDIM": "decoder=diffusion,sampler=ddim"},
        (0.25, 0.5, 1),
    ),
    "realism": Study(
        "realism",
        "What does the dial from the mean to a full sample trade?",
        (0, 0.2, 0.4, 0.6, 0.8, 1),
        {"flow": "decoder=flow", "diffusion": "decoder=diffusion"},
        (0, 0.25, 0.5, 0.75, 1),
    ),
}


def choose_studies(names: Sequence[str]) -> dict[str, Study]:
    """The studies called `names`, all for none. Raises UsageError on an unknown one."""
    for name in names:
        if name not in STUDIES:
            raise UsageError(f"there is no study {name!r}; there are {', '.join(STUDIES)}")
    return {name: STUDIES[name] for name in names or STUDIES}


def variants_of(studies: Mapping[str, Study], full: bool) -> list[str]:
    """The codec specs of all studies, each once, and `mse`, whose x̂ they start from."""
    specs = [spec for study in studies.values() for spec in study.variants(full)]
    return ["mse", *dict.fromkeys(specs)]


def table_of(study: Study, summary: "pandas.DataFrame", full: bool) -> "pandas.DataFrame":
    """The rows of a run's summary that belong to `study`, with the columns `line` and `setting` in front.

    Rows of `mse` stay, with the line "x̂" and no value of the setting: all lines start there.
    """
    variants = study.variants(full)
    rows = summary[summary["codec"].isin([*variants, "mse"])].copy()
    rows.insert(0, "line", [variants[codec][0] if codec in variants else "x̂" for codec in rows["codec"]])
    rows.insert(1, "setting", [variants[codec][1] if codec in variants else None for codec in rows["codec"]])
    return rows
