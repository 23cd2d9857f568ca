"""How much of the text in an image is still read, by RapidOCR, per image.

Where text stands is found in the original alone. Each line's upright box is then read in both images, and the value is
one less the share of the original's characters that an edit must change: 1 if all lines read the same, 0 if nothing is
left. What the reader misreads in the original counts as what it read, so the value says nothing about the reader.
RapidOCR is an extra of the suite: its package carries the networks of PP-OCR, all under Apache-2.0.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmark.errors import Undefined
from benchmark.metrics.info import MetricInfo
from benchmark.metrics.packages import by_package, check_side
from benchmark.metrics.pairs import check_pair
from benchmark.pixels import Image

NONE = "no text is read in the original"

TEXT = MetricInfo(
    "text",
    "Text read",
    "image",
    "",
    True,
    0.0,
    1.0,
    margin="2 %",
    words="share of the original's characters that are read the same, for each image with text, then the mean",
    parts={
        "lines": "in the upright boxes of the lines that are found in the original",
        "edit": "one less the edit distance over the number of characters, not below 0",
    },
    aspect="fidelity",
    smallest_side=16,
    packages=("rapidocr",),
    needs="rapidocr",
    make="benchmark.metrics.text:make_text",
    summary="share of the text in an image that is still read (RapidOCR); 1 for identical images",
    identical="1",
    source="PP-OCR's networks in the package rapidocr (Apache-2.0)",
)
METRICS = (TEXT,)

Box = tuple[int, int, int, int]
"""top, bottom, left, right"""


@dataclass(frozen=True)
class Lines:
    """Of an original: its (height, width), and where which lines stand in it."""

    size: tuple[int, int]
    boxes: tuple[Box, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class TextRead:
    """Between 0 and 1; 1 for identical images."""

    info: MetricInfo
    protocol: str

    @cached_property
    def network(self) -> Any:
        """RapidOCR with the networks in its package."""
        from rapidocr import RapidOCR

        threads = int(os.environ.get("OMP_NUM_THREADS") or -1)  # -1: as many as there are cores
        settings = {"Global.log_level": "critical", "EngineConfig.onnxruntime.intra_op_num_threads": threads}
        return RapidOCR(params=settings)

    def load(self) -> None:
        """Loads the networks."""
        _ = self.network

    def prepare(self, original: Image) -> Lines:
        """The lines. Raises Undefined if there are none, or a side is below 16."""
        check_side(self.info, original)
        found = self.network(_bgr(original), use_cls=False).boxes
        corners = [] if found is None else [np.asarray(corner, np.float64) for corner in found]
        boxes = [box for corner in corners if (box := _upright(corner, original.shape[0], original.shape[1]))]
        lines = [(box, text) for box in boxes if (text := self._read(original, box))]
        if not lines:
            raise Undefined(NONE)
        return Lines((original.shape[0], original.shape[1]), *map(tuple, zip(*lines, strict=True)))

    def compare(self, prepared: Lines, reconstruction: Image) -> float:
        """One less the share of characters that differ, not below 0."""
        check_pair(prepared.size, reconstruction)
        edits = sum(
            edit_distance(text, self._read(reconstruction, box))
            for box, text in zip(prepared.boxes, prepared.texts, strict=True)
        )
        return max(0.0, 1 - edits / sum(map(len, prepared.texts)))

    def _read(self, image: Image, box: Box) -> str:
        """What is read in a box, "" for nothing."""
        top, bottom, left, right = box
        found = self.network(_bgr(image[top:bottom, left:right]), use_det=False, use_cls=False, use_rec=True)
        return "".join(found.txts or ()).strip()


def _bgr(image: Image) -> Image:
    return np.ascontiguousarray(image[..., ::-1])


def _upright(corners: Any, height: int, width: int) -> Box | None:
    """The box around four corners (x, y), as far as it is in the image; None if nothing of it is."""
    left, top = np.floor(corners.min(axis=0)).astype(int)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int)
    box = max(0, int(top)), min(height, int(bottom)), max(0, int(left)), min(width, int(right))
    return box if box[0] < box[1] and box[2] < box[3] else None


def edit_distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein's: the least number of characters to insert, delete or replace that make `b` of `a`."""
    row = list(range(len(b) + 1))
    for i, one in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != other))
    return row[-1]


def make_text() -> TextRead:
    """Opens it."""
    return TextRead(*by_package(TEXT, "rapidocr", ("lines", "edit")))
