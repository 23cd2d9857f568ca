"""ŷ of the training images: the first stage is frozen, so they are coded once and their latents are kept.

Coding an image again for each crop would take longer than the training step, and its symbols depend on all of it.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from torch import Tensor

from benchmark.files import write_array, write_file
from benchmark.hfd.bases import AutoencoderBase
from benchmark.hfd.container import steps_of
from benchmark.hfd.training.pairs import PairStore
from benchmark.hfd.transforms import STRIDE
from benchmark.reading import A_CACHE, sound
from benchmark.training.crops import of_length, to_tensor


@dataclass(frozen=True)
class LatentStore:
    """Pairs (x, x̂) with the ŷ of each: float16 in units of the image, one array of all images."""

    pairs: PairStore
    values: npt.NDArray[np.float16]
    channels: int
    offsets: tuple[int, ...]

    def latents(self, index: int) -> npt.NDArray[np.float16]:
        """ŷ of one image, (rows, columns, channels), a view."""
        rows, columns = grid(*self.pairs.pictures.shapes[index])
        start = self.offsets[index]
        return self.values[start : start + rows * columns * self.channels].reshape(rows, columns, self.channels)


def grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of latents of an image."""
    return -(-height // STRIDE), -(-width // STRIDE)


def decode_latents(base: AutoencoderBase, x: Tensor, quality: float) -> Tensor:
    """ŷ (1, M, ⌈H/16⌉, ⌈W/16⌉), float32 in units of the image, of the stream of x (1, 3, H, W) at `quality`."""
    steps = steps_of(quality, base.levels)
    height, width = x.shape[-2:]
    return base.first_stage.decode_latents(base.first_stage.encode(x, steps), height, width, steps).cpu()


def make_latents(base: AutoencoderBase, pairs: PairStore, cache: Path, console: Console) -> LatentStore:
    """ŷ of all pairs, made once and kept in `cache`."""
    shapes = pairs.pictures.shapes
    key = hashlib.sha256(f"latents rounded {base.identity} {shapes} {pairs.qualities}".encode()).hexdigest()[:16]
    index, file = cache / f"latents-{key}.json", cache / f"latents-{key}.npy"
    if not index.exists():
        parts = []
        for n, quality in enumerate(pairs.qualities):
            y_hat = decode_latents(base, to_tensor(pairs.pair(n)[0][None]), quality)
            parts.append(y_hat[0].permute(1, 2, 0).half().numpy().reshape(-1))
            if n % 50 == 49:
                console.print(f"latents: {n + 1} of {len(pairs.qualities)} images")
        write_array(file, np.concatenate(parts))
        write_file(index, json.dumps({"channels": y_hat.shape[1]}))
    with sound(str(index), A_CACHE):
        channels = int(json.loads(index.read_text())["channels"])
        sizes = [rows * columns * channels for rows, columns in (grid(*shape) for shape in shapes)]
        offsets = tuple(int(offset) for offset in np.concatenate([[0], np.cumsum(sizes)[:-1]]))
        return LatentStore(pairs, of_length(np.load(file, mmap_mode="r"), sum(sizes)), channels, offsets)


def random_latent_crops(
    store: LatentStore, generator: np.random.Generator, count: int, size: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, x̂, quality and ŷ of `count` crops of `size`, a multiple of 16; by area, on the grid of the latents.

    x and x̂ float32 (count, 3, size, size) in [-0.5, 0.5], quality (count,), ŷ float32 (count, M, size/16, size/16). Not
    flipped: a mirrored ŷ is not the ŷ of the mirrored image.
    """
    pictures = store.pairs.pictures
    areas = np.array([h * w for h, w in pictures.shapes], dtype=np.float64)
    chosen = generator.choice(len(pictures), size=count, p=areas / areas.sum()).tolist()
    both: list[npt.NDArray[np.float32]] = []
    latents: list[npt.NDArray[np.float32]] = []
    side = size // STRIDE
    for n in chosen:
        x, x_hat = store.pairs.pair(n)
        row = int(generator.integers(0, (x.shape[0] - size) // STRIDE + 1))
        column = int(generator.integers(0, (x.shape[1] - size) // STRIDE + 1))
        place = np.s_[row * STRIDE : row * STRIDE + size, column * STRIDE : column * STRIDE + size]
        both.append(np.concatenate([x[place].astype(np.float32) / 255 - 0.5, x_hat[place].astype(np.float32)], 2))
        latents.append(store.latents(n)[row : row + side, column : column + side].astype(np.float32))
    pixels = torch.from_numpy(np.ascontiguousarray(np.stack(both).transpose(0, 3, 1, 2)))
    y_hat = torch.from_numpy(np.ascontiguousarray(np.stack(latents).transpose(0, 3, 1, 2)))
    return pixels[:, :3], pixels[:, 3:], torch.tensor([store.pairs.qualities[n] for n in chosen]), y_hat
