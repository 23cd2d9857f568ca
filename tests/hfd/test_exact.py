import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmark.hfd import exact
from benchmark.hfd.exact import (
    ACTIVATION_BITS,
    ACTIVATION_LIMIT,
    EXACT_LIMIT,
    LATENT_ONE,
    ONE,
    WEIGHT_BITS,
    ExactConv2d,
    ExactSequential,
    HardSwish,
    exact_dtype,
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


def integers(*shape: int, reach: int = 8 * ONE) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(-reach, reach + 1, shape, generator=generator).float()


def heavy(channels_in: int, channels: int, size: int) -> nn.Conv2d:
    """A convolution whose sums need several groups."""
    torch.manual_seed(2)
    layer = nn.Conv2d(channels_in, channels, size, padding=size // 2)
    with torch.no_grad():
        layer.weight.uniform_(-0.4, 0.4)
    return layer


def test_close_to_the_float_network() -> None:
    x = integers(2, 5, 7, 9)
    exact_result = ExactSequential(network())(x) / ONE
    with torch.no_grad():
        floats = network()(x / ONE)
    assert float((exact_result - floats).abs().max()) < 4 / ONE


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_integers_for_any_thread_count_type_and_without_onednn(
    threads: int, onednn: bool, dtype: torch.dtype
) -> None:
    x = integers(1, 100, 17, 13, reach=ACTIVATION_LIMIT)
    plain = nn.Sequential(heavy(100, 16, 3), HardSwish(), heavy(16, 4, 1))
    network_ = ExactSequential(plain)
    expected = network_(x.double())
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        with torch.backends.mkldnn.flags(enabled=onednn):
            result = network_(x.to(dtype))
    finally:
        torch.set_num_threads(before)
    assert result.dtype == dtype
    assert torch.equal(result.double(), expected)


def test_same_integers_when_channels_are_summed_in_another_order() -> None:
    layer = heavy(300, 8, 3)
    x = integers(1, 300, 6, 6, reach=ACTIVATION_LIMIT)
    order = torch.from_numpy(np.random.default_rng(0).permutation(300))
    permuted = nn.Conv2d(300, 8, 3, padding=1)
    permuted.load_state_dict({"weight": layer.weight[:, order], "bias": layer.bias})
    one, other = ExactConv2d(layer), ExactConv2d(permuted)
    assert len(one.groups) > 10
    assert torch.equal(one(x), other(x[:, order]))


@pytest.mark.parametrize(("channels", "size"), [(3, 1), (40, 3)])
def test_against_python_integers(channels: int, size: int) -> None:
    layer = ExactConv2d(heavy(channels, 2, size))
    x = integers(1, channels, 3, 3, reach=ACTIVATION_LIMIT)
    padded = torch.nn.functional.pad(x, (size // 2,) * 4)
    result = layer(x)
    for out, row, column in itertools.product(range(2), range(3), range(3)):
        window = padded[0, :, row : row + size, column : column + size].flatten().tolist()
        weights = layer.weight[out].flatten().tolist()
        total = sum(int(w) * int(v) for w, v in zip(weights, window, strict=True))
        rounded = (total + int(layer.bias[out])) >> WEIGHT_BITS  # the bias holds the half that rounds
        assert int(result[0, out, row, column]) == max(-ACTIVATION_LIMIT, min(ACTIVATION_LIMIT, rounded))


def test_weights_that_no_float_can_sum_are_refused() -> None:
    layer = nn.Conv2d(4, 1, 1)
    nn.init.constant_(layer.weight, 2.0**33)
    with pytest.raises(ValueError, match="2\\*\\*53"):
        ExactConv2d(layer)
    nn.init.constant_(layer.weight, float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        ExactConv2d(layer)


def test_a_channel_too_heavy_for_float32_is_summed_in_float64() -> None:
    layer = heavy(5, 3, 3)
    with torch.no_grad():
        layer.weight[1, 2] = 40.0
    summed = ExactConv2d(layer)
    assert summed.groups == []
    x = integers(1, 5, 6, 6, reach=ACTIVATION_LIMIT)
    assert summed(x).dtype == torch.float32
    assert torch.equal(summed(x).double(), summed(x.double()))


def test_bound_holds_for_the_worst_input() -> None:
    layer = ExactConv2d(heavy(80, 4, 3))
    assert len(layer.groups) > 1
    assert [low for low, _ in layer.groups] == [0, *(high for _, high in layer.groups[:-1])]
    assert layer.groups[-1][1] == 80
    for first, end in layer.groups:
        weight = layer.weight[:, first:end]
        sums = (weight * torch.sign(weight) * ACTIVATION_LIMIT).sum((1, 2, 3))
        if first == 0:
            sums += layer.bias.abs()
        assert float(sums.max()) <= layer.largest_sum(first, end) <= EXACT_LIMIT


def test_lossy_float32_convolutions_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exact_dtype() == torch.float32
    plain = torch.nn.functional.conv2d

    def rounds_to_bfloat16(x: torch.Tensor, weight: torch.Tensor, *rest: object, **options: object) -> torch.Tensor:
        if x.dtype == torch.float32:
            x, weight = x.bfloat16().float(), weight.bfloat16().float()
        return plain(x, weight, *rest, **options)  # type: ignore[arg-type]

    def loses_the_last_bit(*arguments: object, **options: object) -> torch.Tensor:
        sums = plain(*arguments, **options)  # type: ignore[arg-type]
        return sums * (1 + 2**-23) if sums.dtype == torch.float32 else sums

    for lossy in (rounds_to_bfloat16, loses_the_last_bit):
        monkeypatch.setattr(exact.F, "conv2d", lossy)
        assert exact_dtype() == torch.float64


def test_pseudo_log2_over_its_whole_range() -> None:
    for exponent in range(10, 24):  # of m = 1024 + |x|
        m = np.arange(2**exponent, 2 ** (exponent + 1), dtype=np.int64)
        # 64·(exponent − 10 + m/2^exponent − 1), rounded half up
        expected = (2 * ONE * (exponent - 11) + ((2 * ONE * m) >> exponent) + 1) >> 1
        x = torch.from_numpy((m - LATENT_ONE).astype(np.int32))
        result = exact_pseudo_log2(x)
        assert np.array_equal(result.numpy(), expected)
        if exponent < 20:
            assert torch.equal(exact_pseudo_log2(-x), -result)
    ends = torch.tensor([EXACT_LIMIT - LATENT_ONE, EXACT_LIMIT, 2**30, -(2**30)], dtype=torch.int32)
    assert exact_pseudo_log2(ends).tolist() == [14 * ONE, 14 * ONE, 14 * ONE, -14 * ONE]


def test_pseudo_exp2_and_hard_swish_over_their_whole_range() -> None:
    x = torch.arange(-4 * ONE, 7 * ONE + 1)
    result = exact_pseudo_exp2(x)
    for value, found in zip(x.tolist(), result.tolist(), strict=True):
        whole, rest = divmod(value, ONE)
        numerator = (ONE + rest) * LATENT_ONE * 2 ** (whole + 4)
        assert numerator % (16 * ONE) == 0  # exact: nothing is rounded
        assert found == numerator // (16 * ONE)
    x = torch.arange(-ACTIVATION_LIMIT, ACTIVATION_LIMIT + 1)
    swish = [(v * max(0, min(4 * ONE, v + 2 * ONE)) + 2 * ONE) // (4 * ONE) for v in x.tolist()]
    assert exact_hard_swish(x.float()).tolist() == swish


@given(st.integers(-(2**24) + LATENT_ONE, 2**24 - LATENT_ONE))
@settings(max_examples=200, deadline=None)
def test_integer_functions_follow_the_float_ones(value: int) -> None:
    x = torch.tensor([value], dtype=torch.int32)
    assert float(exact_pseudo_log2(x)) == pytest.approx(float(pseudo_log2(x.double() / LATENT_ONE)) * ONE, abs=0.51)
    small = torch.tensor([value % (2 * ACTIVATION_LIMIT) - ACTIVATION_LIMIT])
    swish = float(hard_swish(small.double() / ONE)) * ONE
    assert float(exact_hard_swish(small.float())) == pytest.approx(swish, abs=0.51)
    log2 = torch.tensor([value % (11 * ONE) - 4 * ONE])
    assert int(exact_pseudo_exp2(log2)) == float(pseudo_exp2(log2.double() / ONE)) * LATENT_ONE


def test_pseudo_log2_is_the_same_with_and_without_gradients() -> None:
    x = torch.cat([torch.linspace(-9, 9, 1001), torch.logspace(0, 6, 101)])
    expected = pseudo_log2(x.double())
    assert torch.allclose(pseudo_log2(x).double(), expected, atol=1e-5)
    with_gradient = pseudo_log2(x.clone().requires_grad_())
    assert with_gradient.requires_grad
    assert torch.allclose(with_gradient.detach().double(), expected, atol=1e-5)


def test_pseudo_exp2_inverts_pseudo_log2() -> None:
    x = torch.linspace(0, 300, 1001, dtype=torch.float64)
    assert torch.allclose(pseudo_exp2(pseudo_log2(x)), 1 + x)
    assert ONE == 2**ACTIVATION_BITS
