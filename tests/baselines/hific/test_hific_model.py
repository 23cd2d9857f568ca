"""The networks against the public code, the paper's size, and what their parts are by definition."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hific_checkpoints import SMALL, example_picture, fill_by_rule
from torch.utils.flop_counter import FlopCounterMode

from benchmark.baselines.hific.codec import picture_to_tensor
from benchmark.baselines.hific.density import bits, latent_likelihood
from benchmark.baselines.hific.model import Hific, HificConfig, latent_size, quantise
from benchmark.baselines.hific.network import ChannelNorm, Encoder, pad_by_reflection

PLACES = [(0, 0, 0), (0, 69, 1), (82, 0, 2), (82, 69, 0), (41, 35, 1), (17, 52, 2), (60, 9, 0)]
"""Row, column, channel."""

# By github.com/Justin-Tan/high-fidelity-generative-compression at 7d4e9e7, with its widths cut to those of SMALL and
# the weights of `values_of`, in evaluation mode, for example_picture(83, 70): bits of the hyper-latents and of the
# latents, mean and deviation of the reconstruction, the reconstruction at PLACES.
PUBLIC = {
    ("gaussian", True): (
        195.658708,
        2079.675522,
        0.706862,
        0.131357,
        [0.771811, 0.614614, 0.729802, 0.79202, 0.433057, 0.742921, 0.903874],
    ),
    ("logistic", False): (
        193.447509,
        1492.428932,
        0.485505,
        0.304590,
        [1.0, 0.179534, 0.279915, 0.903618, 0.186176, 0.540974, 1.0],
    ),
}


@pytest.mark.parametrize("conventions", PUBLIC)
def test_as_the_public_code_reconstructs_and_estimates(conventions: tuple[str, bool]) -> None:
    """83×70 pixels: the image is padded, and its 6×5 latents are padded again."""
    likelihood, signed_range = conventions
    model = Hific(replace(SMALL, likelihood=likelihood, signed_range=signed_range)).eval()
    fill_by_rule(model)
    hyper_bits, latent_bits, mean_value, deviation, values = PUBLIC[conventions]
    with torch.no_grad():
        y = model.analyse(picture_to_tensor(example_picture(83, 70)))
        z_hat = model.hyper_analyse(y)
        mean, scale = model.mean_and_scale(z_hat)
        y_hat = quantise(y, mean)
        picture = model.synthesise(y_hat, 83, 70)
        estimated = bits(model.Hyperprior.hyperlatent_likelihood(z_hat))
        conditional = bits(latent_likelihood(y_hat, mean, scale, likelihood))
        total = model.estimate(y_hat, z_hat, mean, scale)
    assert picture.shape == (1, 3, 83, 70)
    assert [float(picture[0, c, i, j]) for i, j, c in PLACES] == pytest.approx(values, abs=1e-4)
    assert float(picture.mean()) == pytest.approx(mean_value, abs=1e-5)
    assert float(picture.std()) == pytest.approx(deviation, abs=1e-5)
    assert float(estimated) == pytest.approx(hyper_bits, rel=1e-3)
    assert float(conditional) == pytest.approx(latent_bits, rel=1e-3)
    assert float(total) == pytest.approx(hyper_bits + latent_bits, rel=1e-3)


@pytest.fixture(scope="module")
def full_size() -> Hific:
    with torch.device("meta"):
        return Hific()


def test_full_size_has_181_million_parameters(full_size: Hific) -> None:
    def millions(module: torch.nn.Module) -> float:
        return sum(p.numel() for p in module.parameters()) / 1e6

    assert millions(full_size) == pytest.approx(181.5, abs=0.05)
    parts = [full_size.Encoder, full_size.Generator, full_size.Hyperprior]
    assert sum(map(millions, parts)) == pytest.approx(millions(full_size))


def test_operations_per_pixel(full_size: Hific) -> None:
    def kilo_multiplications(network: torch.nn.Module, shape: tuple[int, ...], pixels: int) -> float:
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            network(torch.empty(shape))
        return counter.get_total_flops() / 2 / pixels / 1e3

    assert kilo_multiplications(full_size.Encoder, (1, 3, 256, 256), 256**2) == pytest.approx(81, abs=0.5)
    # The first and last layers see no border at this size, as at any other.
    assert kilo_multiplications(full_size.Generator, (1, 220, 16, 16), 256**2) == pytest.approx(664, abs=0.5)


def test_names_and_shapes_are_those_of_the_public_checkpoints(full_size: Hific) -> None:
    expected: dict[str, tuple[int, ...]] = {
        "Encoder.conv_block1.1.weight": (60, 3, 7, 7),
        "Encoder.conv_block1.2.gamma": (1, 60, 1, 1),
        "Encoder.conv_block2.1.weight": (120, 60, 3, 3),
        "Encoder.conv_block5.1.weight": (960, 480, 3, 3),
        "Encoder.conv_block5.2.beta": (1, 960, 1, 1),
        "Encoder.conv_block_out.1.weight": (220, 960, 3, 3),
        "Generator.conv_block_init.0.gamma": (1, 220, 1, 1),
        "Generator.conv_block_init.2.weight": (960, 220, 3, 3),
        "Generator.conv_block_init.3.beta": (1, 960, 1, 1),
        "Generator.resblock_0.conv1.weight": (960, 960, 3, 3),
        "Generator.resblock_8.conv2.bias": (960,),
        "Generator.resblock_8.norm2.gamma": (1, 960, 1, 1),
        "Generator.upconv_block1.0.weight": (960, 480, 3, 3),
        "Generator.upconv_block4.0.weight": (120, 60, 3, 3),
        "Generator.upconv_block4.1.gamma": (1, 60, 1, 1),
        "Generator.conv_block_out.1.weight": (3, 60, 7, 7),
        "Hyperprior.analysis_net.conv1.weight": (320, 220, 3, 3),
        "Hyperprior.analysis_net.conv3.weight": (320, 320, 5, 5),
        "Hyperprior.synthesis_mu.conv2.weight": (320, 320, 5, 5),
        "Hyperprior.synthesis_std.conv3.weight": (320, 220, 3, 3),
        "Hyperprior.hyperlatent_likelihood.H_0": (320, 3, 1),
        "Hyperprior.hyperlatent_likelihood.H_2": (320, 3, 3),
        "Hyperprior.hyperlatent_likelihood.H_3": (320, 1, 3),
        "Hyperprior.hyperlatent_likelihood.a_3": (320, 1, 1),
        "Hyperprior.hyperlatent_likelihood.b_0": (320, 3, 1),
    }
    shapes = {name: tuple(tensor.shape) for name, tensor in full_size.state_dict().items()}
    assert expected.items() <= shapes.items()
    # 6 blocks of encoder (2 parameters each, 2 of a norm in five), generator 8 + 9·8 + 4·4 + 2, hyperprior 3·6 + 12
    assert len(shapes) == 6 * 2 + 5 * 2 + (6 + 9 * 8 + 4 * 4 + 2) + 3 * 6 + 12
    assert "Generator.resblock_9.conv1.weight" not in shapes


def test_channel_norm_by_definition() -> None:
    x = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
    norm = ChannelNorm(5)
    with torch.no_grad():
        norm.gamma.copy_(torch.arange(1.0, 6).reshape(1, 5, 1, 1))
        norm.beta.fill_(0.25)
        given_ = norm(x).numpy()
    array = x.numpy().astype(np.float64)
    normalised = (array - array.mean(1, keepdims=True)) / np.sqrt(array.var(1, ddof=1, keepdims=True) + 1e-3)
    assert given_ == pytest.approx(normalised * np.arange(1, 6).reshape(1, 5, 1, 1) + 0.25, abs=1e-5)


def test_strided_convolutions_have_their_border_above_and_at_the_right() -> None:
    """Pixel (1, 0), seen once with a border above: by row 0 of the output through the kernel's row 2, and row 1."""
    block = Encoder((1, 1, 1, 1, 1), 1).get_submodule("conv_block2")
    pad, convolution = block[0], block[1]  # type: ignore[index]
    with torch.no_grad():
        convolution.weight.copy_(torch.arange(1.0, 10).reshape(1, 1, 3, 3))
        convolution.bias.zero_()
        x = torch.zeros(1, 1, 4, 4)
        x[0, 0, 2, 0] = 1
        # Row 2 is row 3 with the border: kernel row 1 of output row 1; column 0 is the kernel's column 0.
        assert convolution(pad(x))[0, 0].tolist() == [[0, 0], [4, 0]]
        x = torch.zeros(1, 1, 4, 4)
        x[0, 0, 1, 3] = 1
        # Row 1 is reflected to the border above: kernel rows 0 and 2 of output row 0, and row 0 of output row 1. Column
        # 3 is the kernel's column 1 of output column 1.
        assert convolution(pad(x))[0, 0].tolist() == [[0, 2 + 8], [0, 2]]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 30), st.integers(0, 30))
