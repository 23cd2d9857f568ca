"""DiffC by its authors' code, on a GPU: seeds of noise, and a diffusion model. Of the suite it needs nothing."""

import os
import struct
import sys

import numpy as np
import torch

HEAD = struct.Struct(">HHH")  # height, width, step
STEP = 64


class DiffC:
    """quality: minus the time step up to which is coded. config: a YAML file with manual_dkl_per_step."""

    stochastic = False
    qualities = (-600.0, -400.0, -300.0, -200.0, -100.0, -50.0, -20.0)

    def __init__(self, repository: str, config: str):
        sys.path.insert(0, os.path.expanduser(repository))
        import yaml
        from compress import get_noise_prediction_model
        from easydict import EasyDict
        from lib.diffc.rcc.gaussian_channel_simulator import GaussianChannelSimulator

        with open(os.path.expanduser(config)) as stream:
            self.config = EasyDict(yaml.safe_load(stream))
        if self.config.manual_dkl_per_step is None:
            raise ValueError(
                f"{config}: manual_dkl_per_step is null; the decoder needs it, take the line that is there"
            )
        self.model = get_noise_prediction_model(self.config.model, self.config)
        self.channel = GaussianChannelSimulator(self.config.max_chunk_size, self.config.chunk_padding)

    def encode(self, image: np.ndarray, quality: float) -> bytes:
        from lib.diffc.encode import encode
        from lib.image_utils import np_to_torch_img

        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % STEP), (0, -width % STEP), (0, 0)), mode="edge")
        self.model.configure("", self.config.encoding_guidance_scale, padded.shape[1], padded.shape[0])
        latent, budget = self.model.image_to_latent(np_to_torch_img(padded)), self.config.manual_dkl_per_step
        times = self.config.encoding_timesteps
        seeds, spent, _, steps = encode(latent, times, self.model, self.channel, budget, [int(-quality)])
        last = steps[0] + 1
        return HEAD.pack(height, width, steps[0]) + bytes(self.channel.compress_chunk_seeds(seeds[:last], spent[:last]))

    def decode(self, data: bytes) -> np.ndarray:
        from lib.diffc.decode import decode
        from lib.diffc.denoise import denoise

        height, width, step = HEAD.unpack_from(data)
        h, w, budget = height + -height % STEP, width + -width % STEP, self.config.manual_dkl_per_step
        seeds = self.channel.decompress_chunk_seeds(list(data[HEAD.size :]), budget[: step + 1])
        self.model.configure("", self.config.denoising_guidance_scale, w, h)
        times = self.config.encoding_timesteps
        noisy = decode(w, h, times, self.model, self.channel, seeds, budget, seed=0)
        latent = denoise(noisy, times[step], self.config.denoising_timesteps, self.model)
        x = self.model.latent_to_image(latent)[0, :, :height, :width].clip(0, 1).float() * 255
        return x.round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
