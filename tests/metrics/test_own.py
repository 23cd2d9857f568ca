"""Metrics of a user's own: how they are opened, what they say of themselves, and what is refused."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import own_metrics

from benchmark.errors import BenchmarkError, Undefined, UsageError
from benchmark.metrics import (
    MADE_OF_SETTINGS,
    METRICS,
    ImageMetric,
    Loads,
    NoReferenceMetric,
    SetMetric,
    metric_info,
    no_reference,
    open_metric,
)
from benchmark.metrics.distribution import frechet_distance
from benchmark.metrics.own import Failed, number
from benchmark.metrics.records import info_of, record_of
from benchmark.pixels import Image
from benchmark.running.measurement import open_instruments

FILE = str(Path(own_metrics.__file__))
ROOT = Path(__file__).parents[2]
IMAGES = [np.random.default_rng(seed).integers(1, 256, (16, 24, 3), dtype=np.uint8) for seed in range(3)]


def own(name: str) -> Any:
    return open_metric(f"{FILE}:{name}")


def test_each_kind_is_known_by_its_function() -> None:
    kinds = {name: own(name).info.kind for name in ("Shift", "Similarity", "Rows", "Colours", "Contrast")}
    assert list(kinds.values()) == ["image", "image", "set", "set", "no-reference"]
    assert isinstance(own("Shift"), ImageMetric)
    assert isinstance(own("Rows"), SetMetric)
    assert isinstance(own("Contrast"), NoReferenceMetric)


def test_facts_are_attributes_and_plain_where_there_are_none() -> None:
    shift = own("Shift").info
    assert (shift.name, shift.title, shift.unit, shift.signed, shift.margin) == (
        "shift", "Brightness shift", "levels", True, 0.25,
    )  # fmt: skip
    rows = own("Rows").info
    assert (rows.name, rows.title, rows.unit, rows.signed, rows.margin, rows.patches) == (
        "Rows", "Rows", "", False, None, "whole",
    )  # fmt: skip
    assert own("Similarity").info.shown_unit == "dB"
    assert open_metric(f"{FILE}:Rows@patch128-hific").info.name == "Rows@patch128-hific"
    assert metric_info(f"{FILE}:Shift") == shift


def test_the_record_of_a_run_has_all_facts() -> None:
    for name in ("Shift", "Similarity", "Rows", "Colours", "Contrast"):
        metric = own(name)
        assert info_of(metric.info.name, record_of(metric, f"{FILE}:{name}")) == metric.info
    for name in METRICS:
        if name in MADE_OF_SETTINGS or name in [info.name for info in no_reference.METRICS]:
            continue  # the one needs settings, the others a package of the user's own: each has a test of its own
        try:
            metric = open_metric(name)
        except BenchmarkError as error:  # of an extra that is not installed
            if "pip install" not in str(error):
                raise
            continue
        assert info_of(name, record_of(metric, name)) == metric.info


def test_values_are_those_of_the_class() -> None:
    one, other = IMAGES[:2]
    shift = own("Shift")
    assert shift.compare(shift.prepare(one), other) == other.astype(float).mean() - one.astype(float).mean()
    similarity = own("Similarity")
    assert similarity.compare(similarity.prepare(one), one) == 1
    assert own("Contrast").score(one) == one.astype(float).std()
    rows = own("Rows")
    before, after = [rows.features(image) for image in IMAGES], [rows.features(image[::-1]) for image in IMAGES]
    assert before[0].shape == (4, 3)
    assert rows.distance(before, after) == frechet_distance(before, after)


def test_the_jackknife_comes_free() -> None:
    colours = open_metric(f"{FILE}:Colours:factor=2")
    assert isinstance(colours, SetMetric)
    before, after = [colours.features(image) for image in IMAGES], [colours.features(image // 2) for image in IMAGES]
    without = colours.leave_one_out(before, after)
    assert list(without) == [
        colours.distance(before[:i] + before[i + 1 :], after[:i] + after[i + 1 :]) for i in range(3)
    ]
    assert colours.distance(before, after) == pytest.approx(2 * own("Colours").distance(before, after))


def test_patches_are_cut_for_the_class_unless_it_takes_them() -> None:
    image = np.random.default_rng(0).integers(0, 256, (128, 256, 3), dtype=np.uint8)
    assert open_metric(f"{FILE}:Colours@patch128-hific").features(image).shape == (2, 3)  # type: ignore[union-attr]
    small = open_metric(f"{FILE}:Colours@patch128-hific")
    assert isinstance(small, SetMetric)
    assert len(small.features(IMAGES[0])) == 0

    class Cuts(own_metrics.Rows):  # type: ignore[misc]
        def __init__(self, patches: str | None = None) -> None:
            self.seen: list[tuple[int, ...]] = []

        def features(self, image: Any) -> Any:
            self.seen.append(image.shape)
            return np.ones((5, 2))

    theirs = Cuts()
    cuts = open_metric(theirs)
    assert isinstance(cuts, SetMetric)
    assert cuts.features(image).shape == (5, 2)
    assert theirs.seen == [(128, 256, 3)]


def test_the_protocol_tells_files_settings_and_distances_apart(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    text = Path(FILE).read_text(encoding="utf-8")
    file.write_text(text)
    protocol = open_metric(f"{file}:Shift").protocol
    assert protocol.startswith("shift/mean/rgb/file-")
    assert protocol == own("Shift").protocol
    file.write_text(text + "\n")
    assert open_metric(f"{file}:Shift").protocol != protocol
    assert "/factor=2/" in open_metric(f"{FILE}:Colours:factor=2").protocol
    assert own("Rows").protocol.startswith("Rows/whole/frechet/file-")
    assert own("Colours").feature_key != open_metric(f"{FILE}:Colours:factor=2").feature_key  # type: ignore[union-attr]


def test_an_object_from_python_is_a_metric() -> None:
    metric = open_metric(own_metrics.Colours(factor=3))
    assert isinstance(metric, SetMetric)
    assert "/factor=3/code-" in metric.protocol
    instruments = open_instruments(["psnr", own_metrics.Shift()], "cpu")
    assert list(instruments.specs.items()) == [("psnr", "psnr"), ("shift", None)]
    with pytest.raises(UsageError, match=r"a class, not an object: Shift\(\)"):
        open_metric(own_metrics.Shift)


class Weighted:
    higher_is_better = False

    def __init__(self, sigma: float = 1.0, weights: Sequence[float] = (), mode: str | None = None) -> None:
        self._sigma, self.weights, self._mode, self._calls = sigma, list(weights), mode, 0

    def compare(self, original: Image, reconstruction: Image) -> float:
        self._calls += 1
        return self._sigma


def test_what_its_constructor_was_given_tells_objects_apart() -> None:
    """Numbers of two settings are never joined, whether they are kept as `sigma` or `_sigma`."""
    objects = [Weighted(), Weighted(2.0), Weighted(weights=(1, 2)), Weighted(weights=range(50)), Weighted(mode="fast")]
    protocols = [open_metric(one).protocol for one in objects]
    assert len(set(protocols)) == len(objects)
    assert all(protocol.isprintable() and len(protocol) < 200 for protocol in protocols)
    objects[0].compare(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1, 3), np.uint8))
    assert open_metric(objects[0]).protocol == protocols[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
def test_an_interval_of_what_has_no_value_is_none(value: float) -> None:
    """As where leaving an image out leaves no distance."""

    class Own:
        higher_is_better = False

        def features(self, image: Image) -> Any:
            return image.reshape(-1, 3).mean(0)

        def distance(self, originals: Any, reconstructions: Any) -> float:
            return 1.0

        def leave_one_out(self, originals: Any, reconstructions: Any) -> Any:
            return [1.0, value, 2.0]

    metric = open_metric(Own())
    assert isinstance(metric, SetMetric)
    rows = [metric.features(image) for image in IMAGES]
    assert metric.distance(rows, rows) == 1
    with pytest.raises(Undefined, match="leave_one_out returned"):
        metric.leave_one_out(rows, rows)


TYPED = """
class Metric:
    higher_is_better = True
    def compare(self, original, reconstruction):
        names = {"a", "b", "c"}  # a set, whose order another process has otherwise
        return float([abs(float(original[0, 0, 0]) - %s) for _ in range(1) if "a" in {"a", "b", "c"}][0])
