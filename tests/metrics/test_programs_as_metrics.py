"""Programs as metrics. The programs are small Python scripts, so that every machine has them."""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from degradation import noisy

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, UsageError
from benchmark.metrics import ImageMetric, open_metric
from benchmark.metrics.command import NUMBER
from benchmark.metrics.own import Failed
from benchmark.metrics.records import info_of, record_of
from benchmark.results import FAILED

A = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
B = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
SCRIPT = """
import sys
import numpy as np
from PIL import Image
a, b = (np.asarray(Image.open(file), dtype=float) for file in sys.argv[1:3])
print("warning 7.5", file=sys.stderr)
print("version 1.2.3, max:", abs(a - b).max())
print("mean:", abs(a - b).mean())
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """diff.py; temporary files go to an empty folder beside it."""
    (tmp_path / "diff.py").write_text(SCRIPT)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "diff.py"


def spec(script: Path, more: str = "") -> str:
    return f'command:metric="{sys.executable} {script} {{original}} {{reconstruction}}",higher=false,name=diff{more}'


def opened(text: str) -> ImageMetric:
    metric = open_metric(text)
    assert isinstance(metric, ImageMetric)
    return metric


def value(text: str, original: Image = A, reconstruction: Image = B) -> float:
    metric = opened(text)
    return metric.compare(metric.prepare(original), reconstruction)


def test_the_value_is_the_last_number_of_the_output(script: Path) -> None:
    expected = np.abs(A.astype(float) - B).mean()
    assert value(spec(script)) == expected
    assert value(spec(script), A, A) == 0
    assert list((script.parent / "temporary").iterdir()) == []


@pytest.mark.parametrize("picture", ["png", "ppm", "bmp"])
def test_files_are_of_the_format_asked_for(script: Path, picture: str) -> None:
    script.write_text(
        "import sys\nfiles = [open(file, 'rb').read()[:2] for file in sys.argv[1:3]]\n"
        "print([b'\\x89P', b'P6', b'BM'].index(files[0]) if files[0] == files[1] else -1)"
    )
    assert value(spec(script, f",picture={picture}")) == ["png", "ppm", "bmp"].index(picture)


def test_a_pattern_chooses_the_number(script: Path) -> None:
    largest = float(np.abs(A.astype(float) - B).max())
    assert value(spec(script, ',pattern="max: ([0-9.]+)"')) == largest
    assert value(spec(script, ',pattern="[0-9.]+(?=\\s+mean)"')) == largest


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3-norm: 2.725570\n", ["3", "2.725570"]),
        ("score=-1.5e-3.", ["-1.5e-3"]),
        ("p3 x7y 1.2.3 8bit .5 6.", [".5", "6."]),
        ("PSNR inf dB, of info", ["inf"]),
        ("-nan", ["-nan"]),
        ("72.5%", ["72.5"]),
        ("frame 1: 37,2 dB", ["1", "37,2"]),
        ("a,3.5 and 1,234.5, 6", ["3.5", "1,234.5", "6"]),
    ],
)
def test_numbers_are_told_from_words(text: str, numbers: list[str]) -> None:
    assert [match[0] for match in NUMBER.finditer(text)] == numbers


def test_facts_and_protocol_come_from_the_settings(script: Path) -> None:
    metric = opened(spec(script, ",unit=levels"))
    info = metric.info
    assert (info.name, info.unit, info.higher_is_better, info.kind) == ("diff", "levels", False, "image")
    name, kind, program = metric.protocol.split("/")
    assert (name, kind, program.partition("-")[0]) == ("diff", "command", "program")
    assert {kind, program} == set(info.parts)
    record = info_of("diff", record_of(metric, spec(script)))
    assert (record.title, record.unit, record.higher_is_better) == ("diff", "levels", False)
    bare = spec(script).replace(",name=diff", "")
    assert open_metric(bare).info.name == Path(sys.executable).stem


def test_a_changed_script_is_another_metric_and_the_same_elsewhere_is_the_same(script: Path, tmp_path: Path) -> None:
    first = opened(spec(script)).protocol
    moved = tmp_path / "elsewhere" / "other-name.py"
    moved.parent.mkdir()
    shutil.copy(script, moved)
    assert opened(spec(moved)).protocol == first
    script.write_text(SCRIPT + "\n")
    assert opened(spec(script)).protocol != first
    assert opened(spec(moved, ',pattern="mean: (.*)"')).protocol != first
    assert opened(spec(moved, ",picture=ppm")).protocol != first
    (tmp_path / "settings.txt").write_text("1")
    with_file = spec(moved).replace("{original}", f"{{original}} --settings={tmp_path}/settings.txt")
    before = opened(with_file).protocol
    (tmp_path / "settings.txt").write_text("2")
    assert opened(with_file).protocol != before


def test_words_that_are_files_are_found_from_the_folder_of_the_start(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(script.parent)
    metric = opened(spec(Path("diff.py")))
    monkeypatch.chdir("/")
    assert metric.compare(metric.prepare(A), A) == 0


def failure(script: Path, code: str, more: str = "") -> str:
    script.write_text(code)
    with pytest.raises(Failed) as found:
        value(spec(script, more))
    text = str(found.value)
    assert text.startswith(FAILED)
    assert "\n" not in text
    assert list((script.parent / "temporary").iterdir()) == []
    return text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; print(5); sys.exit('no such colour space')", ["exit code 1: no such colour space"]),
        (
            "print('no value'); import sys; print('bad gamma', file=sys.stderr)",
            ["no number", "'no value'", "bad gamma"],
        ),
        ("pass", ["no number on its standard output"]),
        ("import os; os.kill(os.getpid(), 11)", ["signal SIGSEGV"]),
        ("import sys; print('only here'); sys.exit(3)", ["exit code 3: only here"]),
        ("print('frame 1: 37,2 dB')", ["'37,2' may be one number or several", "`pattern` chooses"]),
    ],
)
def test_a_program_that_fails_is_recorded_with_its_last_words(script: Path, code: str, words: list[str]) -> None:
    text = failure(script, code)
    assert all(word in text for word in words)


def test_what_a_pattern_does_not_find_is_said(script: Path) -> None:
    assert "no text that matches 'score (.*)'" in failure(script, "print('mean: 5')", ',pattern="score (.*)"')
    assert "'n/a' is no number" in failure(script, "print('mean: n/a')", ',pattern="mean: (.*)"')


def test_a_program_that_takes_too_long_is_ended_with_what_it_started(script: Path) -> None:
    (script.parent / "child.py").write_text(
        f"import time\ntime.sleep(4)\nopen({str(script.parent / 'late')!r}, 'w').close()\n"
    )
    code = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, {str(script.parent / 'child.py')!r}])\ntime.sleep(600)"
    )
    assert "no end after 0.5 seconds; it was killed" in failure(script, code, ",timeout=0.5")
    time.sleep(4.5)
    assert not (script.parent / "late").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("command", "needs the setting metric"),
        ('command:metric="x {original} {reconstruction}"', "needs the setting higher"),
        ('command:metric="x {original}",higher=true', "lacks {reconstruction}"),
        ('command:metric="no-such-program {original} {reconstruction}",higher=true', "no program no-such-program"),
        ('command:metric="cat {original} {reconstruction}",higher=perhaps', "true or false"),
        ('command:metric="cat {original} {reconstruction}",higher=true,pattern="("', "regular expression"),
        ('command:metric="cat {original} {reconstruction}",higher=true,pattern="(a)(b)"', "2 groups"),
        ('command:metric="cat {original} {reconstruction}",higher=true,name=psnr', "metric of the suite"),
        ('command:metric="cat {original} {reconstruction}",higher=true,name=seconds', "means something else"),
        ('command:metric="cat {original} {reconstruction}",higher=true,name="a b"', "letters, digits"),
        ('command:metric="cat {original} {reconstruction}",higher=true@whole', "only metrics of sets have patches"),
        ('command:metric="cat {original} {reconstruction}",higher=true,timeout=0', "above 0"),
        ('command:metric="cat {original} {reconstruction}",higher=true,colour=red', "no setting 'colour'"),
    ],
)
def test_mistakes_are_one_line(text: str, words: str) -> None:
    with pytest.raises(UsageError) as found:
        open_metric(text)
    assert words in str(found.value)
    assert "\n" not in str(found.value)


def test_another_size_is_an_error(script: Path) -> None:
    with pytest.raises(BenchmarkError, match="the reconstruction is 30x10"):
        value(spec(script), A, B[:10])


@pytest.mark.skipif(shutil.which("butteraugli_main") is None, reason="Debian's libjxl-devtools is not installed")
def test_butteraugli_of_libjxl(photo: Image) -> None:
    line = 'command:metric="butteraugli_main {original} {reconstruction}",higher=false'
    whole, changed = photo[:128, :192], noisy(photo[:128, :192], 10)
    norm, largest = value(line, whole, changed), value(f'{line},pattern="^[0-9.]+"', whole, changed)
    assert 0 < norm < largest
    assert value(line, whole, whole) == 0
    assert value(line, whole, noisy(whole, 30)) > norm


@pytest.mark.skipif(shutil.which("ssimulacra_main") is None, reason="Debian's libjxl-devtools is not installed")
def test_ssimulacra_of_libjxl(photo: Image) -> None:
    line = 'command:metric="ssimulacra_main {original} {reconstruction}",higher=false'
    assert value(line, photo, photo) == 0
    assert 0 < value(line, photo, noisy(photo, 5)) < value(line, photo, noisy(photo, 20))


def test_a_program_that_changes_while_a_run_goes_on(script: Path) -> None:
    metric = opened(spec(script))
    first = metric.compare(metric.prepare(A), B)
    assert metric.compare(metric.prepare(A), B) == first
    script.write_text(script.read_text() + "print(99)\n")
    with pytest.raises(Failed, match="has changed since it was first called"):
        metric.compare(metric.prepare(A), B)
