"""Networks that look as far as the image goes, on large images: tiles that overlap, blended.

The results of two tiles differ where they overlap, for each looks at its own surroundings; a mean whose weights fall to
a tile's border leaves no seam. Of a diffusion's network it is MultiDiffusion (Bar-Tal et al. 2023, arXiv:2302.08113).
"""

from collections.abc import Callable

import torch
from torch import Tensor


def starts(length: int, tile: int, overlap: int, grid: int) -> list[int]:
    """Where tiles of `tile` begin so that they cover `length`, overlap by `overlap` or more, and lie on the grid.

    All are multiples of `grid`. They depend on the size alone, so that the floats are those of every other run.
    """
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [(length - tile) * n // (count - 1) // grid * grid for n in range(count - 1)] + [length - tile]


def ramp(length: int, low: bool, high: bool, overlap: int) -> Tensor:
    """Weights of a tile along one side: 1, and from a border that another tile overlaps, `low` or `high`, rising."""
    weights = torch.ones(length)
    rising = (torch.arange(min(overlap, length)) + 0.5) / overlap
    if low:
        weights[: len(rising)] = rising
    if high:
        weights[length - len(rising) :] = torch.minimum(weights[length - len(rising) :], rising.flip(0))
    return weights


def blended(
    function: Callable[[Tensor], Tensor],
    x: Tensor,
    tile: int,
    overlap: int,
    grid: int,
    scale_out: int = 1,
    scale_in: int = 1,
) -> Tensor:
    """`function` of x (N, C, H, W) in tiles of at most `tile` units in each direction: (N, channels, …), float32.

    A unit is `scale_in` samples of x and `scale_out` of the result. H and W are multiples of grid·scale_in, as are
    tile and overlap of the grid. An image that fits into one tile is computed at once.
    """
    rows, columns = x.shape[-2] // scale_in, x.shape[-1] // scale_in
    tops, lefts = (starts(length, tile, overlap, grid) for length in (rows, columns))
    if len(tops) == len(lefts) == 1:
        return function(x)
    high, wide = min(rows, tile), min(columns, tile)
    total, out = torch.zeros(rows * scale_out, columns * scale_out), None
    for top in tops:
        for left in lefts:
            part = x[..., top * scale_in : (top + high) * scale_in, left * scale_in : (left + wide) * scale_in]
            result = function(part)
            if out is None:
                out = result.new_zeros(*result.shape[:2], *total.shape)
                total = total.to(result)
            weights = torch.outer(
                ramp(high * scale_out, top > 0, top + high < rows, overlap * scale_out),
                ramp(wide * scale_out, left > 0, left + wide < columns, overlap * scale_out),
            ).to(result)
            place = (
                ...,
                slice(top * scale_out, (top + high) * scale_out),
                slice(left * scale_out, (left + wide) * scale_out),
            )
            out[place] += result * weights
            total[place] += weights
    assert out is not None
    return out / total
