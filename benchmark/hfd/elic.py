"""The full-size first stage: ELIC's network with a gain for each quality, one model for all rates.

He et al., "ELIC: Efficient Learned Image Compression with Unevenly Grouped Space-Channel Contextual Adaptive Coding",
CVPR 2022, put together from CompressAI's parts; gains interpolated in the log as in Cui et al., "Asymmetric Gained Deep
Image Compression with Continuous Rate Adaptation", 2021. The interface is that of `autoencoder.Autoencoder`.

The entropy model is a hyperprior, channel groups of uneven size, and within each group a checkerboard: the even half of
its places is coded from what is done, the odd half sees the even one. Its numbers are floats that depend on floats
decoded before, so they are not exact; `elic_coder` says what follows from that.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.hfd.compressai_parts import EntropyBottleneck, GaussianConditional, quantize_ste
from benchmark.reading import check_reals, check_sizes

LATENT_STRIDE = 16
"""Pixels per latent, in each direction."""

STRIDE = 64
"""Pixels per hyper-latent, in each direction: sides of the input must be multiples of this."""


@dataclass(frozen=True)
class ElicConfig:
    """Size and rates: the paper's N, M and groups, and the λ of the first and the last level as in AutoencoderConfig.

    groups: channels of each group of latents; their sum is M.
    """

    channels: int = 192
    groups: tuple[int, ...] = (16, 16, 32, 64, 192)
    levels: int = 7
    lambda_low: float = 0.0005
    lambda_high: float = 0.05

    def __post_init__(self) -> None:
        check_sizes(channels=self.channels, groups=self.groups, levels=self.levels)
        check_reals(lambda_low=self.lambda_low, lambda_high=self.lambda_high)

    @property
    def latents(self) -> int:
        """M."""
        return sum(self.groups)

    def as_json(self) -> dict[str, Any]:
        """JSON values, the architecture's name among them."""
        return {"architecture": "paper", **asdict(self)}


PAPER = ElicConfig()

CodePart = Callable[[slice, Tensor, Tensor, Tensor], Tensor]
"""(channels, places, scale, mean) -> ŷ of a part. places: indices (K,) in the plane's rows; the others (N, C, K)."""


