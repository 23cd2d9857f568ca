"""Pairs (x, x̂) for a score-based decoder: its base is frozen, so the base's reconstructions are made once."""

import hashlib
import json
import multiprocessing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as PillowImage
from rich.console import Console
from torch import Tensor

from benchmark.errors import BenchmarkError
from benchmark.files import write_array, write_file
from benchmark.hfd.bases import Base
from benchmark.hfd.container import quality_of, steps_of
from benchmark.hfd.score import to_luma_chroma
from benchmark.hfd.training.variety import vary
from benchmark.reading import A_CACHE, sound
from benchmark.training.crops import PictureStore, centre_crops, of_length, to_tensor

LARGEST_SIDE = 1024
"""Images are cut to this, for memory."""
SMALLEST_SIDE = 129
"""Images are not scaled down below this: crops of 128 pixels can still be cut."""


@dataclass(frozen=True)
class PairStore:
    """x as uint8 and x̂ as float16 in [-0.5, 0.5], each one array of all images; a quality for each image."""

    pictures: PictureStore
    reconstructions: npt.NDArray[np.float16]
    qualities: tuple[float, ...]

    def pair(self, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float16]]:
        """x and x̂ of one image, (height, width, 3), views."""
        height, width = self.pictures.shapes[index]
        start = self.pictures.offsets[index]
        x_hat = self.reconstructions[start : start + height * width * 3].reshape(height, width, 3)
        return self.pictures.picture(index), x_hat

    def at_least(self, side: int) -> "PairStore":
        """Those of which a crop of `side` pixels can be cut. Raises BenchmarkError if there are none."""
        large = [n for n, shape in enumerate(self.pictures.shapes) if min(shape) >= side]
        if not large:
            raise BenchmarkError(f"no training image has a crop of {side}x{side} pixels")
        return PairStore(self.pictures.subset(large), self.reconstructions, tuple(self.qualities[n] for n in large))


def coded_quality(base: Base, quality: float) -> float:
    """The level, nearest to `quality`, at which `base` codes: what its decoder will be told."""
    return quality_of(base.coded_steps(steps_of(quality, base.levels)))


def reconstruct(base: Base, x: Tensor, quality: float) -> Tensor:
    """x̂ of x (N, 3, H, W) at `quality`, as a decoder has it."""
    steps = steps_of(quality, base.levels)
    return torch.cat([base.reconstruct(picture, steps).cpu() for picture in x.split(1)])


def residual_deviation(base: Base, store: PictureStore, cache: Path, count: int = 32) -> Tensor:
    """Root mean square of x − x̂ in luma and chroma over training images, at each quality level: (levels, 3).

    Measured once and kept in `cache`.
    """
    x = centre_crops(store, count, 256)
    key = hashlib.sha256(f"deviation {base.identity} {base.levels}".encode() + x.numpy().tobytes()).hexdigest()[:16]
    file = cache / f"deviation-{key}.json"
    if not file.exists():
        errors = [reconstruct(base, x, q) - x for q in range(1, base.levels + 1)]
        found = torch.stack([to_luma_chroma(error).square().mean((0, 2, 3)).sqrt() for error in errors])
        write_file(file, json.dumps(found.tolist()), parents=True)
    with sound(str(file), A_CACHE):
        deviation = torch.tensor(json.loads(file.read_text()))
        if deviation.shape != (base.levels, 3) or not bool((deviation >= 0).all()):
            raise ValueError(f"{deviation.tolist()} are no deviations")
        return deviation


Job = tuple[int, int, npt.NDArray[np.uint8]]
"""Pass, number of an image, and the image."""
Pair = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float16], float]
"""x, x̂ and the quality."""


