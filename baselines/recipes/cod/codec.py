"""CoD by its authors' code: a diffusion model with a vector-quantised bottleneck. Of the suite it needs nothing."""

import os
import struct
import sys

import numpy as np
import torch

SIZE = struct.Struct(">HH")
STEP = 64


class CoD:
    """One rate. weights: a checkpoint, or random. config: its YAML file. Each seed decodes another image."""

    stochastic, qualities = True, (1.0,)

    def __init__(
        self, repository: str, config: str, weights: str, steps: int = 25, cfg: float = 3.0, device: str = "cuda"
    ):
        sys.path.insert(0, os.path.join(os.path.expanduser(repository), "CoD"))
        from cod.inference import create_sampler
        from cod.utils.test_utils import instantiate_class, load_model
        from omegaconf import OmegaConf

        torch.manual_seed(0)
        model = OmegaConf.load(os.path.expanduser(config)).model
        self.denoiser = instantiate_class(model.denoiser)
        if weights != "random":
            load_model(torch.load(os.path.expanduser(weights), map_location="cpu"), self.denoiser)
        self.denoiser.to(device).eval()
        self.vae, self.conditioner = instantiate_class(model.vae), instantiate_class(model.conditioner)
        self.vae.to(device)
        self.latent, self.device = bool(model.latent), torch.device(device)
        self.sampler = create_sampler("adam2", steps, cfg)

    def halves(self):
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    @torch.no_grad()
    def encode(self, image: np.ndarray, quality: float) -> bytes:
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % STEP), (0, -width % STEP), (0, 0)), mode="edge")
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].float().to(self.device) / 255
        with self.halves():
            condition, _ = self.conditioner(x)
            return SIZE.pack(height, width) + bytes(self.denoiser.compress(condition))

    @torch.no_grad()
    def decode(self, data: bytes, seed: int) -> np.ndarray:
        height, width = SIZE.unpack_from(data)
        h, w = height + -height % STEP, width + -width % STEP
        shape = (1, 4, h // 8, w // 8) if self.latent else (1, 3, h, w)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(self.device)
        with self.halves():
            _, nothing = self.conditioner(torch.zeros(1, 3, h, w, device=self.device))
            coded = list(data[SIZE.size :])
            condition = self.denoiser.decompress(coded, h, w, self.device, uncond=nothing)
            x = self.vae.decode(self.sampler(self.denoiser, noise, None, None, codec_cond=condition))
        x = (x[0, :, :height, :width].float().clamp(-1, 1) + 1) * 127.5
        return x.round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
