"""`realism`, from the mean to a full sample, on a Gaussian residual, whose best network is known."""

import pytest
import torch
from torch import Tensor

from benchmark.hfd.decoders.diffusion import DiffusionSettings, alpha_sigma
from benchmark.hfd.decoders.flow import FlowSettings
from benchmark.hfd.decoders.one_step import OneStepSettings
from benchmark.hfd.sampling import Sampler

MEAN, DEVIATION = 0.7, 0.5


class Counted:
    """The best network for r ~ N(MEAN, DEVIATION²), and how often it was asked."""

    def __init__(self, kind: str) -> None:
        self.kind, self.evaluations = kind, 0

    def __call__(self, z: Tensor, t: Tensor) -> Tensor:
        self.evaluations += 1
        if self.kind == "flow":
            return velocity(z, float(t[0]))
        alpha, sigma = alpha_sigma(float(t[0]), 1.0)
        variance = (alpha * DEVIATION) ** 2 + sigma**2
        r = MEAN + alpha * DEVIATION**2 / variance * (z - alpha * MEAN)
        return alpha * sigma / variance * (z - alpha * MEAN) - sigma * r


def velocity(z: Tensor, t: float) -> Tensor:
    """E[r − z_0 | z_t] for a start of unit deviation."""
    variance = (1 - t) ** 2 + t**2 * DEVIATION**2
    return MEAN + (t * DEVIATION**2 - (1 - t)) / variance * (z - t * MEAN)


def noise(step: int) -> Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(step), dtype=torch.float64)


@pytest.mark.parametrize(
    ("kind", "settings", "sampler", "a_step"),
    [
        ("flow", FlowSettings, "euler", 1),
        ("flow", FlowSettings, "heun", 2),
        ("diffusion", DiffusionSettings, "ancestral", 1),
        ("diffusion", DiffusionSettings, "ddim", 1),
    ],
)
def test_dial_scales_the_spread_about_the_mean(kind: str, settings: type[Sampler], sampler: str, a_step: int) -> None:
    full = settings(steps=64, sampler=sampler, realism=1.0)(Counted(kind), noise)  # type: ignore[call-arg]
    assert float(full.std()) == pytest.approx(DEVIATION, rel=0.1)
    for realism in (0.0, 0.25, 0.75):
        network = Counted(kind)
        r = settings(steps=64, sampler=sampler, realism=realism)(network, noise)  # type: ignore[call-arg]
        torch.testing.assert_close(r, MEAN + realism * (full - MEAN), atol=1e-9, rtol=0)
        assert network.evaluations == (1 if realism == 0 else 64 * a_step)


def test_dial_of_one_step_is_the_spread_that_it_is_told() -> None:
    """A network that has learned to spread by t·DEVIATION about the mean, from one evaluation at whole noise."""
    asked: list[float] = []

    def network(z: Tensor, t: Tensor) -> Tensor:
        asked.extend(t.tolist())
        return -(MEAN + t[:, None, None, None] * DEVIATION * z)

    for realism in (0.0, 0.5, 1.0):
        torch.testing.assert_close(OneStepSettings(realism)(network, noise), MEAN + realism * DEVIATION * noise(0))
    assert asked == [0.0] * 4 + [0.5] * 4 + [1.0] * 4  # four images
