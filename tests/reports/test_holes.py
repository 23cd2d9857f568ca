"""Every output, over random patterns of missing values: a rate and a value beside it are of the same images, or it is
named that they are not. The truth is worked out by hand from the holes."""

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from rich.console import Console
from support.holes import CODECS, IMAGES, QUALITIES, Hole, Place, rate_of, run_with, value_of

import benchmark
from benchmark.analysis.baseline import baseline_of_run
from benchmark.analysis.comparison import compare
from benchmark.analysis.differences import paired_differences
from benchmark.analysis.history import add_entry, read_entries, series_of
from benchmark.analysis.inputs import summary_of
from benchmark.analysis.margins import Gate
from benchmark.analysis.rate_differences import rate_differences
from benchmark.analysis.summary import coverage_notes, read_summary
from benchmark.analysis.tabulation import tabulate
from benchmark.errors import BenchmarkError, NotComparable
from benchmark.reports.exports.continuous import bencher, github_action_benchmark
from benchmark.reports.exports.tables import export
from benchmark.reports.history import print_history
from benchmark.reports.page.content import content, read_sources
from benchmark.reports.paper_tables import FORMATS, write_table
from benchmark.reports.pictures import find_point, view_of
from benchmark.reports.plots import PlotOptions, draw
from benchmark.reports.plots.panels import metric_panel
from benchmark.reports.rates import rate_notes
from benchmark.reports.tables import write_markdown
from benchmark.results import RunFolder

Holes = Mapping[Place, Hole]
places = st.tuples(st.sampled_from(CODECS), st.sampled_from(QUALITIES), st.sampled_from(IMAGES))
patterns = st.dictionaries(places, st.sampled_from(["failed", "infinite", "undefined"]), max_size=12)
MANY = 3
"""Patterns drawn beside the examples; a slow test draws more of each."""
some = settings(max_examples=MANY, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])

ONE_INFINITE: Holes = {("x", 3.0, "a"): "infinite"}
ONE_FAILED: Holes = {("x", 1.0, "b"): "failed"}
ALL_UNDEFINED: Holes = {("y", 2.0, image): "undefined" for image in IMAGES}
ALL_FAILED: Holes = {("y", 2.0, image): "failed" for image in IMAGES}
EVERYWHERE_ONE: Holes = {(codec, quality, "c"): "infinite" for codec in CODECS for quality in QUALITIES}
OTHERS: Holes = {("x", 1.0, "a"): "infinite", ("x", 2.0, "b"): "undefined", ("y", 1.0, "d"): "failed"}


def with_examples(test):  # type: ignore[no-untyped-def]
    for holes in (ONE_INFINITE, ONE_FAILED, ALL_UNDEFINED, ALL_FAILED, EVERYWHERE_ONE, OTHERS):
        test = example(holes=holes)(test)
    return some(given(holes=patterns)(test))


def rated(holes: Holes, codec: str, quality: float) -> list[str]:
    """The images with a rate."""
    return [image for image in IMAGES if holes.get((codec, quality, image)) != "failed"]


def valued(holes: Holes, codec: str, quality: float) -> list[str]:
    """The images with a PSNR."""
    return [image for image in IMAGES if (codec, quality, image) not in holes]


def mean_rate(holes: Holes, codec: str, quality: float) -> float:
    return float(np.mean([rate_of((codec, quality, image)) for image in rated(holes, codec, quality)]))


def mean_value(codec: str, quality: float, images: list[str]) -> float:
    return float(np.mean([value_of((codec, quality, image)) for image in images]))


def unlike(holes: Holes) -> list[tuple[str, float]]:
    """The points with a PSNR over fewer images than their rate."""
    return [
        (codec, quality)
        for codec in CODECS
        for quality in QUALITIES
        if 0 < len(valued(holes, codec, quality)) < len(rated(holes, codec, quality))
    ]


def run_of(holes: Holes, folder: str) -> RunFolder:
    return run_with(Path(folder) / "run", holes)


def any_value(holes: Holes) -> bool:
    return any(valued(holes, codec, quality) for codec in CODECS for quality in QUALITIES)


NOTE = "over fewer images than the rate"


@with_examples
def test_summary_and_frames_count_the_images_of_each_number(holes: Holes) -> None:
    with TemporaryDirectory() as folder:
        run = run_of(holes, folder)
        results = benchmark.load(run.path)
        rows = results.summary.query("aggregation == 'mean over images'").set_index(["codec", "quality", "metric"])
        for codec in CODECS:
            for quality in QUALITIES:
                psnr, bpp = rows.loc[(codec, quality, "psnr")], rows.loc[(codec, quality, "bpp")]
                assert psnr["n_images"] == len(valued(holes, codec, quality))
                assert bpp["n_images"] == len(rated(holes, codec, quality))
                if valued(holes, codec, quality):
                    wanted = mean_value(codec, quality, valued(holes, codec, quality))
                    assert psnr["value"] == pytest.approx(wanted)
                else:
                    assert math.isnan(psnr["value"])
        curve = results.curve("psnr")
        for row in curve.to_dict("records"):
            assert row["n_images"] == len(valued(holes, row["codec"], row["quality"]))
            assert row["n_images_bpp"] == len(rated(holes, row["codec"], row["quality"]))
        notes = " ".join(coverage_notes(run.manifest, benchmark.analysis.groups.StoredGroups(run)))
        for kind, word in (
            ("failed", "failed"),
            ("infinite", "psnr: no value for"),
            ("undefined", "psnr: no value for"),
        ):
            assert (word in notes) or kind not in holes.values()


