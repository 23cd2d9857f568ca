"""Any program as a codec: one command line that encodes and one that decodes, as `djxl` and `cjpeg` are called.

`{in}`, `{out}` and `{q}` stand for the input file, the output file and the quality; `{width}` and `{height}` for the
size of the image, or of the luma plane in a file of samples; `{device}` for the run's device; and in the line that
decodes `{seed}` for the decoder's seed, which makes the codec stochastic. Where the decoder must be told the size of
the image, it is in front of the stream, in four bytes that count. The line is split into words as a shell would, but
no shell runs it: pipes, redirections and variables are not there. Each call has a folder of its own, with nothing but
its input in it, which is removed afterwards, whatever happens; a word that names a file of the folder in which the
suite was started goes on naming it.
"""

import math
import re
import shlex
import struct
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.identity import files_of_variables, variables
from benchmark.images import load_image
from benchmark.programs import Pictures, Unchanged, call, files_of, image_file, program_sha256, settled, split
from benchmark.yuv import LAYOUTS, Format, Layout, Matrix, Range, from_yuv, to_yuv

Files = Literal[Pictures, Layout]
"""Formats in which programs are given images, raw samples among them."""

SIZE = struct.Struct("<HH")
"""Width and height, in front of a stream whose decoder must be told them."""


