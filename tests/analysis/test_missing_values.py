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
from benchmark.errors import BenchmarkError
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


def with_lpips(baseline: Baseline, *values: float) -> Baseline:
    """The same with these values of LPIPS at the first quality, the last one for the images that are left."""
    first, *others = baseline.points
    lpips = [values[min(place, len(values) - 1)] for place in range(len(baseline.images))]
    changed = first.model_copy(update={"metrics": first.metrics | {"lpips": lpips}})
    return baseline.model_copy(update={"points": [changed, *others]})


def lpips_row(comparison: Comparison) -> Row:
    [found] = [r for r in comparison.rows if (r.metric, r.quality, r.kind) == ("lpips", 1, "value")]
    return found


def test_a_distance_that_was_0_is_no_share_and_judged_all_the_same() -> None:
    """Its margin is 2 %: of nothing, nothing is allowed."""
    plain = synthetic(None, stochastic=False)
    exact = with_lpips(plain, 0.0)
    comparison = compare(exact, with_lpips(plain, 0.4), GATE)
    assert lpips_row(comparison).outcome is Outcome.WORSE
    assert comparison.exit_code() == 1
    assert verdict(comparison, strict=False) == "worse in 1 number"
    assert comparison.moved[0].image == "picture00"
    assert any("picture00" in line and "worse" in line for line in lines_of(comparison))
    assert not any("nan" in line or "inf " in line for line in lines_of(comparison))
    assert "0 in the base, not in the new run" in markdown(comparison, strict=False)
    assert 'failures="1"' in junit_xml(comparison)
    assert lpips_row(compare(with_lpips(plain, 0.4), exact, GATE)).outcome is Outcome.BETTER
    same = compare(exact, exact, GATE)
    assert lpips_row(same).outcome is Outcome.SAME
    assert (same.exit_code(), same.unsaid) == (0, [])
    assert lpips_row(compare(exact, with_lpips(plain, 1e-3, 0.0), GATE)).outcome is Outcome.WORSE


def test_a_distance_that_is_0_without_one_image_is_judged() -> None:
    """No share of it is known without that image; the difference is one of the whole all the same."""
    plain = synthetic(None, stochastic=False)
    base = with_lpips(plain, 0.12, 0.0)  # a mean of 0.01
    found = lpips_row(compare(base, with_lpips(plain, 0.52, 0.4), GATE))
    assert found.outcome is Outcome.WORSE
    assert found.change == pytest.approx(40)
    assert lpips_row(compare(base, base, GATE)).outcome is Outcome.SAME


def test_streams_that_were_empty() -> None:
    plain = synthetic(None, stochastic=False)
    first, *others = plain.points
    empty = plain.model_copy(update={"points": [first.model_copy(update={"bytes": [0] * 12}), *others]})
    [found] = [r for r in compare(empty, plain, GATE).rows if (r.metric, r.quality) == ("bpp", 1)]
    assert found.outcome is Outcome.WORSE


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


# What neither run has


def without(baseline: Baseline, metric: str, *points: int, broken: bool, image: int | None = None) -> Baseline:
    """The same with no value of `metric` at those points, of any image or of one: it broke down, or is not defined."""
    found = list(baseline.points)
    everywhere = list(range(len(baseline.images)))
    for place in points:
        point = found[place]
        lost = everywhere if image is None else [image]
        update: dict[str, Any] = {"broken": {metric: lost} if broken else {}}
        if metric in point.sets:
            update["sets"] = {}
        else:
            values = [None if index in lost else value for index, value in enumerate(point.metrics[metric])]
            update["metrics"] = point.metrics | {metric: values}
            update["per_seed"] = {}
        found[place] = point.model_copy(update=update)
    return baseline.model_copy(update={"points": found})


@pytest.mark.parametrize("metric", ["psnr", "lpips", "fd-effnet"])
@pytest.mark.parametrize("points", [(0, 1, 2), (1,)])
def test_no_verdict_on_a_metric_that_failed_in_both_runs(metric: str, points: tuple[int, ...]) -> None:
    plain = synthetic(None, stochastic=False)
    failed = without(plain, metric, *points, broken=True)
    undefined = without(plain, metric, *points, broken=False)
    for base, why in ((failed, "failed in both runs"), (undefined, "failed, and the base has no value either")):
        comparison = compare(base, failed, GATE)
        assert comparison.exit_code() == 3
        assert list(comparison.failures) == [
            f"noisy at quality {place + 1}, {metric}: {why}, so nothing can be said" for place in points
        ]
        assert verdict(comparison, strict=False) == "incomplete, trials failed or values are missing"
        assert f'name="noisy at quality {points[0] + 1}, {metric}"' in junit_xml(comparison)
    assert compare(plain, failed, GATE).exit_code() == 3
    assert compare(failed, undefined, GATE).exit_code() == 0  # nothing failed in the new run
    mended = compare(failed, plain, GATE)
    assert mended.exit_code() == 0
    assert any("only the new run has a value" in note for note in mended.notes)


