"""A smooth image of any size."""

import numpy as np

from benchmark.pixels import Image


def waves(height: int, width: int) -> Image:
    """uint8 (height, width, 3)."""
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [np.sin(rows / 9), np.cos(columns / 7), np.sin((rows + columns) / 13)]
    return np.clip(127 + 90 * np.stack(planes, -1), 0, 255).astype(np.uint8)
