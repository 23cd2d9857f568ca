"""Metrics made for video, of single images: ColorVideoVDP and VMAF. Both packages are extras of the suite."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from benchmark.metrics.info import MetricInfo
from benchmark.metrics.luma import luma
from benchmark.metrics.packages import by_package, check_side
from benchmark.metrics.pairs import check_pair
from benchmark.pixels import Image

if TYPE_CHECKING:
    from torch import Tensor

CVVDP = MetricInfo(
    "cvvdp",
    "ColorVideoVDP",
    "image",
    "JOD",
    True,
    None,
    10.0,
    margin=0.05,
    words="just-objectionable differences below 10 on a modelled display, for each image, then the mean",
    parts={"standard_4k": "on a 30 inch 4K display of 200 cd/m² seen from 0.75 m"},
    aspect="perception",
    smallest_side=16,
    packages=("torch", "benchmark.metrics.inference", "pycvvdp"),
    needs="pycvvdp",
    make="benchmark.metrics.video:make_cvvdp",
    summary="ColorVideoVDP in JOD, per image, display standard_4k; 10 for identical images; both sides at least 16",
    identical="10",
    device="any",
    source="Mantiuk et al. 2024, arXiv:2401.11485; package cvvdp (MIT)",
)
VMAF = MetricInfo(
    "vmaf",
    "VMAF",
    "image",
    "",
    True,
    None,
    None,
    signed=True,
    margin=0.5,
    words="Netflix's fusion of fidelity measures of the luma, for each image as a video of one frame, then the mean",
    parts={
        "v0.6.1": "with model vmaf_v0.6.1, as floats",
        "bt601-full": "of the luma Y = 0.299 R + 0.587 G + 0.114 B, full range, not rounded",
        "still": "without motion",
        "unclipped": "not clipped to 0 and 100",
    },
    aspect="perception",
    smallest_side=17,
    packages=("torch", "benchmark.metrics.inference", "vmaf_torch"),
    needs="vmaf_torch",
    make="benchmark.metrics.video:make_vmaf",
    summary="VMAF v0.6.1 of the luma, per image; about 97 for identical images; both sides at least 17",
    identical="about 97: without motion the model says no more",
    device="any",
    source="Netflix 2016; package vmaf-torch (BSD-3-Clause)",
)
METRICS = (CVVDP, VMAF)


@dataclass(frozen=True)
class Cvvdp:
    """ColorVideoVDP of sRGB images on the display `standard_4k`; 10 for identical ones."""

    info: MetricInfo
    protocol: str
    device: str

    @cached_property
    def network(self) -> Any:
        """The package's metric."""
        import pycvvdp
        import torch

        return pycvvdp.cvvdp(display_name="standard_4k", device=torch.device(self.device), quiet=True)

    def load(self) -> None:
        """Makes the package's metric."""
        _ = self.network

    def prepare(self, original: Image) -> Image:
        """The original itself. Raises Undefined if a side is below 16."""
        check_side(self.info, original)
        return original

    def compare(self, prepared: Image, reconstruction: Image) -> float:
        """In JOD."""
        from benchmark.metrics.inference import exact_inference

        check_pair((prepared.shape[0], prepared.shape[1]), reconstruction)
        with exact_inference():
            return float(self.network.predict(reconstruction, prepared, dim_order="HWC")[0])


@dataclass(frozen=True)
class Vmaf:
    """VMAF of one frame's luma."""

    info: MetricInfo
    protocol: str
    device: str

    @cached_property
    def network(self) -> Any:
        """The package's metric."""
        from vmaf_torch import VMAF as PACKAGE

        return PACKAGE(enable_motion=False).eval().requires_grad_(False).to(self.device)

    def load(self) -> None:
        """Makes the package's metric."""
        _ = self.network

    def prepare(self, original: Image) -> Tensor:
        """(1, 1, H, W), luma from 0 to 255. Raises Undefined if a side is below 17."""
        check_side(self.info, original)
        return self._luma(original)

    def compare(self, prepared: Tensor, reconstruction: Image) -> float:
        """The package's score."""
        from benchmark.metrics.inference import exact_inference

        height, width = prepared.shape[2:]
        check_pair((height, width), reconstruction)
        with exact_inference():
            return float(self.network(prepared, self._luma(reconstruction)))

    def _luma(self, image: Image) -> Tensor:
        import torch

        return torch.from_numpy(luma(image) / 1000).to(self.device, torch.float32)[None, None]


def make_cvvdp(device: str = "cpu") -> Cvvdp:
    """Opens ColorVideoVDP."""
    return Cvvdp(*by_package(CVVDP, "cvvdp", ("standard_4k",)), device)


def make_vmaf(device: str = "cpu") -> Vmaf:
    """Opens VMAF."""
    return Vmaf(*by_package(VMAF, "vmaf-torch", ("v0.6.1", "bt601-full", "still", "unclipped")), device)
