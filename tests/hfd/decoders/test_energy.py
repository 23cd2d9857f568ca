"""The decoder whose every evaluation samples, against closed forms: r is Gaussian, so its posterior is known."""

import math
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.tiny_networks import TINY, TINY_UNET
from torch import Tensor, nn

from benchmark.errors import BenchmarkError, UsageError
from benchmark.hfd.codec import hfd
from benchmark.hfd.decoders.diffusion import alpha_sigma, ancestral_step, time_steps
from benchmark.hfd.decoders.energy import (
    Draw,
    EnergyNetwork,
    EnergyRecipe,
    EnergySettings,
    EnergyTask,
    renoise,
    sample,
    share_of_deviation,
)
from benchmark.hfd.decoders.one_step import OneStepSettings
from benchmark.hfd.sampling import ScoreDecoder
from benchmark.hfd.score import ScoreNetwork, from_luma_chroma
from benchmark.hfd.training.conversion import as_energy, begin_energy
from benchmark.hfd.training.export import export_decoder
from benchmark.hfd.unet import UNetConfig
from benchmark.hfd.weights import load_autoencoder, write_weights
from benchmark.training.checkpoint import save_tensors

MEAN, DEVIATION = 0.3, 0.5


def posterior(z: Tensor, alpha: float, sigma: float) -> tuple[Tensor, float]:
    """Mean and deviation of r ~ N(MEAN, DEVIATION²) given z_t = α·r + σ·n."""
    variance = (alpha * DEVIATION) ** 2 + sigma**2
    return MEAN + alpha * DEVIATION**2 / variance * (z - alpha * MEAN), DEVIATION * sigma / math.sqrt(variance)


def ideal(share: float = 1.0) -> Draw:
    """A sample of r given z_t, or one with a share of its deviation."""

    def draw(z: Tensor, xi: Tensor, t: float) -> Tensor:
        mean, deviation = posterior(z, *alpha_sigma(t, 1.0))
        return mean + share * deviation * xi

    return draw


