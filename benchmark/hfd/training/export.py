"""From a training's averaged weights to a weights file that the codecs load."""

from pathlib import Path

import torch
from torch import nn

from benchmark.errors import BenchmarkError
from benchmark.hfd.autoencoder import Autoencoder, AutoencoderConfig
from benchmark.hfd.bases import base_record
from benchmark.hfd.elic import Elic, ElicConfig
from benchmark.hfd.sampling import DiffusionSettings, OneStepSettings
from benchmark.hfd.score import FlowNetwork, ScoreNetwork
from benchmark.hfd.unet import UNetConfig
from benchmark.hfd.weights import from_json, load_autoencoder, take_architecture, write_weights
from benchmark.training.engine import read_training


def export_first_stage(trained: Path, output: Path) -> None:
    """Writes the first stage in `trained` (`averaged.safetensors`, `best.safetensors`) as a weights file."""
    averaged, recipe = read_training(trained)
    configuration = dict(recipe["autoencoder"])
    architecture = take_architecture(trained, configuration, None)
    model: Autoencoder | Elic
    if architecture == "paper":
        model = Elic(ElicConfig(**from_json(configuration)))
        fill_averaged(model, averaged, trained)
        model.update()
    else:
        model = Autoencoder(AutoencoderConfig(**from_json(configuration)))
        fill_averaged(model, averaged, trained)
        model.entropy.update()
    named = {"architecture": architecture, **model.config.as_json()}
    write_weights(output, model, "first stage", named, recipe)


def export_synthesis(trained: Path, first_stage: Path, output: Path, share: float = 1.0) -> None:
    """Writes `first_stage`, the weights file that a training of the synthesis transform began with, with its results.

    share: of the trained weights; the rest of each are those that it began with (Wortsman et al., "Robust fine-tuning
    of zero-shot models", 2022). All else, and so each stream but for the name of its weights, stays as it is. Raises
    BenchmarkError if `first_stage` is not the one that was trained.
    """
    averaged, recipe = read_training(trained)
    model, identity = load_autoencoder(first_stage)
    if recipe["synthesis_of"] != identity:
        raise BenchmarkError(f"{trained} began with another first stage than {first_stage}")
    own = {f"synthesis.{name}" for name, _ in model.synthesis.named_parameters()}
    if own != averaged.keys():
        raise BenchmarkError(f"{trained} is of another architecture: {sorted(own ^ averaged.keys())[0]} does not fit")
    begun = model.state_dict()
    blended = {name: torch.lerp(begun[name], tensor, share) for name, tensor in averaged.items()}
    model.load_state_dict(blended, strict=False)
    named = {"architecture": "small", **model.config.as_json()}
    write_weights(output, model, "first stage", named, recipe | {"share": share})


def export_decoder(trained: Path, output: Path, steps: int, begun: Path | None = None, share: float = 1.0) -> None:
    """Writes the decoder in `trained` as a weights file; steps: default number of a flow's or a diffusion's.

    share: of the trained weights; the rest of each are those in `begun`, the weights or the training that it began
    with, as in `export_synthesis`. Raises BenchmarkError if `begun` is of another kind or architecture.
    """
    averaged, recipe = read_training(trained)
    if begun is not None:
        before, earlier = read_training(begun)
        if earlier.get("decoder") != recipe["decoder"]:
            raise BenchmarkError(f"{begun} holds no {recipe['decoder']} decoder; there is nothing between the two")
        if misfit := [n for n in averaged if n not in before or before[n].shape != averaged[n].shape]:
            raise BenchmarkError(f"{begun} is of another architecture: {misfit[0]} does not fit")
        averaged = {name: torch.lerp(before[name].float(), tensor, share) for name, tensor in averaged.items()}
        recipe |= {"share": share}
    kind, unet = recipe["decoder"], UNetConfig(**from_json(recipe["unet"]))
    configuration = {
        "unet": unet.as_json(),
        "levels": recipe["levels"],
        **base_record(recipe),
    }
    if kind == "flow":
        network: ScoreNetwork = FlowNetwork(unet, recipe["levels"], recipe["kappa"])
        configuration |= {"steps": steps, "kappa": recipe["kappa"]}
    elif kind == "one-step":
        network = ScoreNetwork(unet, recipe["levels"])
        configuration |= {"realism": OneStepSettings().realism}
    else:
        network = ScoreNetwork(unet, recipe["levels"])
        noise = DiffusionSettings().noise
        configuration |= {"steps": steps, "noise": noise, "realism": 0.7, "shift": recipe["shift"]}
    fill_averaged(network, averaged, trained)
    network.residual_deviation = torch.tensor(recipe["residual_deviation"])
    write_weights(output, network, kind, configuration, recipe)


def fill_averaged(network: nn.Module, averaged: dict[str, torch.Tensor], path: Path) -> None:
    """Copies the averaged weights of the training in `path` into `network`. Raises BenchmarkError on a misfit."""
    missing = dict(network.named_parameters()).keys() ^ averaged.keys()
    if missing:
        raise BenchmarkError(f"{path} is of another architecture: {sorted(missing)[0]} does not fit")
    network.load_state_dict(averaged, strict=False)
