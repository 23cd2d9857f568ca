"""Analysis and synthesis transforms of the first stage.

Both start as a 16×16 DCT in YCbCr, with learned residuals that start at zero: a network that begins at JPEG's level
learns in minutes what one from random weights needs hours for.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 16
"""Pixels of a picture per latent, in each direction."""

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


def zero_initialised(layer: nn.Conv2d) -> nn.Conv2d:
    """`layer` with weights and bias set to zero, so that a residual branch starts as nothing."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class AnalysisTransform(nn.Module):
    """Picture to latents: y = DCT(x) + f(x, quality level).

    widths: channels at 1/4, 1/8 and 1/16 of the picture's resolution.
    """

    def __init__(self, kernels: Tensor, widths: tuple[int, int, int], levels: int) -> None:
        super().__init__()
        latents, (c4, c8, c16) = kernels.shape[0], widths
        self.dct = nn.Conv2d(3, latents, STRIDE, STRIDE, bias=False)
        with torch.no_grad():
            self.dct.weight.copy_(kernels)
        self.to_quarter = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, c4, 3, padding=1), ResidualBlock(c4))
        self.to_eighth = nn.Sequential(nn.GELU(), nn.Conv2d(c4, c8, 5, 2, 2), ResidualBlock(c8))
        self.to_sixteenth = nn.Sequential(nn.GELU(), nn.Conv2d(c8, c16, 5, 2, 2))
        self.level_bias = nn.Parameter(torch.zeros(levels, c16))
        self.head = nn.Sequential(ResidualBlock(c16), ResidualBlock(c16), zero_initialised(nn.Conv2d(c16, latents, 1)))

    def forward(self, x: Tensor, level_bias: Tensor) -> Tensor:
        """x (N, 3, H, W) in [-0.5, 0.5], sides multiples of 16; level_bias (N, c16, 1, 1).

        Returns latents before quantisation, (N, M, H/16, W/16), in units of the picture.
        """
        features = self.to_sixteenth(self.to_eighth(self.to_quarter(x)))
        y: Tensor = self.dct(x) + self.head(features + level_bias)
        return y


class SynthesisTransform(nn.Module):
    """Latents to picture: x̂ = IDCT(ŷ) + g(IDCT(ŷ), ŷ, quality level)."""

    def __init__(self, kernels: Tensor, widths: tuple[int, int, int], levels: int) -> None:
        super().__init__()
        latents, (c4, c8, c16) = kernels.shape[0], widths
        self.idct = nn.ConvTranspose2d(latents, 3, STRIDE, STRIDE, bias=False)
        with torch.no_grad():
            self.idct.weight.copy_(kernels)
        self.sixteenth = nn.Sequential(nn.Conv2d(latents, c16, 1), ResidualBlock(c16), ResidualBlock(c16))
        self.to_eighth = nn.Sequential(nn.ConvTranspose2d(c16, c8, 4, 2, 1), ResidualBlock(c8), nn.GELU())
        self.to_quarter = nn.ConvTranspose2d(c8, c4, 4, 2, 1)
        self.enter = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, c4, 3, padding=1))
        self.level_bias = nn.Parameter(torch.zeros(levels, c4))
        self.refine = nn.Sequential(
            ResidualBlock(c4),
            ResidualBlock(c4),
            nn.GELU(),
            zero_initialised(nn.Conv2d(c4, 48, 3, padding=1)),
            nn.PixelShuffle(4),
        )

    def forward(self, y_hat: Tensor, level_bias: Tensor) -> Tensor:
        """y_hat (N, M, H/16, W/16) in units of the picture; level_bias (N, c4, 1, 1).

        Returns x̂, (N, 3, H, W), about [-0.5, 0.5], not clamped.
        """
        x: Tensor = self.idct(y_hat)
        lifted = self.to_quarter(self.to_eighth(self.sixteenth(y_hat)))
        return x + self.refine(self.enter(x) + lifted + level_bias)


def pad_to_stride(x: Tensor, stride: int = STRIDE) -> Tensor:
    """(N, C, H, W) with the last row and column repeated until both sides are multiples of `stride`."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % stride, 0, -height % stride), mode="replicate")
