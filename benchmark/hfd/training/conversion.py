"""Weights as the beginning of another network: of one with more levels, or of another kind of decoder.

A flow and a diffusion say the same thing in other units, and what the decoder `energy` says at spread 0, where its
score is a distance to the original alone, takes the place of their E[r | z_t].

With κ = 1 a flow's z_t = (1 − t)·n + t·r, divided by its deviation, is the diffusion's α·r + σ·n with σ/α = (1 − t)/t,
and what `flow.precondition` asks of the network is −v, v = α·n − σ·r. So the output changes its sign, and the time
that the network is told runs the other way: t = 1 − angle, but for at most 0.05, as the embedding sees it. (The
deviation of z_t, between 0.7 and 1, is left to the training.)
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchmark.errors import UsageError
from benchmark.files import write_tensors
from benchmark.hfd.unet import TOLD_FEATURES, UNet, UNetConfig
from benchmark.training.checkpoint import read_training

TIME_FREQUENCIES = TOLD_FEATURES // 2
"""Of `UNet.embed`'s inputs the first 16 are sin and cos of the time at half a turn, 1, 2, 4 … turns."""


def flow_as_diffusion(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a flow with κ = 1, by name, as those of a `ScoreNetwork` that says v; and the other way round.

    What it does undoes it as well.
    """
    signs = torch.ones(2, TIME_FREQUENCIES)
    signs[0, 1:] = -1  # sin(2πf(1 − a)) = −sin(2πfa) for whole f
    signs[1, 0] = -1  # cos(π(1 − a)) = −cos(πa)
    converted = dict(tensors)
    embedding = tensors["unet.embed.0.weight"].clone()
    embedding[:, : 2 * TIME_FREQUENCIES] *= signs.flatten().to(embedding)
    converted["unet.embed.0.weight"] = embedding
    for name in ("unet.exit.weight", "unet.exit.bias"):
        converted[name] = -tensors[name]
    return converted


def begin_larger(start: Path, unet: UNetConfig, output: Path) -> Path:
    """`start` itself, or where its U-Net has fewer levels than `unet`, OUTPUT/larger.safetensors with more.

    What comes from the new levels is 0 at first, so the larger network computes what the smaller one did.
    """
    tensors, recipe = read_training(start)
    more = len(unet.channels) - 1 - len({name.split(".")[2] for name in tensors if name.startswith("unet.grow.")})
    if more <= 0:
        return start
    larger = {}
    for name, tensor in tensors.items():
        part = re.match(r"unet\.(?:grow|up)\.(\d+)", name)  # counted from the deepest
        larger[name if part is None else f"{name[: part.start(1)]}{int(part[1]) + more}{name[part.end() :]}"] = tensor
    for n, grow in enumerate(UNet(unet).grow[:more]):
        larger |= {f"unet.grow.{n}.{name}": torch.zeros_like(p) for name, p in grow.state_dict().items()}
    return _write(larger, recipe, output / "larger.safetensors")


def as_energy(tensors: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """The tensors of a one-step decoder or a diffusion, by name, as those of an `EnergyNetwork`: the same function.

    Its first layer has ξ between z and x̂, and its embedding time, spread, quality. What the one-step decoder is told
    is the spread, what the diffusion is told the time. What is new begins at 0.
    """
    enter, embed = tensors["unet.enter.weight"], tensors["unet.embed.0.weight"]
    z, x_hat = enter.chunk(2, 1)
    told, quality = embed.chunk(2, 1)
    nothing = torch.zeros_like(told)
    numbers = [told, nothing, quality] if kind == "diffusion" else [nothing, told, quality]
    return dict(tensors) | {
        "unet.enter.weight": torch.cat([z, torch.zeros_like(z), x_hat], 1),
        "unet.embed.0.weight": torch.cat(numbers, 1),
    }


def energy_as_diffusion(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of an `EnergyNetwork`, by name, as those of a `ScoreNetwork`: what it says for spread 0 and ξ = 0."""
    z, _, x_hat = tensors["unet.enter.weight"].chunk(3, 1)
    time, spread, quality = tensors["unet.embed.0.weight"].chunk(3, 1)
    cosines = spread[:, TOLD_FEATURES // 2 :]  # at 0 each of them is 1, and each sine 0
    return dict(tensors) | {
        "unet.enter.weight": torch.cat([z, x_hat], 1),
        "unet.embed.0.weight": torch.cat([time, quality], 1),
        "unet.embed.0.bias": tensors["unet.embed.0.bias"] + cosines.sum(1),
    }


def begin_energy(start: Path, output: Path) -> Path:
    """`start` itself, or where it holds a decoder of another kind, OUTPUT/energy-start.safetensors as one of this.

    Raises UsageError on a flow whose κ is not 1.
    """
    if read_training(start)[1].get("decoder") == "energy":
        return start
    start = begin_diffusion(start, output)
    tensors, recipe = read_training(start)
    kind = {"flow": "diffusion"}.get(str(recipe.get("decoder")), str(recipe.get("decoder")))
    if kind not in ("one-step", "diffusion"):
        return start
    return _write(as_energy(tensors, kind), recipe, output / "energy-start.safetensors")


def begin_diffusion(start: Path, output: Path) -> Path:
    """`start` itself, or where it holds a flow or a decoder `energy`, OUTPUT/start.safetensors as a diffusion.

    Raises UsageError on a flow whose κ is not 1.
    """
    tensors, recipe = read_training(start)
    if recipe.get("decoder") == "energy":
        return _write(energy_as_diffusion(tensors), recipe, output / "start.safetensors")
    if recipe.get("decoder") != "flow":
        return start
    if recipe["kappa"] != 1:
        raise UsageError(f"{start}: only a flow with kappa 1 can begin a diffusion, not {recipe['kappa']:g}")
    return _write(flow_as_diffusion(tensors), recipe, output / "start.safetensors")


def begin_flow(start: Path, output: Path) -> Path:
    """`start` itself, or where it holds a diffusion or a decoder `energy`, OUTPUT/start.safetensors as a flow.

    It says what they say if the flow's κ is 1; for another it is a beginning all the same.
    """
    tensors, recipe = read_training(start)
    kind = recipe.get("decoder")
    if kind not in ("diffusion", "energy"):
        return start
    diffusion = energy_as_diffusion(tensors) if kind == "energy" else tensors
    return _write(flow_as_diffusion(diffusion), recipe, output / "start.safetensors")


def _write(tensors: Mapping[str, Tensor], recipe: Mapping[str, object], path: Path) -> Path:
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_tensors(path, contiguous, {"training": json.dumps(recipe)})
    return path
