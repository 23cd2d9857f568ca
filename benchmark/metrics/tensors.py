"""Images as tensors, made once for all metrics of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.metrics.shared import once
from benchmark.pixels import Image

if TYPE_CHECKING:
    from torch import Tensor


def unit_tensor(image: Image, device: str) -> Tensor:
    """(1, 3, H, W) float32 in [0, 1]: samples ÷ 255."""
    import torch

    def make(image: Image) -> Tensor:
        return torch.from_numpy(image.copy()).to(device).permute(2, 0, 1)[None].contiguous().float() / 255

    return once(f"unit tensor on {device}", make, image)
