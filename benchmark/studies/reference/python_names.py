"""The public names of the package, whose documentation mkdocstrings takes from their docstrings."""

import ast
import inspect
import itertools

import benchmark
from benchmark import pixels
from benchmark.studies.reference.markdown import documentation, page, table

FIRST = ("evaluate", "load", "compare", "Results")
"""What most begin with, before the others by name."""

INTRODUCTION = """\
`import benchmark` gives these names, and no others are public. The command line calls the same functions."""


def python_page() -> str:
    """The page: a table of the names, and a directive of mkdocstrings for each, which GitHub shows as it is."""
    others = sorted(set(benchmark.__all__) - {*FIRST}, key=lambda name: (name[0].isupper(), name.lower()))
    names = [*FIRST, *others]
    listed = table(("name", "what it is"), ((_link(name), _first_line(name)) for name in names))
    return page("Python", INTRODUCTION, listed, *(f"::: benchmark.{name}" for name in names))


def _link(name: str) -> str:
    """As HTML: GitHub has no such heading."""
    return f'<a href="#benchmark.{name}"><code>{name}</code></a>'


def _first_line(name: str) -> str:
    """Of its docstring; of the name of a type, of what stands below it."""
    thing = getattr(benchmark, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        return documentation(thing)[0] if thing.__doc__ else ""
    body = ast.parse(inspect.getsource(pixels)).body
    for one, below in itertools.pairwise(body):
        if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == name and isinstance(below, ast.Expr):
            return str(ast.literal_eval(below.value)).splitlines()[0]
    return ""
