import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

from benchmark.analysis import set_values as sets
from benchmark.analysis import summary
from benchmark.analysis.groups import StoredGroups
from benchmark.analysis.summary import coverage_notes, read_summary, write_summary
from benchmark.errors import BenchmarkError, NotComparable, Undefined
from benchmark.reports.outcome import sum_up
from benchmark.results import CodecRecord, DatasetRecord, Manifest, MetricRecord, PictureRecord, RunFolder, Trial

IMAGES = ("a", "b", "c", "d")
KEY = "means.patch2"
PROTOCOL = "shift/patch2/means"


class Shift:
    """A metric of sets: the length of the difference of the mean features. Needs at least two patches."""

    info: Any = None
    protocol = PROTOCOL
    feature_key = KEY

    def load(self) -> None:
        raise AssertionError("a summary needs no network")

    def features(self, image: Any) -> npt.NDArray[np.float32]:
        raise AssertionError("a summary needs no image")

    def distance(self, originals: Sequence[Any], reconstructions: Sequence[Any]) -> float:
        before, after = (np.concatenate(list(side)).astype(np.float64) for side in (originals, reconstructions))
        if len(before) < 2:
            raise Undefined("too few patches")
        return float(np.linalg.norm(before.mean(axis=0) - after.mean(axis=0)))

    def leave_one_out(self, originals: Sequence[Any], reconstructions: Sequence[Any]) -> npt.NDArray[np.float64]:
        def without(side: Sequence[Any], index: int) -> list[Any]:
            return [features for position, features in enumerate(side) if position != index]

        return np.array(
            [self.distance(without(originals, i), without(reconstructions, i)) for i in range(len(originals))]
        )


@pytest.fixture(autouse=True)
def _shift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "open_metric", lambda name: Shift())


def manifest(codecs: dict[str, list[float]], seeds: Sequence[int] = (), images: Sequence[str] = IMAGES) -> Manifest:
    return Manifest(
        command=["run"],
        git_commit=None,
        git_dirty=None,
        packages={},
        machine={},
        threads=1,
        workers=1,
        device="cpu",
        dataset=DatasetRecord(
            name="tiny",
            fingerprint="0123456789abcdef",
            preparation="none",
            pictures=[PictureRecord(name=name, sha256="0" * 64) for name in images],
        ),
        codecs={
            codec: CodecRecord(label=codec, qualities=qualities, stochastic=bool(seeds), description={})
            for codec, qualities in codecs.items()
        },
        metrics={
            "psnr": MetricRecord(protocol="psnr/rgb", unit="dB", higher_is_better=True, kind="image"),
            "shift": MetricRecord(protocol=PROTOCOL, unit="", higher_is_better=False, kind="set", feature_key=KEY),
        },
        decoder_seeds=list(seeds),
        started="2025-01-01T00:00:00Z",
    )


def trial(codec: str, quality: float, image: str, **fields: Any) -> Trial:
    size = {"height": 10, "width": 20 if image == "d" else 10}
    data = fields.pop("bytes", 25)
    psnr = fields.pop("psnr", 30.0)
    return Trial(
        codec=codec,
        quality=quality,
        image=image,
        bytes=data,
        bpp=8 * data / (size["height"] * size["width"]),
        metrics={"psnr": psnr},
        **size,
        **fields,
    )


def failed(codec: str, quality: float, image: str, error: str) -> Trial:
    return Trial(codec=codec, quality=quality, image=image, height=10, width=10, error=error)


def put_features(folder: RunFolder, trials: Sequence[Trial], seed: int = 0) -> None:
    random = np.random.default_rng(seed)
    patches = {image: index + 1 for index, image in enumerate(IMAGES)}
    for image in {t.image for t in trials}:
        folder.write_features(folder.original_features_path(KEY, image), random.normal(size=(patches[image], 3)))
    for t in trials:
        if t.error is None:
            folder.write_features(folder.features_path(KEY, t.key), random.normal(size=(patches[t.image], 3)))


def make_run(path: Path, record: Manifest, trials: Sequence[Trial]) -> RunFolder:
    folder = RunFolder.create(path / "run", record)
    put_features(folder, trials)
    folder.rewrite(trials)
    return folder


def row(frame: pd.DataFrame, metric: str, aggregation: str, **where: Any) -> Any:
    chosen = frame[(frame["metric"] == metric) & (frame["aggregation"] == aggregation)]
    for column, value in where.items():
        chosen = chosen[chosen[column] == value]
    assert len(chosen) == 1
    return chosen.iloc[0]


def notes_of(folder: RunFolder) -> list[str]:
    return coverage_notes(folder.manifest, StoredGroups(folder))


