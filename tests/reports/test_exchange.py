"""Exports against the schemas of the peers, and what comes back in."""

import json
import math
from pathlib import Path
from typing import Any

import compressai.utils.plot.__main__ as compressai_plot
import numpy as np
import pandas as pd
import pytest
from support.records import manifest

from benchmark.analysis.summary import ESTIMATED, ESTIMATED_PROTOCOL, read_summary, write_summary
from benchmark.errors import BenchmarkError, NotComparable, UsageError
from benchmark.metrics.records import BPP
from benchmark.reports.anchors import COLUMNS as PUBLISHED_COLUMNS
from benchmark.reports.curves import draw_curves
from benchmark.reports.exports.tables import BENCHMARK_XL_COLUMNS, LONG_COLUMNS, export
from benchmark.reports.imports import import_summary
from benchmark.results import CodecRecord, MetricRecord, RunFolder, Trial

METRICS = {
    "psnr": MetricRecord(protocol="psnr/rgb/uint8/mean-of-db", unit="dB", higher_is_better=True, kind="image"),
    "ms_ssim": MetricRecord(protocol="ms_ssim/rgb", unit="", higher_is_better=True, kind="image"),
    "lpips": MetricRecord(protocol="lpips/v0.1/alex", unit="", higher_is_better=False, kind="image"),
}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Two images, two qualities that are not sorted by rate, one codec with seeds, one failed trial."""
    codecs = {
        "jpeg:x=1": CodecRecord(label="jpeg-x=1", qualities=[9, 1], stochastic=False, description={"v": "2"}),
        "noisy": CodecRecord(label="noisy", qualities=[1], stochastic=True, description={}),
    }
    trials = []
    for quality, size, psnr in ((9, 40, 30.0), (1, 90, 35.0)):
        for number, image in enumerate("ab"):
            trials.append(made("jpeg:x=1", quality, image, None, size + number, psnr + number))
    for seed in (0, 1):
        trials.append(made("noisy", 1, "a", seed, 50, 28.0 + seed))
        trials.append(Trial(codec="noisy", quality=1, decoder_seed=seed, image="b", error="refused"))
    record = manifest(codecs=codecs, metrics=METRICS, decoder_seeds=[0, 1], status="complete")
    run = RunFolder.create(tmp_path / "run", record)
    run.rewrite(trials)
    write_summary(run)
    return run


def made(codec: str, quality: float, image: str, seed: int | None, size: int, psnr: float) -> Trial:
    return Trial(
        codec=codec,
        quality=quality,
        image=image,
        decoder_seed=seed,
        height=20,
        width=40,
        bytes=size,
        bpp=size / 100,
        metrics={"psnr": psnr, "ms_ssim": 0.9, "lpips": 0.25},
        encode_seconds=0.001,
        decode_seconds=0.002,
    )


def test_a_run_that_was_stopped_is_not_exported(folder: RunFolder, tmp_path: Path) -> None:
    folder.rewrite(folder.trials()[:-1])
    with pytest.raises(BenchmarkError, match=r"not complete, 7 of 8 trials are there"):
        export(folder, "csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_compressai_reads_its_export(folder: RunFolder, tmp_path: Path) -> None:
    paths = export(folder, "compressai", tmp_path / "out")
    assert [path.name for path in paths] == ["jpeg-x=1.json", "noisy.json"]
    document = json.loads(paths[0].read_text())
    assert set(document) == {"name", "description", "results", "meta"}
    results = document["results"]
    assert results["bpp"] == pytest.approx([0.405, 0.905])
    assert results["psnr-rgb"] == pytest.approx([30.5, 35.5])
    assert results["encoding_time"] == pytest.approx([0.001, 0.001])
    assert results["decoding_time"] == pytest.approx([0.002, 0.002])
    assert {len(values) for values in results.values()} == {2}
    assert document["meta"]["qualities"] == [9, 1]

    scatter = compressai_plot.parse_json_file(paths[0], "psnr")
    assert scatter == {"name": "jpeg:x=1", "xs": results["bpp"], "ys": results["psnr-rgb"]}
    decibel = compressai_plot.parse_json_file(paths[0], "ms-ssim")["ys"]
    assert decibel == pytest.approx([10.0, 10.0])
    picture = tmp_path / "plot.png"
    compressai_plot.main(["-f", *map(str, paths), "-m", "psnr", "-o", str(picture)])
    assert picture.stat().st_size > 1000


def test_benchmark_xl_lines(folder: RunFolder, tmp_path: Path) -> None:
    [path] = export(folder, "benchmark-xl", tmp_path / "out.csv")
    header, *lines = path.read_text().splitlines()
    columns = (
        "method,image,error,size,pixels,enc_speed,dec_speed,bpp,maxnorm,ssimulacra2,psnr,pnorm,bppp,qabpp,ms_ssim,lpips"
    )
    assert header == columns
    assert len(lines) == 5
    table = pd.read_csv(path)
    first = table.iloc[0]
    assert tuple(table.columns[: len(BENCHMARK_XL_COLUMNS)]) == BENCHMARK_XL_COLUMNS
    assert (first["method"], first["image"], first["size"], first["pixels"]) == ("jpeg:x=1:q1", "a", 90, 800)
    assert first["enc_speed"] == pytest.approx(0.8)  # 800 pixels in a millisecond
    assert first["dec_speed"] == pytest.approx(0.4)
    assert table.loc[table["method"] == "noisy:q1", "psnr"].tolist() == [28.5]


def test_codec_compare_batches(folder: RunFolder, tmp_path: Path) -> None:
    *batches, index = export(folder, "codec-compare", tmp_path / "out")
    assert json.loads(index.read_text()) == [["jpeg-x=1.json"], ["noisy.json"]]
    for path in batches:
        batch = json.loads(path.read_text())
        assert list(batch) == ["constant_descriptions", "constant_values", "field_descriptions", "field_values"]
        assert len(batch["constant_descriptions"]) == len(batch["constant_values"])
        assert all(len(entry) == 1 for entry in batch["constant_descriptions"] + batch["field_descriptions"])
        names = [next(iter(entry)) for entry in batch["field_descriptions"]]
        assert names[:5] == ["original_name", "width", "height", "quality", "encoded_size"]
        assert {"psnr", "msssim", "lpips", "bpp", "encoding_time", "decoding_time"} <= set(names)
        for column in zip(*batch["field_values"], strict=True):
            assert len({isinstance(value, str) for value in column}) == 1
        assert all(len(row) == len(names) for row in batch["field_values"])
    rows = json.loads(batches[0].read_text())["field_values"]
    assert rows[0][:5] == ["a", 40, 20, 1, 90]


def without(folder: RunFolder, lacking: dict[str, tuple[str, ...]]) -> None:
    """Takes from the run's trials of jpeg the metrics of each image that `lacking` names."""
    trials = []
    for trial in folder.trials():
        names = lacking.get(trial.image, ()) if trial.codec == "jpeg:x=1" else ()
        values = trial.metrics | dict.fromkeys(names, None)
        trials.append(trial.model_copy(update={"metrics": values, "reasons": dict.fromkeys(names, "infinite")}))
    folder.rewrite(trials)
    write_summary(folder)


