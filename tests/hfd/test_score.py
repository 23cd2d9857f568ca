from pathlib import Path

import pytest
import torch

from benchmark.hfd.decoders.flow import FlowSettings
from benchmark.hfd.sampling import ScoreDecoder
from benchmark.hfd.score import LocalDeviation, from_luma_chroma, load_score_network, to_luma_chroma
from benchmark.hfd.training.decoder import gaussian_nll


def test_luma_and_chroma_are_orthonormal() -> None:
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(from_luma_chroma(to_luma_chroma(x)), x, atol=1e-6)
    assert float(to_luma_chroma(x).square().sum()) == pytest.approx(float(x.square().sum()), rel=1e-6)
    grey = to_luma_chroma(torch.full((1, 3, 1, 1), 0.5))[0, :, 0, 0]
    assert grey.tolist() == pytest.approx([0.5 * 3**0.5, 0, 0], abs=1e-6)


def test_local_deviation_begins_at_that_of_the_quality() -> None:
    assert torch.equal(LocalDeviation()(torch.randn(1, 3, 16, 24), torch.tensor([0.3])), torch.zeros(1, 1, 16, 24))


def test_nll_is_least_at_the_true_deviation() -> None:
    residual = 0.03 * torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    likelihoods = [
        float(gaussian_nll(residual, torch.full_like(residual, deviation)).mean()) for deviation in (0.027, 0.03, 0.033)
    ]
    assert min(likelihoods) == likelihoods[1]


def test_without_noise_and_with_a_silent_network_the_sample_is_x_hat(flow_file: Path) -> None:
    """With an output of zero, c_skip·z is the velocity; from z = 0 nothing moves."""
    network, _, _ = load_score_network(flow_file, "flow")
    torch.nn.init.zeros_(network.unet.exit.weight)
    x_hat = torch.rand(1, 3, 21, 30, generator=torch.Generator().manual_seed(0)) - 0.5
    sample = ScoreDecoder(network, FlowSettings(steps=5, noise=0.0)).sample(x_hat, 32, seed=0)
    assert torch.allclose(sample, x_hat, atol=1e-6)


def test_noise_moves_the_sample_by_the_deviation(flow_file: Path) -> None:
    """With an output of zero the flow maps N(0, 1) to N(0, 1), so the sample is x̂ + σ_r·n."""
    network, _, _ = load_score_network(flow_file, "flow")
    torch.nn.init.zeros_(network.unet.exit.weight)
    x_hat = torch.zeros(1, 3, 64, 64)
    sample = ScoreDecoder(network, FlowSettings(steps=100)).sample(x_hat, 0, seed=0)
    spread = to_luma_chroma(sample).std((2, 3))[0]
    assert spread.tolist() == pytest.approx(network.residual_deviation[0].tolist(), rel=0.1)
