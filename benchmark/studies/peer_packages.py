"""The same numbers from the packages that define them, called one after the other, as a script would do it.

`python -m benchmark.studies.peer_packages all FOLDER QUALITIES`: JPEG of each image at each quality; PSNR,
pytorch-msssim, lpips for each pair; torch-fidelity's Fréchet and kernel distance for each quality, over the patches and
the network of fd-effnet. `… fidelity FOLDER QUALITIES`: torch-fidelity's Fréchet distance alone, over whole images of
one size, read once for all qualities.
"""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from pytorch_msssim import ms_ssim
from torch_fidelity import calculate_metrics, register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from benchmark.codecs import Image
from benchmark.metrics.extractors import load_efficientnet_lite0, pooled_features
from benchmark.metrics.patches import cut
from benchmark.metrics.references import package_of_lpips


class EfficientNetLite0(FeatureExtractorBase):  # type: ignore[misc]
    def __init__(self, name: str, features_list: list[str], **settings: Any) -> None:
        super().__init__(name, features_list)
        self.network = load_efficientnet_lite0()

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("pooled",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "pooled"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> torch.Tensor:
        return torch.zeros(1, 3, 4, 4, dtype=torch.uint8)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (pooled_features(self.network, x),)


class Crops(torch.utils.data.Dataset[torch.Tensor]):
    def __init__(self, images: list[Image], rule: str) -> None:
        self.crops = [crop.transpose(2, 0, 1).copy() for image in images for crop in cut(rule, image)]

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.crops[index])


def jpeg(image: Image, quality: int) -> Image:
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, format="JPEG", quality=quality)
    return np.asarray(Pillow.open(buffer).convert("RGB"))


def tensor(image: Image) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float()


def distances(originals: list[Image], reconstructions: list[Image], rule: str, *, kid: bool) -> dict[str, float]:
    """Of torch-fidelity, over patches cut by `rule`."""
    crops = Crops(originals, rule)
    found: dict[str, float] = calculate_metrics(
        input1=crops,
        input2=Crops(reconstructions, rule),
        feature_extractor="efficientnet-lite0",
        fid=True,
        kid=kid,
        kid_subset_size=min(1000, len(crops)),
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    return found


class Packages:
    """Their networks, loaded once, as a script would that measures again and again."""

    def __init__(self) -> None:
        register_feature_extractor("efficientnet-lite0", EfficientNetLite0)
        self.lpips = package_of_lpips()

    def measure(self, originals: list[Image], reconstructions: list[Image]) -> list[dict[str, float]]:
        """PSNR, MS-SSIM and LPIPS of each pair, then both distances of the sets."""
        values: list[dict[str, float]] = []
        with torch.no_grad():
            for x, y in zip(map(tensor, originals), map(tensor, reconstructions), strict=True):
                psnr = float(10 * torch.log10(255**2 / ((x - y) ** 2).mean()))
                similarity, distance = ms_ssim(x, y, data_range=255), self.lpips(x / 127.5 - 1, y / 127.5 - 1)
                values.append({"psnr": psnr, "ms_ssim": float(similarity), "lpips": float(distance)})
        return [*values, distances(originals, reconstructions, "patch128-hific", kid=True)]


def main() -> None:
    """See the module."""
    what, folder, qualities = sys.argv[1], Path(sys.argv[2]), [int(quality) for quality in sys.argv[3].split(",")]
    originals = [np.asarray(Pillow.open(path).convert("RGB")) for path in sorted(folder.iterdir())]
    packages = Packages() if what == "all" else None
    register_feature_extractor("efficientnet-lite0", EfficientNetLite0)
    for quality in qualities:
        reconstructions = [jpeg(image, quality) for image in originals]
        if packages is None:
            print(quality, distances(originals, reconstructions, "whole", kid=False))
            continue
        for found in packages.measure(originals, reconstructions):
            print(quality, found)


if __name__ == "__main__":
    main()
