"""Which metrics have no value for any image of a data set, as far as sizes tell before anything is coded."""

import warnings
from pathlib import Path

from PIL import Image as Pillow

from benchmark.datasets import Dataset
from benchmark.errors import BenchmarkError
from benchmark.formats import FORMATS
from benchmark.metrics import shipped_info
from benchmark.metrics.patches import boxes
from benchmark.preparations import prepare
from benchmark.running.measurement import Instruments

ENOUGH = 512
"""An image whose sides are as long has a value, whatever the metric."""
MOST_HEADERS = 1000
"""That are read; a run of more images does not wait for the rest."""


def metrics_without_value(instruments: Instruments, dataset: Dataset) -> list[str]:
    """A line for each metric that no image is large enough for. Reads headers, and no more of them than it must.

    Own metrics are not asked, nor are images at an address looked at.
    """
    known = [name for name in (*instruments.image, *instruments.alone) if shipped_info(name) is not None]
    reasons: dict[str, str] = dict.fromkeys((*known, *instruments.set), "")
    seen = set()
    for picture in dataset.pictures[:MOST_HEADERS]:
        if not reasons or not isinstance(picture.path, Path):
            return []
        size = _size(picture.path, dataset.preparation)
        if size is None or size in seen:
            continue
        seen.add(size)
        if min(size) >= ENOUGH:
            return []
        for name in list(reasons):
            reason = _reason(instruments, name, *size)
            if reason:
                reasons[name] = reason
            else:
                del reasons[name]
    count = len(dataset.pictures)
    which = "any image" if count <= MOST_HEADERS else f"the first {MOST_HEADERS} images"
    return [f"{name} will have no value for {which}: {reason}" for name, reason in reasons.items() if reason]


def _size(path: Path, preparation: str) -> tuple[int, int] | None:
    """(height, width) after the preparation; None if the header cannot be read: the trial will say why."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Pillow.open(path, formats=FORMATS) as picture:
                width, height = picture.size
    except Exception:  # whatever a damaged file makes Pillow stumble over
        return None
    if preparation != "none":
        try:
            width, height = prepare(Pillow.new("RGB", (width, height)), preparation).size
        except (BenchmarkError, MemoryError):
            return None
    return height, width


def _reason(instruments: Instruments, name: str, height: int, width: int) -> str:
    """Why an image of this size has no value, "" if it has one."""
    if name in instruments.set:
        rule = instruments.set[name].info.patches
        return "" if rule is None or boxes(rule, height, width) else f"{width}x{height} is smaller than a patch"
    info = instruments.image[name].info if name in instruments.image else instruments.alone[name].info
    if min(height, width) >= info.smallest_side:
        return ""
    return f"{info.title} needs both sides of at least {info.smallest_side} pixels, this is {width}x{height}"
