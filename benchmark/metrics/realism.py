"""Metrics of sets: features of patches (`patches`, `extractors`) and a distance between two sets of them
(`distribution`).

fid and kid mean torch-fidelity's `inception-v3-compat` and nothing else. Over EfficientNet-Lite0 the same distances are
called fd-effnet and kd-effnet; `distances` has other networks, resizes and statistics. Opening a metric loads no
network, so stored features can be compared without one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from benchmark.metrics import distribution
from benchmark.metrics.info import Features, MetricInfo
from benchmark.metrics.pairs import check_picture
from benchmark.metrics.patches import PATCH_RULES, cut
from benchmark.pixels import Image

Values = npt.NDArray[np.float64]

PARTS = {
    **PATCH_RULES,
    "efficientnet-lite0": "features of EfficientNet-Lite0 (1280, ImageNet)",
    "bilinear-antialias": "each patch resized to 224 × 224, bilinear with antialiasing",
    "inception-v3-compat": "features of torch-fidelity's Inception (2048)",
    "tf1-bilinear": "each patch resized to 299 × 299 as TensorFlow 1 did",
    "mmd2-unbiased-all-patches": "the unbiased estimator over all patches: it may be negative, and compares at equal "
    "numbers of patches only",
    "mmd2-u-statistic-all-patches": "the U-statistic over all patches: it may be negative",
}


def _info(
    name: str,
    title: str,
    words: str,
    summary: str,
    *,
    patches: str,
    margin: str | float,
    source: str,
    identical: str = "0",
    signed: bool = False,
) -> MetricInfo:
    return MetricInfo(
        name,
        title,
        "set",
        "",
        False,
        None if signed else 0.0,
        None,
        patches,
        signed=signed,
        margin=margin,
        words=words,
        parts=PARTS,
        packages=("benchmark.metrics.extractors",),
        make=f"benchmark.metrics.realism:make_{name.replace('-', '_')}",
        summary=summary,
        identical=identical,
        device="any",
        source=source,
    )


FD_EFFNET = _info(
    "fd-effnet",
    "FD-EffNet",
    "Fréchet distance between the originals' and the reconstructions' patches; not FID",
    "Fréchet distance, EfficientNet-Lite0",
    patches="patch128-hific",
    margin="3 %",
    source="Heusel et al. 2017, arXiv:1706.08500",
)
KD_EFFNET = _info(
    "kd-effnet",
    "KD-EffNet",
    "kernel distance between the originals' and the reconstructions' patches; not KID",
    "kernel distance (MMD²), EfficientNet-Lite0",
    patches="patch128-hific",
    margin=0.003,
    signed=True,
    source="Bińkowski et al. 2018, arXiv:1801.01401",
    identical="about 0, below it",
)
KD_EFFNET_PAIRED = _info(
    "kd-effnet-paired",
    "KD-EffNet paired",
    "kernel distance that leaves each patch's own pair out, 0 for identical sets",
    "kernel distance that is 0 for identical sets, EfficientNet-Lite0",
    patches="patch128-hific",
    margin=0.003,
    signed=True,
    source="Bińkowski et al. 2018, arXiv:1801.01401",
)
FID = _info(
    "fid",
    "FID",
    "Fréchet inception distance between the originals' and the reconstructions' patches",
    "FID; needs `python -m benchmark fetch inception`",
    patches="patch256-nc",
    margin="3 %",
    source="Heusel et al. 2017, arXiv:1706.08500",
)
KID = _info(
    "kid",
    "KID",
    "kernel inception distance between the originals' and the reconstructions' patches",
    "KID; needs `python -m benchmark fetch inception`",
    patches="patch256-nc",
    margin=0.0005,
    signed=True,
    source="Bińkowski et al. 2018, arXiv:1801.01401",
    identical="about 0, below it",
)
METRICS = (FD_EFFNET, KD_EFFNET, KD_EFFNET_PAIRED, FID, KID)
OVER_INCEPTION = (FID, KID)
"""Those whose network is a download of its own."""


@dataclass(frozen=True)
class Extraction:
    """What features are: the network, its number of features, and how a patch is resized for it."""

    network: str
    dimension: int
    resizing: str


EFFICIENTNET = Extraction("efficientnet-lite0", 1280, "bilinear-antialias")
INCEPTION = Extraction("inception-v3-compat", 2048, "tf1-bilinear")
_USUAL = {
    "efficientnet-lite0": "bilinear-antialias",
    "inception-v3-compat": "tf1-bilinear",
    "dinov2-vit-l-14": "tf1-bilinear",
    "clip-vit-l-14-336px": "tf1-bilinear",
    "alexnet-gram": "unresized",
}
"""Network -> the resize that its features' folder does not name."""