def test_what_no_gate_asks_for_stops_none() -> None:
    failed = without(synthetic(None, stochastic=False), "psnr", 0, 1, 2, broken=True)
    bare = failed.metrics["psnr"].model_copy(update={"title": "mine", "margin": None})
    failed = failed.model_copy(
        update={
            "metrics": {name: record for name, record in failed.metrics.items() if name != "psnr"} | {"mine": bare},
            "points": [
                point.model_copy(
                    update={
                        "metrics": {"mine": point.metrics["psnr"], "lpips": point.metrics["lpips"]},
                        "broken": {"mine": point.broken["psnr"]},
                    }
                )
                for point in failed.points
            ],
        }
    )  # fmt: skip
    comparison = compare(failed, failed, GATE)
    assert comparison.exit_code() == 0
    assert "without a margin in [tool.benchmark.gate], so not judged: mine" in comparison.notes


def test_the_verdict_names_what_is_not_defined_in_either_run() -> None:
    """Images may be too small for a metric: no failure, and no verdict on it."""
    plain = synthetic(None, stochastic=False)
    undefined = without(plain, "lpips", 0, 1, 2, broken=False)
    comparison = compare(undefined, undefined, GATE)
    assert comparison.exit_code() == 0
    assert verdict(comparison, strict=False) == "not worse; nothing can be said of lpips of noisy"
    assert "nothing can be said of lpips of noisy" in markdown(comparison)
    rows = [found for found in comparison.rows if (found.metric, found.kind) == ("lpips", "value")]
    assert [(found.outcome, found.reason) for found in rows] == 3 * [(None, "no value in either run")]
    worse = without(synthetic(None, stochastic=False, psnr_loss=1.0), "lpips", 0, 1, 2, broken=False)
    assert verdict(compare(undefined, worse, GATE), strict=False).endswith("; nothing can be said of lpips of noisy")
    one_failed = without(undefined, "lpips", 0, 1, 2, broken=True, image=3)  # on top: all others remain undefined
    assert compare(one_failed, one_failed, GATE).exit_code() == 0
    some = without(plain, "lpips", 0, broken=False)
    assert verdict(compare(some, some, GATE), strict=False) == "not worse"


def test_one_image_that_fails_in_both_runs_is_named_and_the_rest_compared() -> None:
    plain = synthetic(None, stochastic=False)
    broken = without(plain, "psnr", 0, broken=True, image=4)
    comparison = compare(broken, broken, GATE)
    assert (comparison.exit_code(), row(comparison).n) == (0, 11)
    said = "psnr is over fewer images than the rate: noisy at quality 1 (11 of 12, picture04 failed)"
    assert any(said in note for note in comparison.notes)
    lost = without(synthetic(None, stochastic=False, psnr_loss=1.0), "psnr", 0, broken=True, image=4)
    assert compare(broken, lost, GATE).exit_code() == 1

    first, *others = plain.points
    gone = {
        "bytes": [None if place == 4 else size for place, size in enumerate(first.bytes)],
        "failed": {"picture04": "encode: no"},
        "metrics": {n: [None if i == 4 else v for i, v in enumerate(vs)] for n, vs in first.metrics.items()},
        "sets": {},
    }
    failed = plain.model_copy(update={"points": [first.model_copy(update=gone), *others]})
    comparison = compare(failed, failed, GATE)
    assert "failed in both runs, not compared: picture04 at noisy at quality 1" in comparison.notes


def test_no_verdict_on_a_codec_that_failed_in_both_runs() -> None:
    plain = synthetic(None, stochastic=False)
    nothing: dict[str, Any] = {
        "bytes": [None] * 12,
        "failed": dict.fromkeys(plain.images, "encode: no"),
        "metrics": {name: [None] * 12 for name in plain.points[0].metrics},
        "sets": {},
        "per_seed": {},
    }
    first, *others = plain.points
    failed = plain.model_copy(update={"points": [first.model_copy(update=nothing), *others]})
    comparison = compare(failed, failed, GATE)
    assert comparison.exit_code() == 3
    assert comparison.failures == ("noisy at quality 1: failed in both runs, so nothing can be said: encode: no",)


def test_a_set_s_value_that_is_lost_is_a_failure_even_where_no_error_of_it_was_known() -> None:
    plain = synthetic(None, stochastic=False)
    points = [
        point.model_copy(
            update={"sets": {n: found.model_copy(update={"without": [None] * 12}) for n, found in point.sets.items()}}
        )
        for point in plain.points
    ]
    alone = plain.model_copy(update={"points": points})
    comparison = compare(alone, without(plain, "fd-effnet", 0, 1, 2, broken=False), GATE)
    assert comparison.exit_code() == 3
    reasons = {r.reason for r in compare(alone, alone, GATE).rows if (r.metric, r.kind) == ("fd-effnet", "value")}
    assert reasons == {"no error is known: not defined without each image"}


def test_what_broke_down_is_part_of_baselines() -> None:
    plain = synthetic(None)
    for metric in ("psnr", "fd-effnet"):
        broken = without(plain, metric, 1, broken=True)
        assert parse_baseline(baseline_json(broken), "here").points[1].broken == {metric: list(range(12))}
        assert chosen(broken, [], ["lpips"]).points[1].broken == {}
    assert '"broken"' not in baseline_json(plain)
    wrong = json.loads(baseline_json(without(plain, "psnr", 1, broken=True)))
    for places in ({"psnr": [12]}, {"mine": [0]}, {"lpips": [0]}, {"psnr": [0, 0]}):
        wrong["points"][1]["broken"] = places
        with pytest.raises(BenchmarkError, match="broken"):
            parse_baseline(json.dumps(wrong), "here")
