"""Any network of CompressAI's zoo, of the version that is installed there, with nothing of the suite."""

import os
import struct

import numpy as np
import torch

STEP, SIDE = 128, 256  # sides are padded to multiples of STEP; SIDE: of the image that is tried first


def leaves(strings):
    return [one for part in strings for one in leaves(part)] if isinstance(strings, (list, tuple)) else [strings]


def filled(like, strings):
    return [filled(one, strings) for one in like] if isinstance(like, (list, tuple)) else next(strings)


def scaled(shape, height, width):
    if isinstance(shape, dict):
        return {key: scaled(one, height, width) for key, one in shape.items()}
    if all(isinstance(one, int) for one in shape):
        return torch.Size([*shape[:-2], shape[-2] * height // SIDE, shape[-1] * width // SIDE])
    return [scaled(one, height, width) for one in shape]


class Zoo:
    """model: a name of compressai.zoo.image_models. weights: of a file, or random, those of quality 1."""

    stochastic, qualities = False, (1.0,)

    def __init__(self, model: str, weights: str, device: str = "cpu"):
        import inspect

        from compressai.zoo import image_models, load_state_dict

        torch.manual_seed(0)
        make = image_models[model]
        network = make(**({"quality": 1} if "quality" in inspect.signature(make).parameters else {}), pretrained=False)
        if weights != "random":
            state = torch.load(os.path.expanduser(weights), map_location="cpu", weights_only=True)
            network = type(network).from_state_dict(load_state_dict(state.get("state_dict", state)))
        network.to(device).eval().update(force=True)
        self.network, self.device = network, device
        with torch.no_grad():  # how strings and shapes nest is the same for each image, and in no stream
            self.like = network.compress(torch.full((1, 3, SIDE, SIDE), 0.5, device=device))

    @torch.no_grad()
    def encode(self, image: np.ndarray, quality: float) -> bytes:
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % STEP), (0, -width % STEP), (0, 0)), mode="edge")
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].float().to(self.device) / 255
        strings = leaves(self.network.compress(x)["strings"])
        lengths = [len(one) for one in strings[:-1]]
        return struct.pack(f">HH{len(lengths)}I", height, width, *lengths) + b"".join(strings)

    @torch.no_grad()
    def decode(self, data: bytes) -> np.ndarray:
        count = len(leaves(self.like["strings"])) - 1
        height, width, *lengths = struct.unpack_from(f">HH{count}I", data)
        ends = np.cumsum([4 + 4 * count, *lengths]).tolist()
        strings = [data[start:end] for start, end in zip(ends, [*ends[1:], len(data)])]
        shape = scaled(self.like["shape"], height + -height % STEP, width + -width % STEP)
        x = self.network.decompress(filled(self.like["strings"], iter(strings)), shape)["x_hat"]
        return (x[0, :, :height, :width].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