@with_examples
def test_tables_name_what_is_over_other_images(holes: Holes) -> None:
    with TemporaryDirectory() as folder:
        run = run_of(holes, folder)
        summary = read_summary(run.path)
        write_markdown(summary, Path(folder) / "t.md")
        most = max(len(rated(holes, c, q)) for c in CODECS for q in QUALITIES)
        text = (Path(folder) / "t.md").read_text()
        for codec, quality in unlike(holes):
            assert len(valued(holes, codec, quality)) < most
            assert f"[{len(valued(holes, codec, quality))}]" in text
        if not any_value(holes):
            return
        for rates in ((), (0.5, 2.0)):
            table = tabulate([summary], ["psnr"], rates=rates)
            for form in FORMATS:
                written = write_table(table, form)
                if form == "csv":
                    columns = next(csv.reader(io.StringIO(written)))
                    assert ("psnr_images" in columns) == bool(unlike(holes))
                else:
                    assert (NOTE in written) == bool(unlike(holes))
                assert "nan" not in written
        for line in tabulate([summary], ["psnr"]).lines:
            cell = line.cells["psnr"]
            if cell is not None:
                assert cell.n == len(valued(holes, line.codec, line.place))


@with_examples
def test_curves_name_what_is_over_other_images(holes: Holes) -> None:
    with TemporaryDirectory() as folder:
        run = run_of(holes, folder)
        for summary in (read_summary(run.path), summary_of(baseline_of_run(run))):
            if not any_value(holes):
                return
            panel = metric_panel(summary[summary["aggregation"] == "mean over images"], "psnr")
            assert any(NOTE in note for note in panel.notes) == bool(unlike(holes))
        figure = draw([read_summary(run.path)], ["psnr"], PlotOptions(width=7))
        words = " ".join(text.get_text() for text in figure.findobj() if hasattr(text, "get_text"))
        assert (NOTE.split()[0] in words and "fewer" in words) == bool(unlike(holes))


@with_examples
def test_exports_pair_means_over_the_same_images_alone(holes: Holes) -> None:
    with TemporaryDirectory() as folder:
        run = run_of(holes, folder)
        if all(holes.get((c, q, i)) == "failed" for c in CODECS for q in QUALITIES for i in IMAGES):
            return
        for path in export(run, "compressai", Path(folder) / "ca"):
            document = json.loads(path.read_text())
            codec = document["name"]
            for place, quality in enumerate(document["meta"]["qualities"]):
                assert document["results"]["bpp"][place] == pytest.approx(mean_rate(holes, codec, quality))
                assert document["meta"]["images"][place] == len(rated(holes, codec, quality))
            complete = all(
                valued(holes, codec, q) and len(valued(holes, codec, q)) == len(rated(holes, codec, q))
                for q in document["meta"]["qualities"]
            )
            assert ("psnr-rgb" in document["results"]) == complete
            assert bool([line for line in document["meta"]["left_out"] if line.startswith("psnr: ")]) != complete
        [table] = export(run, "benchmark-xl", Path(folder) / "xl.csv")
        for row in pd.read_csv(table).to_dict("records"):
            codec, _, quality = row["method"].partition(":q")
            place = codec, float(quality), row["image"]
            assert row["bpp"] == pytest.approx(rate_of(place))
            assert math.isnan(row["psnr"]) if place in holes else row["psnr"] == pytest.approx(value_of(place))
        *batches, _ = export(run, "codec-compare", Path(folder) / "cc")
        for batch in (json.loads(path.read_text()) for path in batches):
            names = [next(iter(entry)) for entry in batch["field_descriptions"]]
            codec = batch["constant_values"][0]
            there = {(row[names.index("quality")], row[names.index("original_name")]) for row in batch["field_values"]}
            assert there == {(q, i) for q in QUALITIES for i in valued(holes, codec, q)}
            lost = len(QUALITIES) * len(IMAGES) - len(there)
            assert (f"{lost} of 12 images at a quality" in json.dumps(batch["constant_values"])) == bool(lost)
        polars = pytest.importorskip("polars")
        for form in ("csv", "parquet"):
            [path] = export(run, form, Path(folder) / f"long.{form}")
            frame = pd.read_csv(path) if form == "csv" else pd.DataFrame(polars.read_parquet(path).to_dicts())
            psnr = frame[frame["metric"] == "psnr"]
            found = {
                (c, q, i): v for c, q, i, v in psnr[["codec", "quality", "image", "value"]].itertuples(index=False)
            }
            assert found == pytest.approx({p: value_of(p) for p in all_places() if p not in holes})


def all_places() -> list[Place]:
    return [(codec, quality, image) for codec in CODECS for quality in QUALITIES for image in IMAGES]


