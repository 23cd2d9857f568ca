"""Programs as codecs. The programs are small Python scripts, so that every machine has them."""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from benchmark.codecs import Codec, Image, open_codec
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.yuv import Format, Layout, from_yuv, to_yuv

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
ENCODER = """
import sys
from PIL import Image
source, output, quality = sys.argv[1:]
print("words on the way")
Image.open(source).save(output, "JPEG", quality=int(quality))
"""
DECODER = """
import sys
from PIL import Image
Image.open(sys.argv[1]).save(sys.argv[2])
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with enc.py and dec.py; temporary files go to an empty folder beside it."""
    (tmp_path / "enc.py").write_text(ENCODER)
    (tmp_path / "dec.py").write_text(DECODER)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path


def spec(folder: Path, enc: str = "enc.py", dec: str = "dec.py", more: str = "") -> str:
    return (
        f'command:enc="{sys.executable} {folder}/{enc} {{in}} {{out}} {{q}}",'
        f'dec="{sys.executable} {folder}/{dec} {{in}} {{out}}"{more}'
    )


def left(folder: Path) -> list[Path]:
    return list((folder / "temporary").iterdir())


def test_a_program_codes_as_pillow_does(programs: Path) -> None:
    codec = open_codec(spec(programs, more=',qualities="10 50 90",suffix=jpg'))
    assert isinstance(codec, Codec)
    assert codec.qualities == (10, 50, 90)
    data = codec.encode(PICTURE, 50)
    jpeg = open_codec("jpeg")
    assert data == jpeg.encode(PICTURE, 50)
    np.testing.assert_array_equal(codec.decode(data), jpeg.decode(data))
    assert left(programs) == []


def test_a_signal_without_a_name(programs: Path) -> None:
    (programs / "enc.py").write_text("import os\nos.kill(os.getpid(), 40)")
    with pytest.raises(BenchmarkError, match=r": signal 40$"):
        open_codec(spec(programs)).encode(PICTURE, 50)


def test_a_program_that_changes_while_a_run_goes_on(programs: Path) -> None:
    """The same content again is no change, and what the program itself writes, a log, is none."""
    log = programs / "calls.log"
    log.write_text("begun\n")
    (programs / "enc.py").write_text(
        ENCODER.replace("source, output, quality", "log, source, output, quality")
        + "open(log, 'a').write('called\\n')\n"
    )
    enc = f"{sys.executable} {programs}/enc.py {log} {{in}} {{out}} {{q}}"
    dec = f"{sys.executable} {programs}/dec.py {{in}} {{out}}"
    codec = open_codec(f'command:enc="{enc}",dec="{dec}",suffix=jpg,qualities=50')
    data = codec.encode(PICTURE, 50)
    (programs / "enc.py").write_text((programs / "enc.py").read_text())
    assert codec.encode(PICTURE, 50) == data
    codec.decode(data)
    (programs / "enc.py").write_text(ENCODER.replace("quality=int", "subsampling=0, quality=int"))
    with pytest.raises(BenchmarkError, match=rf"^{programs}/enc.py: has changed since it was first called$"):
        codec.encode(PICTURE, 50)
    codec.decode(data)
    (programs / "dec.py").unlink()
    with pytest.raises(CorruptStream, match=r"dec\.py: has changed"):
        codec.decode(data)


