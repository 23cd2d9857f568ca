"""The page of metrics and its tables: made by one command, held here against the metrics themselves."""

import hashlib
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.web_pages import call

from benchmark.datasets.shipped import FOLDER
from benchmark.metrics import DEFAULT_METRICS, METRICS, shipped_info
from benchmark.metrics.references import REFERENCES, SET_REFERENCES
from benchmark.studies import calibration
from benchmark.studies import degradations as made
from benchmark.studies.calibration import Seconds, SetValue, Value, measure, measure_sets, rows_of, text_of
from benchmark.studies.degradations import DEGRADATIONS, PHOTOS, photo

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "reference"
pytestmark = [pytest.mark.checkout, pytest.mark.long]

VALUES = rows_of((DOCS / calibration.VALUES).read_text(encoding="utf-8"), Value) if DOCS.is_dir() else []
SETS = rows_of((DOCS / calibration.SETS).read_text(encoding="utf-8"), SetValue) if DOCS.is_dir() else []
SECONDS = rows_of((DOCS / calibration.SECONDS).read_text(encoding="utf-8"), Seconds) if DOCS.is_dir() else []
QUICK = [row.metric for row in SECONDS if row.original + row.reconstruction < 0.07]
"""All of their values are checked by default; of the others one, and all in the slow tests."""
LARGE = ("lpips-vgg", "dists")
"""Their references run a VGG16 once more. By default they do so on the small images of their own tests alone."""


def rows(name: str) -> list[Value]:
    return [row for row in VALUES if row.metric == name]


def check(name: str, photos: tuple[str, ...], degradations: tuple[str, ...], beside: bool = True) -> None:
    """beside: whether the reference is measured, too; else our values alone are held against the table."""
    info = shipped_info(name)
    assert info is not None
    if info.needs:
        pytest.importorskip(info.needs)
    if name == "dists":
        pytest.importorskip("DISTS_pytorch")
    if REFERENCES[name].what.startswith("psnr_hvsm"):
        pytest.importorskip("psnr_hvsm", reason="psnr_hvsm, under the GPL, is no dependency")
    known = {(row.image, row.degradation): row for row in rows(name)}
    with pytest.MonkeyPatch.context() as patch:
        if not beside:
            patch.setattr(calibration, "REFERENCES", {name: replace(REFERENCES[name], value=lambda *_: math.nan)})
        found = list(measure(name, photos, degradations))
    assert len(found) == len(photos) * len(degradations)
    for row in found:
        there = known[row.image, row.degradation]
        assert row.pixels == there.pixels
        assert row.value == pytest.approx(there.value, rel=2e-5, abs=2e-6)
        if beside:
            assert row.reference_value == pytest.approx(there.reference_value, rel=2e-5, abs=2e-6)


@pytest.mark.parametrize("name", QUICK)
def test_quick_metrics_have_the_values_of_the_table(name: str) -> None:
    check(name, PHOTOS, tuple(DEGRADATIONS))


@pytest.mark.parametrize("name", [row.metric for row in SECONDS if row.metric not in (*QUICK, "cvvdp")])
def test_others_have_one_of_them(name: str) -> None:
    check(name, PHOTOS[:1], ("blocks",), beside=name not in LARGE)


@pytest.mark.slow
@pytest.mark.parametrize("name", [row.metric for row in SECONDS if row.metric not in QUICK])
def test_others_have_all_of_them(name: str) -> None:
    check(name, PHOTOS, tuple(DEGRADATIONS))


def check_sets(name: str, degradations: tuple[str, ...]) -> None:
    if name == "fid-clean":
        pytest.importorskip("cleanfid")
    known = {row.degradation: row for row in SETS if row.metric == name}
    found = list(measure_sets(name, degradations=degradations))
    assert [row.degradation for row in found] == list(degradations)
    for row in found:
        assert row.value == pytest.approx(known[row.degradation].value, rel=1e-4, abs=1e-5)
        assert row.value == pytest.approx(row.reference_value, rel=1e-4, abs=1e-4)


def test_a_metric_of_sets_has_a_value_of_the_table() -> None:
    check_sets("gram-mmd", ("blur",))


def test_one_of_a_network_has_its_reference_s_value_of_a_single_photograph() -> None:
    (row,) = measure_sets("fd-effnet", PHOTOS[:1], ("blur",))
    assert row.patches == 25
    assert row.value > 10
    assert row.value == pytest.approx(row.reference_value, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SET_REFERENCES))
def test_metrics_of_sets_have_all_values_of_the_table(name: str) -> None:
    check_sets(name, tuple(DEGRADATIONS))


def test_the_table_of_sets_is_complete_and_every_difference_small() -> None:
    names = [name for name in METRICS if name in SET_REFERENCES]
    assert list(dict.fromkeys(row.metric for row in SETS)) == names
    for name in names:
        rows = [row for row in SETS if row.metric == name]
        assert [row.degradation for row in rows] == list(DEGRADATIONS)
        assert all(math.isclose(row.value, row.reference_value, rel_tol=1e-4, abs_tol=1e-4) for row in rows), name


