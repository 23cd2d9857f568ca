import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from rich.console import Console
from support.baselines import METRICS, synthetic

from benchmark.analysis.comparison import Comparison, Row, compare
from benchmark.analysis.margins import Gate
from benchmark.reports.comparison import cells_of, markdown, print_comparison, verdict
from benchmark.reports.exports.continuous import (
    bencher,
    github_action_benchmark,
    write_bencher,
    write_github_action_benchmark,
)
from benchmark.reports.exports.junit import junit_xml


def worse() -> Comparison:
    return compare(synthetic(1), synthetic(2, psnr_loss=0.5, noise=3), Gate())


def printed(comparison: Comparison, everything: bool = False) -> str:
    output = io.StringIO()
    print_comparison(comparison, Console(file=output, width=200), everything=everything)
    return output.getvalue()


def test_the_table_puts_the_worst_first_and_leaves_out_what_is_the_same() -> None:
    lines = printed(worse()).splitlines()
    assert lines[1].split()[0] == "worse"
    assert "BD-rate at equal psnr" in lines[1]
    assert not any(line.startswith("same") for line in lines)
    assert any(line.startswith("same") for line in printed(worse(), everything=True).splitlines())
    assert any("smallest that would" in line for line in lines)
    assert any(line.partition("images that moved most: ")[2].startswith("picture") for line in lines)
    assert any("share 5 % of wrong claims" in line for line in lines)


def test_the_verdict_says_what_the_exit_code_says() -> None:
    same = compare(synthetic(1), synthetic(1), Gate())
    assert verdict(same, strict=True) == "not worse"
    assert verdict(worse(), strict=False).startswith("worse in ")
    open_ = compare(synthetic(1, noise=8), synthetic(2, noise=8), Gate())
    assert "undecided" in verdict(open_, strict=False)
    assert "does not let pass" in verdict(open_, strict=True)


def test_markdown_is_a_table_that_a_codec_spec_cannot_break() -> None:
    base, new = (synthetic(seed, codec="a|b*", psnr_loss=seed) for seed in (0, 1))
    text = markdown(compare(base, new, Gate()))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(line.replace(r"\|", "").split("|")) for line in rows} == {11}
    assert r"a\|b\*" in text
    assert text.startswith("### Compression gate: worse in ")
    assert "<details>" in text


def test_junit_counts_what_it_holds() -> None:
    comparison = worse()
    for strict in (False, True):
        root = ElementTree.fromstring(junit_xml(comparison, strict=strict))
        assert root.tag == "testsuites"
        cases = list(root.iter("testcase"))
        assert len(cases) == len(comparison.rows) == int(root.attrib["tests"])
        failures = [case.find("failure") for case in cases if case.find("failure") is not None]
        assert len(failures) == int(root.attrib["failures"])
        kinds = {failure.attrib["type"] for failure in failures if failure is not None}
        assert kinds == ({"worse", "undecided"} if strict else {"worse"})
        assert {case.attrib["classname"] for case in cases} == {"noisy"}
        assert len({case.attrib["name"] for case in cases}) == len(cases)


def test_junit_has_failed_trials_as_errors() -> None:
    base = synthetic()
    points = [point.model_copy(update={"failed": {"picture00": "no\x00 <good>"}}) for point in base.points]
    root = ElementTree.fromstring(junit_xml(compare(base, base.model_copy(update={"points": points}), Gate())))
    errors = list(root.iter("error"))
    assert [error.attrib["message"] for error in errors] == ["no <good>"] * 3
    assert root.attrib["errors"] == "3"


def test_junit_parts_the_place_of_a_failure_from_its_reason() -> None:
    """Names, specs and errors have colons of their own."""
    base = synthetic(codec='command:enc="a: b"')
    named = base.model_copy(update={"images": ["a: b.png", *base.images[1:]]})
    points = [point.model_copy(update={"failed": {"a: b.png": "ValueError: no: never"}}) for point in named.points[:1]]
    new = named.model_copy(update={"points": [*points, *named.points[1:]]})
    root = ElementTree.fromstring(junit_xml(compare(named, new, Gate())))
    [error] = root.iter("error")
    assert error.attrib["message"] == "ValueError: no: never"
    [case] = [case for case in root.iter("testcase") if case.find("error") is not None]
    assert case.attrib["name"] == 'command:enc="a: b" at quality 1, a: b.png'


def test_github_action_benchmark_entries(tmp_path: Path) -> None:
    """The tool reads an array of {name, unit, value, range?, extra?}, one direction a file."""
    names = set()
    for path, metrics in zip(
        write_github_action_benchmark(synthetic(1), tmp_path / "gab"),
        ({"bpp", "lpips", "fd-effnet"}, {"psnr"}),
        strict=True,
    ):
        entries = json.loads(path.read_text())
        assert {entry["name"].split()[-1] for entry in entries} == metrics
        for entry in entries:
            assert set(entry) == {"name", "unit", "value", "range", "extra"}
            assert isinstance(entry["value"], float)
            assert entry["value"] > 0
            assert entry["unit"]
            assert entry["range"].startswith("± ")
            names.add(entry["name"])
    assert len(names) == 12
    kernel = METRICS | {"kd-effnet": METRICS["fd-effnet"]}
    points = [p.model_copy(update={"sets": {"kd-effnet": p.sets["fd-effnet"]}}) for p in synthetic(1).points]
    numbers = synthetic(1, metrics=kernel).model_copy(update={"points": points})
    assert not any("kd-effnet" in e["name"] for e in github_action_benchmark(numbers, bigger_is_better=False))


def test_bencher_document(tmp_path: Path) -> None:
    """Bencher reads {benchmark: {measure: {value, lower_value?, upper_value?}}}."""
    write_bencher(synthetic(1), tmp_path / "b.json")
    document = json.loads((tmp_path / "b.json").read_text())
    assert list(document) == [f"noisy quality {q}" for q in (1, 2, 3)]
    for measures in document.values():
        assert set(measures) == {"bpp", "psnr", "lpips", "fd-effnet"}
        for measure in measures.values():
            assert measure["lower_value"] < measure["value"] < measure["upper_value"]
    one = bencher(synthetic(1, n=1))
    assert all(set(measure) == {"value"} for measures in one.values() for measure in measures.values())


@pytest.mark.parametrize("width", [60, 100])
def test_a_narrow_terminal_cuts_no_codec_or_number(width: int) -> None:
    output = io.StringIO()
    print_comparison(worse(), Console(file=output, width=width))
    assert max(map(len, output.getvalue().splitlines())) <= width


@pytest.mark.parametrize(("change", "text"), [(-0.0, "+0"), (0.0, "+0"), (-0.5, "−0.5"), (1e-9, "+1e-09")])
def test_a_change_has_one_kind_of_minus_and_zero_none(change: float, text: str) -> None:
    row = Row("c", 1.0, "own", "value", "", True, 1.0, 1.0 + change, change, None, False, None, "not tested", 2)
    assert cells_of(row)[5] == text
