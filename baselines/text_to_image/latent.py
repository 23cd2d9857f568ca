"""The codec `sd-latent`: the latents of Stable Diffusion's autoencoder, quantised and entropy coded.

Nothing is trained: the autoencoder (Rombach et al. 2022, arXiv:2112.10752), its small copy TAESD, or that of another
model was made for a diffusion to work on, not for bits. `steps=0` (the default) decodes the latents as they are, which
no quality lifts above what the autoencoder itself gives. With `steps` a text-to-image model cleans them first, by noise
and as many steps back, asked without words.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from benchmark.baselines.text_to_image import latent_coder
from benchmark.baselines.text_to_image.folder import (
    configuration,
    diffusers_class,
    identity_of,
    network,
    of_hub,
    scheduler,
)
from benchmark.baselines.text_to_image.latent_container import Container, pack, unpack
from benchmark.baselines.text_to_image.tiling import blended
from benchmark.baselines.text_to_image.upscale import empty_prompt
from benchmark.baselines.upscale.container import MAX_STEPS, check_size
from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd.container import MAX_SEED, QUALITY_STEPS, quality_of, steps_of
from benchmark.hfd.deterministic import repeatable
from benchmark.hfd.device import open_device
from benchmark.hfd.memory import Memory, require_memory
from benchmark.reading import parse_json, read_text, shown

REPOSITORY = "stabilityai/sd-vae-ft-mse"
QUALITIES = 7
"""Quality q has a quantiser of step 2^(3 − q), 4 to 1/16, where the model scales latents to a deviation of about 1."""
AUTOENCODERS = ("AutoencoderKL", "AutoencoderTiny")
PIXELS, OVERLAP = 512, 128
"""Of a tile, and of what two tiles share, in pixels of the image."""
MEMORY = Memory(120, 12_000, PIXELS**2)
"""Estimated from the widest layers of Stable Diffusion's autoencoder: 256 channels at full resolution, in a tile."""


class Autoencoder:
    """A variational autoencoder of diffusers at work, on latents as its diffusion knows them.

    part: its folder inside `folder`; "" if that is its folder itself. stride: pixels per latent. identity: 64 hex
    digits.
    """

    def __init__(self, folder: Path, device: torch.device, pixels: int = PIXELS, overlap: int = OVERLAP) -> None:
        """Raises BenchmarkError, one line, on a folder without one, or with one of another kind."""
        self.part = "vae" if (folder / "vae").is_dir() else ""
        self.configuration = configuration(folder, self.part)
        name = kind_of(folder, self.part)
        self.name = name
        self.network: Any = network(diffusers_class(name, "sd-latent"), folder, self.part)
        config = self.network.config
        self.channels = int(config.latent_channels)
        widths = config.encoder_block_out_channels if name == "AutoencoderTiny" else config.block_out_channels
        self.stride = 2 ** (len(widths) - 1)
        self.scale = float(getattr(config, "scaling_factor", 1.0) or 1.0)
        self.shift = float(getattr(config, "shift_factor", 0.0) or 0.0)
        self.device, self.tile, self.overlap = device, pixels // self.stride, overlap // self.stride
        self.identity = identity_of(self.network.state_dict(), self.configuration)
        self.network.to(device)

    @torch.inference_mode()
    @repeatable()
    def encode(self, image: Image) -> Tensor:
        """uint8 (H, W, 3) -> (1, channels, ⌈H/stride⌉, ⌈W/stride⌉), on the CPU: the mode, scaled.

        The image is continued by its last row and column to a multiple of the stride.
        """
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % self.stride), (0, -width % self.stride), (0, 0)), mode="edge")
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].to(self.device).float() / 127.5 - 1

        def of_tile(part: Tensor) -> Tensor:
            found = self.network.encode(part)
            latents: Tensor = found.latents if self.name == "AutoencoderTiny" else found.latent_dist.mode()
            return latents

        latents = blended(of_tile, x, self.tile, self.overlap, 1, 1, self.stride).cpu()
        return (latents - self.shift) * self.scale

    @torch.inference_mode()
    @repeatable()
    def decode(self, latents: Tensor, height: int, width: int) -> Image:
        """The image of latents as `encode` gives them, uint8. Raises BenchmarkError if its numbers are not finite."""

        def of_tile(part: Tensor) -> Tensor:
            image: Tensor = self.network.decode(part, return_dict=False)[0]
            return image

        x = (latents / self.scale + self.shift).to(self.device)
        image = blended(of_tile, x, self.tile, self.overlap, 1, self.stride)[0].cpu()
        if not bool(torch.isfinite(image).all()):
            raise BenchmarkError("sd-latent gives numbers that are not finite: these weights are damaged")
        samples = ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
        return np.ascontiguousarray(samples[:height, :width])


