"""LPIPS v0.1 (Zhang et al. 2018, https://arxiv.org/abs/1801.03924), per image, with the package's own network.

AlexNet's trunk lies beside this module: the package would download all of AlexNet for it, its classifier included.
VGG16's is a download of its own, `python -m benchmark fetch vgg16`. The features of an original are computed once for
all its reconstructions.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmark.errors import BenchmarkError, Undefined
from benchmark.metrics.info import MetricInfo
from benchmark.metrics.pairs import check_pair, check_picture
from benchmark.pixels import Image

if TYPE_CHECKING:  # torch takes seconds to import, and these facts are read without measuring
    from torch import Tensor

MINIMUM_SIDES = {"alex": 31, "vgg": 16}
"""By trunk. Smaller images leave nothing after AlexNet's second pooling, or after VGG16's fourth."""
TRUNK = Path(__file__).parent / "weights" / "alexnet-features.safetensors"

_PARTS = {
    "v0.1": "version 0.1 of its weights",
    "alex": "over AlexNet's features",
    "vgg": "over VGG16's features",
}
_MAP_TOP = 0.8  # few places of images at the lowest qualities lie beyond
_PACKAGES = ("torch", "benchmark.metrics.inference", "lpips")
_SOURCE = "Zhang et al. 2018, arXiv:1801.03924; package lpips"

LPIPS = MetricInfo(
    "lpips",
    "LPIPS",
    "image",
    "",
    False,
    0.0,
    None,
    margin="2 %",
    words="learned perceptual distance, for each image, then the mean",
    parts=_PARTS,
    aspect="perception",
    smallest_side=MINIMUM_SIDES["alex"],
    unstated={1: "version of LPIPS"},
    packages=_PACKAGES,
    make="benchmark.metrics.perceptual:make_lpips",
    summary="LPIPS v0.1, AlexNet, per image; both sides at least 31",
    identical="0",
    device="any",
    source=_SOURCE,
    map_top=_MAP_TOP,
)
LPIPS_VGG = MetricInfo(
    "lpips-vgg",
    "LPIPS (VGG)",
    "image",
    "",
    False,
    0.0,
    None,
    margin="2 %",
    words="learned perceptual distance, for each image, then the mean",
    parts=_PARTS,
    aspect="perception",
    smallest_side=MINIMUM_SIDES["vgg"],
    packages=_PACKAGES,
    make="benchmark.metrics.perceptual:make_lpips_vgg",
    summary="LPIPS v0.1, VGG16, per image; both sides at least 16; needs `python -m benchmark fetch vgg16`",
    identical="0",
    device="any",
    source=_SOURCE,
    map_top=_MAP_TOP,
)
METRICS = (LPIPS, LPIPS_VGG)


@dataclass(frozen=True)
class Prepared:
    """An original's (height, width) and its five feature maps, each (1, C, h, w) with unit vectors along C."""

    size: tuple[int, int]
    features: tuple[Tensor, ...]


