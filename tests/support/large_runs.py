"""Finished runs over very many images, written without coding anything."""

import math
from pathlib import Path

import numpy as np
from support.records import manifest, trial

from benchmark.analysis.summary import write_summary
from benchmark.results import CodecRecord, DatasetRecord, MetricRecord, PictureRecord, RunFolder

METRICS = {
    "psnr": MetricRecord(protocol="p", unit="dB", higher_is_better=True, kind="image"),
    "ms_ssim": MetricRecord(protocol="m", unit="", higher_is_better=True, kind="image"),
    "lpips": MetricRecord(protocol="l", unit="", higher_is_better=False, kind="image"),
}


def write_large_run(path: Path, images: int, codecs: int, qualities: int) -> RunFolder:
    """A run in PSNR, MS-SSIM and LPIPS of plausible values, some of them failed; no originals, no reconstructions."""
    draw = np.random.default_rng(0)
    names = [f"{number:06}" for number in range(images)]
    pictures = [PictureRecord(name=name, sha256=f"{number:064x}") for number, name in enumerate(names)]
    scale = [float(quality + 1) for quality in range(qualities)]
    records = {
        f"c{codec}": CodecRecord(label=f"c{codec}", qualities=scale, stochastic=False, description={})
        for codec in range(codecs)
    }
    dataset = DatasetRecord(name="large", fingerprint="0123456789abcdef", preparation="none", pictures=pictures)
    folder = RunFolder.create(path, manifest(dataset=dataset, codecs=records, metrics=METRICS))
    hard = draw.uniform(0.5, 1.5, images)  # how many bits each image takes
    lines = []
    for codec in records:
        for quality in scale:
            noise = draw.normal(0, 0.1, images)
            for number, name in enumerate(names):
                bpp = 0.1 * quality * hard[number]
                values = {
                    "psnr": 28 + 2 * quality - 3 * hard[number] + noise[number],
                    "ms_ssim": 1 - 0.1 * math.exp(-quality / 4) * hard[number],
                    "lpips": 0.3 * math.exp(-quality / 4) * hard[number],
                }
                size = round(bpp * 256 * 256 / 8)
                made = trial(
                    codec, quality, name, height=256, width=256, bytes=size, bpp=8 * size / 65536, metrics=values
                )
                lines.append(made.model_dump_json())
    (path / "trials.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    folder = RunFolder.open(path)
    write_summary(folder)
    return folder
