"""HiFiC's discriminator: does this image look real, given what the decoder was told about it?

Patches are scored, not the image as a whole. Names of the parameters as in the public PyTorch checkpoints.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from benchmark.baselines.hific.network import STRIDE

CONTEXT_CHANNELS = 12
WIDTHS = (64, 128, 256, 512)


class Discriminator(nn.Module):
    """D(x, ŷ): one logit for each patch.

    latents: channels of ŷ. last_stride: of the fourth convolution; 1 in the paper and here by default, 2 in the public
    PyTorch code, whose discriminators must be continued with 2.
    """

    def __init__(self, latents: int = 220, last_stride: int = 1) -> None:
        super().__init__()
        self.context_conv = nn.Conv2d(latents, CONTEXT_CHANNELS, 3, padding=1, padding_mode="reflect")
        sizes = (3 + CONTEXT_CHANNELS, *WIDTHS)
        for layer in range(1, 5):
            stride = last_stride if layer == 4 else 2
            convolution = nn.Conv2d(sizes[layer - 1], sizes[layer], 4, stride, padding=1, padding_mode="reflect")
            self.add_module(f"conv{layer}", spectral_norm(convolution))
        self.conv_out = nn.Conv2d(WIDTHS[-1], 1, 1)
        self.activation = nn.LeakyReLU(0.2)
        self.upsample = nn.Upsample(scale_factor=STRIDE, mode="nearest")

    def forward(self, picture: Tensor, y_hat: Tensor) -> Tensor:
        """Logits (N, 1, h, w), large for real, of images (N, 3, H, W) in the model's range and their own ŷ.

        y_hat (N, latents, H/16, W/16): without a gradient, or the encoder would learn to deceive.
        """
        context = self.upsample(self.activation(self.context_conv(y_hat.detach())))
        x = torch.cat([picture, context], 1)
        for layer in range(1, 5):
            x = self.activation(self.get_submodule(f"conv{layer}")(x))
        logits: Tensor = self.conv_out(x)
        return logits
