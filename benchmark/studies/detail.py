"""Which part of a decoder's pictures lies how far from the originals? A distance between sets, part by part.

    python -m benchmark.studies.detail [CODEC …] [--quality 1] [--metric fd-effnet] [--dataset photos] [--limit 0]

prints a block a codec: the metric's distance of its pictures from the originals, as they are; with one part replaced by
the original's, in which no fault of that part is left; and smoothed a little. Luma and chroma are those of
`to_luma_chroma`; what a Gaussian of deviation `FINE` pixels takes from luma is its fine part, the rest its coarse one.

A picture that is nearer to the originals before it is smoothed than after has detail that the network takes for theirs.
That may be theirs, or the traces of quantisation.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from benchmark.codecs import Image, open_codec
from benchmark.datasets import limit, open_dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.hfd.score import from_luma_chroma, picture_to_tensor, tensor_to_picture, to_luma_chroma
from benchmark.images import load_image
from benchmark.metrics import SetMetric, open_metric
from benchmark.metrics.fidelity import mean_squared_error, psnr_from_mse

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


def vary(picture: Image, original: Image, variant: Callable[[Planes, Planes], Planes]) -> Image:
    """uint8 (H, W, 3) of both -> the picture as `variant` has it, rounded and clamped."""
    both = [to_luma_chroma(picture_to_tensor(image))[0].double().numpy() for image in (picture, original)]
    changed: Tensor = torch.from_numpy(variant(both[0], both[1])).float()[None]
    return tensor_to_picture(from_luma_chroma(changed))


def distances(
    metric: SetMetric, originals: Sequence[Image], pictures: Sequence[Image]
) -> dict[str, tuple[float, float]]:
    """The distance of each of VARIANTS of `pictures` from `originals`, and its PSNR in dB, mean over the pictures."""
    features = [metric.features(image) for image in originals]
    found = {}
    for name, variant in VARIANTS.items():
        varied = [vary(own, original, variant) for own, original in zip(pictures, originals, strict=True)]
        psnr = [psnr_from_mse(mean_squared_error(*pair)) for pair in zip(originals, varied, strict=True)]
        found[name] = metric.distance(features, [metric.features(image) for image in varied]), float(np.mean(psnr))
    return found


def _only_luma(planes: Planes) -> Planes:
    return np.concatenate([planes[:1], np.zeros_like(planes[1:])])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.detail", description="A distance, part by part.")
    parser.add_argument("codecs", nargs="*", default=("mse", "hfd"), metavar="CODEC", help="default: mse hfd")
    parser.add_argument("--quality", type=float, default=1.0, help="default 1")
    parser.add_argument("--metric", default="fd-effnet", help="of sets; default fd-effnet")
    parser.add_argument("--dataset", default="photos", help="default: photos")
    parser.add_argument("--limit", type=int, default=0, help="pictures, default 0 for all")
    arguments = parser.parse_args()
    try:
        metric = open_metric(arguments.metric)
        if not isinstance(metric, SetMetric):
            raise UsageError(f"--metric {arguments.metric}: of single pictures, not of sets")
        dataset = limit(open_dataset(arguments.dataset), arguments.limit)
        originals = [load_image(picture.path, dataset.preparation) for picture in dataset.pictures]
        for spec in arguments.codecs:
            codec = open_codec(spec)
            pictures = [codec.decode(codec.encode(x.copy(), arguments.quality), 0) for x in originals]
            print(f"{spec}, quality {arguments.quality:g}, {len(originals)} pictures of {dataset.name}")
            for name, (distance, psnr) in distances(metric, originals, pictures).items():
                print(
                    f"  {name:55} {metric.protocol.partition('/')[0]} {distance:7.4g}   PSNR {psnr:.2f} dB", flush=True
                )
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