def test_scripts_are_found_from_the_folder_of_the_start(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (programs / "scripts").mkdir()
    (programs / "scripts" / "enc.py").write_text(ENCODER.replace("source, output", "option, source, output"))
    monkeypatch.chdir(programs)
    enc = f"{sys.executable} ./scripts/enc.py --script=scripts/enc.py {{in}} {{out}} {{q}}"
    codec = open_codec(f'command:enc="{enc}",dec="{sys.executable} dec.py {{in}} {{out}}",suffix=jpg,qualities=50')
    monkeypatch.chdir("/")
    assert codec.decode(codec.encode(PICTURE, 50)).shape == PICTURE.shape
    assert set(codec.describe()["files"]) == {f"{programs}/scripts/enc.py", f"{programs}/dec.py"}


@pytest.mark.parametrize("picture", ["png", "ppm", "bmp"])
def test_pictures_go_to_the_program_in_the_format_asked_for(programs: Path, picture: str) -> None:
    (programs / "enc.py").write_text("import sys, shutil; shutil.copy(sys.argv[1], sys.argv[2])")
    codec = open_codec(spec(programs, more=f",picture={picture}"))
    data = codec.encode(PICTURE, 1)
    assert data.startswith({"png": b"\x89PNG", "ppm": b"P6", "bmp": b"BM"}[picture])
    np.testing.assert_array_equal(codec.decode(data), PICTURE)


def test_the_quality_is_one_word_without_a_shell(programs: Path) -> None:
    (programs / "enc.py").write_text("import sys; open(sys.argv[2], 'w').write('|'.join(sys.argv[3:]))")
    line = f"{sys.executable} {programs}/enc.py {{in}} {{out}} -q {{q}} '$HOME; x' {{not}}"
    codec = open_codec(f'command:enc="{line}",dec="true {{in}} {{out}}"')
    assert codec.encode(PICTURE, 3) == b"-q|3|$HOME; x|{not}"
    assert codec.encode(PICTURE, 0.25) == b"-q|0.25|$HOME; x|{not}"


def test_the_decoder_sees_nothing_but_its_bytes(programs: Path) -> None:
    (programs / "dec.py").write_text(
        "import os, sys; from PIL import Image\n"
        "assert os.listdir('.') == [os.path.basename(sys.argv[1])]\n"
        "Image.open(sys.argv[1]).save(sys.argv[2])"
    )
    codec = open_codec(spec(programs))
    assert codec.decode(codec.encode(PICTURE, 50)).shape == PICTURE.shape


def test_what_a_program_says_is_in_the_error(programs: Path) -> None:
    (programs / "enc.py").write_text("import sys; print('a\\nreason', file=sys.stderr); sys.exit(7)")
    with pytest.raises(BenchmarkError, match="exit code 7: a reason"):
        open_codec(spec(programs)).encode(PICTURE, 1)
    (programs / "enc.py").write_text("import os; os.abort()")
    with pytest.raises(BenchmarkError, match="signal SIGABRT"):
        open_codec(spec(programs)).encode(PICTURE, 1)
    (programs / "enc.py").write_text("print('done, it seems')")
    with pytest.raises(BenchmarkError, match=r"wrote no file \{out\}: done, it seems"):
        open_codec(spec(programs)).encode(PICTURE, 1)
    (programs / "enc.py").write_text("import sys; open(sys.argv[2], 'w')")
    with pytest.raises(BenchmarkError, match="empty file"):
        open_codec(spec(programs)).encode(PICTURE, 1)
    with pytest.raises(CorruptStream, match="exit code 1"):
        open_codec(spec(programs)).decode(b"no image")
    (programs / "dec.py").write_text("import sys; open(sys.argv[2], 'w').write('no image')")
    with pytest.raises(CorruptStream, match="its output: not an image"):
        open_codec(spec(programs)).decode(b"x")
    assert left(programs) == []


def test_a_program_that_does_not_end_is_killed_with_its_children(programs: Path) -> None:
    (programs / "child.py").write_text(f"import time; time.sleep(2); open({str(programs / 'late')!r}, 'w')")
    (programs / "enc.py").write_text(
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, {str(programs / 'child.py')!r}])\n"
        "time.sleep(3600)"
    )
    start = time.monotonic()
    with pytest.raises(BenchmarkError, match=r"no end after 0.5 seconds"):
        open_codec(spec(programs, more=",timeout=0.5")).encode(PICTURE, 1)
    assert time.monotonic() - start < 1800  # it did not wait for the end
    time.sleep(2.2)
    assert not (programs / "late").exists()
    assert left(programs) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("command", "needs the setting enc: command:enc="),
        (
            'command:enc="true {in} {out}",dec="true {in} {out}"',
            "codec command: enc=.*: it lacks {q} .the line that encodes",
        ),
        ('command:enc="true {in} {out} {q}",dec="true {in}"', "dec=.*: it lacks {out}"),
        ('command:enc="true \'{in} {out} {q}",dec="true {in} {out}"', "quotation"),
        ('command:enc="no-such-program {in} {out} {q}",dec="true {in} {out}"', "no program no-such-program"),
        (
            'command:enc="true {in} {out} {q}",dec="true {in} {out}",timeout=0',
            "codec command: timeout is a number above 0, not '0'",
        ),
        ('command:enc="true {in} {out} {q}",dec="true {in} {out}",qualities=low', "qualities='low': it is not numbers"),
        ('command:enc="true {in} {out} {q}",dec="true {in} {out}",qualities="1 nan"', "they must be finite"),
        ('command:enc="true {in} {out} {q}",dec="true {in} {out}",scale="1 inf 1"', "they must be finite"),
        ('command:enc="true {in} {out} {q}",dec="true {in} {out}",qualities="5 5"', "up or down, each once"),
        (
            'command:enc="true {in} {out} {q}",dec="true {in} {out}",scale="9 1 1"',
            "scale=.*: it is not lowest highest step",
        ),
        (
            'command:enc="true {in} {out} {q}",dec="true {in} {out}",picture=gif',
            "picture is png, ppm, bmp, yuv444p8, yuv444p10, yuv420p8 or yuv420p10, not 'gif'",
        ),
        ('command:enc="true {in} {out} {q}",dec="true {in} {out}",suffix=../x', "suffix=.*such as .jpg"),
    ],
)
def test_what_cannot_be_meant(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        open_codec(text)


def test_another_program_of_that_name_is_another_codec(programs: Path) -> None:
    before = open_codec(spec(programs)).describe()["programs"]
    program = programs / "tool"
    described = []
    for text in ("#!/bin/sh\n", "#!/bin/sh\nexit 1\n"):
        program.write_text(text)
        program.chmod(0o755)
        codec = open_codec(f'command:enc="{program} {{in}} {{out}} {{q}}",dec="true {{in}} {{out}}"')
        described.append(codec.describe()["programs"][str(program)])
    assert described[0] != described[1]
    assert len(before[sys.executable]) == 64


@pytest.mark.skipif(shutil.which("cwebp") is None or shutil.which("dwebp") is None, reason="no cwebp, dwebp here")
def test_cwebp() -> None:
    codec = open_codec(
        'command:enc="cwebp -quiet -q {q} {in} -o {out}",dec="dwebp -quiet {in} -o {out}",suffix=.webp,qualities="5 50"'
    )
    image: Image = np.array(Pillow.fromarray(PICTURE).resize((120, 80)))
    assert codec.decode(codec.encode(image, 90)).shape == image.shape


def test_every_word_that_is_a_file_tells_one_version_from_another(programs: Path) -> None:
    (programs / "model.cfg").write_text("a")
    text = spec(programs).replace("{q}", f"{{q}} --model={programs}/model.cfg {programs}")
    described = [open_codec(text).describe()["files"]]
    assert set(described[0]) == {str(programs / name) for name in ("enc.py", "dec.py", "model.cfg")}
    for name in ("enc.py", "dec.py", "model.cfg"):
        (programs / name).write_text((programs / name).read_text() + "\n")
        described.append(open_codec(text).describe()["files"])
        assert [part for part in described[-1] if described[-1][part] != described[-2][part]] == [str(programs / name)]


def test_words_that_are_no_files_leave_the_description_as_it_was() -> None:
    codec = open_codec('command:enc="true {in} {out} {q} -q=3",dec="true {in} {out}"')
    assert set(codec.describe()) == {"enc", "dec", "suffix", "picture", "programs"}


# What a line may name besides

TALKER = """
import sys
open(sys.argv[1], "w").write(" ".join(sys.argv[3:]))
"""
PAINTER = """
import sys
from PIL import Image
source, output, width, height, seed, device = sys.argv[1:]
assert open(source).read() == f"{width} {height} {device} 1"
Image.new("RGB", (int(width), int(height)), (int(seed), len(device), 0)).save(output)
"""


def painter(folder: Path, enc: str = "{width} {height} {device} {q}", dec: str = "{seed} {device}") -> str:
    (folder / "talk.py").write_text(TALKER)
    (folder / "paint.py").write_text(PAINTER)
    return (
        f'command:enc="{sys.executable} {folder}/talk.py {{out}} {{in}} {enc}",'
        f'dec="{sys.executable} {folder}/paint.py {{in}} {{out}} {{width}} {{height}} {dec}",qualities=1'
    )


def test_lines_are_given_the_size_the_device_and_a_seed(programs: Path) -> None:
    """The decoder's size is in front of the stream, in four bytes that count."""
    codec = open_codec(painter(programs), "cuda:1")
    assert codec.stochastic
    data = codec.encode(PICTURE, 1)
    assert data == b"\x1e\0\x14\0" + b"30 20 cuda:1 1"
    assert codec.decode(data, 7)[0, 0].tolist() == [7, 6, 0]
    assert codec.decode(data)[0, 0].tolist() == [0, 6, 0]


@pytest.mark.parametrize("data", [b"", b"\x1e\0", b"\x1e\0\x14\0", b"\0\0\x14\0stream"])
def test_a_stream_without_its_size_is_damaged(programs: Path, data: bytes) -> None:
    with pytest.raises(CorruptStream):
        open_codec(painter(programs)).decode(data)


def test_a_stream_does_not_depend_on_a_seed(programs: Path) -> None:
    with pytest.raises(UsageError, match=r"enc has \{seed\}, which is the decoder's"):
        open_codec(painter(programs, enc="{q} {seed}"))


def test_without_a_size_to_tell_the_stream_is_the_file(programs: Path) -> None:
    codec = open_codec(spec(programs))
    assert codec.stochastic is False
    assert codec.encode(PICTURE, 50).startswith(b"\xff\xd8\xff")


COPY = "import shutil, sys\nshutil.copy(sys.argv[1], sys.argv[2])\n"


@pytest.mark.parametrize("picture", ["yuv444p10", "yuv420p8"])
def test_raw_samples_go_to_the_program_and_come_back(programs: Path, picture: Layout) -> None:
    for name in ("enc.py", "dec.py"):
        (programs / name).write_text(COPY)
    codec = open_codec(spec(programs, more=f",picture={picture},matrix=bt601,range=limited"))
    image = PICTURE[:19, :29]
    data = codec.encode(image, 1)
    format_ = Format(picture, "bt601", "limited")
    assert data == b"\x1d\0\x13\0" + to_yuv(image, format_)
    np.testing.assert_array_equal(codec.decode(data), from_yuv(to_yuv(image, format_), 29, 19, format_))
    described = codec.describe()
    assert {described[key] for key in ("picture", "matrix", "range")} == {picture, "bt601", "limited"}
    with pytest.raises(CorruptStream, match="bytes where one image, "):
        codec.decode(data[:-2])


def test_colour_is_of_raw_samples_alone(programs: Path) -> None:
    with pytest.raises(UsageError, match="matrix and range are of YUV files, and picture is png"):
        open_codec(spec(programs, more=",range=limited"))


AOMEDIA = (
    'command:enc="aomenc --i444 -w {width} -h {height} --limit=1 --passes=1 --cpu-used=6 --end-usage=q --cq-level={q} '
    '--obu -o {out} {in}",dec="aomdec --rawvideo -o {out} {in}",suffix=.obu,picture=yuv444p8,qualities="40 10"'
)
HEVC = (
    'command:enc="x265 --input {in} --input-res {width}x{height} --fps 1 --frames 1 --input-depth 10 --output-depth 10 '
    '--input-csp i444 --no-info --qp {q} --output {out}",'
    'dec="ffmpeg -v error -i {in} -pix_fmt yuv444p10le -f rawvideo {out}",'
    'suffix=.hevc,picture=yuv444p10,qualities="40 10"'
)


@pytest.mark.slow
@pytest.mark.parametrize(("text", "needed"), [(AOMEDIA, ("aomenc", "aomdec")), (HEVC, ("x265", "ffmpeg"))])
def test_real_encoders_of_raw_samples(text: str, needed: tuple[str, ...]) -> None:
    """Of Debian: `apt-get install aom-tools x265 ffmpeg`."""
    if not all(map(shutil.which, needed)):
        pytest.skip(f"needs {' and '.join(needed)}")
    image = np.kron(PICTURE, np.ones((4, 4, 1), np.uint8))
    codec = open_codec(text)
    sizes, errors = [], []
    for quality in codec.qualities:
        data = codec.encode(image, quality)
        sizes.append(len(data))
        errors.append(np.abs(codec.decode(data).astype(int) - image).mean())
    assert sizes[0] < sizes[1]
    assert errors[0] > errors[1] < 3


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("x265") is None, reason="no x265 here")
def test_what_x265_says_of_itself_is_left_out() -> None:
    """As the page on other environments has it."""
    image = np.kron(PICTURE, np.ones((4, 4, 1), np.uint8))
    told, silent = (open_codec(text).encode(image, 40) for text in (HEVC.replace(" --no-info", ""), HEVC))
    assert len(told) - len(silent) > 1024
    assert b"x265" in told
    assert b"x265" not in silent
