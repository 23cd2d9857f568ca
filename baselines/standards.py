"""The reference programs of video and image standards, which the user builds: their lines, ready for `command`.

VTM (VVC), HM (HEVC), ECM (beyond VVC) and AVM (beyond AV1) code one frame as a key frame from a raw file of samples;
`benchmark.yuv` makes it. Without `folder` the programs are looked for on the PATH. The lines follow the common test
conditions and CompressAI's `compressai/utils/bench/codecs.py`; `more` adds words to the line that encodes.
"""

import shlex
import shutil
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from benchmark.baselines.command import CommandCodec, codec_of
from benchmark.errors import UsageError
from benchmark.files import expanded
from benchmark.programs import split
from benchmark.yuv import Format, Layout, Matrix, Range

QPS = (47.0, 42.0, 37.0, 32.0, 27.0, 22.0)
"""Quantisation parameters of VTM's and HM's common test conditions and two coarser ones; few bits first."""
AVM_QPS = (235.0, 210.0, 185.0, 160.0, 135.0, 110.0, 85.0)

Folder = Annotated[Path | None, Field(description="where the programs are; none for the PATH")]
Config = Annotated[Path, Field(description="the encoder's configuration file")]
More = Annotated[str, Field(description="words that the line of the encoder has besides")]
Samples = Annotated[Layout, Field(description="format of the raw file that the programs read and write")]
Coefficients = Annotated[Matrix, Field(description="from RGB to YCbCr")]
Extent = Annotated[Range, Field(description="of the samples")]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False, description="seconds that a call may take")]


def vtm(
    config: Config,
    folder: Folder = None,
    picture: Samples = "yuv444p10",
    matrix: Coefficients = "bt709",
    range: Extent = "full",
    more: More = "",
    timeout: Seconds = 3600.0,
) -> CommandCodec:
    """VTM, the reference software of VVC. quality: QP. config: its cfg/encoder_intra_vtm.cfg."""
    return _jvet("vtm", ("EncoderApp", "DecoderApp"), config, folder, Format(picture, matrix, range), more, timeout)


def ecm(
    config: Config,
    folder: Folder = None,
    picture: Samples = "yuv444p10",
    matrix: Coefficients = "bt709",
    range: Extent = "full",
    more: More = "",
    timeout: Seconds = 36000.0,
) -> CommandCodec:
    """ECM, the enhanced compression model beyond VVC. quality: QP. config: its cfg/encoder_intra_ecm.cfg."""
    return _jvet("ecm", ("EncoderApp", "DecoderApp"), config, folder, Format(picture, matrix, range), more, timeout)


def hm(
    config: Config,
    folder: Folder = None,
    picture: Samples = "yuv444p10",
    matrix: Coefficients = "bt709",
    range: Extent = "full",
    more: More = "",
    timeout: Seconds = 3600.0,
) -> CommandCodec:
    """HM, the reference software of HEVC. quality: QP. config: its cfg/encoder_intra_main_rext.cfg for 4:4:4."""
    return _jvet("hm", ("TAppEncoder", "TAppDecoder"), config, folder, Format(picture, matrix, range), more, timeout)


def avm(
    folder: Folder = None,
    picture: Samples = "yuv444p10",
    matrix: Coefficients = "bt709",
    range: Extent = "full",
    more: More = "",
    timeout: Seconds = 3600.0,
    quantiser: Annotated[
        Literal["qp", "cq-level"], Field(description="the encoder's option for the quality: AVM's, or libaom's")
    ] = "qp",
) -> CommandCodec:
    """AVM, the AOMedia Video Model beyond AV1; with quantiser=cq-level, libaom's AV1. quality: the quantiser index."""
    samples = Format(picture, matrix, range)
    enc = (
        f"{_program(folder, ('avmenc', 'aomenc'))} {_chroma(samples, '--i420', '--i444')} -w {{width}} "
        f"-h {{height}} --fps=1/1 --limit=1 --passes=1 --cpu-used=0 --threads=1 --end-usage=q --{quantiser}={{q}} "
        f"--kf-min-dist=0 --kf-max-dist=0 --input-bit-depth={samples.bits} --bit-depth={samples.bits} --obu {more} "
        "-o {out} {in}"
    )
    dec = f"{_program(folder, ('avmdec', 'aomdec'))} --rawvideo --output-bit-depth={samples.bits} -o {{out}} {{in}}"
    qualities, scale = (AVM_QPS, (0.0, 255.0, 1.0)) if quantiser == "qp" else (_LIBAOM, (0.0, 63.0, 1.0))
    return codec_of("avm", split(enc, ()), split(dec, ()), qualities, scale, ".obu", samples.layout, samples, timeout)


_LIBAOM = (63.0, 55.0, 46.0, 37.0, 28.0, 20.0)


def bpg(
    folder: Folder = None,
    subsampling: Annotated[Literal["420", "422", "444"], Field(description="of chroma")] = "444",
    bits: Annotated[int, Field(ge=8, le=12, description="of a sample")] = 8,
    encoder: Annotated[Literal["x265", "jctvc"], Field(description="that bpgenc was built with")] = "x265",
    more: More = "",
    timeout: Seconds = 600.0,
) -> CommandCodec:
    """BPG, HEVC's intra coding in a file of its own. quality: QP from 0 to 51. It reads and writes PNG itself."""
    enc = f"{_program(folder, ('bpgenc',))} -q {{q}} -f {subsampling} -b {bits} -e {encoder} {more} -o {{out}} {{in}}"
    dec = f"{_program(folder, ('bpgdec',))} -o {{out}} {{in}}"
    return codec_of("bpg", split(enc, ()), split(dec, ()), QPS, (0.0, 51.0, 1.0), ".bpg", "png", None, timeout)


def _jvet(
    name: str, programs: tuple[str, str], config: Path, folder: Path | None, samples: Format, more: str, timeout: float
) -> CommandCodec:
    """VTM, ECM and HM share their options."""
    config = expanded(config)
    if not config.is_file():
        raise UsageError(f"codec {name}: there is no configuration file {config}")
    encoder, decoder = (_program(folder, (f"{one}Static", one)) for one in programs)
    highest = 51.0 if name == "hm" else 63.0
    enc = (
        f"{encoder} -c {shlex.quote(str(config))} -i {{in}} -b {{out}} -o /dev/null -q {{q}} -wdt {{width}} "
        f"-hgt {{height}} -fr 1 -f 1 --InputChromaFormat={_chroma(samples, '420', '444')} "
        f"--InputBitDepth={samples.bits} --ConformanceWindowMode=1 {more}"
    )
    dec = f"{decoder} -b {{in}} -o {{out}} -d {samples.bits}"
    return codec_of(
        name, split(enc, ()), split(dec, ()), QPS, (0.0, highest, 1.0), ".bin", samples.layout, samples, timeout
    )


def _chroma(samples: Format, halved: str, whole: str) -> str:
    return halved if samples.halved else whole


def _program(folder: Path | None, names: tuple[str, ...]) -> str:
    """The first of the names that is there, as a word of a line."""
    for name in names:
        found = shutil.which(name) if folder is None else shutil.which(str(expanded(folder) / name))
        if found is not None:
            return shlex.quote(found if folder is not None else name)
    where = "on the PATH; folder=… says where it is" if folder is None else f"in {folder}"
    raise UsageError(f"there is no program {' or '.join(names)} {where}")
