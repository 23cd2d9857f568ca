"""Mutated files of every kind that the suite reads: a known exit code, one line, never a traceback, nothing lost."""

import os
import shutil
from pathlib import Path

import pytest
from attacks.files import FEATURES, HERE, KINDS, Attacker, Command, go_on, run_command

pytestmark = pytest.mark.long

REGRESSIONS = Path(__file__).parent / "regressions"
"""KIND--WORDS: files that once ended in a traceback, or passed though something was lost."""
SOME, FEW = 12, {"features": 4, "sealed-features": 4, "reconstruction": 3, "leave-one-out": 8}
"""Mutants of each kind, and of kinds whose readers compute much; `-m slow` has them all."""


@pytest.mark.parametrize("kind", KINDS)
def test_the_sound_file_is_read_and_mutants_are_refused_or_whole(kind: str, tmp_path: Path) -> None:
    attacker = Attacker(kind, tmp_path)
    for command in attacker.kind.commands:
        ended = run_command(command, attacker.folder)
        assert ended.raised == "", ended
        # one point a codec gives no rate difference, and `bd` says so
        assert ended.code == 0 or ("two are needed" in ended.out and ended.code == 3), ended
    faults = [attacker.attack(number) for number in range(FEW.get(kind, SOME))]
    assert [fault for fault in faults if fault] == []


def test_a_mutant_is_the_same_each_time(tmp_path: Path) -> None:
    one, other = (Attacker("baseline", tmp_path / name) for name in "ab")
    assert [one.mutant(number)[:2] for number in range(50)] == [other.mutant(number)[:2] for number in range(50)]
    assert len({one.mutant(number)[1] for number in range(50)}) > 40


def test_attacks_go_on_where_they_stopped(tmp_path: Path) -> None:
    assert go_on(tmp_path, "compressai", 3, print) == 0
    assert go_on(tmp_path, "compressai", 5, print) == 0
    assert (tmp_path / "compressai.next").read_text() == "5"


@pytest.mark.parametrize("name", sorted(path.name for path in REGRESSIONS.iterdir()))
def test_what_once_went_wrong(name: str, tmp_path: Path) -> None:
    attacker = Attacker(name.partition("--")[0], tmp_path)
    data = (REGRESSIONS / name).read_bytes()
    reader = attacker.kind.reader
    commands = attacker.kind.commands if reader is None else (*attacker.kind.commands, reader)
    faults = {str(command): attacker.fault(data, command) for command in commands}
    assert {command: fault for command, fault in faults.items() if fault} == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_thousand_mutants(kind: str, tmp_path: Path) -> None:
    """ATTACKS names a folder that keeps how far each kind is, so that the test goes on where it stopped."""
    faults: list[str] = []
    go_on(Path(os.environ.get("ATTACKS", tmp_path)), kind, 100_000, faults.append)
    assert faults == []


# Damage that no exception shows


def refused(command: Command, folder: Path, *words: str, code: int = 3) -> None:
    """One line with these words, and the exit code."""
    ended = run_command(command, folder)
    assert ended.raised == ""
    line = ended.err.strip()
    assert ended.code == code, ended
    assert line.startswith("error: ")
    assert "\n" not in line
    assert [word for word in words if word not in line] == []


@pytest.fixture
def run(tmp_path: Path) -> Path:
    shutil.copytree(HERE / "0.2.0" / "run", tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    shutil.copytree(HERE / "0.2.0" / "kept", tmp_path / "kept")
    return tmp_path / "kept"


COMPARE = ("compare", str(HERE / "0.2.0" / "run"), "{}/run")


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"psnr":', '"psnr":NaN,"x":', "psnr"),
        ('"psnr":', '"psnr":"30.5","x":', "psnr"),
        ('"psnr":', '"psnr":true,"x":', "psnr"),
        ('"psnr":', '"psnr":1,"psnr":', "twice"),
        ('"metrics":{', '"metrics":{},"reasons":{},"metrics":{', "twice"),
        ('"image":"a"', '"image":"z"', "'z', which run.json does not name"),
        ('"quality":30.0', '"quality":31.0', "31"),
        ('"height":64', '"height":65', "bpp is"),
        ('"bytes":', '"bytes":-', "bytes"),
        ('"decoder_seed":0', '"decoder_seed":7', "decoder seed 7"),
        ('"error":null', '"error":3', "error"),
    ],
)  # fmt: skip
def test_a_trial_that_is_not_what_the_run_has(run: Path, old: str, new: str, words: str) -> None:
    (run / "leave-one-out.json").unlink()  # which alone would tell that something has changed
    _edit(run / "trials.jsonl", old, new)
    for command in (COMPARE, ("table", "{}/run", "--bold-ties"), ("export", "{}/run", "--format", "csv")):
        refused(command, run.parent, "trials.jsonl, line ", words)


