from pathlib import Path

import numpy as np
import pytest
from support.records import manifest, trial

from benchmark.reports.speed import speeds, write_speeds
from benchmark.results import RunFolder


def folder(path: Path, **fields: object) -> RunFolder:
    made = RunFolder.create(path, manifest(timing=3))
    for image, encode, decode in (("a", [1.0, 2.0, 4.0], [0.1, 0.1, 0.1]), ("b", [0.5, 1.0, 8.0], [0.2, 0.2, 0.2])):
        repeats = {"encode_repeats": encode, "decode_repeats": decode}
        made.append(trial(image=image, height=1000, width=2000, bpp=1.2e-5, **(repeats | fields)))
    return made


def test_median_and_quartiles_over_all_calls_in_megapixels_a_second(tmp_path: Path) -> None:
    table = speeds(folder(tmp_path)).set_index("what")
    of_calls = 2 / np.array([1, 2, 4, 0.5, 1, 8])
    assert table.loc["encode", "mp_per_s"] == pytest.approx(np.median(of_calls))
    assert table.loc["encode", "quartile_low"] == pytest.approx(np.quantile(of_calls, 0.25))
    assert table.loc["decode", "quartile_high"] == pytest.approx(20)
    assert table.loc["encode", ["n_images", "n_calls"]].tolist() == [2, 6]


def test_the_file_and_its_lines(tmp_path: Path) -> None:
    path, lines = write_speeds(folder(tmp_path))
    assert path.read_text().startswith("codec,quality,what,mp_per_s,")
    assert lines == ["t:x=1 at quality 1: encode 1.5 (0.625 to 2), decode 15 (10 to 20) megapixels a second"]


def test_the_way_to_another_interpreter_is_told_and_not_counted(tmp_path: Path) -> None:
    _, lines = write_speeds(folder(tmp_path, transfer_seconds=0.0025))
    assert lines[0].endswith("megapixels a second; not counted: 2.5 ms on the way to its interpreter and back")
    assert speeds(folder(tmp_path / "other")).equals(speeds(RunFolder.open(tmp_path)))


def test_calls_that_the_clock_does_not_see_have_no_speed(tmp_path: Path) -> None:
    table = speeds(folder(tmp_path, encode_repeats=[0.0, 0.0]))
    assert table["what"].tolist() == ["decode"]
    assert table["n_calls"].tolist() == [6]


def test_a_run_without_timing_has_no_speeds(tmp_path: Path) -> None:
    assert speeds(folder(tmp_path, encode_repeats=None, decode_repeats=None)).empty
