"""What of the crops LPIPS's network is shown."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from benchmark.hfd.training.energy import PerceptualFeatures, enlarged_window
from benchmark.hfd.training.one_step import OneStepTask


class Watching(PerceptualFeatures):
    """In place of LPIPS's network: keeps what it is shown, its map is the picture."""

    def __init__(self) -> None:
        super().__init__(None)
        self.shown: list[Tensor] = []

    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        self.shown.append(x)
        return (x,)

    def weigh(self, maps: object) -> object:  # type: ignore[override]
        return maps


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_windows_are_the_same_in_all_and_as_large_as_the_crop(scale: int) -> None:
    """A crop whose values are its columns and rows tells where a window lies, and how far it was enlarged."""
    size = 64
    torch.manual_seed(3)
    task = OneStepTask.__new__(OneStepTask)  # without its pictures
    task.recipe = SimpleNamespace(frechet=0.0)  # type: ignore[assignment]
    watching = task.__dict__["perceptual"] = Watching()
    steps = torch.arange(size).float()
    x = torch.stack([steps.expand(size, size), steps[:, None].expand(size, size), torch.zeros(size, size)])[None]
    samples = torch.cat([x + 1, x + 4])

    def score(parts: list[tuple[Tensor, ...]], truth: tuple[Tensor, ...], distance: object) -> Tensor:
        assert callable(distance)
        return torch.stack([distance(part, truth) for part in parts])

    scores, frechet = task._look(scale, x, samples, torch.ones(1), score)
    of_x, of_samples = watching.shown
    assert of_x.shape == (1, 3, size, size)
    assert frechet.tolist() == [0]
    torch.testing.assert_close(of_samples, torch.cat([of_x + 1, of_x + 4]))
    torch.testing.assert_close(scores[:, 0], torch.tensor([1.0, 4.0]) * math.sqrt(3))
    side = round(size / scale)
    for axis in (0, 1):
        least, most = float(of_x[0, axis].min()), float(of_x[0, axis].max())
        assert most - least == side - 1
        assert 0 <= least <= size - side


def test_a_window_begins_where_it_is_told() -> None:
    x = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    window = enlarged_window(x, 3, 5, 8)
    assert window.shape == x.shape
    torch.testing.assert_close(window[..., 1::3, 1::3], x[..., 5:9, 8:12])  # the middles of the enlarged pixels
