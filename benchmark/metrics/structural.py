"""MS-SSIM (Wang, Simoncelli and Bovik 2003), equal to pytorch-msssim's, several times as fast.

What depends on the original alone is computed once. Images stay (height, 3·width), as a decoder delivers them: one
row of interleaved samples is contiguous, so a Gaussian along either axis is eleven shifted multiply-adds over long
rows, done strip by strip inside the cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from benchmark.errors import Undefined
from benchmark.metrics.info import MetricInfo
from benchmark.metrics.pairs import check_pair, check_picture
from benchmark.metrics.shared import once
from benchmark.pixels import Image

if TYPE_CHECKING:  # torch takes seconds to import, and these facts are read without measuring
    from torch import Tensor

WINDOW, SIGMA = 11, 1.5
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
MINIMUM_SIDE = (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1
"""161: the window must fit into the image that was halved four times."""
STRIP = 1 << 16
"""Samples of a strip, about: what is at work on it then fits into a second-level cache of 2 MB."""

MS_SSIM = MetricInfo(
    "ms_ssim",
    "MS-SSIM",
    "image",
    "",
    True,
    0.0,
    1.0,
    scale="decibel",
    margin=0.001,
    words="multi-scale structural similarity, for each image, then the mean; no value if a side is 160 or less",
    parts={
        "rgb": "over red, green and blue together",
        "uint8": "of images rounded to whole numbers from 0 to 255",
        "pytorch-msssim": "as the package pytorch-msssim computes it",
        "range255": "with a data range of 255",
    },
    aspect="fidelity",
    smallest_side=MINIMUM_SIDE,
    unstated={1: "colour space", 2: "rounding to 8 bits", 3: "implementation", 4: "data range"},
    elsewhere={"compressai": "ms-ssim-rgb", "codec-compare": "msssim"},
    packages=("torch",),
    make="benchmark.metrics.structural:make_ms_ssim",
    summary="MS-SSIM, per image; shorter side above 160",
    identical="1",
    device="any",
    source="Wang, Simoncelli and Bovik 2003; definition of pytorch-msssim",
)
MS_SSIM_DB = replace(
    MS_SSIM,
    name="ms_ssim_db",
    title="MS-SSIM (dB)",
    unit="dB",
    highest=None,
    scale="linear",
    margin=0.1,
    words="−10·log10(1 − MS-SSIM), for each image, then the mean; no value if a side is 160 or less",
    parts={**MS_SSIM.parts, "mean-of-db": "in dB for each image, then the mean"},
    unstated={},
    elsewhere={},
    make="benchmark.metrics.structural:make_ms_ssim_db",
    summary="MS-SSIM as −10·log10(1 − x) in dB, per image, as papers list it; shorter side above 160",
    identical="infinite",
)
METRICS = (MS_SSIM, MS_SSIM_DB)


@dataclass(frozen=True)
class Level:
    """One scale of an original: float32. x (H, 3·W); mean and variance, under the window, (H − 10, 3·(W − 10))."""

    x: Tensor
    mean: Tensor
    variance: Tensor


@dataclass(frozen=True)
class MsSsim:
    """Mean over the three channels of the product over five scales."""

    info: MetricInfo
    device: str
    protocol: str = "ms_ssim/rgb/uint8/pytorch-msssim/range255"

    def prepare(self, original: Image) -> tuple[Level, ...]:
        """The original's scales, from fine to coarse. Raises Undefined if a side is below 161."""
        return once(f"scales on {self.device}", self._prepare, original)

    def compare(self, prepared: tuple[Level, ...], reconstruction: Image) -> float:
        """Between 0 and 1; 1 for identical images."""
        return once(f"MS-SSIM on {self.device}", self._compare, prepared, reconstruction)

    def _prepare(self, original: Image) -> tuple[Level, ...]:
        import torch

        check_picture(original)
        height, width = original.shape[:2]
        if min(height, width) < MINIMUM_SIDE:
            raise Undefined(f"MS-SSIM needs both sides of at least {MINIMUM_SIDE} pixels, this is {width}x{height}")
        levels = []
        x = _samples(original, self.device)
        for scale in range(len(WEIGHTS)):
            if scale:
                x = halve(x)
            mean, square = smooth(torch.stack((x, x * x)))
            levels.append(Level(x, mean, square - mean * mean))
        return tuple(levels)

    def _compare(self, prepared: tuple[Level, ...], reconstruction: Image) -> float:
        import torch

        height, samples = prepared[0].x.shape
        check_pair((height, samples // 3), reconstruction)
        y = _samples(reconstruction, self.device)
        value = torch.ones(3, dtype=torch.float64)
        for scale, weight in enumerate(WEIGHTS):
            if scale:
                y = halve(y)
            similarity = mean_similarity(prepared[scale], y, with_luminance=scale == len(WEIGHTS) - 1)
            value *= similarity.clamp(min=0) ** weight
        return float(value.mean())


@dataclass(frozen=True)
class MsSsimDb(MsSsim):
    """MS-SSIM in decibels. Beside `MsSsim` it costs nothing: both share what they compute."""

    protocol: str = "ms_ssim_db/rgb/uint8/pytorch-msssim/range255/mean-of-db"

    def compare(self, prepared: tuple[Level, ...], reconstruction: Image) -> float:
        """−10·log10(1 − MS-SSIM), in dB; infinite for identical images."""
        distance = 1 - super().compare(prepared, reconstruction)
        return math.inf if distance <= 0 else -10 * math.log10(distance)


def make_ms_ssim_db(device: str = "cpu") -> MsSsimDb:
    """Opens MS-SSIM in decibels."""
    return MsSsimDb(MS_SSIM_DB, device)


def make_ms_ssim(device: str = "cpu") -> MsSsim:
    """Opens MS-SSIM."""
    return MsSsim(MS_SSIM, device)


@cache
def gaussian() -> list[float]:
    """The window along one axis; float32, as pytorch-msssim has it."""
    import torch

    offsets = torch.arange(WINDOW, dtype=torch.float32) - WINDOW // 2
    window = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    return [float(weight) for weight in window / window.sum()]


def smooth(x: Tensor) -> Tensor:
    """(N, H, 3·W) under the window, where it fits: (N, H − 10, 3·(W − 10))."""
    weights = gaussian()
    height, width = x.shape[1] - WINDOW + 1, x.shape[2] - 3 * (WINDOW - 1)
    rows = x[:, :height] * weights[0]
    for k in range(1, WINDOW):
        rows.add_(x[:, k : k + height], alpha=weights[k])
    result = rows[:, :, :width] * weights[0]
    for k in range(1, WINDOW):
        result.add_(rows[:, :, 3 * k : 3 * k + width], alpha=weights[k])
    return result


def mean_similarity(level: Level, y: Tensor, with_luminance: bool) -> Tensor:
    """Mean over the image of contrast·structure, times luminance if asked, for each channel: (3,), float64, CPU."""
    import torch

    height, width = level.mean.shape
    rows = max(8, STRIP // y.shape[1])
    total = torch.zeros(width, dtype=torch.float64, device=y.device)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        x_strip, y_strip = level.x[top : bottom + WINDOW - 1], y[top : bottom + WINDOW - 1]
        mean_x, variance_x = level.mean[top:bottom], level.variance[top:bottom]
        mean_y, square_y, product = smooth(torch.stack((y_strip, y_strip * y_strip, x_strip * y_strip)))
        mean_product = mean_x * mean_y
        mean_square_y = mean_y * mean_y
        covariance = product.sub_(mean_product)
        similarity = (2 * covariance).add_(C2).div_(square_y.sub_(mean_square_y).add_(variance_x).add_(C2))
        if with_luminance:
            similarity.mul_(2 * mean_product + C1).div_(mean_x * mean_x + mean_square_y + C1)
        total += similarity.sum(0)
    return total.view(-1, 3).sum(0).cpu() / (height * (width // 3))


def halve(x: Tensor) -> Tensor:
    """Means of 2x2: (H, 3·W) to (⌈H/2⌉, 3·⌈W/2⌉). An odd side gets zeros at its beginning, as pytorch-msssim does."""
    import torch

    if x.shape[0] % 2:
        x = torch.nn.functional.pad(x, (0, 0, 1, 0))
    if x.shape[1] % 2:
        x = torch.nn.functional.pad(x, (3, 0))
    rows = (x[0::2] + x[1::2]).view(x.shape[0] // 2, -1, 2, 3)
    return (rows[:, :, 0] + rows[:, :, 1]).mul_(0.25).view(x.shape[0] // 2, -1)


def _samples(image: Image, device: str) -> Tensor:
    """(H, 3·W) float32."""
    import torch

    return torch.from_numpy(image.reshape(image.shape[0], -1).copy()).to(device).float()
