import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.baselines import METRICS, synthetic
from support.records import manifest, trial

from benchmark.analysis.baseline import LARGEST, baseline_of_run, chosen, read_numbers, write_baseline
from benchmark.analysis.rate_differences import rate_differences
from benchmark.errors import BenchmarkError, UsageError
from benchmark.results import CodecRecord, RunFolder, Trial

CODECS = {"n": CodecRecord(label="n", qualities=[1], stochastic=True, description={})}


def make_run(path: Path, trials: list[Trial], **changes: Any) -> RunFolder:
    folder = RunFolder.create(path / "run", manifest(**({"status": "complete"} | changes)))
    folder.rewrite(trials)
    return folder


def seeds(image: str, *psnr: float) -> list[Trial]:
    return [trial("n", 1, image, seed=seed, metrics={"psnr": value}) for seed, value in enumerate(psnr)]


def test_values_are_means_over_seeds_and_the_seeds_stay_known(tmp_path: Path) -> None:
    trials = [*seeds("b", 31.0, 33.0), *seeds("a", 30.0, 30.5)]
    baseline = baseline_of_run(make_run(tmp_path, trials, codecs=CODECS, decoder_seeds=[0, 1]))
    [point] = baseline.points
    assert baseline.images == ["a", "b"]
    assert point.metrics["psnr"] == [30.25, 32.0]
    assert point.per_seed["psnr"] == [30.5, 31.75]
    assert point.bytes == [3, 3]
    found = baseline.replicates(point, "psnr", [0, 1])
    assert found is not None
    assert found.value == 31.125
    assert found.without.tolist() == [32.0, 30.25]
    rate = baseline.replicates(point, "bpp", [0, 1])
    assert rate is not None
    assert rate.value == 3.0


def test_a_failed_trial_is_kept_with_its_reason(tmp_path: Path) -> None:
    failed = Trial(codec="n", quality=1, decoder_seed=0, image="b", error="refused")
    [point] = baseline_of_run(make_run(tmp_path, [*seeds("a", 30.0), failed], codecs=CODECS)).points
    assert point.failed == {"b": "refused"}
    assert point.metrics["psnr"] == [30.0, None]
    assert point.bytes == [3, None]


def test_a_file_reads_back_as_it_was_written(tmp_path: Path) -> None:
    baseline = synthetic(1, seconds=0.25)
    size = write_baseline(baseline, tmp_path / "new" / "b.json")
    assert read_numbers(tmp_path / "new" / "b.json") == baseline
    assert size == (tmp_path / "new" / "b.json").stat().st_size


def test_kodak_with_all_codecs_is_small_enough() -> None:
    """24 images, 22 points, as a run of hfd, mse and jpeg has."""
    from benchmark.analysis.baseline import baseline_json

    rounded = json.loads(
        baseline_json(synthetic(1, n=24, qualities=22)), parse_float=lambda t: float(f"{float(t):.7g}")
    )
    assert len(json.dumps(rounded)) < LARGEST


def test_a_baseline_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"kB, and 200 are the most.*--codec"):
        write_baseline(synthetic(1, n=500, qualities=12), tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()


def test_a_part_can_be_chosen() -> None:
    part = chosen(synthetic(1), ["noisy"], ["psnr"])
    assert list(part.metrics) == ["bpp", "psnr"]
    assert not part.points[0].sets
    with pytest.raises(UsageError, match="no metric 'pnsr'"):
        chosen(synthetic(1), [], ["pnsr"])
    with pytest.raises(UsageError, match="no codec 'x' was measured; there are noisy"):
        chosen(synthetic(1), ["x"], [])


def test_half_written_and_empty_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="empty"):
        baseline_of_run(make_run(tmp_path, [], codecs=CODECS))
    two = [*seeds("a", 30.0), *seeds("b", 31.0)]
    assert baseline_of_run(make_run(tmp_path / "whole", two, codecs=CODECS)).points
    assert baseline_of_run(make_run(tmp_path / "killed", two, codecs=CODECS, status="running")).points
    for status in ("running", "interrupted", "complete"):
        with pytest.raises(BenchmarkError, match="not complete, 1 of 2 trials"):
            baseline_of_run(make_run(tmp_path / status, two[:1], codecs=CODECS, status=status))


