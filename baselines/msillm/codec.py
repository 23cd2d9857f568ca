"""The codec `msillm`: the public models of MS-ILLM and No-GAN, with a bitstream.

Each quality is a model of its own, for a target of bits per pixel; those whose weights are there can be used.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from benchmark.baselines.hific.codec import MEMORY, picture_to_tensor, tensor_to_picture
from benchmark.baselines.hific.coder import LatentCoder
from benchmark.baselines.hific.container import check_size
from benchmark.baselines.hific.network import STRIDE
from benchmark.baselines.msillm.container import OVERHEAD, Container, pack, unpack
from benchmark.baselines.msillm.network import latent_size
from benchmark.baselines.msillm.weights import ADVICE, TARGETS, file_name, kept_folder, load, named
from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd.deterministic import repeatable
from benchmark.hfd.device import open_device
from benchmark.hfd.machine import describe_machine, machine_fingerprint
from benchmark.hfd.memory import require_memory


class Model:
    """One model, ready to code."""

    def __init__(self, path: Path, device: torch.device) -> None:
        """Raises BenchmarkError on a file that is no such model."""
        self.model, self.checkpoint = load(path)
        self.device = device
        self.coder = LatentCoder(self.model)
        self.model.to(device)

    @property
    def weights(self) -> bytes:
        """Four bytes that name the weights."""
        return bytes.fromhex(self.checkpoint.identity)[:4]

    @torch.inference_mode()
    @repeatable()
    def encode(self, image: Tensor) -> tuple[bytes, float]:
        """The payload of an image (1, 3, H, W) in [0, 1], and its bits by the model's likelihoods."""
        y = self.model.analyse(image.to(self.device))
        symbols = self.model.hyper_analyse(y)
        return self.coder.encode(y, symbols)[0], float(self.model.estimate(y, symbols))

    @torch.inference_mode()
    @repeatable()
    def decode(self, payload: bytes, height: int, width: int) -> Tensor:
        """The image (1, 3, H, W) in [0, 1]. Raises CorruptStream on a payload that no encoder wrote.

        Raises BenchmarkError, before anything is allocated, if the image takes more memory than there is.
        """
        rows, columns = latent_size(height, width)
        require_memory(STRIDE * rows, STRIDE * columns, MEMORY)
        y_hat = self.coder.decode(payload, rows, columns)
        image = self.model.synthesise(y_hat.to(self.device), height, width).cpu()
        if not bool(torch.isfinite(image).all()):
            raise CorruptStream("the stream decodes to an image that is not finite")
        return image


@dataclass(frozen=True)
class ModelFile:
    """A model that is there and is read on first use."""

    path: Path
    device: torch.device

    @cached_property
    def opened(self) -> Model:
        """Raises BenchmarkError on a file that is no such model."""
        return Model(self.path, self.device)


