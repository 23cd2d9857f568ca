"""From a training's averaged weights to a weights file that the codecs load."""

from pathlib import Path

import torch
from torch import nn

from benchmark.errors import BenchmarkError
from benchmark.hfd.autoencoder import Autoencoder, AutoencoderConfig
from benchmark.hfd.score import ScoreNetwork
from benchmark.hfd.training.engine import read_training
from benchmark.hfd.unet import UNetConfig
from benchmark.hfd.weights import from_json, write_weights


def export_first_stage(trained: Path, output: Path) -> None:
    """Writes the first stage in `trained` (`averaged.safetensors`, `best.safetensors`) as a weights file."""
    averaged, recipe = read_training(trained)
    config = AutoencoderConfig(**from_json(recipe["autoencoder"]))
    model = Autoencoder(config)
    _fill(model, averaged, trained)
    model.entropy.update()
    write_weights(output, model, "first stage", config.as_json(), recipe)


def export_flow(trained: Path, output: Path, steps: int) -> None:
    """Writes the flow decoder in `trained` as a weights file whose default is `steps` Euler steps."""
    averaged, recipe = read_training(trained)
    unet = UNetConfig(**from_json(recipe["unet"]))
    network = ScoreNetwork(unet, recipe["levels"], recipe["kappa"])
    _fill(network, averaged, trained)
    network.residual_deviation = torch.tensor(recipe["residual_deviation"])
    configuration = {
        "unet": unet.as_json(),
        "levels": recipe["levels"],
        "kappa": recipe["kappa"],
        "steps": steps,
        "first_stage": recipe["first_stage"],
    }
    write_weights(output, network, "flow", configuration, recipe)


def _fill(network: nn.Module, averaged: dict[str, torch.Tensor], path: Path) -> None:
    missing = dict(network.named_parameters()).keys() ^ averaged.keys()
    if missing:
        raise BenchmarkError(f"{path} is of another architecture: {sorted(missing)[0]} does not fit")
    network.load_state_dict(averaged, strict=False)
