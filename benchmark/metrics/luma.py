"""Metrics of the luma alone: PSNR-Y, PSNR-HVS and PSNR-HVS-M, per image. Without torch.

Luma is BT.601's, full range: Y = 0.299 R + 0.587 G + 0.114 B of the 8-bit samples, not rounded. PSNR-HVS (Egiazarian
et al. 2006) weighs the differences of 8×8 DCT coefficients as the eye sees their frequencies; PSNR-HVS-M (Ponomarenko
et al. 2007) takes off besides what the block's own contrast masks. Both have no package under a licence that the suite
could depend on, so they stand here; both tables follow from JPEG's table for luminance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmark.errors import Undefined
from benchmark.metrics.fidelity import PSNR, psnr_from_mse
from benchmark.metrics.info import MetricInfo
from benchmark.metrics.packages import check_side
from benchmark.metrics.pairs import check_pair
from benchmark.metrics.shared import once
from benchmark.pixels import Image

Plane = npt.NDArray[np.int32]
Blocks = npt.NDArray[np.float64]

SIDE = 8

JPEG_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=np.float64,
)
"""Table K.1 of ITU-T T.81: rows are vertical frequencies."""

SENSITIVITY = 25.735088 / JPEG_LUMINANCE
"""Weights of the coefficients: 1.608443 at the mean value, as the authors' program prints them."""
MASKING = (10 / JPEG_LUMINANCE) ** 2

SAME_LUMA = "the luma of both images is the same: PSNR is infinite"

_PARTS = {
    "bt601-full": "of the luma Y = 0.299 R + 0.587 G + 0.114 B, full range, not rounded",
    "mean-of-db": "in dB for each image, then the mean; that of the mean squared error beside it",
    "dct8": "over blocks of 8 × 8 from the top left corner; what is no whole block is left out",
    "csf-jpeg": "weights from JPEG's table for luminance, as the authors have them",
    "masked": "less what the block's own contrast masks",
    "peak255": "with a peak of 255",
}

PSNR_Y = replace(
    PSNR,
    name="psnr-y",
    title="PSNR-Y",
    words="peak signal-to-noise ratio of the luma, peak 255",
    parts=_PARTS,
    infinite=SAME_LUMA,
    unstated={},
    elsewhere={},
    make="benchmark.metrics.luma:make_psnr_y",
    summary="PSNR in dB of the luma (BT.601, full range), per image",
    source="10·log10(255² / mean squared error of the luma)",
)
PSNR_HVS = replace(
    PSNR_Y,
    name="psnr-hvs",
    title="PSNR-HVS",
    lowest=None,  # a weight above 1 can bring it below 0
    words="PSNR of the luma's DCT coefficients, weighed as the eye sees their frequencies",
    infinite="the luma's whole blocks are the same: PSNR-HVS is infinite",
    smallest_side=SIDE,
    packages=("scipy.fft",),
    signed=True,
    aspect="perception",
    make="benchmark.metrics.luma:make_psnr_hvs",
    summary="PSNR-HVS in dB, weighed by contrast sensitivity, per image; both sides at least 8",
    source="Egiazarian et al. 2006, VPQM",
)
PSNR_HVS_M = replace(
    PSNR_HVS,
    name="psnr-hvs-m",
    title="PSNR-HVS-M",
    words="PSNR-HVS, less what the contrast of each block masks",
    infinite="all differences are masked: PSNR-HVS-M is infinite",
    make="benchmark.metrics.luma:make_psnr_hvs_m",
    summary="PSNR-HVS-M in dB, with contrast masking, per image; both sides at least 8",
    source="Ponomarenko et al. 2007, VPQM",
)
METRICS = (PSNR_Y, PSNR_HVS, PSNR_HVS_M)


def luma(image: Image) -> Plane:
    """(H, W) int32, BT.601's full-range luma in thousandths of a grey level, which are whole numbers."""
    return once("luma", _luma, image)


def _luma(image: Image) -> Plane:
    return image.astype(np.int32) @ np.array([299, 587, 114], dtype=np.int32)


@dataclass(frozen=True)
class Contrast:
    """Blocks of a luma: coefficients (n, 8, 8) of the orthonormal DCT, and how much each block masks (n,)."""

    size: tuple[int, int]
    coefficients: Blocks
    masks: Blocks


