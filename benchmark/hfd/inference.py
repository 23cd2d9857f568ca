"""The U-Net as a decoder runs it on the CPU: the same function of the same weights up to float rounding, in less time.

- Time and quality are the same for the whole picture, so the embedding is computed once a step, and FiLM is folded into
  the convolution before it: scale·conv(x; W, b) + shift = conv(x; scale·W, scale·b + shift).
- Channels lie last in memory, as oneDNN's convolutions want them where channels are few.
- A block goes through the picture in strips of rows and writes where it reads. So it takes little memory beside its
  input, and nothing is computed twice: a strip begins with the last two rows of the one above.

`python -m benchmark.hfd.network_speed` measures each of these beside what it replaces. What depends on x̂ alone, its
share of the first convolution, is computed again in each step: with `small` it is 0.34 of 25.4 GMAC at 768×512, and
would take 32 bytes per pixel to keep.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.hfd.unet import RMS_FLOOR, Block, UNet

STRIP_BYTES = 2**22
"""Of one strip of a block's float32 input. Shorter strips cost calls, longer ones memory that is mapped anew each time.
Strips depend on the picture's size alone, never on the machine, so that the floats are those of every other run."""


@dataclass(frozen=True)
class _StepBlock:
    """A block at one step, its convolutions' weights with FiLM in them."""

    gain: Tensor
    weight1: Tensor
    bias1: Tensor
    weight2: Tensor
    bias2: Tensor

    def run(self, x: Tensor) -> Tensor:
        """x (1, C, H, W) float32, channels last: changed in place, and returned."""
        dtype, (_, channels, height, width) = self.weight1.dtype, x.shape
        zeros = x.new_zeros(1, 1, width, channels).permute(0, 3, 1, 2).to(dtype)
        # The rows next to be read of the activations before the first and the second convolution; above the picture 0.
        before1 = before2 = zeros
        known = 0  # rows of x whose activations are computed
        for top, end in _strips(height, width * channels):
            seen = min(height, end + 2)
            below = [zeros] if end == height else []
            before1 = torch.cat([before1, _activate(x[:, :, known:seen], self.gain, dtype), *below], 2)
            between = F.silu(F.conv2d(before1, self.weight1, self.bias1, padding=(0, 1)), inplace=True)
            before2 = torch.cat([before2, between, *below], 2)
            x[:, :, top:end].add_(F.conv2d(before2, self.weight2, self.bias2, padding=(0, 1)))
            before1, before2, known = before1[:, :, -2:], before2[:, :, -2:], seen
        return x


