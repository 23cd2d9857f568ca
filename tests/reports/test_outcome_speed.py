"""Seconds of the end of a run of 200,000 trials; `pytest -m slow tests/reports/test_outcome_speed.py -s` shows them."""

import time
from pathlib import Path

import pytest
from support.records import manifest, trial

from benchmark.reports.outcome import sum_up
from benchmark.results import CodecRecord, DatasetRecord, PictureRecord, RunFolder

IMAGES, CODECS = 50_000, "abcd"


@pytest.mark.slow
def test_the_end_of_a_run_of_200_000_trials(tmp_path: Path) -> None:
    names = [f"COCO_val2014_{number:012d}" for number in range(IMAGES)]
    dataset = DatasetRecord(
        name="made",
        fingerprint="0" * 16,
        preparation="none",
        pictures=[PictureRecord(name=name, sha256="0" * 64) for name in names],
    )
    codecs = {name: CodecRecord(label=name, qualities=[1], stochastic=False, description={}) for name in CODECS}
    folder = RunFolder.create(tmp_path / "run", manifest(dataset=dataset, codecs=codecs))
    lines = (trial(codec, 1, name).model_dump_json() for name in names for codec in CODECS)
    (folder.path / "trials.jsonl").write_text("".join(f"{line}\n" for line in lines))
    start = time.perf_counter()
    outcome = sum_up(folder, draw=False)
    spent = time.perf_counter() - start
    start = time.perf_counter()
    assert sum(1 for _ in folder.each_trial()) == IMAGES * len(CODECS)
    once = time.perf_counter() - start
    print(f"{IMAGES * len(CODECS):,} trials: {spent:.1f} s, of which reading and validating them once {once:.1f} s")
    assert set(outcome.summary["n_images"]) == {IMAGES}
    assert spent < 20 * once
