"""How large the networks of `mse` and `hfd` are, and how much they compute for a pixel: counted, not estimated.

The networks run once on a small image while `benchmark.macs` counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from benchmark.hfd.autoencoder import SMALL, Autoencoder
from benchmark.hfd.elic import PAPER, Elic, ElicConfig
from benchmark.hfd.score import ScoreNetwork
from benchmark.hfd.unet import LARGE, UNetConfig
from benchmark.hfd.unet import PAPER as PAPER_UNET
from benchmark.hfd.unet import SMALL as SMALL_UNET
from benchmark.macs import count_macs

SIDE = 64
"""Of the small image; a multiple of every network's stride, so that nothing is padded."""


@dataclass(frozen=True)
class Size:
    """A part of a codec: its parameters, and thousands of multiply-accumulates per pixel of the image."""

    codec: str
    model: str
    part: str
    parameters: int
    kmac: float


def first_stage_sizes(model: Autoencoder | Elic) -> list[tuple[str, int, float]]:
    """Part, parameters and kMAC per pixel of analysis, synthesis and entropy model."""
    model.eval()
    x, quality = torch.zeros(1, 3, SIDE, SIDE), torch.ones(1)
    parts: dict[str, list[nn.Module]]
    if isinstance(model, Elic):
        network = model.network
        parts = {"analysis": [network.g_a], "synthesis": [network.g_s], "entropy model": [network.latent_codec]}
    else:
        parts = {"analysis": [model.analysis], "synthesis": [model.synthesis], "entropy model": [model.entropy]}
    return [
        (name, _parameters(modules), count_macs(lambda: model(x, quality), modules) / SIDE**2 / 1000)
        for name, modules in parts.items()
    ]


def all_sizes() -> list[Size]:
    """Every part of `mse` and `hfd`, small and paper; random weights, nothing is read."""
    sizes = []
    for name, config, unet in (("small", SMALL, SMALL_UNET), ("paper", PAPER, PAPER_UNET)):
        model = Elic(config) if isinstance(config, ElicConfig) else Autoencoder(config)
        parts = first_stage_sizes(model)
        parts.append(("in all", _parameters([model]), sum(kmac for _, _, kmac in parts)))
        sizes += [Size(codec, name, *part) for codec in ("mse", "hfd") for part in parts]
        sizes.append(Size("hfd", name, "score U-Net, a step", *_unet_size(unet)))
        if unet is SMALL_UNET:
            sizes.append(Size("hfd", name, "one-step U-Net", *_unet_size(LARGE)))
    return sorted(sizes, key=lambda size: size.codec != "mse")


def _unet_size(config: UNetConfig) -> tuple[int, float]:
    network = ScoreNetwork(config, SMALL.levels).eval()
    x, one = torch.zeros(1, 3, SIDE, SIDE), torch.ones(1)
    macs = count_macs(lambda: network(x, x, one, one), [network.unet])
    return _parameters([network.unet]), macs / SIDE**2 / 1000


def _parameters(modules: Iterable[nn.Module]) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())
