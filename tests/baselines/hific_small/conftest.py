"""A tiny first stage and a tiny generator with random weights, as weights files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.baselines.hific_small.network import KIND, Generator, GeneratorConfig
from benchmark.hfd.autoencoder import Autoencoder, AutoencoderConfig
from benchmark.hfd.weights import load_autoencoder, write_weights

TINY = AutoencoderConfig(
    luma=40, chroma=10, widths=(8, 8, 8), hyper_channels=4, features=8, hidden=8, levels=3, slice_ends=(0.1, 1.01)
)
TINY_GENERATOR = GeneratorConfig(latents=60, levels=3, channels=(16, 12, 8, 8), blocks=(2, 1, 1, 2), embedding=8)


def awake_generator(config: GeneratorConfig = TINY_GENERATOR, seed: int = 0) -> Generator:
    """With random weights where training starts from zeros."""
    torch.manual_seed(seed)
    generator = Generator(config)
    for parameter in generator.parameters():
        if parameter.ndim == 4 and parameter.shape[-1] == 3:
            torch.nn.init.kaiming_normal_(parameter)
    return generator.eval()


@pytest.fixture(scope="session")
def small_first_stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = Autoencoder(TINY)
    model.initialise_scales(torch.rand(4, 3, 64, 64) - 0.5)
    model.entropy.update()
    path = tmp_path_factory.mktemp("hific-small") / "first-stage.safetensors"
    write_weights(path, model, "first stage", TINY.as_json(), {})
    return path


@pytest.fixture(scope="session")
def generator_file(small_first_stage: Path) -> Path:
    _, identity = load_autoencoder(small_first_stage)
    path = small_first_stage.with_name("hific-small.safetensors")
    configuration = {"generator": TINY_GENERATOR.as_json(), "first_stage": identity}
    write_weights(path, awake_generator(), KIND, configuration, {})
    return path


@pytest.fixture(scope="session")
def waves() -> np.ndarray:
    """A smooth image with some noise, 77×91."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[0:77, 0:91]
    picture = np.stack([np.sin(rows / 9), np.cos(columns / 7), np.sin((rows + columns) / 13)], -1)
    return (127 + 90 * picture + generator.normal(0, 8, (77, 91, 3))).clip(0, 255).astype(np.uint8)
