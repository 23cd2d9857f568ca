"""Runs of images that were made elsewhere can what any run can, with the mark of their bits wherever they are named."""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from support.reconstructions import NAMES, SIZE, Foreign, make_foreign

from benchmark import api
from benchmark.analysis.baseline import baseline_of_run, parse_baseline, read_numbers, write_baseline
from benchmark.analysis.codec_notes import codec_notes
from benchmark.analysis.leaderboard import Entry, boards, facts_of
from benchmark.cli.main import main
from benchmark.errors import BenchmarkError, NotComparable, UsageError
from benchmark.metrics.fidelity import psnr_from_mse
from benchmark.reconstructions import WORDS
from benchmark.reports.exports.tables import export
from benchmark.reports.leaderboard import write_leaderboard
from benchmark.reports.page.study import Side, _side
from benchmark.results import RunFolder
from benchmark.running.run import Request, open_run

PATTERN = "images:out/{quality}/{name}.png"
FILES = f"{PATTERN},bits=out/{{quality}}/{{name}}.bin"
PIXELS = SIZE[0] * SIZE[1]


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Foreign:
    monkeypatch.chdir(tmp_path)
    made = make_foreign(tmp_path)
    made.write("out/{quality}/{name}.png", "out/{quality}/{name}.bin")
    return made


