"""Tiles of the score-based decoder: they see as far as the network looks, so there is no seam."""

from pathlib import Path

import pytest
import torch

from benchmark.hfd.noise import gaussian_noise
from benchmark.hfd.sampling import NOISE_ROWS, DiffusionSettings, FlowSettings, Sampler, ScoreDecoder, _noise
from benchmark.hfd.score import FlowNetwork, ScoreNetwork, load_score_network
from benchmark.hfd.unet import SMALL, UNet, UNetConfig


def network_of(kind: str) -> ScoreNetwork:
    """The shipped architecture with random weights that reach the output."""
    torch.manual_seed(0)
    network = FlowNetwork(SMALL, 3, 1.0) if kind == "flow" else ScoreNetwork(SMALL, 3)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "conv2.weight" in name or "exit.weight" in name:
                parameter.normal_(0, 0.05)
    network.residual_deviation.fill_(0.05)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("config", [SMALL, UNetConfig((8, 12), (1, 2), (3,), 16), UNetConfig((8,), (2,), (), 16)])
def test_reach_bounds_what_a_pixel_depends_on(config: UNetConfig) -> None:
    torch.manual_seed(0)
    unet = UNet(config)
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.normal_(0, 0.3)
    cell = unet.stride
    start = cell * (unet.reach // cell + 4)
    z = torch.zeros(1, 3, 2 * cell, 2 * start + cell, requires_grad=True)
    t = torch.tensor([0.5])
    for at in (start, start + cell - 1):
        z.grad = None
        unet(z, torch.zeros_like(z), t, t)[0, 0, 1, at].backward()
        assert z.grad is not None
        columns = z.grad.abs().sum((0, 1, 2)).nonzero().flatten()
        assert start - unet.reach <= int(columns.min())
        assert int(columns.max()) < start + cell + unet.reach
        assert int(columns.max()) - int(columns.min()) > unet.reach  # the bound is not idle


@pytest.mark.parametrize("sampler", [FlowSettings(2), DiffusionSettings(2, noise=0.5)])
def test_tiles_give_the_whole_picture(sampler: Sampler) -> None:
    network = network_of("flow" if isinstance(sampler, FlowSettings) else "diffusion")
    x_hat = torch.rand(1, 3, 150, 420, generator=torch.Generator().manual_seed(1)) - 0.5
    whole = ScoreDecoder(network, sampler).sample(x_hat, 20, seed=3)
    tiled = ScoreDecoder(network, sampler, tile=8).sample(x_hat, 20, seed=3)
    assert float((whole - x_hat).abs().mean()) > 0.01  # there is something to see
    assert float((whole - tiled).abs().max()) < 1e-5
    # across the borders of the tiles the gradient is that of everywhere else
    borders = [128, 256, 384]
    gradient = (tiled[..., 1:] - tiled[..., :-1]).abs().mean((0, 1, 2))
    at_borders = torch.stack([gradient[b - 1] for b in borders]).mean()
    assert float(at_borders) == pytest.approx(float(gradient.mean()), rel=0.25)


def test_noise_in_strips_is_the_noise() -> None:
    height = NOISE_ROWS + 9
    assert torch.equal(_noise(5, 2, height, 7)[0], torch.from_numpy(gaussian_noise(5, 2, height, 7)))


def test_bfloat16_stays_close(flow_file: Path) -> None:
    network, _, _ = load_score_network(flow_file, "flow")
    x_hat = torch.rand(1, 3, 64, 80, generator=torch.Generator().manual_seed(1)) - 0.5
    one, other = (ScoreDecoder(network, FlowSettings(3), p).sample(x_hat, 10, 0) for p in ("float32", "bfloat16"))
    assert float((one - other).square().mean()) < 10**-5  # 50 dB
