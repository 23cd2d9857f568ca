"""How image files are read."""

from benchmark.formats import FORMATS, SUFFIXES
from benchmark.image_files.rules import NOT_NOTICED, RULES
from benchmark.studies.reference.markdown import code, page, table, words

INTRODUCTION = """\
Every image becomes 8-bit RGB. What has no one honest way there is refused, with the reason in the trial's record; the
run goes on and ends with exit code 3."""


def image_files_page() -> str:
    """The page."""
    rows = ((words(one.files), words(one.outcome), words(one.reason)) for one in RULES)
    return page(
        "Image files",
        INTRODUCTION,
        f"Formats, by their content: {', '.join(FORMATS)}. Of a folder, files with these suffixes are its images: "
        f"{', '.join(map(code, sorted(SUFFIXES)))}; a GIF is read where a list names it.",
        table(("file", "what happens", "why"), rows),
        "Missing samples are noticed in every format, also where the end of the file looks right. Not noticed are:",
        "\n".join(f"- {words(one)}" for one in NOT_NOTICED),
        "`tests/odd_images` has small files of all these kinds, each with its known array or its refusal.",
    )
