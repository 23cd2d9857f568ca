"""The codec `sd-upscale`: a small copy of the image, enlarged by Stable Diffusion's upscaler.

Nothing is trained: a latent diffusion model that was made to enlarge photographs (Rombach et al. 2022,
arXiv:2112.10752) decodes what `upscale` sends. It is asked without words: the prompt is empty and its embedding comes
with the weights, so that no text encoder runs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from benchmark.baselines.text_to_image.folder import (
    configuration,
    diffusers_class,
    identity_of,
    network,
    of_hub,
    scheduler,
    tensor_of,
)
from benchmark.baselines.text_to_image.tiling import blended
from benchmark.baselines.upscale.container import (
    MAX_NOISE_LEVEL,
    MAX_STEPS,
    Container,
    check_size,
    check_weights,
    pack,
    unpack,
)
from benchmark.baselines.upscale.small_copy import (
    QUALITIES,
    check_copy,
    codec_of_copy,
    decode_copy,
    enlarge,
    shrink,
)
from benchmark.codecs import Image
from benchmark.errors import BenchmarkError, CorruptStream, UsageError
from benchmark.hfd.container import MAX_SEED
from benchmark.hfd.deterministic import repeatable
from benchmark.hfd.device import open_device
from benchmark.hfd.memory import Memory, require_memory

REPOSITORY = "stabilityai/stable-diffusion-x4-upscaler"
UPSCALER, FACTOR = "stable-diffusion", 4
PARTS = ("unet", "vae", "scheduler", "low_res_scheduler", "text_encoder", "tokenizer")
PROMPT_FILE, PROMPT_TENSOR = "empty_prompt.safetensors", "prompt_embeds"
"""Beside the parts: what the text encoder makes of the empty prompt, (1, tokens, width)."""
TILE, OVERLAP = 128, 32
"""Of both networks, in latents; a latent is as large as a pixel of the copy."""
MEMORY = Memory(120, 12_000, (TILE * FACTOR) ** 2)
"""Estimated from the widest layers of the published autoencoder: 256 channels at full resolution, in a tile."""


class Upscaler:
    """The pipeline at work. identity: 64 hex digits, of networks, prompt and schedulers."""

    def __init__(self, folder: Path, device: torch.device, tile: int = TILE, overlap: int = OVERLAP) -> None:
        """Raises BenchmarkError, one line, on a folder that has not what it takes."""
        pipeline = diffusers_class("StableDiffusionUpscalePipeline", "sd-upscale")
        self.unet: Any = network(diffusers_class("UNet2DConditionModel", "sd-upscale"), folder, "unet")
        self.vae: Any = network(diffusers_class("AutoencoderKL", "sd-upscale"), folder, "vae")
        self.prompt = empty_prompt(folder)
        found = 2 ** (len(self.vae.config.block_out_channels) - 1)
        if found != FACTOR:
            raise BenchmarkError(f"{folder}: its autoencoder enlarges {found} times, not {FACTOR}")
        channels = self.vae.config.latent_channels
        if self.unet.config.in_channels != channels + 3 or self.unet.config.out_channels != channels:
            raise BenchmarkError(
                f"{folder}: its network takes {self.unet.config.in_channels} channels, not {channels} of latents and 3 "
                "of the copy"
            )
        if self.prompt.shape[-1] != self.unet.config.cross_attention_dim:
            raise BenchmarkError(
                f"{folder}: its prompt is {self.prompt.shape[-1]} wide, its network takes "
                f"{self.unet.config.cross_attention_dim}"
            )
        self.grid = max(FACTOR, 2 ** (len(self.unet.config.block_out_channels) - 1))
        self.device, self.tile, self.overlap = device, tile, overlap
        tensors = {"prompt": self.prompt}
        for part, module in (("unet", self.unet), ("vae", self.vae)):
            tensors |= {f"{part}.{name}": tensor for name, tensor in module.state_dict().items()}
        self.identity = identity_of(tensors, {part: configuration(folder, part) for part in PARTS[:4]})
        self.pipeline: Any = pipeline(
            vae=self.vae,
            text_encoder=None,
            tokenizer=None,
            unet=self.unet,
            low_res_scheduler=scheduler("DDPMScheduler", folder, "low_res_scheduler", "sd-upscale"),
            scheduler=scheduler("DDIMScheduler", folder, "scheduler", "sd-upscale"),
            max_noise_level=MAX_NOISE_LEVEL,
        )
        self.pipeline.set_progress_bar_config(disable=True)
        self.pipeline.to(device)
        self.prompt = self.prompt.to(device)
        self._whole = self.unet.forward
        self.unet.forward = self._in_tiles

    def _in_tiles(self, sample: Tensor, *arguments: Any, **keywords: Any) -> Any:
        """The network's prediction, blended of tiles; what the pipeline calls in its place."""
        keywords["return_dict"] = False

        def of_tile(part: Tensor) -> Tensor:
            prediction: Tensor = self._whole(part, *arguments, **keywords)[0]
            return prediction

        return (blended(of_tile, sample, self.tile, self.overlap, self.grid),)

    @torch.inference_mode()
    @repeatable()
    def enlarge(self, copy: Image, steps: int, noise_level: int, seed: int) -> Image:
        """uint8 (h, w, 3) -> uint8 (4·h, 4·w, 3), the same for the same arguments.

        The copy is continued by its last row and column to a multiple of the network's grid, and cut again: the
        pipeline would stretch it. Raises BenchmarkError if numbers are not finite.
        """
        height, width = copy.shape[:2]
        padded = np.pad(copy, ((0, -height % self.grid), (0, -width % self.grid), (0, 0)), mode="edge")
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
        latents = self.pipeline(
            image=x,
            prompt_embeds=self.prompt,
            guidance_scale=1.0,
            num_inference_steps=steps,
            noise_level=noise_level,
            generator=torch.Generator().manual_seed(seed),  # of the CPU: the same noise on every device
            output_type="latent",
            return_dict=False,
        )[0]
        image = self._decoded(latents / self.vae.config.scaling_factor)[0].cpu()
        if not bool(torch.isfinite(image).all()):
            raise BenchmarkError("sd-upscale gives numbers that are not finite: these weights are damaged")
        samples = ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
        return np.ascontiguousarray(samples[: FACTOR * height, : FACTOR * width])

    def _decoded(self, latents: Tensor) -> Tensor:
        def of_tile(part: Tensor) -> Tensor:
            image: Tensor = self.vae.decode(part, return_dict=False)[0]
            return image

        return blended(of_tile, latents, self.tile, self.overlap, 1, FACTOR)