@pytest.mark.parametrize("name", ["psnr-hvs", "psnr-hvs-m"])
def test_our_values_are_the_table_s_without_the_reference_s_package(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.metrics import references

    plain = references.Reference("", lambda original, reconstruction: 0.0)
    monkeypatch.setattr(calibration, "REFERENCES", {name: plain})
    found = {(row.image, row.degradation): row.value for row in measure(name)}
    assert found == {(row.image, row.degradation): pytest.approx(row.value, rel=1e-8) for row in rows(name)}


def test_the_table_is_complete_and_every_difference_small() -> None:
    names = [name for name in METRICS if name in REFERENCES]
    assert list(dict.fromkeys(row.metric for row in VALUES)) == names
    assert [row.metric for row in SECONDS] == names
    for name in names:
        assert {(row.image, row.degradation) for row in rows(name)} == {(p, d) for p in PHOTOS for d in DEGRADATIONS}
        for row in rows(name):
            assert math.isclose(row.value, row.reference_value, rel_tol=2e-5, abs_tol=2e-6), row
        info = shipped_info(name)
        assert info is not None
        assert all(row.protocol.startswith(f"{name}/") for row in rows(name))
    pixels = {(row.image, row.degradation): row.pixels for row in VALUES}
    assert all(row.pixels == pixels[row.image, row.degradation] for row in VALUES)
    assert len(set(pixels.values())) == len(pixels) == 12


def test_metrics_of_an_image_without_a_reference_are_those_that_have_none() -> None:
    shipped = [info for name in METRICS if (info := shipped_info(name)) is not None and info.kind == "image"]
    without = [info.name for info in shipped if info.name not in REFERENCES]
    assert without == ["text", "re-encode"]
    page = (DOCS / calibration.PAGE).read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in without)


def test_the_page_is_that_of_the_metrics_and_tables_of_today() -> None:
    """Stale? `python -m benchmark studies metrics --page` makes it again."""
    page = (DOCS / calibration.PAGE).read_text(encoding="utf-8")
    assert page == calibration.page(DOCS)
    assert not re.search(r"[{}]", page.replace("{original} {reconstruction}", ""))


def test_every_metric_states_its_facts_on_the_page() -> None:
    page = (DOCS / calibration.PAGE).read_text(encoding="utf-8")
    for name in METRICS:
        info = shipped_info(name)
        if info is not None:
            assert info.identical, name
            assert info.source, name
            assert f"| `{name}` | {info.title}: {info.words} |" in page


def test_nothing_slow_is_in_the_default_set() -> None:
    spent = {row.metric: row.original + row.reconstruction for row in SECONDS}
    assert all(spent.get(name, 0) < 0.5 for name in DEFAULT_METRICS)


def test_a_fact_that_moves_makes_the_page_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    before = calibration.page(DOCS)
    own = calibration.shipped_info

    def moved(name: str) -> object:
        info = own(name)
        return info if info is None or name != "psnr" else type(info)(**{**vars(info), "smallest_side": 2})

    monkeypatch.setattr(calibration, "shipped_info", moved)
    assert calibration.page(DOCS) != before


def test_degradations_are_what_they_say() -> None:
    image = photo(PHOTOS[0])
    assert image.shape == (256, 256, 3)
    flat = np.full((16, 24, 3), 77, np.uint8)
    assert np.array_equal(made.blur(flat), flat)
    assert abs(int(made.blocks(flat)[0, 0, 0]) - 77) <= 5  # half a step of 40 in a coefficient of 8 · grey
    noise = made.noise(np.full((256, 256, 3), 128, np.uint8)).astype(float) - 128
    assert noise.std() == pytest.approx(12, rel=0.02)
    digest = hashlib.sha256(made.noise(image).tobytes()).hexdigest()
    assert digest == next(row.pixels for row in VALUES if (row.image, row.degradation) == (PHOTOS[0], "noise"))
    assert all((FOLDER / f"{name}.png").is_file() for name in PHOTOS)


def test_tables_are_read_back_as_written() -> None:
    assert rows_of(text_of(VALUES), Value) == VALUES
    assert rows_of(text_of(SETS), SetValue) == SETS
    assert rows_of(text_of(SECONDS), Seconds) == SECONDS


def test_the_command_measures_what_is_named_and_keeps_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "reference"
    shutil.copytree(DOCS, folder)
    text = (folder / calibration.VALUES).read_text(encoding="utf-8")
    (folder / calibration.VALUES).write_text(text.replace("psnr-y,", "gone,", 1), encoding="utf-8")
    (folder / calibration.PAGE).unlink()
    assert call("studies", "metrics", "psnr-y", "-o", str(folder)) == 0
    assert capsys.readouterr().out.endswith(f"{folder / calibration.PAGE}\n")
    assert (folder / calibration.VALUES).read_text(encoding="utf-8") == text
    assert (folder / calibration.PAGE).is_file()
    assert call("studies", "metrics", "--page", "-o", str(folder)) == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("cmmd",), 2, "no reference is known"),
        (("nonsense",), 2, "no reference is known"),
        (("psnr", "--page"), 2, "takes no names"),
        (("--page",), 3, "metrics.csv is not there"),
    ],
)
def test_mistakes_are_one_line(
    words: tuple[str, ...], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("studies", "metrics", *words, "-o", str(tmp_path / "new")) == code
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
