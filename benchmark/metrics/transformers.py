"""DINOv2 and CLIP as extractors of features: one vector for a patch.

`dinov2-vit-l-14`: the class token of DINOv2 ViT-L/14 (Oquab et al. 2023, https://arxiv.org/abs/2304.07193), which
Stein et al. 2023 (https://arxiv.org/abs/2306.04675) found nearest to what people see. `clip-vit-l-14-336px`: the image
embedding of OpenAI's CLIP (Radford et al. 2021, https://arxiv.org/abs/2103.00020), which CMMD is defined on. Both are
prepared as torch-fidelity prepares them ("tf1-bilinear"), CLIP for CMMD as its authors do ("bicubic").
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.errors import BenchmarkError, needs
from benchmark.fetching import CLIP, DINOV2, Weights, cache_folder, found_weights

DINOV2_SIDE = 224
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_OF_CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def load_dinov2(device: str) -> Callable[[Tensor], Tensor]:
    """(N, 3, H, W) uint8 to (N, 1024). Raises BenchmarkError if timm or the weights are not here."""
    file = _weights(DINOV2)
    state = torch.load(file, map_location="cpu", weights_only=True)
    network = dinov2_network(state, DINOV2_SIDE).to(device)

    def features(x: Tensor) -> Tensor:
        result: Tensor = network(_normalised(_tf1_bilinear(x, DINOV2_SIDE), _IMAGENET))
        return result

    return features


def dinov2_network(state: dict[str, Tensor], side: int) -> Any:
    """timm's vision transformer with the weights of a DINOv2 checkpoint, for images of `side` pixels.

    Its positions are brought to that side as DINOv2's own code does, which timm's loading does not.
    """
    try:
        from timm.models.vision_transformer import VisionTransformer
    except ImportError:
        raise BenchmarkError(needs("a distance over DINOv2", "timm")) from None
    width = state["cls_token"].shape[-1]
    size = state["patch_embed.proj.weight"].shape[-1]
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    grid = side // size
    network = VisionTransformer(
        img_size=side,
        patch_size=size,
        embed_dim=width,
        depth=depth,
        num_heads=max(1, width // 64),
        init_values=1e-5,  # layer scale; the number is overwritten
        num_classes=0,
        global_pool="token",
    )
    positions = state["pos_embed"]
    known = round((positions.shape[1] - 1) ** 0.5)
    if known != grid:
        plane = positions[:, 1:].reshape(1, known, known, width).permute(0, 3, 1, 2)
        # DINOv2 adds a tenth against rounding; the scale, not the size, says where the filter looks.
        scale = (grid + 0.1) / known
        plane = torch.nn.functional.interpolate(plane, scale_factor=(scale, scale), mode="bicubic")
        positions = torch.cat([positions[:, :1], plane.permute(0, 2, 3, 1).reshape(1, grid * grid, width)], 1)
    network.load_state_dict(
        {name: value for name, value in state.items() if name != "mask_token"} | {"pos_embed": positions}
    )
    return network.eval().requires_grad_(False)


def load_clip(device: str, resizing: str) -> Callable[[Tensor], Tensor]:
    """(N, 3, H, W) uint8 to (N, 768). Raises BenchmarkError if the weights are not here."""
    file = _weights(CLIP)
    from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP

    with torch.random.fork_rng(devices=[]):
        network = FeatureExtractorCLIP("clip-vit-l-14-336px", ["clip"], feature_extractor_weights_path=str(file)).eval()
    network = network.to(device)

    def features(x: Tensor) -> Tensor:
        if resizing == "tf1-bilinear":
            own: Tensor = network(x)[0]
            return own
        side = network.resolution
        resized = torch.nn.functional.interpolate(x.float(), size=(side, side), mode="bicubic")
        result: Tensor = network.model.visual(_normalised(resized, _OF_CLIP))
        return result

    return features


def _weights(weights: Weights) -> Path:
    file = found_weights(weights)
    if file is None:
        raise BenchmarkError(
            f"the weights of {weights.title} are not in {cache_folder()}: "
            f"`python -m benchmark fetch {weights.name}` downloads them, `--from FILE` takes a file that you have"
        )
    return file


def _tf1_bilinear(x: Tensor, side: int) -> Tensor:
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    resized: Tensor = interpolate_bilinear_2d_like_tensorflow1x(x.float(), size=(side, side), align_corners=False)
    return resized


def _normalised(x: Tensor, statistics: tuple[tuple[float, ...], tuple[float, ...]]) -> Tensor:
    mean, deviation = (torch.tensor(values, device=x.device).view(3, 1, 1) * 255 for values in statistics)
    return (x - mean) / deviation