def test_values_against_hand_computation(tmp_path: Path) -> None:
    sizes, psnr = [20, 25, 40, 90], [28.0, 30.0, 33.0, 36.0]
    trials = [trial("jpeg", 5, i, bytes=b, psnr=p) for i, b, p in zip(IMAGES, sizes, psnr, strict=True)]
    folder = make_run(tmp_path, manifest({"jpeg": [5]}), trials[::-1])  # in whatever order the trials ended
    frame = write_summary(folder)
    assert tuple(frame.columns) == summary.COLUMNS
    assert set(frame["dataset"]) == {"tiny 01234567"}
    quantile = stats.t.ppf(0.975, 3)

    bpp = row(frame, "bpp", "mean over images")
    assert bpp["value"] == pytest.approx(np.mean([1.6, 2.0, 3.2, 3.6]))
    assert bpp["stderr"] == pytest.approx(stats.sem([1.6, 2.0, 3.2, 3.6]))
    assert bpp["ci_high"] == pytest.approx(bpp["value"] + quantile * bpp["stderr"])
    assert (bpp["n_images"], bpp["unit"], bool(bpp["higher_is_better"])) == (4, "bits per pixel", False)
    assert row(frame, "bpp", "total bits / total pixels")["value"] == pytest.approx(8 * 175 / 500)

    assert row(frame, "psnr", "mean over images")["value"] == pytest.approx(31.75)
    errors = [255.0**2 / 10 ** (p / 10) for p in psnr]
    of_mean = row(frame, "psnr", "of the mean MSE")
    assert of_mean["value"] == pytest.approx(10 * math.log10(255.0**2 / np.mean(errors)))
    left_out = [10 * math.log10(255.0**2 / np.mean(np.delete(errors, i))) for i in range(4)]
    assert of_mean["stderr"] == pytest.approx(math.sqrt(3 / 4 * np.sum((left_out - np.mean(left_out)) ** 2)))


def test_a_set_metric_against_brute_force(tmp_path: Path) -> None:
    trials = [trial("jpeg", 5, image) for image in IMAGES]
    folder = make_run(tmp_path, manifest({"jpeg": [5]}), trials)
    before = [folder.read_features(folder.original_features_path(KEY, image)) for image in IMAGES]
    after = [folder.read_features(folder.features_path(KEY, t.key)) for t in trials]

    def distance(images: Sequence[int]) -> float:
        mean_before = np.concatenate([before[i] for i in images]).astype(np.float64).mean(axis=0)
        return float(
            np.linalg.norm(mean_before - np.concatenate([after[i] for i in images]).astype(np.float64).mean(axis=0))
        )

    left_out = [distance([j for j in range(4) if j != i]) for i in range(4)]
    result = row(write_summary(folder), "shift", "set")
    assert result["value"] == pytest.approx(distance(range(4)))
    assert result["stderr"] == pytest.approx(math.sqrt(3 / 4 * np.sum((left_out - np.mean(left_out)) ** 2)))
    assert (result["n_images"], result["n_patches"]) == (4, 1 + 2 + 3 + 4)


def test_failures_and_missing_values_are_left_out_and_counted(tmp_path: Path) -> None:
    trials = [trial("jpeg", 5, "a", psnr=30.0), trial("jpeg", 5, "b", psnr=34.0), failed("jpeg", 5, "c", "out of bits")]
    trials.append(trial("jpeg", 5, "d", psnr=None, reasons={"psnr": "identical", "shift": "too small"}))
    folder = make_run(tmp_path, manifest({"jpeg": [5]}), trials)
    frame = write_summary(folder)
    assert row(frame, "bpp", "mean over images")["n_images"] == 3
    psnr = row(frame, "psnr", "mean over images")
    assert (psnr["value"], psnr["n_images"]) == (32.0, 2)
    shift = row(frame, "shift", "set")
    assert (shift["n_images"], shift["n_patches"]) == (2, 3)
    notes = notes_of(folder)
    assert "jpeg at quality 5: 1 of 4 images failed; c: out of bits" in notes
    assert "psnr: no value for 1 image; d: identical" in notes


