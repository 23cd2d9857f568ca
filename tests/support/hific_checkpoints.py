"""Small HiFiC checkpoints in the form of the public ones, their numbers from a rule that any program can follow."""

import math
import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.baselines.hific.discriminator import Discriminator
from benchmark.baselines.hific.model import Hific, HificConfig

SMALL = HificConfig(widths=(6, 8, 10, 12, 14), latents=10, hyper=16, blocks=2)
"""Everything of the full-size model, at small widths."""


def values_of(name: str, shape: tuple[int, ...]) -> Tensor:
    """Numbers for the parameter `name`: a sine whose frequency its name gives, scaled so that activations stay near 1.

    The reference values in the tests were computed by the public code with these very numbers.
    """
    wave = math.sqrt(2) * np.sin(np.arange(1, math.prod(shape) + 1) * (1 + zlib.crc32(name.encode()) % 997 / 997))
    last = name.rpartition(".")[2]
    if last == "gamma":
        values = 1 + 0.2 * wave
    elif last in ("beta", "bias"):
        values = 0.2 * wave
    elif last.startswith("H_"):
        values = -0.5 + 0.3 * wave
    elif last.startswith("a_"):
        values = 0.5 * wave
    elif last.startswith("b_"):
        values = wave
    elif last in ("weight_u", "weight_v"):
        values = wave / np.linalg.norm(wave)
    else:
        values = 1.2 * wave / math.sqrt(math.prod(shape[1:]))
    if name == "Hyperprior.synthesis_std.conv3.bias":
        values = values + 0.6
    if name == "Generator.conv_block_out.1.bias":
        values = values + 0.5
    if name.startswith("Encoder.conv_block_out."):
        values = 2 * values
    if name.startswith("Hyperprior.analysis_net."):
        values = 2.5 * values
    if name == "Generator.conv_block_out.1.weight":
        values = values / 2
    return torch.from_numpy(values.reshape(shape)).float()


def fill_by_rule(network: torch.nn.Module) -> None:
    """Gives every parameter and buffer of `network` its `values_of`."""
    network.load_state_dict({name: values_of(name, tuple(old.shape)) for name, old in network.state_dict().items()})


def checkpoint(config: HificConfig = SMALL, **arguments: Any) -> dict[str, Any]:
    """What the public training saves: weights of the model and its discriminator, arguments, optimisers' states."""
    model = Hific(config)
    fill_by_rule(model)
    discriminator = Discriminator(config.latents)
    state = model.state_dict()
    state.update({f"Discriminator.{name}": tensor for name, tensor in discriminator.state_dict().items()})
    defaults = {
        "latent_channels": config.latents,
        "n_residual_blocks": config.blocks,
        "likelihood_type": config.likelihood,
        "normalize_input_image": config.signed_range,
        "use_channel_norm": True,
        "sample_noise": False,
        "regime": "low",
        "lambda_schedule": {"vals": [2.0, 1.0], "steps": [50000]},
    }
    optimiser = torch.optim.Adam(discriminator.parameters()).state_dict()
    return {
        "model_state_dict": state,
        "compression_optimizer_state_dict": optimiser,
        "epoch": 3,
        "steps": 100,
        "args": defaults | arguments,
    }


def example_picture(height: int, width: int) -> np.ndarray:
    """A uint8 image from a formula, (height, width, 3)."""
    rows, columns, channels = np.mgrid[0:height, 0:width, 0:3]
    broad = 80 * np.sin(rows / 3 + channels) * np.cos(columns / 5)
    return np.round(127 + broad + 40 * np.sin(rows * columns / 7.3 + channels)).astype(np.uint8)