def test_a_codec_without_any_value_of_a_metric_has_a_batch_without_it(folder: RunFolder, tmp_path: Path) -> None:
    """As PSNR of a lossless one, which is infinite."""
    without(folder, {"a": ("psnr",), "b": ("psnr",)})
    first, *_, index = export(folder, "codec-compare", tmp_path / "out")
    assert json.loads(index.read_text()) == [["jpeg-x=1.json"], ["noisy.json"]]
    batch = json.loads(first.read_text())
    names = [next(iter(entry)) for entry in batch["field_descriptions"]]
    assert "psnr" not in names
    assert {"msssim", "lpips"} <= set(names)
    assert len(batch["field_values"]) == 4
    constants = dict(
        zip((next(iter(c)) for c in batch["constant_descriptions"]), batch["constant_values"], strict=True)
    )
    assert constants["metrics left out"] == "psnr"
    assert "left out" not in constants


def test_a_codec_whose_images_each_lack_another_metric_is_no_empty_batch(folder: RunFolder, tmp_path: Path) -> None:
    without(folder, {"a": ("psnr",), "b": ("lpips",)})
    with pytest.raises(BenchmarkError, match="jpeg:x=1: no image has a value of each of psnr, ms_ssim, lpips, "):
        export(folder, "codec-compare", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_csv_and_parquet_hold_the_same_values_with_their_protocols(folder: RunFolder, tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    [csv] = export(folder, "csv", tmp_path / "out.csv")
    [parquet] = export(folder, "parquet", tmp_path / "out.parquet")
    table, other = pd.read_csv(csv), polars.read_parquet(parquet)
    assert tuple(table.columns) == tuple(other.columns) == LONG_COLUMNS
    assert other["decoder_seed"].to_list()[:6] == [None, None, None, None, 0, 1]
    assert len(table) == 6 * (3 + 1 + 2)  # trials × metrics, bpp and seconds
    np.testing.assert_array_equal(table["value"], other["value"])
    psnr = table[table["metric"] == "psnr"]
    assert set(psnr["protocol"]) == {"psnr/rgb/uint8/mean-of-db"}
    assert sorted(psnr["value"]) == [28.0, 29.0, 30.0, 31.0, 35.0, 36.0]


def test_an_empty_run_and_an_unknown_format(tmp_path: Path) -> None:
    empty = RunFolder.create(tmp_path / "run", manifest())
    with pytest.raises(BenchmarkError, match="empty"):
        export(empty, "csv", tmp_path / "x.csv")
    with pytest.raises(UsageError, match="there are compressai"):
        export(empty, "xls", tmp_path / "x")


# Imports


def compressai_file(path: Path, **results: Any) -> Path:
    lists: dict[str, Any] = {"bpp": [0.2, 0.4], "psnr-rgb": [30.0, 33.0]} | results
    path.write_text(json.dumps({"name": "mbt2018", "description": "x", "results": lists}))
    return path


def test_what_compressai_does_not_state_keeps_it_out_of_a_measured_plot(folder: RunFolder, tmp_path: Path) -> None:
    file = compressai_file(tmp_path / "c.json")
    run = read_summary(folder.path)
    frame = import_summary(file)
    assert set(frame["protocol"]) == {"bpp/?/original-pixels", "psnr/rgb/?/?"}
    with pytest.raises(NotComparable):
        draw_curves([run, frame], ["psnr"], tmp_path / "plots")

    like = import_summary(file, run)
    assert set(like["dataset"]) == set(run["dataset"])
    assert draw_curves([run, like], ["psnr"], tmp_path / "plots")
    stated = import_summary(file, run, {"psnr": "psnr/luma"})
    with pytest.raises(NotComparable, match="'luma'"):
        draw_curves([run, stated], ["psnr"], tmp_path / "plots")


def test_an_import_reads_back_as_a_summary(folder: RunFolder, tmp_path: Path) -> None:
    frame = import_summary(compressai_file(tmp_path / "c.json", **{"ms-ssim-rgb": [0.9, 0.95]}))
    frame.to_csv(tmp_path / "s.csv", index=False)
    again = read_summary(tmp_path / "s.csv")
    pd.testing.assert_frame_equal(again, frame, check_dtype=False)
    assert again["value"].tolist() == [0.2, 0.4, 30.0, 33.0, 0.9, 0.95]
    assert again["ci_low"].isna().all()


def test_an_export_comes_back_with_its_protocols(folder: RunFolder, tmp_path: Path) -> None:
    path, _ = export(folder, "compressai", tmp_path / "out")
    frame, run = import_summary(path), read_summary(folder.path)
    for metric, protocol in zip(run["metric"], run["protocol"], strict=True):
        assert set(frame.loc[frame["metric"] == metric, "protocol"]) == {protocol}
    assert set(frame["dataset"]) == set(run["dataset"])


def test_bits_that_a_codec_estimates_are_no_protocol_of_an_import(folder: RunFolder, tmp_path: Path) -> None:
    """Whatever codec the run has last."""
    run = read_summary(folder.path)
    beside = run[run["metric"] == "bpp"].tail(1).assign(aggregation=ESTIMATED, protocol=ESTIMATED_PROTOCOL)
    like = import_summary(compressai_file(tmp_path / "c.json"), pd.concat([run, beside], ignore_index=True))
    assert set(like.loc[like["metric"] == "bpp", "protocol"]) == {BPP.protocol}
    assert draw_curves([run, like], ["psnr"], tmp_path / "plots")


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_an_import_like_an_empty_summary_is_refused(kind: str, folder: RunFolder, tmp_path: Path) -> None:
    file = compressai_file(tmp_path / "c.json")
    if kind == "csv":
        file = tmp_path / "p.csv"
        pd.DataFrame([line()], columns=list(PUBLISHED_COLUMNS)).to_csv(file, index=False)
    with pytest.raises(BenchmarkError, match="nothing was measured"):
        import_summary(file, read_summary(folder.path).head(0))


def line(**changes: Any) -> dict[str, Any]:
    """A published value."""
    fields = {"dataset": "two", "codec": "elic", "label": "ELIC", "kind": "distortion", "setting": "1"}
    numbers = {"bpp": 0.3, "metric": "psnr", "value": 34.0, "rate_protocol": "bpp/payload/original-pixels"}
    return fields | numbers | {"protocol": "psnr/rgb/uint8/?", "n_images": 24, "reference": "someone"} | changes


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reference": "others", "value": 33.0}, "psnr stands twice, .* by others and .* by someone"),
        ({"protocol": "psnr/luma", "value": 36.0}, "psnr stands twice, psnr/luma by someone and psnr/rgb"),
        ({"metric": "ms_ssim", "value": 0.9, "rate_protocol": "bpp/estimated/original-pixels"}, "two protocols"),
    ],
)
def test_published_points_that_two_sources_state_are_no_single_curve(
    changes: dict[str, Any], why: str, tmp_path: Path
) -> None:
    file = tmp_path / "p.csv"
    pd.DataFrame([line(), line(**changes)], columns=list(PUBLISHED_COLUMNS)).to_csv(file, index=False)
    with pytest.raises(BenchmarkError, match=rf"elic at 0\.3 bpp: .*{why}.*; give one of them"):
        import_summary(file)