@dataclass(frozen=True)
class _PairMaker:
    """Codes one image in one pass; see `make_pairs`."""

    base: Base
    seed: int
    low: float
    varied: bool

    def __call__(self, job: Job) -> Pair:
        turn, n, picture = job
        generator = np.random.default_rng([self.seed, turn, n])
        if turn and self.varied:
            picture = vary(picture, generator, SMALLEST_SIDE)
        elif turn:
            scale = max(generator.uniform(0.5, 0.95), SMALLEST_SIDE / min(picture.shape[:2]))
            size = (int(picture.shape[1] * min(scale, 1)), int(picture.shape[0] * min(scale, 1)))
            picture = np.asarray(PillowImage.fromarray(picture).resize(size, PillowImage.Resampling.LANCZOS))
        place = float(generator.uniform()) ** self.low
        quality = coded_quality(self.base, 1 + place * (self.base.levels - 1))
        x_hat = reconstruct(self.base, to_tensor(picture[None]), quality)[0].permute(1, 2, 0)
        return picture, x_hat.half().numpy(), quality


_makers: list[_PairMaker] = []
"""In a process that `_mapped` started: what it makes pairs with."""


def _take(make: _PairMaker) -> None:
    _makers[:] = [make]


def _make(job: Job) -> Pair:
    return _makers[0](job)


def _mapped(make: _PairMaker, jobs: Iterable[Job], workers: int) -> Iterator[Pair]:
    """`make` of each of `jobs`, in their order, by so many processes; one worker is this process."""
    if workers == 1:
        yield from map(make, jobs)
        return
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with context.Pool(workers, _take, (make,)) as pool:
        yield from pool.imap(_make, jobs)


def make_pairs(
    base: Base,
    store: PictureStore,
    cache: Path,
    passes: int,
    console: Console,
    seed: int = 0,
    low: float = 1.0,
    varied: bool = False,
    workers: int = 1,
) -> PairStore:
    """All images of `store`, `passes` times, each time at another quality; made once, kept in `cache`.

    From the second pass on images are scaled down by 0.5 to 0.95 first: more detail, fewer traces of compression.
    varied: they are turned, stretched and toned besides, see `vary`.
    low: the share of pairs in the lowest part p of the qualities is p^(1/low), so above 1 there are more of low rates.
    workers: processes that code images; of several the base must be on the CPU. The pairs are the same.
    """
    key = (
        f"rounded {base.identity} {store.shapes} {passes} {seed}"
        + ("" if low == 1 else f" {low}")
        + (" varied" if varied else "")
    )
    digest = hashlib.sha256(key.encode())
    for n in range(len(store)):  # a part of each image tells it from others of its size
        digest.update(store.picture(n)[store.shapes[n][0] // 2].tobytes())
    name = f"pairs-{digest.hexdigest()[:16]}"
    index = cache / f"{name}.json"
    files = [cache / f"{name}-{part}.npy" for part in ("x", "x-hat")]
    if not index.exists():
        make = _PairMaker(base, seed, low, varied)
        places = list(product(range(passes), range(len(store))))
        jobs = ((turn, n, np.asarray(store.picture(n)[:LARGEST_SIDE, :LARGEST_SIDE])) for turn, n in places)
        originals: list[npt.NDArray[np.uint8]] = []
        reconstructions: list[npt.NDArray[np.float16]] = []
        shapes, qualities = [], []
        for (turn, n), (picture, x_hat, quality) in zip(places, _mapped(make, jobs, workers), strict=True):
            originals.append(picture.reshape(-1))
            reconstructions.append(x_hat.reshape(-1))
            shapes.append(picture.shape[:2])
            qualities.append(quality)
            if n % 50 == 49:
                console.print(f"pairs: pass {turn + 1} of {passes}, {n + 1} of {len(store)} images")
        write_array(files[0], np.concatenate(originals))
        write_array(files[1], np.concatenate(reconstructions))
        write_file(index, json.dumps([shapes, qualities]))
    with sound(str(index), A_CACHE):
        loaded_shapes, loaded_qualities = json.loads(index.read_text())
        sizes = [h * w * 3 for h, w in loaded_shapes]
        offsets = tuple(int(o) for o in np.concatenate([[0], np.cumsum(sizes)[:-1]]))
        # torch wants writable ones
        originals_read, reconstructions_read = (of_length(np.load(f, mmap_mode="c"), sum(sizes)) for f in files)
        pictures = PictureStore(originals_read, offsets, tuple((h, w) for h, w in loaded_shapes))
        return PairStore(pictures, reconstructions_read, tuple(loaded_qualities))


@dataclass(frozen=True)
class _Place:
    """Where a crop lies in which pair, and whether it is flipped and turned."""

    index: int
    top: int
    left: int
    flipped: bool
    turned: bool


def _random_places(pairs: PairStore, generator: np.random.Generator, count: int, size: int) -> list[_Place]:
    shapes = pairs.pictures.shapes
    areas = np.array([h * w for h, w in shapes], dtype=np.float64)
    places = []
    for n in generator.choice(len(shapes), size=count, p=areas / areas.sum()).tolist():
        top, left = (int(generator.integers(0, side - size + 1)) for side in shapes[n])
        places.append(_Place(n, top, left, generator.random() < 0.5, generator.random() < 0.5))
    return places


def random_pair_crops(
    pairs: PairStore, generator: np.random.Generator, count: int, size: int
) -> tuple[Tensor, Tensor, Tensor]:
    """x and x̂, float32 (count, 3, size, size) in [-0.5, 0.5], and quality (count,); by area, flipped, turned."""
    crops: list[npt.NDArray[np.float32]] = []
    places = _random_places(pairs, generator, count, size)
    for place in places:
        x, x_hat = pairs.pair(place.index)
        cut = np.s_[place.top : place.top + size, place.left : place.left + size]
        both = np.concatenate([x[cut].astype(np.float32) / 255 - 0.5, x_hat[cut].astype(np.float32)], 2)
        both = both[:, ::-1] if place.flipped else both
        crops.append(both.transpose(1, 0, 2) if place.turned else both)
    batch = torch.from_numpy(np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2)))
    quality = torch.tensor([pairs.qualities[place.index] for place in places])
    return batch[:, :3], batch[:, 3:], quality


