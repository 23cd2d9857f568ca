"""The public names of the package, whose documentation mkdocstrings takes from their docstrings."""

import benchmark
from benchmark.studies.reference.markdown import page

FIRST = ("evaluate", "load", "compare", "Results")
"""What most begin with, before the others by name."""

INTRODUCTION = """\
`import benchmark` gives these names, and no others are public. The command line calls the same functions."""


def python_page() -> str:
    """The page: a directive of mkdocstrings for each name. On GitHub it lists the names."""
    others = sorted(set(benchmark.__all__) - {*FIRST}, key=lambda name: (name[0].isupper(), name.lower()))
    names = [*FIRST, *others]
    listed = "\n".join(f"- [`benchmark.{name}`](#benchmark.{name})" for name in names)
    return page("Python", INTRODUCTION, listed, *(f"::: benchmark.{name}" for name in names))