def kind_of(folder: Path, part: str) -> str:
    """The class of the autoencoder, as its configuration names it. Raises BenchmarkError on another."""
    path = folder / part / "config.json"
    name = parse_json(read_text(path), shown(path)).get("_class_name")
    if name not in AUTOENCODERS:
        raise BenchmarkError(f"{shown(path)}: an autoencoder of class {name}, not {' or '.join(AUTOENCODERS)}")
    return str(name)


class Cleaner:
    """A text-to-image model that takes noise out of latents: diffusers' image-to-image pipeline, without words."""

    def __init__(self, folder: Path, autoencoder: Autoencoder, device: torch.device) -> None:
        """Raises BenchmarkError, one line, on a folder without one that fits."""
        pipeline = diffusers_class("StableDiffusionImg2ImgPipeline", "sd-latent")
        self.unet: Any = network(diffusers_class("UNet2DConditionModel", "sd-latent"), folder, "unet")
        self.prompt = empty_prompt(folder)
        config = self.unet.config
        if (
            config.addition_embed_type is not None
            or config.in_channels != autoencoder.channels
            or autoencoder.part == ""
        ):
            raise BenchmarkError(
                f"{folder}: its network is not of Stable Diffusion 1 or 2, whose image-to-image cleans latents; "
                "steps=0 works with its autoencoder alone"
            )
        if self.prompt.shape[-1] != config.cross_attention_dim:
            raise BenchmarkError(
                f"{folder}: its prompt is {self.prompt.shape[-1]} wide, its network takes {config.cross_attention_dim}"
            )
        tensors = {"prompt": self.prompt} | self.unet.state_dict()
        self.identity = identity_of(tensors, {part: configuration(folder, part) for part in ("unet", "scheduler")})
        self.pipeline: Any = pipeline(
            vae=autoencoder.network,
            text_encoder=None,
            tokenizer=None,
            unet=self.unet,
            scheduler=scheduler("DDIMScheduler", folder, "scheduler", "sd-latent"),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        self.pipeline.set_progress_bar_config(disable=True)
        self.pipeline.to(device)
        self.prompt = self.prompt.to(device)
        self.tile, self.overlap = autoencoder.tile, autoencoder.overlap
        self.grid = 2 ** (len(config.block_out_channels) - 1)
        self._whole = self.unet.forward
        self.unet.forward = self._in_tiles

    def _in_tiles(self, sample: Tensor, *arguments: Any, **keywords: Any) -> Any:
        keywords["return_dict"] = False

        def of_tile(part: Tensor) -> Tensor:
            prediction: Tensor = self._whole(part, *arguments, **keywords)[0]
            return prediction

        return (blended(of_tile, sample, self.tile, self.overlap, self.grid),)

    @torch.inference_mode()
    @repeatable()
    def clean(self, latents: Tensor, steps: int, strength: int, seed: int) -> Tensor:
        """Latents with noise for `strength` per cent of the way and back again, in that part of `steps` steps."""
        rows, columns = latents.shape[-2:]
        margins = (0, -columns % self.grid, 0, -rows % self.grid)
        padded = torch.nn.functional.pad(latents, margins, mode="replicate")
        cleaned: Tensor = self.pipeline(
            image=padded,
            prompt_embeds=self.prompt,
            guidance_scale=1.0,
            num_inference_steps=steps,
            strength=strength / 100,
            generator=torch.Generator().manual_seed(seed),  # of the CPU: the same noise on every device
            output_type="latent",
            return_dict=False,
        )[0]
        return cleaned[..., :rows, :columns].cpu()


def step_of(quality_steps: int) -> float:
    """The quantiser's step, of latents as the diffusion knows them."""
    return 2.0 ** (3 - quality_of(quality_steps))


@dataclass(frozen=True)
class SdLatentCodec:
    """Quantised latents; with a cleaner `steps`, `strength` (per cent) and `seed` go into each stream."""

    autoencoder: Autoencoder
    cleaner: Cleaner | None = None
    steps: int = 0
    strength: int = 0
    seed: int = 0
    qualities: tuple[float, ...] = tuple(float(q) for q in range(1, QUALITIES + 1))
    scale: tuple[float, float, float] = (1.0, float(QUALITIES), 1 / QUALITY_STEPS)

    @property
    def stochastic(self) -> bool:
        """With a cleaner, whose noise is drawn."""
        return self.cleaner is not None

    @property
    def weights(self) -> bytes:
        """Four bytes that name the weights."""
        own = bytes.fromhex(self.autoencoder.identity)[:4]
        if self.cleaner is None:
            return own
        return bytes(a ^ b for a, b in zip(own, bytes.fromhex(self.cleaner.identity), strict=False))

    def encode(self, image: Image, quality: float) -> bytes:
        """Container and payload.

        Raises UsageError on a quality out of range, BenchmarkError on too large an image.
        """
        height, width = image.shape[:2]
        check_size(height, width)
        steps = steps_of(quality, QUALITIES)
        require_memory(height, width, MEMORY)
        latents = self.autoencoder.encode(image)[0].double().numpy()
        if not np.isfinite(latents).all():
            raise BenchmarkError("the image has latents that are not finite: these weights are damaged")
        symbols = np.floor(np.clip(latents / step_of(steps), -(2.0**40), 2.0**40) + 0.5).astype(np.int64)
        payload = latent_coder.encode(symbols)
        return pack(Container(height, width, steps, self.weights, payload, self.steps, self.strength, self.seed))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """The image, uint8; `seed` None takes the stream's.

        Raises CorruptStream on a damaged or foreign stream, or one made with other weights; BenchmarkError, before
        anything is allocated, if the image takes more memory than there is.
        """
        container, latents = self._latents(data)
        if self.cleaner is not None:
            chosen = container.seed if seed is None else seed
            latents = self.cleaner.clean(latents, container.steps, container.strength, chosen)
        return self.autoencoder.decode(latents, container.height, container.width)

    def x_hat(self, data: bytes) -> Image:
        """What the bits say before a model cleans it: the image of the latents as they are, uint8."""
        container, latents = self._latents(data)
        return self.autoencoder.decode(latents, container.height, container.width)

    def describe(self) -> dict[str, Any]:
        """Class, size and hash of the autoencoder, settings and hash of the cleaner, versions."""
        import diffusers

        own = self.autoencoder
        described: dict[str, Any] = {
            "autoencoder": {
                "class": own.name,
                "sha256": own.identity,
                "channels": own.channels,
                "stride": own.stride,
                "tile": own.tile,
                "overlap": own.overlap,
            }
        }
        if self.cleaner is not None:
            settings = {"steps": self.steps, "strength": self.strength / 100, "seed": self.seed}
            described["cleaner"] = {"sha256": self.cleaner.identity, "sampler": "DDIMScheduler", **settings}
        return {**described, "diffusers": diffusers.__version__, "torch": torch.__version__}

    def _latents(self, data: bytes) -> tuple[Container, Tensor]:
        container = unpack(data)
        cleaned = container.steps > 0
        if cleaned != (self.cleaner is not None):
            how = f"steps={container.steps}" if cleaned else "steps=0"
            raise CorruptStream(f"the stream is for `sd-latent:{how}`; decode it with that setting")
        if container.weights != self.weights:
            raise CorruptStream(
                f"the stream was made with weights {container.weights.hex()}, these are {self.weights.hex()}; "
                "name the right ones: sd-latent:weights=FOLDER"
            )
        if container.quality_steps > steps_of(QUALITIES, QUALITIES):
            raise CorruptStream("the stream claims a quality that no encoder has")
        require_memory(container.height, container.width, MEMORY)
        rows, columns = (math.ceil(side / self.autoencoder.stride) for side in (container.height, container.width))
        symbols = latent_coder.decode(container.payload, self.autoencoder.channels, rows, columns)
        return container, torch.from_numpy(symbols).float()[None] * step_of(container.quality_steps)


def sd_latent(
    device: str,
    steps: Annotated[
        int,
        Field(ge=0, le=MAX_STEPS, description="of the image-to-image cleaning, DDIM; 0 draws the latents as they are"),
    ] = 0,
    strength: Annotated[
        float, Field(gt=0, le=1, description="of the cleaning: how far towards noise, in steps of 0.01")
    ] = 0.2,
    seed: Annotated[int, Field(ge=0, le=MAX_SEED, description="of the cleaning, written into each stream")] = 0,
    weights: Annotated[
        Path | None,
        Field(
            description=f"an autoencoder's folder, or a model's, as diffusers keeps it; default: the hub's {REPOSITORY}"
        ),
    ] = None,
) -> SdLatentCodec:
    """Quantised latents of a text-to-image model's autoencoder.

    Qualities 1 to 7, in steps of 1/32: each halves the quantiser's step. With `steps` the image depends on a decoder
    seed.
    """
    where = open_device(device)
    percent = round(100 * strength)
    if steps and int(steps * (percent / 100)) < 1:
        raise UsageError(f"sd-latent: strength={strength:g} of {steps} steps is less than one: name more of either")
    if weights is not None and not weights.is_dir():
        raise UsageError(f"sd-latent: weights={weights}: there is no such folder")
    if weights is None and steps:
        raise UsageError(f"sd-latent: steps={steps} wants a model's folder: weights=FOLDER; the default has no network")
    folder = weights or of_hub(REPOSITORY, (), "sd-latent")
    autoencoder = Autoencoder(folder, where)
    if not steps:
        return SdLatentCodec(autoencoder)
    return SdLatentCodec(autoencoder, Cleaner(folder, autoencoder, where), steps, percent, seed)
