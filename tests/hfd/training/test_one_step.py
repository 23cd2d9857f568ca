"""What of the crops LPIPS's network is shown."""

import math

import pytest
import torch
from torch import Tensor

from benchmark.hfd.training.one_step import OneStepTask


class Watching(torch.nn.Module):
    """In place of LPIPS's network: keeps what it is shown, its map is the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        self.shown.append(x)
        return (x,)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_windows_are_the_same_in_all_and_as_large_as_the_crop(scale: int) -> None:
    """A crop whose values are its columns and rows tells where a window lies, and how far it was enlarged."""
    size = 64
    torch.manual_seed(3)
    task = OneStepTask.__new__(OneStepTask)  # without its pictures
    watching = Watching()
    task.perceptual = watching  # type: ignore[assignment]
    steps = torch.arange(size).float()
    x = torch.stack([steps.expand(size, size), steps[:, None].expand(size, size), torch.zeros(size, size)])[None]
    samples = torch.cat([x + 1, x + 4])
    score = task._seen(
        scale, x, samples, lambda parts, truth, distance: torch.stack([distance(p, truth) for p in parts])
    )
    of_x, of_samples = watching.shown
    assert of_x.shape == (1, 3, size, size)
    torch.testing.assert_close(of_samples, torch.cat([of_x + 1, of_x + 4]))
    torch.testing.assert_close(score[:, 0], torch.tensor([1.0, 4.0]) * math.sqrt(3))
    side = round(size / scale)
    for axis in (0, 1):
        values = of_x[0, axis].amin().item(), of_x[0, axis].amax().item()
        assert values[1] - values[0] == side - 1
        assert 0 <= values[0] <= size - side