def test_reflection_goes_on_where_torch_stops(height: int, width: int, below: int, right: int) -> None:
    x = torch.arange(height * width * 2.0).reshape(1, 2, height, width)
    padded = pad_by_reflection(x, height + below, width + right)
    widths = ((0, 0), (0, 0), (0, below), (0, right))
    assert np.array_equal(padded.numpy(), np.pad(x.numpy(), widths, mode="reflect"))
    if below < height and right < width:
        assert torch.equal(padded, F.pad(x, (0, right, 0, below), mode="reflect"))


@given(st.integers(1, 300), st.integers(1, 300))
def test_latent_size(height: int, width: int) -> None:
    rows, columns = latent_size(height, width)
    for latents, side in ((rows, height), (columns, width)):
        assert latents % 4 == 0
        assert latents >= 8
        assert 16 * latents >= side
        assert latents == 8 or 16 * (latents - 4) < side


@given(st.integers(1, 150), st.integers(1, 150))
@settings(max_examples=10, deadline=None)
def test_pictures_of_any_size(height: int, width: int) -> None:
    model = Hific(SMALL)
    with torch.no_grad():
        y = model.analyse(torch.rand(1, 3, height, width))
        assert y.shape == (1, 10, *latent_size(height, width))
        assert model.hyper_analyse(y).shape == (1, 16, y.shape[2] // 4, y.shape[3] // 4)
        assert model.synthesise(y, height, width).shape == (1, 3, height, width)


def test_training_forward() -> None:
    """The straight-through ŷ, gradients in every parameter, and noise that costs about what rounding costs."""
    torch.manual_seed(0)
    model = Hific(replace(SMALL, signed_range=True))
    fill_by_rule(model)
    coded = model(torch.rand(2, 3, 128, 128) * 2 - 1)
    assert coded.reconstruction.shape == (2, 3, 128, 128)
    assert float(coded.reconstruction.detach().abs().max()) <= 1
    assert coded.noisy_bits.shape == coded.rounded_bits.shape == (2,)
    assert coded.noisy_bits.detach().numpy() == pytest.approx(coded.rounded_bits.numpy(), rel=0.2)
    (coded.reconstruction.square().mean() + 1e-5 * coded.noisy_bits.sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert float(parameter.grad.abs().max()) > 0, name


def test_defaults_are_the_papers() -> None:
    assert HificConfig() == HificConfig((60, 120, 240, 480, 960), 220, 320, 9, (3, 3, 3), "gaussian", True)
