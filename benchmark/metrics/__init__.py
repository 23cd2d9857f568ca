"""Which metrics there are, what they measure, and how one is opened. Importing this imports no torch.

A metric compares one reconstruction with its original (`ImageMetric`) or a set of reconstructions with the set of their
originals (`SetMetric`). A metric of sets looks at patches: `fd-effnet@patch256-hific` names the metric and the rule,
a bare name takes the metric's default rule. bpp is not here: every trial has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from benchmark.errors import UsageError
from benchmark.pixels import Image
from benchmark.registry import Registry

Features = npt.NDArray[np.floating[Any]]
"""Features of one image's patches: (n_patches, dimension)."""


@dataclass(frozen=True)
class MetricInfo:
    """Facts about a metric: the one source of all that tables, plots, gate, exports and the page say about it.

    name: as the user wrote it, patches included. title: for plots. kind: of a pair of images, of two sets, or of a
    reconstruction alone. unit: "" for a plain number. lowest, highest: ends of the range, None where there is none.
    default_patches: the rule that a bare name means; patches: the rule of this one; both None but for metrics of sets.
    signed: whether values can be negative, so that a ratio of two means nothing. scale: how plots and rate differences
    show it; "decibel" is −10·log10(1 − x). margin: the largest loss that the gate lets pass by default ("2 %" or a
    number; None: not judged). words: what `explain` says.
    """

    name: str
    title: str
    kind: Literal["image", "set", "no-reference"]
    unit: str
    higher_is_better: bool
    lowest: float | None
    highest: float | None
    default_patches: str | None = None
    patches: str | None = None
    signed: bool = False
    scale: Literal["linear", "decibel"] = "linear"
    margin: str | float | None = None
    words: str = ""


@runtime_checkable
class ImageMetric(Protocol):
    """A number for one pair of pictures. protocol: fixes everything that moves the number."""

    info: MetricInfo
    protocol: str

    def prepare(self, original: Image) -> Any:
        """What can be computed once for an original and be shared by all its reconstructions.

        Raises Undefined if the metric has no value for this original.
        """
        ...

    def compare(self, prepared: Any, reconstruction: Image) -> float:
        """The value. Raises Undefined where there is none, and BenchmarkError if the two sizes differ."""
        ...


@runtime_checkable
class Loads(Protocol):
    """A metric with a network. Every `SetMetric` is one, an `ImageMetric` may be."""

    def load(self) -> None:
        """Loads the network, before any picture is at hand. Raises BenchmarkError, with the command that fetches its
        weights, if they are not there."""
        ...


@runtime_checkable
class SetMetric(Protocol):
    """A number for two sets of pictures, computed from features of their patches.

    feature_key: safe for a path; metrics with one key have the same features.
    """

    info: MetricInfo
    protocol: str
    feature_key: str

    def load(self) -> None:
        """Loads the network that `features` needs, before any picture is at hand.

        Raises BenchmarkError, with the command that fetches them, if its weights are not there. The other functions
        work on stored features and need no network.
        """
        ...

    def features(self, image: Image) -> npt.NDArray[np.float32]:
        """(n_patches, dimension); (0, dimension) if the picture is too small for a patch. Calls `load`."""
        ...

    def distance(self, originals: Sequence[Features], reconstructions: Sequence[Features]) -> float:
        """The value, in float64, from one array per image on each side. Raises Undefined on too few patches."""
        ...

    def leave_one_out(
        self, originals: Sequence[Features], reconstructions: Sequence[Features]
    ) -> npt.NDArray[np.float64]:
        """(n_images,): `distance` with each image left out in turn, of both sides; for the jackknife over images.

        An image without patches belongs to no set; its entry is NaN. Raises Undefined on too few patches.
        """
        ...