"""


def typed(what: str) -> str:
    """Protocol of a metric of a class that is in no file, as in a notebook."""
    names: dict[str, Any] = {"__name__": "nowhere"}
    exec(TYPED % what, names)
    return open_metric(names["Metric"]()).protocol


def test_a_class_that_was_typed_in_is_known_by_what_it_does() -> None:
    assert typed("1.0").startswith("Metric/code-")
    assert typed("1.0") == typed("1.0")
    assert len({typed("1.0"), typed("2.0"), typed("reconstruction.mean()")}) == 3
    code = "from benchmark import open_metric; names = {'__name__': 'nowhere'}; exec(%r, names); "
    code = code % (TYPED % "1.0") + "print(open_metric(names['Metric']()).protocol)"
    for seed in ("1", "2"):
        ended = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        assert ended.stdout.strip() == typed("1.0")


def test_a_metric_of_an_installed_package(tmp_path: Path) -> None:
    """What pip leaves on the path: a module, and a dist-info folder with its entry points."""
    info = tmp_path / "mine-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.5\n")
    points = "[hfd_benchmark.metrics]\nbrightness = mine:Shift\ncontrast = mine:Contrast\ngone = nowhere:Metric\n"
    (info / "entry_points.txt").write_text(points)
    (tmp_path / "mine.py").write_text(Path(FILE).read_text(encoding="utf-8"))
    code = (
        "from benchmark.metrics import METRICS, open_metric\n"
        "print(METRICS.summary('contrast'), open_metric('contrast').protocol, open_metric('brightness').protocol)\n"
        "open_metric('gone')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    # the version tells two packages apart, unless the class says what moves its numbers
    assert done.stdout == "from the package mine contrast/mine-1.5 brightness/mean/rgb\n"
    assert "BenchmarkError: metric gone: cannot be imported: ModuleNotFoundError" in done.stderr


def test_an_installed_metric_has_its_entry_s_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS._entries, "brightness", ("support.own_metrics:Shift", "for tests"))
    metric = open_metric("brightness")
    assert metric.info.name == "brightness"
    assert metric.protocol == "brightness/mean/rgb"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Missing", "has no Missing"),
        ("Nothing", "no metric; one has compare.*it has none of them"),
        ("Both", "it has compare and score"),
        ("NoDirection", "higher_is_better = True or False"),
        ("Psnr", "'psnr' is that of a metric of the suite"),
        ("Quality", "'quality' means something else"),
        ("Path", "'a/b' must be of letters"),
        ("SignedShare", "may be 0 or negative, so its margin is no share"),
        ("WrongMargin", "margin: 'two' is neither a number"),
        ("WrongTitle", "title is 3, not str"),
        ("WrongScale", "scale is 'log'; it must be 'linear' or 'decibel'"),
        ("LowDecibels", "scale 'decibel' is for a similarity up to 1"),
        ("Farther", "lower is better with distance 'frechet': higher_is_better = False, or nothing"),
        ("Similar", "scale 'decibel' is for a similarity up to 1, where higher is better"),
        ("NoDistance", "distance is 'wasserstein'; it must be 'frechet', 'kernel'"),
        ("Shift@whole", "compares whole images"),
        ("Rows@patch64", "no patch rule is named 'patch64'"),
        ("Colours:factor=much", "factor is a number, not 'much'"),
        ("Colours:depth=2", "has no setting 'depth'; its settings: factor"),
        ("Colours:patches=whole", "patches follow an @"),
        ("Returns", "needs the setting value"),
    ],
)
def test_what_is_no_metric_is_refused_in_one_line(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        own(name)
    assert "\n" not in str(caught.value)


def test_a_distance_that_has_a_name_needs_no_direction() -> None:
    assert own("Nearer").info.higher_is_better is False


def test_a_file_that_cannot_be_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import nowhere\n")
    with pytest.raises(BenchmarkError, match="the file cannot be run: ModuleNotFoundError"):
        open_metric(f"{tmp_path}/bad.py:Mine")
    with pytest.raises(UsageError, match="there is no file"):
        open_metric(f"{tmp_path}/none.py:Mine")


def test_two_metrics_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match=r"two metrics are named 'shift': .*:Shift and .*:Twin; give one"):
        open_instruments([f"{FILE}:Shift", f"{FILE}:Twin"], "cpu")


def test_names_that_differ_in_capitals_only_are_refused() -> None:
    """Plots are files of these names, and some file systems hold only one of the two."""
    with pytest.raises(
        UsageError, match=r"two metrics are named 'shift' and 'SHIFT': .*:Shift and .*:Capital; give one"
    ):
        open_instruments([f"{FILE}:Shift", f"{FILE}:Capital"], "cpu")


def test_a_change_of_the_working_folder_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a run lies is a relative path."""
    monkeypatch.chdir(tmp_path)
    metric = own("Wanders")
    assert isinstance(metric, ImageMetric)
    assert isinstance(metric, Loads)
    metric.load()
    image = np.zeros((8, 8, 3), np.uint8)
    assert metric.compare(metric.prepare(image), image) == 1
    assert Path.cwd() == tmp_path


