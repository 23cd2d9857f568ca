"""Reference programs of standards by their names. Stand-ins hold the lines; real programs run where they are."""

import os
import shutil
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark.baselines.command import CommandCodec
from benchmark.codecs import is_unproven, open_codec, parse_codec_spec, quality_grid
from benchmark.errors import UsageError
from benchmark.yuv import Format, from_yuv, to_yuv

IMAGE = np.random.default_rng(0).integers(0, 256, (11, 18, 3), dtype=np.uint8)

JVET = """#!{python}
import sys, zlib
words = sys.argv[1:]
value = dict(zip(words, words[1:]))
assert "--ConformanceWindowMode=1" in words and value["-f"] == "1" and open(value["-c"]).read() == "intra"
chroma = next(word for word in words if word.startswith("--InputChromaFormat=")).partition("=")[2]
bits = next(word for word in words if word.startswith("--InputBitDepth=")).partition("=")[2]
data = open(value["-i"], "rb").read()
samples = int(value["-wdt"]) * int(value["-hgt"]) * (3 if chroma == "444" else 1.5)
assert len(data) == samples * (2 if bits == "10" else 1), (len(data), samples)
open(value["-b"], "wb").write(value["-q"].encode() + b" " + bits.encode() + b" " + zlib.compress(data))
"""
JVET_DECODER = """#!{python}
import sys, zlib
value = dict(zip(sys.argv[1:], sys.argv[2:]))
quality, bits, data = open(value["-b"], "rb").read().split(b" ", 2)
assert bits.decode() == value["-d"]
open(value["-o"], "wb").write(zlib.decompress(data))
"""
AOMEDIA = """#!{python}
import sys, zlib
assert {{"--i444", "--obu", "--limit=1", "--input-bit-depth=10", "--qp=110"}} <= set(sys.argv), sys.argv
value = dict(zip(sys.argv[1:], sys.argv[2:]))
open(value["-o"], "wb").write(zlib.compress(open(sys.argv[-1], "rb").read()))
"""
AOMEDIA_DECODER = """#!{python}
import sys, zlib
assert {{"--rawvideo", "--output-bit-depth=10"}} <= set(sys.argv)
value = dict(zip(sys.argv[1:], sys.argv[2:]))
open(value["-o"], "wb").write(zlib.decompress(open(sys.argv[-1], "rb").read()))
"""
BPG = """#!{python}
import shutil, sys
value = dict(zip(sys.argv[1:], sys.argv[2:]))
assert (value["-f"], value["-b"], value["-q"], value["-e"]) == ("420", "10", "22", "x265"), value
shutil.copy(sys.argv[-1], value["-o"])
"""
BPG_DECODER = """#!{python}
import shutil, sys
shutil.copy(sys.argv[-1], sys.argv[sys.argv.index("-o") + 1])
"""


