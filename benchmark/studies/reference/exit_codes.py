"""What each exit code means."""

from benchmark.errors import EXIT_CODES
from benchmark.studies.reference.markdown import page, table, words


def exit_codes_page() -> str:
    """The page."""
    rows = ((str(code), words(text)) for code, text in EXIT_CODES.items())
    return page(
        "Exit codes",
        "They are the same for all commands. An error is one line on standard error.",
        table(("code", "meaning"), rows),
    )
