"""Runs with holes: images that failed, infinite values and values that are not there, wherever one likes."""

from collections.abc import Mapping
from pathlib import Path

from support.records import manifest, trial

from benchmark.analysis.summary import write_summary
from benchmark.metrics.fidelity import IDENTICAL
from benchmark.results import CodecRecord, DatasetRecord, MetricRecord, PictureRecord, RunFolder

IMAGES = ("a", "b", "c", "d")
QUALITIES = (1.0, 2.0, 3.0)
CODECS = ("x", "y")
Hole = str
"""'failed', 'infinite' or 'undefined'."""
Place = tuple[str, float, str]
"""(codec, quality, image)"""


def rate_of(place: Place) -> float:
    """Bits per pixel, in which images differ widely, so that a mean over other images is another number."""
    codec, quality, image = place
    return 8 * size_of(codec, quality, image) / 800


def size_of(codec: str, quality: float, image: str) -> int:
    return round((10 + 7 * CODECS.index(codec)) * 2 ** (quality - 1) * 3 ** IMAGES.index(image))


def value_of(place: Place) -> float:
    """PSNR; its tens are the image's."""
    codec, quality, image = place
    return 10.0 * (1 + IMAGES.index(image)) + 2 * quality + CODECS.index(codec)


def run_with(path: Path, holes: Mapping[Place, Hole]) -> RunFolder:
    """Four images, two codecs at three qualities, PSNR and LPIPS, the latter without holes but for failed trials."""
    dataset = DatasetRecord(
        name="four",
        fingerprint="0123456789abcdef",
        preparation="none",
        pictures=[PictureRecord(name=name, sha256="0" * 64) for name in IMAGES],
    )
    metrics = {
        "psnr": MetricRecord(protocol="psnr/p", unit="dB", higher_is_better=True, kind="image"),
        "lpips": MetricRecord(protocol="lpips/p", unit="", higher_is_better=False, kind="image"),
    }
    codecs = {
        codec: CodecRecord(label=codec, qualities=list(QUALITIES), stochastic=False, description={}) for codec in CODECS
    }
    record = manifest(dataset=dataset, codecs=codecs, metrics=metrics, status="complete")
    folder = RunFolder.create(path, record)
    trials = []
    for codec in CODECS:
        for quality in QUALITIES:
            for image in IMAGES:
                place = codec, quality, image
                size = size_of(*place)
                values = {"height": 20, "width": 40, "bytes": size, "bpp": 8 * size / 800}
                numbers: dict[str, float | None] = {"psnr": value_of(place), "lpips": 1 / value_of(place)}
                reasons = {}
                match holes.get(place):
                    case "failed":
                        trials.append(
                            trial(
                                codec,
                                quality,
                                image,
                                height=None,
                                width=None,
                                bytes=None,
                                bpp=None,
                                metrics={},
                                error="no",
                            )
                        )
                        continue
                    case "infinite":
                        numbers["psnr"], reasons = None, {"psnr": IDENTICAL}
                    case "undefined":
                        numbers["psnr"], reasons = None, {"psnr": "too small"}
                trials.append(trial(codec, quality, image, **values, metrics=numbers, reasons=reasons))
    folder.rewrite(trials)
    write_summary(folder)
    return folder
