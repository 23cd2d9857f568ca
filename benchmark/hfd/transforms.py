"""Analysis and synthesis transforms of the first stage.

Both start as a 16×16 DCT in YCbCr, with learned residuals that start at zero: a network that begins at JPEG's level
learns in minutes what one from random weights needs hours for.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.shortage import attempted, tell

STRIDE = 16
"""Pixels of an image per latent, in each direction."""

TILE = 128
"""Latents in each direction that a transform takes in one go; an image of up to TILE² latents (4 megapixels) is one
tile whatever its shape."""

OVERLAP = 8
"""Latents around a tile that its result depends on: the analysis reaches 116 pixels far, the synthesis 8 latents."""

_RGB_TO_YCC = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=torch.float64
)


def dct_kernels(luma: int, chroma: int, size: int = STRIDE) -> tuple[Tensor, Tensor, Tensor]:
    """Kernels of a size×size DCT in YCbCr (ITU-T T.871), sorted from low to high frequency.

    luma, chroma: how many coefficients of each plane are kept, lowest first. Returns analysis and synthesis kernels,
    float32 (luma + 2·chroma, 3, size, size), scaled so that a unit step of a coefficient is a unit step (Euclidean
    norm) in RGB, and the radial frequency of each coefficient in [0, 1].
    """
    k = torch.arange(size, dtype=torch.float64)[:, None]
    i = torch.arange(size, dtype=torch.float64)[None]
    dct = torch.cos(math.pi * (2 * i + 1) * k / (2 * size)) * math.sqrt(2 / size)
    dct[0] /= math.sqrt(2)
    basis = torch.einsum("ai,bj->abij", dct, dct)
    inverse = torch.linalg.inv(_RGB_TO_YCC)
    norm = inverse.norm(dim=0)
    order = sorted(((a, b) for a in range(size) for b in range(size)), key=lambda ab: (ab[0] ** 2 + ab[1] ** 2, ab))
    rows = [
        (math.hypot(a, b) / (size * math.sqrt(2)), plane, a, b)
        for plane, count in enumerate((luma, chroma, chroma))
        for a, b in order[:count]
    ]
    rows.sort(key=lambda row: row[0])
    analysis = torch.stack([(_RGB_TO_YCC[p] * norm[p])[:, None, None] * basis[a, b] for _, p, a, b in rows])
    synthesis = torch.stack([(inverse[:, p] / norm[p])[:, None, None] * basis[a, b] for _, p, a, b in rows])
    return analysis.float(), synthesis.float(), torch.tensor([row[0] for row in rows])


RMS_FLOOR = 1e-3
"""Added to the mean square: where there is next to nothing, next to nothing is made of it."""

LEAK = 0.1
"""Slope below zero of the activations between resolutions: a gradient always comes through."""


class ResidualBlock(nn.Module):
    """x + conv3(GELU(conv3(x))), the second convolution small at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        with torch.no_grad():
            self.conv2.weight.mul_(0.2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        out: Tensor = x + self.conv2(F.gelu(self.conv1(x)))
        return out


class NormalisedBlock(ResidualBlock):
    """x + conv3(GELU(conv3(x / RMS(x)))), the root mean square over channels, at each pixel by itself.

    Without the division the branches that use it ran away in training: at every pixel of every image all channels
    ended far below zero before the next activation, which passed on nothing, and the branch was dead.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        normalised = x * torch.rsqrt(x.square().mean(1, keepdim=True) + RMS_FLOOR)
        out: Tensor = x + self.conv2(F.gelu(self.conv1(normalised)))
        return out


def zero_initialised(layer: nn.Conv2d) -> nn.Conv2d:
    """`layer` with weights and bias set to zero, so that a residual branch starts as nothing."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class AnalysisTransform(nn.Module):
    """Image to latents: y = DCT(x) + (1 + gate)·f((1 + scale)·features + shift).

    widths: channels at 1/4, 1/8 and 1/16 of the image's resolution. Shift, scale and gate are those of the quality
    level: many bits want a transform that can be inverted well, few bits one that compacts well.
    """

    def __init__(self, kernels: Tensor, widths: tuple[int, int, int], levels: int) -> None:
        super().__init__()
        latents, (c4, c8, c16) = kernels.shape[0], widths
        self.dct = nn.Conv2d(3, latents, STRIDE, STRIDE, bias=False)
        with torch.no_grad():
            self.dct.weight.copy_(kernels)
        self.to_quarter = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, c4, 3, padding=1), NormalisedBlock(c4))
        self.to_eighth = nn.Sequential(nn.LeakyReLU(LEAK), nn.Conv2d(c4, c8, 5, 2, 2), NormalisedBlock(c8))
        self.to_sixteenth = nn.Sequential(nn.LeakyReLU(LEAK), nn.Conv2d(c8, c16, 5, 2, 2))
        self.level_table = nn.Parameter(torch.zeros(levels, 2 * c16 + latents))
        self.head = nn.Sequential(
            NormalisedBlock(c16), NormalisedBlock(c16), zero_initialised(nn.Conv2d(c16, latents, 1))
        )

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """x (N, 3, H, W) in [-0.5, 0.5], sides multiples of 16; level: row of `level_table` (N, 2·c16 + M, 1, 1).

        Returns latents before quantisation, (N, M, H/16, W/16), in units of the image.
        """
        features = self.to_sixteenth(self.to_eighth(self.to_quarter(x)))
        shift, scale, gate = level.split([features.shape[1], features.shape[1], self.dct.out_channels], 1)
        y: Tensor = self.dct(x) + (1 + gate) * self.head((1 + scale) * features + shift)
        return y


