"""Latent diffusion models of a few thousand random weights, in folders as diffusers keeps them."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

TOKENS, WIDTH = 5, 8
STAGES = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
}


def autoencoder(stages: int, seed: int = 0, latents: int = 4, scaling: float = 0.08333) -> Any:
    """An AutoencoderKL that shrinks 2^(stages − 1) times."""
    from diffusers import AutoencoderKL

    torch.manual_seed(seed)
    return AutoencoderKL(
        block_out_channels=(16,) * stages,
        down_block_types=("DownEncoderBlock2D",) * stages,
        up_block_types=("UpDecoderBlock2D",) * stages,
        latent_channels=latents,
        norm_num_groups=4,
        layers_per_block=1,
        scaling_factor=scaling,
    ).eval()


def unet(channels_in: int, seed: int = 0, **more: Any) -> Any:
    """A UNet2DConditionModel with two resolutions."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(seed)
    return UNet2DConditionModel(
        in_channels=channels_in,
        out_channels=4,
        block_out_channels=(16, 16),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=4,
        layers_per_block=1,
        sample_size=64,
        **STAGES,
        **more,
    ).eval()


def write_upscaler(folder: Path, seed: int = 0) -> Path:
    """As `stabilityai/stable-diffusion-x4-upscaler` lies there, with an empty prompt beside it."""
    from diffusers import DDIMScheduler, DDPMScheduler

    autoencoder(3, seed).save_pretrained(folder / "vae")
    unet(7, seed, num_class_embeds=1000).save_pretrained(folder / "unet")
    numbers = {"beta_schedule": "scaled_linear", "beta_start": 0.0001, "beta_end": 0.02}
    DDIMScheduler(prediction_type="v_prediction", clip_sample=False, **numbers).save_pretrained(folder / "scheduler")
    DDPMScheduler(**numbers).save_pretrained(folder / "low_res_scheduler")
    write_prompt(folder)
    return folder


def write_model(folder: Path, seed: int = 0) -> Path:
    """As Stable Diffusion 1 lies there, with an autoencoder that shrinks 4 times and an empty prompt beside it."""
    from diffusers import DDIMScheduler

    autoencoder(3, seed, scaling=0.18215).save_pretrained(folder / "vae")
    unet(4, seed).save_pretrained(folder / "unet")
    numbers = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    DDIMScheduler(clip_sample=False, steps_offset=1, **numbers).save_pretrained(folder / "scheduler")
    write_prompt(folder)
    return folder


def write_taesd(folder: Path) -> Path:
    """As TAESD lies there: an AutoencoderTiny alone, which shrinks 4 times."""
    from diffusers import AutoencoderTiny

    torch.manual_seed(0)
    AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
        upsampling_scaling_factor=2,
    ).save_pretrained(folder)
    return folder


def write_prompt(folder: Path) -> None:
    """An embedding of the empty prompt."""
    prompt = torch.randn(1, TOKENS, WIDTH, generator=torch.Generator().manual_seed(0))
    save_file({"prompt_embeds": prompt}, folder / "empty_prompt.safetensors")


def write_text_encoder(folder: Path) -> None:
    """A CLIP of random weights, and a tokenizer that knows two words."""
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=4,
        hidden_size=WIDTH,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    tokenizer = folder / "tokenizer"
    tokenizer.mkdir()
    vocabulary = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2, "a</w>": 3}
    (tokenizer / "vocab.json").write_text(json.dumps(vocabulary))
    (tokenizer / "merges.txt").write_text("#version: 0.2\n")
    names = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": TOKENS, "pad_token": "<|endoftext|>", **names}
    (tokenizer / "tokenizer_config.json").write_text(json.dumps(settings))
