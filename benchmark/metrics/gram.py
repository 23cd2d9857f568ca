"""Correlations between the channels of AlexNet's first layer: what textures a patch has, wherever they lie.

After Gram-MMD (Napolitano and Nguyen 2026, https://arxiv.org/abs/2604.03064): the upper triangle of the Gram matrix of
a layer's activations, and a maximum mean discrepancy between two sets of them. The paper tunes layer and bandwidth on
data; here the layer is the first, after its rectifier (64 channels, so 2,080 features), each patch's features are
brought to length 1, and σ is fixed, so values are comparable with each other and not with the paper's.
"""

from collections.abc import Callable

import torch
from torch import Tensor

CHANNELS = 64


def load_gram(device: str) -> Callable[[Tensor], Tensor]:
    """(N, 3, H, W) uint8 to (N, 2080) float32, not yet of length 1. Over the trunk that comes with LPIPS."""
    from benchmark.metrics.perceptual import load_network

    network = load_network(device, "alex")
    row, column = torch.triu_indices(CHANNELS, CHANNELS, device=device)

    def features(x: Tensor) -> Tensor:
        maps: Tensor = network.net(network.scaling_layer(x.float() / 127.5 - 1))[0]
        flat = maps.flatten(2).double()
        gram = flat @ flat.transpose(1, 2) / flat.shape[2]
        return gram[:, row, column].float()

    return features
