"""LPIPS v0.1 (Zhang et al. 2018, https://arxiv.org/abs/1801.03924), per image, with the package's own network.

The trunk's ImageNet weights lie beside this module: the package would download all of AlexNet for them, its classifier
included. The features of an original are computed once for all its reconstructions.
"""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.codecs import Image
from benchmark.errors import Undefined
from benchmark.metrics import MetricInfo, metric_info
from benchmark.metrics.inference import exact_inference
from benchmark.metrics.pairs import check_pair, check_picture

MINIMUM_SIDE = 31
"""Smaller pictures leave nothing after AlexNet's second pooling."""
TRUNK = Path(__file__).parent / "weights" / "alexnet-features.safetensors"


@dataclass(frozen=True)
class Prepared:
    """An original's (height, width) and its five feature maps, each (1, C, h, w) with unit vectors along C."""

    size: tuple[int, int]
    features: tuple[Tensor, ...]


@dataclass(frozen=True)
class Lpips:
    """Learned perceptual distance over AlexNet; 0 for identical pictures."""

    info: MetricInfo
    device: str
    network: Any = field(repr=False)
    protocol: str = "lpips/v0.1/alex"

    def prepare(self, original: Image) -> Prepared:
        """Raises Undefined if a side is below 31."""
        check_picture(original)
        height, width = original.shape[:2]
        if min(height, width) < MINIMUM_SIDE:
            raise Undefined(f"LPIPS needs both sides of at least {MINIMUM_SIDE} pixels, this is {width}x{height}")
        return Prepared((height, width), self._features(original))

    def compare(self, prepared: Prepared, reconstruction: Image) -> float:
        """Sum over the five maps of the mean over positions of the weighted squared difference."""
        check_pair(prepared.size, reconstruction)
        pairs = zip(self.network.lins, prepared.features, self._features(reconstruction), strict=True)
        with exact_inference():
            return float(sum(linear((x - y) ** 2).mean() for linear, x, y in pairs))

    def _features(self, image: Image) -> tuple[Tensor, ...]:
        from lpips import normalize_tensor

        x = torch.from_numpy(image.copy()).to(self.device).permute(2, 0, 1)[None].contiguous()
        with exact_inference():
            maps = self.network.net(self.network.scaling_layer(x.float() / 127.5 - 1))
            return tuple(normalize_tensor(features) for features in maps)


def make_lpips(patches: str | None, device: str) -> Lpips:
    """Entry of METRICS. `patches` does not matter."""
    return Lpips(metric_info("lpips"), device, load_network(device))


def load_network(device: str = "cpu") -> Any:
    """`lpips.LPIPS` over AlexNet, ready for inference: input (N, 3, H, W) in [−1, 1]."""
    from lpips import LPIPS
    from safetensors.torch import load_file

    # The package fills the trunk with random numbers first, and calls torchvision in a way that is out of date.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        network = LPIPS(net="alex", pnet_rand=True, verbose=False)
    weights = load_file(TRUNK)
    trunk = {name: weights[name.replace(name.split(".")[0], "features", 1)] for name in network.net.state_dict()}
    network.net.load_state_dict(trunk)
    return network.eval().requires_grad_(False).to(device)