def empty_prompt(folder: Path) -> Tensor:
    """(1, tokens, width): from `PROMPT_FILE`, else by the text encoder of the folder, which is used this once.

    Raises BenchmarkError if there is neither.
    """
    if (folder / PROMPT_FILE).is_file():
        found = tensor_of(folder / PROMPT_FILE, PROMPT_TENSOR)
    elif (folder / "text_encoder").is_dir() and (folder / "tokenizer").is_dir():
        found = _encoded(folder)
    else:
        raise BenchmarkError(
            f"{folder} has neither {PROMPT_FILE}, with a tensor {PROMPT_TENSOR}, nor text_encoder and tokenizer"
        )
    if found.ndim != 3 or found.shape[0] != 1:
        raise BenchmarkError(f"{folder}: the empty prompt is {tuple(found.shape)}, not (1, tokens, width)")
    return found


def _encoded(folder: Path) -> Tensor:
    try:
        from transformers import CLIPTextModel, CLIPTokenizer

        tokenizer = CLIPTokenizer.from_pretrained(str(folder / "tokenizer"), local_files_only=True)
        encoder: Any = CLIPTextModel.from_pretrained(
            str(folder / "text_encoder"), local_files_only=True, use_safetensors=True
        )
        tokens = tokenizer("", padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt")
        with torch.inference_mode():
            found: Tensor = encoder.eval()(tokens.input_ids)[0].float()
        return found.clone()
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise BenchmarkError(f"{folder}: its text encoder cannot be read: {' '.join(str(error).split())}") from error


@dataclass(frozen=True)
class SdUpscaleCodec:
    """A small copy, enlarged by a latent diffusion model; steps, noise_level and seed go into each stream."""

    form: str
    upscaler: Upscaler
    steps: int
    noise_level: int
    seed: int
    stochastic: bool = True

    @property
    def weights(self) -> bytes:
        """Four bytes that name the weights."""
        return bytes.fromhex(self.upscaler.identity)[:4]

    @property
    def qualities(self) -> tuple[float, ...]:
        """Of the copy's format."""
        return QUALITIES[self.form]

    @property
    def scale(self) -> tuple[float, float, float]:
        """(lowest, highest, step) of the quality, of the copy's format."""
        return codec_of_copy(self.form).scale

    def encode(self, image: Image, quality: float) -> bytes:
        """Container and copy. Raises UsageError on another quality, BenchmarkError on too large an image."""
        height, width = image.shape[:2]
        check_size(height, width)
        file = codec_of_copy(self.form).encode(shrink(image, FACTOR), quality)
        numbers = (self.steps, self.noise_level, self.seed)
        return pack(Container(UPSCALER, self.form, FACTOR, height, width, file, self.weights, *numbers))

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """One sample, uint8; `seed` None takes the stream's.

        Raises CorruptStream on a damaged or foreign stream, or one made with other weights; BenchmarkError, before
        anything is allocated, if the image takes more memory than there is.
        """
        container = self._opened(data)
        copy, chosen = decode_copy(container), container.seed if seed is None else seed
        enlarged = self.upscaler.enlarge(copy, container.steps, container.noise_level, chosen)
        return np.ascontiguousarray(enlarged[: container.height, : container.width])

    def x_hat(self, data: bytes) -> Image:
        """What the bits say before the model adds to it: the copy, enlarged by the Lanczos filter, uint8."""
        container = self._opened(data)
        return enlarge(decode_copy(container), FACTOR, container.height, container.width)

    def small_copy(self, data: bytes) -> Image:
        """The copy as it was sent, uint8 (h, w, 3). Raises as `decode` does."""
        return decode_copy(self._opened(data))

    def describe(self) -> dict[str, Any]:
        """Format of the copy, settings, hash of the weights, versions."""
        import diffusers

        return {
            "copy": {"factor": FACTOR, **codec_of_copy(self.form).describe()},
            "upscaler": {
                "sha256": self.upscaler.identity,
                "sampler": "DDIMScheduler",
                "steps": self.steps,
                "noise_level": self.noise_level,
                "seed": self.seed,
                "tile": self.upscaler.tile,
                "overlap": self.upscaler.overlap,
            },
            "diffusers": diffusers.__version__,
            "torch": torch.__version__,
        }

    def _opened(self, data: bytes) -> Container:
        container = unpack(data)
        check_weights(container, UPSCALER, self.weights)
        if container.factor != FACTOR:
            raise CorruptStream(
                f"the stream claims a copy of factor {container.factor}; the model enlarges {FACTOR} times"
            )
        check_copy(container)
        require_memory(container.height, container.width, MEMORY)
        return container


def sd_upscale(
    device: str,
    copy: Annotated[Literal["avif", "jxl"], Field(description="format of the copy")] = "avif",
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS, description="of the sampler, DDIM")] = 50,
    noise_level: Annotated[
        int, Field(ge=0, le=MAX_NOISE_LEVEL, description="noise on the copy that the model is told of")
    ] = 20,
    seed: Annotated[int, Field(ge=0, le=MAX_SEED, description="of the decoder, written into each stream")] = 0,
    weights: Annotated[
        Path | None, Field(description=f"a folder as diffusers keeps it; default: the hub's copy of {REPOSITORY}")
    ] = None,
) -> SdUpscaleCodec:
    """A small copy of the image at a quarter of each side, enlarged by Stable Diffusion's upscaler, without words.

    Qualities are those of `upscale`. The image depends on a decoder seed.
    """
    where = open_device(device)
    codec_of_copy(copy)
    if weights is not None and not weights.is_dir():
        raise UsageError(f"sd-upscale: weights={weights}: there is no such folder")
    folder = weights or of_hub(REPOSITORY, PARTS, "sd-upscale")
    return SdUpscaleCodec(copy, Upscaler(folder, where), steps, noise_level, seed)
