"""Small checkpoints of MS-ILLM in the form of the public ones, their numbers from a rule that any program follows."""

from itertools import pairwise

import torch
from support.hific_checkpoints import values_of
from torch import Tensor

from benchmark.baselines.hific.model import HificConfig
from benchmark.baselines.msillm.network import Msillm

SMALL = HificConfig(widths=(6, 8, 10, 12, 14), latents=10, hyper=16, blocks=9, density=(3, 3, 3, 3), signed_range=False)
"""Everything of the full-size model, at small widths."""


def number(name: str, shape: tuple[int, ...]) -> Tensor:
    """Of a parameter, by its public name."""
    values = values_of(name, shape)
    if name == "hyper_synthesis_scale.4.bias":
        values = values + 2.5
    if name == "decoder.blocks.4.bias":
        values = values + 0.5
    if name.startswith("encoder.blocks.5."):
        values = 2 * values
    if name.startswith("hyper_analysis."):
        values = 0.8 * values
    if name == "decoder.blocks.4.weight":  # few samples beyond black and white
        values = values / 6
    return values


def checkpoint(config: HificConfig = SMALL) -> dict[str, Tensor]:
    """The public state dictionary, as CompressAI 1.2.4 names the density's parameters."""
    found = {
        name: number(name, tuple(tensor.shape))
        for name, tensor in Msillm(config).state_dict().items()
        if not name.startswith(("density.", "medians"))
    }
    sizes = (1, *config.density, 1)
    for k, (inputs, outputs) in enumerate(pairwise(sizes)):
        of_density = {"H_": "_matrix", "b_": "_bias"} | ({"a_": "_factor"} if k < len(config.density) else {})
        for ours, theirs in of_density.items():
            shape = (config.hyper, outputs, inputs if ours == "H_" else 1)
            found[f"hyper_bottleneck.{theirs}{k}"] = values_of(f"density.{ours}{k}", shape)
    quantiles = torch.tensor([-10.0, 0.0, 10.0]).repeat(config.hyper, 1, 1)
    quantiles[:, 0, 1] = 0.3 * values_of("medians", (config.hyper, 1)).flatten()
    found["hyper_bottleneck.quantiles"] = quantiles
    found["hyper_bottleneck.target"] = torch.zeros(3)
    found["latent_bottleneck.scale_table"] = torch.zeros(0)
    return found
