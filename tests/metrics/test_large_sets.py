"""Distances of sets that are read in parts: the same numbers as at once, and no more memory for more images."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmark.metrics import distribution
from benchmark.metrics.distribution import (
    Memory,
    frechet_distance,
    frechet_leave_one_out,
    kernel_distance,
    kernel_leave_one_out,
    paired_kernel_distance,
    paired_kernel_leave_one_out,
)

Features = npt.NDArray[np.floating[Any]]
Matrix = npt.NDArray[np.float64]
WHOLE = [frechet_distance, kernel_distance, paired_kernel_distance]
WITHOUT = [frechet_leave_one_out, kernel_leave_one_out, paired_kernel_leave_one_out]


class Read(Sequence[Features]):
    """Arrays that are handed out as if they were read anew each time, and how often."""

    def __init__(self, arrays: Sequence[Features], remembers: bool = False) -> None:
        self.arrays = arrays
        self.reads = 0
        if remembers:
            self.memory = Memory()

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: Any) -> Any:
        self.reads += 1
        return self.arrays[index].copy()

    def __iter__(self) -> Iterator[Features]:
        return (self[index] for index in range(len(self)))


def pair(counts: Sequence[int], dimension: int = 20) -> tuple[list[Features], list[Features]]:
    random = np.random.default_rng(sum(counts))
    mixing = random.normal(size=(dimension, dimension)) / np.sqrt(dimension)
    x = [(random.normal(size=(count, dimension)) @ mixing + 1).astype(np.float32) for count in counts]
    return x, [(a + 0.3 * random.normal(size=a.shape) + 0.1).astype(np.float32) for a in x]


COUNTS = [3, 0, 17, 1, 40, 2, 2, 9, 30, 5]


def directly(x: Features, y: Features) -> tuple[float, float]:
    """Fréchet and kernel distance as they are defined, from all patches at once."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    sigma_x, sigma_y = np.cov(x.T), np.cov(y.T)
    root = np.sqrt(np.linalg.eigvals(sigma_x @ sigma_y).real.clip(0)).sum()
    frechet = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(sigma_x) + np.trace(sigma_y) - 2 * root
    xx, yy, xy = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    kernel = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean()
    return float(frechet), float(kernel)


@pytest.mark.parametrize(("rows", "columns"), [(7, 3), (5, 11), (64, 10), (4096, 512)])
def test_parts_do_not_show(rows: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "ROWS", rows)
    monkeypatch.setattr(distribution, "COLUMNS", columns)
    x, y = pair(COUNTS)
    assert sum(COUNTS) > x[0].shape[1]
    frechet, kernel = directly(np.concatenate(x), np.concatenate(y))
    assert frechet_distance(Read(x), Read(y)) == pytest.approx(frechet, rel=1e-9)
    assert kernel_distance(Read(x), Read(y)) == pytest.approx(kernel, rel=1e-9)
    for whole, without in zip(WHOLE, WITHOUT, strict=True):
        found = without(Read(x), Read(y))
        for image, count in enumerate(COUNTS):
            rest = [[a for index, a in enumerate(side) if index != image] for side in (x, y)]
            assert np.isnan(found[image]) if not count else found[image] == pytest.approx(whole(*rest), rel=1e-8)


def test_what_is_known_of_a_set_is_not_read_again() -> None:
    x, y = (Read(side, remembers=True) for side in pair(COUNTS))
    frechet_distance(x, y)
    kernel_distance(x, y)
    reads, other = x.reads, Read(pair(COUNTS)[1], remembers=True)
    frechet_distance(x, other)
    assert x.reads == reads
    kernel_distance(x, other)
    assert x.reads - reads < reads / 2
    reads = other.reads
    kernel_leave_one_out(x, other)
    assert other.reads == reads


def exactly(x: Sequence[Features], y: Sequence[Features], monkeypatch: pytest.MonkeyPatch) -> Matrix:
    with monkeypatch.context() as patched:
        patched.setattr(distribution, "EXACT_IMAGES", len(x))
        return frechet_leave_one_out(x, y)


@pytest.mark.parametrize(("counts", "dimension"), [([1, 2] * 300, 24), ([2] * 110, 160), ([8] * 101, 64)])
def test_many_images_to_first_order(counts: list[int], dimension: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = pair(counts, dimension)
    exact, near = exactly(x, y, monkeypatch), frechet_leave_one_out(x, y)
    assert not np.array_equal(near, exact)
    assert np.std(near) == pytest.approx(np.std(exact), rel=0.1)  # "within a tenth"
    assert np.corrcoef(near, exact)[0, 1] > 0.94
    wider = [[np.pad(patches, ((0, 0), (0, 3))) for patches in side] for side in (x, y)]
    assert frechet_leave_one_out(*wider) == pytest.approx(near, rel=1e-6)  # features that do not vary


@pytest.mark.parametrize("constant", [0, 3])
def test_each_image_left_out_is_the_distance_of_the_others(constant: int) -> None:
    """More patches than dimensions; with features that do not vary, a covariance has no Cholesky factor."""
    x, y = ([np.pad(patches, ((0, 0), (0, constant))) for patches in side] for side in pair([7] * 12, 24))
    without = [frechet_distance(x[:n] + x[n + 1 :], y[:n] + y[n + 1 :]) for n in range(12)]
    assert frechet_leave_one_out(x, y) == pytest.approx(without, rel=1e-7)


MEASURE = """
import re, sys
import numpy as np
from benchmark.metrics import distribution as d

class Made:
    def __init__(self, count, seed): self.count, self.seed, self.memory = count, seed, d.Memory()
    def __len__(self): return self.count
    def __getitem__(self, index):
        if not 0 <= index < self.count: raise IndexError
        random = np.random.default_rng((index, 0))
        return random.random((1, D), np.float32) + self.seed * random.random((1, D), np.float32)

count, D = int(sys.argv[1]), int(sys.argv[2])
sets = Made(count, 0.0), Made(count, 0.1)
for distance in (d.frechet_distance, d.frechet_leave_one_out, d.kernel_distance, d.kernel_leave_one_out):
    assert np.isfinite(distance(*sets)).all()
# Not getrusage's ru_maxrss: that of a process counts what its parent held when it was started.
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""


def peak_megabytes(images: int, dimension: int) -> int:
    command = [sys.executable, "-c", MEASURE, str(images), str(dimension)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
def test_memory_is_flat_from_1000_to_30_000_images() -> None:
    """Features of 30,000 images are 31 MB and twice that in float64; kernels of all pairs would be 7 GB.

    What grows is filled up at 8,192 images: the patches in memory at a time. Beyond, some numbers an image.
    """
    few, many = peak_megabytes(1_000, 256), peak_megabytes(30_000, 256)
    print(f"peak of the process: {few} MB for 1,000 images, {many} MB for 30,000")
    assert many - few < 40
