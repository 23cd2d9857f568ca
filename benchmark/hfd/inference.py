"""The U-Net as a decoder runs it on the CPU: the same function of the same weights up to float rounding, in less time.

- Time and quality are the same for the whole image, so the embedding is computed once a step, and FiLM is folded into
  the convolution before it: scale·conv(x; W, b) + shift = conv(x; scale·W, scale·b + shift).
- Channels lie last in memory, as oneDNN's convolutions want them where channels are few.
- A block goes through the image in strips of rows and writes where it reads. So it takes little memory beside its
  input, and nothing is computed twice: a strip begins with the last two rows of the one above. Activations are written
  to where the next convolution reads them.
- In bfloat16, all that is handed on is bfloat16 too, from the first layer to the last: half of the memory to go
  through. Norms and the activations after them are computed in float32.
- The 2×2 pixels that become channels, and back, are moved two at a time.

`python -m benchmark studies network-speed` measures each of these beside what it replaces. What depends on x̂ alone, its
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
"""Of one strip of a block's input. Shorter strips cost calls, longer ones memory that is mapped anew each time.
Strips depend on the image's size alone, never on the machine, so that the floats are those of every other run."""


@dataclass(frozen=True)
class _StepBlock:
    """A block at one step, its convolutions' weights with FiLM in them."""

    gain: Tensor
    weight1: Tensor
    bias1: Tensor
    weight2: Tensor
    bias2: Tensor

    def run(self, x: Tensor) -> Tensor:
        """x (1, C, H, W), channels last: changed in place, and returned."""
        height = x.shape[2]
        strips = list(_strips(x))
        longest = max(end - top for top, end in strips) + 3
        before1, before2 = _Rows(x, longest), _Rows(x, longest)
        known = 0  # rows of x whose activations are computed
        for top, end in strips:
            seen = min(height, end + 2)
            _activate(x[:, :, known:seen], self.gain, before1.more(seen - known))
            between = before1.convolved(self.weight1, self.bias1, is_last=end == height)
            before2.more(between.shape[2]).copy_(F.silu(between, inplace=True))
            x[:, :, top:end].add_(before2.convolved(self.weight2, self.bias2, is_last=end == height))
            known = seen
        return x


class _Rows:
    """The input of a block's convolution in one strip, kept for the next one: above and below the image are zeros."""

    def __init__(self, x: Tensor, rows: int) -> None:
        """For strips of x (1, C, H, W), channels last; rows: the most that a strip needs."""
        _, channels, _, width = x.shape
        self.values = x.new_empty(1, rows, width, channels).permute(0, 3, 1, 2)
        self.count = 0
        self.more(1).zero_()

    def more(self, rows: int) -> Tensor:
        """The place for the next rows, (1, C, rows, W)."""
        self.count += rows
        return self.values[:, :, self.count - rows : self.count]

    def convolved(self, weight: Tensor, bias: Tensor, is_last: bool) -> Tensor:
        """The 3×3 convolution at all rows that have one above and one below. The last two stay, for the next strip."""
        if is_last:
            self.more(1).zero_()
        out = F.conv2d(self.values[:, :, : self.count], weight, bias, padding=(0, 1))
        self.values[:, :, :2] = self.values[:, :, self.count - 2 : self.count].clone()
        self.count = 2
        return out