def test_each_published_value_keeps_its_number_of_images_and_each_rate_its_protocol(tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    rows = [
        line(),
        line(metric="lpips", value=0.2, protocol="lpips/?/?", n_images=20),
        line(bpp=0.1, value=30.0, rate_protocol="bpp/?/original-pixels", n_images=""),
    ]
    pd.DataFrame(rows, columns=list(PUBLISHED_COLUMNS)).to_csv(file, index=False)
    frame = import_summary(file)
    found = {(row.metric, row.quality): (row.protocol, row.n_images) for row in frame.itertuples()}
    assert found == {
        ("bpp", 1.0): ("bpp/?/original-pixels", 0),
        ("bpp", 2.0): ("bpp/payload/original-pixels", 24),
        ("psnr", 1.0): ("psnr/rgb/uint8/?", 0),
        ("psnr", 2.0): ("psnr/rgb/uint8/?", 24),
        ("lpips", 2.0): ("lpips/?/?", 20),
    }


def test_published_points(folder: RunFolder, tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    rows = [line(), line(bpp=0.1, value=30.0), line(bpp=0.1, metric="lpips", value=0.3, protocol="lpips/?/?")]
    pd.DataFrame(rows, columns=list(PUBLISHED_COLUMNS)).to_csv(file, index=False)
    frame = import_summary(file, read_summary(folder.path))
    psnr = frame[frame["metric"] == "psnr"]
    assert dict(zip(psnr["quality"], psnr["value"], strict=True)) == {2.0: 34.0, 1.0: 30.0}
    assert set(psnr["protocol"]) == {"psnr/rgb/uint8/?"}
    assert frame.loc[frame["metric"] == "bpp", "value"].tolist() == [0.1, 0.3]
    assert set(frame["n_images"]) == {24}

    pd.DataFrame([line(dataset="kodak")], columns=list(PUBLISHED_COLUMNS)).to_csv(file, index=False)
    with pytest.raises(NotComparable, match=r"kodak in .*, two in the run"):
        import_summary(file, read_summary(folder.path))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a table of published points: the file is empty"),
        ("a,b\n1,2\n", "lacks the column dataset"),
        (",".join(PUBLISHED_COLUMNS) + "\n", "empty"),
        ("{", "not a result of CompressAI"),
        ("[1]", "not a result of CompressAI"),
        ('{"results": {"psnr-rgb": [1]}}', "not a result of CompressAI: it has no bpp"),
        ('{"results": {"bpp": [1, 2], "psnr-rgb": [1]}}', "psnr has 1 values for 2 rates"),
        ('{"results": {"bpp": [NaN], "psnr-rgb": [1]}}', "NaN is no number"),
        ('{"results": {"bpp": [1], "theirs": [1]}}', "theirs: no metric of this suite"),
    ],
)
def test_what_cannot_be_imported_is_one_line(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "x"
    file.write_text(text)
    with pytest.raises(BenchmarkError, match=reason) as caught:
        import_summary(file)
    assert "\n" not in str(caught.value)


def test_a_protocol_for_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no lpips"):
        import_summary(compressai_file(tmp_path / "c.json"), None, {"lpips": "x"})
    assert math.isnan(import_summary(compressai_file(tmp_path / "c.json"))["stderr"].iloc[0])
