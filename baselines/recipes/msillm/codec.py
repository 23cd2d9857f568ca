"""MS-ILLM and No-GAN by NeuralCompression's own code. Runs where that runs; of the suite it needs nothing."""

import os
import struct
import sys

import numpy as np
import torch

HEADER = struct.Struct(">HHI")  # height, width, length of the hyper-latent's string
NAMES = {0.00218: "vlo1", 0.00438: "vlo2", 0.035: "1", 0.07: "2", 0.14: "3", 0.3: "4", 0.45: "5", 0.9: "6"}


class MsIllm:
    """quality: the bits per pixel that a network was trained for. weights: a folder of published files, or random."""

    stochastic = False

    def __init__(self, repository: str, weights: str, kind: str = "msillm", device: str = "cpu"):
        sys.path.insert(0, os.path.expanduser(repository))
        self.weights, self.kind, self.device, self.networks = weights, kind, device, {}
        self.qualities = tuple(rate for rate, name in NAMES.items() if kind == "msillm" or "vlo" not in name)

    def network(self, quality: float):
        if quality not in self.networks:
            import neuralcompression.zoo
            from neuralcompression import HyperpriorCompressedOutput

            torch.manual_seed(0)
            network = getattr(neuralcompression.zoo, f"{self.kind}_quality_{NAMES[quality]}")(pretrained=False)
            if self.weights != "random":
                file = os.path.join(os.path.expanduser(self.weights), f"{self.kind}_target_{quality:g}bpp.ckpt")
                network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
            network.to(self.device).eval().update_tensor_devices("compress")
            self.networks[quality], self.coded = network, HyperpriorCompressedOutput
        return self.networks[quality]

    @torch.no_grad()
    def encode(self, image: np.ndarray, quality: float) -> bytes:
        x = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float().to(self.device) / 255
        coded = self.network(quality).compress(x, force_cpu=False)
        hyper, latent = coded.hyper_latent_strings[0], coded.latent_strings[0]
        place = self.qualities.index(quality)
        return bytes([place]) + HEADER.pack(*image.shape[:2], len(hyper)) + hyper + latent

    @torch.no_grad()
    def decode(self, data: bytes) -> np.ndarray:
        height, width, length = HEADER.unpack_from(data, 1)
        network, body = self.network(self.qualities[data[0]]), data[1 + HEADER.size :]
        coded = self.coded(
            latent_strings=[body[length:]],
            hyper_latent_strings=[body[:length]],
            image_size=(height, width),
            padded_size=(height + -height % network.factor, width + -width % network.factor),
        )
        x = network.decompress(coded, force_cpu=False)[0].permute(1, 2, 0)
        return (x * 255).round().to(torch.uint8).cpu().numpy()
