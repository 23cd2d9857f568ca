"""Networks in exact arithmetic: the same result on every machine, with any number of threads.

A learned codec decodes garbage when encoder and decoder disagree by one unit in an entropy parameter, and floating
point sums depend on their order. Here every value is an integer held in a float: products and sums of integers are
exact while they stay within the float's significand, whatever the order of summation (Ballé, Johnston, Minnen,
"Integer Networks for Data Compression with Latent-Variable Models", ICLR 2019). With 6 fractional bits for activations
and 9 for weights no quantisation-aware training is needed: the networks train in float32, and their weights are
rounded once. `python -m benchmark studies exact-cost` measures what that costs.

float32 has 24 bits of significand, so a convolution is cut into groups of input channels, each with a proof from its
weights that no partial sum passes 2**24; the groups are added up in int32. On a machine whose float32 convolutions are
not plain sums of products (bfloat16 inside, Winograd), `exact_dtype` notices and the same integers come from float64.

Each operation comes twice: for training (floats, differentiable) and exact.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATION_BITS = 6
WEIGHT_BITS = 9
ONE = 2**ACTIVATION_BITS
"""The integer that stands for 1 in a network."""
LATENT_BITS = 10
LATENT_ONE = 2**LATENT_BITS
"""The integer that stands for one quantisation step in latents, means and scales."""
ACTIVATION_LIMIT = 2**11
"""Activations are clamped to ± this integer, ± 32 in value."""
EXACT_LIMIT = 2**24
"""Integers up to this are exact in float32."""
EXACT_LIMIT_64 = 2**53
"""The same of float64."""
_BITS_OF_1 = 127 << 23  # 1.0 in float32
_BLOCK = 16
_MOST_GROUPS = 2**31 // EXACT_LIMIT - 1  # of a convolution: their sum stays within int32


def hard_swish(x: Tensor) -> Tensor:
    """x·clamp(x/4 + 1/2, 0, 1): SiLU's shape without an exponential; float."""
    return x * (x / 4 + 0.5).clamp(0, 1)


def exact_hard_swish(x: Tensor) -> Tensor:
    """`hard_swish` of integers within ±ACTIVATION_LIMIT, rounded half up; the products stay below 2**20."""
    return (x + 2 * ONE).clamp_(0, 4 * ONE).mul_(x).add_(2 * ONE).div_(4 * ONE).floor_()


def pseudo_log2(x: Tensor) -> Tensor:
    """sign(x)·L(1 + |x|), where L is log2 at powers of two and linear between them; float, differentiable.

    Without gradients L is read from the bits of a float32, as in `exact_pseudo_log2`: several times as fast.
    """
    m = 1 + x.abs()
    if m.dtype == torch.float32 and not (torch.is_grad_enabled() and x.requires_grad):
        return torch.sign(x) * (m.view(torch.int32) - _BITS_OF_1).to(torch.float32).mul_(2.0**-23)
    exponent = torch.frexp(m.detach()).exponent - 1
    return torch.sign(x) * (exponent + torch.ldexp(m, -exponent) - 1)