@dataclass(frozen=True)
class Lpips:
    """Learned perceptual distance over the trunk "alex" or "vgg"; 0 for identical images."""

    info: MetricInfo
    device: str
    trunk: str = "alex"

    @cached_property
    def network(self) -> Any:
        """`load_network` of the trunk, when it is first needed. Raises BenchmarkError if its weights are not here."""
        return load_network(self.device, self.trunk)

    def load(self) -> None:
        """Loads the network, before any image is at hand. Raises BenchmarkError if its weights are not here."""
        _ = self.network

    @property
    def protocol(self) -> str:
        """The metric, the version of the package's weights, and the trunk."""
        return f"{self.info.name}/v0.1/{self.trunk}"

    def prepare(self, original: Image) -> Prepared:
        """Raises Undefined if a side is below the trunk's of MINIMUM_SIDES."""
        check_picture(original)
        height, width = original.shape[:2]
        least = MINIMUM_SIDES[self.trunk]
        if min(height, width) < least:
            raise Undefined(f"LPIPS needs both sides of at least {least} pixels, this is {width}x{height}")
        return Prepared((height, width), self._features(original))

    def compare(self, prepared: Prepared, reconstruction: Image) -> float:
        """Sum over the five maps of the mean over positions of the weighted squared difference."""
        from benchmark.metrics.inference import exact_inference

        check_pair(prepared.size, reconstruction)
        pairs = zip(self.network.lins, prepared.features, self._features(reconstruction), strict=True)
        with exact_inference():
            return float(sum(linear((x - y) ** 2).mean() for linear, x, y in pairs))

    def difference_map(self, prepared: Prepared, reconstruction: Image) -> npt.NDArray[np.float32]:
        """LPIPS before its mean over positions: float32 (height/4, width/4), rounded up.

        Each layer's weighted squared difference is brought to that size bilinearly, as lpips.LPIPS(spatial=True) brings
        it to the image's; the mean is near LPIPS, not equal to it, since rows and columns at the border weigh more.
        """
        import torch
        from torch.nn.functional import interpolate

        check_pair(prepared.size, reconstruction)
        height, width = prepared.size
        size = (-(-height // 4), -(-width // 4))
        total = torch.zeros((1, 1, *size))
        features = self._features(reconstruction)
        with torch.inference_mode():
            for linear, x, y in zip(self.network.lins, prepared.features, features, strict=True):
                total += interpolate(linear((x - y) ** 2), size=size, mode="bilinear", align_corners=False).cpu()
        values: npt.NDArray[np.float32] = total[0, 0].numpy()
        return values

    def _features(self, image: Image) -> tuple[Tensor, ...]:
        import torch
        from lpips import normalize_tensor

        from benchmark.metrics.inference import exact_inference

        x = torch.from_numpy(image.copy()).to(self.device).permute(2, 0, 1)[None].contiguous()
        with exact_inference():
            maps = self.network.net(self.network.scaling_layer(x.float() / 127.5 - 1))
            return tuple(normalize_tensor(features) for features in maps)


def make_lpips(device: str = "cpu") -> Lpips:
    """Opens LPIPS over AlexNet."""
    return Lpips(LPIPS, device)


def make_lpips_vgg(device: str = "cpu") -> Lpips:
    """Opens LPIPS over VGG16."""
    return Lpips(LPIPS_VGG, device, "vgg")


def load_network(device: str = "cpu", net: str = "alex") -> Any:
    """`lpips.LPIPS` over the trunk "alex" or "vgg", ready for inference: input (N, 3, H, W) in [−1, 1].

    Raises BenchmarkError if the weights of VGG16 are not here.
    """
    import lpips
    import torch

    trunk = alexnet() if net == "alex" else vgg16("lpips-vgg")
    linear = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    # Without memory at first: the package fills its trunk, with the classifier, with random numbers before all else. It
    # calls torchvision in a way that is out of date.
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        network = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
    network.scaling_layer = lpips.ScalingLayer()
    names = {name: name.replace(name.split(".")[0], "features", 1) for name in network.net.state_dict()}
    network.net.load_state_dict({name: trunk[there].clone() for name, there in names.items()}, assign=True)
    given = torch.load(linear, map_location="cpu", weights_only=True)
    left = network.load_state_dict(given, strict=False, assign=True)
    assert not left.unexpected_keys
    return network.eval().requires_grad_(False).to(device)


def alexnet() -> dict[str, Tensor]:
    """The weights of torchvision's AlexNet without its classifier: "features.0.weight" and so on."""
    from safetensors.torch import load_file

    return load_file(TRUNK)


def vgg16(metric: str) -> dict[str, Tensor]:
    """The weights of torchvision's VGG16 as fetched, mapped into memory: "features.0.weight" and so on.

    Raises BenchmarkError for `metric`, with the command that fetches them, if they are not here.
    """
    import torch

    from benchmark.fetching import VGG16_NAME, cache_folder, vgg16_weights

    path = vgg16_weights()
    if path is None:
        raise BenchmarkError(
            f"{metric}: the weights of VGG16 are not here ({cache_folder() / VGG16_NAME}); "
            "`python -m benchmark fetch vgg16` downloads them, `--from FILE` takes a file that you have"
        )
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return weights
