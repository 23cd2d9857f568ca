"""Where networks compute."""

import torch

from benchmark.errors import UsageError


def open_device(name: str) -> torch.device:
    """The torch device `name`. Raises UsageError if this machine does not have it."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return device
