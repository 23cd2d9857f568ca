"""Weights for another network: a flow's as a diffusion's, a U-Net's for one of more levels; the same function."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmark.errors import UsageError
from benchmark.files import write_tensors
from benchmark.hfd.decoders.energy import EnergyNetwork
from benchmark.hfd.score import ScoreNetwork, load_score_network
from benchmark.hfd.training.conversion import (
    begin_diffusion,
    begin_flow,
    begin_larger,
    energy_as_diffusion,
    flow_as_diffusion,
)
from benchmark.hfd.unet import SMALL, UNetConfig
from benchmark.hfd.weights import SHIPPED, write_weights
from benchmark.training.checkpoint import fitting_weights, read_training

FLOW = SHIPPED / "flow-small.safetensors"


@pytest.mark.parametrize("angle", [0.05, 0.3, 0.5, 0.8])
def test_network_says_minus_the_flows_output_at_the_mirrored_time(angle: float) -> None:
    flow, _, _ = load_score_network(FLOW, "flow")
    diffusion = ScoreNetwork(flow.unet.config, flow.levels)
    diffusion.load_state_dict(flow_as_diffusion(flow.state_dict()))
    generator = torch.Generator().manual_seed(0)
    z, x_hat = torch.randn(2, 1, 3, 32, 32, generator=generator)
    quality = torch.tensor([0.3])
    with torch.no_grad():
        v = diffusion.unet(z, x_hat, torch.tensor([angle]), quality)
        said = flow.unet(z, x_hat, torch.tensor([1 - angle]), quality)
    torch.testing.assert_close(v, -said, atol=1e-4, rtol=1e-4)


def test_flows_velocity_and_the_diffusions_v_differ_in_units_alone() -> None:
    """z_t/deviation, what the preconditioning asks of the network, and v = α·n − σ·r."""
    from benchmark.hfd.decoders import flow

    r, n = torch.randn(2, 1, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for t in (0.1, 0.5, 0.7):
        times = torch.tensor([t], dtype=torch.float64)
        z = flow.interpolate(n, r, times)
        nothing, one = torch.zeros_like(z), torch.ones_like(z)
        asked = (r - n - flow.precondition(nothing, z, times, 1.0)) / flow.precondition(one, nothing, times, 1.0)
        deviation = math.hypot(t, 1 - t)
        torch.testing.assert_close(asked, -(t * n - (1 - t) * r) / deviation)


def test_begins_with_a_flow_of_kappa_1_alone(tmp_path: Path) -> None:
    converted = begin_diffusion(FLOW, tmp_path / "new")
    tensors, _ = read_training(converted)
    original, _ = read_training(FLOW)
    assert torch.equal(tensors["unet.exit.weight"], -original["unet.exit.weight"])
    network, configuration, _ = load_score_network(FLOW, "flow")
    other = tmp_path / "other.safetensors"
    write_weights(other, network, "flow", configuration, {"decoder": "flow", "kappa": 0.5})
    with pytest.raises(UsageError, match=r"kappa 1 can begin a diffusion, not 0\.5"):
        begin_diffusion(other, tmp_path / "new")
    write_weights(other, network, "diffusion", configuration, {"decoder": "diffusion"})
    assert begin_diffusion(other, tmp_path / "new") == other


@pytest.mark.parametrize("t", [0.1, 0.6, 1.0])
def test_a_diffusion_says_what_the_energy_decoder_says_at_spread_0(t: float) -> None:
    """With ξ = 0. Each weight is random, so that none is left out for being 0 at first."""
    config = UNetConfig((8, 12), (1, 1), (1,), embedding=16)
    energy, diffusion = EnergyNetwork(config, 3), ScoreNetwork(config, 3)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in energy.parameters():
            parameter.normal_(0, 0.2, generator=generator)
    diffusion.load_state_dict(energy_as_diffusion(energy.state_dict()))
    z, x_hat = torch.randn(2, 1, 3, 16, 16, generator=generator)
    quality, told = torch.tensor([1.5]), torch.tensor([[t, 0.0]])
    a = math.pi / 2 * t
    with torch.no_grad():
        r_hat = energy(torch.cat([z, torch.zeros_like(z)], 1), x_hat, told, quality)
        v = diffusion(z, x_hat, told[:, 0], quality)
    assert float(r_hat.abs().mean()) > 0.05
    torch.testing.assert_close(math.cos(a) * z - math.sin(a) * v, r_hat, atol=1e-5, rtol=1e-5)


def test_a_flow_begins_with_a_diffusion_and_is_one_again(tmp_path: Path) -> None:
    diffusion = begin_diffusion(FLOW, tmp_path / "diffusion")
    tensors, recipe = read_training(diffusion)
    write_tensors(diffusion, tensors, {"training": json.dumps(recipe | {"decoder": "diffusion"})})
    again, _ = read_training(begin_flow(diffusion, tmp_path / "flow"))
    original, _ = read_training(FLOW)
    assert again.keys() == original.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in original.items())
    assert begin_flow(FLOW, tmp_path / "flow") == FLOW


@pytest.mark.parametrize("begin", [begin_diffusion, begin_flow])
def test_both_begin_with_the_energy_decoder(begin: Callable[[Path, Path], Path], tmp_path: Path) -> None:
    config = UNetConfig((8, 12), (1, 1), (1,), embedding=16)
    start = tmp_path / "energy.safetensors"
    write_tensors(start, EnergyNetwork(config, 3).state_dict(), {"training": json.dumps({"decoder": "energy"})})
    network = ScoreNetwork(config, 3)
    assert fitting_weights(begin(start, tmp_path / "new"), network).keys() == dict(network.named_parameters()).keys()


def test_a_larger_network_computes_the_same_at_first(tmp_path: Path) -> None:
    """Two levels more, and more blocks, of which the weights say nothing."""
    small, _, _ = load_score_network(FLOW, "flow")
    config = UNetConfig((*SMALL.channels, 24, 16), (3, 3, 5, 1, 1), (2, 3, 1, 1))
    start = begin_larger(FLOW, config, tmp_path / "new")
    torch.manual_seed(0)
    large = ScoreNetwork(config, small.levels)
    own = large.state_dict()
    large.load_state_dict(own | fitting_weights(start, large), strict=True)
    generator = torch.Generator().manual_seed(0)
    z, x_hat = torch.randn(2, 1, 3, 64, 64, generator=generator)
    quality = torch.tensor([0.3])
    with torch.no_grad():
        said = [one.unet(z, x_hat, quality, quality) for one in (small, large)]
    torch.testing.assert_close(said[1], said[0])
    assert begin_larger(FLOW, SMALL, tmp_path / "new") == FLOW