def test_estimated_bits_stand_beside_the_real_ones_and_wrong_ones_are_named(tmp_path: Path) -> None:
    def with_estimates(factor: float) -> list[Trial]:
        trials = [trial("t", 1, image) for image in IMAGES]
        for one in trials:
            one.height, one.width, one.bytes, one.bpp = 64, 64, 2000, 8 * 2000 / 64**2
            one.bpp_estimated = factor * one.bpp
        return trials

    good = make_run(tmp_path / "good", manifest({"t": [1]}), with_estimates(1.017))  # 34 bytes: 1 % and 14
    frame = write_summary(good)
    beside = row(frame, "bpp", summary.ESTIMATED)
    assert beside["value"] == pytest.approx(1.017 * row(frame, "bpp", summary.MEAN)["value"])
    assert beside["protocol"] != row(frame, "bpp", summary.MEAN)["protocol"]
    assert summary.ESTIMATED not in summary.HEADLINES  # what is drawn and compared
    assert not any("estimate" in note for note in notes_of(good))
    bad = make_run(tmp_path / "bad", manifest({"t": [1]}), with_estimates(1.019))
    assert any("estimates of its bits" in note and "2038 bytes" in note for note in notes_of(bad))


def test_points_over_unequal_images_are_named(tmp_path: Path) -> None:
    trials = [trial(codec, 5, image) for codec in ("jpeg", "webp") for image in IMAGES]
    folder = make_run(tmp_path, manifest({"jpeg": [5], "webp": [5]}), trials)
    assert notes_of(folder) == []
    folder.rewrite([*trials[:-1], failed("webp", 5, "d", "refused")])
    assert "bpp: the points are not all over the same images; webp at quality 5 has 3 of 4" in notes_of(folder)


def test_what_has_no_place_in_a_plot_is_named_with_the_reason(tmp_path: Path) -> None:
    """No bits have no logarithm: a codec that spends none is a point of the table alone."""
    free = [trial("jpeg", 5, name, bytes=0) for name in "abc"]
    frame = write_summary(make_run(tmp_path, manifest({"jpeg": [5]}), free))
    assert row(frame, "psnr", "mean over images")["value"] > 0
    assert summary.drawable_metrics(frame) == []
    assert summary.undrawable_metrics(frame)["psnr"] == "no point with a value has any bits"


def test_seeds_are_a_second_source_of_spread(tmp_path: Path) -> None:
    values = {0: [30.0, 32.0, 31.0, 35.0], 1: [30.4, 32.2, 31.4, 35.2], 2: [29.9, 31.7, 31.3, 34.9]}
    trials = [
        trial("hfd", 1, image, psnr=psnr, decoder_seed=seed)
        for seed, row_of_values in values.items()
        for image, psnr in zip(IMAGES, row_of_values, strict=True)
    ]
    folder = make_run(tmp_path, manifest({"hfd": [1]}, seeds=(0, 1, 2)), trials)
    frame = write_summary(folder)
    table = np.array(list(values.values()))
    psnr = row(frame, "psnr", "mean over images")
    assert psnr["value"] == pytest.approx(table.mean())
    assert psnr["stderr"] == pytest.approx(stats.sem(table.mean(axis=0)))
    assert psnr["stderr_seed"] == pytest.approx(stats.sem(table.mean(axis=1)))
    assert psnr["n_images"] == 4
    assert row(frame, "bpp", "mean over images")["stderr_seed"] == 0  # one stream for all seeds

    metric = Shift()
    before = [folder.read_features(folder.original_features_path(KEY, image)) for image in IMAGES]
    after = [
        [folder.read_features(folder.features_path(KEY, ("hfd", 1.0, seed, image))) for image in IMAGES]
        for seed in values
    ]
    shift = row(frame, "shift", "set")
    distances = [metric.distance(before, one) for one in after]
    assert shift["value"] == pytest.approx(np.mean(distances))
    assert shift["stderr_seed"] == pytest.approx(stats.sem(distances))
    replicates = np.mean([metric.leave_one_out(before, one) for one in after], axis=0)
    assert shift["stderr"] == pytest.approx(3 * np.std(replicates, ddof=1) / 2)

    # An image without a value at one of the seeds counts at none.
    folder.rewrite([t for t in trials if t.key != ("hfd", 1.0, 2, "d")])
    assert row(write_summary(folder), "psnr", "mean over images")["value"] == pytest.approx(table[:, :3].mean())


def test_one_image_has_no_interval_and_no_image_no_value(tmp_path: Path) -> None:
    trials = [trial("jpeg", 5, "b"), failed("jpeg", 10, "b", "refused")]
    frame = write_summary(make_run(tmp_path, manifest({"jpeg": [5, 10]}, images="b"), trials))
    for metric, aggregation in [("psnr", "mean over images"), ("psnr", "of the mean MSE"), ("shift", "set")]:
        one = row(frame, metric, aggregation, quality=5.0)
        assert one["n_images"] == 1
        assert math.isfinite(one["value"])
        assert math.isnan(one["stderr"])
        none = row(frame, metric, aggregation, quality=10.0)
        assert none["n_images"] == 0
        assert math.isnan(none["value"])