class SynthesisTransform(nn.Module):
    """Latents to image: x̂ = IDCT(ŷ) + (1 + gate)·g((1 + scale)·features(IDCT(ŷ), ŷ) + shift)."""

    def __init__(self, kernels: Tensor, widths: tuple[int, int, int], levels: int) -> None:
        super().__init__()
        latents, (c4, c8, c16) = kernels.shape[0], widths
        self.idct = nn.ConvTranspose2d(latents, 3, STRIDE, STRIDE, bias=False)
        with torch.no_grad():
            self.idct.weight.copy_(kernels)
        self.sixteenth = nn.Sequential(nn.Conv2d(latents, c16, 1), NormalisedBlock(c16), NormalisedBlock(c16))
        self.to_eighth = nn.Sequential(nn.ConvTranspose2d(c16, c8, 4, 2, 1), NormalisedBlock(c8), nn.LeakyReLU(LEAK))
        self.to_quarter = nn.ConvTranspose2d(c8, c4, 4, 2, 1)
        self.enter = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, c4, 3, padding=1))
        self.level_table = nn.Parameter(torch.zeros(levels, 2 * c4 + 3))
        self.refine = nn.Sequential(
            ResidualBlock(c4),
            ResidualBlock(c4),
            nn.GELU(),
            zero_initialised(nn.Conv2d(c4, 48, 3, padding=1)),
            nn.PixelShuffle(4),
        )

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """y_hat (N, M, H/16, W/16) in units of the image; level: row of `level_table` (N, 2·c4 + 3, 1, 1).

        Returns x̂, (N, 3, H, W), about [-0.5, 0.5], not clamped.
        """
        x: Tensor = self.idct(y_hat)
        lifted = self.to_quarter(self.to_eighth(self.sixteenth(y_hat)))
        features = self.enter(x) + lifted
        shift, scale, gate = level.split([features.shape[1], features.shape[1], 3], 1)
        out: Tensor = x + (1 + gate) * self.refine((1 + scale) * features + shift)
        return out


