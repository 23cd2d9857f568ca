"""Checkpoint files in the form of the public ones."""

from pathlib import Path

import pytest
import torch
from support.hific_checkpoints import checkpoint


@pytest.fixture(scope="session")
def checkpoint_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small `low` model."""
    path = tmp_path_factory.mktemp("hific") / "hific-low.pt"
    torch.save(checkpoint(), path)
    return path
