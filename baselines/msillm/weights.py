"""Weights of MS-ILLM and No-GAN: the public checkpoints, plain dictionaries of tensors.

They are CC-BY-NC 4.0, and whoever uses them downloads them: `ADDRESS` and `FILES` say from where. Nobody has published
their hashes, so the suite does not fetch them. They are read with `weights_only=True`: nothing in them is executed.
"""

import hashlib
import json
import pickle
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmark.baselines.hific.model import HificConfig
from benchmark.baselines.msillm.network import Msillm, widths_of
from benchmark.errors import BenchmarkError, UsageError
from benchmark.fetching import cache_folder, make_folder
from benchmark.hfd.weights import fill
from benchmark.reading import STUMBLES, brief, shown

ADDRESS = "https://dl.fbaipublicfiles.com/NeuralCompression/2023-muckley-msillm/"
TARGETS = {
    0.1: "0.00218",
    0.2: "0.00438",
    1.0: "0.035",
    2.0: "0.07",
    3.0: "0.14",
    4.0: "0.3",
    5.0: "0.45",
    6.0: "0.9",
}
"""Quality -> the bits per pixel that its model was trained for. 1 to 6 are those of the hub's names; `vlo1` and `vlo2`
(Careil et al. 2024, arXiv 2310.10325), of MS-ILLM only, are 0.1 and 0.2 here, so that qualities are ordered numbers."""
MODELS = ("msillm", "noganms")
ADVICE = (
    f"download a model from {ADDRESS} (msillm_target_0.14bpp.ckpt, noganms_target_0.07bpp.ckpt, …; CC-BY-NC 4.0), then "
    "`python -m benchmark fetch msillm --from FILE`, or name the file or a folder of them: msillm:weights=FILE"
)
_TABLES = ("_offset", "_quantized_cdf", "_cdf_length", "target", "scale_table", "bound", "scale_bound")
"""Of CompressAI's entropy models: they follow from the density."""
_SHORT = {"_matrix": "H_", "_bias": "b_", "_factor": "a_", "matrices.": "H_", "biases.": "b_", "factors.": "a_"}
"""Names of the density's parameters in older and newer versions of CompressAI -> ours."""

_UNSOUND: tuple[type[Exception], ...] = (OSError, *STUMBLES)
"""What opening a file of weights raises that is not as it should be."""


def file_name(model: str, quality: float) -> str:
    """What the file of a model is called where it is published."""
    return f"{model}_target_{TARGETS[quality]}bpp.ckpt"


def named(path: Path) -> tuple[str, float] | None:
    """(model, quality) of a file that is called as it was published; None for another name."""
    known = {file_name(model, quality): (model, quality) for model in MODELS for quality in TARGETS}
    return known.get(path.name)


def kept_folder() -> Path:
    """Where `fetch` puts them."""
    return cache_folder() / "msillm"


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds. identity: 64 hexadecimal digits, SHA-256 over tensors and sizes."""

    config: HificConfig
    tensors: dict[str, Tensor]
    identity: str


def read_checkpoint(path: Path) -> Checkpoint:
    """The model in `path`.

    Raises BenchmarkError, one line, on a missing or damaged file, on anything but tensors in it, on a model of another
    kind, and on numbers that are not finite.
    """
    if not path.is_file():
        raise BenchmarkError(f"there are no weights of MS-ILLM at {shown(path)}; {ADVICE}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise BenchmarkError(
            f"{shown(path)} is no torch checkpoint, or holds more than tensors and plain values: it is not opened, "
            "since that could run code"
        ) from error
    except _UNSOUND as error:
        raise BenchmarkError(f"{shown(path)} is not a sound torch checkpoint: {brief(error)}") from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise BenchmarkError(f"{shown(path)} is no checkpoint of MS-ILLM, which is a dictionary of tensors")
    try:
        tensors = _ours(content)
        config = _config_of(tensors)
    except STUMBLES as error:
        raise BenchmarkError(f"{shown(path)} is of another architecture: it has no sound {brief(error)}") from error
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise BenchmarkError(f"{shown(path)}: {name} has values that are not finite")
    return Checkpoint(config, tensors, _identity(config, tensors))


def load(path: Path) -> tuple[Msillm, Checkpoint]:
    """The model in `path`, for inference on the CPU. Raises as `read_checkpoint` does."""
    checkpoint = read_checkpoint(path)
    with torch.device("meta"):  # its random start would take longer than reading the weights
        model = Msillm(checkpoint.config)
    model = model.to_empty(device="cpu")
    fill(model, checkpoint.tensors, path)
    return model.eval().requires_grad_(False), checkpoint


def _ours(content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by our names; the density has a last gate here, which is closed."""
    tensors = {}
    for name, tensor in sorted(content.items()):
        part, _, own = name.partition(".")
        if part == "latent_bottleneck" or own.rpartition(".")[2] in _TABLES:
            continue
        if part != "hyper_bottleneck":
            tensors[name] = tensor.detach().float()
        elif own == "quantiles":
            tensors["medians"] = tensor.detach().float()[:, 0, 1].reshape(1, -1, 1, 1).clone()
        else:
            short = next(old for old in _SHORT if own.startswith(old))
            tensors[f"density.{_SHORT[short]}{own.removeprefix(short)}"] = tensor.detach().float()
    last = sum(name.startswith("density.b_") for name in tensors) - 1
    tensors[f"density.a_{last}"] = torch.zeros_like(tensors[f"density.b_{last}"])
    return tensors


def _config_of(tensors: Mapping[str, Tensor]) -> HificConfig:
    return HificConfig(
        widths=tuple(tensors[f"encoder.blocks.{block}.0.weight"].shape[0] for block in range(5)),
        latents=tensors["encoder.blocks.5.weight"].shape[0],
        hyper=tensors["hyper_analysis.0.weight"].shape[0],
        blocks=len({name.split(".")[2] for name in tensors if name.startswith("decoder.resid_blocks.")}),
        density=widths_of({name.removeprefix("density."): tensor for name, tensor in tensors.items()}),
        signed_range=False,
    )


def _identity(config: HificConfig, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(config.as_json(), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def fetch(source: Path | None = None) -> Path:
    """Takes public checkpoints from `source`, a file or a folder of them, and keeps them in the cache folder.

    Returns the file there, or their folder for several. Raises UsageError without `source` and on a file that is not
    called as it was published, BenchmarkError on one that is no sound model.
    """
    if source is None:
        raise UsageError(f"the weights of MS-ILLM are not downloaded by this command: {ADVICE}")
    if source.is_dir():
        files = [path for path in sorted(source.iterdir()) if named(path) is not None]
        if not files:
            raise BenchmarkError(f"{shown(source)}: no checkpoint of MS-ILLM in this folder; {ADVICE}")
    else:
        files = [source]
    for path in files:
        if not path.is_file():
            raise BenchmarkError(f"{shown(path)}: no such file")
        if named(path) is None:
            raise UsageError(
                f"{shown(path)}: its name does not say which model it is; call it {file_name('msillm', 3.0)}"
            )
        read_checkpoint(path)
    make_folder(kept_folder())
    for path in files:
        part = kept_folder() / f"{path.name}.part"
        try:
            shutil.copyfile(path, part)
            part.replace(kept_folder() / path.name)
        except OSError as error:
            raise BenchmarkError(f"{shown(part)}: cannot be written: {error.strerror}") from error
    return kept_folder() if source.is_dir() else kept_folder() / source.name
