"""DISTS (Ding et al. 2020, https://arxiv.org/abs/2004.07728), per image: structure and texture of VGG16's features.

The package dists-pytorch cannot be used as it is: its constructor downloads VGG16 and reads its weights from the
folder of the Python installation. Its alpha and beta lie beside this module, and the forward is written anew. VGG16's
trunk is that of lpips-vgg, `python -m benchmark fetch vgg16`; nothing else is shared with it, since DISTS pools in
another way from the first stage on. The features of an original are computed once for all its reconstructions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.metrics.info import MetricInfo
from benchmark.metrics.packages import check_side
from benchmark.metrics.pairs import check_pair
from benchmark.metrics.perceptual import vgg16
from benchmark.metrics.tensors import unit_tensor
from benchmark.pixels import Image

if TYPE_CHECKING:  # torch takes seconds to import, and these facts are read without measuring
    from torch import Tensor

WEIGHTS = Path(__file__).parent / "weights" / "dists-alpha-beta.safetensors"
STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
"""Places of the convolutions in torchvision's `features`, by stage; a ReLU follows each, a pooling each stage."""
CHANNELS = (3, 64, 128, 256, 512, 512)
"""Of the image and of each stage's features."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
C1 = C2 = 1e-6

DISTS = MetricInfo(
    "dists",
    "DISTS",
    "image",
    "",
    False,
    0.0,
    1.0,
    margin="2 %",
    words="structure and texture of a network's features, for each image, then the mean",
    parts={
        "dists-pytorch": "with the weights of the package dists-pytorch",
        "vgg16": "over VGG16's features",
        "full-size": "of images as they are, not shrunk to 256 pixels",
    },
    aspect="perception",
    smallest_side=16,
    packages=("torch", "benchmark.metrics.inference"),
    make="benchmark.metrics.dists:make_dists",
    summary="DISTS, VGG16, per image; both sides at least 16; needs `python -m benchmark fetch vgg16`",
    identical="0",
    device="any",
    source="Ding et al. 2020, arXiv:2004.07728; weights of dists-pytorch (MIT)",
)
METRICS = (DISTS,)


@dataclass(frozen=True)
class Network:
    """What DISTS computes with. convolutions: of each stage, (weight, bias). alpha, beta: by stage, (channels,)."""

    convolutions: tuple[tuple[tuple[Tensor, Tensor], ...], ...]
    alpha: tuple[Tensor, ...]
    beta: tuple[Tensor, ...]


@dataclass(frozen=True)
class Dists:
    """Distance between 0 and 1 of images as they are; 0 for identical ones."""

    info: MetricInfo
    device: str
    protocol: str = "dists/dists-pytorch/vgg16/full-size"

    @cached_property
    def network(self) -> Network:
        """The weights, when they are first needed. Raises BenchmarkError if VGG16's are not here."""
        return load_network(self.device)

    def load(self) -> None:
        """Loads the weights, before any image is at hand. Raises BenchmarkError if VGG16's are not here."""
        _ = self.network

    def prepare(self, original: Image) -> tuple[Tensor, ...]:
        """The original and its features after each stage. Raises Undefined if a side is below 16."""
        check_side(self.info, original)
        return self._features(original)

    def compare(self, prepared: tuple[Tensor, ...], reconstruction: Image) -> float:
        """One, less the weighted similarities of the features' means and of their variances and covariance."""
        from benchmark.metrics.inference import exact_inference

        height, width = prepared[0].shape[2:]
        check_pair((height, width), reconstruction)
        network = self.network
        total = 0.0
        with exact_inference():
            stages = zip(prepared, self._features(reconstruction), network.alpha, network.beta, strict=True)
            for x, y, alpha, beta in stages:
                mean_x, mean_y = x.mean((2, 3), keepdim=True), y.mean((2, 3), keepdim=True)
                texture = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
                variance_x = ((x - mean_x) ** 2).mean((2, 3), keepdim=True)
                variance_y = ((y - mean_y) ** 2).mean((2, 3), keepdim=True)
                covariance = (x * y).mean((2, 3), keepdim=True) - mean_x * mean_y
                structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
                total += float((alpha * texture.flatten()).sum() + (beta * structure.flatten()).sum())
        return max(0.0, 1 - total)  # the sum of identical images differs from 1 by rounding

    def _features(self, image: Image) -> tuple[Tensor, ...]:
        """The image in [0, 1], and what comes out of each stage: (1, channels, h, w)."""
        import torch
        from torch.nn.functional import conv2d, relu

        from benchmark.metrics.inference import exact_inference

        with exact_inference():
            image_tensor = unit_tensor(image, self.device)
            mean = torch.tensor(MEAN, device=self.device).view(1, 3, 1, 1)
            h = (image_tensor - mean) / torch.tensor(DEVIATION, device=self.device).view(1, 3, 1, 1)
            found = [image_tensor]
            for stage, convolutions in enumerate(self.network.convolutions):
                if stage:
                    h = halve(h)
                for weight, bias in convolutions:
                    h = relu(conv2d(h, weight, bias, padding=1))
                found.append(h)
        return tuple(found)


def make_dists(device: str = "cpu") -> Dists:
    """Opens DISTS."""
    return Dists(DISTS, device)


def halve(x: Tensor) -> Tensor:
    """The root of the mean square under a Hann window of three, every other place: what DISTS has for max pooling."""
    import torch
    from torch.nn.functional import conv2d

    window = torch.tensor([0.5, 1.0, 0.5], device=x.device)
    kernel = torch.outer(window, window)
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 3, 3)
    return (conv2d(x**2, kernel, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


def load_network(device: str) -> Network:
    """Raises BenchmarkError if VGG16's weights are not here."""
    from safetensors.torch import load_file

    trunk, own = vgg16(DISTS.name), load_file(WEIGHTS)
    total = own["alpha"].sum() + own["beta"].sum()
    alpha, beta = ((own[name] / total).flatten().to(device).split(CHANNELS) for name in ("alpha", "beta"))
    convolutions = tuple(
        tuple(
            (trunk[f"features.{place}.weight"].to(device), trunk[f"features.{place}.bias"].to(device))
            for place in stage
        )
        for stage in STAGES
    )
    return Network(convolutions, tuple(alpha), tuple(beta))
