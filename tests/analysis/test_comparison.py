from pathlib import Path
from typing import Any

import pytest
from support.baselines import METRICS, origin, synthetic

from benchmark.analysis.baseline import Baseline, DatasetIdentity, Point
from benchmark.analysis.comparison import Comparison, Row, compare
from benchmark.analysis.margins import Gate, Margin, read_gate
from benchmark.errors import NotComparable, UsageError
from benchmark.statistics.gate import Outcome

GATE = Gate()


def row(comparison: Comparison, metric: str, quality: float | None = 1, kind: str = "value") -> Row:
    [found] = [r for r in comparison.rows if (r.metric, r.quality, r.kind) == (metric, quality, kind)]
    return found


def with_points(baseline: Baseline, **changes: Any) -> Baseline:
    return baseline.model_copy(update={"points": [p.model_copy(update=changes) for p in baseline.points]})


# How often it is wrong, and what it sees


@pytest.mark.long
@pytest.mark.parametrize("pairs", [80, pytest.param(200, marks=pytest.mark.slow)])
def test_equal_runs_raise_an_alarm_in_less_than_5_of_100(pairs: int) -> None:
    """Pairs of runs of one stochastic decoder: the same images and bits, other noise."""
    alarms = [compare(synthetic(2 * i, pictures=i), synthetic(2 * i + 1, pictures=i), GATE) for i in range(pairs)]
    assert sum(comparison.exit_code() != 0 for comparison in alarms) < 0.05 * pairs


@pytest.mark.long
@pytest.mark.parametrize("planted", [{"rate": 1.03}, {"psnr_loss": 2.3 * 0.0503}], ids=["more bits", "lower PSNR"])
@pytest.mark.parametrize("pairs", [40, pytest.param(100, marks=pytest.mark.slow)])
def test_a_loss_of_3_per_cent_of_rate_is_found_in_more_than_95_of_100(planted: dict[str, float], pairs: int) -> None:
    """PSNR rises by 2.3 dB with each factor of 1.8, so ln 1.03 / ln 1.8 = 0.0503 of that is 3 % of rate.

    The bits alone would give the first away, so they are left out of its verdict.
    """
    found = 0
    for i in range(pairs):
        comparison = compare(synthetic(2 * i, pictures=i), synthetic(2 * i + 1, pictures=i, **planted), GATE)
        found += any(r.outcome is Outcome.WORSE for r in comparison.rows if r.metric != "bpp")
        assert row(comparison, "psnr", None, "bd-rate").change == pytest.approx(3, abs=1.5)
    assert found > 0.95 * pairs


def test_a_comparison_is_short_and_its_rows_are_a_frame() -> None:
    found = compare(synthetic(1), synthetic(2, rate=1.5, psnr_loss=1), GATE)
    frame = found.frame()
    assert len(frame) == len(found.rows)
    assert list(frame["outcome"]) == ["" if r.outcome is None else str(r.outcome) for r in found.rows]
    worse = int((frame["outcome"] == "worse").sum())
    assert worse > 0
    assert f"{worse} worse" in repr(found)
    assert len(repr(found)) < 200
    bits = frame[(frame["metric"] == "bpp") & (frame["kind"] == "value")]
    assert list(bits["new"] / bits["base"]) == pytest.approx([1.5] * len(bits), rel=0.05)
    assert "<table" in found._repr_html_()


# What is judged, and how


def test_a_run_is_not_worse_than_itself() -> None:
    same = compare(synthetic(1, seconds=0.5), synthetic(1, seconds=0.5), GATE)
    assert {r.outcome for r in same.rows} == {Outcome.SAME}
    assert same.exit_code(strict=True) == 0
    assert not same.moved
    assert any("same sizes, byte for byte, at 3 points" in note for note in same.notes)
    assert len(same.rows) == 3 * 4 + 3 + 1  # values, rate differences, encode seconds


def test_bits_are_held_against_their_tolerance_whatever_the_spread() -> None:
    base = synthetic(1)
    more = [[round(size * 1.002) for size in point.bytes if size is not None] for point in base.points]
    points = [point.model_copy(update={"bytes": sizes}) for point, sizes in zip(base.points, more, strict=True)]
    new = base.model_copy(update={"points": points})
    worse = compare(base, new, GATE)
    assert row(worse, "bpp").exact
    assert row(worse, "bpp").outcome is Outcome.WORSE
    assert row(worse, "bpp").change == pytest.approx(0.002, rel=0.02)
    assert worse.exit_code() == 1
    assert row(compare(new, base, GATE), "bpp").outcome is Outcome.BETTER
    loose = Gate.model_validate({"tolerance": {"bpp": "1 %"}})
    assert compare(base, new, loose).exit_code() == 0
    assert any("other sizes at 3 of 3 points" in note for note in worse.notes)


