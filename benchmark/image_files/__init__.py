"""What image files say by their own structure, where the library that decodes them drops it or does not look.

A module for each format with a function `check`, which takes the whole file and raises BenchmarkError with the reason
for a refusal. The samples are decoded elsewhere (`benchmark.images`). Nothing here trusts a length or an offset.
"""

import re
from collections.abc import Callable, Mapping

from benchmark.image_files import avif, bmp, gif, jpeg, png, pnm, tiff, webp
from benchmark.image_files.fields import damaged

HEAD = 64
"""Bytes from which `format_of` and `pointer` tell what a file is."""

_SIGNATURES: Mapping[str, re.Pattern[bytes]] = {
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "AVIF": re.compile(rb"....ftyp(?:avif|avis|mif1|msf1)", re.DOTALL),
    "TIFF": re.compile(rb"II\*\0|MM\0\*|II\+\0|MM\0\+"),
    "BMP": re.compile(rb"BM"),
    "PPM": re.compile(rb"P(?:[1-6][\s#]|f\s)"),
    "GIF": re.compile(rb"GIF8[79]a"),
}

_POINTERS: Mapping[str, re.Pattern[bytes]] = {
    "a pointer of Git LFS, not the image; get it with: git lfs pull": re.compile(
        rb"version https://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/"
    ),
    "a pointer of git-annex, not the image; get it with: git annex get": re.compile(rb"/annex/objects/"),
    "a file of DVC about the image, not the image; get it with: dvc pull": re.compile(
        rb"(?:md5: .*\n)?(?:frozen: .*\n)?outs:\n"
    ),
}

_CHECKS: Mapping[str, Callable[[bytes], None]] = {
    "PNG": png.check,
    "JPEG": jpeg.check,
    "WEBP": webp.check,
    "AVIF": avif.check,
    "TIFF": tiff.check,
    "BMP": bmp.check,
    "PPM": pnm.check,
    "GIF": gif.check,
}


def format_of(head: bytes) -> str | None:
    """One of `benchmark.formats.FORMATS`, by the first `HEAD` bytes of a file; None if it is none of them."""
    return next((name for name, signature in _SIGNATURES.items() if signature.match(head)), None)


def pointer(head: bytes) -> str:
    """What stands in the place of an image whose content a version control system keeps elsewhere; "" if none does."""
    return next((words for words, signature in _POINTERS.items() if signature.match(head)), "")


def check(name: str, data: bytes) -> None:
    """Raises BenchmarkError, which says why, if the file of the format `name` is damaged or is not for us."""
    try:
        _CHECKS[name](data)
    except (IndexError, ValueError, OverflowError) as error:  # a length or offset that leads out of the file
        raise damaged("it ends too early, or a length in it is wrong") from error
