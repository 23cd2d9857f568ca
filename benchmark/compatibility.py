"""Which versions of its own files and streams this version of the suite reads. docs/explanation/compatibility.md says
what that promises; tests/compatibility/ holds files of each released version.

A format's number rises when files get something that older versions cannot read. What a file of a lower number lacks
has a default, or is said to be missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.errors import BenchmarkError


@dataclass(frozen=True)
class Format:
    """A kind of file. title: what it is. writes: the number in what this version writes. reads: those that it reads.

    field: where a file has its number; a file without one is of the first version.
    """

    title: str
    writes: int
    reads: tuple[int, ...]
    field: str = "schema_version"


RUN = Format("run.json and trials.jsonl of a run folder", 2, (1, 2))
SUMMARY = Format("summary.csv", 2, (1, 2), field="schema")
LEAVE_ONE_OUT = Format("leave-one-out.json of a run folder", 1, (1,))
BASELINE = Format("a baseline", 2, (1, 2))
HISTORY = Format("a line of a history", 1, (1,))
VOTES = Format("votes of a study", 1, (1,))
AUDIT = Format("audit.json of an audit", 1, (1,))
FILES = (RUN, SUMMARY, LEAVE_ONE_OUT, BASELINE, HISTORY, VOTES, AUDIT)

STREAMS = {b"HFD": (1,), b"HIC": (1,), b"CAI": (1,), b"SMC": (1,), b"SDL": (1,), b"MSI": (1,)}
"""First bytes of a container -> versions that are decoded: `hfd`, `mse` and `hific-small`; `hific`; `compressai`;
`upscale` and `sd-upscale`; `sd-latent`; `msillm`. HFD's bytes inside a JPEG or AVIF file begin as its own streams.
The others are files of their formats."""


def check_version(place: str, form: Format, content: Any) -> None:
    """Raises BenchmarkError, one line, if `content`, a record as JSON gives it, is of a version that is not read.

    What is no record or has a number that is none is left to who reads the fields.
    """
    number = content.get(form.field, form.reads[0]) if isinstance(content, Mapping) else form.reads[0]
    if isinstance(number, bool) or not isinstance(number, int) or number in form.reads:
        return
    known = " and ".join(map(str, form.reads))
    if number > form.writes:
        raise BenchmarkError(
            f"{place}: {form.title} of schema {number}, made by a newer version of the suite; this one reads {known}: "
            "update the suite"
        )
    raise BenchmarkError(f"{place}: {form.title} of schema {number}; this version reads {known}")


def newer_stream(magic: bytes, version: int) -> str:
    """The words that refuse a stream that begins with `magic` and is of a version that is not read."""
    known = " and ".join(map(str, STREAMS[magic]))
    hint = ", made by a newer version of the suite: update it" if version > max(STREAMS[magic]) else ""
    return f"the stream has version {version}; this program reads version {known}{hint}"
