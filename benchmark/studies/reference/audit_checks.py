"""What an audit of a codec checks."""

from benchmark.audit.checks import CHECKS
from benchmark.audit.report import LIMITS
from benchmark.studies.reference.markdown import documentation, page, table, words

INTRODUCTION = """\
`python -m benchmark audit CODEC` puts a codec into processes of its own and looks for what makes published numbers
wrong. It ends with exit code 1 if a check failed."""

VERDICTS = """\
A verdict is *ok*, *warning* (worth knowing, no number is wrong), *FAILED*, or *not done*, with the reason."""


def audit_page() -> str:
    """The page."""
    rows = ((words(one.name), documentation(one.judge)[0], words(one.fails_if)) for one in CHECKS)
    return page("Audit checks", INTRODUCTION, table(("check", "what holds", "fails if"), rows), VERDICTS, words(LIMITS))
