"""The spec grammar and the labels."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.codecs import CODECS, Codec, open_codec, parse_codec_spec, quality_grid, without_defaults
from benchmark.errors import BenchmarkError, UsageError

ROOT = Path(__file__).parents[1]

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True)
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,6}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters='"', exclude_categories=["Cs"]), max_size=12)


@given(NAMES, st.dictionaries(KEYS, VALUES, max_size=4))
def test_what_is_written_is_read(name: str, settings: dict[str, str]) -> None:
    text = name + (":" if settings else "") + ",".join(f'{key}="{value}"' for key, value in settings.items())
    spec = parse_codec_spec(text)
    assert (spec.text, spec.name, dict(spec.settings)) == (text, name, settings)


@given(NAMES, KEYS, VALUES.filter(lambda value: "," not in value))
def test_values_without_a_comma_need_no_quotes(name: str, key: str, value: str) -> None:
    assert parse_codec_spec(f"{name}:{key}={value}") == parse_codec_spec(f"{name}:{key}={value}")
    assert dict(parse_codec_spec(f"{name}:{key}={value}").settings) == {key: value}


def test_the_examples() -> None:
    assert dict(parse_codec_spec("jpeg:subsampling=4:4:4").settings) == {"subsampling": "4:4:4"}
    assert dict(parse_codec_spec("hfd:decoder=flow,steps=8").settings) == {"decoder": "flow", "steps": "8"}
    command = parse_codec_spec('command:enc="cjxl {in} {out} -q {q}",dec="djxl {in}, {out}"')
    assert command.settings["dec"] == "djxl {in}, {out}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "jpeg:",
        "jpeg:4:4:4",
        "jpeg:a=1,a=2",
        'jpeg:a="1',
        'jpeg:a="1"2',
        "jpeg:a=1,,b=2",
        "a b",
        "-x",
        "jpeg:=1",
    ],
)
def test_malformed_specs_are_usage_errors(text: str) -> None:
    with pytest.raises(UsageError):
        parse_codec_spec(text)


@given(st.text(max_size=40))
def test_any_text_is_a_spec_or_a_usage_error(text: str) -> None:
    try:
        spec = parse_codec_spec(text)
    except UsageError:
        return
    assert spec.text == text


@given(st.lists(st.tuples(NAMES, st.dictionaries(KEYS, VALUES, max_size=2)), min_size=2, max_size=6))
def test_labels_are_safe_for_a_path_and_unique(parts: list[tuple[str, dict[str, str]]]) -> None:
    texts = {
        name + (":" if settings else "") + ",".join(f'{key}="{value}"' for key, value in settings.items())
        for name, settings in parts
    }
    labels = [parse_codec_spec(text).label for text in texts]
    assert all(re.fullmatch(r"[A-Za-z0-9._=-]{1,120}", label) and label[0] not in ".-" for label in labels)
    assert len(set(labels)) == len(texts)


def test_specs_that_look_alike_in_a_path_have_different_labels() -> None:
    alike = ["jpeg:subsampling=4:4:4", "jpeg:subsampling=4/4/4", "jpeg:subsampling=4-4-4"]
    assert len({parse_codec_spec(text).label for text in alike}) == 3
    assert parse_codec_spec("jpeg").label == "jpeg"


def test_unknown_codecs_and_settings_name_what_there_is() -> None:
    with pytest.raises(UsageError, match="did you mean jpeg"):
        CODECS.load("jepg")
    with pytest.raises(UsageError, match=r"codec jpeg has no setting 'x'; its settings: subsampling$"):
        open_codec("jpeg:x=1")


# Codecs of one's own

OWN = """
from dataclasses import dataclass

LOADED = []