def _strips(height: int, values: int) -> Iterator[tuple[int, int]]:
    """First row and end of each strip, of about `STRIP_BYTES`; `values` in a row. The last one has two rows or more."""
    rows, top = max(1, STRIP_BYTES // (4 * values)), 0
    while top < height:
        end = top + rows if top + rows + 2 <= height else height
        yield top, end
        top = end


def _activate(x: Tensor, gain: Tensor, dtype: torch.dtype) -> Tensor:
    """SiLU(gain·x / RMS(x)) of x (1, C, H, W), channels last, in `dtype`; see `unet.ChannelRmsNorm`."""
    _, channels, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(-1, channels)
    # the mean over channels as a product with a vector is twice as fast as `mean`
    mean_square = pixels.square() @ pixels.new_full((channels, 1), 1 / channels)
    normalised = (pixels * mean_square.add_(RMS_FLOOR).rsqrt_()).mul_(gain)
    return F.silu(normalised, inplace=True).to(dtype).view(1, height, width, channels).permute(0, 3, 1, 2)


class StepNetwork:
    """A U-Net at one time and one quality, for pictures one at a time; on the CPU."""

    def __init__(self, unet: UNet, t: Tensor, quality: Tensor, precision: str = "float32") -> None:
        """t and quality (1,) in [0, 1], as `UNet.forward` has them.

        precision: float32, or bfloat16 for the convolutions of the blocks, nine tenths of all operations. What is
        handed on from block to block, and the layers between resolutions, the first and the last stay in float32.
        """
        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
        embedding = unet.embedding(t, quality)

        def at_step(blocks: nn.Module) -> list[_StepBlock]:
            return [_at_step(block, embedding, dtype) for block in blocks]  # type: ignore[attr-defined]

        self.enter = _channels_last(unet.enter)
        self.down = [at_step(blocks) for blocks in unet.down]
        self.shrink = [_channels_last(layer) for layer in unet.shrink]  # type: ignore[arg-type]
        self.grow = [_grow(layer[0]) for layer in unet.grow]  # type: ignore[index]
        self.up = [at_step(blocks) for blocks in unet.up]
        self.gain = unet.norm.gain.view(-1)
        self.exit = _channels_last(unet.exit)

    def __call__(self, z: Tensor, x_hat: Tensor) -> Tensor:
        """z, x_hat (1, 3, H, W), about unit deviation. Returns (1, 3, H, W); see `UNet.forward`."""
        h = self.enter(_unshuffle(z, x_hat))
        kept = []
        for level, blocks in enumerate(self.down):
            for block in blocks:
                h = block.run(h)
            if level < len(self.shrink):
                kept.append(h)
                h = self.shrink[level](h)
        for grow, blocks in zip(self.grow, self.up, strict=True):
            h = grow(h, kept.pop())
            for block in blocks:
                h = block.run(h)
        return self._leave(h)

    def _leave(self, h: Tensor) -> Tensor:
        """The last convolution and the way back to pixels, in strips."""
        _, channels, height, width = h.shape
        out = h.new_empty(1, 3, 2 * height, 2 * width)
        for top, end in _strips(height, width * channels):
            first, last = max(0, top - 1), min(height, end + 1)
            part = self.exit(_activate(h[:, :, first:last], self.gain, h.dtype))[:, :, top - first :][:, :, : end - top]
            out[:, :, 2 * top : 2 * end] = F.pixel_shuffle(part, 2)
        return out


def _at_step(block: Block, embedding: Tensor, dtype: torch.dtype) -> _StepBlock:
    if not isinstance(block.skip, nn.Identity):
        raise ValueError("a block that changes the number of channels cannot be run in place")
    scale, shift = block.film(embedding)[0].chunk(2)
    conv1, conv2 = block.conv1, block.conv2
    return _StepBlock(
        block.norm.gain.view(-1),
        _weight((1 + scale)[:, None, None, None] * conv1.weight, dtype),
        ((1 + scale) * _bias(conv1) + shift).to(dtype),
        _weight(conv2.weight, dtype),
        _bias(conv2).to(dtype),
    )


def _weight(weight: Tensor, dtype: torch.dtype) -> Tensor:
    return weight.to(dtype).contiguous(memory_format=torch.channels_last)


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


def _channels_last(layer: nn.Conv2d) -> Callable[[Tensor], Tensor]:
    weight = _weight(layer.weight, torch.float32)
    return lambda x: F.conv2d(x, weight, layer.bias, layer.stride, layer.padding)


def _grow(layer: nn.Conv2d) -> Callable[[Tensor, Tensor], Tensor]:
    """The 1×1 convolution and the pixel-shuffle of (1, C, H, W), added in place to (1, C/…, 2H, 2W); channels last."""
    channels = layer.out_channels // 4

    def to_last(values: Tensor) -> Tensor:
        """Of (4·c, …), ordered c, row, column: ordered row, column, c."""
        return values.view(channels, 2, 2, -1).permute(1, 2, 0, 3).reshape(4 * channels, -1)

    weight, bias = to_last(layer.weight).T.contiguous(), to_last(_bias(layer)).flatten()

    def grow(x: Tensor, kept: Tensor) -> Tensor:
        _, width_in, height, width = x.shape
        grown = torch.addmm(bias, x.permute(0, 2, 3, 1).reshape(-1, width_in), weight)
        fine = kept.permute(0, 2, 3, 1).view(height, 2, width, 2 * channels)
        fine.add_(grown.view(height, width, 2, 2 * channels).transpose(1, 2))
        return kept

    return grow


def _unshuffle(z: Tensor, x_hat: Tensor) -> Tensor:
    """`pixel_unshuffle` of both by 2, one after the other: (1, 24, H/2, W/2), channels last."""
    _, _, height, width = z.shape
    cells = z.new_empty(1, height // 2, width // 2, 24)
    for x, place in ((z, cells[..., :12]), (x_hat, cells[..., 12:])):
        parts = x.reshape(3, height // 2, 2, width // 2, 2).permute(1, 3, 0, 2, 4)
        place.unflatten(-1, (3, 2, 2))[0].copy_(parts)
    return cells.permute(0, 3, 1, 2)
