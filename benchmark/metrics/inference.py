"""How metrics run their networks: no gradients, and on a GPU with full float32 convolutions."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact_inference() -> Iterator[None]:
    """TF32, cuDNN's default, keeps ten bits of a factor: features would move by 1e-3. Tuning would make runs differ."""
    cudnn = torch.backends.cudnn
    with torch.inference_mode(), cudnn.flags(cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=False):
        yield
