"""Weights: safetensors files with the network's configuration inside; shipped ones, or a file that a user names.

Never unpickled. Half-precision tensors may be packed, see `packed`. The identity of a file is the SHA-256 over its
tensors and configuration, so that it does not change when the file is written again.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from benchmark.errors import BenchmarkError, UsageError
from benchmark.files import write_tensors
from benchmark.hfd.autoencoder import Autoencoder, AutoencoderConfig
from benchmark.packed import HALF, pack, rounded, unpacked
from benchmark.reading import STUMBLES, brief, parse_json, sound

SHIPPED = Path(__file__).parent / "weights"
"""`first-stage-small.safetensors`, `flow-small.safetensors`; each has a model card beside it."""
FIRST_STAGE_FILE = "first-stage-small.safetensors"


def kind_of(path: Path) -> str:
    """What the weights file holds, "" if it does not say. Raises BenchmarkError on a missing or damaged file."""
    if not path.is_file():
        raise BenchmarkError(
            f"there are no weights at {path}; `python -m benchmark train --help` says how to make some"
        )
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("kind", "")
    except (SafetensorError, OSError, ValueError) as error:
        raise BenchmarkError(f"{path} is not a sound safetensors file: {brief(error)}") from error


def read_weights(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    """Tensors, configuration and identity (64 hex digits) of `path`.

    kind: what the file must hold ("first stage", "flow", "diffusion", "one-step"). Raises BenchmarkError, one line, on
    a missing or damaged file, another kind of network, or numbers that are not finite.
    """
    held = kind_of(path)
    if held != kind:
        raise BenchmarkError(f"{path} holds {held or 'unnamed'!r} weights, not {kind!r} ones")
    with sound(str(path), "a sound safetensors file", (SafetensorError,)), safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        tensors = unpacked(tensors, metadata, str(path))
    if "configuration" not in metadata:
        raise BenchmarkError(f"{path} does not say the configuration of its network")
    configuration: dict[str, Any] = parse_json(metadata["configuration"], f"{path}, configuration", finite=False)
    if not isinstance(configuration, dict):
        raise BenchmarkError(f"{path} does not say the configuration of its network")
    digest = hashlib.sha256(json.dumps(configuration, sort_keys=True).encode())
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BenchmarkError(f"{path}: {name} has values that are not finite")
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return tensors, configuration, digest.hexdigest()


def write_weights(
    path: Path,
    network: nn.Module,
    kind: str,
    configuration: dict[str, Any],
    training: dict[str, Any],
    bits: int = HALF,
) -> None:
    """Writes parameters in half precision, packed, buffers as they are, with the recipe that made them.

    bits: significant ones of each parameter; fewer make a smaller file.
    """
    parameters = {name for name, _ in network.named_parameters()}
    tensors = {
        name: (rounded(tensor.half(), bits) if name in parameters else tensor).detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    metadata = {"kind": kind, "configuration": json.dumps(configuration), "training": json.dumps(training)}
    packed, shapes = pack(tensors)
    write_tensors(path, packed, metadata | shapes)


def fill(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Copies `tensors` into `network`; buffers take their shape from the file. Raises BenchmarkError on a misfit."""
    own = network.state_dict()
    if missing := sorted(own.keys() - tensors.keys()):
        raise BenchmarkError(f"{path} is of another architecture: it has no {missing[0]} ({len(missing)} missing)")
    if foreign := sorted(tensors.keys() - own.keys()):
        raise BenchmarkError(f"{path} is of another architecture: it has {foreign[0]} ({len(foreign)} unknown)")
    parameters = dict(network.named_parameters())
    for name, tensor in tensors.items():
        if name in parameters:
            if parameters[name].shape != tensor.shape:
                raise BenchmarkError(
                    f"{path} is of another architecture: {name} is {tuple(tensor.shape)}, "
                    f"not {tuple(parameters[name].shape)}"
                )
            parameters[name].data.copy_(tensor)
        else:
            module, _, attribute = name.rpartition(".")
            setattr(network.get_submodule(module), attribute, tensor)


def from_json(configuration: dict[str, Any]) -> dict[str, Any]:
    """The fields of a configuration; JSON's lists become tuples again."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in configuration.items()}


ARCHITECTURES = ("small", "paper")
"""Of a first stage. A weights file names its own in its configuration; one without a name is small."""


def take_architecture(path: Path, configuration: dict[str, Any], wanted: str | None) -> str:
    """Removes the architecture's name from the configuration of a first stage and returns it.

    Raises UsageError, with both names, if it is not `wanted`; None takes either.
    """
    architecture: str = configuration.pop("architecture", "small")
    if architecture not in ARCHITECTURES:
        raise UsageError(
            f"{path} holds a first stage of architecture {architecture!r}; known are {', '.join(ARCHITECTURES)}"
        )
    if wanted is not None and architecture != wanted:
        raise UsageError(f"{path} holds a first stage of architecture {architecture!r}, not {wanted!r}")
    return architecture


def load_autoencoder(path: Path) -> tuple[Autoencoder, str]:
    """The small first stage in `path`, in evaluation mode, and its identity. UsageError if it holds the other one."""
    tensors, configuration, identity = read_weights(path, "first stage")
    take_architecture(path, configuration, "small")
    try:
        model = Autoencoder(AutoencoderConfig(**from_json(configuration)))
        fill(model, tensors, path)
    except STUMBLES as error:
        raise BenchmarkError(f"{path} is of another architecture: {brief(error)}") from error
    return model.eval(), identity
