"""PerCo (SD) by its authors' code: a caption and indices guide Stable Diffusion. Of the suite it needs nothing."""

import os
import sys

import numpy as np
import torch

SIDE = 512


class PerCo:
    """model: a folder of the authors' for one rate. rate: its name in their configuration, such as 0.1250."""

    stochastic, qualities = True, (1.0,)

    def __init__(self, repository: str, model: str, rate: float, blip: str = "", device: str = "cuda"):
        folder = os.path.join(os.path.expanduser(repository), "src")
        sys.path.insert(0, folder)
        from config import ConfigPerco

        ConfigPerco.global_path, ConfigPerco.target_rate = folder, rate
        import compression_utils
        from pipeline_sd_perco import StableDiffusionPipelinePerco
        from transformers import Blip2ForConditionalGeneration, Blip2Processor

        name = blip or ConfigPerco.blip_model
        self.processor = Blip2Processor.from_pretrained(name)
        self.blip = Blip2ForConditionalGeneration.from_pretrained(name).to(device)
        load = StableDiffusionPipelinePerco.from_pretrained
        self.pipe = load(os.path.expanduser(model), safety_checker=None, requires_safety_checker=False).to(device)
        self.pipe.hyper_enc.quantizer.eval()
        self.config, self.coding, self.device = ConfigPerco, compression_utils, device

    @torch.no_grad()
    def encode(self, image: np.ndarray, quality: float) -> bytes:
        if image.shape != (SIDE, SIDE, 3):
            raise ValueError(f"PerCo codes images of {SIDE}x{SIDE}; take a data set @square{SIDE}")
        x = torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255
        words = self.blip.generate(
            **self.processor(images=x * 255, return_tensors="pt").to(self.device),
            max_length=self.config.max_number_tokens,
        )
        caption = self.processor.batch_decode(words, skip_special_tokens=True)[0].strip()
        torch.manual_seed(0)  # its encoder samples latents
        latents = self.pipe.vae.encode((x * 2 - 1)[None].to(self.device)).latent_dist.sample()
        indices = self.pipe.hyper_enc(latents * self.pipe.vae.config.scaling_factor).indices
        text, coded = self.coding.compress_text(caption), self.coding.compress_hyper_latent(indices)
        return bytes([len(text)]) + text + coded

    @torch.no_grad()
    def decode(self, data: bytes, seed: int) -> np.ndarray:
        caption = self.coding.decompress_text(data[1 : 1 + data[0]])
        indices = self.coding.decompress_hyper_latent(data[1 + data[0] :], (SIDE, SIDE)).to(self.device)
        latent = self.pipe.hyper_enc.quantizer.get_output_from_indices(indices.long()).permute(0, 3, 1, 2)
        image = self.pipe(
            caption,
            latent,
            height=SIDE,
            width=SIDE,
            num_inference_steps=self.config.num_inference_steps,
            guidance_scale=self.config.guidance_scale,
            generator=torch.Generator(self.device).manual_seed(seed),
        ).images[0]
        return np.asarray(image.convert("RGB"))
