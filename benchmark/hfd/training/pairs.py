"""Pairs (x, x̂) for a score-based decoder: its base is frozen, so the base's reconstructions are made once."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as PillowImage
from rich.console import Console
from torch import Tensor

from benchmark.errors import BenchmarkError
from benchmark.hfd.autoencoder import QUALITY_STEPS, quality_steps
from benchmark.hfd.bases import Base
from benchmark.hfd.score import to_luma_chroma
from benchmark.hfd.training.crops import PictureStore, centre_crops, to_tensor

LARGEST_SIDE = 1024
"""Pictures are cut to this, for memory."""


@dataclass(frozen=True)
class PairStore:
    """x as uint8 and x̂ as float16 in [-0.5, 0.5], each one array of all pictures; a quality for each picture."""

    pictures: PictureStore
    reconstructions: npt.NDArray[np.float16]
    qualities: tuple[float, ...]

    def pair(self, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float16]]:
        """x and x̂ of one picture, (height, width, 3), views."""
        height, width = self.pictures.shapes[index]
        start = self.pictures.offsets[index]
        x_hat = self.reconstructions[start : start + height * width * 3].reshape(height, width, 3)
        return self.pictures.picture(index), x_hat

    def at_least(self, side: int) -> "PairStore":
        """Those of which a crop of `side` pixels can be cut. Raises BenchmarkError if there are none."""
        large = [n for n, shape in enumerate(self.pictures.shapes) if min(shape) >= side]
        if not large:
            raise BenchmarkError(f"no training picture has a crop of {side}x{side} pixels")
        return PairStore(self.pictures.subset(large), self.reconstructions, tuple(self.qualities[n] for n in large))


def coded_quality(base: Base, quality: float) -> float:
    """The level, nearest to `quality`, at which `base` codes: what its decoder will be told."""
    return 1 + base.coded_steps(quality_steps(quality, base.levels)) / QUALITY_STEPS


def reconstruct(base: Base, x: Tensor, quality: float) -> Tensor:
    """x̂ of x (N, 3, H, W) at `quality`, as a decoder has it."""
    steps = quality_steps(quality, base.levels)
    return torch.cat([base.reconstruct(picture, steps).cpu() for picture in x.split(1)])


def residual_deviation(base: Base, store: PictureStore, count: int = 32) -> Tensor:
    """Root mean square of x − x̂ in luma and chroma over training pictures, at each quality level: (levels, 3)."""
    x = centre_crops(store, count, 256)
    levels = range(1, base.levels + 1)
    errors = [reconstruct(base, x, q) - x for q in levels]
    return torch.stack([to_luma_chroma(error).square().mean((0, 2, 3)).sqrt() for error in errors])


def make_pairs(
    base: Base,
    store: PictureStore,
    cache: Path,
    passes: int,
    console: Console,
    seed: int = 0,
    low: float = 1.0,
) -> PairStore:
    """All pictures of `store`, `passes` times, each time at another quality; made once, kept in `cache`.

    From the second pass on pictures are scaled down by 0.5 to 0.95 first: more detail, fewer traces of compression.
    low: the share of pairs in the lowest part p of the qualities is p^(1/low), so above 1 there are more of low rates.
    """
    key = f"{base.identity} {store.shapes} {passes} {seed}" + ("" if low == 1 else f" {low}")
    digest = hashlib.sha256(key.encode())
    for n in range(len(store)):  # a part of each picture tells it from others of its size
        digest.update(store.picture(n)[store.shapes[n][0] // 2].tobytes())
    name = f"pairs-{digest.hexdigest()[:16]}"
    index = cache / f"{name}.json"
    files = [cache / f"{name}-{part}.npy" for part in ("x", "x-hat")]
    if not index.exists():
        originals, reconstructions, shapes, qualities = [], [], [], []
        for turn in range(passes):
            for n in range(len(store)):
                generator = np.random.default_rng([seed, turn, n])
                picture = store.picture(n)[:LARGEST_SIDE, :LARGEST_SIDE]
                if turn:
                    scale = max(generator.uniform(0.5, 0.95), 129 / min(picture.shape[:2]))
                    size = (int(picture.shape[1] * min(scale, 1)), int(picture.shape[0] * min(scale, 1)))
                    resized = PillowImage.fromarray(picture).resize(size, PillowImage.Resampling.LANCZOS)
                    picture = np.asarray(resized)
                place = float(generator.uniform()) ** low
                quality = coded_quality(base, 1 + place * (base.levels - 1))
                x_hat = reconstruct(base, to_tensor(picture[None]), quality)[0].permute(1, 2, 0)
                originals.append(picture.reshape(-1))
                reconstructions.append(x_hat.half().numpy().reshape(-1))
                shapes.append(picture.shape[:2])
                qualities.append(quality)
                if n % 50 == 49:
                    console.print(f"pairs: pass {turn + 1} of {passes}, {n + 1} of {len(store)} pictures")
        cache.mkdir(parents=True, exist_ok=True)
        for file, parts in zip(files, (originals, reconstructions), strict=True):
            np.save(file, np.concatenate(parts))
        index.write_text(json.dumps([shapes, qualities]))
    loaded_shapes, loaded_qualities = json.loads(index.read_text())
    sizes = [h * w * 3 for h, w in loaded_shapes]
    offsets = tuple(int(o) for o in np.concatenate([[0], np.cumsum(sizes)[:-1]]))
    pictures = PictureStore(np.load(files[0], mmap_mode="r"), offsets, tuple((h, w) for h, w in loaded_shapes))
    return PairStore(pictures, np.load(files[1], mmap_mode="r"), tuple(loaded_qualities))


def random_pair_crops(
    pairs: PairStore, generator: np.random.Generator, count: int, size: int
) -> tuple[Tensor, Tensor, Tensor]:
    """x and x̂, float32 (count, 3, size, size) in [-0.5, 0.5], and quality (count,); by area, flipped, turned."""
    areas = np.array([h * w for h, w in pairs.pictures.shapes], dtype=np.float64)
    chosen = generator.choice(len(pairs.pictures), size=count, p=areas / areas.sum())
    crops: list[npt.NDArray[np.float32]] = []
    for n in chosen.tolist():
        x, x_hat = pairs.pair(n)
        top = int(generator.integers(0, x.shape[0] - size + 1))
        left = int(generator.integers(0, x.shape[1] - size + 1))
        place = np.s_[top : top + size, left : left + size]
        both = np.concatenate([x[place].astype(np.float32) / 255 - 0.5, x_hat[place].astype(np.float32)], 2)
        if generator.random() < 0.5:
            both = both[:, ::-1]
        if generator.random() < 0.5:
            both = both.transpose(1, 0, 2)
        crops.append(both)
    batch = torch.from_numpy(np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2)))
    quality = torch.tensor([pairs.qualities[n] for n in chosen.tolist()])
    return batch[:, :3], batch[:, 3:], quality
