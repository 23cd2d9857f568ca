"""Which image files are read: formats by their content, and the suffixes by which a folder's images are found.

Imports nothing, so that data sets can be listed at once.
"""

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "PPM", "GIF")
"""As Pillow calls them. Others are not tried: some run other programs (EPS), of some Pillow does not tell the depth
(JPEG 2000)."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".ppm", ".pgm", ".tif", ".tiff"})
"""In lower case; other files of a folder are passed over. A GIF is read where a list names it: in a folder it is more
often a drawing or a film than a photograph."""
