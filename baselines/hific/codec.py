"""The codec `hific`: the paper's own model, with a bitstream.

Its qualities are the three models that were published: 1 low (trained for 0.14 bits per pixel), 2 med (0.30), 3 high
(0.45). Each is a model of its own; those whose weights are there can be used.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from benchmark.baselines.hific.coder import LatentCoder
from benchmark.baselines.hific.container import VARIANTS, Container, check_size, pack, unpack
from benchmark.baselines.hific.model import Hific, latent_size
from benchmark.baselines.hific.network import STRIDE
from benchmark.baselines.hific.weights import ADVICE, Checkpoint, kept_file, load_hific
from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd.codec import open_device
from benchmark.hfd.deterministic import repeatable
from benchmark.hfd.machine import describe_machine, machine_fingerprint
from benchmark.hfd.memory import Memory, require_memory

MEMORY = Memory(1100, 0)
"""Of the generator. `pytest -m slow -k memory_of_the_generator` measures it at full size."""


class Variant:
    """One model, ready to code."""

    def __init__(self, model: Hific, checkpoint: Checkpoint, device: torch.device) -> None:
        self.checkpoint = checkpoint
        self.model = model
        self.device = device
        self.coder = LatentCoder(model)
        model.to(device)

    @property
    def weights(self) -> bytes:
        """Four bytes that name the weights."""
        return bytes.fromhex(self.checkpoint.identity)[:4]

    @torch.inference_mode()
    @repeatable()
    def encode(self, picture: Tensor) -> bytes:
        """The payload of an image (1, 3, H, W) in [0, 1]."""
        y = self.model.analyse(picture.to(self.device))
        return self.coder.encode(y, self.model.hyper_analyse(y))[0]

    @torch.inference_mode()
    @repeatable()
    def decode(self, payload: bytes, height: int, width: int) -> Tensor:
        """The image (1, 3, H, W) in [0, 1]. Raises CorruptStream on a payload that no encoder wrote.

        Raises BenchmarkError, before anything is allocated, if the image takes more memory than there is.
        """
        rows, columns = latent_size(height, width)
        require_memory(STRIDE * rows, STRIDE * columns, MEMORY)
        y_hat = self.coder.decode(payload, rows, columns)
        picture = self.model.synthesise(y_hat.to(self.device), height, width).cpu()
        if not bool(torch.isfinite(picture).all()):
            raise CorruptStream("the stream decodes to an image that is not finite")
        return picture

    @torch.inference_mode()
    @repeatable()
    def estimate_bits(self, picture: Tensor) -> float:
        """Bits of an image (1, 3, H, W) in [0, 1] by the model's likelihoods, as the public code reports them."""
        y = self.model.analyse(picture.to(self.device))
        z_hat = self.model.hyper_analyse(y)
        mean, scale = self.model.mean_and_scale(z_hat)
        symbols = torch.floor(y - mean + 0.5)
        return float(self.model.estimate(symbols + mean, z_hat, mean, scale))


@dataclass(frozen=True)
class VariantFile:
    """A model that is there and is read on first use."""

    path: Path
    device: torch.device

    @cached_property
    def opened(self) -> Variant:
        """Raises BenchmarkError on a file that is no HiFiC model."""
        return Variant(*load_hific(self.path), self.device)


