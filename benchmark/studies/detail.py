"""Which part of a decoder's images lies how far from the originals? A distance between sets, part by part.

`python -m benchmark studies detail` prints a block per codec: the metric's distance of its images from the originals,
as they are; with one part replaced by the original's, in which no fault of that part is left; and smoothed a little.
Luma and chroma are those of `to_luma_chroma`; what a Gaussian of deviation `FINE` pixels takes from luma is its fine
part, the rest its coarse one.

An image that is nearer to the originals before it is smoothed than after has detail that the network takes for theirs.
That may be theirs, or the traces of quantisation.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from benchmark.codecs import open_codec
from benchmark.datasets import limit, open_dataset
from benchmark.errors import UsageError
from benchmark.hfd.score import from_luma_chroma, picture_to_tensor, tensor_to_picture, to_luma_chroma
from benchmark.images import load_image
from benchmark.metrics import DEFAULT_METRICS, SetMetric, metric_info, open_metric
from benchmark.metrics.fidelity import mean_squared_error, psnr_from_mse
from benchmark.pixels import Image

DEFAULT_METRIC = next(name for name in DEFAULT_METRICS if metric_info(name).kind == "set")

FINE = 2.0
"""Pixels."""
SMOOTHED_LUMA, SMOOTHED_CHROMA = 1.0, 4.0
"""Deviations of the Gaussians, in pixels."""

Planes = npt.NDArray[np.float64]
"""(3, H, W): luma and two chroma axes, orthonormal."""


def blur(planes: Planes, deviation: float) -> Planes:
    """Each plane (…, H, W) under a Gaussian of `deviation` pixels, mirrored at the borders."""
    out: Planes = gaussian_filter(planes, (0, deviation, deviation), mode="reflect")
    return out


def with_chroma(own: Planes, original: Planes) -> Planes:
    """`own` with the original's chroma."""
    return np.concatenate([own[:1], original[1:]])


def with_fine_luma(own: Planes, original: Planes) -> Planes:
    """`own` with what a blur takes from the original's luma."""
    return own + _only_luma(original - blur(original, FINE) - (own - blur(own, FINE)))


def with_coarse_luma(own: Planes, original: Planes) -> Planes:
    """`own` with what a blur leaves of the original's luma."""
    return own + _only_luma(blur(original, FINE) - blur(own, FINE))


def smoother_luma(own: Planes, original: Planes) -> Planes:
    """`own` with luma a little smoother; `original` does not matter."""
    return own + _only_luma(blur(own, SMOOTHED_LUMA) - own)


def smoother_chroma(own: Planes, original: Planes) -> Planes:
    """`own` with chroma a little smoother; `original` does not matter."""
    return np.concatenate([own[:1], blur(own[1:], SMOOTHED_CHROMA)])


VARIANTS: Mapping[str, Callable[[Planes, Planes], Planes]] = {
    "as it is": lambda own, original: own,
    "with the original's chroma": with_chroma,
    f"with the original's luma, finer than {FINE:g} pixels": with_fine_luma,
    f"with the original's luma, coarser than {FINE:g} pixels": with_coarse_luma,
    f"luma smoothed by {SMOOTHED_LUMA:g} pixel": smoother_luma,
    f"chroma smoothed by {SMOOTHED_CHROMA:g} pixels": smoother_chroma,
}


def vary(image: Image, original: Image, variant: Callable[[Planes, Planes], Planes]) -> Image:
    """uint8 (H, W, 3) of both -> the image as `variant` has it, rounded and clamped."""
    both = [to_luma_chroma(picture_to_tensor(one))[0].double().numpy() for one in (image, original)]
    changed: Tensor = torch.from_numpy(variant(both[0], both[1])).float()[None]
    return tensor_to_picture(from_luma_chroma(changed))


def distances(
    metric: SetMetric, originals: Sequence[Image], decoded: Sequence[Image]
) -> dict[str, tuple[float, float]]:
    """The distance of each of VARIANTS of `decoded` from `originals`, and its PSNR in dB, mean over the images."""
    features = [metric.features(image) for image in originals]
    found = {}
    for name, variant in VARIANTS.items():
        varied = [vary(own, original, variant) for own, original in zip(decoded, originals, strict=True)]
        psnr = [psnr_from_mse(mean_squared_error(*pair)) for pair in zip(originals, varied, strict=True)]
        found[name] = metric.distance(features, [metric.features(image) for image in varied]), float(np.mean(psnr))
    return found


def _only_luma(planes: Planes) -> Planes:
    return np.concatenate([planes[:1], np.zeros_like(planes[1:])])


@dataclass(frozen=True)
class Parts:
    """Of a codec's images: variant -> its distance from the originals, and its PSNR in dB. metric: its name."""

    codec: str
    quality: float
    n_images: int
    dataset: str
    metric: str
    variants: Mapping[str, tuple[float, float]]


def measure(
    codecs: Sequence[str] = ("mse", "hfd"),
    quality: float = 1.0,
    metric: str = DEFAULT_METRIC,
    dataset: str = "photos",
    most: int = 0,
) -> Iterator[Parts]:
    """The parts of each codec, as they are there.

    metric: of sets. most: so many images, spread over the data set; 0 takes all. Raises UsageError and BenchmarkError,
    before the first is computed, on what is not there.
    """
    opened = open_metric(metric)
    if not isinstance(opened, SetMetric):
        raise UsageError(f"--metric {metric}: of single images, not of sets")
    chosen = limit(open_dataset(dataset), most)
    originals = [load_image(image.path, chosen.preparation) for image in chosen.pictures]
    coders = {spec: open_codec(spec) for spec in codecs}

    def parts() -> Iterator[Parts]:
        for spec, codec in coders.items():
            decoded = [codec.decode(codec.encode(x.copy(), quality), 0) for x in originals]
            found = distances(opened, originals, decoded)
            yield Parts(spec, quality, len(originals), chosen.name, opened.protocol.partition("/")[0], found)

    return parts()


def lines(found: Iterable[Parts]) -> Iterator[str]:
    """A heading per codec, and a line per variant."""
    for each in found:
        yield f"{each.codec}, quality {each.quality:g}, {each.n_images} images of {each.dataset}"
        for name, (distance, psnr) in each.variants.items():
            yield f"  {name:55} {each.metric} {distance:7.4g}   PSNR {psnr:.2f} dB"
