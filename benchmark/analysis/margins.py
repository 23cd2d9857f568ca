"""What the gate tolerates: margins and tolerances, from `[tool.benchmark.gate]` in pyproject.toml.

[tool.benchmark.gate]
alpha = 0.05                                  # over the whole family of numbers
margin = { lpips = "2 %", kd-effnet = 0.003 } # a loss up to this is not worse: relative, or in the metric's unit
tolerance = { bpp = "0.1 %", psnr = 0.01 }    # of numbers without chance: bits, PSNR of deterministic codecs
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError

from benchmark.errors import UsageError
from benchmark.results import Record

RATE_DIFFERENCE = "bd-rate"
SECONDS = "seconds"


@dataclass(frozen=True)
class Margin:
    """size: a share if `relative`, else in the metric's unit."""

    size: float
    relative: bool

    def __str__(self) -> str:
        return f"{100 * self.size:g} %" if self.relative else f"{self.size:g}"


def _margin(value: object) -> Margin:
    if isinstance(value, Margin):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return Margin(float(value), relative=False)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{value!r} is neither a number of at least 0 nor a share such as "2 %"')
    return Margin(float(match[1]) / 100, relative=True)


Margins = dict[str, Annotated[Margin, BeforeValidator(_margin)]]

NO_RATIO = ("kd-effnet", "kd-effnet-paired", "kid")
"""Distances that may be 0 or negative: a share of them means nothing."""

MARGIN = {
    "bpp": Margin(0.005, True),
    "psnr": Margin(0.1, False),
    "ms_ssim": Margin(0.001, False),
    "lpips": Margin(0.02, True),
    "lpips-vgg": Margin(0.02, True),
    "fd-effnet": Margin(0.03, True),
    "fid": Margin(0.03, True),
    "kd-effnet": Margin(0.003, False),
    "kd-effnet-paired": Margin(0.003, False),
    "kid": Margin(0.0005, False),
    RATE_DIFFERENCE: Margin(1.0, False),
    SECONDS: Margin(0.25, True),
}
"""By metric; `bd-rate` in per cent of rate, at equal values of any metric; `seconds` of encode and decode."""

TOLERANCE = {"bpp": Margin(0.001, True), "psnr": Margin(0.01, False)}
"""Of numbers without chance. Metrics that are not named have none, and are tested with their margin."""


class Gate(Record):
    """The settings of the gate. A table in pyproject.toml adds to and overrides the defaults, name by name."""

    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="chance of one wrong claim, over the whole family")
    margin: Margins = Field(default_factory=dict, description="metric: largest loss that is not worse")
    tolerance: Margins = Field(default_factory=dict, description="metric: of numbers without chance")

    def margin_of(self, metric: str) -> Margin | None:
        """Of the metric as named, patches included, or else of the metric without them; None if it is not gated."""
        return _of(metric, self.margin, MARGIN)

    def tolerance_of(self, metric: str) -> Margin | None:
        return _of(metric, self.tolerance, TOLERANCE)


def _of(metric: str, *tables: dict[str, Margin]) -> Margin | None:
    for name in (metric, metric.partition("@")[0]):
        for table in tables:
            if name in table:
                return table[name]
    return None


def read_gate(path: Path | None) -> Gate:
    """The settings in `path`, or in pyproject.toml of the current folder; the defaults where that has none.

    Raises UsageError if a named file has no table, and on a table with unknown names or values.
    """
    file = path or Path("pyproject.toml")
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if path is None:
            return Gate()
        raise UsageError(f"--gate {path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from None
    table = tables.get("tool", {}).get("benchmark", {}).get("gate")
    if table is None:
        if path is None:
            return Gate()
        raise UsageError(f"--gate {path}: it has no table [tool.benchmark.gate]")
    try:
        gate = Gate.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{file}, [tool.benchmark.gate]: {where}: {first['msg']}") from None
    for name, margin in gate.margin.items():
        if margin.relative and name.partition("@")[0] in NO_RATIO:
            raise UsageError(f"{file}, [tool.benchmark.gate]: {name} may be 0 or negative, so its margin is no share")
        if margin.relative and name == RATE_DIFFERENCE:
            raise UsageError(f"{file}, [tool.benchmark.gate]: {name} is in per cent already; write 1.0 for 1 %")
    return gate