def test_numbers_of_any_kind_are_taken() -> None:
    for value in (0.5, np.float32(0.5), np.array(0.5), torch.tensor(0.5)):
        assert number(value, "compare") == 0.5
    assert number(np.int64(3), "compare") == 3


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("0.5", "compare returned '0.5', not a number"),
        (None, "returned NoneType"),
        (True, "returned True"),
        (10**400, "returned a whole number beyond what a float holds"),
        (np.ones(3), r"ndarray of shape \(3,\)"),
        (torch.ones(1), r"Tensor of shape \(1,\)"),
    ],
)
def test_what_is_no_number_is_no_value(value: Any, reason: str) -> None:
    with pytest.raises(Failed, match=reason):
        number(value, "compare")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("deep", r"ndarray of shape \(2, 2, 2\), not numbers of shape \(n, d\) or \(d,\)"),
        ("nan", "not finite"),
        ("text", "returned 'none'"),
        ("wide", "3 numbers for a patch, 1 for others"),
        ("empty", r"shape \(2, 0\)"),
    ],
)
def test_features_of_the_wrong_shape_are_no_features(value: str, reason: str) -> None:
    metric = open_metric(f"{FILE}:WrongFeatures:value={value}")
    assert isinstance(metric, SetMetric)
    assert metric.features(IMAGES[0]).shape == (1, 1)
    with pytest.raises(Failed, match=reason):
        metric.features(np.zeros((4, 4, 3), dtype=np.uint8))


