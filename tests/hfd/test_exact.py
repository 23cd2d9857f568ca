import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmark.hfd.exact import (
    ACTIVATION_LIMIT,
    EXACT_LIMIT,
    ONE,
    ExactConv2d,
    ExactSequential,
    HardSwish,
    exact_hard_swish,
    exact_pseudo_exp2,
    exact_pseudo_log2,
    hard_swish,
    pseudo_exp2,
    pseudo_log2,
)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(5, 32, 3, padding=1),
        HardSwish(),
        nn.PixelShuffle(2),
        nn.Conv2d(8, 6, 1),
        HardSwish(),
        nn.Conv2d(6, 4, 1),
    )


def integers(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(-8 * ONE, 8 * ONE, shape, generator=generator).double()


def test_close_to_the_float_network() -> None:
    x = integers(2, 5, 7, 9)
    exact = ExactSequential(network())(x) / ONE
    with torch.no_grad():
        floats = network()((x / ONE).float())
    assert float((exact - floats).abs().max()) < 4 / ONE


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_same_bits_for_any_thread_count_and_without_onednn(threads: int) -> None:
    x = integers(1, 5, 33, 17)
    expected = ExactSequential(network())(x)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        with torch.backends.mkldnn.flags(enabled=False):
            assert torch.equal(ExactSequential(network())(x), expected)
    finally:
        torch.set_num_threads(before)


def test_same_bits_when_channels_are_summed_in_another_order() -> None:
    layer = nn.Conv2d(300, 8, 3, padding=1)
    x = integers(1, 300, 6, 6)
    order = torch.from_numpy(np.random.default_rng(0).permutation(300))
    permuted = nn.Conv2d(300, 8, 3, padding=1)
    permuted.load_state_dict({"weight": layer.weight[:, order], "bias": layer.bias})
    assert torch.equal(ExactConv2d(layer)(x), ExactConv2d(permuted)(x[:, order]))


def test_against_python_integers() -> None:
    layer = ExactConv2d(nn.Conv2d(3, 2, 1))
    x = integers(1, 3, 2, 2)
    for channel in range(2):
        weights = [int(w) for w in layer.weight[channel].flatten()]
        for row in range(2):
            for column in range(2):
                total = sum(w * int(v) for w, v in zip(weights, x[0, :, row, column], strict=True))
                total += int(layer.bias[channel])
                assert int(layer(x)[0, channel, row, column]) == (total + 2**13) >> 14


def test_sums_that_could_lose_bits_are_refused() -> None:
    layer = nn.Conv2d(4, 1, 1)
    nn.init.constant_(layer.weight, 2.0**20)
    with pytest.raises(ValueError, match="2\\*\\*53"):
        ExactConv2d(layer)
    nn.init.constant_(layer.weight, float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        ExactConv2d(layer)


def test_bound_holds_for_the_worst_input() -> None:
    layer = ExactConv2d(nn.Conv2d(16, 4, 3))
    worst = torch.sign(layer.weight) * ACTIVATION_LIMIT
    sums = (layer.weight * worst).sum((1, 2, 3)) + layer.bias.abs()
    assert float(sums.max()) <= layer.largest_sum() < EXACT_LIMIT


@given(st.integers(-(2**24), 2**24))
@settings(max_examples=200, deadline=None)
def test_integer_functions_follow_the_float_ones(value: int) -> None:
    x = torch.tensor([float(value)], dtype=torch.float64)
    assert float(exact_pseudo_log2(x)) == pytest.approx(float(pseudo_log2(x / ONE)) * ONE, abs=1)
    if abs(value) < ACTIVATION_LIMIT:
        assert float(exact_hard_swish(x)) == pytest.approx(float(hard_swish(x / ONE)) * ONE, abs=1)
    if abs(value) < 10 * ONE:
        assert float(exact_pseudo_exp2(x)) == pytest.approx(float(pseudo_exp2(x / ONE)) * ONE, abs=1)


def test_pseudo_exp2_inverts_pseudo_log2() -> None:
    x = torch.linspace(0, 300, 1001, dtype=torch.float64)
    assert torch.allclose(pseudo_exp2(pseudo_log2(x)), 1 + x)