@with_examples
def test_numbers_for_other_services_say_how_many_images(holes: Holes) -> None:
    with TemporaryDirectory() as folder:
        numbers = baseline_of_run(run_of(holes, folder))
        entries = [e for bigger in (True, False) for e in github_action_benchmark(numbers, bigger_is_better=bigger)]
        found = {entry["name"]: entry for entry in entries}
        for codec in CODECS:
            for quality in QUALITIES:
                images = valued(holes, codec, quality)
                name = f"{codec} quality {quality:g}"
                assert (f"{name} psnr" in found) == bool(images)
                if images:
                    assert found[f"{name} psnr"]["value"] == pytest.approx(mean_value(codec, quality, images), rel=1e-6)
                    assert f"{len(images)} images" in found[f"{name} psnr"]["extra"]
                    assert bencher(numbers)[name]["psnr"]["value"] == found[f"{name} psnr"]["value"]
        notes = compare(numbers, numbers, Gate()).notes if any_value(holes) else ()
        assert any(NOTE in note for note in notes) == bool(unlike(holes))


@with_examples
def test_rate_differences_and_differences_are_over_common_images_and_name_the_others(holes: Holes) -> None:
    with TemporaryDirectory() as folder:
        numbers = baseline_of_run(run_of(holes, folder))
        used = [(c, q) for c in CODECS for q in QUALITIES if valued(holes, c, q)]
        common = [image for image in IMAGES if all((c, q, image) not in holes for c, q in used)] if used else []
        [row] = rate_differences(numbers, "x", ["psnr"], resamples=100)
        assert row.n == len(common)
        assert list(row.images) == common
        notes = " ".join(rate_notes([row], numbers.label))
        [curve] = paired_differences(numbers, "x", ["y"], "psnr")
        assert curve.n in (0, len(common))
        for words in (notes, " ".join(curve.left_out)):
            assert (f"over {len(common)} of 4 images" in words) == (len(common) < 4)
            for codec, quality in {(c, q) for c in CODECS for q in QUALITIES} - set(used):
                assert f"{codec} at quality {quality:g} is left out" in words
        if not row.difference.defined:
            assert row.difference.reason
            return
        for side, codec in enumerate(CODECS):
            rates = [np.mean([rate_of((codec, q, i)) for i in common]) for c, q in used if c == codec]
            assert row.points[side] == len(rates)


@with_examples
def test_images_history_and_page_name_them(holes: Holes) -> None:
    with TemporaryDirectory() as folder:
        run = run_of(holes, folder)
        numbers = baseline_of_run(run)
        for point in numbers.points:
            images = valued(holes, point.codec, point.quality)
            spec = f"{point.codec}={point.quality:g}"
            if not images:
                with pytest.raises(NotComparable):
                    view_of(numbers, "psnr", find_point(numbers, spec), None)
                continue
            view = view_of(numbers, "psnr", find_point(numbers, spec), None)
            assert list(view.images) == images
            assert sorted(view.lacking) == sorted(set(IMAGES) - set(images))
            assert any(f"over {len(images)} of 4 images" in line for line in view.summary) == bool(view.lacking)
            frame = benchmark.load(run.path).images("psnr", spec)
            assert sorted(frame["image"]) == sorted(IMAGES)
            assert sorted(frame.loc[frame["share"].isna(), "image"]) == sorted(view.lacking)
        data = content(read_sources([run.path]), Gate())
        for point in data["points"]:
            codec = data["codecs"][point["codec"]]["label"]
            assert point["values"]["psnr"]["images"] == len(valued(holes, codec, point["quality"]))
        assert bool(data["notices"]) == bool(holes)


@with_examples
def test_a_history_says_what_a_step_is_over(holes: Holes) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "history.jsonl"
        full = baseline_of_run(run_with(Path(folder) / "full", {}))
        add_entry(file, full, "one")
        try:
            add_entry(file, baseline_of_run(run_of(holes, folder)), "two")
        except BenchmarkError:
            return
        entries = read_entries(file)
        series = series_of(entries, "psnr")
        for one in series:
            if len(one.points) < 2:
                continue
            images, second = valued(holes, one.codec, one.quality), one.points[1]
            assert second.n == len(images)
            assert second.change == pytest.approx(0 if images else math.nan, abs=1e-9, nan_ok=True)  # of those in both
            leapt = any(holes.get((one.codec, one.quality, image)) == "infinite" for image in IMAGES)
            assert second.changed == leapt
            assert bool(second.note) == (len(images) < 4)
        console = Console(file=io.StringIO(), width=200)
        print_history(entries, series, "psnr", console)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        said = any(words in text for words in ("without", "infinite now", "no value"))
        assert said == any(one.points[-1].note for one in series)


@pytest.mark.slow
def test_the_same_of_many_patterns() -> None:
    for name, test in list(globals().items()):
        if name.startswith("test_") and hasattr(test, "hypothesis"):
            settings(max_examples=150, deadline=None, phases=[Phase.generate])(
                given(patterns)(test.hypothesis.inner_test)
            )()
