"""A codec in another interpreter is audited as one of this interpreter: the same checks fail.

Processes that it leaves are no side channel there: they end with it.
"""

import sys
from pathlib import Path

import pytest
from support import cheating_codecs
from support.pictures import write_pictures

from benchmark.audit.audit import Request, audit

FOLDERS = {"KnowsOriginals": ":folder={}/pictures", "ForgivingSideFile": ":folder={}"}
pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    [
        *("HonestEstimate", "SideFile", "ForgivingSideFile", "KnowsOriginals", "NeedsEncoder", "EstimatedBits"),
        *("LyingLength", "NotDeterministic", "CrashesOnOddSizes", "DependsOnThreads", "NoChecksum"),
        *("Noisy", "IgnoresSeed", "TrustsSizes"),
    ],
)
def test_the_same_checks_fail(tmp_path: Path, name: str) -> None:
    write_pictures(tmp_path / "pictures", ["a.png"], size=(48, 40))
    verdicts = []
    for place in ("", f"@python={sys.executable}"):
        settings = FOLDERS.get(name, "").format(tmp_path)
        spec = f"{cheating_codecs.__file__}:{name}{place}{settings}"
        request = Request(
            spec, dataset=str(tmp_path / "pictures"), output=tmp_path / f"audit{len(verdicts)}", damages=8, seconds=30
        )
        report, _ = audit(request, lambda _: None)
        verdicts.append({check.name: check.verdict for check in report.checks})
    assert verdicts[0] == verdicts[1]
