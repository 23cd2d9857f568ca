"""The recipes as tables: for a terminal, and as the page docs/reference/recipes.md."""

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmark.baselines.recipes import Recipe, names, recipe

HEAD = """\
# Recipes for other people's codecs

Made by `python -m benchmark recipes page`; [the how-to](../how-to/recipes.md) says how to use one. *Bits*: **real** are
those of a stream that is decoded by itself; **estimated** are stated by an entropy model; **nominal** are the same for
each image. *Run* says what was run here with the peer's own code; random weights show that the way works, from an image
to bytes and back in another process, and no more.
"""


def rows() -> list[tuple[str, str, str, str, str]]:
    """(name, title, bits, environment, status) of each recipe."""
    return [(one.name, one.title, one.bits, f"Python {one.python}", one.status) for one in map(recipe, names())]


def page() -> str:
    """The page of all recipes, in Markdown."""
    found = [recipe(name) for name in names()]
    lines = [HEAD, *_table(found)]
    for one in found:
        lines += ["", *_section(one)]
    return "\n".join(lines) + "\n"


def _table(found: Iterable[Recipe]) -> Iterator[str]:
    yield "| recipe | codec | bits | licence of code | of weights | run here |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for one in found:
        status = f"{one.run.weights} weights, {one.run.date}" if one.run else "*not run*"
        cells = (f"[{one.name}](#{one.name})", one.title, one.bits, one.licence, one.weights_licence, status)
        yield f"| {' | '.join(cells)} |"


def _section(one: Recipe) -> Iterator[str]:
    yield f"## {one.name}"
    yield ""
    yield f"{one.title}: [paper]({one.paper}), [code]({one.repository})."
    yield ""
    yield f"- **Bits**: {one.bits}. {one.bits_note}"
    yield f"- **Quality**: {one.quality}"
    if one.run is not None:
        yield f"- **Run** on {one.run.date} with {one.run.weights} weights, {one.run.versions}: {one.run.result}"
    else:
        yield f"- **Not run**: {one.not_run}"
    for note in one.notes:
        yield f"- {note}"
    for key, place in one.places.items():
        must = "" if place.required else " (may be left out)"
        words = f", or {' or '.join(f'`{word}`' for word in place.words)}" if place.words else ""
        yield f"- `{key}=`{place.kind.upper()}{words}{must}: {place.text}; {place.how}."
    yield ""
    yield "```bash"
    yield from commands(one)
    yield "```"


def commands(one: Recipe) -> Iterator[str]:
    """What to type to install and check it."""
    folder = Path(str(one.repository)).name.removesuffix(".git")
    if "repository" in one.places:
        yield f"git clone {one.repository}" + (f" && git -C {folder} checkout {one.commit}" if one.commit else "")
    yield f"python -m venv {one.name}  # Python {one.python}"
    yield f"{one.name}/bin/pip install numpy {' '.join(shlex.quote(what) for what in one.packages.values())}"
    yield f"python -m benchmark recipes check {one.name} --python {one.name}/bin/python" + "".join(
        f" --setting {key}={folder if key == 'repository' else place.kind.upper()}"
        for key, place in one.places.items()
        if place.required
    )
