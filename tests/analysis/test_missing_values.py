"""Values that one run lacks: infinite ones, which have no number, and those that are not defined."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.baselines import synthetic
from support.records import manifest, trial

from benchmark.analysis.baseline import Baseline, baseline_json, baseline_of_run, chosen, parse_baseline
from benchmark.analysis.comparison import Comparison, Row, compare
from benchmark.analysis.groups import StoredGroups
from benchmark.analysis.margins import Gate
from benchmark.analysis.summary import MEAN, MEAN_MSE, write_summary
from benchmark.metrics.fidelity import IDENTICAL
from benchmark.reports.comparison import cells_of, lines_of, markdown, verdict
from benchmark.reports.exports.junit import junit_xml
from benchmark.reports.exports.tables import compressai
from benchmark.results import CodecRecord, DatasetRecord, MetricRecord, PictureRecord, RunFolder
from benchmark.statistics.gate import Outcome

GATE = Gate()


def infinite(baseline: Baseline, *images: int) -> Baseline:
    """The same with infinite PSNR of `images` at the first quality."""
    first, *others = baseline.points
    psnr = [None if place in images else value for place, value in enumerate(first.metrics["psnr"])]
    changed = first.model_copy(
        update={"metrics": first.metrics | {"psnr": psnr}, "infinite": {"psnr": sorted(images)} if images else {}}
    )
    return baseline.model_copy(update={"points": [changed, *others]})


def lacking(baseline: Baseline, *images: int) -> Baseline:
    """The same without PSNR of `images` at the first quality."""
    found = infinite(baseline, *images)
    first, *others = found.points
    return found.model_copy(update={"points": [first.model_copy(update={"infinite": {}}), *others]})


def row(comparison: Comparison) -> Row:
    [found] = [r for r in comparison.rows if (r.metric, r.quality, r.kind) == ("psnr", 1, "value")]
    return found


@pytest.mark.parametrize("stochastic", [True, False])
def test_a_fall_from_infinite_is_worse_and_the_image_is_named(stochastic: bool) -> None:
    plain = synthetic(0 if stochastic else None, stochastic=stochastic)
    comparison = compare(infinite(plain, 3), plain, GATE)
    found = row(comparison)
    assert found.outcome is Outcome.WORSE
    assert "finite now: picture03" in found.reason
    assert comparison.exit_code() == 1
    assert verdict(comparison, strict=False) == "worse in 1 number"
    assert any("picture03" in cell for cell in cells_of(found))
    assert "picture03" in markdown(comparison, strict=False)
    assert 'failures="1"' in junit_xml(comparison)
    assert not any("nan" in line or "inf " in line for line in lines_of(comparison))


def test_a_rise_to_infinite_is_better() -> None:
    plain = synthetic(None, stochastic=False)
    comparison = compare(plain, infinite(plain, 3), GATE)
    assert row(comparison).outcome is Outcome.BETTER
    assert "infinite now: picture03" in row(comparison).reason
    assert comparison.exit_code() == 0


def test_a_rise_does_not_make_up_for_a_fall_or_a_loss() -> None:
    plain = synthetic(None, stochastic=False)
    assert row(compare(infinite(plain, 1), infinite(plain, 2), GATE)).outcome is Outcome.WORSE
    worse = synthetic(None, stochastic=False, psnr_loss=1.0)
    assert row(compare(plain, infinite(worse, 2), GATE)).outcome is Outcome.WORSE


def test_equal_infinities_are_the_same() -> None:
    plain = synthetic(None, stochastic=False)
    some, everything = infinite(plain, 2), infinite(plain, *range(12))
    assert row(compare(some, some, GATE)).outcome is Outcome.SAME
    comparison = compare(everything, everything, GATE)
    assert row(comparison).outcome is Outcome.SAME
    assert comparison.exit_code() == 0
    assert row(compare(everything, plain, GATE)).outcome is Outcome.WORSE
    assert row(compare(plain, everything, GATE)).outcome is Outcome.BETTER


def test_a_value_that_is_lost_for_some_images_is_named() -> None:
    plain = synthetic(None, stochastic=False)
    for base in (plain, infinite(plain, 4)):
        comparison = compare(base, lacking(plain, 4), GATE)
        assert comparison.exit_code() == 3
        assert [line for line in comparison.failures if "picture04" in line]
    assert compare(lacking(plain, 4), lacking(plain, 4), GATE).exit_code() == 0


def test_infinite_images_are_part_of_baselines() -> None:
    baseline = infinite(synthetic(None), 2, 5)
    read = parse_baseline(baseline_json(baseline), "here")
    assert read.infinite_images(read.points[0], "psnr") == [2, 5]
    assert chosen(read, [], ["lpips"]).points[0].infinite == {}
    old = json.loads(baseline_json(baseline))
    for point in old["points"]:
        del point["infinite"]
    assert parse_baseline(json.dumps(old), "here").points[0].infinite == {}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Three images, the first of them lossless at quality 1."""
    names = ["a", "b", "c"]
    dataset = DatasetRecord(
        name="three",
        fingerprint="0" * 16,
        preparation="none",
        pictures=[PictureRecord(name=name, sha256="0" * 64) for name in names],
    )
    metrics = {"psnr": MetricRecord(protocol="p", unit="dB", higher_is_better=True, kind="image")}
    codecs = {"x": CodecRecord(label="x", qualities=[1, 2], stochastic=False, description={})}
    folder = RunFolder.create(tmp_path / "run", manifest(dataset=dataset, codecs=codecs, metrics=metrics))
    for quality in (1, 2):
        for place, name in enumerate(names):
            lossless: dict[str, Any] = {"metrics": {"psnr": None}, "reasons": {"psnr": IDENTICAL}}
            finite: dict[str, Any] = {"metrics": {"psnr": 30.0 + place}}
            folder.append(trial("x", quality, name, **(lossless if (quality, name) == (1, "a") else finite)))
    return folder