def exact_pseudo_log2(x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """`pseudo_log2` of latents, int32 in units of 1/LATENT_ONE: integers in units of 1/ONE, rounded half away from 0.

    |x| counts up to 2**24 − LATENT_ONE, where L is 14. L, linear between powers of two, is what the bits of a float32
    say when they are read as an integer: 8 bits of exponent, then 23 of significand.
    """
    m = x.abs().clamp_(max=EXACT_LIMIT - LATENT_ONE).add_(LATENT_ONE).to(torch.float32)
    drop = 23 - ACTIVATION_BITS
    log2 = m.view(torch.int32).add_(1 << (drop - 1)).bitwise_right_shift_(drop).sub_((127 + LATENT_BITS) * ONE)
    return log2.mul_(torch.sign(x)).to(dtype)


def pseudo_exp2(x: Tensor) -> Tensor:
    """2**floor(x)·(1 + x − floor(x)): exp2 at integers and linear between, the inverse of L; float, differentiable."""
    whole = torch.floor(x.detach())
    return torch.ldexp(1 + x - whole, whole)


def exact_pseudo_exp2(x: Tensor) -> Tensor:
    """`pseudo_exp2` of integers in units of 1/ONE: int32 in units of 1/LATENT_ONE, exact from −4 to 13 in value."""
    x = x.to(torch.int64)
    whole = x >> ACTIVATION_BITS
    return ((x - whole * ONE + ONE) << (whole + LATENT_BITS - ACTIVATION_BITS)).to(torch.int32)


class HardSwish(nn.Module):
    """`hard_swish` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return hard_swish(x)


class ExactConv2d:
    """A convolution whose weights were rounded to integers; stride 1 or 2, zero padding.

    groups: (first, last + 1) input channel of each part that float32 can sum; none if a single channel is too heavy
    for that: such a layer is summed in float64. Raises ValueError if the weights are not finite, or so large that a
    partial sum could leave float64's exact range as well.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        if layer.stride not in ((1, 1), (2, 2)) or layer.groups != 1 or layer.dilation != (1, 1) or layer.bias is None:
            raise ValueError("only plain convolutions of stride 1 or 2 with a bias have an exact form")
        weight = layer.weight.detach().cpu().double()
        bias = layer.bias.detach().cpu().double()
        if not bool(torch.isfinite(weight).all()) or not bool(torch.isfinite(bias).all()):
            raise ValueError("the entropy model has weights that are not finite")
        self.weight = torch.round(weight * 2**WEIGHT_BITS)
        # with the half that rounds sums to the nearest integer
        self.bias = torch.round(bias * 2 ** (WEIGHT_BITS + ACTIVATION_BITS)) + 2 ** (WEIGHT_BITS - 1)
        self.padding, self.stride = layer.padding, layer.stride
        if (largest := self.largest_sum()) >= EXACT_LIMIT_64:
            raise ValueError(f"a sum of this convolution could reach {largest:.3g}, above 2**53")
        self.groups = _cut(self.weight.abs().sum((2, 3)) * ACTIVATION_LIMIT, self.bias.abs())
        self._weight32 = [self.weight[:, first:end].float().contiguous() for first, end in self.groups]
        self._bias32 = self.bias.float()

    def largest_sum(self, first: int = 0, end: int | None = None) -> float:
        """A bound on every partial sum over input channels first … end − 1, in any order of summation.

        For activations within ±ACTIVATION_LIMIT; the bias belongs to the sum with channel 0.
        """
        sums = self.weight[:, first:end].abs().sum((1, 2, 3)) * ACTIVATION_LIMIT
        return float((sums + self.bias.abs() if first == 0 else sums).max())

    def __call__(self, x: Tensor) -> Tensor:
        """Integers (N, C, H, W) within ±ACTIVATION_LIMIT -> integers (N, C', H, W), rounded half up, clamped.

        The same integers in float32 and float64, in the type of x.
        """
        if x.dtype == torch.float64 or not self.groups:
            sums = F.conv2d(x.double(), self.weight, self.bias, self.stride, self.padding)
            return sums.div_(2**WEIGHT_BITS).floor_().clamp_(-ACTIVATION_LIMIT, ACTIVATION_LIMIT).to(x.dtype)
        parts = (
            F.conv2d(x[:, first:end], weight, None if first else self._bias32, self.stride, self.padding)
            for (first, end), weight in zip(self.groups, self._weight32, strict=True)
        )
        if len(self.groups) == 1:
            return next(parts).div_(2**WEIGHT_BITS).floor_().clamp_(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)
        total = next(parts).to(torch.int32)
        for part in parts:
            total += part.to(torch.int32)
        total.bitwise_right_shift_(WEIGHT_BITS)
        return total.clamp_(-ACTIVATION_LIMIT, ACTIVATION_LIMIT).to(torch.float32)


def _cut(sizes: Tensor, bias: Tensor) -> list[tuple[int, int]]:
    """Groups of input channels whose sums stay within EXACT_LIMIT; [] if there are none.

    sizes (out, in): the largest sum over each input channel; bias (out,) counts in the first group. The groups are as
    large as can be, in whole blocks of 16 channels where they reach that far: oneDNN is fastest there.
    """
    groups: list[tuple[int, int]] = []
    first, channels = 0, sizes.shape[1]
    while first < channels:
        sums = sizes[:, first:].cumsum(1) + (0 if groups else bias[:, None])
        fitting = int((sums.amax(0) <= EXACT_LIMIT).sum())
        if not fitting or len(groups) == _MOST_GROUPS:
            return []
        if first + fitting < channels and fitting > _BLOCK:
            fitting -= fitting % _BLOCK
        groups.append((first, first + fitting))
        first += fitting
    return groups


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
        """Integers (N, C, H, W) in float32 or float64 -> integers in the same type."""
        x = x.clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)
        for step in self.steps:
            x = exact_hard_swish(x) if isinstance(step, HardSwish) else step(x)
        return x


def exact_dtype() -> torch.dtype:
    """float32 if this machine's float32 convolutions are exact as torch is set now, else float64.

    A probe: a 3×3 and a 1×1 convolution of integers whose sums fill all 24 bits, against the same in float64. bfloat16
    or TensorFloat-32 inside, or a Winograd kernel, loses some of those bits.
    """
    for size in (1, 3):
        channels = 24
        count = channels * size * size
        x = (torch.arange(channels * 100).mul(2654435761) % (2 * ACTIVATION_LIMIT + 1) - ACTIVATION_LIMIT).double()
        largest = EXACT_LIMIT // (ACTIVATION_LIMIT * count)
        weight = (torch.arange(16 * count).mul(40503) % (2 * largest + 1) - largest).double()
        x, weight = x.view(1, channels, 10, 10), weight.view(16, channels, size, size)
        expected = F.conv2d(x, weight, padding=size // 2)
        if not torch.equal(F.conv2d(x.float(), weight.float(), padding=size // 2).double(), expected):
            return torch.float64
    return torch.float32
