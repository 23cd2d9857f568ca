"""Any program as a codec: one command line that encodes and one that decodes, as `djxl` and `cjpeg` are called.

`{in}`, `{out}` and `{q}` stand for the input file, the output file and the quality. The line is split into words as a
shell would, but no shell runs it: pipes, redirections and variables are not there. Each call has a folder of its own,
with nothing but its input in it, which is removed afterwards, whatever happens; a word that names a file of the folder
in which the suite was started goes on naming it.
"""

import re
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, CorruptStream
from benchmark.identity import files_of_variables, variables
from benchmark.images import load_image
from benchmark.programs import Pictures, call, files_of, image_file, program_sha256, settled, split


@dataclass(frozen=True)
class CommandCodec:
    """A codec of `benchmark.codecs.Codec`'s shape around two command lines.

    enc, dec: the words of the lines. suffix: of the coded file. picture: format of the pictures that the programs read
    and write; a decoder may write any format that the suite reads. seconds: that one call may take. grid: (lowest,
    highest, step) of the qualities, or the qualities. programs: name -> SHA-256 of the executable. environment:
    variables that move what the programs do.
    """

    enc: tuple[str, ...]
    dec: tuple[str, ...]
    qualities: tuple[float, ...]
    suffix: str
    picture: str
    seconds: float
    grid: tuple[float, ...]
    programs: dict[str, str]
    environment: tuple[str, ...] = ()
    stochastic: bool = False

    @property
    def scale(self) -> tuple[float, ...]:
        """What a search for a quality may try."""
        return self.grid

    def encode(self, image: Image, quality: float) -> bytes:
        """The bytes of the file that the encoder writes. Raises BenchmarkError with the program's last words."""
        with tempfile.TemporaryDirectory(prefix="codec-") as folder:
            source, output = Path(folder) / f"in.{self.picture}", Path(folder) / f"out{self.suffix}"
            source.write_bytes(image_file(image, self.picture))
            self._run(self.enc, source, output, quality)
            data = output.read_bytes()
        if not data:
            raise BenchmarkError(f"{self.enc[0]}: wrote an empty file")
        return data

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """The picture that the decoder writes. Raises CorruptStream if it writes none."""
        with tempfile.TemporaryDirectory(prefix="codec-") as folder:
            source, output = Path(folder) / f"in{self.suffix}", Path(folder) / f"out.{self.picture}"
            source.write_bytes(data)
            try:
                self._run(self.dec, source, output, None)
                return load_image(output)
            except BenchmarkError as error:
                raise CorruptStream(str(error).replace(str(output), f"{self.dec[0]}: its output")) from error

    def describe(self) -> dict[str, Any]:
        """The command lines, and the hash of each program and of each word that names a file: scripts, weights."""
        files = files_of(self.enc) | files_of(self.dec)
        surroundings = {
            "environment": variables(self.environment),
            "variables_sha256": files_of_variables(self.environment),
        }
        return {
            "enc": shlex.join(self.enc),
            "dec": shlex.join(self.dec),
            "suffix": self.suffix,
            "picture": self.picture,
            "programs": dict(self.programs),
            **({"files": files} if files else {}),
            **{name: found for name, found in surroundings.items() if found},
        }

    def _run(self, words: Sequence[str], source: Path, output: Path, quality: float | None) -> None:
        values = {"in": str(source), "out": str(output)}
        if quality is not None:
            values["q"] = str(int(quality)) if float(quality).is_integer() else repr(float(quality))
        with tempfile.TemporaryFile() as said:
            last = call(words, values, source.parent, self.seconds, said)
        if not output.is_file():
            raise BenchmarkError(f"{words[0]}: wrote no file {{out}}{last}")


def _words(marks: tuple[str, ...]) -> BeforeValidator:
    """Splits a command line as a shell does. ValueError unless all `marks` are among its arguments."""

    return BeforeValidator(lambda text: split(text, marks))


def _numbers(text: str) -> tuple[float, ...]:
    """Numbers with spaces or commas between them."""
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError("it is not numbers with spaces between them") from None


def _names(text: str) -> tuple[str, ...]:
    """Names of variables with spaces or commas between them."""
    names = tuple(text.replace(",", " ").split())
    if wrong := [name for name in names if not re.fullmatch(r"[A-Za-z_]\w*", name)]:
        raise ValueError(f"{wrong[0]!r} is no name of a variable")
    return names


def _scale(text: str) -> tuple[float, ...]:
    scale = _numbers(text)
    if len(scale) != 3 or scale[0] > scale[1] or scale[2] < 0:
        raise ValueError("it is not lowest highest step")
    return scale


def command(
    enc: Annotated[
        tuple[str, ...],
        _words(("{in}", "{out}", "{q}")),
        Field(description="the line that encodes, with {in}, {out} and {q}"),
    ],
    dec: Annotated[
        tuple[str, ...],
        _words(("{in}", "{out}")),
        Field(description="the line that decodes, with {in} and {out}"),
    ],
    qualities: Annotated[
        tuple[float, ...],
        BeforeValidator(_numbers),
        Field(description="numbers with spaces between, from few bits to many"),
    ] = (),
    scale: Annotated[
        tuple[float, ...], BeforeValidator(_scale), Field(description="lowest highest step, for a search")
    ] = (),
    suffix: Annotated[str, Field(pattern=r"^\.?[A-Za-z0-9]+$", description="of the coded file, such as .jpg")] = ".bin",
    picture: Annotated[Pictures, Field(description="format that the programs read and write")] = "png",
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False, description="seconds that a call may take")] = 300.0,
    environment: Annotated[
        tuple[str, ...], BeforeValidator(_names), Field(description="variables that the programs read, to be recorded")
    ] = (),
) -> CommandCodec:
    """Any program: `command:enc="prog {in} {out} -q {q}",dec="prog {in} {out}"`. UsageError if it is not there."""
    programs = {words[0]: program_sha256(words[0], "codec command") for words in (enc, dec)}
    enc, dec = settled(enc), settled(dec)
    return CommandCodec(
        enc=enc,
        dec=dec,
        qualities=qualities,
        suffix="." + suffix.lstrip("."),
        picture=picture,
        seconds=timeout,
        grid=scale or qualities,
        programs=programs,
        environment=environment,
    )
