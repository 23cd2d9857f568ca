"""FID's Inception behind the ways in which packages bring a patch to its 299 × 299 pixels.

"tf1-bilinear": as TensorFlow 1 resized (torch-fidelity, torchmetrics, the original code). "pil-bicubic": each channel
with Pillow's antialiased bicubic filter, in floats (clean-fid, https://arxiv.org/abs/2104.11222). "torch-bilinear":
PyTorch's without antialiasing, pixels scaled to [−1, 1] by 255 rather than by 128 (pytorch-fid). "unresized": as it is.
The network and its weights are one, torch-fidelity's `inception-v3-compat`.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.errors import BenchmarkError

SIDE = 299


def load_inception(device: str, resizing: str) -> Callable[[Tensor], Tensor]:
    """(N, 3, H, W) uint8 to (N, 2048) float32. Raises BenchmarkError, with the command, if the weights are not here."""
    network = _network(device)
    resize = {"pil-bicubic": _pil_bicubic, "torch-bilinear": _torch_bilinear, "unresized": _unresized}.get(resizing)

    def features(x: Tensor) -> Tensor:
        result: Tensor = network(x)[0] if resize is None else _pooled(network, resize(x))
        return result

    return features


@cache
def _network(device: str) -> Any:
    from benchmark.fetching import cache_folder, inception_weights

    weights = inception_weights()
    if weights is None:
        raise BenchmarkError(
            f"fid and kid need the Inception weights, which are not in {cache_folder()}: "
            "`python -m benchmark fetch inception` downloads them, `--from FILE` takes a file that you have"
        )
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with torch.random.fork_rng(devices=[]):
        network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
        )
    return network.eval().to(device)


def _pooled(network: Any, x: Tensor) -> Tensor:
    """What torch-fidelity's own forward does after its resize; its layers are registered in their order."""
    for name, layer in network.named_children():
        if name == "fc":
            break
        x = layer(x)
    return x.flatten(1)


def _pil_bicubic(x: Tensor) -> Tensor:
    import PIL.Image

    def channel(plane: Any) -> Any:
        resized = PIL.Image.fromarray(plane.astype(np.float32)).resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC)
        return np.asarray(resized).clip(0, 255)

    planes = np.stack([np.stack([channel(plane) for plane in patch]) for patch in x.cpu().numpy()])
    return (torch.from_numpy(planes).to(x.device) - 128) / 128


def _torch_bilinear(x: Tensor) -> Tensor:
    resized = torch.nn.functional.interpolate(x.float() / 255, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return 2 * resized - 1


def _unresized(x: Tensor) -> Tensor:
    return (x.float() - 128) / 128
