"""What a summary holds of each image: its records while its point is read, and numbers for the jackknife."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from support.records import manifest, trial

from benchmark.analysis.groups import StoredGroups
from benchmark.analysis.set_values import keep_values, values_of_sets
from benchmark.results import CodecRecord, DatasetRecord, PictureRecord, RunFolder
from benchmark.running.manifest import metric_records
from benchmark.running.measurement import open_instruments

POINTS = [("a", 1.0), ("a", 2.0), ("b", 1.0), ("b", 2.0)]
METRICS = ("psnr", "fd-effnet", "kd-effnet")


def make_run(path: Path, count: int) -> RunFolder:
    """A complete run over `count` images that were never coded, with 32 features each."""
    metrics = metric_records(open_instruments(METRICS, "cpu"))
    names = [f"COCO_val2014_{number:012d}" for number in range(count)]
    dataset = DatasetRecord(
        name="made",
        fingerprint="0" * 16,
        preparation="none",
        pictures=[PictureRecord(name=name, sha256="0" * 64) for name in names],
    )
    codecs = {name: CodecRecord(label=name, qualities=[1, 2], stochastic=False, description={}) for name in "ab"}
    folder = RunFolder.create(path, manifest(dataset=dataset, codecs=codecs, metrics=metrics))
    records = (trial(codec, quality, name).model_dump_json() for codec, quality in POINTS for name in names)
    (path / "trials.jsonl").write_text("".join(f"{record}\n" for record in records))
    key = metrics["fd-effnet"].feature_key
    assert key is not None
    random = np.random.default_rng(0)
    for name in names:
        files = [folder.features_path(key, (codec, quality, None, name)) for codec, quality in POINTS]
        for number, file in enumerate([folder.original_features_path(key, name), *files]):
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, random.random((1, 32), np.float32) + np.float32(number))
    return folder


@pytest.mark.slow
def test_bytes_an_image(tmp_path: Path) -> None:
    peaks, kept = [], []
    counts = (1_000, 5_000)
    for count in counts:
        folder = make_run(tmp_path / str(count), count)
        values_of_sets(make_run(tmp_path / f"warm-{count}", 3), ())
        tracemalloc.start()
        values = values_of_sets(folder, StoredGroups(folder))
        keep_values(folder, values)
        now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(values) == 8
        assert all(value.without is not None and len(value.without) == count for value in values.values())
        peaks.append(peak)
        kept.append(now)
    most, left = ((of[1] - of[0]) / (counts[1] - counts[0]) for of in (peaks, kept))
    print(f"{most:.0f} bytes an image at most, {left:.0f} at the end: {left / 8:.0f} for each of 8 values")
    assert most < 3_000
    assert left < 8 * 60 + 150  # a number and a reference for each value, places of lines and of images
