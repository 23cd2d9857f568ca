"""Any program as a metric of an image: one command line, as `butteraugli_main {original} {reconstruction}` is called.

`{original}` and `{reconstruction}` stand for two image files. The line is split into words as a shell would, but no
shell runs it. Each call has a folder of its own, with nothing but both files in it, which is removed afterwards,
whatever happens; a word that names a file of the folder in which the suite was started goes on naming it. The value is
the last number that the program prints to its standard output, or what a `pattern` finds there last.
"""

import hashlib
import re
import shlex
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from benchmark.errors import BenchmarkError
from benchmark.identity import files_named, sha256_of
from benchmark.metrics.info import MetricInfo
from benchmark.metrics.own import Failed
from benchmark.metrics.pairs import check_pair, check_picture
from benchmark.pixels import Image
from benchmark.programs import (
    SHOWN,
    Pictures,
    Unchanged,
    call_for_output,
    files_of,
    image_file,
    program_sha256,
    settled,
    split,
)

NUMBER = re.compile(
    r"(?i)(?<![\w.])[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?(?:,\d[\d.]*)*|inf|infinity|nan)(?![\w.]*\w)"
)
"""A number that stands alone, or the word for one: no part of a word such as p3 or of a version such as 1.2.3.

With its commas: whether "3,4" is 3.4 in another country's way or two numbers, nobody can tell.
"""


@dataclass(frozen=True)
class Original:
    """size: (height, width). file: the bytes of its image file."""

    size: tuple[int, int]
    file: bytes


@dataclass(frozen=True)
class CommandMetric:
    """An ImageMetric around a command line.

    words: of the line. pattern: None for the last number. picture: format of the files. seconds: that a call may take.
    """

    info: MetricInfo
    protocol: str
    words: tuple[str, ...]
    pattern: re.Pattern[str] | None
    picture: str
    seconds: float

    @cached_property
    def _files(self) -> Unchanged:
        """What must not change from one image to the next."""
        return Unchanged(self.words)

    def prepare(self, original: Image) -> Original:
        """The original as a file."""
        check_picture(original)
        return Original((original.shape[0], original.shape[1]), image_file(original, self.picture))

    def compare(self, prepared: Original, reconstruction: Image) -> float:
        """The number that the program prints. Raises Failed, with its last words, if it fails or prints none."""
        check_pair(prepared.size, reconstruction)
        with tempfile.TemporaryDirectory(prefix="metric-") as folder:
            files = {name: Path(folder) / f"{name}.{self.picture}" for name in ("original", "reconstruction")}
            files["original"].write_bytes(prepared.file)
            files["reconstruction"].write_bytes(image_file(reconstruction, self.picture))
            values = {name: str(file) for name, file in files.items()}
            try:
                self._files.check()
                output, last = call_for_output(self.words, values, Path(folder), self.seconds)
                self._files.called()
            except BenchmarkError as error:
                raise Failed(str(error)) from None
        found = [match[match.re.groups] for match in (self.pattern or NUMBER).finditer(output)]
        shown = f"; it printed {' '.join(output.split())[-SHOWN:]!r}{last}"
        if not found:
            wanted = "number" if self.pattern is None else f"text that matches {self.pattern.pattern!r}"
            raise Failed(f"{self.words[0]}: no {wanted} on its standard output{shown}")
        if self.pattern is None and "," in found[-1]:
            raise Failed(f"{self.words[0]}: {found[-1]!r} may be one number or several; `pattern` chooses{shown}")
        try:
            return float(found[-1])
        except (TypeError, ValueError):  # a group that took no part in the match is None
            raise Failed(f"{self.words[0]}: {found[-1]!r} is no number{shown}") from None


def _line(text: str) -> tuple[str, ...]:
    return split(text, ("{original}", "{reconstruction}"))


def _pattern(text: str) -> re.Pattern[str]:
    try:
        found = re.compile(text)
    except re.error as error:
        raise ValueError(f"it is no regular expression: {error}") from None
    if found.groups > 1:
        raise ValueError(f"it has {found.groups} groups; one, around the number, or none")
    return found


def command(
    metric: Annotated[
        tuple[str, ...],
        BeforeValidator(_line),
        Field(description="the line that compares, with {original} and {reconstruction}"),
    ],
    higher: Annotated[bool, Field(description="whether higher is better")],
    pattern: Annotated[
        re.Pattern[str] | None,
        BeforeValidator(_pattern),
        Field(description="regular expression; its last match on standard output, or the group in it, is the value"),
    ] = None,
    name: Annotated[str, Field(description="of the metric; without it the program's")] = "",
    unit: Annotated[str, Field(description="of the value")] = "",
    picture: Annotated[Pictures, Field(description="format of the files")] = "png",
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False, description="seconds that a call may take")] = 300.0,
) -> CommandMetric:
    """Any program: `command:metric="prog {original} {reconstruction}",higher=false`. UsageError if it is not there."""
    called = name or Path(metric[0]).stem
    identity = [program_sha256(metric[0], "metric command"), *map(_content, metric[1:]), picture]
    identity.append("" if pattern is None else pattern.pattern)
    identity += sorted({sha256 for sha256 in files_of(metric).values() if sha256 not in " ".join(identity)})
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:16]
    info = MetricInfo(
        called,
        called,
        "image",
        unit,
        higher,
        None,
        None,
        words=f"what {shlex.join(metric)} prints of each image, then the mean",
        parts={
            "command": "by a program of the user's own",
            f"program-{digest}": "program, files, words and pattern with this SHA-256 (its first 16 digits)",
        },
        aspect="perception",
        signed=True,  # nobody says that it is not
        source="a program of yours",
    )
    return CommandMetric(info, f"{called}/command/program-{digest}", settled(metric), pattern, picture, timeout)


def _content(word: str) -> str:
    """A word; where it names a file, what that holds: the same file elsewhere is the same."""
    option, equals, value = word.partition("=")
    for start, text in (("", word), (option + equals, value)):
        if found := files_named(text):
            return start + " ".join(map(sha256_of, found))
    return word