@dataclass
class Mine:
    step: str = "16"
    device: str = "none"
    qualities = (1, 2)
    stochastic = False
    def encode(self, image, quality):
        return bytes([image.shape[0], image.shape[1]]) + (image // int(self.step)).tobytes()
    def decode(self, data, seed=None):
        import numpy as np
        return (np.frombuffer(data[2:], np.uint8) * int(self.step)).reshape(data[0], data[1], 3)
    def describe(self):
        return {"step": self.step, "device": self.device}

def fails(step="1"):
    raise ValueError("no\\nway")

class Half:
    qualities = ()

number = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return path


@pytest.mark.parametrize(
    ("text", "name", "settings"),
    [
        ("./mine.py:Mine", "./mine.py:Mine", {}),
        ("mine.py:Mine:step=4", "mine.py:Mine", {"step": "4"}),
        ('/a b/c.py:make:x="1,2",y=3', "/a b/c.py:make", {"x": "1,2", "y": "3"}),
        ("bpp:jpeg:subsampling=4:4:4", "bpp", {"spec": "jpeg:subsampling=4:4:4"}),
        ('match:command:enc="a {in}, {out}",dec="b"~hfd', "match", {"spec": 'command:enc="a {in}, {out}",dec="b"~hfd'}),
    ],
)
def test_specs_of_files_and_of_codecs_around_others(text: str, name: str, settings: dict[str, str]) -> None:
    spec = parse_codec_spec(text)
    assert (spec.text, spec.name, dict(spec.settings)) == (text, name, settings)


def test_a_codec_in_a_file(own: Path) -> None:
    codec = open_codec("./mine.py:Mine:step=32", "cuda:7")
    assert isinstance(codec, Codec)
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    np.testing.assert_array_equal(codec.decode(codec.encode(image, 1)), image // 32 * 32)
    described = codec.describe()
    assert (described["step"], described["device"]) == ("32", "cuda:7")
    assert described["file_sha256"] == hashlib.sha256(own.read_bytes()).hexdigest()
    assert quality_grid(codec) == (1, 2)


@pytest.mark.parametrize(
    ("spec", "error", "reason"),
    [
        ("./nowhere.py:Mine", UsageError, "there is no file .*nowhere.py"),
        ("./mine.py:Yours", UsageError, "has no Yours"),
        ("./mine.py:number", UsageError, "neither a class nor a function"),
        ("./mine.py:Mine:speed=1", UsageError, "no setting 'speed'; its settings: step"),
        ("./mine.py:Mine:device=cpu", UsageError, "'device' is no setting; say --device"),
        ("./mine.py:Half", UsageError, "no codec, it has no encode, decode"),
        ("./mine.py:fails", BenchmarkError, "cannot be opened: ValueError: no way"),
        ("./broken.py:Mine", BenchmarkError, "cannot be run: SyntaxError"),
        ("jpeg:device=cpu", UsageError, "'device' is no setting; say --device"),
        ("noisy:x=1", UsageError, "no setting 'x'"),
    ],
)
def test_own_codecs_that_are_none(own: Path, spec: str, error: type[BenchmarkError], reason: str) -> None:
    (own.parent / "broken.py").write_text("class Mine(:")
    with pytest.raises(error, match=reason) as caught:
        open_codec(spec)
    assert "\n" not in str(caught.value)


def test_a_codec_of_an_installed_package(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip leaves on the path: a module, and a dist-info folder with its entry points."""
    info = own.parent / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hfd_benchmark.codecs]\nmine = mine:Mine\ngone = nowhere:Codec\n")
    code = (
        "from benchmark.codecs import CODECS, open_codec\n"
        "print(CODECS.summary('mine'), open_codec('mine:step=4').describe()['step'])\n"
        "open_codec('gone')"
    )
    path = f"{own.parent}{os.pathsep}{ROOT}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "from the package mine 4\n"
    assert "BenchmarkError: codec gone: cannot be imported: ModuleNotFoundError" in done.stderr


def test_a_package_cannot_take_the_name_of_a_codec(own: Path) -> None:
    info = own.parent / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hfd_benchmark.codecs]\njpeg = mine:Mine\n")
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", "list", "codecs"],
        env=os.environ | {"PYTHONPATH": f"{own.parent}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert re.fullmatch(r"error: the package mine: two codecs are named 'jpeg': .*\n", done.stderr)


@pytest.mark.checkout
def test_the_tutorial_s_codec_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "tutorials" / "your-codec.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- own codec -->\n```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    assert len(found[1].splitlines()) < 25
    Path("my_codec.py").write_text(found[1])
    codec = open_codec("./my_codec.py:MyCodec")
    image = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    lengths = []
    for quality in codec.qualities:
        data = codec.encode(image, quality)
        lengths.append(len(data))
        decoded = codec.decode(data)
        assert decoded.shape == image.shape
        assert decoded.dtype == np.uint8
    assert lengths == sorted(set(lengths))
    assert np.abs(decoded.astype(int) - image).mean() < 10
    assert "--codec ./my_codec.py:MyCodec" in text


def test_a_codec_that_ends_the_process_when_it_is_opened(own: Path) -> None:
    (own.parent / "ends.py").write_text("import sys\nclass C:\n    def __init__(self): sys.exit()\n")
    (own.parent / "ended.py").write_text("import sys\nsys.exit('enough')\n")
    for spec, reason in (
        ("./ends.py:C", r"cannot be opened: RuntimeError: it calls sys.exit\(\) \(ends.py:3 in __init__\)"),
        (
            "./ended.py:C",
            r"the file cannot be run: RuntimeError: it calls sys.exit\('enough'\) \(ended.py:2 in",
        ),
    ):
        with pytest.raises(BenchmarkError, match=reason):
            open_codec(spec)


def test_modules_beside_the_file_and_annotated_settings(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = own.parent / "elsewhere"
    folder.mkdir()
    (folder / "beside_the_codec.py").write_text("NUMBER = 3\n")
    (folder / "codec.py").write_text(
        "from beside_the_codec import NUMBER\nclass C:\n    qualities = (1,)\n"
        "    def __init__(self, n: int, fast: bool = False): self.n, self.fast = n, fast\n"
        "    def encode(self, image, quality): ...\n    def decode(self, data): ...\n"
        "    def describe(self): return {'n': self.n + NUMBER, 'fast': self.fast}\n"
    )
    described = open_codec("./elsewhere/codec.py:C:n=4,fast=true").describe()
    assert (described["n"], described["fast"]) == (7, True)
    assert list(described["modules_sha256"]) == ["beside_the_codec.py"]
    for spec, reason in (
        ("./elsewhere/codec.py:C:n=four", "n is a whole number, not 'four'"),
        ("./elsewhere/codec.py:C", "needs the setting n"),
        ("./elsewhere/codec.py:C:n=1,device=cuda", "'device' is no setting; say --device cuda"),
    ):
        with pytest.raises(UsageError, match=reason):
            open_codec(spec)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("hfd:decoder=one-step", "hfd"),
        ("hfd:decoder=flow", 'hfd:decoder="flow"'),
        ("hfd:realism=0.7", 'hfd:realism="0.7"'),
        ("jpeg:subsampling=4:2:0", "jpeg"),
        ("webp:method=4", "webp"),
        ("a label (of somebody)", "a label (of somebody)"),
        ("./mine.py:Codec", "./mine.py:Codec"),
        ("bpp:jpeg:subsampling=4:2:0", "bpp:jpeg:subsampling=4:2:0"),
    ],
)
def test_settings_that_change_nothing_are_left_out(text: str, plain: str) -> None:
    assert without_defaults(text) == plain
