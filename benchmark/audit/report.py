"""The report of an audit: as text for people, as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmark.audit import evidence as at
from benchmark.audit.check import Check
from benchmark.audit.evidence import Evidence
from benchmark.compatibility import AUDIT
from benchmark.reconstructions import ELSEWHERE
from benchmark.results import quality_name

SCHEMA_VERSION = AUDIT.writes
FEW = 3
"""Of one wrong, so many images are named one by one in the text."""
SHOWN = 5
"""Lines of evidence in the text, a check; the JSON has all."""

LIMITS = (
    "What this cannot see: files that a library in C or another program opens outside the fresh folders, and what a "
    "codec learned of these images before the audit."
)

UNSEEN = (
    "This is no audit of a codec: nothing here encodes or decodes, so its bits and images are those that somebody says "
    "belong together. A class with encode and decode, or its two command lines, can be audited."
)


@dataclass(frozen=True)
class Report:
    """An audit's result. about: where the codec, the images and the numbers come from, JSON values. complete: whether
    it came to its end. common: what fails for every image alike, None if nothing does. elsewhere: it is of images
    that nothing here has coded."""

    codec: str
    about: dict[str, Any]
    checks: Sequence[Check]
    rates: Sequence[dict[str, Any]]
    complete: bool = True
    common: str | None = None
    elsewhere: bool = False

    @property
    def failed(self) -> list[str]:
        """Names of the checks that failed."""
        return [check.name for check in self.checks if check.verdict == "FAILED"]


def rates(evidence: Evidence) -> list[dict[str, Any]]:
    """What was coded: image, quality, bytes on disk, bpp, the estimate in bits if the codec has one."""
    rows = []
    for case in [*evidence.cases, *evidence.rated]:
        step = evidence.steps.get((at.ENCODE, case))
        if step is not None and step.failed is None:
            height, width = evidence.pictures[case[0]].image.shape[:2]
            size = step.data.stat().st_size
            estimate = evidence.steps.get((at.ESTIMATE, case))
            rows.append(
                {
                    "picture": case[0],
                    "width": width,
                    "height": height,
                    "quality": case[1],
                    "bytes": size,
                    "bpp": 8 * size / (height * width),
                    "bits_estimated": None if estimate is None else estimate.outcome.estimate,
                    "seconds": step.outcome.seconds,
                }
            )
    return rows


def as_text(report: Report) -> str:
    """The report to read, with its verdict in the last line."""
    about = report.about
    qualities = ", ".join(quality_name(quality) for quality in about["qualities"])
    if report.elsewhere:
        lines = [f"Audit of {report.codec}, {ELSEWHERE}", f"{about['pictures']} images of {about['dataset']}; "]
        lines[-1] += f"qualities {qualities}"
    else:
        lines = [
            f"Audit of {report.codec} on {about['device']}",
            f"{about['pictures']} images of {about['dataset']}, {about['odd_pictures']} made ones; "
            f"qualities {qualities}",
        ]
    lines.append("")
    if not report.complete:
        lines += ["Stopped before its end: what was not done says nothing.", ""]
    if report.common is not None:
        lines += [report.common[:1].upper() + report.common[1:], ""]
    width = max(len(check.name) for check in report.checks)
    for check in report.checks:
        lines.append(f"{check.verdict:<8}  {check.name:<{width}}  {check.summary}")
        evidence = _said_once(check.evidence)
        lines += [f"{'':<{width + 12}}{line}" for line in evidence[:SHOWN]]
        if len(evidence) > SHOWN:
            lines.append(f"{'':<{width + 12}}and {len(evidence) - SHOWN} more, in the JSON")
    lines += ["", UNSEEN if report.elsewhere else LIMITS, ""]
    failed = report.failed
    warned = sum(check.verdict == "warning" for check in report.checks)
    warnings = f", {warned} with a warning" if warned else ""
    if failed:
        lines.append(f"{len(failed)} of {len(report.checks)} checks failed: {', '.join(failed)}")
    elif not report.complete:
        lines.append(f"stopped; no check had failed by then{warnings}")
    elif report.elsewhere:
        unknown = sum(check.verdict == "not done" for check in report.checks)
        lines.append(f"no check failed{warnings}; {unknown} of {len(report.checks)} could not be made")
    else:
        lines.append(f"no check failed{warnings}")
    return "\n".join(lines) + "\n"


def _said_once(lines: Sequence[str]) -> Sequence[str]:
    """Lines "image at quality 3: what is wrong": one line for each wrong that several images have."""
    groups: dict[str, list[str]] = {}
    for line in lines:
        case, _, problem = line.partition(": ")
        groups.setdefault(problem or case, []).append(line)
    found = []
    for problem, of_problem in groups.items():
        if len(of_problem) < FEW or not of_problem[0].endswith(f": {problem}"):
            found += of_problem
        else:
            first = of_problem[0].partition(": ")[0]
            found.append(f"{first} and {len(of_problem) - 1} more: {problem}")
    return found


def as_json(report: Report) -> str:
    """The report as one JSON object: schema_version, codec, complete, failed, common, checks, rates, about."""
    fields = {
        "schema_version": SCHEMA_VERSION,
        "codec": report.codec,
        "complete": report.complete,
        "failed": report.failed,
        "common": report.common,
        "checks": [asdict(check) for check in report.checks],
        "rates": list(report.rates),
        "about": report.about,
    }
    return json.dumps(fields, indent=2, allow_nan=False) + "\n"
