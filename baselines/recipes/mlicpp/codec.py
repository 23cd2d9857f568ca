"""MLIC++ by its authors' code, on a GPU. Runs where that runs; of the suite it needs nothing."""

import os
import struct
import sys

import numpy as np
import torch

HEADER = struct.Struct(">HHI")  # height, width, length of the latents' string
STEP = 64


class MlicPlusPlus:
    """weights: a checkpoint of the authors', or random."""

    stochastic, qualities = False, (1.0,)

    def __init__(self, repository: str, weights: str, device: str = "cuda"):
        sys.path.insert(0, os.path.join(os.path.expanduser(repository), "MLIC++"))
        from config.config import model_config
        from models.mlicpp import MLICPlusPlus

        torch.manual_seed(0)
        network = MLICPlusPlus(config=model_config())
        if weights != "random":
            state = torch.load(os.path.expanduser(weights), map_location="cpu", weights_only=True)
            network.load_state_dict(state.get("state_dict", state))
        network.to(device).eval().update(force=True)
        self.network, self.device = network, device

    @torch.no_grad()
    def encode(self, image: np.ndarray, quality: float) -> bytes:
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % STEP), (0, -width % STEP), (0, 0)), mode="edge")
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].float().to(self.device) / 255
        (latent,), (hyper,) = self.network.compress(x)["strings"]
        return HEADER.pack(height, width, len(latent)) + latent + hyper

    @torch.no_grad()
    def decode(self, data: bytes) -> np.ndarray:
        height, width, length = HEADER.unpack_from(data)
        body = data[HEADER.size :]
        shape = torch.Size([(height + -height % STEP) // STEP, (width + -width % STEP) // STEP])
        x = self.network.decompress([[body[:length]], [body[length:]]], shape)["x_hat"]
        return (x[0, :, :height, :width].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