def test_psnr_is_exact_only_without_chance() -> None:
    for stochastic in (False, True):
        base = synthetic(stochastic=stochastic)
        comparison = compare(base, synthetic(psnr_loss=0.02, stochastic=stochastic), GATE)
        assert row(comparison, "psnr").exact is not stochastic
        assert row(comparison, "psnr").outcome is (Outcome.NOT_WORSE if stochastic else Outcome.WORSE)


def test_directions_are_known() -> None:
    better = compare(synthetic(1), synthetic(2, psnr_loss=-1.0), GATE)
    assert row(better, "psnr").outcome is Outcome.BETTER
    assert row(better, "psnr").change > 0
    assert row(better, "psnr", None, "bd-rate").outcome is Outcome.BETTER
    assert better.exit_code() == 0
    worse = compare(synthetic(2, psnr_loss=-1.0), synthetic(1), GATE)
    assert row(worse, "psnr").outcome is Outcome.WORSE
    assert worse.exit_code() == 1


def test_undecided_passes_unless_strict() -> None:
    comparison = compare(synthetic(1, noise=8), synthetic(2, noise=8), GATE)
    assert comparison.with_outcome(Outcome.UNDECIDED)
    assert not comparison.with_outcome(Outcome.WORSE)
    assert (comparison.exit_code(), comparison.exit_code(strict=True)) == (0, 1)
    blind = row(comparison, "lpips")
    assert blind.judgement is not None
    assert blind.margin is not None
    assert blind.judgement.smallest > blind.margin.size


def test_the_picture_that_moved_is_named() -> None:
    base = synthetic()
    moved = [30.0 if i == 7 else value for i, value in enumerate(base.points[1].metrics["lpips"])]
    points = list(base.points)
    points[1] = points[1].model_copy(update={"metrics": {**points[1].metrics, "lpips": moved}})
    first, *others = compare(base, base.model_copy(update={"points": points}), GATE).moved
    assert (first.image, first.quality, first.metric) == ("picture07", 2, "lpips")
    assert first.change > 0
    assert first.margins > 1
    assert not others


def test_a_failed_trial_is_not_fine() -> None:
    base = synthetic()
    new = with_points(base, failed={"picture00": "refused"})
    assert compare(base, new, GATE).exit_code() == 3
    assert compare(base, new, GATE).failures[0] == "noisy at quality 1, picture00: refused"
    assert compare(new, new, GATE).exit_code() == 0


def test_a_value_that_is_lost_is_said() -> None:
    base = synthetic()
    new = with_points(base, metrics={"psnr": base.points[0].metrics["psnr"], "lpips": [None] * 12}, sets={})
    comparison = compare(base, new, GATE)
    assert row(comparison, "lpips").reason == "the new run has no value"
    assert row(comparison, "fd-effnet").judgement is None
    assert "noisy at quality 1, lpips: the base has a value, the new run has none" in comparison.failures
    assert comparison.exit_code() == 3
    assert compare(new, new, GATE).exit_code() == 0
    nothing = with_points(base, metrics={}, sets={}, bytes=[None] * 12)
    assert compare(nothing, nothing, GATE).exit_code() == 3


def test_seconds_are_compared_only_on_one_machine_alone() -> None:
    def fast(**changes: Any) -> Baseline:
        return synthetic(1, seconds=0.1, origin=origin(**changes))

    slow = synthetic(1, seconds=0.2)
    assert row(compare(fast(), slow, GATE), "encode seconds", None, "seconds").outcome is Outcome.WORSE
    for other, part in (
        (fast(workers=2), "2 workers at once"),
        (fast(machine={"processor": "two", "cores": 2}), "processor: two against one"),
        (fast(threads=1), "threads"),
        (synthetic(1), "has none"),
        (fast(timing=0), "single calls"),
    ):
        comparison = compare(other, slow, GATE)
        assert all(r.kind != "seconds" for r in comparison.rows)
        assert any("seconds are not compared" in note and part in note for note in comparison.notes)


def test_one_picture_and_one_quality() -> None:
    comparison = compare(synthetic(1, n=1, qualities=1), synthetic(2, n=1, qualities=1), GATE)
    assert row(comparison, "lpips").outcome is Outcome.UNDECIDED
    assert row(comparison, "bpp").outcome is Outcome.SAME
    assert all(r.kind == "value" for r in comparison.rows)
    assert any("one image" in note for note in comparison.notes)


# What is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"dataset": DatasetIdentity(name="made", fingerprint="f" * 16, preparation="none")},
            "name is one, but not the images",
        ),
        (
            {"dataset": DatasetIdentity(name="made", fingerprint="f" * 16, preparation="crop")},
            "preparation: none against crop",
        ),
        ({"codec": "other"}, "codec noisy is missing"),
        ({"qualities": 2}, "noisy at quality 3 is missing"),
        ({"metrics": {k: v for k, v in METRICS.items() if k != "lpips"}}, "metric lpips is missing"),
        (
            {"metrics": METRICS | {"lpips": METRICS["lpips"].model_copy(update={"protocol": "lpips/vgg"})}},
            "'alex' against 'vgg'",
        ),
    ],
)
def test_what_does_not_match_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NotComparable, match=message):
        compare(synthetic(), synthetic(**changes), GATE)


