"""The way in which a decoder runs the U-Net, against the U-Net itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.hfd import inference
from benchmark.hfd.inference import StepNetwork
from benchmark.hfd.unet import SMALL, Block, UNet, UNetConfig


def network(config: UNetConfig) -> UNet:
    """Random weights, no layer asleep."""
    torch.manual_seed(0)
    unet = UNet(config).eval().requires_grad_(False)
    for name, parameter in unet.named_parameters():
        if "conv2" in name or "exit" in name or "gain" in name:
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return unet


NETWORKS = [
    network(SMALL),
    network(UNetConfig((8, 12, 20), (1, 2, 0), (1, 2), 16)),
    network(UNetConfig((5,), (2,), (), 16)),
]


@given(
    st.sampled_from(NETWORKS),
    st.integers(1, 9),
    st.integers(1, 6),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from([1, 3000, 2**20]),
)
@settings(max_examples=40, deadline=None)
@torch.inference_mode()
def test_values_of_the_unet(unet: UNet, rows: int, columns: int, t: float, quality: float, strip_bytes: int) -> None:
    """Any size, in strips of one row and more."""
    shape = (1, 3, rows * unet.stride, columns * unet.stride)
    generator = torch.Generator().manual_seed(rows + 10 * columns)
    z, x_hat = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
    told = torch.tensor([t]), torch.tensor([quality])
    expected = unet(z, x_hat, *told)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "STRIP_BYTES", strip_bytes)
        out = StepNetwork(unet, *told)(z, x_hat)
    assert out.shape == shape
    assert float((out - expected).abs().max()) < 1e-4 * float(expected.std())


@pytest.mark.parametrize("strip_bytes", [1, 3000, 2**20])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 40), (64, 80)])
@torch.inference_mode()
def test_bfloat16_is_another_precision_of_the_same(
    height: int, width: int, strip_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    unet, told = NETWORKS[0], (torch.tensor([0.3]), torch.tensor([0.6]))
    z, x_hat = torch.randn(2, 1, 3, height, width, generator=torch.Generator().manual_seed(0))
    expected = unet(z, x_hat, *told)
    monkeypatch.setattr(inference, "STRIP_BYTES", strip_bytes)
    out = StepNetwork(unet, *told, precision="bfloat16")(z, x_hat)
    assert out.dtype == torch.float32
    assert 1e-4 < float((out - expected).std() / expected.std()) < 0.02


@torch.inference_mode()
def test_the_arguments_are_left_alone() -> None:
    unet, told = NETWORKS[1], (torch.tensor([0.3]), torch.tensor([0.6]))
    z, x_hat = torch.randn(2, 1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    before = z.clone(), x_hat.clone(), [parameter.clone() for parameter in unet.parameters()]
    StepNetwork(unet, *told)(z, x_hat)
    assert torch.equal(z, before[0])
    assert torch.equal(x_hat, before[1])
    assert all(torch.equal(one, other) for one, other in zip(unet.parameters(), before[2], strict=True))


def test_a_block_that_widens_is_refused() -> None:
    unet = network(UNetConfig((8,), (1,), (), 16))
    unet.down[0][0] = Block(8, 12, 16)  # type: ignore[index]
    with pytest.raises(ValueError, match="changes the number of channels"):
        StepNetwork(unet, torch.zeros(1), torch.zeros(1))
