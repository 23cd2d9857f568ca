"""How a perceptual network is shown windows of crops: as they are, or each time otherwise.

A loss that looks the same way each time is met in ways that it alone does not see. Random views of both images, the
same of both, make an ensemble of one network: E-LPIPS (Kettunen, Härkönen, Lehtinen 2019,
https://arxiv.org/abs/1906.03973), but for its dropout.
"""

from collections.abc import Callable

import torch
from torch import Tensor

View = Callable[[Tensor], Tensor]
"""Changes images (N, 3, H, W) in [-0.5, 0.5] with H equal to W, all in the same way."""

DARKEST = 0.5
"""Least gain of a channel in a random view."""


def plain_views(scale: float) -> tuple[float, View]:
    """`scale` as it is, and the images as they are."""
    return scale, lambda x: x


def random_views(scale: float) -> tuple[float, View]:
    """A scale up to √2 times larger or smaller, at least 1 (1 stays), and a random view, by torch's own generator."""
    if scale > 1:
        scale = max(1.0, scale * 2 ** float(torch.rand(()) - 0.5))
    return scale, random_view()


def random_view() -> View:
    """Mirrored, transposed, channels in another order, each half of the time; channels dimmed, as far as DARKEST."""
    mirrored, upside_down, transposed, reordered = (torch.rand(4) < 0.5).tolist()
    order = torch.randperm(3).tolist() if reordered else [0, 1, 2]
    gains = DARKEST + (1 - DARKEST) * torch.rand(3)

    def view(x: Tensor) -> Tensor:
        x = x.flip(-1) if mirrored else x
        x = x.flip(-2) if upside_down else x
        x = x.transpose(-1, -2) if transposed else x
        return (x[:, order] + 0.5) * gains.to(x.device)[:, None, None] - 0.5

    return view
