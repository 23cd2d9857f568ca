"""Further metrics of sets: other networks, other ways of feeding Inception, other statistics.

A line of the tables below is a metric. A name ends with the network's where there is a choice: fd-clip, recall-dinov2.
"""

from dataclasses import replace
from functools import partial

from benchmark.errors import UsageError
from benchmark.metrics import distribution, extrapolation, neighbours
from benchmark.metrics.info import MetricInfo
from benchmark.metrics.patches import SMALLEST_SIDES
from benchmark.metrics.realism import (
    EFFICIENTNET,
    FID,
    FRECHET,
    INCEPTION,
    KERNEL,
    KID,
    PARTS,
    Distance,
    Extraction,
    FeatureDistance,
    open_over,
)

_SMALLEST_UNRESIZED = 75
"""In pixels, of a patch that Inception is given as it is: below it nothing is left before the last layers."""
GRAM_SIGMA = 0.5

DINOV2 = Extraction("dinov2-vit-l-14", 1024, "tf1-bilinear")
CLIP = Extraction("clip-vit-l-14-336px", 768, "tf1-bilinear")
CLIP_OF_CMMD = Extraction("clip-vit-l-14-336px", 768, "bicubic")
GRAM = Extraction("alexnet-gram", 2080, "unresized")

_NETWORKS = {
    "effnet": (EFFICIENTNET, "EfficientNet-Lite0", ""),
    "inception": (INCEPTION, "Inception", "inception"),
    "dinov2": (DINOV2, "DINOv2", "dinov2"),
    "clip": (CLIP, "CLIP", "clip"),
}
"""End of the name -> what its features are, the network's name, and what `fetch` calls its weights."""

SUBSETS = Distance(
    "/mmd2-unbiased-100x1000",
    distribution.kernel_distance_of_subsets,
    distribution.kernel_of_subsets_leave_one_out,
)
INFINITY = Distance(
    "/infinity-15-parts", extrapolation.frechet_at_infinity, extrapolation.frechet_at_infinity_leave_one_out
)
CMMD_STATISTIC = Distance(
    "/mmd2-gaussian-10-x1000", distribution.gaussian_distance, distribution.gaussian_leave_one_out
)
GRAM_STATISTIC = Distance(
    "/mmd2-gaussian-0.5-x1000",
    partial(distribution.gaussian_distance, sigma=GRAM_SIGMA),
    partial(distribution.gaussian_leave_one_out, sigma=GRAM_SIGMA),
)
_NEIGHBOURS = {
    "precision": Distance("/k3", neighbours.precision, neighbours.precision_leave_one_out),
    "recall": Distance("/k3", neighbours.recall, neighbours.recall_leave_one_out),
    "density": Distance("/k5", neighbours.density, neighbours.density_leave_one_out),
    "coverage": Distance("/k5", neighbours.coverage, neighbours.coverage_leave_one_out),
}

_PARTS = {
    **PARTS,
    "dinov2-vit-l-14": "features of DINOv2 ViT-L/14 (1024, class token)",
    "clip-vit-l-14-336px": "features of CLIP ViT-L/14 at 336 pixels (768)",
    "alexnet-gram": "Gram matrix of AlexNet's first layer (2080)",
    "bicubic": "each patch resized to 336 × 336, bicubic without antialiasing",
    "pil-bicubic": "each patch resized to 299 × 299 with Pillow's bicubic filter, as clean-fid does",
    "torch-bilinear": "each patch resized to 299 × 299 with PyTorch's bilinear filter, as pytorch-fid does",
    "unresized": "no patch resized",
    "mmd2-unbiased-100x1000": "the mean of the unbiased estimator over 100 random subsets of 1,000 patches",
    "mmd2-gaussian-10-x1000": "1000 times the squared maximum mean discrepancy under a Gaussian kernel, σ = 10",
    "mmd2-gaussian-0.5-x1000": "1000 times the squared maximum mean discrepancy under a Gaussian kernel, σ = 0.5",
    "infinity-15-parts": "extrapolated to sets without end from 15 parts, from half of the images to all",
    "k3": "3 nearest neighbours",
    "k5": "5 nearest neighbours",
}
_WORDS = {
    "precision": "share of the reconstructions' patches that lie among the originals'",
    "recall": "share of the originals' patches that lie among the reconstructions'",
    "density": "how closely the originals' patches surround the reconstructions', 1 where they are alike",
    "coverage": "share of the originals' patches with one of the reconstructions' near",
}
_SOURCES = {
    "precision": "Kynkäänniemi et al. 2019, arXiv:1904.06991",
    "recall": "Kynkäänniemi et al. 2019, arXiv:1904.06991",
    "density": "Naeem et al. 2020, arXiv:2002.09797",
    "coverage": "Naeem et al. 2020, arXiv:2002.09797",
}


def _made(name: str) -> str:
    return f"{__name__}:make_{name.replace('-', '_')}"


def _fetched(summary: str, download: str) -> str:
    return f"{summary}; needs `python -m benchmark fetch {download}`" if download else summary


def _of_fid(name: str, title: str, summary: str) -> MetricInfo:
    return replace(FID, name=name, title=title, parts=_PARTS, make=_made(name), summary=summary)


