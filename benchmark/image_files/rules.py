"""How each kind of image file is read, in words: the table of the reference, and what it cannot notice.

`tests/odd_images` has files of each kind, each with its known array or its refusal.
"""

from typing import NamedTuple

from benchmark.image_files.pillow import MAX_PIXELS


class Rule(NamedTuple):
    """files: a kind of file, or of content. outcome: what is made of it. reason: why, "" if that is plain."""

    files: str
    outcome: str
    reason: str = ""


_MOST = f"{MAX_PIXELS // 10**6} megapixels"

RULES = (
    Rule("8 bits a channel: RGB, grey, palette, two levels, YCbCr", "RGB, each sample as the file holds it"),
    Rule("fewer bits a channel: grey of 2 or 4, BMP of 5 or 6, PNM with a smaller maximum", "RGB, scaled to 0 to 255"),
    Rule("an alpha channel, or a transparent colour, that is opaque everywhere", "dropped"),
    Rule("transparency", "refused", "what is behind is not in the file"),
    Rule("EXIF orientation (XMP's where there is none); in AVIF irot and imir alone", "applied"),
    Rule(
        "ICC profile, gamma, primaries, transfer curve (cICP), shape of pixels",
        "passed over: the samples are coded as the file holds them",
    ),
    Rule(
        "more than 8 bits a channel, also in a palette or in alpha; signed integers, floats",
        "refused",
        "rounding moves numbers",
    ),
    Rule("CMYK, Lab, HSV", "refused", "the way to RGB is a choice that moves numbers"),
    Rule(
        "several frames, pages, slices or images",
        "refused; of a JPEG with others behind it, as phones write it, the first is taken",
    ),
    Rule("a TIFF whose first image is marked as a preview or a mask of another", "refused"),
    Rule(
        "a TIFF that does not tell what its samples mean, or of raw YCbCr with another matrix or range than JPEG's",
        "refused",
        "readers differ",
    ),
    Rule("a PNG's palette or transparency that comes twice, or at a wrong place", "refused", "readers differ"),
    Rule("a frame that covers a part of the canvas; AVIF's crop (clap)", "refused", "readers differ"),
    Rule(
        "arithmetic-coded JPEG",
        "refused; `jpegtran -optimize` writes another one without loss",
        "a cut one passes for whole",
    ),
    Rule("a suffix that is not the content's", "the content counts"),
    Rule("empty, truncated, damaged, another format, a pointer of Git LFS, git-annex or DVC", "refused"),
    Rule(
        "a header that states another size than the data has, be it more or less",
        "refused",
        "rows are lost, or shifted",
    ),
    Rule(f"up to {_MOST}", "read, 1 × 1 and 1 × 3000 included"),
    Rule(f"more than {_MOST}", "refused before anything is unpacked", "a decompression bomb"),
)
"""In the order of the table."""

NOT_NOTICED = (
    "the last digits of a plain PGM or PPM",
    "whole bands of coefficients that a progressive JPEG leaves out, as it may",
    "a stated size that needs the same blocks, tiles or filled rows as the true one, or as many samples",
    "rows left over in fax codes, Zstandard and WebP inside of a TIFF, and a few bytes of them in a JPEG or WebP",
    "samples of another value, except in PNG and deflated TIFF, which have checksums",
)
"""Damage that a file's structure does not show. Missing samples are noticed in every format."""
