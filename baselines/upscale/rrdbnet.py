"""RRDBNet, the generator of ESRGAN (Wang et al. 2018, arXiv:1809.00219) and Real-ESRGAN (Wang et al. 2021,
arXiv:2107.10833): four times as many pixels in each direction.

A convolution, residual in residual dense blocks, a convolution whose result is added to the first's, then twice nearest
neighbours and a convolution, and two more convolutions. No normalisation anywhere.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.baselines.upscale.ncnn import Convolution
from benchmark.errors import BenchmarkError
from benchmark.hfd.transforms import in_tiles

FACTOR = 4
RESIDUAL_SCALE = 0.2
"""β of the paper: of what a block adds to its input."""
SLOPE = 0.2
"""Of the activations below zero."""
DENSE = 5
"""Convolutions of a dense block."""
BLOCKS = 3
"""Dense blocks of a residual in residual one."""
OVERLAP = 2
"""Pixels of the copy around a tile that the part at larger resolutions sees: three convolutions of one pixel at the
full resolution and one at half of it."""
TILE = 128
"""Pixels of the copy, in each direction, that this part takes at a time."""


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    """3×3, the size is kept; zeros outside."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees the input and the results of those before; the last one's is added."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.width, self.growth = width, growth
        self.convs = nn.ModuleList(conv(width + k * growth, growth if k < DENSE - 1 else width) for k in range(DENSE))

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, h, w) -> the same shape."""
        seen = x.new_empty(x.shape[0], self.width + (DENSE - 1) * self.growth, *x.shape[2:])
        seen[:, : self.width] = x
        for k, layer in enumerate(self.convs[:-1]):
            low = self.width + k * self.growth
            seen[:, low : low + self.growth] = F.leaky_relu(layer(seen[:, :low]), SLOPE)
        out: Tensor = self.convs[-1](seen).mul_(RESIDUAL_SCALE).add_(x)
        return out


class RRDBNet(nn.Module):
    """For inference: dense blocks write into one tensor."""

    def __init__(self, width: int = 64, growth: int = 32, blocks: int = 23) -> None:
        super().__init__()
        self.width, self.growth, self.blocks = width, growth, blocks
        self.first = conv(3, width)
        self.body = nn.ModuleList(
            nn.Sequential(*(DenseBlock(width, growth) for _ in range(BLOCKS))) for _ in range(blocks)
        )
        self.body_end = conv(width, width)
        self.ups = nn.ModuleList(conv(width, width) for _ in range(2))
        self.last = nn.ModuleList([conv(width, width), conv(width, 3)])

    def convolutions(self) -> list[nn.Conv2d]:
        """All, in the order in which they work."""
        return [module for module in self.modules() if isinstance(module, nn.Conv2d)]

    def forward(self, x: Tensor, tile: int = TILE) -> Tensor:
        """x (1, 3, h, w) in [0, 1] -> (1, 3, 4·h, 4·w), about [0, 1], not clamped.

        The blocks see all of the copy, for they look hundreds of pixels far; what comes after them takes most of the
        memory, sees two pixels far, and works in tiles, so that no seam can be.
        """
        start = self.first(x)
        features = start
        for block in self.body:
            features = block(features).mul_(RESIDUAL_SCALE).add_(features)
        features = self.body_end(features).add_(start)
        return in_tiles(self._enlarge, features, 1, FACTOR, 3, tile, OVERLAP)

    def _enlarge(self, features: Tensor) -> Tensor:
        for layer in self.ups:
            features = F.leaky_relu_(layer(F.interpolate(features, scale_factor=2, mode="nearest")), SLOPE)
        out: Tensor = self.last[1](F.leaky_relu_(self.last[0](features), SLOPE))
        return out


def from_convolutions(found: Sequence[Convolution], place: object) -> RRDBNet:
    """The network whose convolutions these are, in evaluation mode. place: where they come from, for messages.

    Raises BenchmarkError if they are not those of an RRDBNet.
    """
    blocks, rest = divmod(len(found) - 6, DENSE * BLOCKS)
    if rest or blocks < 1 or found[0].weight.shape[1] != 3:
        raise BenchmarkError(f"{place} is of another architecture: {len(found)} convolutions make no RRDBNet")
    width, growth = found[0].weight.shape[0], found[1].weight.shape[0]
    with torch.device("meta"):  # its random start would take longer than reading the weights
        network = RRDBNet(width, growth, blocks)
    own = network.convolutions()
    for number, (layer, there) in enumerate(zip(own, found, strict=True)):
        if layer.weight.shape != there.weight.shape:
            raise BenchmarkError(
                f"{place} is of another architecture: convolution {number} is {tuple(there.weight.shape)}, "
                f"not {tuple(layer.weight.shape)}"
            )
        layer.weight, layer.bias = nn.Parameter(there.weight), nn.Parameter(there.bias)
    return network.eval().requires_grad_(False)
