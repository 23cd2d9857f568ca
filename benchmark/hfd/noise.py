"""The decoder's noise: a counter-based generator indexed by pixel and step, the same on every device and for any tile.

Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011) in integers; the counter of a pixel
is (row, column, step, 0), the key is (seed, 0). Three of the four 32-bit words become the normal deviates of R, G, B.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)

Words = npt.NDArray[np.uint64]


def philox4x32(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> tuple[Words, Words, Words, Words]:
    """Ten rounds over arrays of 32-bit words held in uint64; the words of the result likewise."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        product0, product1 = c0 * _M0, c2 * _M1
        c0, c1, c2, c3 = (
            (product1 >> _SHIFT) ^ c1 ^ np.uint64(k0),
            product1 & _LOW,
            (product0 >> _SHIFT) ^ c3 ^ np.uint64(k1),
            product0 & _LOW,
        )
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    return c0, c1, c2, c3


STRIP_PIXELS = 2**15
"""Made in one go: the integers take many times the memory of the floats, and so they stay in the cache."""


def gaussian_noise(
    seed: int, step: int, height: int, width: int, top: int = 0, left: int = 0
) -> npt.NDArray[np.float32]:
    """Standard normal deviates for rows top … top+height−1 and columns left … left+width−1, (3, height, width).

    Each depends on seed (32 bits), step, row, column and channel alone. |n| is at most 6.3.
    """
    noise = np.empty((3, height, width), np.float32)
    columns = np.arange(left, left + width, dtype=np.uint64)[None]
    strip = max(1, STRIP_PIXELS // width)
    for first in range(0, height, strip):
        rows = np.arange(top + first, top + min(height, first + strip), dtype=np.uint64)[:, None]
        zero = np.zeros((len(rows), width), np.uint64)
        counter = (rows + zero, columns + zero, np.uint64(step) + zero, zero)
        words = philox4x32(counter, (seed & 0xFFFFFFFF, 0))[:3]
        noise[:, first : first + len(rows)] = ndtri((np.stack(words).astype(np.float64) + 0.5) / 2**32)
    return noise
