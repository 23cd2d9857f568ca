"""StableCodec by its authors' code, on a GPU. Runs where that runs; of the suite it needs nothing."""

import os
import struct
import sys

import numpy as np
import torch

HEAD = struct.Struct(">HHHHB")  # height, width, the latents' height and width, number of strings
STEP = 256


class StableCodec:
    """codec: the authors' file for one rate. Without their colour fix, which looks at the original."""

    stochastic, qualities = False, (1.0,)

    def __init__(self, repository: str, sd: str, elic: str, codec: str, device: str = "cuda"):
        folder = os.path.expanduser(repository)
        sys.path[:0] = [os.path.join(folder, "src"), folder]
        from my_utils.testing_utils import parse_args_testing
        from StableCodec import StableCodec as Network

        words = ["--sd_path", sd, "--elic_path", elic, "--codec_path", codec]
        words += ["--img_path", "unused", "--rec_path", "unused", "--bin_path", "unused"]
        arguments = parse_args_testing(words)
        self.network = Network(sd_path=sd, args=arguments).to(device).eval()
        self.network.codec.update(force=True)
        self.device = device

    @torch.no_grad()
    def encode(self, image: np.ndarray, quality: float) -> bytes:
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % STEP), (0, -width % STEP), (0, 0)), mode="symmetric")
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].float().to(self.device) / 127.5 - 1
        coded = self.network.compress(x)
        strings = [one[0] for one in coded["strings"]]
        head = HEAD.pack(height, width, *coded["shape"], len(strings))
        return head + struct.pack(f">{len(strings) - 1}I", *map(len, strings[:-1])) + b"".join(strings)

    @torch.no_grad()
    def decode(self, data: bytes) -> np.ndarray:
        height, width, h, w, count = HEAD.unpack_from(data)
        lengths = struct.unpack_from(f">{count - 1}I", data, HEAD.size)
        ends = np.cumsum([HEAD.size + 4 * (count - 1), *lengths]).tolist()
        strings = [[data[start:end]] for start, end in zip(ends, [*ends[1:], len(data)])]
        x = self.network.decompress(strings, (h, w), [1])[0, :, :height, :width]
        return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
