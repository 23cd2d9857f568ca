"""Originals, and reconstructions of them with streams of known sizes, as others write them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

NAMES = ("a", "b", "c")
QUALITIES = (1, 2)
SIZE = (24, 16)
"""Width and height."""


@dataclass(frozen=True)
class Foreign:
    """images: (name, quality) -> reconstruction. bytes: the same -> length of its stream."""

    originals: Path
    images: dict[tuple[str, int], np.ndarray]
    bytes: dict[tuple[str, int], int]

    def write(self, image: str, stream: str = "") -> None:
        """Writes all to paths with {name} and {quality} in them."""
        for (name, quality), samples in self.images.items():
            path = Path(image.format(name=name, quality=quality))
            path.parent.mkdir(parents=True, exist_ok=True)
            Pillow.fromarray(samples).save(path)
            if stream:
                path = Path(stream.format(name=name, quality=quality))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(bytes([quality, *name.encode()]).ljust(self.bytes[name, quality], b"\1"))


def make_foreign(folder: Path) -> Foreign:
    """Originals of random samples in `folder`/originals; at quality q each sample is off by 8 - 4q."""
    originals = folder / "originals"
    originals.mkdir()
    images, sizes = {}, {}
    for number, name in enumerate(NAMES):
        original = np.random.default_rng(number).integers(20, 230, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        Pillow.fromarray(original).save(originals / f"{name}.png")
        for quality in QUALITIES:
            images[name, quality] = original + np.uint8(8 - 4 * (quality - 1))
            sizes[name, quality] = 10 * quality + number
    return Foreign(originals, images, sizes)
