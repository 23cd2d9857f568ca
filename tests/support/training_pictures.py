"""Images that tiny networks are trained on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three smooth ones, 288×272."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(1)
    for n in range(3):
        coarse = generator.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((288, 272), Image.Resampling.BICUBIC).save(folder / f"{n}.png")
    return folder