class HificCodec:
    """Mentzer, Toderici, Tschannen, Agustsson 2020, arXiv 2006.09965."""

    stochastic = False
    trained_on = ("lpips",)

    def __init__(self, files: dict[str, VariantFile]) -> None:
        self.files = files
        self.qualities = tuple(float(VARIANTS.index(variant) + 1) for variant in VARIANTS if variant in files)

    def encode(self, image: Image, quality: float) -> bytes:
        """Container and payload. Raises UsageError on another quality than those, BenchmarkError on a large image."""
        if quality not in self.qualities:
            raise UsageError(self._missing(quality))
        height, width = image.shape[:2]
        check_size(height, width)
        name = VARIANTS[int(quality) - 1]
        variant = self.files[name].opened
        payload = variant.encode(picture_to_tensor(image))
        return pack(Container(name, height, width, variant.weights, machine_fingerprint(), payload))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """The image, uint8.

        Raises CorruptStream on a damaged or foreign stream, and BenchmarkError on one that was made with other weights
        or on another kind of machine: its entropy parameters are floats, which may differ here by a rounding, and then
        all that follows is garbage.
        """
        container = unpack(data)
        if container.variant not in self.files:
            raise BenchmarkError(f"the stream is for HiFiC {container.variant}, whose weights are not here; {ADVICE}")
        variant = self.files[container.variant].opened
        if container.weights != variant.weights:
            raise CorruptStream(
                f"the stream was made with weights {container.weights.hex()}, these are {variant.weights.hex()}; "
                "name the right ones: hific:weights=FILE"
            )
        if container.machine != machine_fingerprint():
            raise BenchmarkError(
                f"the stream was made on another kind of machine ({container.machine.hex()}) than this one "
                f"({machine_fingerprint().hex()}: {describe_machine()}); HiFiC's entropy parameters are floats, and a "
                "difference in rounding would decode garbage: decode it where it was made"
            )
        return tensor_to_picture(variant.decode(container.payload, container.height, container.width))

    def describe(self) -> dict[str, Any]:
        """For each variant: size, conventions, hash of the weights, name and hash of the checkpoint file."""
        return {
            "variants": {name: self._describe(file) for name, file in self.files.items()},
            "machine": {"fingerprint": machine_fingerprint().hex(), "description": describe_machine()},
            "torch": torch.__version__,
        }

    @staticmethod
    def _describe(file: VariantFile) -> dict[str, Any]:
        checkpoint = file.opened.checkpoint
        return {"sha256": checkpoint.identity, "checkpoint": checkpoint.source, **checkpoint.config.as_json()}

    def _missing(self, quality: float) -> str:
        there = ", ".join(f"{VARIANTS.index(variant) + 1} ({variant})" for variant in self.files)
        if quality not in (1, 2, 3):
            return f"hific: quality {quality:g} is none of 1 (low), 2 (med), 3 (high); weights are here for {there}"
        return (
            f"hific: the weights of quality {quality:g} ({VARIANTS[int(quality) - 1]}) are not here, "
            f"only those of {there}; {ADVICE}"
        )


def picture_to_tensor(image: Image) -> Tensor:
    """uint8 (H, W, 3) -> float32 (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].float() / 255


def tensor_to_picture(picture: Tensor) -> Image:
    """(1, 3, H, W) in [0, 1] -> uint8 (H, W, 3), rounded."""
    samples: Image = torch.round(picture[0] * 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return samples


def hific(
    device: str,
    weights: Annotated[Path | None, Field(description="a checkpoint file, in place of those that were fetched")] = None,
    variant: Annotated[
        Literal["low", "med", "high"] | None, Field(description="what the file of `weights` is, or the one to use")
    ] = None,
) -> HificCodec:
    """HiFiC (Mentzer et al. 2020): the variants that were fetched, or the one in `weights`.

    Quality 1 is low (trained for 0.14 bits per pixel), 2 med (0.30), 3 high (0.45): a model each.
    """
    where = open_device(device)
    if weights is not None:
        file = VariantFile(weights, where)
        named = variant or file.opened.checkpoint.variant
        if named is None:
            raise UsageError(f"{weights} does not say whether it is low, med or high: add variant=low, med or high")
        return HificCodec({named: file})
    files = {name: VariantFile(kept_file(name), where) for name in VARIANTS if kept_file(name).is_file()}
    if variant is not None:
        files = {name: file for name, file in files.items() if name == variant}
    if not files:
        raise UsageError(f"hific has no weights here{f' for {variant}' if variant else ''}: {ADVICE}")
    return HificCodec(files)
