"""Where the patches of an image lie that metrics of sets look at. An image too small for a patch has none.

`patch256-hific`: non-overlapping crops of 256x256 from the top left corner, then those of a grid shifted by 128 in both
directions, one row and one column fewer (HiFiC, https://arxiv.org/abs/2006.09965, appendix). `patch128-hific` and
`patch64-hific`: the same with 128 and 64, and with 64 and 32, for small sets. `patch256-nc`: the shifted grid takes all
that fits, as in NeuralCompression, `neuralcompression/metrics/_update_patch_fid.py`; `patch64-nc`: the same with 64 and
32 (GLC and CoD on Kodak). NeuralCompression shifts only where no side is below one patch and a half; CRDR and RDVQ lack
that condition, and cut the same patches, since a smaller image has no room for a shifted one. `whole`: the image.
"""

from collections.abc import Iterator

from benchmark.errors import UsageError
from benchmark.pixels import Image

Box = tuple[int, int, int, int]
"""top, left, height, width"""

PATCH_RULES = {
    "patch64-hific": "patches of 64 × 64 without overlap, and once more shifted by 32 in both directions",
    "patch64-nc": "patches of 64 × 64 as NeuralCompression cuts them, shifted ones only if no side is below 96",
    "patch128-hific": "patches of 128 × 128 without overlap, and once more shifted by 64 in both directions",
    "patch256-hific": "patches of 256 × 256 without overlap, and once more shifted by 128 in both directions",
    "patch256-nc": "patches of 256 × 256 as NeuralCompression cuts them, shifted ones only if no side is below 384",
    "whole": "whole images",
}
"""The rules, and what `explain` says of each."""

SMALLEST_SIDES = {
    "patch64-hific": 64,
    "patch64-nc": 64,
    "patch128-hific": 128,
    "patch256-hific": 256,
    "patch256-nc": 256,
    "whole": 1,
}
"""In pixels, by rule: an image with a shorter side has no patch."""


def boxes(rule: str, height: int, width: int) -> list[Box]:
    """The patches of an image, in order, all inside it. Raises UsageError on an unknown rule."""
    if rule not in PATCH_RULES:
        raise UsageError(f"no patch rule is named {rule!r}")
    if rule == "whole":
        return [(0, 0, height, width)]
    cut_as = _neural_compression if rule.endswith("-nc") else _hific
    return cut_as(SMALLEST_SIDES[rule], height, width)


def cut(rule: str, image: Image) -> list[Image]:
    """The patches of `image` as views, each (height, width, 3) uint8. Raises UsageError on an unknown rule."""
    return [
        image[top : top + height, left : left + width]
        for top, left, height, width in boxes(rule, image.shape[0], image.shape[1])
    ]


def _hific(size: int, height: int, width: int) -> list[Box]:
    rows, columns = height // size, width // size
    return [*_grid(size, 0, rows, columns), *_grid(size, size // 2, rows - 1, columns - 1)]


def _neural_compression(size: int, height: int, width: int) -> list[Box]:
    shift = size // 2
    first = list(_grid(size, 0, height // size, width // size))
    if min(height, width) < size + shift:
        return first
    return [*first, *_grid(size, shift, (height - shift) // size, (width - shift) // size)]


def _grid(size: int, start: int, rows: int, columns: int) -> Iterator[Box]:
    """rows·columns squares from (start, start) on, row by row; none if either is below 1."""
    for row in range(rows):
        for column in range(columns):
            yield start + row * size, start + column * size, size, size
