"""What a check of an audit says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "FAILED", "not done"]

ROUNDING_DB = 60.0
"""Two decodings on one machine that are nearer each other (PSNR) differ by rounding: by one level in 6 % of the
samples at most. A stream that was read wrongly differs by far more."""


@dataclass(frozen=True)
class Check:
    """A verdict. summary: one line. evidence: lines, the first things that were found."""

    name: str
    verdict: Verdict
    summary: str
    evidence: Sequence[str] = ()
