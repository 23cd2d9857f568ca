"""CRDR by its authors' code: one network for rate, distortion and realism. Of the suite it needs nothing."""

import os
import struct
import sys

import numpy as np
import torch

HEADER_BYTES = 6  # CRDR's own: size, largest symbol, rate
LENGTH = struct.Struct(">I")  # of the hyper-latent's string


class Crdr:
    """beta: realism, 0 to 5.12; it is the decoder's and not in the stream. weights: the published file, or random."""

    stochastic = False
    qualities = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
    scale = (0.0, 4.0, 0.0625)  # the header has sixteenths

    def __init__(self, repository: str, weights: str, beta: float = 3.84, device: str = "cpu"):
        folder = os.path.expanduser(repository)
        sys.path.insert(0, folder)
        import src  # noqa: F401  # enters its classes
        from src.models import build_comp_model
        from src.utils.options import TestConfig

        torch.manual_seed(0)
        config, text, _ = TestConfig._file2dict_yaml(os.path.join(folder, "config", "crdr.yaml"))
        config.update(is_train=False, device=device)
        network = build_comp_model(TestConfig(config, cfg_text=text)).to(device)
        if weights != "random":
            network.load_learned_weight(ckpt_path=os.path.expanduser(weights))
        network.eval().codec_setup()
        self.network, self.beta, self.device = network, beta, device

    @torch.no_grad()
    def encode(self, image: np.ndarray, quality: float) -> bytes:
        x = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        header, hyper, latent = self.network.compress(x, rate_ind=quality)["string_list"]
        return header + LENGTH.pack(len(hyper)) + hyper + latent

    @torch.no_grad()
    def decode(self, data: bytes) -> np.ndarray:
        header, rest = data[:HEADER_BYTES], data[HEADER_BYTES + LENGTH.size :]
        (length,) = LENGTH.unpack_from(data, HEADER_BYTES)
        x = self.network.decompress([header, rest[:length], rest[length:]], beta=self.beta)[0][0]
        return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