@lru_cache(maxsize=100)
def standard_normal(step: int, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(count, 3, 32, 32, generator=generator, dtype=torch.float64)


def noise(step: int, count: int = 24) -> Tensor:
    return standard_normal(step, count).clone()


@pytest.mark.parametrize("fresh", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shift", [0.4, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_any_number_of_steps_gives_the_known_distribution(steps: int, shift: float, fresh: float) -> None:
    """Mean, variance, and the tails: no step is regression, so one is as right as eight."""
    r = sample(ideal(), noise, time_steps(steps), shift, fresh)
    assert float(r.mean()) == pytest.approx(MEAN, abs=0.006)
    assert float(r.var()) == pytest.approx(DEVIATION**2, rel=0.025)
    assert float(((r - MEAN) / DEVIATION).pow(4).mean()) == pytest.approx(3, abs=0.1)


def test_what_lies_between_is_what_it_should_be() -> None:
    """z_s has the distribution that z has at that time."""
    t, s = 0.7, 0.35
    (alpha_t, sigma_t), (alpha_s, sigma_s) = alpha_sigma(t, 1.0), alpha_sigma(s, 1.0)
    z_t = alpha_t * (MEAN + DEVIATION * noise(0)) + sigma_t * noise(1)
    for fresh in (0.0, 0.6, 1.0):
        z_s = renoise(z_t, ideal()(z_t, noise(2), t), t, s, 1.0, fresh, noise(3))
        assert float(z_s.mean()) == pytest.approx(alpha_s * MEAN, abs=0.006)
        assert float(z_s.var()) == pytest.approx((alpha_s * DEVIATION) ** 2 + sigma_s**2, rel=0.02)


def test_all_fresh_is_the_posterior_of_the_diffusion() -> None:
    z, r, n = torch.randn(3, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for shift in (0.4, 1.0):
        torch.testing.assert_close(
            renoise(z, r, 0.8, 0.3, shift, 1.0, n), ancestral_step(z, r, 0.8, 0.3, shift, 0.0, n)
        )


def test_each_evaluation_and_each_step_has_noise_of_its_own() -> None:
    asked: list[int] = []

    def recorded(step: int) -> Tensor:
        asked.append(step)
        return noise(step, 1)

    sample(ideal(), recorded, time_steps(3), 1.0)
    assert asked == [0, 1, 2, 3, 4, 5]
    asked.clear()
    sample(ideal(), recorded, time_steps(1), 1.0)
    assert asked == [0, 1]


def settings_on_the_gaussian(settings: EnergySettings) -> Tensor:
    """What the settings make of a network that says the ideal sample of the spread that it is told."""

    def predict(z: Tensor, told: Tensor) -> Tensor:
        t, spread = (float(number) for number in told[0])
        return ideal(share_of_deviation(spread))(z[:, :3], z[:, 3:], t)

    return settings(predict, lambda step: noise(step, 4).float())


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_realism_leads_from_the_mean_to_a_full_sample(steps: int) -> None:
    """At any number of steps: at 0 the mean itself, at 1 the distribution, between them more and more."""
    deviations = [
        float(settings_on_the_gaussian(EnergySettings(steps, realism=realism)).std())
        for realism in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert deviations == sorted(deviations)
    assert deviations[0] < 1e-6
    assert deviations[-1] == pytest.approx(DEVIATION, rel=0.03)
    if steps == 1:
        assert deviations[1:4] == pytest.approx(
            [DEVIATION * share_of_deviation(spread) for spread in (0.25, 0.5, 0.75)], rel=0.03
        )


def tiny_network(kind: type[ScoreNetwork] = EnergyNetwork) -> ScoreNetwork:
    torch.manual_seed(0)
    network = kind(TINY_UNET, TINY.levels)
    with torch.no_grad():
        network.unet.exit.weight.normal_(0, 0.05)
    network.residual_deviation = torch.tensor([[0.08, 0.02, 0.02]]).repeat(TINY.levels, 1)
    return network.eval().requires_grad_(False)


def test_begins_as_the_one_step_decoder() -> None:
    """Whatever ξ and t are: what is new in the network begins at 0, and at t = 1 a sample is −v."""
    earlier, network = tiny_network(ScoreNetwork), tiny_network()
    network.load_state_dict(as_energy(earlier.state_dict(), "one-step"))
    x_hat = torch.rand(1, 3, 64, 80, generator=torch.Generator().manual_seed(1)) - 0.5
    expected = ScoreDecoder(earlier, OneStepSettings(0.6)).sample(x_hat, 20, 3)
    found = ScoreDecoder(network, EnergySettings(1, realism=0.6)).sample(x_hat, 20, 3)
    assert float((expected - x_hat).abs().mean()) > 0.005
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_begins_as_the_diffusion() -> None:
    """At any time and spread r̂ is the diffusion's E[r | z_t]."""
    earlier, network = tiny_network(ScoreNetwork), tiny_network()
    network.load_state_dict(as_energy(earlier.state_dict(), "diffusion"))
    z, xi, x_hat = torch.randn(3, 2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    t, spread, quality = torch.tensor([0.3, 0.9]), torch.tensor([0.1, 0.8]), torch.tensor([1.0, 2.5])
    a = (math.pi / 2 * t)[:, None, None, None]
    expected = a.cos() * z - a.sin() * earlier(z, x_hat, t, quality)
    torch.testing.assert_close(network(torch.cat([z, xi], 1), x_hat, torch.stack([t, spread], 1), quality), expected)


def test_begins_with_weights_of_any_kind(tmp_path: Path) -> None:
    def written(kind: str, network: ScoreNetwork, **more: float) -> Path:
        save_tensors(tmp_path / f"{kind}.safetensors", network.state_dict(), {"decoder": kind, **more})
        return tmp_path / f"{kind}.safetensors"

    one_step, flow = (written(kind, tiny_network(ScoreNetwork), kappa=1.0) for kind in ("one-step", "flow"))
    own = written("energy", tiny_network())
    assert begin_energy(own, tmp_path / "new") == own
    for path in (one_step, flow):
        assert begin_energy(path, tmp_path / "new") == tmp_path / "new" / "energy-start.safetensors"
    with pytest.raises(UsageError, match="only a flow with kappa 1"):
        begin_energy(written("flow", tiny_network(ScoreNetwork), kappa=0.5), tmp_path / "new")


@pytest.mark.parametrize("tile", [4, 256])
def test_tiles_give_the_whole_image(tile: int) -> None:
    network, sampler = tiny_network(), EnergySettings(3, realism=0.8)
    x_hat = torch.rand(1, 3, 90, 200, generator=torch.Generator().manual_seed(1)) - 0.5
    whole = ScoreDecoder(network, sampler).sample(x_hat, 20, seed=3)
    tiled = ScoreDecoder(network, sampler, tile=tile).sample(x_hat, 20, seed=3)
    assert float((whole - x_hat).abs().mean()) > 0.01
    assert float((whole - tiled).abs().max()) < 1e-5


@torch.inference_mode()
def test_it_is_the_network_of_the_training() -> None:
    """The decoder's own way to run the U-Net with ξ and two numbers, against `ScoreNetwork.forward`."""
    network = tiny_network()
    decoder = ScoreDecoder(network, EnergySettings())
    z, x_hat = torch.randn(1, 6, 24, 32), torch.rand(1, 3, 24, 32) - 0.5
    told, quality = torch.tensor([[0.4, 0.7]]), torch.tensor([2.0])
    found = decoder._at_step(told, quality)(z, x_hat)
    torch.testing.assert_close(found, network(z, x_hat, told, quality), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found, network(z, x_hat, told.flip(1), quality), atol=1e-3)
    other = torch.cat([z[:, :3], z[:, 3:].flip(-1)], 1)
    assert not torch.allclose(found, network(other, x_hat, told, quality), atol=1e-3)


class Known(nn.Module):
    """In place of the network: the ideal sample of r ~ N(MEAN, DEVIATION²), with its mean and deviation changed."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.mean, self.spread = 1.0, 1.0
        self.residual_deviation = torch.ones(levels, 3)

    def deviation(self, x_hat: Tensor, quality: Tensor) -> Tensor:
        return torch.ones_like(x_hat)

    def forward(self, z: Tensor, x_hat: Tensor, told: Tensor, quality: Tensor) -> Tensor:
        mean, deviation = posterior(z[:, :3], *alpha_sigma(float(told[0, 0]), 1.0))
        return self.mean * mean + self.spread * deviation * z[:, 3:]


def task_of(network: nn.Module, recipe: EnergyRecipe) -> EnergyTask:
    """Without its images."""
    task = EnergyTask.__new__(EnergyTask)
    task.recipe, task.network = recipe, network  # type: ignore[assignment]
    task.base = SimpleNamespace(levels=3)  # type: ignore[assignment]
    return task


@pytest.mark.parametrize("place", [0.3, 0.7, 1.0])
def test_the_loss_is_least_for_the_posterior_at_each_time(place: float) -> None:
    """Neither with a mean nor with a deviation that are off: one z_t for both samples, a ξ for each."""
    recipe = EnergyRecipe(
        precision="float32", perceptual=0, bands=0, patches=(1,), chroma=1, spread_exponent=0.01, starts=0, early=1
    )
    network = Known(3)
    task = task_of(network, recipe)
    generator = torch.Generator().manual_seed(0)
    residual = MEAN + DEVIATION * torch.randn(100, 3, 16, 16, generator=generator)
    x_hat, quality = torch.zeros_like(residual), torch.full((100,), 2.0)

    def loss(mean: float, spread: float) -> float:
        network.mean, network.spread = mean, spread
        torch.manual_seed(1)
        return float(task.loss(0, from_luma_chroma(residual), x_hat, quality, torch.full((100,), place))[0])

    best = loss(1.0, 1.0)
    for mean, spread in ((0.7, 1.0), (1.3, 1.0), (1.0, 0.75), (1.0, 1.25)):
        assert best < loss(mean, spread)


def test_times_and_what_the_network_is_told() -> None:
    """A share of the crops at t = 1 with a z_1 for each sample, the others with one z_t for both."""
    told: list[tuple[Tensor, Tensor]] = []

    class Told(EnergyNetwork):
        def forward(self, z: Tensor, x_hat: Tensor, t: Tensor, quality: Tensor) -> Tensor:
            told.append((z, t))
            return super().forward(z, x_hat, t, quality)

    torch.manual_seed(0)
    recipe = EnergyRecipe(precision="float32", perceptual=0, band_levels=1, starts=0.25, early=1.0, spread_exponent=1)
    task = task_of(Told(UNetConfig((8,), (1,), ()), 3), recipe)
    count = 80
    places = (torch.arange(count) + 0.5) / count
    x, x_hat = torch.rand(2, count, 3, 8, 8) - 0.5
    loss, figures = task.loss(0, x, x_hat, torch.full((count,), 2.0), places)
    loss.backward()
    assert sorted(figures) == ["bands", "nll", "pixels"]
    z, numbers = told[0]
    (z_t, xi), t, spread = z.split(3, 1), numbers[:count, 0], numbers[:count, 1]
    assert torch.equal(numbers[:count], numbers[count:])  # both samples of a crop are told the same
    assert int((t == 1).sum()) == count // 4
    assert float(t[t < 1].mean()) == pytest.approx(0.5, abs=0.01)
    assert float(spread.mean()) == pytest.approx(0.5, abs=0.05)
    first, second = z_t.chunk(2)
    same = (first == second).flatten(1).all(1)
    assert torch.equal(same, t < 1)
    assert not (xi[:count] == xi[count:]).flatten(1).all(1).any()
    exponent = task_of(task.network, EnergyRecipe(starts=0, early=0.5)).times(places)
    torch.testing.assert_close(exponent, places.sqrt())


@pytest.mark.parametrize(("perceptual", "expected"), [(0.0, ()), (0.5, ("lpips",))])
def test_a_codec_of_it(first_stage_file: Path, tmp_path: Path, perceptual: float, expected: tuple[str, ...]) -> None:
    """From a training's weights: steps, refusals of what would do nothing, and whether LPIPS was in the loss."""
    network, (_, identity) = tiny_network(), load_autoencoder(first_stage_file)
    recipe = {
        "decoder": "energy",
        "unet": TINY_UNET.as_json(),
        "levels": TINY.levels,
        "first_stage": identity,
        "residual_deviation": network.residual_deviation.tolist(),
        "perceptual": perceptual,
    }
    save_tensors(tmp_path / "averaged.safetensors", dict(network.named_parameters()), recipe)
    weights = tmp_path / "energy.safetensors"
    export_decoder(tmp_path / "averaged.safetensors", weights, steps=3)
    codec = hfd("cpu", first_stage=first_stage_file, weights=weights)
    assert codec.kind == "energy"
    assert codec.trained_on == expected
    assert codec.decoder.sampler == EnergySettings(3)
    for key, value in (("noise", "0.5"), ("shift", "0.5")):
        with pytest.raises(UsageError, match=f"codec hfd: steps=1 has no {key}"):
            hfd("cpu", first_stage=first_stage_file, weights=weights, steps="1", **{key: value})


def test_there_are_no_shipped_weights_of_it() -> None:
    with pytest.raises(BenchmarkError, match="has no shipped energy decoder: train one with `python -m benchmark"):
        hfd("cpu", decoder="energy")


def test_a_file_with_other_inputs_is_refused(first_stage_file: Path, tmp_path: Path) -> None:
    """A one-step decoder's network under the name of this kind."""
    _, identity = load_autoencoder(first_stage_file)
    configuration = {"unet": TINY_UNET.as_json(), "levels": 3, "first_stage": identity, "steps": 2, "realism": 0.3}
    write_weights(tmp_path / "w.safetensors", tiny_network(ScoreNetwork), "energy", configuration, {})
    with pytest.raises(BenchmarkError, match="of another architecture"):
        hfd("cpu", first_stage=first_stage_file, weights=tmp_path / "w.safetensors")
