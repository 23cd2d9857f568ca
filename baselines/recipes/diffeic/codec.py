"""DiffEIC by its authors' code: one process encodes and decodes there; here each has the bytes alone."""

import os
import struct
import sys
import tempfile

import numpy as np
import torch

SIZE = struct.Struct(">HH")
STEP = 64


class DiffEic:
    """sd: Stable Diffusion 2.1's checkpoint. weights: the authors', for one rate. Each seed decodes another image."""

    stochastic, qualities = True, (1.0,)

    def __init__(self, repository: str, sd: str, weights: str, steps: int = 50, device: str = "cuda"):
        folder = os.path.expanduser(repository)
        sys.path.insert(0, folder)
        from ldm.xformers_state import disable_xformers
        from model.spaced_sampler import SpacedSampler
        from omegaconf import OmegaConf
        from utils.common import instantiate_from_config, load_state_dict

        if not device.startswith("cuda"):
            disable_xformers()
        network = instantiate_from_config(OmegaConf.load(os.path.join(folder, "configs", "model", "diffeic.yaml")))
        state = torch.load(os.path.expanduser(sd), map_location="cpu")["state_dict"]
        state.update(torch.load(os.path.expanduser(weights), map_location="cpu")["state_dict"])
        load_state_dict(network, state, strict=False)
        network.preprocess_model.update(force=True)
        network.freeze()
        self.network, self.steps, self.device = network.to(device), steps, device
        self.sampler = SpacedSampler(network, var_type="fixed_small")

    @torch.no_grad()
    def encode(self, image: np.ndarray, quality: float) -> bytes:
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % STEP), (0, -width % STEP), (0, 0)), mode="constant")
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].float().to(self.device) / 255
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "stream")
            self.network.apply_condition_compress(x, file, *padded.shape[:2])
            with open(file, "rb") as stream:
                return SIZE.pack(height, width) + stream.read()

    @torch.no_grad()
    def decode(self, data: bytes, seed: int) -> np.ndarray:
        height, width = SIZE.unpack_from(data)
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "stream")
            with open(file, "wb") as stream:
                stream.write(data[SIZE.size :])
            latent = self.network.apply_condition_decompress(file)
        torch.manual_seed(seed)
        shape = (1, 4, (height + -height % STEP) // 8, (width + -width % STEP) // 8)
        noise = torch.randn(shape, device=self.device)
        given = {"c_latent": [latent], "c_crossattn": [self.network.get_learned_conditioning([""])]}
        rest = {"unconditional_guidance_scale": 1.0, "unconditional_conditioning": None, "cond_fn": None}
        x = self.network.decode_first_stage(self.sampler.sample(self.steps, shape, given, x_T=noise, **rest))
        x = (x[0, :, :height, :width].clamp(-1, 1) + 1) * 127.5
        return x.round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
