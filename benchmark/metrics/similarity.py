"""Similarities as the package piq computes them, per image: VIF, HaarPSI, IW-SSIM, GMSD, FSIM, MDSI, VSI, DSS, SR-SIM.

piq is an extra of the suite. Images go in as RGB in [0, 1]; those of its metrics that work on luma convert them
themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.errors import Undefined
from benchmark.metrics.info import MetricInfo
from benchmark.metrics.packages import by_package, check_side
from benchmark.metrics.pairs import check_pair
from benchmark.metrics.tensors import unit_tensor
from benchmark.pixels import Image

if TYPE_CHECKING:
    from torch import Tensor

FUNCTIONS = {
    "vif": "vif_p",
    "haarpsi": "haarpsi",
    "iw-ssim": "information_weighted_ssim",
    "gmsd": "gmsd",
    "fsim": "fsim",
    "mdsi": "mdsi",
    "vsi": "vsi",
    "dss": "dss",
    "sr-sim": "srsim",
}
"""Name -> function of piq."""

_A_THOUSANDTH = 1e-3 / 255


def _info(name: str, title: str, words: str, source: str, *, side: int, distance: bool = False) -> MetricInfo:
    return MetricInfo(
        name,
        title,
        "image",
        "",
        not distance,
        0.0,
        None if name == "vif" else 1.0,  # an image with more contrast has more information
        margin="2 %",
        words=f"{words}, for each image, then the mean",
        parts={"rgb": "of RGB in [0, 1], converted as piq does"},
        aspect="perception",
        smallest_side=side,
        packages=("torch", "benchmark.metrics.inference", "piq"),
        needs="piq",
        make=f"benchmark.metrics.similarity:make_{name.replace('-', '_')}",
        summary=f"{title} (piq), per image; {'0' if distance else '1'} for identical images"
        + (f"; both sides at least {side}" if side > 1 else ""),
        identical="0" if distance else "1",
        device="any",
        source=f"{source}; package piq (Apache-2.0)",
    )


VIF = _info(
    "vif",
    "VIF",
    "information about the original that is left, in the pixel domain",
    "Sheikh and Bovik 2006, doi:10.1109/TIP.2005.859378",
    side=41,
)
HAARPSI = _info(
    "haarpsi", "HaarPSI", "similarity of Haar wavelets", "Reisenhofer et al. 2018, arXiv:1607.06140", side=16
)
IW_SSIM = _info(
    "iw-ssim",
    "IW-SSIM",
    "multi-scale structural similarity, weighed by information",
    "Wang and Li 2011, doi:10.1109/TIP.2010.2092435",
    side=161,
)
GMSD = _info("gmsd", "GMSD", "deviation of the similarity of gradients", "Xue et al. 2013, arXiv:1308.3052",
             side=16, distance=True)  # fmt: skip
FSIM = _info("fsim", "FSIM", "similarity of phase congruency and gradients, with colour (FSIMc)",
             "Zhang et al. 2011, doi:10.1109/TIP.2011.2109730", side=16)  # fmt: skip
MDSI = _info("mdsi", "MDSI", "deviation of the similarity of gradients and colours",
             "Nafchi et al. 2016, arXiv:1608.07433", side=16, distance=True)  # fmt: skip
VSI = _info("vsi", "VSI", "similarity of salience, gradients and colours",
            "Zhang et al. 2014, doi:10.1109/TIP.2014.2346028", side=16)  # fmt: skip
DSS = _info("dss", "DSS", "similarity of subbands of the DCT", "Balanov et al. 2015, doi:10.1109/ICIP.2015.7351172",
            side=32)  # fmt: skip
SR_SIM = _info("sr-sim", "SR-SIM", "similarity of spectral residuals",
               "Zhang and Li 2012, doi:10.1109/ICIP.2012.6467149", side=40)  # fmt: skip
METRICS = (VIF, HAARPSI, IW_SSIM, GMSD, FSIM, MDSI, VSI, DSS, SR_SIM)


@dataclass(frozen=True)
class Similarity:
    """A function of piq of reconstruction and original."""

    info: MetricInfo
    protocol: str
    device: str

    def prepare(self, original: Image) -> Tensor:
        """(1, 3, H, W) in [0, 1]. Raises Undefined if a side is too short."""
        check_side(self.info, original)
        return unit_tensor(original, self.device)

    def compare(self, prepared: Tensor, reconstruction: Image) -> float:
        """The package's value. Raises Undefined where its formula has none: VIF of an original whose luma is flat holds
        no information to be left, IW-SSIM of flat images no covariance."""
        import piq
        import torch

        from benchmark.metrics.inference import exact_inference

        height, width = prepared.shape[2:]
        check_pair((height, width), reconstruction)
        function: Any = getattr(piq, FUNCTIONS[self.info.name])
        tensor = unit_tensor(reconstruction, self.device)
        if self.info.name == VIF.name and _flat(prepared) and not torch.equal(tensor, prepared):
            raise Undefined("VIF has no value: the luma of the original is flat")
        with exact_inference():
            try:
                value = float(function(tensor, prepared, data_range=1.0))
            except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
                raise Undefined(f"{self.info.title} has no value: there is too little structure") from None
        if self.info.name == HAARPSI.name and not math.isfinite(value) and torch.equal(tensor, prepared):
            return 1.0  # of two black images, where the package divides by weights of 0
        return value


def _flat(image: Tensor) -> bool:
    """Whether the luma of (1, 3, H, W) in [0, 1] is the same everywhere, to less than a thousandth of a level."""
    luma = image.double().mul(image.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)
    return bool(luma.amax() - luma.amin() < _A_THOUSANDTH)


def _make(info: MetricInfo, device: str) -> Similarity:
    return Similarity(*by_package(info, "piq", ("rgb",)), device)


def make_vif(device: str = "cpu") -> Similarity:
    """Opens VIF."""
    return _make(VIF, device)


def make_haarpsi(device: str = "cpu") -> Similarity:
    """Opens HaarPSI."""
    return _make(HAARPSI, device)


def make_iw_ssim(device: str = "cpu") -> Similarity:
    """Opens IW-SSIM."""
    return _make(IW_SSIM, device)


def make_gmsd(device: str = "cpu") -> Similarity:
    """Opens GMSD."""
    return _make(GMSD, device)


def make_fsim(device: str = "cpu") -> Similarity:
    """Opens FSIM."""
    return _make(FSIM, device)


def make_mdsi(device: str = "cpu") -> Similarity:
    """Opens MDSI."""
    return _make(MDSI, device)


def make_vsi(device: str = "cpu") -> Similarity:
    """Opens VSI."""
    return _make(VSI, device)


def make_dss(device: str = "cpu") -> Similarity:
    """Opens DSS."""
    return _make(DSS, device)


def make_sr_sim(device: str = "cpu") -> Similarity:
    """Opens SR-SIM."""
    return _make(SR_SIM, device)
