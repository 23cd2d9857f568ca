"""Small images on disk."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_pictures(folder: Path, names: list[str], size: tuple[int, int] = (24, 16), corner: int = 9) -> Path:
    """Writes a random image under each name (with suffix); their first sample is `corner`. Returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        samples = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        samples[0, 0, 0] = corner
        Image.fromarray(samples).save(folder / name)
    return folder