def test_what_it_raises_is_told_in_one_line() -> None:
    with pytest.raises(Failed, match=r"^failed: compare: KeyError: 'no\\nidea' \(own_metrics.py:\d+ in compare\)$"):
        own("Raises").compare(IMAGES[0], IMAGES[0])
    with pytest.raises(Undefined, match=r"^too dark$"):
        own("Undecided").score(IMAGES[0])


def test_it_cannot_spoil_the_images() -> None:
    class Vandal:
        higher_is_better = True

        def compare(self, original: Any, reconstruction: Any) -> float:
            original[:] = reconstruction[:] = 0
            return 0.0

    metric = open_metric(Vandal())
    assert isinstance(metric, ImageMetric)
    one, other = IMAGES[0].copy(), IMAGES[1].copy()
    metric.compare(metric.prepare(one), other)
    assert np.array_equal(one, IMAGES[0])
    assert np.array_equal(other, IMAGES[1])


def test_what_the_file_imports_and_files_of_settings_are_part_of_the_protocol(tmp_path: Path) -> None:
    source = "import {helper}\nclass Mine:\n    higher_is_better = True\n    def __init__(self, weights=''): ...\n"
    source += "    def compare(self, original, reconstruction):\n        return {helper}.VALUE\n"
    (tmp_path / "mine.py").write_text(source.format(helper="helper_of_mine"))
    (tmp_path / "helper_of_mine.py").write_text("VALUE = 1\n")
    (tmp_path / "weights.bin").write_bytes(b"one")
    spec = f"{tmp_path}/mine.py:Mine:weights={tmp_path}/weights.bin"
    first = open_metric(spec).protocol
    assert open_metric(spec).protocol == first
    (tmp_path / "weights.bin").write_bytes(b"two")
    retrained = open_metric(spec).protocol
    (tmp_path / "helper_of_mine.py").write_text("VALUE = 2\n")
    changed = open_metric(spec).protocol
    assert len({first, retrained, changed}) == 3
    pixels = np.zeros((4, 4, 3), np.uint8)
    metric = open_metric(spec)
    assert isinstance(metric, ImageMetric)
    assert metric.compare(metric.prepare(pixels), pixels) == 2


def test_what_a_metric_writes_to_is_its_own() -> None:
    """It finds what it made of an original, and features, as they were, however often it is asked."""
    careless, pair = own("Careless"), IMAGES[:2]
    prepared = careless.prepare(pair[0])
    before = pair[1].copy()
    first = careless.compare(prepared, pair[1])
    assert careless.compare(prepared, pair[1]) == first == pytest.approx(pair[0].mean() - pair[0][4:].mean())
    np.testing.assert_array_equal(pair[1], before)
    rows = own("CarelessRows")
    originals, others = ([rows.features(image) for image in images] for images in (IMAGES, IMAGES[::-1]))
    others[0] += 1
    kept = [part.copy() for part in (*originals, *others)]
    assert rows.distance(originals, others) == rows.distance(originals, others) == 12
    assert rows.leave_one_out(originals, others).tolist() == rows.leave_one_out(originals, others).tolist()
    for part, was in zip((*originals, *others), kept, strict=True):
        np.testing.assert_array_equal(part, was)