def put(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(text.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("built here")
    for name in ("EncoderAppStatic", "TAppEncoderStatic"):
        put(place, name, JVET)
    for name in ("DecoderApp", "TAppDecoder"):
        put(place, name, JVET_DECODER)
    put(place, "aomenc", AOMEDIA)
    put(place, "avmdec", AOMEDIA_DECODER)
    put(place, "bpgenc", BPG)
    put(place, "bpgdec", BPG_DECODER)
    (place / "intra.cfg").write_text("intra")
    return place


@pytest.mark.parametrize("name", ["vtm", "hm", "ecm"])
@pytest.mark.parametrize("picture", ["yuv444p10", "yuv420p8"])
def test_jvets_programs_get_samples_and_their_size(folder: Path, name: str, picture: str) -> None:
    codec = open_codec(f"{name}:config={folder}/intra.cfg,folder={folder},picture={picture}")
    data = codec.encode(IMAGE, 37)
    assert data[:10] == b"\x12\0\x0b\0" + (b"37 10 " if picture.endswith("10") else b"37 8 x")
    if picture == "yuv444p10":
        np.testing.assert_array_equal(codec.decode(data), IMAGE)
    else:
        assert codec.decode(data).shape == IMAGE.shape
    assert codec.qualities[0] > codec.qualities[-1]
    assert quality_grid(codec) == (0, 51 if name == "hm" else 63, 1)
    described = codec.describe()
    assert described["matrix"] == "bt709"
    assert len(described["programs"]) == 2
    assert str(folder / "intra.cfg") in described["files"]


def test_the_home_folder_is_meant_by_its_sign(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    config = next(folder.glob("*.cfg"))
    codec = open_codec(f"vtm:config=~/{config.name},folder=~/")
    assert str(config) in codec.describe()["enc"]
    assert str(config) in codec.describe()["files"]


def test_avm_and_bpg_are_called_as_they_want_it(folder: Path) -> None:
    avm = open_codec(f"avm:folder={folder}")
    np.testing.assert_array_equal(avm.decode(avm.encode(IMAGE, 110)), IMAGE)
    bpg = open_codec(f"bpg:folder={folder},subsampling=420,bits=10")
    np.testing.assert_array_equal(bpg.decode(bpg.encode(IMAGE, 22)), IMAGE)
    assert isinstance(bpg, CommandCodec)
    assert bpg.yuv is None


def test_they_are_not_proven_by_the_suite() -> None:
    """Their first trial is decoded again by a fresh instance, and an audit is asked for, as of any program."""
    assert all(is_unproven(parse_codec_spec(name)) for name in ("vtm", "hm", "ecm", "avm", "bpg", "command"))
    assert not is_unproven(parse_codec_spec("jpeg"))


def test_words_can_be_added_and_matrix_and_range_named(folder: Path) -> None:
    codec = open_codec(
        f"vtm:config={folder}/intra.cfg,folder={folder},matrix=bt601,range=limited,"
        'more="--MaxPartitionDepth=3 --LFNST=0"'
    )
    assert "--MaxPartitionDepth=3 --LFNST=0" in codec.describe()["enc"]
    data = codec.encode(IMAGE, 22)
    assert len(to_yuv(IMAGE, Format("yuv444p10", "bt601", "limited"))) == 2 * IMAGE.size
    np.testing.assert_array_equal(codec.decode(data), IMAGE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("vtm", "codec vtm needs the setting config"),
        ("hm:config=none.cfg", "codec hm: there is no configuration file none.cfg"),
        ("avm:folder=nowhere", "there is no program avmenc or aomenc in nowhere"),
        ("bpg:folder=nowhere", "there is no program bpgenc in nowhere"),
        ("bpg:bits=7", "codec bpg: bits is a whole number from 8 to 12, not '7'"),
        ("avm:picture=png", "picture is yuv444p8, yuv444p10, yuv420p8 or yuv420p10, not 'png'"),
    ],
)
def test_what_is_missing_is_named(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        open_codec(text)


@pytest.mark.slow
@pytest.mark.parametrize("picture", ["yuv444p8", "yuv444p10", "yuv420p8", "yuv420p10"])
@pytest.mark.parametrize("range_", ["full", "limited"])
def test_debians_aomenc_codes_in_every_layout(picture: str, range_: str) -> None:
    """AVM's line is libaom's but for the name of the quantiser: `apt-get install aom-tools`."""
    if shutil.which("aomenc") is None:
        pytest.skip("needs aomenc")
    image = np.kron(IMAGE, np.ones((8, 8, 1), np.uint8))[:61, :93]
    codec = open_codec(f"avm:quantiser=cq-level,picture={picture},range={range_}")
    sizes = [len(codec.encode(image, quality)) for quality in (55, 10)]
    assert sizes[0] < sizes[1]
    back = codec.decode(codec.encode(image, 10))
    inside = np.abs(back.astype(int) - image).reshape(-1)
    assert np.median(inside) <= 3


@pytest.mark.slow
def test_a_real_vtm_codes() -> None:
    """VTM is nowhere to be installed from: VTM=FOLDER names a checkout of it, built.

    VTM_MORE: words of its encoder that a version needs; 2.1 codes 4:4:4 with --LMChroma=0.
    """
    if not (place := os.environ.get("VTM")):
        pytest.skip("needs VTM=FOLDER, a checkout with bin/ and cfg/")
    image = np.kron(IMAGE, np.ones((4, 4, 1), np.uint8))[:41, :65]
    for picture in ("yuv444p10", "yuv420p8"):
        config = f"config={place}/cfg/encoder_intra_vtm.cfg,folder={place}/bin"
        codec = open_codec(f'vtm:{config},picture={picture},more="{os.environ.get("VTM_MORE", "")}"')
        sizes = []
        for quality in (42, 12):
            data = codec.encode(image, quality)
            sizes.append(len(data))
        assert sizes[0] < sizes[1]
        samples = Format(picture)  # type: ignore[arg-type]
        given = from_yuv(to_yuv(image, samples), 65, 41, samples)
        assert np.median(np.abs(codec.decode(data).astype(int) - given)) <= 1