@dataclass(frozen=True)
class Distance:
    """A distance between two sets, the same with each image left out, and what a protocol calls its estimator."""

    estimator: str
    whole: Callable[[Sequence[Features], Sequence[Features]], float]
    leave_one_out: Callable[[Sequence[Features], Sequence[Features]], Values]


# The Fréchet distance has but one estimator, which needs no name.
FRECHET = Distance("", distribution.frechet_distance, distribution.frechet_leave_one_out)
KERNEL = Distance("/mmd2-unbiased-all-patches", distribution.kernel_distance, distribution.kernel_leave_one_out)
PAIRED_KERNEL = Distance(
    "/mmd2-u-statistic-all-patches", distribution.paired_kernel_distance, distribution.paired_kernel_leave_one_out
)

DISTANCES = {"frechet": FRECHET, "kernel": KERNEL, "paired-kernel": PAIRED_KERNEL}
"""By the names that metrics of the user's own choose them by."""


@dataclass(frozen=True)
class FeatureDistance:
    """A SetMetric: `distance` over the features that `extraction` finds in the patches of `info.patches`."""

    info: MetricInfo
    rule: str
    extraction: Extraction
    statistic: Distance
    device: str
    protocol: str = field(init=False)
    feature_key: str = field(init=False)

    def __post_init__(self) -> None:
        base = self.info.name.partition("@")[0]
        network, resizing = self.extraction.network, self.extraction.resizing
        object.__setattr__(self, "protocol", f"{base}/{self.rule}/{network}/{resizing}{self.statistic.estimator}")
        way = "" if resizing == _USUAL[network] else f".{resizing}"
        object.__setattr__(self, "feature_key", f"{network}{way}.{self.rule}")

    def load(self) -> None:
        """Loads the network. Raises BenchmarkError if its weights are not there."""
        from benchmark.metrics.extractors import load_extractor

        load_extractor(self.extraction.network, self.device, self.extraction.resizing)

    def features(self, image: Image) -> npt.NDArray[np.float32]:
        """(n_patches, dimension); (0, dimension) if the image is too small for a patch."""
        from benchmark.metrics.extractors import extract, load_extractor

        check_picture(image)
        patches = cut(self.rule, image)
        if not patches:
            return np.empty((0, self.extraction.dimension), dtype=np.float32)
        network = load_extractor(self.extraction.network, self.device, self.extraction.resizing)
        return extract(network, patches, self.device)

    def distance(self, originals: Sequence[Features], reconstructions: Sequence[Features]) -> float:
        """In float64. Raises Undefined on too few patches."""
        return self.statistic.whole(originals, reconstructions)

    def leave_one_out(self, originals: Sequence[Features], reconstructions: Sequence[Features]) -> Values:
        """(n_images,); NaN for an image without patches. Raises Undefined on too few patches."""
        return self.statistic.leave_one_out(originals, reconstructions)


def make_fd_effnet(patches: str | None = None, device: str = "cpu") -> FeatureDistance:
    """Opens it over patches of a rule, None for its own."""
    return open_over(FD_EFFNET, patches, EFFICIENTNET, FRECHET, device)


def make_kd_effnet(patches: str | None = None, device: str = "cpu") -> FeatureDistance:
    """Opens it over patches of a rule, None for its own."""
    return open_over(KD_EFFNET, patches, EFFICIENTNET, KERNEL, device)


def make_kd_effnet_paired(patches: str | None = None, device: str = "cpu") -> FeatureDistance:
    """Opens it over patches of a rule, None for its own."""
    return open_over(KD_EFFNET_PAIRED, patches, EFFICIENTNET, PAIRED_KERNEL, device)


def make_fid(patches: str | None = None, device: str = "cpu") -> FeatureDistance:
    """Opens it over patches of a rule, None for its own."""
    return open_over(FID, patches, INCEPTION, FRECHET, device)


def make_kid(patches: str | None = None, device: str = "cpu") -> FeatureDistance:
    """Opens it over patches of a rule, None for its own."""
    return open_over(KID, patches, INCEPTION, KERNEL, device)


def open_over(
    info: MetricInfo, patches: str | None, extraction: Extraction, statistic: Distance, device: str
) -> FeatureDistance:
    """The metric of `info` over patches of a rule, None for its own."""
    over = info.over(patches)
    assert over.patches is not None
    return FeatureDistance(over, over.patches, extraction, statistic, device)