def test_values_that_are_gone_without_a_reason(run: Path) -> None:
    (run / "leave-one-out.json").unlink()
    lines = (run / "trials.jsonl").read_text().splitlines(keepends=True)
    start, end = lines[0].index('"lpips":'), lines[0].index("}", lines[0].index('"lpips":'))
    lines[0] = lines[0][:start].rstrip(",") + lines[0][end:]
    (run / "trials.jsonl").write_text("".join(lines))
    refused(COMPARE, run.parent, "line 1", "neither a value of lpips nor a reason")


def test_trials_that_are_gone(run: Path) -> None:
    (run / "leave-one-out.json").unlink()
    lines = (run / "trials.jsonl").read_text().splitlines(keepends=True)
    (run / "trials.jsonl").write_text(
        "".join([lines[1], *lines[1:]])
    )  # one twice, so that the number of lines is right
    refused(COMPARE, run.parent, "not complete", "17 of 18")
    import benchmark

    with pytest.raises(benchmark.BenchmarkError, match="17 of 18 trials"):
        benchmark.load(run)


def test_a_value_that_has_changed_since_the_run_was_summed_up(run: Path) -> None:
    """Nothing in the line is wrong, but the run's end kept the hash of all lines."""
    _edit(run / "trials.jsonl", '"psnr":2', '"psnr":3')
    for command in (COMPARE, ("table", "{}/run"), ("export", "{}/run", "--format", "compressai")):
        refused(command, run.parent, "trials.jsonl: has changed since the run was summed up", "measure")
    assert run_command(("measure", "{}/run", "--metric", "bpp"), run.parent).code == 0
    assert run_command(("table", "{}/run"), run.parent).code == 0


def test_a_summary_that_is_not_the_run_s(run: Path) -> None:
    assert run_command(("measure", "{}/run", "--metric", "bpp"), run.parent).code == 0  # now with the summary's hash
    _edit(run / "summary.csv", ",psnr,psnr/rgb/uint8/mean-of-db,2", ",psnr,psnr/rgb/uint8/mean-of-db,3")
    refused(("table", "{}/run"), run.parent, "summary.csv: has changed since the run wrote it")


def test_features_of_another_codec(kept: Path) -> None:
    (kept / "leave-one-out.json").unlink()
    from benchmark.results import RunFolder

    folder = RunFolder.open(kept)
    place = kept.parent / FEATURES
    for path in sorted((kept / "features").rglob("*.npy")):
        folder.write_features(path, folder.read_features(path))
    shutil.copy(place.with_name("a.npy"), place)
    refused(("baseline", "{}/kept", "-o", "{}/b.json"), kept.parent, "seed-3/b.npy", "its hash does not fit")


def test_features_of_another_shape(kept: Path) -> None:
    """In place of the whole file, without the hash that could tell."""
    import numpy as np

    (kept / "leave-one-out.json").unlink()
    place = kept.parent / FEATURES
    array = np.load(place)
    for wrong in (array[:, :-1], array[:0], np.repeat(array, 2, axis=0), array.T):
        np.save(place, wrong)
        refused(
            ("baseline", "{}/kept", "-o", "{}/b.json"), kept.parent, "seed-3/b.npy", "where those of the original are"
        )


def test_half_a_set_in_leave_one_out(kept: Path) -> None:
    """It can be made again from the features, so it is: the numbers stay."""
    from benchmark.analysis.baseline import read_numbers

    before = read_numbers(kept)
    stored = kept / "leave-one-out.json"
    text = stored.read_text()
    _edit(stored, '"images":["a","b","c"]', '"images":["a","b"]')
    assert read_numbers(kept) == before
    stored.write_text(text.replace('"images":["a","b","c"]', '"images":["a","b","z"]'))
    assert read_numbers(kept) == before


