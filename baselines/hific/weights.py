"""HiFiC's weights: the public PyTorch checkpoints, what `fetch hific --from FILE` keeps, or a training of this suite.

The checkpoints are those of github.com/Justin-Tan/high-fidelity-generative-compression (Apache-2.0): a dictionary that
`torch.save` wrote, with `model_state_dict` and the training's `args`. They are read with `weights_only=True`, so that
nothing in them is executed. `fetch` keeps the encoder, the generator and the hyperprior in a safetensors file, with the
name and hash of the checkpoint; discriminator and optimisers stay behind.
"""

import hashlib
import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from benchmark.baselines.hific.container import VARIANTS
from benchmark.baselines.hific.density import LIKELIHOODS
from benchmark.baselines.hific.model import Hific, HificConfig
from benchmark.errors import BenchmarkError, UsageError
from benchmark.fetching import cache_folder, file_sha256
from benchmark.files import write_tensors
from benchmark.hfd.weights import fill, from_json
from benchmark.reading import STUMBLES, brief

ADDRESSES = {
    "all three": "https://zenodo.org/record/4026003",
    "low": "https://drive.google.com/open?id=1hfFTkZbs_VOBmXQ-M4bYEPejrD76lAY9",
    "med": "https://drive.google.com/open?id=1QNoX0AGKTBkthMJGPfQI0dT0_tnysYUb",
    "high": "https://drive.google.com/open?id=1BFYpvhVIA_Ek2QsHBbKnaBE8wn1GhFyA",
}
"""Where the authors of the public PyTorch code keep HIFIC-low, HIFIC-med and HIFIC-high, about 2 GB in all."""

ADVICE = (
    "download HIFIC-low, HIFIC-med or HIFIC-high from "
    + " or ".join([ADDRESSES["all three"], *(f"{ADDRESSES[variant]} ({variant})" for variant in VARIANTS)])
    + ", then `python -m benchmark fetch hific --from FILE`, or name the file: hific:weights=FILE"
)

PARTS = ("Encoder.", "Generator.", "Hyperprior.")
LEFT_OUT = ("Hyperprior.prior_", "Hyperprior.hyperprior_entropy_model.", "Hyperprior.index_tables")
"""Tables for the public code's own entropy coder; they follow from the density, which is read."""
SUFFIXES = (".pt", ".pth", ".ckpt", ".safetensors")

_UNSOUND: tuple[type[Exception], ...] = (SafetensorError, *STUMBLES)
"""What opening a file of weights raises that is not as it should be."""


@dataclass(frozen=True)
class Checkpoint:
    """A HiFiC model as read from a file.

    identity: 64 hexadecimal digits, SHA-256 over tensors and configuration; the same for a checkpoint and for what
    `fetch` keeps of it. variant: "low", "med", "high"; None if neither the file nor its name says. source: name and
    sha256 of the checkpoint file, or the recipe of a training of this suite.
    """

    config: HificConfig
    tensors: dict[str, Tensor]
    identity: str
    variant: str | None
    source: dict[str, str]


def kept_file(variant: str) -> Path:
    """Where `fetch` puts the weights of a variant."""
    return cache_folder() / "hific" / f"hific-{variant}.safetensors"


def read_checkpoint(path: Path) -> Checkpoint:
    """The model in `path`, a public checkpoint or a file that `fetch` or `train hific` wrote.

    Raises BenchmarkError, one line, on a missing or damaged file, on anything but plain data in it, on a model of
    another kind, and on numbers that are not finite.
    """
    if not path.is_file():
        raise BenchmarkError(f"there are no HiFiC weights at {path}; {ADVICE}")
    kept = _read_kept(path) if path.suffix == ".safetensors" else _read_public(path)
    for name, tensor in kept.tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise BenchmarkError(f"{path}: {name} has values that are not finite")
    return kept


def load_hific(path: Path) -> tuple[Hific, Checkpoint]:
    """The model in `path`, for inference on the CPU, and where it comes from. Raises as `read_checkpoint` does."""
    checkpoint = read_checkpoint(path)
    with torch.device("meta"):  # its random start would take longer than reading the weights
        model = Hific(checkpoint.config)
    model = model.to_empty(device="cpu")
    fill(model, checkpoint.tensors, path)
    return model.eval().requires_grad_(False), checkpoint


def fetch(source: Path | None = None) -> Path:
    """Takes public checkpoints from `source`, a file or a folder of them, and keeps what coding needs.

    Returns the file in the cache folder, or its folder for several. Raises UsageError without `source`, since nothing
    can be downloaded without a browser, and where a file does not say which variant it is.
    """
    if source is None:
        raise UsageError(f"the weights of HiFiC are not downloaded by this command: {ADVICE}")
    if source.is_dir():
        files = sorted(file for file in source.iterdir() if file.suffix in SUFFIXES)
        if not files:
            raise BenchmarkError(f"{source}: no checkpoint in this folder ({', '.join(SUFFIXES)}); {ADVICE}")
        for file in files:
            keep(file)
        return kept_file("low").parent
    if not source.exists():
        raise BenchmarkError(f"{source}: no such file")
    return keep(source)


