"""What the gate tolerates: margins and tolerances, from `[tool.benchmark.gate]` in pyproject.toml.

[tool.benchmark.gate]
alpha = 0.05                                  # over the whole family of numbers
margin = { lpips = "2 %", kd-effnet = 0.003 } # a loss up to this is not worse: relative, or in the metric's unit
tolerance = { bpp = "0.1 %", psnr = 0.01 }    # of numbers without chance: bits, PSNR of deterministic codecs
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from benchmark.errors import BenchmarkError, UsageError
from benchmark.metrics import Margin, MetricInfo, parse_margin, shipped_info
from benchmark.reading import brief, first_problem, read_text, shown
from benchmark.results import Record

RATE_DIFFERENCE = "bd-rate"
SECONDS = "seconds"


Margins = dict[str, Annotated[Margin, BeforeValidator(parse_margin)]]

MARGIN = {RATE_DIFFERENCE: Margin(1.0, False), SECONDS: Margin(0.25, True)}
"""Of what is no metric: `bd-rate` in per cent of rate, at equal values of any metric; `seconds` of encode and decode.
A metric's own default is a fact of it, `MetricInfo.margin`, and `MetricInfo.tolerance` where no chance is in it."""


class Gate(Record):
    """The settings of the gate. A table in pyproject.toml overrides what metrics say of themselves, name by name."""

    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="chance of one wrong claim, over the whole family")
    margin: Margins = Field(default_factory=dict, description="metric: largest loss that is not worse")
    tolerance: Margins = Field(default_factory=dict, description="metric: of numbers without chance")

    def margin_of(self, metric: str, facts: MetricInfo | None = None) -> Margin | None:
        """What the table says of the metric as named, patches included, or else of it without them, or else what the
        metric says of itself; None if it is not gated. facts: None for what is no metric.

        Raises UsageError on a share where values may be 0 or negative.
        """
        found = _of(metric, self.margin) or MARGIN.get(metric)
        if found is None and facts is not None and facts.margin is not None:
            found = parse_margin(facts.margin)
        if found is not None and found.relative and facts is not None and facts.signed:
            raise UsageError(f"[tool.benchmark.gate]: {_NO_SHARE.format(metric)}")
        return found

    def tolerance_of(self, metric: str, facts: MetricInfo) -> Margin | None:
        """The same of its tolerance."""
        found = _of(metric, self.tolerance)
        return found if found is not None or facts.tolerance is None else parse_margin(facts.tolerance)


_NO_SHARE = "{} may be 0 or negative, so its margin is no share"


def _of(metric: str, table: dict[str, Margin]) -> Margin | None:
    return table.get(metric, table.get(metric.partition("@")[0]))


def read_gate(path: Path | None) -> Gate:
    """The settings in `path`, or in pyproject.toml of the current folder; the defaults where that has none.

    Raises UsageError if a named file has no table, and on a table with unknown names or values.
    """
    file = path or Path("pyproject.toml")
    try:
        table: Any = tomllib.loads(read_text(file))
    except FileNotFoundError:
        if path is None:
            return Gate()
        raise UsageError(f"--gate {shown(path)}: there is no such file") from None
    except BenchmarkError as error:
        raise UsageError(str(error)) from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"{shown(file)}: cannot be read: {brief(error)}") from None
    for key in ("tool", "benchmark", "gate"):
        table = table.get(key)
        if table is None:
            if path is None:
                return Gate()
            raise UsageError(f"--gate {shown(path)}: it has no table [tool.benchmark.gate]")
        if not isinstance(table, dict):
            raise UsageError(f"{shown(file)}: {key} of [tool.benchmark.gate] is no table")
    try:
        gate = Gate.model_validate(table, strict=True)
    except ValidationError as error:
        raise UsageError(f"{shown(file)}, [tool.benchmark.gate]: {first_problem(error)}") from None
    for name in gate.tolerance:
        if name in MARGIN:
            raise UsageError(f"{file}, [tool.benchmark.gate]: {name} has chance in it, so a margin and no tolerance")
    for name, margin in gate.margin.items():
        info = shipped_info(name.partition("@")[0])
        if margin.relative and info is not None and info.signed:
            raise UsageError(f"{file}, [tool.benchmark.gate]: {_NO_SHARE.format(name)}")
        if margin.relative and name == RATE_DIFFERENCE:
            raise UsageError(f"{file}, [tool.benchmark.gate]: {name} is in per cent already; write 1.0 for 1 %")
    return gate