@pytest.mark.parametrize(
    ("before", "after", "hint"),
    [
        ("Ours", "./c.py:C:n=2", r"it has the same codec spec, \./c\.py:C:n=2, as \./c\.py:C:n=2: run it with "
         r"--label \./c\.py:C:n=2=Ours"),
        ("./c.py:C:n=2", "Ours", r"as Ours: run it with no --label for \./c\.py:C:n=2"),
    ],
)  # fmt: skip
def test_one_codec_under_two_labels_is_hinted_at(before: str, after: str, hint: str) -> None:
    def labelled(label: str) -> Baseline:
        made = synthetic(codec=label)
        record = made.codecs[label].model_copy(update={"spec": "./c.py:C:n=2"})
        return made.model_copy(update={"codecs": {label: record}})

    with pytest.raises(NotComparable, match=hint):
        compare(labelled(before), labelled(after), GATE)


def test_parts_of_a_codec_that_differ_are_named_in_a_note() -> None:
    def described(sha256: str) -> Baseline:
        made = synthetic()
        description = {"kind": "x", "settings_sha256": {"weights": sha256, "table": "1"}}
        record = made.codecs["noisy"].model_copy(update={"description": description})
        return made.model_copy(update={"codecs": {"noisy": record}})

    notes = compare(described("a"), described("b"), GATE).notes
    assert "noisy is described otherwise: settings_sha256 weights" in notes


def test_what_is_only_in_the_new_run_is_said() -> None:
    comparison = compare(synthetic(qualities=2), synthetic(qualities=3), GATE)
    assert comparison.exit_code() == 0
    assert any("only in the new run, not compared: noisy at quality 3" in note for note in comparison.notes)


# Settings


def test_settings_add_to_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.benchmark.gate]\nalpha = 0.1\nmargin = { lpips = "5 %", "fid@whole" = 2 }\n')
    gate = read_gate(file)
    assert gate.alpha == 0.1
    assert gate.margin_of("lpips") == Margin(0.05, True)
    assert gate.margin_of("fid@whole") == Margin(2, False)
    assert gate.margin_of("fid") == Gate().margin_of("fid")
    assert gate.margin_of("fd-effnet@patch256-nc") == Gate().margin_of("fd-effnet")
    assert gate.margin_of("unheard-of") is None
    free = compare(synthetic(metrics=METRICS), synthetic(metrics=METRICS), gate)
    assert row(free, "lpips").margin == Margin(0.05, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.benchmark.gate]\nalpha = 2", "alpha"),
        ("[tool.benchmark.gate]\nmargins = {}", "margins"),
        ('[tool.benchmark.gate]\nmargin = { lpips = "much" }', "neither a number"),
        ("[tool.benchmark.gate]\nmargin = { lpips = -1 }", "neither a number"),
        ('[tool.benchmark.gate]\nmargin = { kd-effnet = "2 %" }', "no share"),
        ('[tool.benchmark.gate]\nmargin = { bd-rate = "2 %" }', "in per cent already"),
        ("[tool.other]", "no table"),
        ("tool = [", "cannot be read"),
        ("tool.benchmark = 1", r"benchmark of \[tool.benchmark.gate\] is no table"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "gate.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as refused:
        read_gate(file)
    assert str(file) in str(refused.value)


def test_a_named_file_must_exist_and_the_default_need_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_gate(None) == Gate()
    with pytest.raises(UsageError, match="no such file"):
        read_gate(Path("none.toml"))


def test_points_name_themselves() -> None:
    point: Point = synthetic().points[0]
    assert str(point) == "noisy at quality 1"


def test_a_margin_of_no_metric_is_said(tmp_path: Path) -> None:
    """A slip of the pen would leave the default in force without a word; a known metric may be that of another run."""
    file = tmp_path / "gate.toml"
    text = '[tool.benchmark.gate]\nmargin = { lpisp = "2 %", fid = 1.0, bd-rate = 2.0, lpips = "3 %" }\n'
    file.write_text(text + "tolerance = { pnsr = 0.1 }\n")
    notes = compare(synthetic(1), synthetic(2), read_gate(file)).notes
    [line] = [line for line in notes if "no metric of these runs" in line]
    assert line.endswith(": lpisp, pnsr")
    assert not any("no metric of these runs" in line for line in compare(synthetic(1), synthetic(2), Gate()).notes)


@pytest.mark.parametrize("name", ["bd-rate", "seconds"])
def test_a_tolerance_of_what_has_a_margin_alone_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    file.write_text(f"[tool.benchmark.gate]\ntolerance = {{ {name} = 0.1 }}\n")
    with pytest.raises(UsageError, match=f"{name} has chance in it"):
        read_gate(file)