_INFOS = {
    info.name: info
    for info in (
        MetricInfo("psnr", "PSNR", "image", "dB", True, 0.0, None),
        MetricInfo("ms_ssim", "MS-SSIM", "image", "", True, 0.0, 1.0),
        MetricInfo("lpips", "LPIPS (AlexNet)", "image", "", False, 0.0, None),
        MetricInfo("lpips-vgg", "LPIPS (VGG16)", "image", "", False, 0.0, None),
        MetricInfo("fd-effnet", "Fréchet distance (EfficientNet-Lite0)", "set", "", False, 0.0, None, "patch128-hific"),
        MetricInfo("kd-effnet", "Kernel distance (EfficientNet-Lite0)", "set", "", False, None, None, "patch128-hific"),
        MetricInfo(
            "kd-effnet-paired",
            "Paired kernel distance (EfficientNet-Lite0)",
            "set",
            "",
            False,
            None,
            None,
            "patch128-hific",
        ),
        MetricInfo("fid", "FID", "set", "", False, 0.0, None, "patch256-hific"),
        MetricInfo("kid", "KID", "set", "", False, None, None, "patch256-hific"),
    )
}

METRICS = Registry("metric")
"""Entries are functions `make(patches: str | None, device: str) -> ImageMetric | SetMetric`; see `open_metric`."""
METRICS.add("psnr", "benchmark.metrics.fidelity:make_psnr", "PSNR in dB over all three channels, per image")
METRICS.add("ms_ssim", "benchmark.metrics.structural:make_ms_ssim", "MS-SSIM, per image; shorter side above 160")
METRICS.add(
    "lpips", "benchmark.metrics.perceptual:make_lpips", "LPIPS v0.1, AlexNet, per image; both sides at least 31"
)
METRICS.add(
    "lpips-vgg",
    "benchmark.metrics.perceptual:make_lpips_vgg",
    "LPIPS v0.1, VGG16, per image; both sides at least 16; needs `python -m benchmark fetch vgg16`",
)
METRICS.add("fd-effnet", "benchmark.metrics.realism:make_fd_effnet", "Fréchet distance, EfficientNet-Lite0")
METRICS.add("kd-effnet", "benchmark.metrics.realism:make_kd_effnet", "kernel distance (MMD²), EfficientNet-Lite0")
METRICS.add(
    "kd-effnet-paired",
    "benchmark.metrics.realism:make_kd_effnet_paired",
    "kernel distance that is 0 for identical sets, EfficientNet-Lite0",
)
METRICS.add("fid", "benchmark.metrics.realism:make_fid", "FID; needs `python -m benchmark fetch inception`")
METRICS.add("kid", "benchmark.metrics.realism:make_kid", "KID; needs `python -m benchmark fetch inception`")

DEFAULT_METRICS = ("psnr", "ms_ssim", "lpips", "fd-effnet", "kd-effnet")

PATCH_RULES = ("patch128-hific", "patch256-hific", "patch256-nc", "whole")
"""Names of the rules that `benchmark.metrics.patches` defines."""


def parse_metric(name: str) -> tuple[str, str | None]:
    """`name` or `name@patches`, as (name, patches or None).

    Raises UsageError on an unknown metric or rule, and on patches of a metric that looks at whole pictures.
    """
    base, at, patches = name.partition("@")
    if base not in METRICS:
        METRICS.load(base)  # raises, with the nearest names
    if not at:
        return base, None
    if _INFOS[base].kind == "image":
        raise UsageError(f"{name!r}: {base} compares whole pictures; only metrics of sets have patches")
    if patches not in PATCH_RULES:
        raise UsageError(f"{name!r}: no patch rule is named {patches!r}; there are {', '.join(PATCH_RULES)}")
    return base, patches


def metric_info(name: str) -> MetricInfo:
    """The facts about `name`, patches allowed. Imports nothing. Raises UsageError as `parse_metric` does."""
    base, patches = parse_metric(name)
    info = _INFOS[base]
    return replace(info, name=name, patches=patches or info.default_patches)


def open_metric(name: str, device: str = "cpu") -> ImageMetric | SetMetric:
    """The metric called `name`, patches allowed; its networks run on `device`, a name that torch knows.

    Raises UsageError as `parse_metric` does.
    """
    base, patches = parse_metric(name)
    metric: ImageMetric | SetMetric = METRICS.load(base)(patches, device)
    return metric
