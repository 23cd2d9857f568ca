"""Baselines of runs that never were, with known truth."""

from typing import Any

import numpy as np

from benchmark.analysis.baseline import Baseline, DatasetIdentity, Origin, Point, SetPoint
from benchmark.metrics.records import BPP
from benchmark.results import CodecRecord, MetricRecord
from benchmark.statistics.intervals import leave_one_out_means

METRICS = {
    "bpp": BPP,
    "psnr": MetricRecord(protocol="psnr/rgb", unit="dB", higher_is_better=True, kind="image"),
    "lpips": MetricRecord(protocol="lpips/alex", unit="", higher_is_better=False, kind="image"),
    "fd-effnet": MetricRecord(
        protocol="fd-effnet/patch128-hific/net", unit="", higher_is_better=False, kind="set", feature_key="k"
    ),
}
PIXELS = 768 * 512


def origin(**changes: Any) -> Origin:
    fields: dict[str, Any] = {
        "command": ["run"],
        "git_commit": "c" * 40,
        "git_dirty": False,
        "started": "2025-01-01T00:00:00+00:00",
        "packages": {"python": "3.11"},
        "machine": {"processor": "one", "cores": 2},
        "threads": 2,
        "workers": 1,
        "timing": 3,
        "device": "cpu",
        "decoder_seeds": [0],
    }
    return Origin(**(fields | changes))


def synthetic(
    decoding: int | None = None,
    *,
    pictures: int = 0,
    n: int = 12,
    qualities: int = 3,
    noise: float = 1.0,
    rate: float = 1.0,
    psnr_loss: float = 0.0,
    codec: str = "noisy",
    stochastic: bool = True,
    seconds: float | None = None,
    **changes: Any,
) -> Baseline:
    """A codec over `n` images. pictures: seed of what they are; decoding: seed of the decoder's chance, None for no.

    rate multiplies the bits, psnr_loss is taken from every image's PSNR, noise scales the decoder's spread.
    """
    shared = np.random.default_rng((1, pictures))
    difficulty = shared.normal(0, 0.4, n)
    texture = shared.normal(0, 0.2, n)
    own = np.random.default_rng((2, 0 if decoding is None else decoding + 1))
    spread = 0.0 if decoding is None else noise
    points = []
    for level in range(qualities):
        bits = PIXELS * 0.2 * 1.8**level * np.exp(difficulty + 0.03 * shared.normal(size=n)) * rate
        psnr = 26 + 2.3 * level - 2.5 * difficulty + spread * own.normal(0, 0.05, n) - psnr_loss
        lpips = 0.4 * 0.65**level * np.exp(texture + spread * own.normal(0, 0.02, n))
        distance = 100 * 0.75**level * np.exp(texture + spread * own.normal(0, 0.03, n))
        points.append(
            Point(
                codec=codec,
                quality=level + 1,
                bytes=[round(value / 8) for value in bits],
                metrics={"psnr": list(psnr), "lpips": list(lpips)},
                per_seed={},
                sets={
                    "fd-effnet": SetPoint(
                        value=float(distance.mean()),
                        per_seed=[float(distance.mean())],
                        n_patches=39 * n,
                        without=list(leave_one_out_means(distance)) if n > 1 else [float(distance.mean())],
                    )
                },
                encode_seconds=None if seconds is None else [seconds * (1 + 0.1 * i / n) for i in range(n)],
                decode_seconds=None,
                failed={},
            )
        )
    fields: dict[str, Any] = {
        "dataset": DatasetIdentity(name="made", fingerprint="0123456789abcdef", preparation="none"),
        "images": [f"picture{index:02}" for index in range(n)],
        "pixels": [PIXELS] * n,
        "metrics": METRICS,
        "codecs": {
            codec: CodecRecord(
                label=codec, qualities=[p.quality for p in points], stochastic=stochastic, description={"weights": "w"}
            )
        },
        "origin": origin(),
        "points": points,
    }
    return Baseline(**(fields | changes))
