"""PSNR, per image. Without torch, so that a run of a classical codec with PSNR alone starts at once."""

import math
from dataclasses import dataclass

import numpy as np

from benchmark.errors import Undefined
from benchmark.metrics.info import MetricInfo
from benchmark.metrics.pairs import check_pair, check_picture
from benchmark.pixels import Image

PEAK = 255.0

IDENTICAL = "the images are identical: PSNR is infinite"

PSNR = MetricInfo(
    "psnr",
    "PSNR",
    "image",
    "dB",
    True,
    0.0,
    None,
    margin=0.1,
    tolerance=0.01,
    words="peak signal-to-noise ratio, peak 255",
    parts={
        "rgb": "over red, green and blue together",
        "uint8": "of images rounded to whole numbers from 0 to 255",
        "mean-of-db": "in dB for each image, then the mean; that of the mean squared error beside it",
    },
    aspect="fidelity",
    pooled="mse",
    infinite=IDENTICAL,
    unstated={1: "colour space", 2: "rounding to 8 bits", 3: "averaging rule"},
    elsewhere={"compressai": "psnr-rgb"},
    make="benchmark.metrics.fidelity:make_psnr",
    identical="infinite",
    source="10·log10(255² / mean squared error)",
    summary="PSNR in dB over all three channels, per image",
)
METRICS = (PSNR,)


def mean_squared_error(original: Image, reconstruction: Image) -> float:
    """Mean over pixels and all three channels of the squared difference, in grey levels²; exact in float64."""
    difference = np.subtract(original, reconstruction, dtype=np.int16).ravel().astype(np.float64)
    return float(difference @ difference) / difference.size


def psnr_from_mse(mse: float) -> float:
    """10·log10(255² / mse), in dB; infinite for 0."""
    return math.inf if mse == 0 else 10 * math.log10(PEAK**2 / mse)


@dataclass(frozen=True)
class Psnr:
    """Peak signal-to-noise ratio, peak 255."""

    info: MetricInfo
    protocol: str = "psnr/rgb/uint8/mean-of-db"

    def prepare(self, original: Image) -> Image:
        """The original itself."""
        check_picture(original)
        return original

    def compare(self, prepared: Image, reconstruction: Image) -> float:
        """In dB. Raises Undefined if the images are identical: JSON has no infinity."""
        check_pair((prepared.shape[0], prepared.shape[1]), reconstruction)
        mse = mean_squared_error(prepared, reconstruction)
        if mse == 0:
            raise Undefined(IDENTICAL)
        return psnr_from_mse(mse)


def make_psnr() -> Psnr:
    """Opens PSNR."""
    return Psnr(PSNR)
