"""Any program as a codec: one command line that encodes and one that decodes, as `djxl` and `cjpeg` are called.

`{in}`, `{out}` and `{q}` stand for the input file, the output file and the quality. The line is split into words as a
shell would, but no shell runs it: pipes, redirections and variables are not there. Each call has a folder of its own,
with nothing but its input in it, which is removed afterwards, whatever happens; a word that names a file of the folder
in which the suite was started goes on naming it.
"""

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Literal

from PIL import Image as Pillow
from pydantic import BeforeValidator, Field

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.identity import anchored, files_named, sha256_of
from benchmark.images import load_image

Pictures = Literal["png", "ppm", "bmp"]
SHOWN = 300
"""Characters of a program's last words that an error repeats."""


@dataclass(frozen=True)
class CommandCodec:
    """A codec of `benchmark.codecs.Codec`'s shape around two command lines.

    enc, dec: the words of the lines. suffix: of the coded file. picture: format of the pictures that the programs read
    and write; a decoder may write any format that the suite reads. seconds: that one call may take. grid: (lowest,
    highest, step) of the qualities, or the qualities. programs: name -> SHA-256 of the executable.
    """

    enc: tuple[str, ...]
    dec: tuple[str, ...]
    qualities: tuple[float, ...]
    suffix: str
    picture: str
    seconds: float
    grid: tuple[float, ...]
    programs: dict[str, str]
    stochastic: bool = False

    @property
    def scale(self) -> tuple[float, ...]:
        """What a search for a quality may try."""
        return self.grid

    def encode(self, image: Image, quality: float) -> bytes:
        """The bytes of the file that the encoder writes. Raises BenchmarkError with the program's last words."""
        stream = BytesIO()
        Pillow.fromarray(image).save(stream, {"png": "PNG", "ppm": "PPM", "bmp": "BMP"}[self.picture])
        with tempfile.TemporaryDirectory(prefix="codec-") as folder:
            source, output = Path(folder) / f"in.{self.picture}", Path(folder) / f"out{self.suffix}"
            source.write_bytes(stream.getvalue())
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
        files = {
            str(path): sha256_of(path)
            for word in (*self.enc[1:], *self.dec[1:])
            for part in dict.fromkeys((word, word.partition("=")[2]))
            for path in files_named(part)
        }
        return {
            "enc": shlex.join(self.enc),
            "dec": shlex.join(self.dec),
            "suffix": self.suffix,
            "picture": self.picture,
            "programs": dict(self.programs),
            **({"files": files} if files else {}),
        }

    def _run(self, words: Sequence[str], source: Path, output: Path, quality: float | None) -> None:
        values = {"in": str(source), "out": str(output)}
        if quality is not None:
            values["q"] = str(int(quality)) if float(quality).is_integer() else repr(float(quality))
        line = [re.sub(r"\{(in|out|q)\}", lambda match: values.get(match[1], match[0]), word) for word in words]
        with tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    line,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    cwd=source.parent,
                    start_new_session=True,  # so that what the program starts can be ended with it
                )
            except OSError as error:
                raise BenchmarkError(f"{words[0]}: cannot be started: {error.strerror or error}") from error
            try:
                code = process.wait(self.seconds)
            except subprocess.TimeoutExpired:
                raise BenchmarkError(f"{words[0]}: no end after {self.seconds:g} seconds; it was killed") from None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if code:
                cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                raise BenchmarkError(f"{words[0]}: {cause}{_last_words(said)}")
            if not output.is_file():
                raise BenchmarkError(f"{words[0]}: wrote no file {{out}}{_last_words(said)}")


def _words(marks: tuple[str, ...]) -> BeforeValidator:
    """Splits a command line as a shell does. ValueError unless all `marks` are among its arguments."""

    def split(text: str) -> tuple[str, ...]:
        words = tuple(shlex.split(text))
        if lacking := [mark for mark in marks if not any(mark in word for word in words[1:])]:
            raise ValueError(f"it lacks {' and '.join(lacking)}")
        return words

    return BeforeValidator(split)


def _numbers(text: str) -> tuple[float, ...]:
    """Numbers with spaces or commas between them."""
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError("it is not numbers with spaces between them") from None


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
) -> CommandCodec:
    """Any program: `command:enc="prog {in} {out} -q {q}",dec="prog {in} {out}"`. UsageError if it is not there."""
    programs = {words[0]: _program_sha256(words[0]) for words in (enc, dec)}
    enc, dec = ((_absolute(words[0]), *map(_anchored, words[1:])) for words in (enc, dec))
    return CommandCodec(
        enc=enc,
        dec=dec,
        qualities=qualities,
        suffix="." + suffix.lstrip("."),
        picture=picture,
        seconds=timeout,
        grid=scale or qualities,
        programs=programs,
    )


def _absolute(program: str) -> str:
    """A program that is named by a path stays what it is when the working folder changes; others are on the PATH."""
    return str(Path(program).expanduser().absolute()) if "/" in program else program


def _anchored(word: str) -> str:
    """A word that is a file or folder of the working folder, or `--option=` and one, with its absolute path."""
    option, equals, value = word.partition("=")
    return f"{option}={anchored(value)}" if equals else anchored(word)


def _program_sha256(program: str) -> str:
    found = shutil.which(_absolute(program))
    if found is None:
        raise UsageError(f"codec command: there is no program {program}; install it, or give its path")
    with open(found, "rb") as stream:  # noqa: PTH123
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _last_words(said: Any) -> str:
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - 4 * SHOWN))
    text = " ".join(said.read().decode(errors="replace").split())
    return f": {text[-SHOWN:]}" if text else ""