_FAMILY: dict[str, tuple[MetricInfo, Extraction, Distance]] = {}


def _add(info: MetricInfo, extraction: Extraction, statistic: Distance) -> None:
    _FAMILY[info.name] = (info, extraction, statistic)


for _name, _title, _resizing, _of in (
    ("fid-clean", "FID (clean)", "pil-bicubic", "clean-fid's resize"),
    ("fid-pytorch", "FID (pytorch-fid)", "torch-bilinear", "pytorch-fid's resize"),
    ("fid-unresized", "FID (unresized)", "unresized", "patches as they are"),
):
    _info = _of_fid(_name, _title, _fetched(f"FID with {_of}", "inception"))
    if _resizing == "unresized":
        _info = replace(_info, smallest_side=_SMALLEST_UNRESIZED)
    _add(_info, replace(INCEPTION, resizing=_resizing), FRECHET)

for _name, _title, _resizing, _of in (
    ("kid-subsets", "KID (subsets)", INCEPTION.resizing, "as packages compute it"),
    ("kid-clean", "KID (clean)", "pil-bicubic", "with clean-fid's resize"),
):
    _summary = _fetched(f"KID over 100 subsets of 1,000 patches, {_of}", "inception")
    _info = replace(KID, name=_name, title=_title, parts=_PARTS, make=_made(_name), summary=_summary)
    _add(_info, replace(INCEPTION, resizing=_resizing), SUBSETS)
_add(
    replace(
        _of_fid("fid-infinity", "FID∞", _fetched("FID extrapolated to sets without end", "inception")),
        source="Chong and Forsyth 2020, arXiv:1911.07023",
        signed=True,
        lowest=None,
        margin=None,
    ),
    INCEPTION,
    INFINITY,
)
for _end, (_extraction, _network, _download) in _NETWORKS.items():
    if _end not in ("effnet", "inception"):  # those are fd-effnet, fid and their like
        _add(
            replace(
                _of_fid(f"fd-{_end}", f"FD-{_network}", _fetched(f"Fréchet distance, {_network}", _download)),
                words="Fréchet distance between the originals' and the reconstructions' patches; not FID",
                packages=FID.packages,
            ),
            _extraction,
            FRECHET,
        )
        _add(
            replace(
                KID,
                name=f"kd-{_end}",
                title=f"KD-{_network}",
                words="kernel distance between the originals' and the reconstructions' patches; not KID",
                margin=None,
                parts=_PARTS,
                make=_made(f"kd-{_end}"),
                summary=_fetched(f"kernel distance (MMD²), {_network}", _download),
            ),
            _extraction,
            KERNEL,
        )
    for _kind, _statistic in _NEIGHBOURS.items():
        _add(
            MetricInfo(
                f"{_kind}-{_end}",
                f"{_kind.capitalize()} ({_network})",
                "set",
                "",
                True,
                0.0,
                None if _kind == "density" else 1.0,
                "patch128-hific" if _end == "effnet" else "patch256-nc",
                words=_WORDS[_kind],
                parts=_PARTS,
                packages=FID.packages,
                make=_made(f"{_kind}-{_end}"),
                summary=_fetched(f"{_kind} of patches, {_network}", _download),
                identical="about 1" if _kind == "density" else "1",
                device="any",
                source=_SOURCES[_kind],
            ),
            _extraction,
            _statistic,
        )
_add(
    replace(
        _of_fid("cmmd", "CMMD", _fetched("CLIP maximum mean discrepancy", "clip")),
        words="maximum mean discrepancy between the originals' and the reconstructions' patches in CLIP",
        margin=None,
        source="Jayasumana et al. 2024, arXiv:2401.09603",
    ),
    CLIP_OF_CMMD,
    CMMD_STATISTIC,
)
_add(
    replace(
        _of_fid("gram-mmd", "Gram-MMD", "texture: maximum mean discrepancy of AlexNet's Gram matrices"),
        words="maximum mean discrepancy between the originals' and the reconstructions' textures",
        default_patches="patch128-hific",
        margin=None,
        source="arXiv:2604.03064",
    ),
    GRAM,
    GRAM_STATISTIC,
)

METRICS = tuple(info for info, _, _ in _FAMILY.values())


def _open(name: str, patches: str | None = None, device: str = "cpu") -> FeatureDistance:
    info, extraction, statistic = _FAMILY[name]
    rule = patches or info.default_patches or ""
    if name == "fid-unresized" and rule != "whole" and SMALLEST_SIDES[rule] < _SMALLEST_UNRESIZED:
        raise UsageError(
            f"{name}@{rule}: Inception takes no patch below {_SMALLEST_UNRESIZED} pixels that is not resized"
        )
    return open_over(info, patches, extraction, statistic, device)


_MAKERS = {_made(name).partition(":")[2]: partial(_open, name) for name in _FAMILY}


def __getattr__(attribute: str) -> partial[FeatureDistance]:
    """make_fd_clip and its like, which the registry of metrics asks for (PEP 562)."""
    if attribute in _MAKERS:
        return _MAKERS[attribute]
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
