"""Networks in exact arithmetic: the same result on every machine, with any number of threads.

A learned codec decodes garbage when encoder and decoder disagree by one unit in an entropy parameter, and floating
point sums depend on their order. Here every value is an integer held in float64: products and sums of integers are
exact while they stay below 2**53, whatever the order of summation (Ballé, Johnston, Minnen, "Integer Networks for Data
Compression with Latent-Variable Models", ICLR 2019). With 10 fractional bits for activations and 14 for weights no
quantisation-aware training is needed: the networks train in float32, and their weights are rounded once.

Each operation comes twice: for training (floats, differentiable) and exact (integers in float64).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATION_BITS = 10
WEIGHT_BITS = 14
ONE = 2**ACTIVATION_BITS
"""The integer that stands for 1."""
ACTIVATION_LIMIT = 2**18
"""Activations are clamped to ± this integer, ± 256 in value."""
EXACT_LIMIT = 2**53
"""Sums of integers below this are exact in float64."""


def hard_swish(x: Tensor) -> Tensor:
    """x·clamp(x/4 + 1/2, 0, 1): SiLU's shape without an exponential; float."""
    return x * (x / 4 + 0.5).clamp(0, 1)


def exact_hard_swish(x: Tensor) -> Tensor:
    """`hard_swish` of integers, rounded down."""
    return torch.floor(x * (x + 2 * ONE).clamp(0, 4 * ONE) / (4 * ONE))


def pseudo_log2(x: Tensor) -> Tensor:
    """sign(x)·L(1 + |x|), where L is log2 at powers of two and linear between them; float, differentiable."""
    m = 1 + x.abs()
    exponent = torch.frexp(m.detach()).exponent - 1
    return torch.sign(x) * (exponent + torch.ldexp(m, -exponent) - 1)


def exact_pseudo_log2(x: Tensor) -> Tensor:
    """`pseudo_log2` of integers, rounded towards zero."""
    m = ONE + x.abs()
    exponent = torch.frexp(m).exponent - 1
    return torch.sign(x) * ((exponent - ACTIVATION_BITS) * ONE + torch.floor(_scale_by_power(m * ONE, -exponent)) - ONE)


def pseudo_exp2(x: Tensor) -> Tensor:
    """2**floor(x)·(1 + x − floor(x)): exp2 at integers and linear between, the inverse of L; float, differentiable."""
    whole = torch.floor(x.detach())
    return torch.ldexp(1 + x - whole, whole)


def exact_pseudo_exp2(x: Tensor) -> Tensor:
    """`pseudo_exp2` of integers, rounded down."""
    whole = torch.floor(x / ONE)
    return torch.floor(_scale_by_power(ONE + x - whole * ONE, whole))


_POWERS_OF_TWO = torch.tensor([2.0**k for k in range(-64, 65)], dtype=torch.float64)


def _scale_by_power(x: Tensor, exponent: Tensor) -> Tensor:
    """x·2**exponent from a table: `torch.ldexp` goes through `pow`, which need not be exact."""
    return x * _POWERS_OF_TWO[(exponent + 64).long()]


class HardSwish(nn.Module):
    """`hard_swish` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return hard_swish(x)


class ExactConv2d:
    """A convolution whose weights were rounded to integers; stride 1, zero padding.

    Raises ValueError if the weights are not finite or if a partial sum could leave the exact range.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        if layer.stride != (1, 1) or layer.groups != 1 or layer.dilation != (1, 1) or layer.bias is None:
            raise ValueError("only plain convolutions of stride 1 with a bias have an exact form")
        weight = layer.weight.detach().cpu().double()
        bias = layer.bias.detach().cpu().double()
        if not bool(torch.isfinite(weight).all()) or not bool(torch.isfinite(bias).all()):
            raise ValueError("the entropy model has weights that are not finite")
        self.weight = torch.round(weight * 2**WEIGHT_BITS)
        self.bias = torch.round(bias * 2 ** (WEIGHT_BITS + ACTIVATION_BITS))
        self.padding = layer.padding
        if self.largest_sum() >= EXACT_LIMIT:
            raise ValueError(f"a sum of this convolution could reach {self.largest_sum():.3g}, above 2**53")

    def largest_sum(self) -> float:
        """A bound on every partial sum for activations within ±ACTIVATION_LIMIT, in any order of summation."""
        sums = self.weight.abs().sum((1, 2, 3)) * ACTIVATION_LIMIT + self.bias.abs() + 2 ** (WEIGHT_BITS - 1)
        return float(sums.max())

    def __call__(self, x: Tensor) -> Tensor:
        """Integers (N, C, H, W) within ±ACTIVATION_LIMIT -> integers (N, C', H, W), rounded half up, clamped."""
        sums = F.conv2d(x, self.weight, self.bias, padding=self.padding)
        return torch.floor((sums + 2 ** (WEIGHT_BITS - 1)) / 2**WEIGHT_BITS).clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)


class ExactSequential:
    """The exact form of an `nn.Sequential` of Conv2d, HardSwish and PixelShuffle. Runs on the CPU."""

    def __init__(self, network: nn.Sequential) -> None:
        self.steps = [self._exact(layer) for layer in network]

    @staticmethod
    def _exact(layer: nn.Module) -> "ExactConv2d | nn.PixelShuffle | HardSwish":
        if isinstance(layer, nn.Conv2d):
            return ExactConv2d(layer)
        if isinstance(layer, (nn.PixelShuffle, HardSwish)):
            return layer
        raise ValueError(f"{type(layer).__name__} has no exact form")

    def __call__(self, x: Tensor) -> Tensor:
        """Integers in float64 (N, C, H, W) -> integers in float64."""
        x = x.clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)
        for step in self.steps:
            x = exact_hard_swish(x) if isinstance(step, HardSwish) else step(x)
        return x
