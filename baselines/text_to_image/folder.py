"""A folder of weights as diffusers keeps them: `unet/`, `vae/`, `scheduler/`, … with a `config.json` in each.

Only safetensors are read, so that nothing in a file is executed. The identity of a network is the SHA-256 over its
tensors and its configuration as the file has it, so that a newer diffusers, which adds defaults, does not change it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from benchmark.errors import BenchmarkError, UsageError, lacking, needs
from benchmark.reading import STUMBLES, brief, parse_json, read_text, shown

M = TypeVar("M", bound=nn.Module)

_UNSOUND: tuple[type[Exception], ...] = (SafetensorError, OSError, *STUMBLES)
"""What reading weights raises that are not as they should be."""


def diffusers_class(name: str, codec: str) -> Any:
    """A class of diffusers. Raises BenchmarkError, with what to install, where it or what it needs is not there."""
    try:
        import diffusers

        found = getattr(diffusers, name)
    except ImportError as error:
        if (package := lacking(error)) is not None:
            raise BenchmarkError(needs(codec, package)) from None
        raise BenchmarkError(f"{codec}: diffusers cannot be imported: {brief(error)}") from None
    if "dummy" in found.__module__:  # what diffusers has in place of what it cannot import
        raise BenchmarkError(needs(codec, "transformers"))
    return found


def of_hub(repository: str, parts: Sequence[str], codec: str) -> Path:
    """The folder in which the hub's own download keeps `repository`. parts: folders in it that matter; none for all.

    Nothing is downloaded. Raises UsageError, with the command that does it, if it is not there.
    """
    diffusers_class("AutoencoderKL", codec)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(repository, allow_patterns=[f"{part}/*" for part in parts], local_files_only=True)
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError):
        raise UsageError(
            f"{codec} has no weights here: `hf download {repository}` fetches them, or name their folder: "
            f"{codec}:weights=FOLDER"
        ) from None


def configuration(folder: Path, part: str) -> dict[str, Any]:
    """What `part`'s configuration file says, without the keys of diffusers' own. Raises BenchmarkError."""
    name = "scheduler_config.json" if part.endswith("scheduler") else "config.json"
    path = folder / part / name
    try:
        found = parse_json(read_text(path), shown(path))
    except FileNotFoundError:
        raise BenchmarkError(f"{shown(folder)} is no folder of these weights: it has no {part}/{name}") from None
    if not isinstance(found, dict):
        raise BenchmarkError(f"{shown(path)}: no record")
    return {key: value for key, value in found.items() if not key.startswith("_")}


def network(kind: type[M], folder: Path, part: str) -> M:
    """A network of diffusers in `folder`/`part`, float32, for inference. Raises BenchmarkError, one line."""
    configuration(folder, part)
    place = shown(folder / part)
    if not list((folder / part).glob("*.safetensors")):
        raise BenchmarkError(f"{place} has no .safetensors file; weights that would have to be unpickled are not read")
    try:
        found: M = kind.from_pretrained(  # type: ignore[attr-defined]
            str(folder / part), use_safetensors=True, local_files_only=True, torch_dtype=torch.float32
        )
    except _UNSOUND as error:
        raise BenchmarkError(f"{place}: no sound weights of {kind.__name__}: {brief(error)}") from error
    for name, tensor in found.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BenchmarkError(f"{place}: {name} has values that are not finite")
    return found.eval().requires_grad_(False)


def scheduler(name: str, folder: Path, part: str, codec: str) -> Any:
    """A scheduler of diffusers, of class `name`, with the numbers in `folder`/`part`. Raises BenchmarkError."""
    numbers = configuration(folder, part)
    try:
        return diffusers_class(name, codec).from_config(numbers)
    except STUMBLES as error:
        raise BenchmarkError(f"{shown(folder / part)}: no sound configuration of {name}: {brief(error)}") from error


def tensor_of(path: Path, name: str) -> Tensor:
    """One tensor of a safetensors file, float32. Raises BenchmarkError."""
    try:
        with safe_open(path, "pt") as file:
            tensor: Tensor = file.get_tensor(name).float()
    except (SafetensorError, OSError, ValueError) as error:
        raise BenchmarkError(f"{shown(path)}: no sound safetensors file with {name}: {brief(error)}") from error
    if not bool(torch.isfinite(tensor).all()):
        raise BenchmarkError(f"{shown(path)}: {name} has values that are not finite")
    return tensor


def identity_of(tensors: Mapping[str, Tensor], configurations: Mapping[str, Any]) -> str:
    """64 hex digits over names, kinds, shapes and bytes of the tensors, and the configurations."""
    digest = hashlib.sha256(json.dumps(configurations, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()