class DevicePairs:
    """Pairs that lie in a GPU's memory, where the same crops are cut: a processor would not keep up with it."""

    SHARE = 0.5
    """Of the GPU's free memory they may take so much."""

    def __init__(self, pairs: PairStore, device: torch.device) -> None:
        self.pairs = pairs
        self.device = device
        self.pixels = torch.from_numpy(np.asarray(pairs.pictures.pixels)).to(device)
        self.reconstructions = torch.from_numpy(np.asarray(pairs.reconstructions)).to(device)

    @classmethod
    def fit(cls, pairs: PairStore, device: torch.device) -> bool:
        """Whether `device` is a GPU with memory for `pairs`."""
        if device.type != "cuda":
            return False
        size = pairs.pictures.pixels.nbytes + pairs.reconstructions.nbytes
        return size < cls.SHARE * torch.cuda.mem_get_info(device)[0]

    def random_crops(self, generator: np.random.Generator, count: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """What `random_pair_crops` gives, on the device."""
        crops, store = [], self.pairs.pictures
        places = _random_places(self.pairs, generator, count, size)
        for place in places:
            (height, width), start = store.shapes[place.index], store.offsets[place.index]
            cut = np.s_[place.top : place.top + size, place.left : place.left + size]
            x, x_hat = (
                values[start : start + height * width * 3].view(height, width, 3)[cut].float()
                for values in (self.pixels, self.reconstructions)
            )
            both = torch.cat([x / 255 - 0.5, x_hat], 2)
            both = both.flip(1) if place.flipped else both
            crops.append(both.transpose(0, 1) if place.turned else both)
        batch = torch.stack(crops).permute(0, 3, 1, 2).contiguous()
        quality = torch.tensor([self.pairs.qualities[place.index] for place in places], device=self.device)
        return batch[:, :3], batch[:, 3:], quality
