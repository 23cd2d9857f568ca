"""How much of a text is still read: with a reader that this test makes, and with RapidOCR where it is installed."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from degradation import noisy
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFilter, ImageFont

from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, Undefined
from benchmark.metrics import open_metric
from benchmark.metrics.text import TEXT, TextRead, edit_distance


class Reader:
    """Finds lines of 16 rows, and reads a letter in each 10 columns whose first blue sample says which."""

    def __call__(self, image: Image, use_cls: bool, use_det: bool = True, use_rec: bool = True) -> Any:
        assert not use_cls
        if use_det:
            found = [top for top in range(0, image.shape[0] - 15, 16) if image[top, 0, 0]]
            width = image.shape[1] + 3.5  # a box may reach beyond the image
            corners = [[(-2.0, top), (width, top), (width, top + 15.2), (-2.0, top + 15.2)] for top in found]
            return SimpleNamespace(boxes=np.array(corners) if corners else None)
        letters = [chr(image[0, left, 0]) for left in range(0, image.shape[1], 10) if image[0, left, 0]]
        return SimpleNamespace(txts=("".join(letters),) if letters else None)


def written(*lines: str) -> Image:
    image = np.zeros((48, 60, 3), np.uint8)
    for row, line in enumerate(lines):
        for column, letter in enumerate(line):
            image[16 * row, 10 * column, 2] = ord(letter)  # RGB: blue is first for the reader
    return image


@pytest.fixture
def metric() -> TextRead:
    made = TextRead(TEXT, "text/lines/edit/none")
    vars(made)["network"] = Reader()
    return made


@pytest.mark.parametrize(
    ("reconstruction", "value"),
    [
        (("RATE", "BITS"), 1.0),
        (("RATE", "BIT"), 7 / 8),
        (("RITE", "BITS"), 7 / 8),
        (("RATE",), 4 / 8),
        ((), 0.0),
        (("XXXXXX", "YYYYYY"), 0.0),  # twelve edits of eight characters
    ],
)
def test_the_value_is_the_share_of_characters_that_read_the_same(
    metric: TextRead, reconstruction: tuple[str, ...], value: float
) -> None:
    assert metric.compare(metric.prepare(written("RATE", "BITS")), written(*reconstruction)) == value


def test_without_text_there_is_no_value(metric: TextRead) -> None:
    with pytest.raises(Undefined, match="no text is read in the original"):
        metric.prepare(written())
    with pytest.raises(Undefined, match="16 pixels"):
        metric.prepare(written("A")[:15])
    with pytest.raises(BenchmarkError, match="60x20"):
        metric.compare(metric.prepare(written("A")), written("A")[:20])


@pytest.mark.parametrize(
    ("a", "b", "edits"), [("", "", 0), ("kitten", "sitting", 3), ("abc", "", 3), ("", "ab", 2), ("flaw", "lawn", 2)]
)
def test_known_edit_distances(a: str, b: str, edits: int) -> None:
    assert edit_distance(a, b) == edit_distance(b, a) == edits


@given(st.text("ab", max_size=8), st.text("ab", max_size=8), st.text("ab", max_size=8))
def test_edits_are_a_distance(a: str, b: str, c: str) -> None:
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
    assert (edit_distance(a, b) == 0) == (a == b)
    assert abs(len(a) - len(b)) <= edit_distance(a, b) <= max(len(a), len(b))


@pytest.mark.slow
def test_rapidocr_reads_drawn_text_and_less_of_it_when_it_is_blurred() -> None:
    pytest.importorskip("rapidocr")
    page = Pillow.new("RGB", (320, 120), "white")
    draw = ImageDraw.Draw(page)
    for top, line in ((10, "Rate and distortion"), (65, "HELLO 2026")):
        draw.text((12, top), line, fill=(0, 40, 90), font=ImageFont.load_default(30))
    original = np.array(page)
    metric = open_metric("text")
    assert isinstance(metric, TextRead)
    prepared = metric.prepare(original)
    assert prepared.texts == ("Rate and distortion", "HELLO 2026")
    assert metric.compare(prepared, original) == 1
    assert metric.compare(prepared, noisy(original, 5)) > 0.9
    blurred = np.array(page.filter(ImageFilter.GaussianBlur(9)))
    assert metric.compare(prepared, blurred) < 0.5