def edited(text: str, metric: str, value: float) -> str:
    document = json.loads(text)
    document["points"][0]["metrics"][metric][0] = value
    document["metrics"][metric]["lowest"] = 0.0
    return json.dumps(document)


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    write_baseline(synthetic(1), file)
    good = file.read_text()
    for text, reason in (
        ("", "not a baseline"),
        ("{}", "not a baseline"),
        (
            good.replace('"schema_version": 2', '"schema_version": 7'),
            "of schema 7, made by a newer version of the suite; this one reads 1 and 2",
        ),
        (good.replace('"value":', '"value":NaN,"x":', 1), "not a baseline"),
        (good.replace('"picture00",', ""), "entries for 11 images"),
        (good[:300], "not a baseline"),
        (json.dumps(json.loads(good) | {"points": []}), "empty"),
        (edited(good, "psnr", -0.5), "psnr: -0.5 is outside of its range"),
        (edited(good, "lpips", -0.001), "lpips: -0.001 is outside of its range"),
    ):
        file.write_text(text)
        with pytest.raises(BenchmarkError, match=reason) as caught:
            read_numbers(file)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 3
    with pytest.raises(BenchmarkError, match="neither a run folder nor a baseline"):
        read_numbers(tmp_path / "nothing")


# Rate differences from one


def two_codecs(**changes: Any) -> Any:
    anchor, other = synthetic(codec="jpeg"), synthetic(codec="avif", **changes)
    return anchor.model_copy(update={"points": [*anchor.points, *other.points], "codecs": anchor.codecs | other.codecs})


def test_fewer_bits_at_equal_quality_are_that_many_per_cent() -> None:
    rows = rate_differences(two_codecs(rate=0.9), "jpeg", [], resamples=100)
    assert [row.metric for row in rows] == ["psnr", "lpips", "fd-effnet"]
    for row in rows:
        assert row.difference.estimate.value == pytest.approx(-10, abs=0.01)  # bytes are whole
        assert row.difference.share == 1.0
        assert row.n == 12
        assert row.points == (3, 3)
        assert row.influence is not None
        assert np.abs(row.influence).max() < 0.1  # every image alike
    assert [row.interval.split()[0] for row in rows] == ["bootstrap", "bootstrap", "jackknife"]


def test_images_without_a_value_count_in_neither_curve() -> None:
    numbers = two_codecs(rate=0.9)
    psnr = [None, *numbers.points[0].metrics["psnr"][1:]]
    numbers.points[0] = numbers.points[0].model_copy(update={"metrics": {**numbers.points[0].metrics, "psnr": psnr}})
    [row] = rate_differences(numbers, "jpeg", ["psnr"], resamples=100)
    assert row.n == 11
    assert row.difference.estimate.value == pytest.approx(-10, abs=0.01)


def test_what_has_no_rate_difference_says_why() -> None:
    [row] = rate_differences(two_codecs(psnr_loss=50), "jpeg", ["psnr"], resamples=100)
    assert not row.difference.defined
    assert "no overlap" in row.difference.reason
    [row] = rate_differences(two_codecs(qualities=1), "jpeg", ["lpips"], resamples=100)
    assert "one point" in row.difference.reason
    for arguments, reason in (
        (("webp", []), "no codec 'webp'"),
        (("jpeg", ["bpp"]), "no metric 'bpp'"),
        (("jpeg", ["x"]), "no metric 'x'"),
    ):
        with pytest.raises(UsageError, match=reason):
            rate_differences(two_codecs(), *arguments)
    with pytest.raises(UsageError, match="no codec beside"):
        rate_differences(synthetic(metrics=METRICS), "noisy", [])
