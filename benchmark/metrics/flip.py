"""ꟻLIP (Andersson et al. 2020), per image, by NVIDIA's flip-evaluator: what one sees when two images alternate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmark.metrics.info import MetricInfo
from benchmark.metrics.packages import by_package, check_side
from benchmark.metrics.pairs import check_pair
from benchmark.pixels import Image

FLIP = MetricInfo(
    "flip",
    "FLIP",
    "image",
    "",
    False,
    0.0,
    1.0,
    margin="2 %",
    words="the difference that one sees when both images alternate in place, for each image, then the mean",
    parts={
        "ldr": "of 8-bit sRGB samples",
        "ppd67": "seen at 67 pixels per degree: a 4K display of 0.7 m at 0.7 m, the package's default",
        "mean": "mean over pixels",
    },
    aspect="perception",
    packages=("flip_evaluator",),
    needs="flip_evaluator",
    make="benchmark.metrics.flip:make_flip",
    summary="FLIP, per image, with a map on the page",
    identical="0",
    source="Andersson et al. 2020, doi:10.1145/3406183; package flip-evaluator (BSD-3-Clause)",
    map_top=1.0,
)
METRICS = (FLIP,)

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Flip:
    """Between 0, identical, and 1."""

    info: MetricInfo
    protocol: str

    def prepare(self, original: Image) -> Samples:
        """The samples in [0, 1]: (H, W, 3)."""
        check_side(self.info, original)
        return _samples(original)

    def compare(self, prepared: Samples, reconstruction: Image) -> float:
        """The mean of the map, in float64."""
        return float(self.difference_map(prepared, reconstruction).mean(dtype=np.float64))

    def difference_map(self, prepared: Samples, reconstruction: Image) -> npt.NDArray[np.float32]:
        """(H, W) float32 in [0, 1]."""
        import flip_evaluator

        check_pair((prepared.shape[0], prepared.shape[1]), reconstruction)
        found, _, _ = flip_evaluator.evaluate(
            prepared, _samples(reconstruction), "LDR", inputsRGB=True, applyMagma=False, computeMeanError=False
        )
        values: npt.NDArray[np.float32] = found[..., 0]
        return values


def _samples(image: Image) -> Samples:
    return image.astype(np.float32) / np.float32(255)


def make_flip() -> Flip:
    """Opens FLIP."""
    return Flip(*by_package(FLIP, "flip-evaluator", ("ldr", "ppd67", "mean")))
