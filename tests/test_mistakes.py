"""What is wrong with a file of one's own is one line that names the file, the field, and what was expected."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.codecs import open_codec
from benchmark.datasets import open_dataset
from benchmark.errors import BenchmarkError
from benchmark.metrics import open_metric

BOTH = "    def encode(self, image, quality): return b'1'\n    def decode(self, data): ...\n"
HIGH = "class Mine:\n    higher_is_better = True\n"
IMAGE = "import numpy as np\nIMAGE = np.zeros((2, 2, 3), np.uint8)\n"

FILES = {
    "class Mine(:\n": (3, "the file cannot be run: SyntaxError: invalid syntax (mine.py, line 1)"),
    "import nowhere_at_all\n": (3, "No module named 'nowhere_at_all' (mine.py:1 in <module>)"),
    "import sys; sys.exit(0)\n": (3, "it calls sys.exit(0) (mine.py:1 in <module>)"),
    "import os; os._exit(0)\n": (3, "it calls os._exit(0) (mine.py:1 in <module>)"),
    "def f(): return f()\nf()\n": (3, "RecursionError: maximum recursion depth exceeded (mine.py:1 in f)"),
    "x = '\udcff'\n": (3, "SyntaxError: (unicode error) 'utf-8' codec can't decode byte 0xff"),
    "Other = 3\n": (2, "mine.py has no Mine"),
    "Mine = None\n": (2, "None is neither a class nor a function that makes one"),
    "class M: ...\nMine = M()\n": (2, "an object of class M is neither a class nor a function that makes one"),
    "class Mine:\n    def __init__(self): raise KeyError('w')\n": (3, "KeyError: 'w' (mine.py:2 in __init__)"),
    "class Mine:\n    def __init__(self, a): ...\n": (2, "needs the setting a"),
    "import abc\nclass Mine(abc.ABC):\n    @abc.abstractmethod\n    def encode(self): ...\n": (3, "abstract method"),
}
"""Of any kind."""
CODECS = {
    "def Mine(): ...\n": (2, "no codec, it has no encode, decode"),
    f"class M:\n{BOTH}def Mine(): return M\n": (2, "a class, not an object of it; write M(…)"),
    "class Mine:\n    async def encode(self, i, q): ...\n    def decode(self, d): ...\n": (2, "encode is async"),
    f"class Mine:\n    describe = 3\n{BOTH}": (2, "describe is int, not a function that returns a dict"),
    f"class Mine:\n    def describe(self, x): ...\n{BOTH}": (3, "describe: TypeError: "),
    f"class Mine:\n    qualities = {{1: 2}}\n{BOTH}": (2, "qualities is {1: 2}, which has no order"),
    f"class Mine:\n    qualities = {{1, 2}}\n{BOTH}": (2, "qualities is {1, 2}, which has no order"),
    f"class Mine:\n    def qualities(self): return (1,)\n{BOTH}": (2, "qualities is <bound method"),
    f"import numpy\nclass Mine:\n    qualities = numpy.eye(2)\n{BOTH}": (
        2,
        "qualities is array([[1., 0.], [0., 1.]]), not",
    ),
    f"class Mine:\n    def describe(self): return {{'w': '\\ud800'}}\n{BOTH}": (
        3,
        "field 'w' is '\\ud800', which UTF-8",
    ),
    f"class Mine:\n    def describe(self): return {{'\\ud800': 1}}\n{BOTH}": (3, "which UTF-8 cannot write"),
    f"class Mine:\n    def describe(self): return {{'w': 10 ** 5000}}\n{BOTH}": (
        3,
        "field 'w' is a whole number beyond",
    ),
    f"class Mine:\n    def describe(self):\n        d = 1\n        for _ in range(3000): d = [d]\n"
    f"        return {{'w': d}}\n{BOTH}": (3, "field 'w[0]' is nested too deeply, or holds itself"),
    f"class Mine:\n    environment = 3\n{BOTH}": (2, "environment is 3, not names of environment variables"),
    f"class Mine:\n    def __getattr__(self, n): raise RuntimeError(n)\n{BOTH}": (3, "cannot be used: RuntimeError"),
}
METRICS = {
    HIGH: (2, "no metric; one has compare(original, reconstruction), features(image) or score(reconstruction)"),
    f"{HIGH}    def compare(self, a): ...\n": (2, "compare must take (original, reconstruction), it is compare(a)"),
    f"{HIGH}    def score(self, a, b): ...\n": (2, "score must take (reconstruction), it is score(a, b)"),
    f"{HIGH}    def load(self, a): ...\n    def score(self, a): ...\n": (2, "load must take (), it is load(a)"),
    f"{HIGH}    def prepare(self): ...\n    def compare(self, a, b): ...\n": (2, "prepare must take (original)"),
    f"{HIGH}    def distance(self, a): ...\n    def features(self, a): ...\n": (2, "distance must take (originals"),
    f"{HIGH}    async def score(self, a): ...\n": (2, "score is async; it must return its result"),
    f"{HIGH}    lowest, highest = 3, 1\n    def score(self, a): ...\n": (2, "its range is 3 to 1"),
    f"{HIGH}    lowest = float('nan')\n    def score(self, a): ...\n": (2, "its range is nan to None"),
    f"{HIGH}    smallest_side = 0\n    def score(self, a): ...\n": (2, "smallest_side is 0, not a number of pixels"),
    f"{HIGH}    title = 'a\\nb'\n    def score(self, a): ...\n": (2, "title is 'a\\nb'; it must be one line"),
    f"{HIGH}    unit = '\\x1b[31m'\n    def score(self, a): ...\n": (2, "unit is '\\x1b[31m'; it must be one line"),
    f"{HIGH}    protocol = 'a\\tb'\n    def score(self, a): ...\n": (2, "protocol is 'a\\tb'; it must be one line"),
    f"{HIGH}    parts = {{1: 2}}\n    def score(self, a): ...\n": (2, "parts is {1: 2}, not a dict"),
    f"{HIGH}    parts = 3\n    def score(self, a): ...\n": (2, "parts is 3, not a dict"),
    f"{HIGH}    environment = 3\n    def score(self, a): ...\n": (2, "environment is 3, not names"),
    "class Mine:\n    @property\n    def unit(self): raise ValueError('no')\n    def score(self, a): ...\n": (
        3,
        "cannot be used: ValueError: no (mine.py:3 in unit)",
    ),
}
DATASETS = {
    "def Mine(): ...\n": (2, "None, where images or pairs (name, image) are wanted"),
    "async def Mine(): ...\n": (2, "a coroutine, where images or pairs (name, image) are wanted"),
    f"{IMAGE}def Mine():\n    yield IMAGE\n    raise ValueError('x')\n": (
        3,
        "failed at image 1: ValueError: x (mine.py:5",
    ),
    f"{IMAGE}import os\ndef Mine():\n    yield IMAGE\n    os._exit(0)\n": (
        3,
        "failed at image 1: RuntimeError: it calls",
    ),
    f"{IMAGE}def Mine(): yield IMAGE.astype(float)\n": (2, "image 0: float64 (2, 2, 3); an image is a uint8 array"),
    f"{IMAGE}def Mine(): return {{3: IMAGE}}\n": (2, "image 0: its name is an int, not text"),
    "def Mine(): yield 'a.png'\n": (2, "image 0: there is no file a.png"),
    "class Mine:\n    def __iter__(self): raise KeyError('w')\n": (3, "failed at image 0: KeyError: 'w' (mine.py:2"),
}


def described(spec: str) -> Any:
    return open_codec(spec).describe()


CASES = [
    pytest.param(opener, text, *expected, id=f"{kind} {number}")
    for kind, opener, table in (
        ("codec", described, {**FILES, **CODECS}),
        ("metric", open_metric, {**FILES, **METRICS}),
        ("data set", open_dataset, {**FILES, **DATASETS}),
    )
    for number, (text, expected) in enumerate(table.items())
]


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize(("opener", "text", "code", "words"), CASES)
def test_one_line_that_names_file_and_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opener: Callable[[str], Any], text: str, code: int, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    Path("mine.py").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BenchmarkError) as caught:
        opener("./mine.py:Mine")
    told = str(caught.value)
    assert caught.value.exit_code == code
    assert "mine.py:Mine" in told
    assert "\n" not in told
    if "abstract" in text and opener is not described:  # of a metric or data set, another function is
        assert "cannot be opened: TypeError: " in told
    else:
        assert words in told
