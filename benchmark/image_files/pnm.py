"""PBM, PGM and PPM (netpbm): samples above the maximum, and several images in one file, which Pillow passes over."""

import re

from benchmark.errors import BenchmarkError
from benchmark.image_files.deflated import left_over
from benchmark.image_files.fields import damaged, part, too_deep

_BITS, _SAMPLES = {b"P1", b"P4"}, {b"P1": 1, b"P2": 1, b"P3": 3, b"P4": 1, b"P5": 1, b"P6": 3}
_RAW = {b"P4", b"P5", b"P6"}
_TOKEN = re.compile(rb"(?:[ \t\n\v\f\r]|#[^\r\n]*[\r\n])*([0-9]+)")
_LAST_BLANKS = b"\r\n"
_ANOTHER = re.compile(rb"\s*P[1-7fF][\s#]")


def check(data: bytes) -> None:
    """8 bits a sample, none above the maximum, and one image."""
    kind = data[:2]
    if kind == b"Pf":
        raise too_deep()
    numbers, at = [], 2
    for _ in range(2 if kind in _BITS else 3):
        found = _TOKEN.match(data, at)
        if found is None or len(found[1]) > 10:
            raise damaged("its header is not complete")
        numbers.append(int(found[1]))
        at = found.end()
    width, height, *rest = numbers
    highest = rest[0] if rest else 1
    if highest > 255:
        raise too_deep()
    if kind not in _RAW:
        _check_plain(data[at:], width * height * _SAMPLES[kind], digits=kind in _BITS)
        return
    at += 1  # one blank
    size = height * (-(-width // 8) if kind in _BITS else width * _SAMPLES[kind])
    samples = part(data, at, size)
    if kind not in _BITS and samples and max(samples) > highest:
        raise damaged(f"a sample of {max(samples)}, above the maximum of {highest}")
    if _ANOTHER.match(data, at + size):
        raise BenchmarkError("2 frames or pages, or more; an image has one")
    if len(data) - at - size > len(_LAST_BLANKS) or data[at + size :].strip():
        raise left_over()


def _check_plain(text: bytes, wanted: int, digits: bool) -> None:
    """digits: a sample is a digit, with blanks between them or without; else a number."""
    text = re.sub(rb"#[^\r\n]*", b" ", text)
    found = len(re.findall(rb"[01]" if digits else rb"[0-9]+", text))
    if found > wanted:
        raise left_over()
