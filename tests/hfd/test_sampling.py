"""Tiles of the score-based decoder: they see as far as the network looks, so there is no seam."""

import pytest
import torch

from benchmark.datasets.shipped import FOLDER
from benchmark.hfd.autoencoder import FirstStage
from benchmark.hfd.decoders import KINDS
from benchmark.hfd.decoders.diffusion import DiffusionSettings
from benchmark.hfd.decoders.flow import FlowNetwork, FlowSettings
from benchmark.hfd.decoders.one_step import OneStepSettings
from benchmark.hfd.noise import gaussian_noise
from benchmark.hfd.sampling import Noise, Predict, Sampler, ScoreDecoder
from benchmark.hfd.score import (
    LocalDeviation,
    ScoreNetwork,
    from_luma_chroma,
    load_score_network,
    picture_to_tensor,
    tensor_to_picture,
)
from benchmark.hfd.transforms import tiles
from benchmark.hfd.unet import LARGE, MEDIUM, SMALL, UNet, UNetConfig
from benchmark.hfd.weights import FIRST_STAGE_FILE, SHIPPED, load_autoencoder
from benchmark.images import load_image
from benchmark.studies.seams import border_gradient, column_gradient, without_overlap


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


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        UNetConfig((8, 12), (1, 2), (3,), 16),
        UNetConfig((8,), (2,), (), 16),
        *(UNetConfig((8,) * 4, config.blocks_down, config.blocks_up, 16) for config in (MEDIUM, LARGE)),
    ],
)
def test_reach_bounds_what_a_pixel_depends_on(config: UNetConfig) -> None:
    torch.manual_seed(0)
    unet = UNet(config)
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.normal_(0, 0.3)
    cell = unet.stride
    start = cell * (unet.receptive_field // cell + 4)
    z = torch.zeros(1, 3, 2 * cell, 2 * start + cell, requires_grad=True)
    t = torch.tensor([0.5])
    for at in (start, start + cell - 1):
        z.grad = None
        unet(z, torch.zeros_like(z), t, t)[0, 0, 1, at].backward()
        assert z.grad is not None
        columns = z.grad.abs().sum((0, 1, 2)).nonzero().flatten()
        assert start - unet.receptive_field <= int(columns.min())
        assert int(columns.max()) < start + cell + unet.receptive_field
        assert int(columns.max()) - int(columns.min()) > unet.receptive_field  # the bound is not idle


@pytest.mark.parametrize("sampler", [FlowSettings(2), DiffusionSettings(2, noise=0.5), OneStepSettings()])
def test_tiles_give_the_whole_picture(sampler: Sampler) -> None:
    network = network_of("flow" if isinstance(sampler, FlowSettings) else "diffusion")
    x_hat = torch.rand(1, 3, 150, 420, generator=torch.Generator().manual_seed(1)) - 0.5
    whole = ScoreDecoder(network, sampler).sample(x_hat, 20, seed=3)
    tiled = ScoreDecoder(network, sampler, tile=8).sample(x_hat, 20, seed=3)
    assert float((whole - x_hat).abs().mean()) > 0.01  # there is something to see
    assert float((whole - tiled).abs().max()) < 1e-5
    # across the borders of the tiles the gradient is that of everywhere else
    borders = sorted({16 * own[1].start for own, _ in tiles(10, 27, 8)} - {0})
    assert borders == [96, 208, 320]
    gradient = column_gradient(tiled)
    at_borders = torch.stack([gradient[b - 1] for b in borders]).mean()
    assert float(at_borders) == pytest.approx(float(gradient.mean()), rel=0.25)


def test_reference_mode_is_full_float32_and_repeatable() -> None:
    """On a GPU cuDNN would otherwise use TF32 and kernels that differ from call to call."""
    cudnn, seen = torch.backends.cudnn, set()

    def sampler(predict: Predict, noise: Noise) -> torch.Tensor:
        seen.add((cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, torch.get_num_threads()))
        return noise(0)

    before = (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, torch.get_num_threads())
    ScoreDecoder(network_of("flow"), sampler).sample(torch.zeros(1, 3, 16, 16), 0, 0)
    assert seen == {(cudnn.enabled, False, True, False, 1)}
    assert before == (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, torch.get_num_threads())


@pytest.fixture(scope="module")
def first_stage() -> FirstStage:
    return FirstStage(load_autoencoder(SHIPPED / FIRST_STAGE_FILE)[0])


@pytest.fixture(scope="module")
def flow() -> ScoreNetwork:
    return load_score_network(SHIPPED / KINDS["flow"].shipped_file(), "flow")[0]


PHOTOS = FOLDER


def crop_of(name: str, height: int, width: int) -> torch.Tensor:
    return picture_to_tensor(load_image(PHOTOS / f"{name}.png")[100 : 100 + height, 60 : 60 + width])


def test_no_seams_on_a_photograph(first_stage: FirstStage, flow: ScoreNetwork) -> None:
    """Tiles of 128×128: the gradient across their borders is that of the whole image; without overlap it is not."""
    steps, sampler = 32, FlowSettings(2)
    x_hat = first_stage.reconstruct(crop_of("budgie-oakland-zoo-otters", 256, 384), steps)
    whole = ScoreDecoder(flow, sampler).sample(x_hat, steps, 0)
    tiled = ScoreDecoder(flow, sampler, tile=8)
    naive = without_overlap(flow, sampler, tile=8)
    expected = border_gradient(whole, 128)
    assert border_gradient(tiled.sample(x_hat, steps, 0), 128) == pytest.approx(expected, rel=1e-3)
    assert border_gradient(naive.sample(x_hat, steps, 0), 128) > 1.05 * expected


@torch.inference_mode()
def test_local_deviation_reaches_no_farther_than_it_says() -> None:
    torch.manual_seed(0)
    network = LocalDeviation()
    torch.nn.init.normal_(network.layers[-1].weight)
    x, quality = torch.randn(1, 3, 16, 160), torch.tensor([0.5])
    changed = x.clone()
    changed[..., 80] += 1
    moved = (network(changed, quality) != network(x, quality)).any(dim=2).flatten().nonzero().flatten()
    assert 80 - LocalDeviation.RECEPTIVE_FIELD <= int(moved.min()) < 80 - 12
    assert 80 + 12 < int(moved.max()) <= 80 + LocalDeviation.RECEPTIVE_FIELD


AGREEMENT = [
    ("flow", FlowSettings(4), "ukui-bridgecity"),
    ("flow", FlowSettings(4), "budgie-oakland-zoo-otters"),
    ("diffusion", DiffusionSettings(4), "budgie-oakland-zoo-otters"),
    ("one-step", OneStepSettings(), "ukui-bridgecity"),
]
QUICK = {("flow", 1), ("diffusion", 4), ("one-step", 7)}


@pytest.mark.parametrize(
    ("kind", "sampler", "name", "quality"),
    [
        pytest.param(*case, quality, marks=() if (case[0], quality) in QUICK else pytest.mark.slow)
        for case in AGREEMENT
        for quality in (1, 4, 7)
    ],
)
def test_bfloat16_agrees_with_float32(
    first_stage: FirstStage, kind: str, sampler: Sampler, name: str, quality: int
) -> None:
    """On photographs, with the shipped weights: 99.9 % of the values within 1, and 50 dB."""
    network = load_score_network(SHIPPED / KINDS[kind].shipped_file(), kind)[0]
    steps = 32 * (quality - 1)
    x_hat = first_stage.reconstruct(crop_of(name, 160, 208), steps)
    one, other = (
        tensor_to_picture(ScoreDecoder(network, sampler, precision).sample(x_hat, steps, 0)).astype(float)
        for precision in ("float32", "bfloat16")
    )
    difference = abs(one - other)
    assert 0 < (difference**2).mean() < 255**2 / 10**5
    assert (difference > 1).mean() < 0.001


@torch.inference_mode()
def test_it_is_the_network_of_the_training(first_stage: FirstStage, flow: ScoreNetwork) -> None:
    """The sampler around `ScoreNetwork.forward` gives the same image as the decoder's own way to run it."""
    x_hat = first_stage.reconstruct(crop_of("ukui-bridgecity", 96, 112), 70)
    quality = torch.tensor([1 + 70 / 32])
    r = FlowSettings(3)(
        lambda z, t: flow(z, x_hat, t, quality),
        lambda step: torch.from_numpy(gaussian_noise(5, step, 96, 112))[None],
    )
    expected = (x_hat + from_luma_chroma(flow.deviation(x_hat, quality) * r)).clamp(-0.5, 0.5)
    assert float((ScoreDecoder(flow, FlowSettings(3)).sample(x_hat, 70, 5) - expected).abs().max()) < 1e-5


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_bits_on_any_number_of_threads_and_after_other_pictures(
    first_stage: FirstStage, flow: ScoreNetwork, precision: str
) -> None:
    x_hat = first_stage.reconstruct(crop_of("ukui-bridgecity", 90, 120), 70)
    decoder = ScoreDecoder(flow, FlowSettings(2), precision)
    expected, before = decoder.sample(x_hat, 70, 5), torch.get_num_threads()
    try:
        for threads in (2, 3):
            torch.set_num_threads(threads)
            decoder.sample(x_hat[..., :50, :70], 3, 1)
            assert torch.equal(decoder.sample(x_hat, 70, 5), expected)
    finally:
        torch.set_num_threads(before)