@dataclass(frozen=True)
class CommandCodec:
    """A codec of `benchmark.codecs.Codec`'s shape around two command lines.

    enc, dec: the words of the lines. suffix: of the coded file. picture: format of the images that the programs read
    and write; a decoder may write any format that the suite reads, unless it is a `benchmark.yuv.Layout`. yuv: what its
    samples then mean. device: what `{device}` stands for. seconds: that one call may take. grid: (lowest,
    highest, step) of the qualities; empty where `qualities` are all that is known. programs: name -> SHA-256 of the
    executable. environment: variables that move what the programs do.
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
    yuv: Format | None = None
    device: str = "cpu"

    @property
    def stochastic(self) -> bool:
        """Whether the line that decodes is given a seed."""
        return _names_any(self.dec, "seed")

    @property
    def sized(self) -> bool:
        """Whether the decoder must be told the size of the image."""
        return self.yuv is not None or _names_any(self.dec, "width", "height")

    @property
    def scale(self) -> tuple[float, ...]:
        """What a search for a quality may try. Raises AttributeError where only `qualities` are known."""
        if not self.grid:  # three qualities look like a scale
            raise AttributeError("scale")
        return self.grid

    def encode(self, image: Image, quality: float) -> bytes:
        """The bytes of the file that the encoder writes, behind the size of the image where the decoder needs it.

        Raises BenchmarkError with the program's last words.
        """
        height, width = image.shape[:2]
        size = b""
        if self.sized:
            if max(height, width) > 0xFFFF:
                raise BenchmarkError(f"{width}x{height} pixels: a side has more than {0xFFFF:,}")
            size = SIZE.pack(width, height)
        with tempfile.TemporaryDirectory(prefix="codec-") as folder:
            source, output = Path(folder) / f"in.{self._ending}", Path(folder) / f"out{self.suffix}"
            source.write_bytes(image_file(image, self.picture) if self.yuv is None else to_yuv(image, self.yuv))
            number = str(int(quality)) if float(quality).is_integer() else repr(float(quality))
            self._run(self.enc, source, output, {"q": number, **self._size(width, height)})
            data = output.read_bytes()
        if not data:
            raise BenchmarkError(f"{self.enc[0]}: wrote an empty file")
        return size + data

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """The image that the decoder writes. Raises CorruptStream if it writes none.

        seed: what `{seed}` stands for; None for 0, for no stream has one.
        """
        values = {"seed": str(seed or 0)}
        width = height = 0
        if self.sized:
            if len(data) <= SIZE.size:
                raise CorruptStream(f"{len(data)} bytes: no size and no stream")
            width, height = SIZE.unpack_from(data)
            if not width * height:
                raise CorruptStream(f"an image of {width}x{height} pixels")
            values |= self._size(width, height)
            data = data[SIZE.size :]
        with tempfile.TemporaryDirectory(prefix="codec-") as folder:
            source, output = Path(folder) / f"in{self.suffix}", Path(folder) / f"out.{self._ending}"
            source.write_bytes(data)
            try:
                self._run(self.dec, source, output, values)
                if self.yuv is None:
                    return load_image(output)
                return from_yuv(output.read_bytes(), width, height, self.yuv)
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
            **({} if self.yuv is None else self.yuv.describe()),
            "programs": dict(self.programs),
            **({"files": files} if files else {}),
            **{name: found for name, found in surroundings.items() if found},
        }

    def _size(self, width: int, height: int) -> dict[str, str]:
        """What `{width}` and `{height}` stand for: the size that the file has."""
        columns, rows = (width, height) if self.yuv is None else self.yuv.size(width, height)
        return {"width": str(columns), "height": str(rows)}

    @cached_property
    def _files(self) -> dict[tuple[str, ...], Unchanged]:
        """Of each line, what must not change from one trial to the next."""
        return {words: Unchanged(words) for words in (self.enc, self.dec)}

    @property
    def _ending(self) -> str:
        return self.picture if self.yuv is None else "yuv"

    def _run(self, words: Sequence[str], source: Path, output: Path, more: Mapping[str, str]) -> None:
        values = {"in": str(source), "out": str(output), "device": self.device, **more}
        files = self._files[tuple(words)]
        files.check()
        with tempfile.TemporaryFile() as said:
            last = call(words, values, source.parent, self.seconds, said)
        files.called()
        if not output.is_file():
            raise BenchmarkError(f"{words[0]}: wrote no file {{out}}{last}")


def _names_any(words: Sequence[str], *names: str) -> bool:
    return any(f"{{{name}}}" in word for name in names for word in words)


def _words(marks: tuple[str, ...]) -> BeforeValidator:
    """Splits a command line as a shell does. ValueError unless all `marks` are among its arguments."""

    return BeforeValidator(lambda text: split(text, marks))


def _numbers(text: str) -> tuple[float, ...]:
    """Numbers with spaces or commas between them."""
    try:
        numbers = tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError("it is not numbers with spaces between them") from None
    if not all(map(math.isfinite, numbers)):
        raise ValueError("it is not numbers with spaces between them: they must be finite")
    return numbers


def _qualities(text: str) -> tuple[float, ...]:
    """Raises ValueError unless they go up or down: a search goes along them."""
    numbers = _numbers(text)
    if numbers not in (tuple(sorted(set(numbers))), tuple(sorted(set(numbers), reverse=True))):
        raise ValueError("they go from few bits to many, up or down, each once")
    return numbers


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
        BeforeValidator(_qualities),
        Field(description="numbers with spaces between, from few bits to many"),
    ] = (),
    scale: Annotated[
        tuple[float, ...], BeforeValidator(_scale), Field(description="lowest highest step, for a search")
    ] = (),
    suffix: Annotated[str, Field(pattern=r"^\.?[A-Za-z0-9]+$", description="of the coded file, such as .jpg")] = ".bin",
    picture: Annotated[Files, Field(description="format that the programs read and write")] = "png",
    matrix: Annotated[Matrix, Field(description="of YUV files")] = "bt709",
    range: Annotated[Range, Field(description="of YUV files")] = "full",
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False, description="seconds that a call may take")] = 300.0,
    environment: Annotated[
        tuple[str, ...], BeforeValidator(_names), Field(description="variables that the programs read, to be recorded")
    ] = (),
    device: str = "cpu",
) -> CommandCodec:
    """Any program: `command:enc="prog {in} {out} -q {q}",dec="prog {in} {out}"`. UsageError if it is not there."""
    if _names_any(enc, "seed"):
        raise UsageError("codec command: enc has {seed}, which is the decoder's: its stream must not depend on one")
    if picture not in LAYOUTS and (matrix, range) != ("bt709", "full"):
        raise UsageError(f"codec command: matrix and range are of YUV files, and picture is {picture}")
    samples = Format(cast(Layout, picture), matrix, range) if picture in LAYOUTS else None
    return codec_of("command", enc, dec, qualities, scale, suffix, picture, samples, timeout, environment, device)


def codec_of(
    name: str,
    enc: tuple[str, ...],
    dec: tuple[str, ...],
    qualities: tuple[float, ...],
    grid: tuple[float, ...],
    suffix: str,
    picture: str,
    yuv: Format | None,
    seconds: float,
    environment: tuple[str, ...] = (),
    device: str = "cpu",
) -> CommandCodec:
    """The codec of two lines, which has the suite's name `name`. Raises UsageError if a program is not there."""
    programs = {words[0]: program_sha256(words[0], f"codec {name}") for words in (enc, dec)}
    return CommandCodec(
        enc=settled(enc),
        dec=settled(dec),
        qualities=qualities,
        suffix="." + suffix.lstrip("."),
        picture=picture,
        seconds=seconds,
        grid=grid,
        programs=programs,
        environment=environment,
        yuv=yuv,
        device=device,
    )
