"""What computes each metric elsewhere: the packages as their authors have them called, for the calibration table.

Nothing of the suite's own metrics is used here. A package that is not installed raises ImportError.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from benchmark.pixels import Image

if TYPE_CHECKING:
    from torch import Tensor

VGG16 = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256)} | {
    17: (256, 512),
    **dict.fromkeys((19, 21, 24, 26, 28), (512, 512)),
}
"""Place in torchvision's `features` -> channels in and out of each 3×3 convolution; Simonyan & Zisserman, column D."""


@dataclass(frozen=True)
class Reference:
    """what: names the implementation. value: of (original, reconstruction). stands_in: whether VGG16 is random."""

    what: str
    value: Callable[[Image, Image], float]
    stands_in: bool = False


def stand_in_vgg16() -> dict[str, Tensor]:
    """Random weights in the place of VGG16's, which nobody may ship; the same at each call."""
    import torch

    generator = torch.Generator().manual_seed(0)
    weights = {}
    for place, (channels, out) in VGG16.items():
        weight = torch.randn(out, channels, 3, 3, generator=generator)
        weights[f"features.{place}.weight"] = weight * (2 / 9 / channels) ** 0.5
        weights[f"features.{place}.bias"] = 0.1 * torch.randn(out, generator=generator)
    return weights


def _unit(image: Image) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32))[None] / 255


def _piq(name: str) -> Callable[[Image, Image], float]:
    def value(original: Image, reconstruction: Image) -> float:
        import piq

        return float(getattr(piq, name)(_unit(reconstruction), _unit(original), data_range=1.0))

    return value


def _luma(image: Image) -> Any:
    red, green, blue = np.moveaxis(image.astype(np.float64), 2, 0)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _psnr(original: Image, reconstruction: Image) -> float:
    return float(10 * np.log10(255**2 / np.mean((original.astype(np.float64) - reconstruction) ** 2)))


def _psnr_y(original: Image, reconstruction: Image) -> float:
    return float(10 * np.log10(255**2 / np.mean((_luma(original) - _luma(reconstruction)) ** 2)))


def _psnr_hvs(index: int) -> Callable[[Image, Image], float]:
    def value(original: Image, reconstruction: Image) -> float:
        from psnr_hvsm import psnr_hvs_hvsm

        return float(psnr_hvs_hvsm(_luma(original) / 255, _luma(reconstruction) / 255)[index])

    return value


def _ms_ssim(original: Image, reconstruction: Image) -> float:
    from pytorch_msssim import ms_ssim

    return float(ms_ssim(255 * _unit(original), 255 * _unit(reconstruction), data_range=255))


def _ms_ssim_db(original: Image, reconstruction: Image) -> float:
    return float(-10 * np.log10(1 - _ms_ssim(original, reconstruction)))


def _lpips(trunk: str) -> Callable[[Image, Image], float]:
    def value(original: Image, reconstruction: Image) -> float:
        import torch

        with torch.no_grad():
            return float(_lpips_network(trunk)(_unit(original), _unit(reconstruction), normalize=True))

    return value


@cache
def _lpips_network(trunk: str) -> Any:
    from benchmark.metrics.perceptual import load_network

    return load_network(net=trunk)


def _dists(original: Image, reconstruction: Image) -> float:
    import torch

    with torch.no_grad():
        return float(_dists_network()(_unit(original), _unit(reconstruction)))


@cache
def _dists_network() -> Any:
    from unittest.mock import patch

    import DISTS_pytorch
    import torch
    import torchvision

    trunk = torchvision.models.vgg16(weights=None)
    trunk.load_state_dict(trunk.state_dict() | stand_in_vgg16())
    with patch.object(torchvision.models, "vgg16", lambda **_: trunk):
        metric = DISTS_pytorch.DISTS(load_weights=False)
    own = torch.load(Path(DISTS_pytorch.__file__).parent / "weights.pt", map_location="cpu", weights_only=True)
    metric.alpha.data, metric.beta.data = own["alpha"], own["beta"]
    return metric


def _ssimulacra2(original: Image, reconstruction: Image) -> float:
    from ssimulacra2 import compute_ssimulacra2

    with tempfile.TemporaryDirectory() as folder:
        files = [f"{folder}/original.png", f"{folder}/reconstruction.png"]
        for file, image in zip(files, (original, reconstruction), strict=True):
            Pillow.fromarray(image).save(file)
        return float(compute_ssimulacra2(*files))


def _flip(original: Image, reconstruction: Image) -> float:
    import flip_evaluator

    pair = [image.astype(np.float32) / 255 for image in (original, reconstruction)]
    return float(flip_evaluator.evaluate(*pair, "LDR")[1])


def _cvvdp(original: Image, reconstruction: Image) -> float:
    return float(_cvvdp_metric().predict(reconstruction, original, dim_order="HWC")[0])


@cache
def _cvvdp_metric() -> Any:
    import pycvvdp

    return pycvvdp.cvvdp(display_name="standard_4k")


def _vmaf(original: Image, reconstruction: Image) -> float:
    import torch
    from vmaf_torch import VMAF

    lumas = [torch.from_numpy(_luma(image)).float()[None, None] for image in (original, reconstruction)]
    with torch.no_grad():
        return float(VMAF()(*lumas))


REFERENCES: Mapping[str, Reference] = {
    "psnr": Reference("the formula in NumPy", _psnr),
    "psnr-y": Reference("the formula in NumPy", _psnr_y),
    "psnr-hvs": Reference("psnr_hvsm.psnr_hvs_hvsm", _psnr_hvs(0)),
    "psnr-hvs-m": Reference("psnr_hvsm.psnr_hvs_hvsm", _psnr_hvs(1)),
    "ms_ssim": Reference("pytorch_msssim.ms_ssim", _ms_ssim),
    "ms_ssim_db": Reference("pytorch_msssim.ms_ssim, in dB", _ms_ssim_db),
    "lpips": Reference("lpips.LPIPS's own forward", _lpips("alex")),
    "lpips-vgg": Reference("lpips.LPIPS's own forward", _lpips("vgg"), stands_in=True),
    "dists": Reference("DISTS_pytorch.DISTS", _dists, stands_in=True),
    "ssimulacra2": Reference("ssimulacra2.compute_ssimulacra2, of files", _ssimulacra2),
    "flip": Reference("flip_evaluator.evaluate, its own mean", _flip),
    "vif": Reference("piq.vif_p", _piq("vif_p")),
    "haarpsi": Reference("piq.haarpsi", _piq("haarpsi")),
    "iw-ssim": Reference("piq.information_weighted_ssim", _piq("information_weighted_ssim")),
    "gmsd": Reference("piq.gmsd", _piq("gmsd")),
    "fsim": Reference("piq.fsim", _piq("fsim")),
    "mdsi": Reference("piq.mdsi", _piq("mdsi")),
    "vsi": Reference("piq.vsi", _piq("vsi")),
    "dss": Reference("piq.dss", _piq("dss")),
    "sr-sim": Reference("piq.srsim", _piq("srsim")),
    "cvvdp": Reference("pycvvdp.cvvdp.predict", _cvvdp),
    "vmaf": Reference("vmaf_torch.VMAF, with motion of one frame", _vmaf),
}
"""By metric. Metrics of sets have their oracles in their tests; those of a program or of pyiqa are the reference."""
