"""Codecs that are not the suite's: what is checked when they are opened, and what tells one version from another."""

import asyncio
import enum
import hashlib
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.codecs import Codec, hold_codec, is_foreign, is_unproven, open_afresh, open_codec, parse_codec_spec
from benchmark.errors import BenchmarkError, UsageError
from benchmark.foreign import ForeignCodec, plain, trained_on
from benchmark.identity import anchored, files_named
from benchmark.sources import modules_beside

IMAGE = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)


class Least:
    """What an object must have."""

    def encode(self, image: Any, quality: float) -> bytes:
        return bytes(image.tobytes())

    def decode(self, data: bytes) -> Any:
        return np.frombuffer(data, np.uint8).reshape(4, 5, 3)


def test_two_functions_are_enough() -> None:
    codec = hold_codec(Least(), "ours")
    assert isinstance(codec, Codec)
    np.testing.assert_array_equal(codec.decode(codec.encode(IMAGE, 1), 7), IMAGE)
    assert (codec.qualities, codec.stochastic, codec.trained_on, codec.describes) == ((), False, (), False)
    assert codec.describe() == {"object": f"object of class {__name__}.Least", "code_sha256": sha256(Path(__file__))}
    assert not hasattr(codec, "estimate_bits")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("def encode(self, image, quality): ...", "no codec, it has no decode"),
        ("encode = 3\n    def decode(self, data, seed=None): ...", r"encode must take \(image, quality\), it is int"),
        ("def encode(self, image): ...\n    def decode(self, data, seed): ...", r"it is encode\(image\)"),
        (
            "def encode(self, i, q): ...\n    def decode(self): ...",
            r"decode must take \(data, seed\), it is decode\(\)",
        ),
        (
            "stochastic = True\n    def encode(self, i, q): ...\n    def decode(self, data): ...",
            "stochastic, but decode takes no seed",
        ),
        ("stochastic = 'yes'", "stochastic is 'yes', not True or False"),
        ("qualities = ('low', 'high')", r"qualities is \('low', 'high'\), not a list of numbers"),
        ("qualities = 3", "qualities is 3, not a list of numbers"),
        ("qualities = (True, 2)", "not a list of numbers"),
        ("qualities = (1, float('nan'))", "not a list of numbers"),
        ("qualities = (3, 1, 2)", "from few bits to many"),
        ("qualities = (1, 1)", "each once"),
        ("scale = 'abc'", r"scale is 'abc', not \(lowest, highest, step\)"),
        ("scale = (1, 2)", r"scale is \(1, 2\), not"),
        ("scale = (3, 1, 0)", r"scale is \(3, 1, 0\), not"),
        ("header_bytes = '4'", "header_bytes is '4', not a number from 0 on"),
        ("header_bytes = None", "header_bytes is None, not a number"),
        ("cpus = -1", "cpus is -1, not a number from 0 on"),
        ("gpus = float('nan')", "gpus is nan, not a number"),
        ("trained_on = 5", "trained_on is 5, not names of metrics"),
        ("trained_on = ('lpips', 5)", r"trained_on is \('lpips', 5\), not names"),
    ],
)
def test_what_is_wrong_with_a_codec_is_said_when_it_is_opened(tmp_path: Path, body: str, reason: str) -> None:
    functions = "def encode(self, image, quality): ...\n    def decode(self, data, seed=None): ..."
    path = tmp_path / "mine.py"
    path.write_text(f"class Mine:\n    {body}\n" + ("" if "code" in body else f"    {functions}\n"))
    with pytest.raises(UsageError, match=reason) as caught:
        open_codec(f"{path}:Mine")
    assert str(caught.value).startswith(f"codec {path}:Mine: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["encode", "qualities", "scale"])
def test_a_property_that_raises_is_told_with_its_place(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "class Mine:\n    def encode(self, i, q): ...\n    def decode(self, d): ...\n"
        f"    @property\n    def {name}(self):\n        raise ValueError('no checkpoint')\n"
    )
    told = rf"^codec {path}:Mine: cannot be used: ValueError: no checkpoint \(mine.py:6 in {name}\)$"
    with pytest.raises(BenchmarkError, match=told):
        open_codec(f"{path}:Mine")


def test_numbers_that_a_codec_may_have() -> None:
    codec: Any = Least()
    codec.scale, codec.header_bytes, codec.cpus, codec.trained_on = [1, np.int64(7), 0.5], 12, 2.5, ["lpips"]
    held: Any = hold_codec(codec, "ours")
    assert (held.scale, held.header_bytes, held.cpus, held.trained_on) == ((1, 7, 0.5), 12, 2.5, ("lpips",))
    assert not hasattr(held, "gpus")


def test_a_class_in_place_of_an_object() -> None:
    with pytest.raises(UsageError, match=r"a class, not an object of it; write Least\("):
        hold_codec(Least, "ours")


@pytest.mark.parametrize("signature", ["data", "data, seed", "data, seed=None", "data, *, seed=None", "*all", "d, **n"])
def test_decode_may_leave_the_seed_out(tmp_path: Path, signature: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        f"class Mine:\n    def encode(self, image, quality): return b'1'\n    def decode(self, {signature}):\n"
        "        return dict(locals()).get('seed', 'none')\n"
    )
    codec: Any = open_codec(f"{path}:Mine")
    assert codec.decode(b"1", 5) == (5 if "seed" in signature else "none")


@pytest.mark.parametrize("stochastic", [True, False])
@pytest.mark.parametrize(
    ("signature", "wanted"),
    [
        ("data, steps=50, seed=None", (50, 5)),
        ("data, steps=50, *, seed=None", (50, 5)),
        ("data, steps=50, *more, seed=None", (50, 5)),
        ("data, seed=None, steps=50", (50, 5)),
    ],
)
def test_a_seed_goes_to_no_other_setting(
    tmp_path: Path, signature: str, wanted: tuple[int, int], stochastic: bool
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        f"class Mine:\n    stochastic = {stochastic}\n    def encode(self, image, quality): return b'1'\n"
        f"    def decode(self, {signature}): return steps, seed\n"
    )
    codec: Any = open_codec(f"{path}:Mine")
    assert codec.decode(b"1", 5) == wanted


@pytest.mark.parametrize("default", ["50", "True", "None"])
def test_a_decoder_without_a_seed_keeps_its_settings(tmp_path: Path, default: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "class Mine:\n    def encode(self, image, quality): return b'1'\n"
        f"    def decode(self, data, setting={default}): return str(setting)\n"
    )
    codec: Any = open_codec(f"{path}:Mine")
    assert (codec.decode(b"1"), codec.decode(b"1", 5)) == (default, default)


@pytest.mark.parametrize("name", ["encode", "estimate_bits", "encode_with_estimate"])
@pytest.mark.parametrize(
    "signature", ["image, quality", "image, speed=1, quality=50", "image, speed=1, *, quality", "image, q, speed=1"]
)
def test_a_quality_goes_to_no_other_setting(tmp_path: Path, name: str, signature: str) -> None:
    path = tmp_path / "mine.py"
    others = {"encode": "image, quality", "decode": "data", name: signature}
    quality = "q" if " q" in signature and "quality" not in signature else "quality"
    speed = "speed" if "speed" in signature else 1
    path.write_text(
        "class Mine:\n"
        + "".join(f"    def {one}(self, {given}): return 0\n" for one, given in others.items() if one != name)
        + f"    def {name}(self, {signature}): return {quality}, {speed}\n"
    )
    codec: Any = open_codec(f"{path}:Mine")
    assert getattr(codec, name)(IMAGE, 7.0) == (7.0, 1)


@pytest.mark.parametrize("qualities", [(1, 2.5), [np.float32(1), np.int64(2)], range(1, 3), (37, 32, 27), ()])
def test_qualities_are_numbers_up_or_down(qualities: Any) -> None:
    codec: Any = Least()
    codec.qualities = qualities
    assert hold_codec(codec, "ours").qualities == tuple(float(quality) for quality in qualities)


# Descriptions


class Colour(enum.StrEnum):
    RED = "red"


def test_a_description_that_holds_itself() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = [endless]
    with pytest.raises(
        BenchmarkError, match=r"ours: describe: field 'again\[0\]' is nested too deeply, or holds itself"
    ):
        plain(endless, "ours: describe")


def test_a_description_becomes_json() -> None:
    described = {"a": (1, True, None), "b": {"c": np.float64(0.5), "d": [Colour.RED]}}
    cleaned = plain(described, "describe")
    assert cleaned["a"] == [1, True, None]
    assert cleaned["b"]["c"] == 0.5
    assert type(cleaned["b"]["c"]) is float


@pytest.mark.parametrize(
    ("described", "reason"),
    [
        ({"x": np.float32(1)}, "field 'x' is float32, not a JSON value"),
        ({"x": {"y": [1, np.zeros(2)]}}, r"field 'x.y\[1\]' is ndarray"),
        ({"x": math.nan}, "field 'x' is nan"),
        ({"x": {1: 2}}, "field 'x' has the key 1, which is no string"),
        ({"x": Path("a")}, "field 'x' is P"),
        (None, "describe returned NoneType, not a dict"),
        ([1], "describe returned list, not a dict"),
    ],
)
def test_a_description_that_is_none_names_its_field(described: Any, reason: str) -> None:
    codec: Any = Least()
    codec.describe = lambda: described
    with pytest.raises(BenchmarkError, match=reason) as caught:
        hold_codec(codec, "ours").describe()
    assert str(caught.value).startswith("codec ours: describe")


@pytest.mark.parametrize("error", [ValueError("no\nway"), SystemExit(3), asyncio.CancelledError()])
def test_a_description_that_fails(error: BaseException) -> None:
    class Fails(Least):
        def describe(self) -> Any:
            raise error

    with pytest.raises(BenchmarkError, match=rf"describe: .* \({Path(__file__).name}:\d+ in describe\)") as caught:
        hold_codec(Fails(), "ours").describe()
    assert "\n" not in str(caught.value)


def test_what_a_codec_was_trained_on_under_both_names() -> None:
    class Old(Least):
        taught_by = ("lpips",)

    class New(Least):
        trained_on = "dists"

    assert (trained_on(Old()), trained_on(New()), trained_on(Least())) == (("lpips",), ("dists",), ())


# What it is made of

FILE = """
import my_model
from my_tools import helpers

class Mine:
    qualities = (1, 2)
    def __init__(self, weights=""):
        self.weights = weights
    def encode(self, image, quality):
        import my_late
        return my_model.f(image)
    def decode(self, data):
        return data
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "code"
    (folder / "my_tools").mkdir(parents=True)
    (folder / "mine.py").write_text(FILE)
    (folder / "my_model.py").write_text("import math\nimport my_deep\nf = bytes\n")
    (folder / "my_deep.py").write_text("")
    (folder / "my_late.py").write_text("")
    (folder / "my_other.py").write_text("")
    (folder / "my_tools" / "__init__.py").write_text("")
    (folder / "my_tools" / "helpers.py").write_text("from . import __init__")
    yield folder
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_modules_beside_a_file_that_it_imports(own: Path) -> None:
    found = modules_beside(own / "mine.py")
    assert list(found) == ["my_deep.py", "my_late.py", "my_model.py", "my_tools/__init__.py", "my_tools/helpers.py"]


def test_the_record_has_what_the_codec_is_made_of(own: Path, tmp_path: Path) -> None:
    for name in ("q1.pth", "q2.pth", "plain.pth"):
        (tmp_path / name).write_text(name)
    (tmp_path / "q3.pth").mkdir()
    described = open_codec("./code/mine.py:Mine").describe()
    assert set(described) == {"file_sha256", "modules_sha256"}
    assert described["modules_sha256"]["my_model.py"] == sha256(own / "my_model.py")
    described = open_codec("./code/mine.py:Mine:weights=q{q}.pth").describe()
    assert described["settings_sha256"] == {f"weights {name}": sha256(tmp_path / name) for name in ("q1.pth", "q2.pth")}
    described = open_codec("./code/mine.py:Mine:weights=plain.pth").describe()
    assert described["settings_sha256"] == {"weights": sha256(tmp_path / "plain.pth")}


def test_what_names_no_file(tmp_path: Path) -> None:
    for text in ("", "{q}", "./{q}", "a\0b", "x" * 5000, "~nobody-of-that-name/x", "no[such]{q}", "3", str(tmp_path)):
        assert files_named(text) == []


def test_what_is_a_path_here_is_anchored_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    for name in ("weights/q1.pth", "small", "3", "a.pth"):
        (tmp_path / name).write_text("")
    here = {text: anchored(text) for text in ("weights/q1.pth", "weights/q{q}.pth", "./weights", "a.pth")}
    assert here == {text: str(tmp_path / text) for text in here}
    for text in ("small", "3", "weights", "0.5", "b.pth", "weights/q{q}.pt", str(tmp_path), "a\0/b", "~nobody-there/x"):
        assert anchored(text) == text


def test_a_fresh_codec_shares_nothing_with_the_first(own: Path) -> None:
    (own / "my_model.py").write_text("kept = []\n")
    (own / "mine.py").write_text(
        "import my_model\nmine = []\nclass Mine:\n    def encode(self, image, quality):\n"
        "        mine.append(1); my_model.kept.append(1); return b'1'\n"
        "    def decode(self, data): return len(mine), len(my_model.kept)\n"
    )
    codec: Any = open_codec("./code/mine.py:Mine")
    codec.encode(IMAGE, 1)
    fresh: Any = open_afresh("./code/mine.py:Mine", "cpu")
    assert (codec.decode(b"1"), fresh.decode(b"1")) == ((1, 1), (0, 0))
    assert "my_model" not in sys.modules
    assert open_codec("./code/mine.py:Mine").decode(b"1") == (1, 1)  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    ("spec", "foreign", "unproven"),
    [
        ("jpeg", False, False),
        ("hfd:decoder=flow", False, False),
        ("./a.py:C", True, True),
        ("bpp:./a.py:C:x=1", True, True),
        ("match:jpeg~./a.py:C", True, True),
        ("match:jpeg~avif", False, False),
        ('command:enc="a {in} {out} {q}",dec="a {in} {out}"', False, True),
        ('bpp:command:enc="a {in} {out} {q}",dec="a {in} {out}"', False, True),
    ],
)
def test_who_is_foreign(spec: str, foreign: bool, unproven: bool) -> None:
    parsed = parse_codec_spec(spec)
    assert (is_foreign(parsed), is_unproven(parsed)) == (foreign, unproven)


def test_what_a_file_changes_when_it_is_imported_all_its_codecs_find(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from PIL import ImageFile\nImageFile.LOAD_TRUNCATED_IMAGES = True\nclass A:\n"
        "    def encode(self, image, quality): return ImageFile.LOAD_TRUNCATED_IMAGES\n"
        "    def decode(self, data): ...\nclass B(A): ...\n"
    )
    from PIL import ImageFile

    codecs: list[Any] = [open_codec(f"{path}:{name}") for name in "AB"]
    assert [codec.encode(IMAGE, 1) for codec in codecs] == [True, True]
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    assert isinstance(codecs[0], ForeignCodec)
