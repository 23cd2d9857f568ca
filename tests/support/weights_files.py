"""Weights files as tests change them: nothing packed."""

from pathlib import Path

import torch
from safetensors import safe_open

from benchmark.packed import PACKED, unpacked


def plain(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """All tensors of a weights file and its metadata, as `save_file` takes them."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = dict(file.metadata() or {})
    return unpacked(tensors, metadata, str(path)), {name: text for name, text in metadata.items() if name != PACKED}