def keep(path: Path) -> Path:
    """Writes the encoder, generator and hyperprior of the checkpoint `path` to `kept_file`; returns that."""
    model, checkpoint = load_hific(path)
    if checkpoint.variant is None:
        names = ", ".join(f"hific-{variant}{path.suffix}" for variant in VARIANTS)
        raise UsageError(f"{path} does not say whether it is low, med or high: give it one of the names {names}")
    destination = kept_file(checkpoint.variant)
    write_hific(destination, model, checkpoint.variant, checkpoint.source)
    return destination


def write_hific(
    path: Path, model: Hific, variant: str | None, source: Mapping[str, str], more: Mapping[str, str] | None = None
) -> None:
    """A weights file in full precision, complete or not there. source: where the weights come from; see `Checkpoint`.

    more: further metadata. Raises BenchmarkError if it cannot be written.
    """
    metadata = {
        "kind": "hific",
        "configuration": json.dumps(model.config.as_json()),
        "source": json.dumps(dict(source)),
        **({"variant": variant} if variant else {}),
        **(more or {}),
    }
    write_tensors(path, {name: tensor.contiguous() for name, tensor in model.state_dict().items()}, metadata)


def _read_kept(path: Path) -> Checkpoint:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        if metadata.get("kind") != "hific":
            raise BenchmarkError(f"{path} holds {metadata.get('kind', 'unnamed')!r} weights, not HiFiC's")
        config = HificConfig(**from_json(json.loads(metadata["configuration"])))
        source = json.loads(metadata["source"])
    except _UNSOUND as error:
        raise BenchmarkError(f"{path} is not a sound weights file of HiFiC: {brief(error)}") from error
    return Checkpoint(config, tensors, _identity(config, tensors), metadata.get("variant"), source)


def _read_public(path: Path) -> Checkpoint:
    try:
        # Mapped, so that the optimisers' states, two thirds of the file, are not read.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise BenchmarkError(
            f"{path} is no torch checkpoint, or holds more than tensors and plain values: it is not opened, since that "
            "could run code"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise BenchmarkError(f"{path} is not a sound torch checkpoint: {reason}") from error
    if not isinstance(content, dict) or not {"model_state_dict", "args"} <= content.keys():
        raise BenchmarkError(f"{path} is no HiFiC checkpoint: it has no model_state_dict and args")
    arguments, state = content["args"], content["model_state_dict"]
    if not isinstance(arguments, dict) or not isinstance(state, dict):
        raise BenchmarkError(f"{path} is no HiFiC checkpoint: its args or its model_state_dict are no dictionary")
    tensors = {}
    for name, tensor in sorted(state.items()):
        name = name.removeprefix("module.")  # of a model that was trained on several devices
        if name.startswith(PARTS) and not name.startswith(LEFT_OUT):
            tensors[name] = tensor.detach().float()
    config = _config_of(path, arguments, tensors)
    variant = _variant_of(path, arguments)
    return Checkpoint(
        config, tensors, _identity(config, tensors), variant, {"file": path.name, "sha256": file_sha256(path)}
    )


def _config_of(path: Path, arguments: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> HificConfig:
    """Sizes from the tensors, conventions from the training's arguments."""
    if arguments.get("use_latent_mixture_model"):
        raise BenchmarkError(f"{path}: a HiFiC with a latent mixture model, which the paper does not have")
    if arguments.get("sample_noise"):
        raise BenchmarkError(f"{path}: a HiFiC whose generator draws noise, which the paper's does not")
    if not arguments.get("use_channel_norm", True):
        raise BenchmarkError(f"{path}: a HiFiC with instance normalisation; the paper's has channel normalisation")
    likelihood = arguments.get("likelihood_type")
    if likelihood not in LIKELIHOODS:
        raise BenchmarkError(f"{path}: its args give likelihood_type {likelihood!r}, not {' or '.join(LIKELIHOODS)}")
    if not isinstance(arguments.get("normalize_input_image"), bool):
        raise BenchmarkError(f"{path}: its args do not say whether images are normalised (normalize_input_image)")
    try:
        density = "Hyperprior.hyperlatent_likelihood.b_"
        layers = sum(name.startswith(density) for name in tensors)
        config = HificConfig(
            widths=tuple(tensors[f"Encoder.conv_block{block}.1.weight"].shape[0] for block in range(1, 6)),
            latents=tensors["Encoder.conv_block_out.1.weight"].shape[0],
            hyper=tensors["Hyperprior.analysis_net.conv1.weight"].shape[0],
            blocks=len({name.split(".")[1] for name in tensors if name.startswith("Generator.resblock_")}),
            density=tuple(tensors[f"{density}{k}"].shape[1] for k in range(layers - 1)),
            likelihood=likelihood,
            signed_range=arguments["normalize_input_image"],
        )
    except (KeyError, IndexError) as error:
        raise BenchmarkError(f"{path} is of another architecture: it has no sound {error}") from error
    for argument, found in (("latent_channels", config.latents), ("n_residual_blocks", config.blocks)):
        if arguments.get(argument, found) != found:
            raise BenchmarkError(f"{path}: its args say {argument} {arguments[argument]}, its weights {found}")
    return config


def _variant_of(path: Path, arguments: Mapping[str, Any]) -> str | None:
    """What the file's name says, else the training's `regime`, which has a default that may not have been meant."""
    words = re.split(r"[^a-z]+", path.stem.lower())
    named = [variant for variant in VARIANTS if variant in words]
    if len(named) == 1:
        return named[0]
    regime = arguments.get("regime")
    return regime if regime in VARIANTS else None


def _identity(config: HificConfig, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(config.as_json(), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
