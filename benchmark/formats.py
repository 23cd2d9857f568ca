"""Which image files are read: formats by their content, and the suffixes by which a folder's images are found.

Imports nothing, so that data sets can be listed at once.
"""

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "PPM", "GIF")
"""As Pillow calls them. Others are not tried: some run other programs (EPS), of some Pillow does not tell the depth
(JPEG 2000)."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".ppm", ".pgm", ".tif", ".tiff"})
"""In lower case; other files of a folder are passed over. A GIF is read where a list names it: in a folder it is more
often a drawing or a film than a photograph."""

OTHER_SUFFIXES = frozenset({
    ".apng", ".arw", ".avifs", ".bpg", ".cr2", ".cr3", ".dds", ".dib", ".dng", ".emf", ".eps", ".exr", ".gif",
    ".hdr", ".heic", ".heif", ".hif", ".ico", ".j2c", ".j2k", ".jfi", ".jfif", ".jif", ".jls", ".jp2", ".jpc",
    ".jpe", ".jpf", ".jpx", ".jxl", ".jxr", ".mng", ".nef", ".orf", ".pam", ".pbm", ".pcx", ".pfm", ".pic", ".pnm",
    ".psd", ".qoi", ".raf", ".ras", ".rgb", ".rw2", ".sgi", ".svg", ".svgz", ".tga", ".wdp", ".wmf", ".xbm", ".xpm",
})  # fmt: skip
"""Of images too, in lower case, and passed over in a folder or by a pattern: that is said, with how many there are."""


def is_named_as_image(name: str) -> bool:
    """Whether a folder's file of this name is one of its images. Hidden ones are none."""
    return not name.startswith(".") and _suffix(name) in SUFFIXES


def is_named_as_another(name: str) -> bool:
    """Whether a file's name says that it is an image that a folder's are not taken from."""
    return not name.startswith(".") and _suffix(name) in OTHER_SUFFIXES


def _suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if stem and dot else ""