class Elic(nn.Module):
    """Analysis transform, gains, entropy model, synthesis transform."""

    def __init__(self, config: ElicConfig = PAPER) -> None:
        from compressai.models.base import get_scale_table  # and all of CompressAI, which the small one does without
        from compressai.models.sensetime import Elic2022Official

        super().__init__()
        self.config = config
        self.network = Elic2022Official(N=config.channels, M=config.latents, groups=config.groups)
        self.gaussian = GaussianConditional(get_scale_table().tolist())
        # The best step falls with the root of λ; the analysis learns the units of the latents, so the first step is 1.
        lambdas = torch.tensor([self.lam(q) for q in range(1, config.levels + 1)])
        self.log_gain = nn.Parameter((0.5 * (lambdas / lambdas[0]).log())[:, None].repeat(1, config.latents))

    @property
    def bottleneck(self) -> EntropyBottleneck:
        """The factorised prior of the hyper-latents."""
        return self.network.latent_codec.hyper.entropy_bottleneck

    def lam(self, quality: float) -> float:
        """λ at `quality`: geometric from lambda_low to lambda_high."""
        low, high = self.config.lambda_low, self.config.lambda_high
        return low * math.exp((quality - 1) / (self.config.levels - 1) * math.log(high / low))

    def interpolate(self, table: Tensor, quality: Tensor) -> Tensor:
        """Rows of `table` (levels, C) at `quality` (N,), linear between levels: (N, C, 1, 1)."""
        position = quality - 1
        low = position.floor().long().clamp(0, self.config.levels - 2)
        fraction = (position - low)[:, None]
        return (table[low] * (1 - fraction) + table[low + 1] * fraction)[..., None, None]

    def gain(self, quality: Tensor) -> Tensor:
        """Quantisation steps per unit of the latents at `quality` (N,): (N, M, 1, 1)."""
        return self.interpolate(self.log_gain, quality).exp()

    def analysis(self, x: Tensor) -> Tensor:
        """x (N, 3, H, W) in [-0.5, 0.5], sides multiples of 64 -> y (N, M, H/16, W/16), float32.

        The last two layers stay in float32 under autocast: bfloat16 has 8 bits, and latents go to hundreds of steps.
        """
        features = self.network.g_a[:-2](x)
        with _in_float32(x):
            y: Tensor = self.network.g_a[-2:](features.float())
        return y

    def synthesis(self, y_hat: Tensor) -> Tensor:
        """y_hat (N, M, H/16, W/16) in units of y -> x̂ (N, 3, H, W), about [-0.5, 0.5], not clamped."""
        with _in_float32(y_hat):
            features = self.network.g_s[0](y_hat.float())
        x_hat: Tensor = self.network.g_s[1:](features)
        return x_hat.float()

    def entropy(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """For training. y (N, M, h, w) in quantisation steps, sides multiples of 4.

        Returns ŷ (quantised with a straight-through gradient) and the estimated bits (N,), from likelihoods of y with
        uniform noise (training) or of ŷ (evaluation).
        """
        hyper = self.network.latent_codec.hyper
        z = hyper.h_a(y)
        with _in_float32(y):
            z = z.float()
            medians = self.medians()
            _, likelihood = self.bottleneck(z)
            bits = -likelihood.log2().sum((1, 2, 3))
            z_hat = quantize_ste(z - medians) + medians
        found: list[Tensor] = []

        def code(channels: slice, places: Tensor, scale: Tensor, mean: Tensor) -> Tensor:
            part = y[:, channels].flatten(2)[..., places]
            _, likelihood = self.gaussian(part, scale, mean)
            found.append(-likelihood.log2().sum((1, 2)))
            return quantize_ste(part - mean) + mean

        y_hat = self.walk(hyper.h_s(z_hat), code)
        return y_hat, bits + torch.stack(found).sum(0)

    def medians(self) -> Tensor:
        """Of the factorised prior, (1, N, 1, 1)."""
        return self.bottleneck.quantiles[:, 0, 1].detach()[None, :, None, None]

    def walk(self, features: Tensor, code: CodePart) -> Tensor:
        """ŷ (N, M, h, w), part after part in the order of coding; features (N, 2·channels, h, w) from ẑ.

        `code` turns scale and mean of each part, float32, into its ŷ.
        """
        model = self.network.latent_codec.y
        even, odd = checkerboard(features.shape[-2], features.shape[-1], features.device)
        done: list[Tensor] = []
        first = 0
        for k, count in enumerate(self.config.groups):
            side = features
            if k:
                side = torch.cat([model.channel_context[f"y{k}"](torch.cat(done, 1)), features], 1)
            group = model.latent_codec[f"y{k}"]
            y_hat = features.new_zeros(len(features), count, *features.shape[-2:], dtype=torch.float32)
            for places in (even, odd):
                if len(places) == 0:  # a single latent has no neighbour
                    continue
                if places is even:
                    context = features.new_zeros(len(features), 2 * count, len(places))
                else:
                    context = group.context_prediction(y_hat).flatten(2)[..., places]
                # the network that says scale and mean works place by place, so half the places take half the time
                given = torch.cat([context, side.flatten(2)[..., places]], 1)
                scale, mean = group.entropy_parameters(given[..., None])[..., 0].float().chunk(2, 1)
                part = code(slice(first, first + count), places, scale, mean)
                y_hat = y_hat.flatten(2).index_copy(2, places, part).view_as(y_hat)
            done.append(y_hat)
            first += count
        return torch.cat(done, 1)

    def forward(self, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """For training. x (N, 3, H, W) in [-0.5, 0.5], sides multiples of 64; quality (N,).

        Returns x̂ (N, 3, H, W), not clamped, and estimated bits per pixel (N,).
        """
        gain = self.gain(quality)
        y_hat, bits = self.entropy(self.analysis(x) * gain)
        return self.synthesis(y_hat / gain), bits / (x.shape[-2] * x.shape[-1])

    def update(self) -> None:
        """Writes the integer tables of the coder into buffers; once, when training ends."""
        self.bottleneck.update(force=True)
        self.gaussian.update()


def checkerboard(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Indices, in rows, of the places whose row and column add to an even number, and of the others."""
    parity = (torch.arange(height, device=device)[:, None] + torch.arange(width, device=device)) % 2
    return (parity == 0).flatten().nonzero()[:, 0], (parity == 1).flatten().nonzero()[:, 0]


def _in_float32(x: Tensor) -> torch.autocast:
    return torch.autocast(x.device.type, enabled=False)
