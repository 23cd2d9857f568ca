"""EfficientNet-Lite0 on an x86 processor: the package's convolutions by oneDNN, at a little more than half of the time.

The same function of the same weights up to float rounding (1e-6 of the largest feature). What takes less time:

- PyTorch gives a 1×1 convolution of one image on one thread to its own loops, not to oneDNN, which is faster. Here all
  go to oneDNN, with weights that are brought into its order once, and with clamp and residual in the same call, so that
  no activation is written twice.
- TensorFlow pads more at the right and below than at the left and above, where a layer has a stride; PyTorch's
  convolutions pad alike on both sides, so that the package copies the input into a larger one. Where image and kernels
  are mirrored, the side with more padding comes first, and what is padded too much at the other end is never looked at.

The operators are those that `torch.compile` makes of such layers (`torch.ops.mkldnn`); where PyTorch lacks them, the
package's network runs. `pytest --benchmark-only tests/metrics/test_speed.py` measures both.
"""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_OPERATORS = ("_convolution_pointwise", "_convolution_pointwise_", "_reorder_convolution_weight")
_MOST = 6.0  # of ReLU6


def is_there() -> bool:
    """Whether this processor and this PyTorch have what `mirrored` needs."""
    return (
        platform.machine().lower() in ("x86_64", "amd64")
        and torch.backends.mkldnn.is_available()
        and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS)
    )


def mirrored(network: Any, side: int) -> Callable[[Tensor], Tensor]:
    """`network.extract_features` of mirrored images: (N, 3, side, side) float32 to (N, C, h, w), mirrored too.

    network: the package's, with its batch normalisations folded (`extractors.fold_batch_norms`). Images are mirrored in
    both directions, channels last.
    """
    stem = _layer(network._conv_stem, side, clamped=True)
    size, blocks = stem.size, []
    for block in network._blocks:
        blocks.append(_block(block, size))
        size = blocks[-1].layers[-1].size
    head = _layer(network._conv_head, size, clamped=True)

    def run(x: Tensor) -> Tensor:
        x = stem.run(x)
        for block in blocks:
            x = block.run(x)
        return head.run(x)

    return run


@dataclass(frozen=True)
class _Layer:
    """A convolution with mirrored kernels, and what follows it. size: of a side of its output."""

    weight: Tensor
    bias: Tensor
    padding: int
    stride: int
    groups: int
    clamped: bool
    size: int

    def run(self, x: Tensor) -> Tensor:
        attribute, scalars = ("hardtanh", [0.0, _MOST]) if self.clamped else ("none", [])
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, *self._way(), self.groups, attribute, scalars, ""
        )
        return out

    def add_to(self, kept: Tensor, x: Tensor) -> Tensor:
        """Adds its output to `kept`, in place. Returns `kept`."""
        out: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            kept, x, self.weight, self.bias, *self._way(), self.groups, "add", 1.0, None, [], None
        )
        return out

    def _way(self) -> tuple[list[int], list[int], list[int]]:
        return [self.padding] * 2, [self.stride] * 2, [1, 1]


@dataclass(frozen=True)
class _Block:
    """layers: to the last, which brings the channels together. is_added: to the block's input."""

    layers: tuple[_Layer, ...]
    is_added: bool

    def run(self, x: Tensor) -> Tensor:
        between = x
        for layer in self.layers[:-1]:
            between = layer.run(between)
        last = self.layers[-1]
        return last.add_to(x, between) if self.is_added else last.run(between)


def _block(block: Any, size: int) -> _Block:
    expand = [_layer(block._expand_conv, size, clamped=True)] if hasattr(block, "_expand_conv") else []
    depthwise = _layer(block._depthwise_conv, size, clamped=True)
    project = _layer(block._project_conv, depthwise.size, clamped=False)
    facts = block._block_args
    is_added = block.id_skip and facts.stride == 1 and facts.input_filters == facts.output_filters
    return _Block((*expand, depthwise, project), is_added)


def _layer(convolution: Any, size: int, *, clamped: bool) -> _Layer:
    """size: of a side of its input."""
    left, right, *_ = getattr(convolution.static_padding, "padding", (0, 0))
    stride, kernel = convolution.stride[0], convolution.kernel_size[0]
    after = (size + left + right - kernel) // stride + 1
    if (size + 2 * right - kernel) // stride + 1 != after or right < left:
        raise ValueError(f"a layer that pads {left} and {right} at {size} has no mirrored twin")
    weight = torch.ops.mkldnn._reorder_convolution_weight(
        convolution.weight.detach().flip(2, 3).contiguous(),
        [right] * 2, [stride] * 2, [1, 1], convolution.groups, [1, convolution.in_channels, size, size],
    )  # fmt: skip
    return _Layer(weight, convolution.bias.detach(), right, stride, convolution.groups, clamped, after)
