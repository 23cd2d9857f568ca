"""SSIMULACRA 2 (Sneyers, https://github.com/cloudinary/ssimulacra2), per image, by the package ssimulacra2.

The package takes files; the loop over scales stands here, over its functions, so that what depends on the original
alone is computed once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.metrics.info import MetricInfo
from benchmark.metrics.packages import by_package, check_side
from benchmark.metrics.pairs import check_pair
from benchmark.pixels import Image

Planes = npt.NDArray[np.float64]

SSIMULACRA2 = MetricInfo(
    "ssimulacra2",
    "SSIMULACRA 2",
    "image",
    "",
    True,
    None,
    100.0,
    signed=True,
    margin=0.5,
    words="structural similarity in XYB over six scales, for each image, then the mean; below 225 pixels fewer scales",
    parts={"srgb8": "of 8-bit sRGB samples"},
    aspect="perception",
    smallest_side=8,
    packages=("scipy.ndimage", "ssimulacra2"),
    make="benchmark.metrics.ssimulacra:make_ssimulacra2",
    summary="SSIMULACRA 2, per image; 100 at best, 90 visually lossless; both sides at least 8",
    identical="100",
    source="libjxl's metric; package ssimulacra2 (BSD-3-Clause)",
)
METRICS = (SSIMULACRA2,)


@dataclass(frozen=True)
class Scale:
    """One scale of an original: XYB made positive, and under the window its mean and its mean square; (W, H, 3)."""

    xyb: Planes
    mean: Planes
    square: Planes


@dataclass(frozen=True)
class Original:
    """size: (height, width). scales: from fine to coarse."""

    size: tuple[int, int]
    scales: tuple[Scale, ...]


@dataclass(frozen=True)
class Ssimulacra2:
    """From 100, identical, down, without a lower end."""

    info: MetricInfo
    protocol: str

    def prepare(self, original: Image) -> Original:
        """The original's scales. Raises Undefined if a side is below 8."""
        from ssimulacra2 import ssimulacra2 as package

        check_side(self.info, original)
        scales = [
            Scale(xyb, package.blur_image(xyb), package.blur_image(xyb * xyb)) for xyb in _scales(package, original)
        ]
        return Original((original.shape[0], original.shape[1]), tuple(scales))

    def compare(self, prepared: Original, reconstruction: Image) -> float:
        """The package's score."""
        from ssimulacra2 import ssimulacra2 as package

        check_pair(prepared.size, reconstruction)
        result = package.Msssim()
        for scale, xyb in zip(prepared.scales, _scales(package, reconstruction), strict=True):
            mean = package.blur_image(xyb)
            square, product = package.blur_image(xyb * xyb), package.blur_image(scale.xyb * xyb)
            found = package.MsssimScale()
            vars(found).update(
                avg_ssim=package.ssim_map(scale.mean, mean, scale.square, square, product),
                avg_edgediff=package.edge_diff_map(scale.xyb, scale.mean, xyb, mean),
            )
            result.scales.append(found)
        return float(result.score())


def _scales(package: Any, image: Image) -> list[Planes]:
    """XYB made positive, at each scale with no side below 8; halved in linear light."""
    linear = package.srgb_to_linear(image.astype(np.float64))
    found: list[Planes] = []
    while len(found) < package.kNumScales:
        xyb = package.make_positive_xyb(package.linear_rgb_to_xyb(linear))
        if min(xyb.shape[:2]) < 8:
            break
        found.append(xyb)
        linear = package.downsample(linear, 2, 2)
    return found


def make_ssimulacra2() -> Ssimulacra2:
    """Opens SSIMULACRA 2."""
    return Ssimulacra2(*by_package(SSIMULACRA2, "ssimulacra2", ("srgb8",)))