def run(*specs: str, output: str = "run", **options: Any) -> RunFolder:
    options = {"metrics": ["psnr"], "dataset": "originals", "only": True, "here": True, **options}
    with open_run(Request(codecs=specs, output=Path(output), **options)) as ready:
        for _ in ready.execute():
            pass
    return RunFolder.open(Path(output))


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main(tuple(map(str, arguments)))
    code = caught.value.code
    return code if isinstance(code, int) else int(code is not None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run, summed up, of jpeg and of the same images with bits of all three kinds."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = make_foreign(folder)
        made.write("out/{quality}/{name}.png", "out/{quality}/{name}.bin")
        rows = [f"{name},{quality},{size}" for (name, quality), size in made.bytes.items()]
        Path("bits.csv").write_text("\n".join(["image,quality,bytes", *rows]))
        codecs = {
            "real": "jpeg",
            "sizes": FILES,
            "table": f"{PATTERN},bits=bits.csv",
            "paper": f"{PATTERN},bpp=0.21 0.41",
        }
        api.evaluate(
            codecs,
            "originals",
            metrics=["psnr"],
            qualities={"real": [20, 60]},
            output="run",
            keep_reconstructions=True,
        )
        yield folder


MARKED = {"sizes": "sizes (bits of files)", "table": "table (stated bits)", "paper": "paper (nominal bits)"}


@pytest.fixture
def here(finished: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.chdir(finished)
    return RunFolder.open(finished / "run")


def test_values_are_those_of_the_images(here: RunFolder) -> None:
    """At quality q every sample is off by 8 - 4q + 4, so PSNR is known to the last digit."""
    trials = [trial for trial in here.trials() if trial.codec in MARKED.values()]
    assert len(trials) == 3 * 2 * len(NAMES)
    for trial in trials:
        assert trial.error is None
        off = 8 - 4 * (trial.quality - 1)
        assert trial.metrics["psnr"] == pytest.approx(psnr_from_mse(off**2), rel=1e-12)
        assert trial.reasons["encode_seconds"].startswith("not asked for")
    by_label = {
        label: sorted((t.image, t.quality, t.bytes) for t in trials if t.codec == label) for label in MARKED.values()
    }
    assert by_label[MARKED["sizes"]] == by_label[MARKED["table"]]
    assert [size for *_, size in by_label[MARKED["sizes"]]] == [10, 20, 11, 21, 12, 22]
    assert {size for *_, size in by_label[MARKED["paper"]]} == {0.21 * PIXELS / 8, 0.41 * PIXELS / 8}


@pytest.mark.parametrize("file", ["out/2/b.png", "out/2/b.bin"])
@pytest.mark.usefixtures("foreign")
def test_files_that_change_while_a_run_goes_on_are_not_measured(file: str) -> None:
    """The run says of what files its numbers are; put back, they are measured."""
    path = Path(file)
    before = path.read_bytes()
    request = Request(codecs=[FILES], output=Path("run"), metrics=["psnr"], dataset="originals", only=True, here=True)
    with open_run(request) as ready:
        for done, _ in enumerate(ready.execute()):
            if done == 0:
                shutil.copy(path.with_stem("c"), path)
    failed = {
        (trial.image, trial.quality): trial.error for trial in RunFolder.open(Path("run")).trials() if trial.error
    }
    assert failed == {("b", 2): "the reconstruction of b at quality 2: it or its bits have changed since the run began"}
    path.write_bytes(before)
    with open_run(request) as ready:
        assert [(trial.image, trial.quality, trial.error) for trial in ready.execute()] == [("b", 2, None)]


def test_the_manifest_says_how_bits_came_about(here: RunFolder) -> None:
    codecs = here.manifest.codecs
    assert {label: record.bits for label, record in codecs.items()} == {
        "real": "real",
        MARKED["sizes"]: "file",
        MARKED["table"]: "stated",
        MARKED["paper"]: "nominal",
    }
    assert codecs["real"].audited is None
    assert not any(codecs[label].audited for label in MARKED.values())
    notes = "\n".join(codec_notes(here.manifest))
    for label, bits in zip(MARKED.values(), ("file", "stated", "nominal"), strict=True):
        assert f"{label}: its images were made elsewhere, not coded here; its bits are {WORDS[bits]}" in notes
    assert "has not been audited" not in notes


def test_every_table_plot_page_and_export_has_the_mark(
    here: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = api.load(here.path)
    for form in ("markdown", "latex", "html", "csv"):
        assert all(label in results.table(format=form) for label in MARKED.values())
    assert "nominal bits: one figure for all images" in results.table()
    figure = results.plot("psnr")
    shown = " ".join(text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text")))
    assert all(label in shown for label in MARKED.values())
    assert "stated bits: stated for each image" in " ".join(shown.split())
    page = results.report(tmp_path / "page", maps=False).read_text()
    assert all(page.count(label) > 1 for label in MARKED.values())
    for form in ("compressai", "benchmark-xl", "codec-compare", "csv"):
        text = "".join(path.read_text() for path in export(here, form, tmp_path / form) if path.name != "batches.json")
        assert all(label in text for label in MARKED.values())
    document = json.loads((tmp_path / "compressai" / f"{here.manifest.codecs[MARKED['paper']].label}.json").read_text())
    assert document["meta"]["bits"] == WORDS["nominal"]
    assert document["results"]["bpp"] == pytest.approx([0.21, 0.41], rel=1e-12)
    assert command("explain", here.path) == 0
    assert f"Its bits are {WORDS['nominal']}." in capsys.readouterr().out


def test_a_name_for_a_paper_keeps_the_mark(here: RunFolder) -> None:
    results = api.load(here.path)
    assert "Ours (nominal bits)" in results.table(codecs="paper", labels={"paper": "Ours"}, format="latex")
    figure = results.plot("psnr", codecs=["paper", "real"], labels={"paper": "Ours", "real": "JPEG"})
    shown = [text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text"))]
    assert "Ours (nominal bits)" in shown
    assert "JPEG" in shown
    assert "Ours" not in shown


def test_the_mark_need_not_be_written(here: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    results = api.load(here.path)
    assert len(results.curve("psnr", "paper")) == 2
    assert list(results.bd("sizes", "psnr")["codec"]) == ["real", MARKED["table"], MARKED["paper"]]
    assert list(results.images("psnr", "table=2", "sizes=1")["share"]) == pytest.approx(
        [psnr_from_mse(16) - psnr_from_mse(64)] * 3
    )
    assert command("plot", here.path, "--metric", "psnr", "--relative-to", "paper", "--label", "sizes=S") == 0
    assert command("baseline", here.path, "--codec", "table", "-o", "table.json") == 0
    assert list(read_numbers(Path("table.json")).codecs) == [MARKED["table"]]
    with pytest.raises(UsageError, match="no codec 'nobody'"):
        results.curve("psnr", "nobody")


def test_baseline_and_gate(here: RunFolder, tmp_path: Path) -> None:
    numbers = baseline_of_run(here)
    write_baseline(numbers, tmp_path / "b.json")
    again = read_numbers(tmp_path / "b.json")
    assert again == numbers
    point = again.point(MARKED["paper"], 1)
    assert point is not None
    assert point.bytes == [0.21 * PIXELS / 8] * 3
    assert api.compare(tmp_path / "b.json", here.path).exit_code() == 0
    text = (tmp_path / "b.json").read_text()
    broken = text.replace('"bits":"nominal"', '"bits":"file"')
    assert broken != text
    with pytest.raises(BenchmarkError, match="a fraction, but its bits are not stated"):
        parse_baseline(broken, "b.json")


def test_a_comparison_by_people_has_whole_bytes(here: RunFolder) -> None:
    """A vote's record takes no fraction, which stated bits may have."""
    numbers = baseline_of_run(here)
    point = numbers.point(MARKED["paper"], 1)
    assert point is not None
    assert Side.model_validate(_side(numbers, point, 0)).bytes == math.ceil(0.21 * PIXELS / 8)


def test_other_bits_are_another_codec(foreign: Foreign) -> None:
    for output, spec in (("base", FILES), ("new", f"{PATTERN},bpp=0.2 0.4")):
        run(spec, output=output, labels=["theirs"])
    with pytest.raises(NotComparable, match=r"theirs \(bits of files\) is missing in the new run; it has theirs \(nom"):
        api.compare("base", "new")
    assert foreign.bytes  # that the images are the same


def test_leaderboard(here: RunFolder, tmp_path: Path) -> None:
    [board] = boards([Entry("entry", baseline_of_run(here))], rates=(0.25,))
    assert {row.codec for row in board.tables[0.25]} == set(MARKED.values())
    record, entry = board.codecs[MARKED["table"]]
    assert facts_of(record, entry)["bits are"] == WORDS["stated"]
    page = write_leaderboard([board], tmp_path).read_text()
    assert all(label in page for label in MARKED.values())


def test_an_entry_without_streams_cannot_be_verified(here: RunFolder) -> None:
    assert command("baseline", here.path, "--codec", "sizes", "-o", "sizes.json") == 0
    assert command("leaderboard", "verify", "sizes.json", "--streams", here.path, "--dataset", "originals") == 2


def test_streams_and_images_are_kept(here: RunFolder) -> None:
    for trial in here.trials():
        if trial.codec == MARKED["sizes"]:
            assert here.bitstream_path(trial.key).stat().st_size == trial.bytes
        elif trial.codec in MARKED.values():
            assert not here.bitstream_path(trial.key).exists()
            assert here.reconstruction_path(trial.key).exists()


def test_a_changed_file_is_another_run(foreign: Foreign) -> None:
    run(FILES, labels=["theirs"])
    assert len(run(FILES, labels=["theirs"]).manifest.resumptions) == 1  # it goes on
    Path("out/2/b.bin").write_bytes(b"longer than it was before, by far")
    with pytest.raises(UsageError, match=r"holds another run; theirs \(bits of files\) streams_sha256 2: "):
        run(FILES, labels=["theirs"])
    foreign.write("out/{quality}/{name}.png", "out/{quality}/{name}.bin")
    shutil.copy("out/2/a.png", "out/2/b.png")
    with pytest.raises(UsageError, match=r"images_sha256 2: "):
        run(FILES, labels=["theirs"])


def test_what_is_missing_or_does_not_fit_is_recorded_and_ends_nothing(
    foreign: Foreign, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out/2/b.png").unlink()
    assert foreign.images
    Pillow.fromarray(np.zeros((5, 7, 3), np.uint8)).save("out/1/a.png")
    arguments = ("run", "--only", "--codec", FILES, "--label", "theirs", "--dataset", "originals", "--metric", "psnr")
    assert command(*arguments, "--workers", 1, "-o", "run") == 3
    trials = {(trial.image, trial.quality): trial for trial in RunFolder.open(Path("run")).trials()}
    failed = {key: trial.error for key, trial in trials.items() if trial.error is not None}
    assert failed == {
        ("b", 2): "out/{quality}/{name}.png: no reconstruction of b at quality 2",
        ("a", 1): "the reconstruction is uint8 (5, 7, 3), but the original is uint8 (16, 24, 3)",
    }
    assert "Traceback" not in capsys.readouterr().err
    Path("out/1/c.png").unlink()
    Path("out/2/c.png").unlink()
    with open_run(Request(codecs=[FILES], only=True, dataset="originals", metrics=["psnr"], output=Path("x"))) as ready:
        assert f"{FILES} (bits of files): 1 of 3 images are missing: c" in ready.notes
        assert (
            f"{FILES} (bits of files): bits of c at 1, b at 2, c at 2 are not used: there is no such image"
            in ready.notes
        )
    Path("originals/b.png").unlink()
    Path("out/q3").mkdir()
    with open_run(Request(codecs=[FILES], only=True, dataset="originals", metrics=["psnr"], output=Path("x"))) as ready:
        assert f"{FILES} (bits of files): not taken, since originals has no such image: b" in ready.notes
        assert f"{FILES} (bits of files): out/q3 not taken: no number is in the place of {{quality}}" in ready.notes


def test_names_that_fit_nothing_are_refused_before_anything_is_written(foreign: Foreign) -> None:
    foreign.write("only/{quality}/other-{name}.png")
    with pytest.raises(UsageError, match="there is 'other-a', and 'a' is wanted"):
        run("images:only/{quality}/{name}.png,bpp=1 2")
    assert not Path("run").exists()


def test_a_quality_that_there_is_not(foreign: Foreign) -> None:
    assert foreign.images
    with pytest.raises(UsageError, match="nothing of quality 5; there are 1, 2"):
        run(FILES, qualities=["5"])
    assert len(run(FILES, qualities=["2"], output="two").trials()) == len(NAMES)


def test_another_codec_can_be_held_against_their_bits(foreign: Foreign) -> None:
    """`--match` asks how many bits they took; a search for bits of their own has nothing to search with."""
    assert foreign.images
    folder = run(f"{PATTERN},bpp=16 24", "jpeg", labels=[f"{PATTERN},bpp=16 24=theirs"], match=f"{PATTERN},bpp=16 24")
    rates = [trial.bpp for trial in folder.trials() if trial.codec == "jpeg"]
    assert len(folder.manifest.codecs["jpeg"].qualities) == 2
    assert all(rate is not None and 14 < rate < 26 for rate in rates)
    for spec in (f"bpp:{FILES}", f"match:{FILES}~jpeg"):
        with pytest.raises(UsageError, match="nothing that encodes"):
            run(spec, output="searched", qualities=["20"] if spec.startswith("match") else [])


def test_workers_and_metrics_of_sets(foreign: Foreign) -> None:
    """As for any codec, in other processes too."""
    assert foreign.images
    folder = run(FILES, workers=2, here=False)
    assert {trial.reasons["decode_seconds"] for trial in folder.trials()} == {"not measured alone: 2 workers"}
    assert len(folder.trials()) == 2 * len(NAMES)
    timed = run(FILES, output="timed", timing=3)
    assert {trial.reasons["decode_seconds"] for trial in timed.trials()} == {"made elsewhere, not coded here"}


# From Python


def arrays(foreign: Foreign, quality: int) -> list[np.ndarray]:
    return [foreign.images[name, quality] for name in NAMES]


def test_arrays_with_bits_per_pixel(foreign: Foreign) -> None:
    results = api.evaluate(
        {"theirs": {0.12: arrays(foreign, 1), 0.5: dict(zip(NAMES, arrays(foreign, 2), strict=True))}, "jpeg": "jpeg"},
        "originals",
        metrics=["psnr"],
        qualities={"jpeg": [20]},
    )
    curve = results.curve("psnr", "theirs")
    assert list(curve["bpp"]) == pytest.approx([0.12, 0.5], rel=1e-12)
    assert list(curve["value"]) == pytest.approx([psnr_from_mse(64), psnr_from_mse(16)], rel=1e-9)
    assert "theirs (nominal bits)" in results.table()
    assert not results.failures


def test_arrays_of_a_part_of_the_images(foreign: Foreign) -> None:
    """As many as the data set has, or as its limited part has; by name, some may be missing, which is recorded."""
    whole, part = arrays(foreign, 1), [foreign.images[name, 1] for name in ("a", "b")]
    for images in (whole, np.stack(whole), part, [Path("out/1/a.png"), Path("out/1/b.png")]):
        results = api.evaluate({"theirs": {1: images}}, "originals", metrics=["psnr"], limit=2)
        trials = results.trials
        assert set(trials["image"]) == {"a", "b"}
        assert list(trials["psnr"]) == pytest.approx([psnr_from_mse(64)] * 2)
    with pytest.warns(RuntimeWarning, match="no reconstruction of b at quality 1"):
        api.evaluate({"theirs": {1: {"a": whole[0], "c": whole[2]}}}, "originals", metrics=["psnr"])
    by_names = api.evaluate(
        {"theirs": {1: whole}}, dict(zip("xyz", map(np.array, whole), strict=True)), metrics=["psnr"]
    )
    assert set(by_names.trials["image"]) == {"x", "y", "z"}


@pytest.mark.parametrize(
    ("images", "why"),
    [
        ({1: 2}, "2 images for the 3 of originals; a mapping of names"),
        ({"low": 3}, "'low': bits per pixel are needed as keys"),
        ({0: 3}, "bits per pixel are a number above 0"),
        ({}, "there is nothing in it"),
    ],
)
def test_arrays_that_cannot_be_meant(images: dict[Any, int], why: str, foreign: Foreign) -> None:
    given = {bpp: arrays(foreign, 1)[:count] for bpp, count in images.items()}
    with pytest.raises(UsageError, match=why):
        api.evaluate({"theirs": given}, "originals", metrics=["psnr"])


def test_the_same_arrays_go_on_and_others_do_not(foreign: Foreign) -> None:
    def again(quality: int) -> api.Results:
        return api.evaluate({"theirs": {1: arrays(foreign, quality)}}, "originals", metrics=["psnr"], output="run")

    again(1)
    assert any("3 trials are there" in note for note in again(1).notes)
    with pytest.raises(UsageError, match="images_sha256 1"):
        again(2)