def contrast(image: Image) -> Contrast:
    """The DCT of the image's luma, and what masks. Made once for an image."""
    return once("contrast", _contrast, image)


def _contrast(image: Image) -> Contrast:
    from scipy.fft import dctn

    height, width = image.shape[0] // SIDE * SIDE, image.shape[1] // SIDE * SIDE
    plane = luma(image)[:height, :width] / 1000
    blocks = plane.reshape(height // SIDE, SIDE, width // SIDE, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE)
    coefficients = dctn(blocks, axes=(1, 2), norm="ortho")
    energy = np.einsum("nij,ij->n", coefficients**2, MASKING) - coefficients[:, 0, 0] ** 2 * MASKING[0, 0]
    whole = _scatter(blocks)
    half = SIDE // 2
    quarters = [blocks[:, y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    share = np.divide(sum(map(_scatter, quarters)), whole, out=np.zeros_like(whole), where=whole != 0)
    return Contrast((image.shape[0], image.shape[1]), coefficients, np.sqrt(energy * share) / 32)


def _scatter(blocks: Blocks) -> Blocks:
    """(n,): the variance of each block's n samples, times their number."""
    count = blocks.shape[1] * blocks.shape[2]
    result: Blocks = blocks.var(axis=(1, 2), ddof=1) * count
    return result


def weighted_error(original: Contrast, reconstruction: Contrast) -> float:
    """Mean over coefficients of the squared weighted difference: the error of PSNR-HVS."""
    difference = (original.coefficients - reconstruction.coefficients) * SENSITIVITY
    return float(np.mean(difference**2))


def masked_error(original: Contrast, reconstruction: Contrast) -> float:
    """The same, each difference but the mean value's less the threshold that the stronger of both blocks masks."""
    difference = np.abs(original.coefficients - reconstruction.coefficients)
    masks = np.maximum(original.masks, reconstruction.masks)
    threshold = masks[:, None, None] / MASKING
    threshold[:, 0, 0] = 0
    return float(np.mean((np.maximum(difference - threshold, 0) * SENSITIVITY) ** 2))


@dataclass(frozen=True)
class PsnrY:
    """PSNR of the luma; in dB."""

    info: MetricInfo
    protocol: str = "psnr-y/bt601-full/mean-of-db"

    def prepare(self, original: Image) -> Plane:
        """The original's luma."""
        check_side(self.info, original)
        return luma(original)

    def compare(self, prepared: Plane, reconstruction: Image) -> float:
        """In dB. Raises Undefined if both lumas are the same."""
        check_pair((prepared.shape[0], prepared.shape[1]), reconstruction)
        difference = (prepared - luma(reconstruction)).ravel().astype(np.float64)
        return _decibels(float(difference @ difference) / difference.size / 1e6, self.info)


@dataclass(frozen=True)
class PsnrHvs:
    """PSNR of an `error` between two images' DCT coefficients; in dB."""

    info: MetricInfo
    protocol: str
    error: Callable[[Contrast, Contrast], float]

    def prepare(self, original: Image) -> Contrast:
        """The original's DCT. Raises Undefined if a side is below 8."""
        check_side(self.info, original)
        return contrast(original)

    def compare(self, prepared: Contrast, reconstruction: Image) -> float:
        """In dB. Raises Undefined if the error is 0."""
        check_pair(prepared.size, reconstruction)
        return _decibels(self.error(prepared, contrast(reconstruction)), self.info)


def _decibels(error: float, info: MetricInfo) -> float:
    value = psnr_from_mse(error)
    if math.isinf(value):
        raise Undefined(info.infinite)
    return value


def make_psnr_y() -> PsnrY:
    """Opens PSNR of the luma."""
    return PsnrY(PSNR_Y)


def make_psnr_hvs() -> PsnrHvs:
    """Opens PSNR-HVS."""
    return PsnrHvs(PSNR_HVS, "psnr-hvs/bt601-full/dct8/csf-jpeg/peak255/mean-of-db", weighted_error)


def make_psnr_hvs_m() -> PsnrHvs:
    """Opens PSNR-HVS-M."""
    return PsnrHvs(PSNR_HVS_M, "psnr-hvs-m/bt601-full/dct8/csf-jpeg/masked/peak255/mean-of-db", masked_error)