def _strips(x: Tensor) -> Iterator[tuple[int, int]]:
    """First row and end of each strip of (1, C, H, W), of about `STRIP_BYTES`. The last one has two rows or more."""
    _, channels, height, width = x.shape
    rows, top = max(1, STRIP_BYTES // (x.element_size() * width * channels)), 0
    while top < height:
        end = top + rows if top + rows + 2 <= height else height
        yield top, end
        top = end


def _activate(x: Tensor, gain: Tensor, out: Tensor) -> Tensor:
    """SiLU(gain·x / RMS(x)) of x (1, C, H, W), into `out`, computed in float32; see `unet.ChannelRmsNorm`.

    Both channels last and of one dtype. Returns `out`.
    """
    channels = x.shape[1]
    pixels, activated = (values.permute(0, 2, 3, 1).view(-1, channels) for values in (x, out))
    if x.dtype == torch.float32:
        # the mean over channels as a product with a vector is twice as fast as `mean`
        mean_square = pixels.square() @ pixels.new_full((channels, 1), 1 / channels)
        torch.mul(pixels, mean_square.add_(RMS_FLOOR).rsqrt_(), out=activated)
        F.silu(activated.mul_(gain), inplace=True)
    else:
        values = pixels.float()
        norm = torch.linalg.vector_norm(values, dim=1, keepdim=True)
        values.mul_(torch.addcmul(norm.new_tensor(RMS_FLOOR), norm, norm, value=1 / channels).rsqrt_()).mul_(gain)
        activated.copy_(F.silu(values, inplace=True))
    return out


class StepNetwork:
    """A U-Net at one time and one quality, for images one at a time; on the CPU."""

    def __init__(self, unet: UNet, t: Tensor, quality: Tensor, precision: str = "float32") -> None:
        """t (1,), or (1, times), and quality (1,) in [0, 1], as `UNet.forward` has them.

        precision: float32, or bfloat16 for all convolutions and what is handed on between them. The values returned
        are float32 in either case.
        """
        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
        embedding = unet.embedding(t, quality)

        def at_step(blocks: nn.Module) -> list[_StepBlock]:
            return [_at_step(block, embedding, dtype) for block in blocks]  # type: ignore[attr-defined]

        self.dtype = dtype
        self.enter = _channels_last(unet.enter, dtype)
        self.down = [at_step(blocks) for blocks in unet.down]
        self.shrink = [_channels_last(layer, dtype) for layer in unet.shrink]  # type: ignore[arg-type]
        self.grow = [_grow(layer[0], dtype) for layer in unet.grow]  # type: ignore[index]
        self.up = [at_step(blocks) for blocks in unet.up]
        self.gain = unet.norm.gain.view(-1)
        self.exit = _channels_last(unet.exit, dtype)

    def __call__(self, z: Tensor, x_hat: Tensor) -> Tensor:
        """z (1, 3·images, H, W), x_hat (1, 3, H, W), about unit deviation. Returns (1, 3, H, W); see `UNet.forward`."""
        h = self.enter(_unshuffle(z, x_hat, self.dtype))
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
        _, _, height, width = h.shape
        out = h.new_empty(1, 3, 2 * height, 2 * width, dtype=torch.float32)
        for top, end in _strips(h):
            first, last = max(0, top - 1), min(height, end + 1)
            before = torch.empty_like(h[:, :, first:last])
            part = self.exit(_activate(h[:, :, first:last], self.gain, before))[:, :, top - first :][:, :, : end - top]
            _shuffle(part.float(), out[:, :, 2 * top : 2 * end])
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


def _channels_last(layer: nn.Conv2d, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The layer, for (1, C, H, W) in `dtype`, channels last."""
    weight, bias = _weight(layer.weight, dtype), _bias(layer).to(dtype)
    return lambda x: F.conv2d(x, weight, bias, layer.stride, layer.padding)


def _grow(layer: nn.Conv2d, dtype: torch.dtype) -> Callable[[Tensor, Tensor], Tensor]:
    """The 1×1 convolution and the pixel-shuffle of (1, C, H, W), added in place to (1, C/…, 2H, 2W); channels last."""
    channels = layer.out_channels // 4

    def to_last(values: Tensor) -> Tensor:
        """Of (4·c, …), ordered c, row, column: ordered row, column, c."""
        return values.view(channels, 2, 2, -1).permute(1, 2, 0, 3).reshape(4 * channels, -1)

    weight, bias = to_last(layer.weight).T.contiguous().to(dtype), to_last(_bias(layer)).flatten().to(dtype)

    def grow(x: Tensor, kept: Tensor) -> Tensor:
        _, width_in, height, width = x.shape
        grown = torch.addmm(bias, x.permute(0, 2, 3, 1).reshape(-1, width_in), weight)
        fine = kept.permute(0, 2, 3, 1).view(height, 2, width, 2 * channels)
        fine.add_(grown.view(height, width, 2, 2 * channels).transpose(1, 2))
        return kept

    return grow


def _unshuffle(z: Tensor, x_hat: Tensor, dtype: torch.dtype) -> Tensor:
    """`pixel_unshuffle` of both by 2, one after the other: (1, 12·(images + 1), H/2, W/2) in `dtype`, channels last."""
    _, channels, height, width = z.shape
    images = [*z.split(3, 1), x_hat]
    cells = z.new_empty(1, height // 2, width // 2, 4 * (channels + 3), dtype=dtype)
    pairs = _pairs(cells)[0].unflatten(-1, (len(images), 3, 2))
    for number, x in enumerate(images):
        rows = _pairs(x.to(dtype, memory_format=torch.contiguous_format, copy=True))[0]
        for channel in range(3):
            for row in range(2):
                pairs[:, :, number, channel, row] = rows[channel, row::2]
    return cells.permute(0, 3, 1, 2)


def _shuffle(x: Tensor, out: Tensor) -> None:
    """`pixel_shuffle` by 2 of x (1, 12, H, W), channels last, into `out` (1, 3, 2·H, 2·W), both float32."""
    pairs, rows = _pairs(x.permute(0, 2, 3, 1))[0].unflatten(-1, (3, 2)), _pairs(out)[0]
    for channel in range(3):
        for row in range(2):
            rows[channel, row::2] = pairs[:, :, channel, row]


def _pairs(x: Tensor) -> Tensor:
    """x (…, 2·n) as (…, n) integers of twice its size, in the same memory.

    Two neighbours in a row are neighbours as channels too, so that both are moved at once.
    """
    return x.view({torch.float32: torch.int64, torch.bfloat16: torch.int32}[x.dtype])
