"""The reference pages that are made from code: facts stand where they are used, and documents repeat them.

A test makes each page again and compares. `metrics.md` is `benchmark.studies.calibration`'s, since it needs tables.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.files import write_file
from benchmark.studies import calibration
from benchmark.studies.reference.audit_checks import audit_page
from benchmark.studies.reference.codec_recipes import recipes_page
from benchmark.studies.reference.codec_settings import codecs_page
from benchmark.studies.reference.command_line import commands_page
from benchmark.studies.reference.data_sets import data_sets_page
from benchmark.studies.reference.exit_codes import exit_codes_page
from benchmark.studies.reference.image_rules import image_files_page
from benchmark.studies.reference.protocols import protocols_page
from benchmark.studies.reference.python_names import python_page
from benchmark.studies.reference.records import run_folder_page


def pages(program: Any) -> Mapping[str, Callable[[], str]]:
    """File name -> function that makes the page. program: the command line, as click's group."""
    return {
        "commands.md": partial(commands_page, program),
        "codecs.md": codecs_page,
        "recipes.md": recipes_page,
        "data-sets.md": data_sets_page,
        "protocols.md": protocols_page,
        "image-files.md": image_files_page,
        "audit.md": audit_page,
        "exit-codes.md": exit_codes_page,
        "run-folder.md": run_folder_page,
        "python.md": python_page,
    }


def write(folder: Path, program: Any) -> Iterator[Path]:
    """Writes all pages into `folder`, that of the metrics anew if it is there. Yields each path.

    Raises BenchmarkError if a package of a codec is not installed, or if a table of the metrics' page is not there.
    """
    for name, make in pages(program).items():
        write_file(folder / name, make(), parents=True)
        yield folder / name
    if (folder / calibration.PAGE).is_file():
        calibration.write_page(folder)
        yield folder / calibration.PAGE