def test_too_few_patches_are_no_value(tmp_path: Path) -> None:
    frame = write_summary(make_run(tmp_path, manifest({"jpeg": [5]}, images="a"), [trial("jpeg", 5, "a")]))
    assert math.isnan(row(frame, "shift", "set")["value"])
    assert row(frame, "psnr", "mean over images")["value"] == 30.0


def test_images_without_a_patch_are_in_no_set(tmp_path: Path) -> None:
    trials = [trial("jpeg", 5, image) for image in IMAGES]
    folder = make_run(tmp_path, manifest({"jpeg": [5]}), trials)
    nothing = np.empty((0, 3), np.float32)
    folder.write_features(folder.original_features_path(KEY, "b"), nothing)
    folder.write_features(folder.features_path(KEY, trials[1].key), nothing)
    shift = row(write_summary(folder), "shift", "set")
    assert (shift["n_images"], shift["n_patches"]) == (3, 8)
    assert shift["stderr"] > 0


def test_the_order_is_the_manifests_whatever_ended_first(tmp_path: Path) -> None:
    trials = [trial(codec, quality, "a") for codec in ("webp", "jpeg") for quality in (1, 9)]
    record = manifest({"webp": [9, 1], "jpeg": [1, 9]}, images="a")  # webp's own scale runs downwards
    frame = write_summary(make_run(tmp_path, record, trials[::-1]))
    bpp = frame[(frame["metric"] == "bpp") & (frame["aggregation"] == "mean over images")]
    assert list(zip(bpp["codec"], bpp["quality"], strict=True)) == [("webp", 9), ("webp", 1), ("jpeg", 1), ("jpeg", 9)]


def test_a_summary_reads_back_as_it_was_written(tmp_path: Path) -> None:
    trials = [trial("null", 0.1, image, psnr=psnr) for image, psnr in zip(IMAGES, (30.1, 31 / 3, 1e-7, 5), strict=True)]
    folder = make_run(tmp_path, manifest({"null": [0.1]}), trials)
    frame = write_summary(folder)
    pd.testing.assert_frame_equal(read_summary(folder.path), frame, check_exact=True)
    pd.testing.assert_frame_equal(read_summary(folder.summary_path), frame, check_exact=True)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="there is no summary"):
        read_summary(tmp_path)
    file = tmp_path / "summary.csv"
    for text in ("", "a,b\n1,2\n", ",".join(summary.COLUMNS) + "\n" + ",".join("x" * len(summary.COLUMNS)) + "\n"):
        file.write_text(text)
        with pytest.raises(BenchmarkError, match=r"no summary|not a summary"):
            read_summary(file)


def test_features_of_another_protocol_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run(tmp_path, manifest({"jpeg": [5]}), [trial("jpeg", 5, image) for image in IMAGES])
    monkeypatch.setattr(Shift, "protocol", "shift/patch4/means")
    with pytest.raises(NotComparable, match=r"shift/patch2/means.*shift/patch4/means"):
        write_summary(folder)


def test_missing_features_are_an_error_not_a_number(tmp_path: Path) -> None:
    trials = [trial("jpeg", 5, image) for image in IMAGES]
    folder = make_run(tmp_path, manifest({"jpeg": [5]}), trials)
    folder.features_path(KEY, trials[0].key).unlink()
    with pytest.raises(BenchmarkError, match="features cannot be read"):
        write_summary(folder)


def test_an_empty_run_has_an_empty_summary(tmp_path: Path) -> None:
    folder = make_run(tmp_path, manifest({"jpeg": [5]}), [])
    frame = write_summary(folder)
    assert frame.empty
    assert tuple(read_summary(folder.path).columns) == summary.COLUMNS


def test_the_end_of_a_run_reads_each_trial_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Summary, notes and failures come from one reading and one validation of the records."""
    trials = [trial("jpeg", 30, "a"), trial("jpeg", 30, "b"), failed("jpeg", 30, "c", "bad"), trial("jpeg", 30, "d")]
    folder = make_run(tmp_path, manifest({"jpeg": [30]}), trials)
    validated: list[object] = []
    validate = Trial.model_validate_json
    monkeypatch.setattr(
        Trial, "model_validate_json", lambda line, **how: validated.append(line) or validate(line, **how)
    )
    outcome = sum_up(folder, draw=False)
    assert len(validated) == len(trials)
    assert list(outcome.failures) == ["c: bad"]
    assert any("1 of 4 images failed" in note for note in outcome.notes)
