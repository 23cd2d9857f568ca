"""Training images: decoded once into one file, then cropped at random, the same crops for the same seed and step."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as PillowImage
from torch import Tensor

from benchmark.errors import BenchmarkError
from benchmark.files import write_array, write_file
from benchmark.formats import is_named_as_image
from benchmark.images import load_image
from benchmark.reading import A_CACHE, sound

HELD_OUT_EVERY = 25
"""Every so many images of a folder, in the order of their names, one is kept from training for its checks."""


@dataclass(frozen=True)
class PictureStore:
    """Decoded images, memory-mapped.

    pixels: all of them one after the other, uint8; shapes: (height, width) each; held_out: places of those that are
    kept from training.
    """

    pixels: npt.NDArray[np.uint8]
    offsets: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]
    held_out: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.shapes)

    def picture(self, index: int) -> npt.NDArray[np.uint8]:
        """(height, width, 3), a view."""
        height, width = self.shapes[index]
        start = self.offsets[index]
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)

    def subset(self, indices: list[int]) -> "PictureStore":
        """The same pixels with some of the images only."""
        return PictureStore(
            self.pixels, tuple(self.offsets[i] for i in indices), tuple(self.shapes[i] for i in indices)
        )


def split(store: PictureStore) -> tuple[PictureStore, PictureStore]:
    """Training images and held-out images."""
    held_out = sorted(store.held_out)
    training = [i for i in range(len(store)) if i not in store.held_out]
    return store.subset(training or held_out), store.subset(held_out)


def open_pictures(folders: Path | Sequence[Path], cache: Path) -> PictureStore:
    """The images of one folder or several, decoded into `cache` once: 8-bit RGB, sides of 128 at least.

    Raises BenchmarkError if a folder has none.
    """
    folders = [folders] if isinstance(folders, Path) else list(folders)
    files = [_files_of(folder) for folder in folders]
    listing = "\n".join(f"{path.name} {path.stat().st_size}" for group in files for path in group)
    key = hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    data, index = cache / f"pictures-{key}.npy", cache / f"pictures-{key}.json"
    if not index.exists():
        groups = [[array for path in group if min((array := load_image(path)).shape[:2]) >= 128] for group in files]
        write_array(data, np.concatenate([array.reshape(-1) for group in groups for array in group]))
        write_file(index, json.dumps([[array.shape[:2] for array in group] for group in groups]))
    with sound(str(index), A_CACHE):
        sizes = json.loads(index.read_text())
        starts = np.cumsum([0, *map(len, sizes)])
        places = zip(starts[:-1].tolist(), map(len, sizes), strict=True)
        held_out = frozenset(start + n for start, count in places for n in range(0, count, HELD_OUT_EVERY))
        shapes = tuple((int(h), int(w)) for group in sizes for h, w in group)
        numbers = [h * w * 3 for h, w in shapes]
        offsets = np.concatenate([[0], np.cumsum(numbers)[:-1]])
        pixels = of_length(np.load(data, mmap_mode="r"), sum(numbers))
        return PictureStore(pixels, tuple(int(o) for o in offsets), shapes, held_out)


def of_length(numbers: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """`numbers`, of which there must be `count`, in a row: those of a cache. Raises ValueError."""
    if numbers.shape != (count,):
        raise ValueError(f"its numbers are {numbers.shape}, where {count} are needed")
    return numbers


def _files_of(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.glob("*") if is_named_as_image(path.name))
    if not files:
        raise BenchmarkError(f"{folder} has no images to train on")
    if lost := next((path for path in files if not path.exists()), None):
        raise BenchmarkError(f"{lost}: a link to what is not there; get the content, or remove the link")
    return [path for path in files if path.is_file()]


def random_crops(store: PictureStore, generator: np.random.Generator, count: int, size: int) -> Tensor:
    """`count` crops, float32 (count, 3, size, size) in [-0.5, 0.5]: by area, flipped and turned at random.

    Half of them are scaled down by up to 2 first: that removes the traces of earlier compression.
    """
    areas = np.array([h * w if min(h, w) >= size else 0 for h, w in store.shapes], dtype=np.float64)
    if not areas.any():
        raise BenchmarkError(f"no training image has a crop of {size}x{size} pixels")
    crops = np.empty((count, size, size, 3), dtype=np.uint8)
    for n in range(count):
        picture = store.picture(int(generator.choice(len(store), p=areas / areas.sum())))
        largest = min(*picture.shape[:2], 2 * size)
        side = size
        if largest > size and generator.random() < 0.5:
            side = int(generator.integers(size, largest + 1))
        top = int(generator.integers(0, picture.shape[0] - side + 1))
        left = int(generator.integers(0, picture.shape[1] - side + 1))
        crop = picture[top : top + side, left : left + side]
        if side != size:
            crop = np.asarray(PillowImage.fromarray(crop).resize((size, size), PillowImage.Resampling.LANCZOS))
        if generator.random() < 0.5:
            crop = crop[:, ::-1]
        if generator.random() < 0.5:
            crop = crop.transpose(1, 0, 2)
        crops[n] = crop
    return to_tensor(crops)


def centre_crops(store: PictureStore, count: int, size: int) -> Tensor:
    """The centres of the first `count` images that are large enough, float32 (n, 3, size, size) in [-0.5, 0.5]."""
    crops: list[npt.NDArray[np.uint8]] = []
    for n in range(len(store)):
        picture = store.picture(n)
        top, left = (picture.shape[0] - size) // 2, (picture.shape[1] - size) // 2
        if min(top, left) >= 0 and len(crops) < count:
            crops.append(picture[top : top + size, left : left + size])
    if not crops:
        raise BenchmarkError(f"no held-out image has a crop of {size}x{size}")
    return to_tensor(np.stack(crops))


def to_tensor(pictures: npt.NDArray[np.uint8]) -> Tensor:
    """uint8 (N, H, W, 3) -> float32 (N, 3, H, W) in [-0.5, 0.5]."""
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).float() / 255 - 0.5