class MsillmCodec:
    """Muckley et al. 2023, arXiv 2301.11189."""

    stochastic = False
    trained_on = ("lpips",)
    header_bytes = OVERHEAD

    def __init__(self, model: str, files: dict[float, ModelFile]) -> None:
        self.model = model
        self.files = files
        self.qualities = tuple(sorted(files))

    def encode(self, image: Image, quality: float) -> bytes:
        """Container and payload. Raises UsageError on another quality, BenchmarkError on too large an image."""
        return self.encode_with_estimate(image, quality)[0]

    def encode_with_estimate(self, image: Image, quality: float) -> tuple[bytes, float]:
        """`encode`, and what the model's likelihoods say the payload costs, in bits; the container is not in it."""
        if quality not in self.files:
            there = ", ".join(f"{each:g}" for each in self.qualities)
            raise UsageError(
                f"msillm: the weights of quality {quality:g} are not here, only those of {there}; {ADVICE}"
            )
        height, width = image.shape[:2]
        check_size(height, width, "msillm")
        rows, columns = latent_size(height, width)
        require_memory(STRIDE * rows, STRIDE * columns, MEMORY)
        model = self.files[quality].opened
        payload, bits = model.encode(picture_to_tensor(image))
        container = Container(self.model, quality, height, width, model.weights, machine_fingerprint(), payload)
        return pack(container), bits

    def estimate_bits(self, image: Image, quality: float) -> float:
        """The estimate of `encode_with_estimate`."""
        return self.encode_with_estimate(image, quality)[1]

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """The image, uint8.

        Raises CorruptStream on a damaged or foreign stream, and BenchmarkError on one that was made on another kind of
        machine: its entropy parameters are floats, which may differ here by a rounding, and then all that follows is
        garbage.
        """
        container = unpack(data)
        if container.model != self.model or container.quality not in self.files:
            name = file_name(container.model, container.quality)
            raise BenchmarkError(f"the stream is for {name}, whose weights are not here; {ADVICE}")
        model = self.files[container.quality].opened
        if container.weights != model.weights:
            raise CorruptStream(
                f"the stream was made with weights {container.weights.hex()}, these are {model.weights.hex()}; "
                "name the right ones: msillm:weights=FILE"
            )
        if container.machine != machine_fingerprint():
            raise BenchmarkError(
                f"the stream was made on another kind of machine ({container.machine.hex()}) than this one "
                f"({machine_fingerprint().hex()}: {describe_machine()}); MS-ILLM's entropy parameters are floats, and "
                "a difference in rounding would decode garbage: decode it where it was made"
            )
        return tensor_to_picture(model.decode(container.payload, container.height, container.width))

    def describe(self) -> dict[str, Any]:
        """For each quality: size and hash of the weights, name of the file."""
        return {
            "model": self.model,
            "qualities": {f"{quality:g}": self._describe(file) for quality, file in sorted(self.files.items())},
            "machine": {"fingerprint": machine_fingerprint().hex(), "description": describe_machine()},
            "torch": torch.__version__,
        }

    @staticmethod
    def _describe(file: ModelFile) -> dict[str, Any]:
        checkpoint = file.opened.checkpoint
        return {"sha256": checkpoint.identity, "file": file.path.name, **checkpoint.config.as_json()}


def msillm(
    device: str,
    weights: Annotated[
        Path | None, Field(description="a checkpoint, or a folder of them, in place of those that were fetched")
    ] = None,
    model: Annotated[Literal["msillm", "noganms"], Field(description="with a GAN, or without")] = "msillm",
    quality: Annotated[
        float | None, Field(description="of the file, if its name does not say it: 0.1 (vlo1), 0.2 (vlo2), 1 to 6")
    ] = None,
) -> MsillmCodec:
    """MS-ILLM, or No-GAN, by the models that are there.

    Qualities 0.1 (vlo1), 0.2 (vlo2) and 1 to 6, each a model of its own for a target of bits per pixel.
    """
    where = open_device(device)
    if weights is not None and weights.is_file():
        found = named(weights)
        if found is not None and (found[0] != model or quality not in (None, found[1])):
            raise UsageError(f"{weights} is model={found[0]},quality={found[1]:g} by its name")
        chosen = quality if found is None else found[1]
        if chosen is None:
            raise UsageError(f"{weights} does not say its quality: add quality=0.1, 0.2, 1, 2, 3, 4, 5 or 6")
        if chosen not in TARGETS:
            raise UsageError(f"msillm: quality={chosen:g} is none of 0.1 (vlo1), 0.2 (vlo2), 1, 2, 3, 4, 5, 6")
        return MsillmCodec(model, {chosen: ModelFile(weights, where)})
    if quality is not None:
        raise UsageError("msillm: quality belongs to weights=FILE; a folder's files say theirs")
    folder = kept_folder() if weights is None else weights
    paths = {each: folder / file_name(model, each) for each in TARGETS}
    files = {each: ModelFile(path, where) for each, path in paths.items() if path.is_file()}
    if not files:
        raise UsageError(f"msillm has no weights of {model} {'here' if weights is None else f'at {weights}'}: {ADVICE}")
    return MsillmCodec(model, files)
