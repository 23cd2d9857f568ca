from pathlib import Path

import pytest
from support.baselines import synthetic
from support.summaries import summary_frame

from benchmark.analysis.baseline import baseline_json
from benchmark.analysis.inputs import Inputs, read_inputs, summary_of
from benchmark.analysis.summary import COLUMNS
from benchmark.errors import BenchmarkError, UsageError

SUMMARY = Path(__file__).parents[2] / "reports" / "figures" / "kodak-summary.csv"
pytestmark = pytest.mark.checkout


def test_a_baseline_file_gives_summary_and_numbers(tmp_path: Path) -> None:
    baseline = synthetic()
    (tmp_path / "base.json").write_text(baseline_json(baseline))
    inputs = read_inputs([tmp_path / "base.json"], with_numbers=True)
    [frame] = inputs.summaries
    assert tuple(frame.columns) == COLUMNS
    assert inputs.numbers[0].points == baseline.points
    assert inputs.metrics == ["psnr", "lpips", "fd-effnet"]
    assert inputs.codecs == ["noisy"]
    assert inputs.folder == tmp_path
    row = frame[(frame["metric"] == "psnr") & (frame["quality"] == 2)].iloc[0]
    estimate = baseline.estimate(baseline.points[1], "psnr")
    assert estimate is not None
    assert (row["value"], row["ci_low"], row["ci_high"]) == (estimate.value, estimate.ci_low, estimate.ci_high)
    assert set(frame.loc[frame["metric"] == "fd-effnet", "n_patches"]) == {39 * 12}
    assert read_inputs([tmp_path / "base.json"]).numbers == ()


def test_a_summary_alone_has_no_numbers_of_images(tmp_path: Path) -> None:
    assert read_inputs([SUMMARY]).metrics == ["psnr", "lpips", "fd-effnet", "kd-effnet"]
    with pytest.raises(UsageError, match="name the run folder or a baseline file"):
        read_inputs([SUMMARY], with_numbers=True)
    with pytest.raises(BenchmarkError, match="there is no summary"):
        read_inputs([tmp_path / "nothing"])
    with pytest.raises(UsageError, match="at least one run"):
        read_inputs([])


def test_metrics_are_those_that_all_runs_have() -> None:
    one, other = summary_frame(metrics=("lpips", "ms_ssim")), summary_frame(metrics=("ms_ssim",))
    assert Inputs((one, other), (), Path()).metrics == ["ms_ssim"]
    with pytest.raises(UsageError, match="no metric in common"):
        _ = Inputs((summary_frame(), other), (), Path()).metrics


def test_what_is_infinite_in_decibels_is_not_drawn() -> None:
    lossless, lossy = (summary_frame(metrics=("lpips", "ms_ssim")) for _ in range(2))
    lossless.loc[lossless["metric"] == "ms_ssim", "value"] = 1.0
    assert Inputs((lossless,), (), Path()).metrics == ["lpips", "ms_ssim"]
    assert Inputs((lossless,), (), Path()).drawable == ["lpips"]
    assert Inputs((lossy,), (), Path()).drawable == ["lpips", "ms_ssim"]
    assert Inputs((lossless, lossy), (), Path()).drawable == ["lpips"]
    lossless.loc[lossless["metric"] == "lpips", "value"] = float("nan")
    with pytest.raises(UsageError, match="no metric in common that can be drawn"):
        _ = Inputs((lossless,), (), Path()).drawable


def test_codecs_of_two_runs_are_told_apart() -> None:
    other = summary_frame(("hfd",))
    other["value"] *= 1.01
    assert Inputs((summary_frame(), other), (), Path()).codecs == ["hfd", "jpeg", "hfd (run 2)"]
    assert summary_of(synthetic(codec="x"))["codec"].unique().tolist() == ["x"]