def test_cells_of_a_summary(tmp_path: Path) -> None:
    """What pandas reads as something else: a text is true, a cell more moves all others, a cell less is no value."""
    text = (HERE / "0.2.0" / "run" / "summary.csv").read_text()
    lines = text.splitlines(keepends=True)
    file = tmp_path / "summary.csv"
    for what, changed, words in (
        ("direction", text.replace(",False,", ",no,", 1), "'no' is neither True nor False"),
        ("cell more", "".join([lines[0], *(f"x,{line}" for line in lines[1:])]), "20 cells for 19 columns"),
        ("cell less", text.rstrip("\n").rpartition(",")[0], "18 cells for 19 columns"),
        ("comma", text.replace(".", ",", 4), "cells for 19 columns"),
        ("text", text.replace("0.2146", "0_2146", 1), "value: "),
        ("twice", text + lines[1], "the value is there twice"),
        ("newer", text.replace(",2\n", ",3\n"), "made by a newer version of the suite"),
        ("column", text.replace("stderr_seed", "stderr_sead"), "its columns must be"),
    ):
        assert changed != text, what
        file.write_text(changed)
        refused(("table", "{}/summary.csv"), tmp_path, "summary.csv", words)


def test_a_baseline_that_says_two_things(tmp_path: Path) -> None:
    text = (HERE / "0.2.0" / "baseline.json").read_text()
    file = tmp_path / "baseline.json"
    points = text.index('"points": [\n') + len('"points": [\n')
    first = text[points : text.index("\n", points)]
    for changed, words in (
        (text.replace(first + "\n", ""), "points has none of hfd at quality 2"),
        (text.replace(first, first + "\n" + first), "points"),
        (text.replace('"images": ["a","b","c"]', '"images": ["a","b","b"]'), "'b' is there twice"),
        (text.replace('"infinite":{}', '"infinite":{"psnr":[-1]}', 1), "there is no image -1"),
        (text.replace('"infinite":{}', '"infinite":{"psnr":[0]}', 1), "image 0 has a value"),
        (text.replace('"metrics":{"psnr":', '"metrics":{"psnr2":', 1), "metrics: psnr"),
        (text.replace('"schema_version": 1', '"schema_version": 3'), "made by a newer version of the suite"),
        (text.replace('"schema_version": 1', '"schema_version": "1"'), "schema_version"),
    ):
        assert changed != text, words
        file.write_text(changed)
        refused(
            ("compare", str(HERE / "0.2.0" / "baseline.json"), "{}/baseline.json"), tmp_path, "baseline.json", words
        )


def test_other_pictures_under_one_fingerprint_are_not_compared(tmp_path: Path) -> None:
    text = (HERE / "0.2.0" / "baseline.json").read_text()
    for old, new, words in (
        ('"images": ["a","b","c"]', '"images": ["b","a","c"]', "not the same images in one order"),
        ('"pixels": [4608', '"pixels": [4609', "a: 4608 pixels in the base, 4609 in the new run"),
    ):
        assert old in text
        (tmp_path / "baseline.json").write_text(text.replace(old, new))
        refused(("compare", str(HERE / "0.2.0" / "baseline.json"), "{}/baseline.json"), tmp_path, words, code=4)


def test_a_label_that_leaves_the_run_folder(run: Path) -> None:
    _edit(run / "run.json", '"label": "jpeg"', '"label": "../../elsewhere"')
    refused(("explain", "{}/run"), run.parent, "run.json", "'../../elsewhere' is no name of a file or folder inside")


def test_text_in_another_encoding(run: Path) -> None:
    text = (run / "run.json").read_text()
    for data, words in (
        (text.encode("utf-16"), "the text is UTF-16"),
        (b"\xef\xbb\xbf" + text.encode(), "byte order mark"),
        (text.encode() + b"\xff", "no UTF-8 at byte"),
        (text.replace("{", '{"a": ' + "[" * 100_000, 1).encode(), "nested too deep"),
    ):
        (run / "run.json").write_bytes(data)
        refused(("explain", "{}/run"), run.parent, "run.json", words)
