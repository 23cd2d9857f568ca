"""The probabilities: by definition, in plain numpy, and what every distribution must be."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import logistic, norm
from support.hific_checkpoints import fill_by_rule

from benchmark.baselines.hific.density import FactorisedDensity, bits, cumulative, latent_likelihood, lower_bound


@pytest.fixture(scope="module")
def density() -> FactorisedDensity:
    made = FactorisedDensity(4)
    fill_by_rule(made)
    return made.requires_grad_(False)


def test_logits_by_definition(density: FactorisedDensity) -> None:
    """One channel, one number at a time; the last layer has its gate as well."""
    given_ = density.logits(torch.tensor([-2.5, 0.0, 3.0]).expand(4, 1, 3)).numpy()
    parameters = {name: value.double().numpy() for name, value in density.state_dict().items()}
    for channel in range(4):
        for place, start in enumerate((-2.5, 0.0, 3.0)):
            x = np.array([[start]])
            for k in range(4):
                u = np.log1p(np.exp(parameters[f"H_{k}"][channel])) @ x + parameters[f"b_{k}"][channel]
                x = u + np.tanh(parameters[f"a_{k}"][channel]) * np.tanh(u)
            assert given_[channel, 0, place] == pytest.approx(float(x[0, 0]), abs=1e-5)


def test_the_last_gate_counts(density: FactorisedDensity) -> None:
    """What CompressAI's bottleneck lacks: without it the density is another one."""
    other = FactorisedDensity(4)
    other.load_state_dict({name: v * (0 if name == "a_3" else 1) for name, v in density.state_dict().items()})
    x = torch.zeros(4, 1, 1)
    assert not torch.allclose(density.logits(x), other.logits(x), atol=0.01)


def test_probabilities_of_all_integers_sum_to_one(density: FactorisedDensity) -> None:
    grid = torch.arange(-400.0, 401).expand(4, 1, -1)
    assert density.interval(grid).sum(-1).flatten().tolist() == pytest.approx([1] * 4, abs=1e-4)


def test_no_digits_are_lost_in_the_upper_tail(density: FactorisedDensity) -> None:
    far = torch.full((4, 1, 1), 30.0)
    exact = FactorisedDensity(4)
    exact.load_state_dict(density.state_dict())
    exact.double()
    with torch.no_grad():
        wanted = exact.interval(far.double()).flatten().tolist()
        assert all(0 < value < 1e-3 for value in wanted)
        assert density.interval(far).flatten().tolist() == pytest.approx(wanted, rel=1e-3)


def test_likelihood_keeps_channels_and_places_apart(density: FactorisedDensity) -> None:
    z = torch.round(torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0)) * 3)
    whole = density(z)
    for n, c, i, j in ((0, 0, 0, 0), (1, 2, 2, 4), (0, 3, 1, 2)):
        alone = density.interval(torch.full((4, 1, 1), float(z[n, c, i, j])))[c, 0, 0]
        assert float(whole[n, c, i, j]) == pytest.approx(max(float(alone), 1e-9), rel=1e-5)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.11, 20), st.sampled_from(["gaussian", "logistic"]))
@settings(max_examples=30)
def test_latent_likelihood_is_that_of_scipy(y: float, mean: float, scale: float, likelihood: str) -> None:
    distribution = {"gaussian": norm, "logistic": logistic}[likelihood](loc=mean, scale=scale)
    wanted = distribution.cdf(y + 0.5) - distribution.cdf(y - 0.5)
    tensors = (torch.tensor([[[[value]]]], dtype=torch.float64) for value in (y, mean, scale))
    assert float(latent_likelihood(*tensors, likelihood)) == pytest.approx(max(wanted, 1e-9), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("likelihood", ["gaussian", "logistic"])
def test_cumulative(likelihood: str) -> None:
    x = torch.linspace(-8, 8, 33, dtype=torch.float64)
    oracle = {"gaussian": norm, "logistic": logistic}[likelihood].cdf(x.numpy())
    assert cumulative(x, likelihood).numpy() == pytest.approx(oracle, rel=1e-9)


def test_bits_of_halves_and_quarters() -> None:
    likelihood = torch.tensor([0.5, 0.25, 1.0, 0.125]).reshape(2, 2, 1, 1)
    assert bits(likelihood).tolist() == pytest.approx([3, 3], abs=1e-5)
    assert float(bits(torch.full((1, 1, 1, 1), 1e-9))) == pytest.approx(-math.log2(2e-9))


def test_lower_bound_lets_what_rises_pass() -> None:
    x = torch.tensor([0.0, 1.0], requires_grad=True)
    lower_bound(x, 0.5).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1]  # minimising the sum would lower the first one further
    x.grad = None
    (-lower_bound(x, 0.5)).sum().backward()
    assert x.grad.tolist() == [-1, -1]
    assert lower_bound(x, 0.5).tolist() == [0.5, 1.0]