def pad_to_stride(x: Tensor, stride: int = STRIDE) -> Tensor:
    """(N, C, H, W) with the last row and column repeated until both sides are multiples of `stride`."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % stride, 0, -height % stride), mode="replicate")


Part = tuple[slice, slice]
"""Rows and columns of an image, in latents."""


def tiles(rows: int, columns: int, tile: int = TILE, overlap: int = OVERLAP) -> Iterator[tuple[Part, Part]]:
    """The tiles of rows×columns latents: of each its own part, and that part with `overlap` around it.

    Equal parts of at most `tile` latents in each direction. They depend on the size of the image alone, never on the
    machine or its memory, so that the floats are those of every other run.
    """
    for own_rows, seen_rows in _parts(rows, rows if rows * columns <= tile**2 else tile, overlap):
        for own_columns, seen_columns in _parts(columns, columns if rows * columns <= tile**2 else tile, overlap):
            yield (own_rows, own_columns), (seen_rows, seen_columns)


def _parts(length: int, longest: int, overlap: int) -> list[tuple[slice, slice]]:
    count = -(-length // longest)
    edges = [length * i // count for i in range(count + 1)]
    return [
        (slice(low, high), slice(max(0, low - overlap), min(length, high + overlap))) for low, high in pairwise(edges)
    ]


def in_tiles(
    transform: Callable[[Tensor], Tensor],
    x: Tensor,
    scale_in: int,
    scale_out: int,
    channels: int,
    tile: int = TILE,
    overlap: int = OVERLAP,
) -> Tensor:
    """`transform` of x (N, C, H, W) tile by tile, (N, channels, …): the same up to float rounding, in less memory.

    scale_in, scale_out: samples of x and of the result per latent, in each direction. Tiles that a device has no memory
    for are halved, see `in_parts`.
    """
    rows, columns = x.shape[-2] // scale_in, x.shape[-1] // scale_in

    def make() -> Tensor:
        return x.new_empty(x.shape[0], channels, rows * scale_out, columns * scale_out)

    def of(seen: Part) -> Tensor:
        return transform(cut_out(x, seen, scale_in))

    return in_parts(of, make, list(tiles(rows, columns, tile, overlap)), (rows, columns), overlap, scale_out)


def in_parts(
    function: Callable[[Part], Tensor],
    make: Callable[[], Tensor],
    parts: Sequence[tuple[Part, Part]],
    size: tuple[int, int],
    overlap: int,
    scale: int,
) -> Tensor:
    """`function` of what each of `parts` sees, put together.

    make: where results are put, called if there is more than one. size: rows and columns of the whole, in latents.
    scale: samples of the result per latent.

    A part that a device has no memory for is halved along its longer side, again and again if need be; as each half
    sees `overlap` latents around it too, values move by float rounding alone. Raises torch.OutOfMemoryError where not
    even a single latent fits.
    """
    waiting = list(reversed(parts))
    out: Tensor | None = None
    shortage: Exception | None = None
    too_many = math.inf  # latents that did not fit: as many are not tried again
    while waiting:
        own, seen = waiting.pop()
        if _area(seen) < too_many:
            found = attempted(function, seen)
            if isinstance(found, Tensor):
                if _area(own) == size[0] * size[1]:
                    return found
                out = make() if out is None else out
                cut_out(out, own, scale).copy_(cut_out(found, _inside(own, seen), scale))
                continue
            shortage, too_many = found, _area(seen)
        if _area(own) == 1:
            assert shortage is not None
            raise shortage
        halves = _halved(own, size, overlap)
        rows, columns = (part.stop - part.start for part in halves[0][0])
        tell("tiles", f"no memory for larger tiles on the device: tiles of {rows}×{columns} latents")
        waiting += reversed(halves)
    assert out is not None
    return out


def _area(part: Part) -> int:
    rows, columns = part
    return int((rows.stop - rows.start) * (columns.stop - columns.start))


def _inside(own: Part, seen: Part) -> Part:
    """Where a part lies in what it sees."""
    rows, columns = (slice(o.start - s.start, o.stop - s.start) for o, s in zip(own, seen, strict=True))
    return rows, columns


def _halved(own: Part, size: tuple[int, int], overlap: int) -> list[tuple[Part, Part]]:
    """The two halves of a part of a whole of so many rows and columns, each with what it sees."""

    def seen(part: slice, length: int) -> slice:
        return slice(max(0, part.start - overlap), min(length, part.stop + overlap))

    rows, columns = own
    if rows.stop - rows.start >= columns.stop - columns.start:
        middle = (rows.start + rows.stop) // 2
        halves = [(slice(rows.start, middle), columns), (slice(middle, rows.stop), columns)]
    else:
        middle = (columns.start + columns.stop) // 2
        halves = [(rows, slice(columns.start, middle)), (rows, slice(middle, columns.stop))]
    return [(half, (seen(half[0], size[0]), seen(half[1], size[1]))) for half in halves]


def cut_out(x: Tensor, part: Part, scale: int) -> Tensor:
    """Rows and columns of x (…, H, W), which has `scale` samples per latent."""
    rows, columns = part
    return x[..., rows.start * scale : rows.stop * scale, columns.start * scale : columns.stop * scale]