def test_the_mean_error_takes_a_lossless_image_as_error_0(run: RunFolder) -> None:
    frame = write_summary(run).query("metric == 'psnr' and quality == 1").set_index("aggregation")
    errors = np.array([0.0, 10**-3.1, 10**-3.2])
    assert frame.loc[MEAN_MSE, "value"] == pytest.approx(-10 * np.log10(errors.mean()), abs=1e-12)
    assert frame.loc[MEAN_MSE, "n_images"] == 3
    assert frame.loc[MEAN, "n_images"] == 2


def test_where_all_are_lossless_the_mean_error_has_no_decibels(run: RunFolder) -> None:
    folder = RunFolder.create(run.path.parent / "all", run.manifest)
    for name in ("a", "b", "c"):
        folder.append(trial("x", 1, name, metrics={"psnr": None}, reasons={"psnr": IDENTICAL}))
    frame = write_summary(folder).query("metric == 'psnr'").set_index("aggregation")
    assert np.isnan(frame.loc[MEAN_MSE, "value"])
    assert StoredGroups(folder)[0].trials[0].reasons == {"psnr": IDENTICAL}


def test_where_a_single_image_has_an_error_its_mean_has_no_interval(run: RunFolder) -> None:
    """Without that image the value is infinite."""
    folder = RunFolder.create(run.path.parent / "one", run.manifest)
    for name in ("a", "b"):
        folder.append(trial("x", 1, name, metrics={"psnr": None}, reasons={"psnr": IDENTICAL}))
    folder.append(trial("x", 1, "c", metrics={"psnr": 31.3}))
    row = write_summary(folder).query("metric == 'psnr'").set_index("aggregation").loc[MEAN_MSE]
    assert row["value"] == pytest.approx(31.3 + 10 * np.log10(3))
    assert np.isnan([row["stderr"], row["ci_low"], row["ci_high"]]).all()


def test_an_export_pairs_no_rate_with_a_value_over_other_images(run: RunFolder, tmp_path: Path) -> None:
    write_summary(run)
    [path] = compressai(run, tmp_path / "out")
    document = json.loads(path.read_text())
    assert list(document["results"]) == ["bpp"]
    assert document["meta"]["left_out"] == ["psnr: no value of 1 of the images that have a rate"]


def test_a_run_s_infinite_images(run: RunFolder) -> None:
    baseline = baseline_of_run(run)
    first, second = baseline.points
    assert baseline.infinite_images(first, "psnr") == [0]
    assert baseline.infinite_images(second, "psnr") == []
    assert compare(baseline, baseline, GATE).exit_code() == 0


def test_a_value_that_only_the_new_run_has_is_named() -> None:
    plain = synthetic(None, stochastic=False)
    comparison = compare(lacking(plain, 4), plain, GATE)
    assert comparison.exit_code() == 0
    [note] = [note for note in comparison.notes if note.startswith("only the new run has a value")]
    assert "psnr of picture04 at noisy at quality 1" in note
    assert row(comparison).n == 11


def test_values_over_fewer_images_than_their_rates_are_named() -> None:
    plain = synthetic(None, stochastic=False)
    [note] = [note for note in compare(infinite(plain, 4), infinite(plain, 4), GATE).notes if "in the new run" in note]
    wanted = "psnr is over fewer images than the rate: noisy at quality 1 (11 of 12, picture04 infinite)"
    assert note == f"in the new run {wanted}"
