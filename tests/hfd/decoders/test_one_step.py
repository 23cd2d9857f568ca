"""What LPIPS's network is shown of the crops, and what the decoder is told of the spread."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from benchmark.hfd.decoders import one_step
from benchmark.hfd.decoders.one_step import OneStepRecipe, OneStepTask
from benchmark.hfd.score import ScoreNetwork
from benchmark.hfd.training.energy import energy_score
from benchmark.hfd.unet import UNetConfig


class Watching(torch.nn.Module):
    """In place of LPIPS's network: keeps what it is shown, its map is the image."""

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
    task = OneStepTask.__new__(OneStepTask)  # without its images
    watching = Watching()
    task.perceptual = watching  # type: ignore[assignment]
    steps = torch.arange(size).float()
    x = torch.stack([steps.expand(size, size), steps[:, None].expand(size, size), torch.zeros(size, size)])[None]
    samples = torch.cat([x + 1, x + 4])
    score = task._seen(
        scale,
        lambda window: 2 * window,
        x,
        samples,
        lambda parts, truth, distance: torch.stack([distance(p, truth) for p in parts]),
    )
    of_x, of_samples = watching.shown
    assert of_x.shape == (1, 3, size, size)
    torch.testing.assert_close(of_samples, torch.cat([of_x + 2, of_x + 8]))
    torch.testing.assert_close(score[:, 0], torch.tensor([2.0, 8.0]) * math.sqrt(3))
    of_x = of_x / 2
    side = round(size / scale)
    for axis in (0, 1):
        values = of_x[0, axis].amin().item(), of_x[0, axis].amax().item()
        assert values[1] - values[0] == side - 1
        assert 0 <= values[0] <= size - side


@pytest.mark.parametrize(("exponent", "mean", "below_half"), [(0.5, 2 / 3, 1 / 4), (1, 1 / 2, 1 / 2)])
def test_network_is_told_the_spread_of_its_scores(
    monkeypatch: pytest.MonkeyPatch, exponent: float, mean: float, below_half: float
) -> None:
    """Both samples of a crop have the same, every score takes it, and its density is 2·spread, or 1."""
    told: list[Tensor] = []
    scored: list[Tensor] = []

    class Told(ScoreNetwork):
        def forward(self, z: Tensor, x_hat: Tensor, t: Tensor, quality: Tensor) -> Tensor:
            told.append(t)
            return super().forward(z, x_hat, t, quality)

    def scoring(*arguments: object, spread: Tensor) -> Tensor:
        scored.append(spread)
        return energy_score(*arguments, spread=spread)  # type: ignore[arg-type]

    monkeypatch.setattr(one_step, "energy_score", scoring)
    torch.manual_seed(0)
    task = OneStepTask.__new__(OneStepTask)  # without its images
    task.recipe = OneStepRecipe(precision="float32", band_levels=1, spread_exponent=exponent)
    task.base = SimpleNamespace(levels=7)  # type: ignore[assignment]
    task.network = Told(UNetConfig((8,), (1,), ()), 7)
    task.perceptual = Watching()  # type: ignore[assignment]
    count = 2000
    x, x_hat = torch.rand(2, count, 3, 8, 8) - 0.5
    loss, _ = task.loss(0, x, x_hat, torch.full((count,), 2.0))
    loss.backward()
    first, second = told[0].chunk(2)
    assert torch.equal(first, second)
    assert len(scored) == 4  # pixels, patches, bands, LPIPS's maps
    assert all(torch.equal(spread, first) for spread in scored)
    assert 0 <= float(first.amin()) < float(first.amax()) <= 1
    assert float(first.mean()) == pytest.approx(mean, abs=0.02)
    assert float((first < 0.5).float().mean()) == pytest.approx(below_half, abs=0.03)


def silent_task(recipe: OneStepRecipe, watching: Watching) -> OneStepTask:
    """A task without images whose network says 0, for errors of deviation 1."""
    task = OneStepTask.__new__(OneStepTask)
    task.recipe = recipe
    task.base = SimpleNamespace(levels=7)  # type: ignore[assignment]
    task.network = ScoreNetwork(UNetConfig((8,), (1,), ()), 7)
    task.perceptual = watching  # type: ignore[assignment]
    return task


@pytest.mark.parametrize(("chroma", "expected"), [(0.0, math.sqrt(3)), (0.5, math.sqrt(2)), (1.5, 0.0)])
def test_a_grey_error_counts_as_much_as_luma_does(chroma: float, expected: float) -> None:
    """0.1 in R, G and B is 0.1·√3 in luma: weighed, squared, divided by three axes and rooted, 0.1·√weight."""
    recipe = OneStepRecipe(precision="float32", band_levels=1, patches=(1,), chroma=chroma)
    task = silent_task(recipe, Watching())
    x_hat = torch.zeros(2, 3, 8, 8)
    _, figures = task.loss(0, x_hat + 0.1, x_hat, torch.full((2,), 2.0))
    assert figures["pixels"] == pytest.approx(0.1 * expected, abs=2e-4)


def test_views_change_what_the_perceptual_network_is_shown() -> None:
    """Without them it is shown the crops themselves, with them the same places and channels in another order."""
    x = torch.rand(2, 3, 8, 8) - 0.5
    for views in (False, True):
        torch.manual_seed(1)
        watching = Watching()
        task = silent_task(OneStepRecipe(precision="float32", band_levels=1, views=views), watching)
        task.loss(0, x, x, torch.full((2,), 2.0))
        of_x, of_samples = watching.shown
        assert torch.equal(of_x, x) is not views
        torch.testing.assert_close(of_samples, torch.cat([of_x, of_x]))  # silent samples of x̂ = x are x
        assert task.describe_kind()["perceptual_views"] is views
