"""What `compare` found as JUnit XML, which CI services show: a suite a codec, a case a number."""

import xml.etree.ElementTree as ElementTree

from benchmark.analysis.comparison import Comparison, Row
from benchmark.errors import visible
from benchmark.reports.comparison import HEADERS, cells_of
from benchmark.statistics.gate import Outcome


def junit_xml(comparison: Comparison, *, strict: bool = False) -> str:
    """The document. Worse is a failure; undecided is skipped, with its message, and a failure if `strict`.

    What could not be judged is skipped; a failed trial is an error.
    """
    suites = ElementTree.Element("testsuites", name="compare")
    for codec in dict.fromkeys(row.codec for row in comparison.rows):
        suite = ElementTree.SubElement(suites, "testsuite", name=_legal(codec))
        for row in comparison.rows:
            if row.codec == codec:
                _case(suite, row, strict)
        _count(suite)
    if comparison.failures:
        suite = ElementTree.SubElement(suites, "testsuite", name="trials")
        for failure in comparison.failures:
            place, reason = _parted(failure, comparison)
            case = ElementTree.SubElement(suite, "testcase", classname="trials", name=_legal(place))
            ElementTree.SubElement(case, "error", message=_legal(reason))
        _count(suite)
    _count(suites, list(suites.iter("testcase")))
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _parted(failure: str, comparison: Comparison) -> tuple[str, str]:
    """Where something failed, and why: both may hold a colon."""
    base = comparison.base
    there = (
        place
        for point in base.points
        for place in (str(point), *(f"{point}, {name}" for name in (*base.images, *base.metrics)))
        if failure.startswith(f"{place}: ")
    )
    place = max(there, key=len, default=failure.partition(": ")[0])
    return place, failure[len(place) + 2 :]


def _case(suite: ElementTree.Element, row: Row, strict: bool) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=_legal(row.codec), name=_legal(row.name))
    cells = ", ".join(f"{header} {cell}" for header, cell in zip(HEADERS[3:], cells_of(row)[3:], strict=True))
    if row.outcome is Outcome.WORSE or (strict and row.outcome is Outcome.UNDECIDED):
        kind = row.outcome.value
        ElementTree.SubElement(case, "failure", type=kind, message=_legal(f"{kind}: {cells}"))
    elif row.outcome in (Outcome.UNDECIDED, None):
        kind = "not judged" if row.outcome is None else row.outcome.value
        ElementTree.SubElement(case, "skipped", message=_legal(f"{kind}: {row.reason or cells}"))
    else:
        ElementTree.SubElement(case, "system-out").text = _legal(f"{row.outcome.value if row.outcome else ''}: {cells}")


def _count(element: ElementTree.Element, cases: list[ElementTree.Element] | None = None) -> None:
    cases = list(element) if cases is None else cases
    counts = {"tests": len(cases)}
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        counts[name] = sum(case.find(tag) is not None for case in cases)
    for name, count in counts.items():
        element.set(name, str(count))


def _legal(text: str) -> str:
    """Without the characters that XML has no way to write; what else acts unseen is written out."""
    return visible("".join(c for c in text if (c in "\t\n\r" or ord(c) >= 32) and ord(c) & 0xFFFE != 0xFFFE))
