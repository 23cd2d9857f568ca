"""How large `hific-small` is and how much it computes for a pixel, counted as `benchmark.hfd.size` counts."""

from collections.abc import Iterable
from dataclasses import replace

import torch

from benchmark.baselines.hific_small.network import KIND, SMALL, Generator
from benchmark.hfd.size import SIDE, Size
from benchmark.hfd.transforms import STRIDE
from benchmark.macs import count_macs


def generator_size() -> Size:
    """Of the generator, which decodes in one pass; random weights, nothing is read."""
    generator = Generator(SMALL).eval()
    y = torch.zeros(1, SMALL.latents, SIDE // STRIDE, SIDE // STRIDE)
    macs = count_macs(lambda: generator(y, torch.zeros(1, 3, SIDE, SIDE), torch.ones(1)))
    parameters = sum(p.numel() for p in generator.parameters())
    return Size(KIND, "small", "generator, one pass", parameters, macs / SIDE**2 / 1000)


def all_sizes(of_hfd: Iterable[Size]) -> list[Size]:
    """Every part of `hific-small`: the first stage of `mse`, as `of_hfd` has it, and the generator behind it."""
    first_stage = [replace(size, codec=KIND) for size in of_hfd if (size.codec, size.model) == ("mse", "small")]
    return [*first_stage, generator_size()]
