"""Small networks with random weights, written as weights files: the codecs' mechanics without the shipped weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.hfd.autoencoder import Autoencoder, AutoencoderConfig
from benchmark.hfd.decoders.flow import FlowNetwork
from benchmark.hfd.unet import UNetConfig
from benchmark.hfd.weights import load_autoencoder, write_weights

TINY = AutoencoderConfig(
    luma=40,
    chroma=10,
    widths=(8, 8, 8),
    hyper_channels=4,
    features=8,
    hidden=8,
    levels=3,
    lambda_low=0.001,
    slice_ends=(0.1, 0.2, 1.01),
)
TINY_UNET = UNetConfig(channels=(8, 12), blocks_down=(1, 1), blocks_up=(1,), embedding=16)


@pytest.fixture(scope="session")
def first_stage_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = Autoencoder(TINY)
    model.initialise_scales(torch.rand(4, 3, 64, 64) - 0.5)
    with torch.no_grad():
        model.synthesis.refine[3].weight.normal_(0, 0.01)
        model.analysis.head[2].weight.normal_(0, 0.01)
    model.entropy.update()
    path = tmp_path_factory.mktemp("weights") / "first-stage.safetensors"
    write_weights(path, model, "first stage", TINY.as_json(), {})
    return path


@pytest.fixture(scope="session")
def flow_file(first_stage_file: Path) -> Path:
    torch.manual_seed(0)
    network = FlowNetwork(TINY_UNET, TINY.levels, kappa=1.0)
    with torch.no_grad():
        network.unet.exit.weight.normal_(0, 0.05)
    network.residual_deviation = torch.tensor([[0.08, 0.02, 0.02], [0.05, 0.01, 0.01], [0.03, 0.01, 0.01]])
    _, identity = load_autoencoder(first_stage_file)
    configuration = {"unet": TINY_UNET.as_json(), "levels": 3, "kappa": 1.0, "steps": 2, "first_stage": identity}
    path = first_stage_file.with_name("flow.safetensors")
    write_weights(path, network, "flow", configuration, {})
    return path


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """A smooth image with some noise, 77×91."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[0:77, 0:91]
    waves = np.stack([np.sin(rows / 9), np.cos(columns / 7), np.sin((rows + columns) / 13)], -1)
    return (127 + 90 * waves + generator.normal(0, 8, (77, 91, 3))).clip(0, 255).astype(np.uint8)
