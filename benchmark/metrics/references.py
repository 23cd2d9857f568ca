"""What computes each metric elsewhere: the packages as their authors have them called, for the calibration table.

Nothing of the suite's own metrics is used here. A package that is not installed raises ImportError.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
    return package_of_lpips(trunk)


def package_of_lpips(trunk: str = "alex") -> Any:
    """`lpips.LPIPS` over the trunk "alex" or "vgg", with the weights that the suite has for it."""
    import torch
    from lpips import LPIPS as PACKAGE

    from benchmark.metrics.perceptual import alexnet, vgg16

    weights = alexnet() if trunk == "alex" else vgg16("lpips-vgg")
    # The package fills the trunk with random numbers first, and calls torchvision in a way that is out of date.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        network = PACKAGE(net=trunk, pnet_rand=True, verbose=False)
    names = {name: name.replace(name.split(".")[0], "features", 1) for name in network.net.state_dict()}
    network.net.load_state_dict({name: weights[there] for name, there in names.items()})
    return network.eval().requires_grad_(False)


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
"""By metric of an image. Those of a program or of pyiqa are the reference themselves."""


# Metrics of sets


@dataclass(frozen=True)
class SetReference:
    """what: names the implementation. features: (n, height, width, 3) uint8 to (n, dimension).

    distance: between the features of the originals' patches and of the reconstructions'. stands_in: whether `features`
    is given the network of `stand_in_inception`, with random weights; else it is given None.
    """

    what: str
    features: Callable[[Any, Any], Any]
    distance: Callable[[Any, Any], float]
    stands_in: bool = False


@contextmanager
def stand_in_inception() -> Iterator[Any]:
    """Inside, the suite finds random weights where Inception's are fetched to; yields torch-fidelity's own network."""
    from unittest.mock import patch

    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    from benchmark import fetching
    from benchmark.metrics import inception
    from benchmark.metrics.extractors import load_extractor

    def forget() -> None:
        for cached in (load_extractor, inception._network):
            cached.cache_clear()

    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        weights = Path(folder) / "inception.pth"
        torch.save({}, weights)
        with patch.object(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None):
            network = FeatureExtractorInceptionV3("donor", ["2048"], feature_extractor_weights_path=str(weights))
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):  # as it is made, an image is gone after its 94 layers
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        torch.save(network.state_dict(), weights)
        with patch.object(fetching, "inception_weights", lambda: weights):
            forget()
            try:
                yield network
            finally:
                forget()


def _stack(patches: Any) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(patches, 3, 1)))


def _effnet(patches: Any, _: None) -> Any:
    """As the packages have it: batch normalisations not folded. A few patches at once stay within the caches."""
    import torch

    from benchmark.metrics.extractors import load_efficientnet_lite0, pooled_features

    network = load_efficientnet_lite0()
    with torch.no_grad():
        return torch.cat([pooled_features(network, part) for part in _stack(patches).split(4)]).numpy()


def _inception(patches: Any, network: Any) -> Any:
    import torch

    with torch.no_grad():
        return network(_stack(patches))[0].numpy()


def _resized(resize: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def features(patches: Any, network: Any) -> Any:
        import torch

        from benchmark.metrics.inception import _pooled

        with torch.no_grad():
            return _pooled(network, resize(patches)).numpy()

    return features


def _clean(patches: Any) -> Any:
    import torch
    from cleanfid.resize import build_resizer

    resizer = build_resizer("clean")
    resized = np.stack([resizer(patch) for patch in patches])
    return (torch.from_numpy(resized).permute(0, 3, 1, 2) - 128) / 128


def _pytorch(patches: Any) -> Any:
    import torch

    pixels = _stack(patches) / 255
    return 2 * torch.nn.functional.interpolate(pixels, size=(299, 299), mode="bilinear", align_corners=False) - 1


def _frechet(x: Any, y: Any) -> float:
    import torch
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    statistics = [fid_features_to_statistics(torch.from_numpy(np.asarray(side, np.float64))) for side in (x, y)]
    return float(fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"])


def _kernel(x: Any, y: Any) -> float:
    """One subset of all patches."""
    import torch
    from torch_fidelity.metric_kid import kid_features_to_metric

    sides = [torch.from_numpy(np.asarray(side, np.float64)) for side in (x, y)]
    found = kid_features_to_metric(*sides, verbose=False, kid_subsets=1, kid_subset_size=min(len(x), len(y)))
    return float(found["kernel_inception_distance_mean"])


def _neighbours(name: str) -> Callable[[Any, Any], float]:
    def value(x: Any, y: Any) -> float:
        import torch
        from torch_fidelity.metric_prc import prc_features_to_metric

        sides = [torch.from_numpy(np.asarray(side, np.float32)) for side in (y, x)]
        return float(prc_features_to_metric(*sides, verbose=False, prc_neighborhood=3)[name])

    return value


def _inside(x: Any, y: Any) -> Any:
    """(n originals, n reconstructions): whether the one has the other within its fifth nearest original."""
    from scipy.spatial.distance import cdist

    radii = np.sort(cdist(x, x), axis=1)[:, 5]
    return cdist(x, y) <= radii[:, None]


def _density(x: Any, y: Any) -> float:
    return float(_inside(x, y).sum() / (5 * len(y)))


def _coverage(x: Any, y: Any) -> float:
    return float(_inside(x, y).any(1).mean())


def _gram(patches: Any, _: None) -> Any:
    import torch

    network = _lpips_network("alex")
    with torch.no_grad():
        maps = network.net(network.scaling_layer(_stack(patches).float() / 127.5 - 1))[0].double().numpy()
    grams = np.einsum("nahw,nbhw->nab", maps, maps) / (maps.shape[2] * maps.shape[3])
    return grams[:, *np.triu_indices(maps.shape[1])]


def _gram_mmd(x: Any, y: Any) -> float:
    from scipy.spatial.distance import cdist

    from benchmark.metrics.distances import GRAM_SIGMA

    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))
    means = [np.exp(-cdist(*pair, "sqeuclidean") / (2 * GRAM_SIGMA**2)).mean() for pair in ((x, x), (y, y), (x, y))]
    return float(1000 * (means[0] + means[1] - 2 * means[2]))


_FID, _KID = "torch_fidelity.metric_fid", "torch_fidelity.metric_kid of all patches"
SET_REFERENCES: Mapping[str, SetReference] = {
    "fd-effnet": SetReference(f"efficientnet_lite_pytorch, {_FID}", _effnet, _frechet),
    "kd-effnet": SetReference(f"efficientnet_lite_pytorch, {_KID}", _effnet, _kernel),
    "fid": SetReference(f"torch_fidelity's Inception, {_FID}", _inception, _frechet, stands_in=True),
    "kid": SetReference(f"torch_fidelity's Inception, {_KID}", _inception, _kernel, stands_in=True),
    "fid-clean": SetReference(f"cleanfid.resize, {_FID}", _resized(_clean), _frechet, stands_in=True),
    "fid-pytorch": SetReference(f"torch's interpolate, {_FID}", _resized(_pytorch), _frechet, stands_in=True),
    "precision-effnet": SetReference("torch_fidelity.metric_prc", _effnet, _neighbours("precision")),
    "recall-effnet": SetReference("torch_fidelity.metric_prc", _effnet, _neighbours("recall")),
    "density-effnet": SetReference("the definition in SciPy", _effnet, _density),
    "coverage-effnet": SetReference("the definition in SciPy", _effnet, _coverage),
    "gram-mmd": SetReference("the definition in NumPy and SciPy", _gram, _gram_mmd),
}
"""By metric of a set. The other networks are held against their packages by tests; what is done with features is the
same for all."""
