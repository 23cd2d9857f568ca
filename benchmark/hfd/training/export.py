"""From a training's averaged weights to a weights file that the codecs load."""

from dataclasses import fields
from pathlib import Path

import torch

from benchmark.errors import BenchmarkError, UsageError
from benchmark.hfd.autoencoder import Autoencoder, AutoencoderConfig
from benchmark.hfd.bases import base_record
from benchmark.hfd.decoders import KINDS
from benchmark.hfd.elic import Elic, ElicConfig
from benchmark.hfd.unet import UNetConfig
from benchmark.hfd.weights import (
    FIRST_STAGE_FILE,
    SHIPPED,
    from_json,
    load_autoencoder,
    take_architecture,
    write_weights,
)
from benchmark.packed import HALF
from benchmark.reading import shown, sound
from benchmark.training.checkpoint import fill_averaged, read_training


def export_first_stage(trained: Path, output: Path, bits: int = HALF) -> None:
    """Writes the first stage in `trained` (`averaged.safetensors`, `best.safetensors`) as a weights file.

    bits: as in `write_weights`.
    """
    averaged, recipe = read_training(trained)
    with sound(shown(trained), "a training of the first stage"):
        configuration = dict(recipe["autoencoder"])
        architecture = take_architecture(trained, configuration, None)
    model: Autoencoder | Elic
    with sound(shown(trained), "a training of the first stage"):
        if architecture == "paper":
            model = Elic(ElicConfig(**from_json(configuration)))
            fill_averaged(model, averaged, trained)
            model.update()
        else:
            model = Autoencoder(AutoencoderConfig(**from_json(configuration)))
            fill_averaged(model, averaged, trained)
            model.entropy.update()
    named = {"architecture": architecture, **model.config.as_json()}
    write_weights(output, model, "first stage", named, recipe, bits)


def export_synthesis(trained: Path, first_stage: Path, output: Path, share: float = 1.0, bits: int = HALF) -> None:
    """Writes `first_stage`, the weights file that a training of the synthesis transform began with, with its results.

    share: weight interpolation, of the trained weights against those that it began with (Wortsman et al., "Robust
    fine-tuning of zero-shot models", 2022). All else, and so each stream but for the name of its weights, stays as it
    is. bits: as in `write_weights`. Raises BenchmarkError if `first_stage` is not the one that was trained.
    """
    averaged, recipe = read_training(trained)
    model, identity = load_autoencoder(first_stage)
    if recipe["synthesis_of"] != identity:
        raise BenchmarkError(f"{trained} began with another first stage than {first_stage}")
    own = {f"synthesis.{name}" for name, _ in model.synthesis.named_parameters()}
    if own != averaged.keys():
        raise BenchmarkError(f"{trained} is of another architecture: {sorted(own ^ averaged.keys())[0]} does not fit")
    begun = model.state_dict()
    if misfit := [name for name, tensor in averaged.items() if tensor.shape != begun[name].shape]:
        raise BenchmarkError(f"{trained} is of another architecture: {misfit[0]} does not fit")
    blended = {name: torch.lerp(begun[name], tensor, share) for name, tensor in averaged.items()}
    model.load_state_dict(blended, strict=False)
    named = {"architecture": "small", **model.config.as_json()}
    write_weights(output, model, "first stage", named, recipe | {"share": share}, bits)


def export_decoder(
    trained: Path, output: Path, steps: int, begun: Path | None = None, share: float = 1.0, bits: int = HALF
) -> None:
    """Writes the decoder in `trained` as a weights file; steps: default number of a flow's or a diffusion's.

    bits: as in `write_weights`.

    share: weight interpolation, of the trained weights against those in `begun`, the weights or the training that it
    began with, as in `export_synthesis`. Raises BenchmarkError if `begun` is of another kind or architecture.
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
    with sound(shown(trained), "a training of a decoder"):
        kind, unet, levels = recipe["decoder"], UNetConfig(**from_json(recipe["unet"])), recipe["levels"]
        decoder = KINDS[kind].load()
        network = decoder.network(unet, levels, recipe)
        configuration = {
            "unet": unet.as_json(),
            "levels": levels,
            **base_record(recipe),
            **decoder.settings.configuration(recipe, steps),
            **({"perceptual": recipe["perceptual"]} if "perceptual" in recipe else {}),
        }
        fill_averaged(network, averaged, trained)
        deviation = torch.tensor(recipe["residual_deviation"])
        if deviation.shape != network.residual_deviation.shape or not bool(torch.isfinite(deviation).all()):
            raise ValueError(f"residual_deviation: {recipe['residual_deviation']!r}")
        network.residual_deviation = deviation
    write_weights(output, network, kind, configuration, recipe, bits)


def export_trained(
    trained: Path,
    output: Path,
    sampling_steps: int | None = None,
    first_stage: Path | None = None,
    begun: Path | None = None,
    share: float | None = None,
    bits: int = HALF,
) -> None:
    """Writes the weights file of a training of the first stage, its synthesis transform, or a decoder.

    sampling_steps: default number of a decoder that samples in steps, 4 if None. first_stage: that a training of the
    synthesis transform began with, the shipped one if None. begun, share: see `export_decoder`; bits: `write_weights`.
    Raises UsageError on an argument that does nothing for this training.
    """
    _, recipe = read_training(trained)
    is_decoder, is_synthesis = str(recipe.get("decoder")) in KINDS, "synthesis_of" in recipe
    samples = is_decoder and has_steps(recipe["decoder"])
    if begun is not None and not is_decoder:
        raise UsageError(f"--begun belongs to a decoder; {trained} is none")
    if first_stage is not None and not is_synthesis:
        raise UsageError(f"--first-stage belongs to a synthesis transform; {trained} is none")
    if sampling_steps is not None and not samples:
        raise UsageError(f"--sampling-steps belongs to a decoder that samples in steps; {trained} is none")
    if begun is not None and share is None:
        raise UsageError("--begun FILE is for weight interpolation: say how much of the new weights with --share")
    if share is not None and not is_synthesis and begun is None:
        need = "--begun FILE, the weights that it began with" if is_decoder else "a synthesis transform or decoder"
        raise UsageError(f"--share needs {need}")
    part = 1.0 if share is None else share
    if is_synthesis:
        export_synthesis(trained, first_stage or SHIPPED / FIRST_STAGE_FILE, output, part, bits)
    elif "autoencoder" in recipe:
        export_first_stage(trained, output, bits)
    elif is_decoder:
        export_decoder(trained, output, sampling_steps or 4, begun, part, bits)
    else:
        raise BenchmarkError(f"{trained} holds no training of mse or hfd")


def has_steps(kind: str) -> bool:
    """Whether decoders of this kind sample in a number of steps."""
    return any(field.name == "steps" for field in fields(KINDS[kind].load().settings))  # type: ignore[arg-type]
