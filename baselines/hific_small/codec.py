"""The codec `hific-small`: the payload of `mse` and `hfd`, decoded by a generator that a GAN has taught."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from benchmark.baselines.hific_small.network import KIND, Generator, load_generator
from benchmark.codecs import Image
from benchmark.hfd.bases import AutoencoderBase, check_trained_on
from benchmark.hfd.codec import FirstStageFile, check_header, open_device
from benchmark.hfd.container import QUALITY_STEPS, TYPICAL_BYTES, quality_of, steps_of
from benchmark.hfd.deterministic import repeatable
from benchmark.hfd.embedding import Header
from benchmark.hfd.first_stage import load_first_stage
from benchmark.hfd.score import tensor_to_picture
from benchmark.hfd.transforms import STRIDE, TILE, in_tiles
from benchmark.hfd.weights import FIRST_STAGE_FILE
from benchmark.hfd.weights import SHIPPED as FIRST_STAGES

SHIPPED = Path(__file__).parent / "weights"
"""`hific-small.safetensors` and its card."""


class GeneratorDecoder:
    """The generator at work: ŷ and x̂ to an image, large ones in tiles.

    A tile sees as far beyond its border as the network looks, so each value is that of the whole image up to float
    rounding.
    """

    def __init__(self, generator: Generator, device: str | torch.device = "cpu", tile: int = TILE) -> None:
        """generator: in evaluation mode. tile: its largest side, in latents."""
        self.device = torch.device(device)
        self.generator = generator.to(self.device)
        self.tile = tile

    @torch.inference_mode()
    @repeatable()
    def decode(self, y_hat: Tensor, x_hat: Tensor, steps: int) -> Tensor:
        """ŷ (1, M, h, w), x̂ (1, 3, 16·h, 16·w) and the quality in steps: the image, as x̂, in [-0.5, 0.5]."""
        quality = torch.tensor([quality_of(steps)], device=self.device)
        latents = y_hat.shape[1]

        def of_tile(both: Tensor) -> Tensor:
            picture: Tensor = self.generator(both[:, :latents], F.pixel_shuffle(both[:, latents:], STRIDE), quality)
            return picture

        both = torch.cat([y_hat.to(self.device), F.pixel_unshuffle(x_hat.to(self.device), STRIDE)], 1)
        return in_tiles(of_tile, both, 1, STRIDE, 3, self.tile, self.generator.receptive_field).clamp(-0.5, 0.5)


class HificSmallCodec:
    """The small first stage and a generator after Mentzer et al. 2020 on its latents."""

    stochastic = False
    trained_on = ("lpips",)
    header_bytes = TYPICAL_BYTES

    def __init__(self, base: AutoencoderBase, decoder: GeneratorDecoder, identity: str) -> None:
        """identity: of the generator's weights, 64 hex digits."""
        self.base = base
        self.decoder = decoder
        self.identity = identity
        self.weights = hashlib.sha256(bytes.fromhex(base.identity + identity)).digest()[:4]
        self.qualities = tuple(float(q) for q in range(1, base.levels + 1))
        self.scale = (1.0, self.qualities[-1], 1 / QUALITY_STEPS)

    def encode(self, image: Image, quality: float) -> bytes:
        """Container and payload, which is that of `mse` at the same quality.

        Raises UsageError on a quality out of range, BenchmarkError on too large an image.
        """
        return self.encode_with_estimate(image, quality)[0]

    def encode_with_estimate(self, image: Image, quality: float) -> tuple[bytes, float]:
        """`encode`, and what the entropy model says the payload costs, in bits; the container is not in it."""
        header = Header(KIND, steps_of(quality, self.base.levels), 0, self.weights)
        return self.base.encode_with_estimate(image, header)

    def estimate_bits(self, image: Image, quality: float) -> float:
        """The estimate of `encode_with_estimate`."""
        return self.encode_with_estimate(image, quality)[1]

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """The image, uint8. Raises CorruptStream on a damaged or foreign stream, or one made with other weights."""
        container = self.base.container(data)
        height, width, steps = container.height, container.width, container.quality_steps
        check_header(Header(container.decoder, steps, container.seed, container.weights), KIND, self.weights, self.base)
        first_stage = self.base.first_stage
        y_hat = first_stage.decode_latents(container.payload, height, width, steps)
        rows, columns = y_hat.shape[-2:]
        x_hat = first_stage.synthesise(y_hat, STRIDE * rows, STRIDE * columns, steps)
        return tensor_to_picture(self.decoder.decode(y_hat, x_hat, steps)[..., :height, :width])

    def x_hat(self, data: bytes) -> Image:
        """The first stage's own image, uint8, which the generator starts from. Raises CorruptStream as `decode`."""
        container = self.base.container(data)
        own = Header(container.decoder, container.quality_steps, container.seed, container.weights)
        check_header(own, KIND, self.weights, self.base)
        return tensor_to_picture(self.base.decode(data))

    def describe(self) -> dict[str, Any]:
        """First stage, hash and size of the generator."""
        generator = {"sha256": self.identity, **self.decoder.generator.config.as_json()}
        return {**self.base.describe(), "decoder": {"kind": KIND, **generator}, "torch": torch.__version__}


def hific_small(
    device: str,
    first_stage: FirstStageFile | None = None,
    weights: Annotated[Path, Field(description="weights of the generator; default: the shipped")] | None = None,
) -> HificSmallCodec:
    """The payload of `mse`, decoded by a generator that was trained with MSE, LPIPS and a GAN."""
    where = open_device(device)
    base = AutoencoderBase(*load_first_stage(first_stage or FIRST_STAGES / FIRST_STAGE_FILE, where, "small"))
    path = weights or SHIPPED / "hific-small.safetensors"
    generator, configuration, identity = load_generator(path)
    check_trained_on(base, configuration, path)
    return HificSmallCodec(base, GeneratorDecoder(generator, where), identity)
