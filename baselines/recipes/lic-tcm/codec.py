"""TCM by its authors' code. Runs where that runs; of the suite it needs nothing."""

import os
import struct
import sys

import numpy as np
import torch

HEADER = struct.Struct(">HHI")  # height, width, length of the latents' string
STEP, LEAST = 128, 256  # of the padded sides: its windows fail on less


def beyond(side: int) -> int:
    return max(LEAST - side, -side % STEP)


class Tcm:
    """width: N of the network, 64 or 128. weights: a checkpoint of the authors', or random."""

    stochastic, qualities = False, (1.0,)

    def __init__(self, repository: str, weights: str, width: int = 64, device: str = "cpu"):
        sys.path.insert(0, os.path.expanduser(repository))
        from models import TCM

        torch.manual_seed(0)
        heads = [8, 16, 32, 32, 16, 8]
        network = TCM(config=[2] * 6, head_dim=heads, drop_path_rate=0.0, N=width, M=320)
        if weights != "random":
            state = torch.load(os.path.expanduser(weights), map_location="cpu", weights_only=True)["state_dict"]
            network.load_state_dict({key.replace("module.", ""): value for key, value in state.items()})
        network.to(device).eval().update(force=True)
        self.network, self.device = network, device

    @torch.no_grad()
    def encode(self, image: np.ndarray, quality: float) -> bytes:
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, beyond(height)), (0, beyond(width)), (0, 0)), mode="edge")
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].float().to(self.device) / 255
        (latent,), (hyper,) = self.network.compress(x)["strings"]
        return HEADER.pack(height, width, len(latent)) + latent + hyper

    @torch.no_grad()
    def decode(self, data: bytes) -> np.ndarray:
        height, width, length = HEADER.unpack_from(data)
        body = data[HEADER.size :]
        shape = torch.Size([(height + beyond(height)) // 64, (width + beyond(width)) // 64])
        x = self.network.decompress([[body[:length]], [body[length:]]], shape)["x_hat"]
        return (x[0, :, :height, :width].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
